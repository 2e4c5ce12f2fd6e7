//! A reload of the configuration, from the side of the loop.

use fleet::Input;
use host::{
    bus::object::Failure,
    config::Loaded,
    log::Output,
    reload::{Ended, Problem, Read},
};
use proto::dbus::error;
use tracing::warn;
use zbus::Message;

use super::{Drive, leftover_grace};
use crate::{
    listening::{self, Prepared},
    peers::with_source,
    public::Configuration,
    settings::Settings,
};

/// What a new configuration needs, open and ready.
struct Ready {
    sockets: Prepared,
    log: Option<Output>,
}

impl Drive {
    /// Somebody asks for a reload: a signal, or a client with this call.
    pub(super) fn ask_reload(&mut self, call: Option<Message>) {
        if self.stopping.is_some() {
            warn!("the controller is stopping, configuration is not read again");
            if let Some(call) = call {
                let text = "the controller is stopping";
                self.public
                    .refuse(&call, &Failure::new(error::STOPPING, text));
            }
            return;
        }
        if let Some(call) = self.reload.ask(call) {
            let text = "too many wait for a reload; it takes place all the same";
            self.public
                .refuse(&call, &Failure::new(error::LIMITS_EXCEEDED, text));
        }
    }

    /// The files were read.
    pub(super) fn on_read(&mut self, read: Read<Settings>) {
        let ended = match read {
            Read::Changed(loaded) => self.change(loaded),
            Read::Unchanged(loaded) => Ended::Unchanged(loaded.entries),
            Read::Invalid(errors) => Ended::Invalid(errors),
            Read::TimedOut => Ended::TimedOut,
        };
        let condition = self.condition();
        let waited = self.reload.conclude(ended, &condition.to_string());
        self.state.told = condition;
        self.public.set_configuration(self.configuration());
        for call in waited {
            self.public.reply(&call, &self.reload.last().facts());
        }
    }

    /// Prepares a new configuration, and puts it into force if all of it can be.
    fn change(&mut self, loaded: Loaded<Settings>) -> Ended {
        match self.prepare(&loaded) {
            Ok(ready) => {
                let digest = self.reload.digest_of(&loaded.entries);
                self.commit(loaded.settings, ready);
                Ended::Applied {
                    entries: loaded.entries,
                    digest,
                }
            }
            Err(problems) => Ended::Failed(problems),
        }
    }

    /// Opens what a new configuration needs besides what is open. What was opened is closed again when
    /// something else cannot be.
    fn prepare(&self, loaded: &Loaded<Settings>) -> Result<Ready, Vec<Problem>> {
        let (new, entries) = (&loaded.settings, &loaded.entries);
        let sockets = self.listening.prepare(new).map_err(|errors| {
            let problems = errors.iter();
            let problems = problems.map(|(at, why)| listening::problem(at, why, entries));
            problems.collect::<Vec<_>>()
        });
        let (old, log) = (self.settings.log, new.log);
        let log = if (old.target, old.format) == (log.target, log.format) {
            Ok(None)
        } else {
            self.log.open(log.target, log.format).map(Some)
        };
        match (sockets, log) {
            (Ok(sockets), Ok(log)) => Ok(Ready { sockets, log }),
            (sockets, log) => {
                let mut problems = sockets.err().unwrap_or_default();
                if let Err(error) = log {
                    problems.push(Problem::about("log.target", entries, with_source(&error)));
                }
                Err(problems)
            }
        }
    }

    /// Puts a configuration into force. Nothing here can fail, and nothing happens in between.
    fn commit(&mut self, new: Settings, ready: Ready) {
        self.listening.commit(&new, ready.sockets);
        if let Some(log) = ready.log {
            self.log.set_output(log);
        }
        if new.log.level != self.settings.log.level {
            self.log.set_level(new.log.level);
        }
        let fleet = (new.fleet != self.settings.fleet).then(|| new.fleet.clone());
        self.settings = new;
        if let Some(fleet) = fleet {
            let now = self.clock.now();
            self.agents.set_grace(leftover_grace(&fleet));
            self.decide(now, Input::Settings(fleet));
        }
    }

    /// What clients may read of the configuration.
    pub(super) fn configuration(&self) -> Configuration {
        Configuration {
            level: self.log.level(),
            target: self.settings.log.target,
            warnings: self.listening.warnings(),
            digest: self.reload.digest(),
            last: self.reload.last().clone(),
        }
    }
}
