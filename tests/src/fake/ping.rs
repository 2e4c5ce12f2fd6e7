//! Round trips: an agent asks the controller whether it is there, and takes the time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use host::link::{self, CallSerial, LinkSender, Method};
use proto::dbus::internal;
use tokio::time::Instant;

/// How long all round trips took since they were looked at last.
#[derive(Debug, Default)]
pub struct RoundTrips(Mutex<Vec<Duration>>);

impl RoundTrips {
    /// Those since this was asked last.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, time: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(time);
    }
}

/// The round trips of one agent on one connection.
#[derive(Debug, Default)]
pub(super) struct Pings {
    every: Duration,
    next: Option<Instant>,
    open: BTreeMap<CallSerial, Instant>,
}

impl Pings {
    /// One every so often; none, if that is zero. `index` of `count` agents: they do not ask all at once.
    pub(super) fn new(every: Duration, index: usize, count: usize) -> Self {
        let share = |part: usize| u32::try_from(part).unwrap_or(u32::MAX);
        let offset = every.saturating_mul(share(index)) / share(count).max(1);
        Self {
            every,
            next: (!every.is_zero()).then(|| Instant::now() + offset),
            open: BTreeMap::new(),
        }
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Asks.
    pub(super) fn ask(&mut self, sender: &LinkSender) -> Result<()> {
        let now = Instant::now();
        // One that is late does not move the others; those that were missed are left out.
        let mut next = self.next.unwrap_or(now);
        while next <= now {
            next += self.every;
        }
        self.next = Some(next);
        let serial = sender.next_serial();
        let ping = Method {
            destination: None,
            path: internal::CONTROLLER_PATH,
            interface: "org.freedesktop.DBus.Peer",
            member: "Ping",
        };
        self.open.insert(serial, now);
        Ok(sender.try_send(link::call(serial, ping, &())?)?)
    }

    /// Whether the answer was one to a ping.
    pub(super) fn answered(&mut self, serial: CallSerial, trips: &RoundTrips) -> bool {
        let asked = self.open.remove(&serial);
        if let Some(asked) = asked {
            trips.add(asked.elapsed());
        }
        asked.is_some()
    }
}
