//! A reload of the configuration, from the side of the loop.

use host::{
    config::Loaded,
    link::{self, LinkSender},
    log::Output,
    reload::{Ended, Problem, Read},
};
use node::Input;
use proto::dbus::error;
use tracing::{info, warn};
use zbus::Message;

use super::Agent;
use crate::{
    public::{Asked, Configuration},
    settings::Settings,
    systemd::chain,
};

/// Somebody who waits for an answer: a client of the bus, or the controller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) sender: LinkSender,
    pub(crate) call: Message,
}

impl Caller {
    fn answer<B>(&self, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        if link::expects_reply(&self.call) {
            self.send(link::reply(&self.call, body));
        }
    }

    fn refuse(&self, name: &'static str, text: &str) {
        if link::expects_reply(&self.call) {
            self.send(link::error(&self.call, name, text));
        }
    }

    fn send(&self, message: zbus::Result<Message>) {
        // It fails when the connection has ended, and nobody waits any more.
        if let Ok(message) = message {
            let _ = self.sender.try_send(message);
        }
    }
}

impl Agent {
    /// Does what somebody asks of the agent itself.
    pub(super) fn asked(&mut self, asked: Asked, caller: Caller) {
        match asked {
            Asked::Reload => self.ask_reload(Some(caller)),
            Asked::Configuration => {
                let in_force = self.reload.in_force();
                let mut rows = Vec::new();
                for it in &in_force {
                    let (key, value, source) = (&*it.key, &*it.value, &*it.source);
                    rows.push((key, value, source, it.effect.as_str()));
                }
                caller.answer(&(self.reload.digest().to_string(), rows));
            }
            Asked::Dump => caller.answer(&self.state_lines().join("\n")),
        }
    }

    /// Somebody asks for a reload: a signal, or a caller.
    pub(super) fn ask_reload(&mut self, caller: Option<Caller>) {
        if self.stopping.is_some() {
            warn!("the agent is stopping, configuration is not read again");
            if let Some(caller) = caller {
                caller.refuse(error::STOPPING, "the agent is stopping");
            }
            return;
        }
        if let Some(caller) = self.reload.ask(caller) {
            let text = "too many wait for a reload; it takes place all the same";
            caller.refuse(error::LIMITS_EXCEEDED, text);
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
        self.status.text = self.status_text();
        let callers = self.reload.conclude(ended, &self.status.text);
        self.public.set_configuration(self.configuration());
        for caller in callers {
            caller.answer(&self.reload.last().facts());
        }
    }

    /// Puts a new configuration into force if all of it can be.
    fn change(&mut self, loaded: Loaded<Settings>) -> Ended {
        let (old, new) = (self.settings.log, loaded.settings.log);
        let log = match &self.around.log {
            Some(log) if (old.target, old.format) != (new.target, new.format) => {
                match log.open(new.target, new.format) {
                    Ok(output) => Some(output),
                    Err(why) => {
                        let entries = &loaded.entries;
                        let problem = Problem::about("log.target", entries, chain(&why));
                        return Ended::Failed(vec![problem]);
                    }
                }
            }
            Some(_) | None => None,
        };
        let digest = self.reload.digest_of(&loaded.entries);
        self.commit(loaded.settings, log);
        Ended::Applied {
            entries: loaded.entries,
            digest,
        }
    }

    /// Nothing here can fail, and nothing happens in between.
    fn commit(&mut self, new: Settings, log: Option<Output>) {
        if let (Some(control), Some(output)) = (&self.around.log, log) {
            control.set_output(output);
        }
        if let Some(control) = &self.around.log
            && new.log.level != self.settings.log.level
        {
            control.set_level(new.log.level);
        }
        if new.tcp != self.settings.tcp {
            self.tcp.send_replace(new.tcp);
        }
        if new.controllers != self.settings.controllers {
            // What the files say last counts, also against a client who wanted another controller.
            self.switched = None;
            self.dial.addresses = new.controllers.clone();
        }
        if let Some(name) = new.node.clone()
            && name.as_str() != self.name
        {
            info!(from = self.name, to = %name, "this node has another name now");
            self.name = name.to_string();
            self.take(Input::Rename(name));
        }
        self.settings = new;
        self.configure();
    }

    /// What clients may read of the configuration.
    pub(super) fn configuration(&self) -> Configuration {
        Configuration {
            target: self.settings.log.target,
            digest: self.reload.digest(),
            last: self.reload.last().clone(),
        }
    }
}
