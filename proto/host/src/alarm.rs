//! The time at which a loop wakes when nobody says anything.
//!
//! The timers of a runtime are a wheel: one that is some time away is looked at once more on its way, which is a wake-up
//! of its own, and one that comes before all others is told to the event loop through a descriptor, even by itself. A
//! daemon that only waits for its next heartbeat woke twice for each. A timer of the kernel, timerfd_create(2), wakes once.

use std::{io, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::{net::unix::pipe, time::Instant};
use tracing::debug;

/// Waits for the deadlines of one loop.
#[derive(Debug)]
pub struct Alarm {
    /// `None` where the clock of the runtime is followed.
    timer: Option<Timer>,
}

/// The size of what a timer that has rung has to be read, timerfd_create(2).
const RINGS_BYTES: usize = 8;

#[derive(Debug)]
struct Timer {
    /// It is no pipe, but read like one, and so the safe way of a foreign descriptor into the event loop.
    rings: pipe::Receiver,
    /// When the kernel wakes us; `None` if it does not.
    set: Option<Instant>,
}

impl Alarm {
    /// An alarm of the kernel, by `CLOCK_MONOTONIC`; where the kernel has none to give, one of the runtime.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime that waits for descriptors.
    pub fn new() -> Self {
        let timer = Timer::new();
        if let Err(error) = &timer {
            debug!(%error, "no timer of the kernel, the runtime has one as well");
        }
        Self { timer: timer.ok() }
    }

    /// An alarm of the runtime, whose clock tests can stop and move by hand.
    pub const fn of_runtime() -> Self {
        Self { timer: None }
    }

    /// Waits until `deadline`, or for ever. Nothing is lost where the wait is given up and another begins.
    ///
    /// A deadline that moves away costs nothing: the alarm stays as it was set, and is set again when it has rung. So the
    /// deadlines of calls that are answered long before them cost next to no system calls.
    pub async fn at(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        if let Some(timer) = &mut self.timer {
            match timer.at(deadline).await {
                Ok(()) => return,
                Err(error) => {
                    debug!(%error, "timer of the kernel does not work, the runtime has one as well");
                    self.timer = None;
                }
            }
        }
        tokio::time::sleep_until(deadline).await;
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            rings: pipe::Receiver::from_owned_fd_unchecked(fd)?,
            set: None,
        })
    }

    async fn at(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            let now = Instant::now();
            if deadline <= now {
                return Ok(());
            }
            // To set it again takes back that it has rung, timerfd_settime(2).
            if self.set.is_none_or(|set| deadline < set || set <= now) {
                self.set(deadline.duration_since(now))?;
                self.set = Some(deadline);
            }
            self.rings.readable().await?;
            if deadline <= Instant::now() {
                return Ok(());
            }
            match self.rings.try_read(&mut [0; RINGS_BYTES]) {
                Ok(_) => self.set = None,
                // That was before it was set again. From now on it is waited for.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn set(&self, wait: Duration) -> io::Result<()> {
        let once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timer = Itimerspec {
            it_interval: once,
            // What the kernel cannot count is no time that anybody waits for.
            it_value: Timespec::try_from(wait).unwrap_or(Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            }),
        };
        timerfd_settime(&self.rings, TimerfdTimerFlags::empty(), &timer)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use tokio::time::timeout;

    use super::*;

    /// Far more than anything takes.
    const SOON: Duration = Duration::from_secs(30);
    /// Long enough for a test to be still within it.
    const SHORT: Duration = Duration::from_millis(200);

    fn after(wait: Duration) -> Option<Instant> {
        Some(Instant::now() + wait)
    }

    /// A wait that begins and is given up at once, as in a loop to which somebody else speaks first.
    fn given_up(alarm: &mut Alarm, deadline: Option<Instant>) -> Poll<()> {
        pin!(alarm.at(deadline)).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn set(alarm: &Alarm) -> Option<Instant> {
        alarm.timer.as_ref().expect("of the kernel").set
    }

    #[tokio::test]
    async fn it_waits_until_then_and_not_longer() {
        let mut alarm = Alarm::new();
        for wait in [SHORT, Duration::ZERO, SHORT] {
            let deadline = after(wait);
            timeout(SOON, alarm.at(deadline)).await.expect("in time");
            assert!(Some(Instant::now()) >= deadline);
        }
    }

    #[tokio::test]
    async fn a_deadline_that_comes_nearer_is_the_one_that_counts() {
        let mut alarm = Alarm::new();
        assert!(given_up(&mut alarm, after(2 * SOON)).is_pending());
        let nearer = after(SHORT);
        timeout(SOON, alarm.at(nearer)).await.expect("in time");
        assert!(Some(Instant::now()) >= nearer);
    }

    #[tokio::test]
    async fn a_deadline_that_moves_away_is_waited_for_though_the_alarm_rings_before() {
        let mut alarm = Alarm::new();
        let first = after(SHORT);
        assert!(given_up(&mut alarm, first).is_pending());
        let later = after(4 * SHORT);
        assert!(given_up(&mut alarm, later).is_pending());
        assert_eq!(set(&alarm), first, "it is not set for what is later");
        timeout(SOON, alarm.at(later)).await.expect("in time");
        assert!(Some(Instant::now()) >= later);
    }

    #[tokio::test]
    async fn an_alarm_that_has_rung_for_nobody_does_not_end_the_next_wait() {
        let mut alarm = Alarm::new();
        assert!(given_up(&mut alarm, after(SHORT)).is_pending());
        let timer = alarm.timer.as_ref().expect("of the kernel");
        let rung = timeout(SOON, timer.rings.readable()).await;
        rung.expect("in time").expect("it rings");
        let deadline = after(2 * SHORT);
        timeout(SOON, alarm.at(deadline)).await.expect("in time");
        assert!(Some(Instant::now()) >= deadline);
    }

    #[tokio::test]
    async fn without_a_deadline_it_waits_for_ever() {
        let mut alarm = Alarm::new();
        assert!(given_up(&mut alarm, None).is_pending());
        let far = Some(Instant::now() + Duration::from_secs(10 * 365 * 24 * 3600));
        assert!(given_up(&mut alarm, far).is_pending());
        assert!(timeout(SHORT, alarm.at(None)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn that_of_the_runtime_follows_its_clock() {
        let begun = Instant::now();
        Alarm::of_runtime().at(after(SOON)).await;
        assert_eq!(begun.elapsed(), SOON);
    }
}
