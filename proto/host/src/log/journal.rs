//! Lines to the journal by its own protocol. The text of a line holds its fields too, because that
//! is what journalctl(1) shows; each field is there once more by itself, to select lines by.

use std::{
    fmt::{self, Write as _},
    io,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{SendFlags, SocketAddrUnix, sendto},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{FormatFields as _, format::Writer},
    layer::Context,
};

use super::text::Text;

/// Where the journal listens, systemd-journald.service(8).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The prefix of the fields, so that they are nobody else's.
const PREFIX: &str = "UNITLINK_";

/// The field of a line that is about a unit of this machine, and the one by which journalctl(1) and
/// `systemctl status` show it among that unit's own: systemd.journal-fields(7), "Fields to log on behalf of
/// a different program". They take it from daemons of root only.
const ABOUT: (&str, &str) = ("at.unit", "OBJECT_SYSTEMD_UNIT");

/// The longest value in bytes. A line must fit into one datagram, whose default limit is 208 KiB; no
/// reason or error that is worth reading is longer.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// How long a line waits for a journal that does not keep up. A daemon has more to do than to write,
/// so the line is lost then, and those after it do not wait at all until one is taken again: thousands
/// of lines of a state, or of a fleet that connects, must not stand still for minutes.
const PATIENCE: Duration = Duration::from_millis(50);

/// Writes every event to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
    address: SocketAddrUnix,
    /// Whether the line before was lost.
    is_behind: AtomicBool,
    identifier: String,
}

impl Journal {
    /// Finds the journal of this machine.
    ///
    /// # Errors
    ///
    /// Fails when it is not there.
    pub(super) fn connect(identifier: &str) -> io::Result<Self> {
        Self::connect_to(SOCKET, identifier)
    }

    fn connect_to(path: impl AsRef<Path>, identifier: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let journal = Self {
            socket,
            address: SocketAddrUnix::new(path.as_ref())?,
            is_behind: AtomicBool::new(false),
            identifier: identifier.to_owned(),
        };
        // An empty datagram is ignored, and tells whether somebody is there.
        journal.send(&[])?;
        Ok(journal)
    }

    /// To the path each time, because a socket that is bound there anew is another one.
    fn send(&self, entry: &[u8]) -> io::Result<usize> {
        let flags = if self.is_behind.load(Ordering::Relaxed) {
            SendFlags::DONTWAIT
        } else {
            SendFlags::empty()
        };
        let sent = sendto(&self.socket, entry, flags, &self.address);
        let is_behind = matches!(sent, Err(Errno::AGAIN));
        self.is_behind.store(is_behind, Ordering::Relaxed);
        Ok(sent?)
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let entry = entry(&self.identifier, *event.metadata().level(), event);
        // There is nobody who could be told.
        let _ = self.send(&entry);
    }
}

/// One entry in the journal's native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
fn entry(identifier: &str, level: Level, fields: impl RecordFields) -> Vec<u8> {
    let mut text = String::new();
    // A formatter that fails leaves what it has written until then.
    let _ = Text.format_fields(Writer::new(&mut text), &fields);
    let mut entry = Entry(Vec::new());
    entry.put("PRIORITY", priority(level));
    entry.put("SYSLOG_IDENTIFIER", identifier);
    entry.put("MESSAGE", &text);
    fields.record(&mut entry);
    entry.0
}

/// The priorities of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

struct Entry(Vec<u8>);

impl Entry {
    /// Name, line feed, length, value, line feed: the form in which a value may hold anything.
    fn put(&mut self, name: &str, value: &str) {
        let end = value.floor_char_boundary(VALUE_BYTES_MAX);
        let value = value.get(..end).unwrap_or_default();
        self.0.extend(name.as_bytes());
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // The text of the line, which the entry has already.
        if field.name() != "message" {
            self.put(&name(field.name()), value);
        }
    }
}

