//! What systemd writes as the sender of a message where there is no bus.
//!
//! On its private socket systemd fills the header field SENDER with `org.freedesktop.systemd1`. The
//! D-Bus specification ("Message Format", "Header Fields") has the bus fill it with a unique name, and
//! zbus refuses a message with anything else in it. Between two peers the field says nothing that
//! the link does not say, so a sender that no bus would have written is made a unique name: `:` takes
//! the place of its first character. (A field of a code that nobody knows would be ignored by the
//! specification, and is refused by zbus.)

/// Codes of header fields, of the same table of the specification.
const SENDER: u8 = 7;
/// What a unique name begins with.
const UNIQUE: u8 = b':';

/// The one name that a bus itself uses as a sender and that is not unique.
const BUS: &[u8] = b"org.freedesktop.DBus";

/// Hides the sender of a message unless it is one that a bus writes. `message` is a whole message;
/// of one that is not well-formed, the part before the fault is looked at.
pub(super) fn hide_foreign_sender(message: &mut [u8]) {
    if let Some(at) = foreign_sender(message)
        && let Some(first) = message.get_mut(at)
    {
        *first = UNIQUE;
    }
}

/// Where the first character of such a sender is.
fn foreign_sender(message: &[u8]) -> Option<usize> {
    let big_endian = *message.first()? == b'B';
    let number = |at: usize| -> Option<usize> {
        let bytes = *message.get(at..)?.first_chunk()?;
        let number = if big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        usize::try_from(number).ok()
    };
    let end = 16usize.checked_add(number(12)?)?;
    let mut at = 16;
    while at < end {
        // A field is its code and a variant: one byte of signature length, the type, a NUL, a value.
        let (code, value_type, value) = (*message.get(at)?, *message.get(at + 2)?, at + 4);
        let after = match value_type {
            b's' | b'o' => value.checked_add(number(value)?)?.checked_add(5)?,
            b'g' => value + usize::from(*message.get(value)?) + 2,
            b'u' => value + 4,
            _ => return None,
        };
        if code == SENDER && value_type == b's' {
            let name = message.get(value + 4..after - 1)?;
            let foreign = !name.is_empty() && !name.starts_with(b":") && name != BUS;
            return foreign.then_some(value + 4);
        }
        at = after.checked_next_multiple_of(8)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;
    use zbus::Message;

    /// A signal from `:1.00`, whose sender is then written over.
    fn signal_from(sender: &[u8]) -> Vec<u8> {
        let unique = format!(":1.{}", "0".repeat(sender.len() - 3));
        let message = Message::signal("/a", "b.c", "D")
            .sender(unique.as_str())
            .build(&("body", 1u32))
            .expect("a valid message");
        let mut bytes = message.data().bytes().to_vec();
        let at = bytes
            .windows(unique.len())
            .position(|w| w == unique.as_bytes())
            .expect("sender");
        bytes[at..at + sender.len()].copy_from_slice(sender);
        bytes
    }

    #[test_case(b"org.freedesktop.systemd1", true; "of systemd")]
    #[test_case(b"org.freedesktop.DBus", false; "of the bus")]
    #[test_case(b":1.234", false; "unique")]
    fn only_a_sender_that_no_bus_writes_is_hidden(sender: &[u8], hidden: bool) {
        let mut bytes = signal_from(sender);
        let before = bytes.clone();
        hide_foreign_sender(&mut bytes);
        let changed: Vec<_> = (0..bytes.len())
            .filter(|at| bytes[*at] != before[*at])
            .collect();
        assert_eq!(changed.len(), usize::from(hidden));
        assert!(
            changed
                .iter()
                .all(|at| before[*at] == b'o' && bytes[*at] == UNIQUE)
        );
    }

    #[tokio::test]
    async fn a_message_of_systemds_private_socket_is_read() {
        let bytes_max = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(4096));
        let bytes = signal_from(b"org.freedesktop.systemd1");
        let mut frames = super::super::frame::Frames::new(&bytes[..], Vec::new(), bytes_max);
        let message = frames.next().await.expect("valid").expect("whole");
        assert_eq!(message.header().member().expect("a member"), "D");
    }

    #[test]
    fn no_cut_of_a_message_makes_it_panic() {
        let whole = signal_from(b"org.freedesktop.systemd1");
        for end in 0..whole.len() {
            hide_foreign_sender(&mut whole[..end].to_vec());
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            hide_foreign_sender(&mut bytes);
        }
    }
}
