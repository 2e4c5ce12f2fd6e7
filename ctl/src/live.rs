//! A connection that is kept up: over a restart of the daemon that is listened to, and of the bus.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use zbus::{Message, message::Type as MessageType};

use crate::{
    bus::{self, Bus},
    fault::{Daemon, Fault},
    limits,
};

/// What is listened to.
pub(crate) struct Live {
    daemon: Daemon,
    session: bool,
    limit: Duration,
    /// Rules of the signals that are wanted.
    rules: Vec<String>,
    bus: Option<Bus>,
    /// The unique name of the daemon while it is there: only its word counts.
    owner: Option<String>,
    /// Since when it is not there, once somebody was told.
    away: Option<Instant>,
    /// Whether somebody was told that it is there.
    is_told: bool,
    /// When that is told again, if it did not help.
    again_at: Option<Instant>,
}

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The daemon is there, after it was away for so long if it was. All that was asked of one
    /// before it is forgotten.
    Up(Option<Duration>),
    /// It is not there any more; it is waited for.
    Away(Fault),
    /// A signal of it, or an answer.
    Message(Message),
}

impl Live {
    /// Listens to a daemon for signals that fit the rules; each question has `limit`.
    pub(crate) fn to(daemon: Daemon, session: bool, limit: Duration, rules: Vec<String>) -> Self {
        Self {
            daemon,
            session,
            limit,
            rules,
            bus: None,
            owner: None,
            away: None,
            is_told: false,
            again_at: None,
        }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Fails if the bus or the daemon is not there: at the beginning that is rather a slip than a
    /// restart.
    pub(crate) async fn connect(&mut self) -> Result<(), Fault> {
        let bus = self.reach().await?;
        if self.owner.is_none() {
            return Err(Fault::absent(self.daemon, bus));
        }
        Ok(())
    }

    /// The bus that it is on, with all rules; whether the daemon is there is known after this. Its
    /// name is returned.
    async fn reach(&mut self) -> Result<&'static str, Fault> {
        let mut bus = Bus::connect(self.session, self.limit).await?;
        bus.keep_signals();
        let name = self.daemon.bus_name();
        let mut rules = vec![bus::add_match(&bus::owner_rule(name))?];
        for rule in &self.rules {
            rules.push(bus::add_match(rule)?);
        }
        bus.send(&rules).await?;
        let [owner] = bus.ask([bus::owner_call(name)?]).await?;
        self.owner = match owner {
            Ok(answer) => Some(bus::read(&answer, "GetNameOwner")?),
            Err(_) => None,
        };
        self.is_told = false;
        let name = bus.name();
        self.bus = Some(bus);
        Ok(name)
    }

    /// What happens next, however long it takes; safe to be given up and called again.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            if self.bus.is_none() {
                if self.away.is_some() {
                    sleep(limits::RECONNECT_EVERY).await;
                }
                if let Err(fault) = self.reach().await {
                    self.bus = None;
                    if let Some(heard) = self.gone(fault) {
                        return heard;
                    }
                    continue;
                }
            }
            let is_due = self.again_at.is_none_or(|at| at <= Instant::now());
            if self.owner.is_some() && !self.is_told && is_due {
                (self.is_told, self.again_at) = (true, None);
                return Heard::Up(self.away.take().map(|since| since.elapsed()));
            }
            let Some(bus) = &mut self.bus else {
                continue;
            };
            if self.owner.is_none() && self.away.is_none() {
                let fault = Fault::absent(self.daemon, bus.name());
                if let Some(heard) = self.gone(fault) {
                    return heard;
                }
                continue;
            }
            let again = self
                .again_at
                .filter(|_| self.owner.is_some() && !self.is_told);
            let heard = tokio::select! {
                heard = bus.hear() => heard,
                () = until(again) => continue,
            };
            match heard {
                Ok(message) => {
                    if let Some(owner) = bus::new_owner(&message, self.daemon.bus_name()) {
                        let was_there = self.owner.is_some();
                        (self.owner, self.is_told) = (owner, false);
                        if was_there && self.away.is_none() {
                            let fault = Fault::absent(self.daemon, bus.name());
                            if let Some(heard) = self.gone(fault) {
                                return heard;
                            }
                        }
                    } else if self.counts(&message) {
                        return Heard::Message(message);
                    }
                }
                Err(fault) => {
                    self.bus = None;
                    self.owner = None;
                    if let Some(heard) = self.gone(fault) {
                        return heard;
                    }
                }
            }
        }
    }

    /// It is away; told only once.
    fn gone(&mut self, fault: Fault) -> Option<Heard> {
        if self.away.is_some() {
            return None;
        }
        self.away = Some(Instant::now());
        Some(Heard::Away(fault))
    }

    /// Whether a message is from the daemon. An answer can only be one to us.
    fn counts(&self, message: &Message) -> bool {
        message.message_type() != MessageType::Signal
            || self.owner.as_deref() == Some(bus::sender(message).as_str())
    }

    /// Sends calls whose answers are heard with everything else.
    pub(crate) async fn send(&mut self, calls: &[Message]) -> Result<(), Fault> {
        self.bus()?.send(calls).await
    }

    /// The bus, with all the time that a question has.
    ///
    /// # Errors
    ///
    /// Fails while there is none.
    pub(crate) fn bus(&mut self) -> Result<&mut Bus, Fault> {
        let (daemon, name) = (self.daemon, self.bus_name());
        let bus = self.bus.as_mut();
        let bus = bus.ok_or_else(|| Fault::absent(daemon, name))?;
        bus.renew();
        Ok(bus)
    }

    /// Tells soon again that it is there, if it is: what was to be done then did not succeed.
    pub(crate) fn again(&mut self) {
        self.is_told = false;
        self.again_at = Some(Instant::now() + limits::RECONNECT_EVERY);
    }

    /// Which bus it is on.
    pub(crate) fn bus_name(&self) -> &'static str {
        if self.session { "session" } else { "system" }
    }

    /// For how long it has been away.
    pub(crate) fn away(&self) -> Option<Duration> {
        self.away.map(|since| since.elapsed())
    }
}

/// Until then; forever if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep(moment.saturating_duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}
