//! That a daemon is alive, said to the service manager as often as it wants to hear it (`WatchdogSec=`): from the loop of
//! the daemon, so that one whose loop hangs is restarted.

use std::{fmt, io, time::Duration};

use proto::{rhythm::Rhythm, time::Moment};

use crate::notify;

/// When that is said next.
pub struct Watchdog {
    rhythm: Rhythm,
    say: Box<dyn FnMut() -> io::Result<()> + Send>,
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchdog").field(&self.rhythm).finish()
    }
}

impl Watchdog {
    /// That of the service manager that has started this process: at once, and then twice in the time after which it gives
    /// us up. Off where it does not watch.
    pub fn of_service(now: Moment) -> Self {
        let interval = notify::watchdog_interval().unwrap_or_default();
        Self::new(now, interval, notify::watchdog)
    }

    /// One that is told by `say`: at once, and then in this interval; zero is off.
    pub fn new(
        now: Moment,
        interval: Duration,
        say: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            rhythm: Rhythm::at_once(now, interval),
            say: Box::new(say),
        }
    }

    /// When it is to be said next; `None` where it is off.
    pub fn due(&self) -> Option<Moment> {
        self.rhythm.due()
    }

    /// Says it, if it is time.
    ///
    /// # Errors
    ///
    /// Fails when the service manager does not take it.
    pub fn beat(&mut self, now: Moment) -> io::Result<()> {
        if self.rhythm.take(now) {
            (self.say)()
        } else {
            Ok(())
        }
    }
}