/// A name as the journal wants it: capital letters, digits and `_`.
fn name(field: &str) -> String {
    let (about, known) = ABOUT;
    if field == about {
        return known.to_owned();
    }
    let field = field.strip_prefix("r#").unwrap_or(field);
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    PREFIX.chars().chain(field.chars().map(fit)).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Instant,
    };

    use test_case::test_case;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps what would be sent.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().expect("kept") = entry("test", *event.metadata().level(), event);
        }
    }

    /// The fields of the entry that `line` makes.
    fn fields(line: impl FnOnce()) -> Vec<(String, String)> {
        let kept = Kept::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept.clone()), line);
        let entry = kept.0.lock().expect("kept").clone();
        let mut rest = entry.as_slice();
        let mut fields = Vec::new();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (name, after) = rest.split_at(at);
            let (length, after) = after[1..].split_at(8);
            let length = u64::from_le_bytes(length.try_into().expect("eight"));
            let (value, after) = after.split_at(usize::try_from(length).expect("short"));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
            fields.push((text(name), text(value)));
            assert_eq!(after[0], b'\n');
            rest = &after[1..];
        }
        fields
    }

    fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let found = fields.iter().find(|field| field.0 == name);
        found.map(|field| field.1.as_str())
    }

    #[test]
    fn the_text_of_a_line_holds_its_fields_and_each_is_a_field_of_the_entry() {
        let fields = fields(|| {
            tracing::warn!(node = %"worker1", why = "gone\nfor good", jobs = 3, "node is offline");
        });
        assert_eq!(field(&fields, "PRIORITY"), Some("4"));
        assert_eq!(field(&fields, "SYSLOG_IDENTIFIER"), Some("test"));
        assert_eq!(
            field(&fields, "MESSAGE"),
            Some("node is offline node=worker1 why=\"gone\\nfor good\" jobs=3")
        );
        assert_eq!(field(&fields, "UNITLINK_NODE"), Some("worker1"));
        assert_eq!(field(&fields, "UNITLINK_WHY"), Some("gone\nfor good"));
        assert_eq!(field(&fields, "UNITLINK_JOBS"), Some("3"));
        assert_eq!(fields.len(), 6);
    }

    #[test]
    fn a_journal_that_stands_still_is_waited_for_once() {
        let path = std::env::temp_dir().join(format!("host-journal-{}", std::process::id()));
        let stands_still = UnixDatagram::bind(&path).expect("bound");
        let journal = Journal::connect_to(&path, "test").expect("there");
        // As many as it takes until the socket is full, and far more.
        let began = Instant::now();
        let sent = (0..10_000).map(|_| journal.send(&[b'x'; 1000]));
        let lost = sent.filter(Result::is_err).count();
        let took = began.elapsed();
        assert!(lost > 1_000, "{lost} of them are lost");
        assert!(took >= PATIENCE && took < 50 * PATIENCE, "{took:?}");
        // It goes on: of what is said then nothing is lost.
        let mut bytes = [0; 2000];
        stands_still.set_nonblocking(true).expect("set");
        while stands_still.recv(&mut bytes).is_ok() {}
        assert!((0..3).all(|_| journal.send(b"y").is_ok()));
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn a_field_to_select_by_is_not_in_the_text() {
        let fields = fields(|| tracing::warn!(at.line = 3, key = "log", "a.toml:3: wrong"));
        assert_eq!(
            field(&fields, "MESSAGE"),
            Some("a.toml:3: wrong key=\"log\"")
        );
        assert_eq!(field(&fields, "UNITLINK_AT_LINE"), Some("3"));
    }

    #[test]
    fn a_value_is_cut_at_a_character() {
        let long = "ä".repeat(VALUE_BYTES_MAX);
        let fields = fields(|| tracing::info!(long, "line"));
        let long = field(&fields, "UNITLINK_LONG").expect("there");
        assert_eq!(long.len(), VALUE_BYTES_MAX);
    }

    #[test_case("node", "UNITLINK_NODE")]
    #[test_case("r#type", "UNITLINK_TYPE"; "a keyword of Rust")]
    #[test_case("peer.address", "UNITLINK_PEER_ADDRESS"; "a dot")]
    #[test_case("at.unit", "OBJECT_SYSTEMD_UNIT"; "a unit of this machine")]
    fn names_are_as_the_journal_wants_them(field: &str, expected: &str) {
        assert_eq!(name(field), expected);
    }
}
