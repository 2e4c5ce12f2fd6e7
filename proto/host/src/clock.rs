//! What a pure core must be told: the time, who this machine is, and what cannot be foreseen.

use std::{fs, io, time::Duration};

use proto::time::Moment;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::time::Instant;

use crate::sasl::Guid;

/// Makes moments of the runtime's clock, which is `CLOCK_MONOTONIC`; in tests it can be paused.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    beginning: Instant,
}

impl Clock {
    /// A clock whose moments count from now. A daemon has one.
    pub fn start() -> Self {
        Self {
            beginning: Instant::now(),
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        Moment::at(self.beginning.elapsed())
    }

    /// The instant of a moment, to sleep until it. A moment too far away to be counted is a year
    /// away from now.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.beginning
            .checked_add(moment.since_beginning())
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(365 * 24 * 3600))
    }
}

/// The id of this boot of the kernel, random(4): 36 characters.
///
/// # Errors
///
/// Fails when `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim_ascii().to_owned())
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

    #[tokio::test(start_paused = true)]
    async fn moments_follow_the_clock_of_the_runtime() {
        let clock = Clock::start();
        assert_eq!(clock.now(), Moment::default());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now(), Moment::at(Duration::from_secs(3)));
        tokio::time::sleep_until(clock.instant(Moment::at(Duration::from_secs(5)))).await;
        assert_eq!(clock.now(), Moment::at(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_time_can_be_waited_for() {
        let never = Clock::start().instant(Moment::at(Duration::MAX));
        assert!(never > Instant::now() + Duration::from_secs(3600));
    }

    #[test]
    fn the_machine_has_an_identity() {
        assert_eq!(boot_id().expect("/proc is there").len(), 36);
        assert!(!host_name().is_empty());
        assert_ne!(
            random_guid().expect("random"),
            random_guid().expect("random")
        );
    }
}
