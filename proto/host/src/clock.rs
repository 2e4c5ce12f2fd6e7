//! What a pure core must be told: the time, who this machine is, and what cannot be foreseen.

use std::{env, fs, io, time::Duration};

use proto::time::Moment;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::time::Instant;

use crate::sasl::Guid;

/// How long before the start of a daemon the time begins, so that what others tell of can have been before it.
const EARLIER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The moment at which a [`Clock`] starts.
pub const START: Moment = Moment::at(EARLIER);

/// Makes moments of the runtime's clock, which is `CLOCK_MONOTONIC`; in tests it can be paused.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    beginning: Instant,
}

impl Clock {
    /// A clock whose moments count from 30 days ago. A daemon has one.
    pub fn start() -> Self {
        Self {
            beginning: Instant::now(),
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        Moment::at(EARLIER.saturating_add(self.beginning.elapsed()))
    }

    /// The instant of a moment, to sleep until it. A moment too far away to be counted is a year
    /// away from now.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.beginning
            .checked_add(moment.since_beginning().saturating_sub(EARLIER))
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(365 * 24 * 3600))
    }
}

/// Where the service manager says which boot this is: `%b`, systemd.unit(5). In a container the kernel
/// only knows that of its host, and the file that is laid over the kernel's is not seen by a process to
/// which `ProtectProc=` gives a `/proc` of its own.
const BOOT_ID: &str = "UNITLINK_BOOT_ID";

/// The id of this boot as the journal has it, 32 hexadecimal digits: what the service manager says, or
/// else the kernel, random(4).
///
/// # Errors
///
/// Fails when `/proc` is asked and cannot be read, or does not have one.
pub fn boot_id() -> io::Result<String> {
    let told = env::var(BOOT_ID).ok();
    if let Some(id) = told.as_deref().and_then(plain_id) {
        return Ok(id);
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    plain_id(&text).ok_or_else(|| {
        let text = format!("'{}' is no id of a boot", text.trim_ascii());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// An id without the dashes that the kernel writes and systemd does not.
fn plain_id(text: &str) -> Option<String> {
    let plain: String = text.trim_ascii().chars().filter(|c| *c != '-').collect();
    let is_id = plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| plain.to_ascii_lowercase())
}

/// The host name as the kernel has it, uname(2).
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Random bits, getrandom(2).
///
/// # Errors
///
/// Fails when the kernel has none, which it only has not while it boots.
pub fn random_u64() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // Up to 256 bytes come whole or not at all.
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A random identity of a server for [`crate::link::Link::serve`].
///
/// # Errors
///
/// As [`random_u64`].
pub fn random_guid() -> io::Result<Guid> {
    let (high, low) = (u128::from(random_u64()?), u128::from(random_u64()?));
    Ok(Guid::from_bits(high << 64 | low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("0123abcd-0123-0123-0123-0123456789AB\n", Some("0123abcd0123012301230123456789ab"); "the kernel's")]
    #[test_case("0123abcd0123012301230123456789ab", Some("0123abcd0123012301230123456789ab"); "systemd's")]
    #[test_case("%b", None; "one that was not filled in")]
    #[test_case("", None; "none")]
    #[test_case("0123abcd-0123-0123-0123-0123456789xy", None; "no number")]
    fn ids_are_written_in_one_way(text: &str, id: Option<&str>) {
        assert_eq!(plain_id(text).as_deref(), id);
    }

    #[tokio::test(start_paused = true)]
    async fn moments_follow_the_clock_of_the_runtime() {
        let clock = Clock::start();
        let after = |seconds| Moment::at(EARLIER + Duration::from_secs(seconds));
        assert_eq!(clock.now(), START);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now(), after(3));
        tokio::time::sleep_until(clock.instant(after(5))).await;
        assert_eq!(clock.now(), after(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_time_can_be_waited_for() {
        let never = Clock::start().instant(Moment::at(Duration::MAX));
        assert!(never > Instant::now() + Duration::from_secs(3600));
    }

    #[test]
    fn the_machine_has_an_identity() {
        assert_eq!(boot_id().expect("/proc is there").len(), 32);
        assert!(!host_name().is_empty());
        assert_ne!(
            random_guid().expect("random"),
            random_guid().expect("random")
        );
    }
}
