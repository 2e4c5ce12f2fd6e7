//! The agent's own interface on the bus of its node: how the link to the controller is, another
//! controller, and proxies for BlueChi's helper. The bus may be absent, at boot and whenever it
//! restarts; nothing else waits for it.

mod proxy;

use std::collections::BTreeMap;

use host::{
    bus::object::{self, Facts, Failure, facts, no_method, variant},
    config::Digest,
    link::{self, LinkSender},
    log::{self, Target},
    reload::Report,
};
use node::Waiter;
use proto::{
    dbus::{agent, error},
    interface::{self, introspection},
    name::ProxyName,
    time::Moment,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use zbus::Message;

use crate::{drive::Caller, limits::CREATE_PROXY_MAX, local::HelperEvent, systemd::Manager};

/// How the link to the controller is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) online: bool,
    /// Where the controller is, or would be.
    pub(crate) address: String,
}

/// What a call asks of the loop.
#[derive(Clone, Debug)]
pub(crate) enum Todo {
    Done,
    /// Connect to the controller at this address, and to no other.
    Switch(host::address::Address),
    /// Something about the agent itself.
    Asked(Asked, Caller),
}

/// What is asked of the agent itself, on the bus or by the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Read the configuration again, and say what became of it.
    Reload,
    /// What is in force.
    Configuration,
    /// The state, as text.
    Dump,
}

/// What clients may read of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) target: Target,
    pub(crate) digest: Digest,
    /// What became of the last reload.
    pub(crate) last: Report,
}

/// The interface.
#[derive(Debug)]
pub(crate) struct Public {
    bus: Option<LinkSender>,
    state: LinkState,
    /// When the link was lost, or the agent started; nothing while it is up.
    lost: Option<Moment>,
    heard: Option<Moment>,
    configuration: Option<Configuration>,
    helpers: mpsc::Sender<HelperEvent>,
    /// Calls of `CreateProxy` that wait, and who made them.
    waiting: BTreeMap<Waiter, String>,
    next: u64,
}

/// Helpers that have connected are counted from 1; those of the bus are above them all.
const FIRST_WAITER: u64 = 1 << 63;

/// What is known while a call is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'a> {
    pub(crate) now: Moment,
    /// The level of the log.
    pub(crate) level: tracing::Level,
    pub(crate) manager: &'a Manager,
}

impl Public {
    pub(crate) fn new(now: Moment, helpers: mpsc::Sender<HelperEvent>) -> Self {
        Self {
            bus: None,
            state: LinkState::default(),
            lost: Some(now),
            heard: None,
            configuration: None,
            helpers,
            waiting: BTreeMap::new(),
            next: FIRST_WAITER,
        }
    }

    /// There is a bus.
    pub(crate) fn up(&mut self, bus: LinkSender) {
        self.bus = Some(bus);
    }

    /// There is none. Yields those who waited for a proxy: nobody could be answered any more.
    pub(crate) fn down(&mut self) -> Vec<Waiter> {
        self.bus = None;
        std::mem::take(&mut self.waiting).into_keys().collect()
    }

    /// Somebody has left the bus. Yields what they waited for.
    pub(crate) fn left(&mut self, name: &str) -> Vec<Waiter> {
        let gone = self.waiting.iter().filter(|(_, owner)| *owner == name);
        let gone: Vec<_> = gone.map(|(waiter, _)| *waiter).collect();
        for waiter in &gone {
            self.waiting.remove(waiter);
        }
        gone
    }

    /// A helper was answered for the last time.
    pub(crate) fn answered(&mut self, waiter: Waiter) {
        self.waiting.remove(&waiter);
    }

    /// The controller was heard.
    pub(crate) fn heard(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// The configuration is this now; what became of a reload is said.
    pub(crate) fn set_configuration(&mut self, configuration: Configuration) {
        self.configuration = Some(configuration);
        if self.bus.is_some() {
            self.push(object::changed(agent::PATH, agent::AGENT_OWN, self.own()));
        }
    }

    /// The properties of our own interface.
    fn own(&self) -> Facts {
        let Some(Configuration { digest, last, .. }) = &self.configuration else {
            return Facts::new();
        };
        facts([
            ("LastReload", variant(last.facts())),
            ("ConfigDigest", variant(digest.to_string())),
        ])
    }

    /// The link is like this now; what has changed is said.
    pub(crate) fn set_link(&mut self, now: Moment, state: LinkState) {
        if state == self.state {
            return;
        }
        if state.online != self.state.online {
            self.lost = (!state.online).then_some(now);
        }
        let before = std::mem::replace(&mut self.state, state);
        let mut changed = Facts::new();
        if before.online != self.state.online {
            changed.extend(facts([("Status", variant(self.status()))]));
        }
        if before.address != self.state.address {
            let address = variant(self.state.address.as_str());
            changed.extend(facts([("ControllerAddress", address)]));
        }
        if self.bus.is_some() {
            self.push(object::changed(agent::PATH, agent::AGENT, changed));
        }
    }

    /// A client calls.
    pub(crate) fn call(&mut self, present: Present<'_>, call: Message) -> Todo {
        match self.serve(present, &call) {
            Ok((answer, todo)) => {
                if let Some(answer) = answer {
                    self.answer(&call, answer);
                }
                todo
            }
            Err(failure) => {
                self.answer(&call, object::fail(&call, &failure));
                Todo::Done
            }
        }
    }

    fn serve(&mut self, present: Present<'_>, call: &Message) -> Result<Served, Failure> {
        let header = call.header();
        let path = header.path().map_or("", |path| path.as_str());
        let below = match path {
            agent::PATH => None,
            "/" => Some("org"),
            "/org" => Some("eclipse"),
            "/org/eclipse" => Some("bluechi"),
            _ => return Ok((Some(object::nowhere(call)), Todo::Done)),
        };
        if let Some(what) = object::standard(call)? {
            let properties = |name: &str| match (below, name) {
                (None, agent::AGENT) => Some(self.properties(present)),
                (None, agent::AGENT_OWN) => Some(self.own()),
                (None, "") => {
                    let mut all = self.properties(present);
                    all.extend(self.own());
                    Some(all)
                }
                (None | Some(_), _) => None,
            };
            let xml = || match below {
                None => introspection(&[interface::AGENT, interface::AGENT_OWN], []),
                Some(child) => introspection(&[], [child.to_owned()]),
            };
            let answer = object::answer(call, &what, properties, xml);
            return Ok((Some(answer), Todo::Done));
        }
        let interface = header.interface().map_or(agent::AGENT, |it| it.as_str());
        let member = header.member().map_or("", |it| it.as_str());
        let body = call.body();
        match (below, interface, member) {
            (None, agent::AGENT, "SwitchController") => {
                let text: &str = object::take(member, &body)?;
                let address = text.parse().map_err(|error| {
                    Failure::invalid(format!("'{text}' is no address of a controller: {error}"))
                })?;
                Ok((Some(link::reply(call, &())), Todo::Switch(address)))
            }
            (None, agent::AGENT, "CreateProxy") => {
                let proxy = proxy_of(object::take(member, &body)?)?;
                self.create_proxy(present, call, proxy)?;
                Ok((None, Todo::Done))
            }
            (None, agent::AGENT, "RemoveProxy") => {
                // What a proxy needs follows from its unit, so there is nothing to do.
                proxy_of(object::take(member, &body)?)?;
                Ok((Some(link::reply(call, &())), Todo::Done))
            }
            (None, agent::AGENT_OWN, "Reload" | "Configuration" | "Dump") => {
                object::expect(member, &body, "")?;
                let asked = match member {
                    "Reload" => Asked::Reload,
                    "Configuration" => Asked::Configuration,
                    _ => Asked::Dump,
                };
                let Some(sender) = self.bus.clone() else {
                    return Ok((None, Todo::Done));
                };
                let call = call.clone();
                Ok((None, Todo::Asked(asked, Caller { sender, call })))
            }
            _ => Err(no_method(call)),
        }
    }

    fn create_proxy(
        &mut self,
        present: Present<'_>,
        call: &Message,
        proxy: String,
    ) -> Result<(), Failure> {
        let Some(bus) = self.bus.clone() else {
            return Ok(());
        };
        if self.waiting.len() >= CREATE_PROXY_MAX {
            let text = format!("{CREATE_PROXY_MAX} proxies wait already");
            return Err(Failure::new(error::LIMITS_EXCEEDED, text));
        }
        let waiter = Waiter(self.next);
        self.next = self.next.checked_add(1).unwrap_or(FIRST_WAITER);
        let owner = call.header().sender().map(ToString::to_string);
        self.waiting.insert(waiter, owner.unwrap_or_default());
        let asking = proxy::Asking {
            waiter,
            proxy,
            call: call.clone(),
            bus,
            manager: present.manager.clone(),
            helpers: self.helpers.clone(),
        };
        tokio::spawn(asking.run());
        Ok(())
    }

    fn properties(&self, present: Present<'_>) -> Facts {
        let stamp = |moment: Option<Moment>, clock| {
            moment.map_or(0, |moment| {
                let ago = present.now.since(moment).as_micros();
                usec_of(clock).saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
            })
        };
        let real = ClockId::Realtime;
        let monotonic = ClockId::Monotonic;
        facts([
            ("Status", variant(self.status())),
            ("ControllerAddress", variant(self.state.address.as_str())),
            ("LogLevel", variant(present.level.as_str())),
            ("LogTarget", variant(self.target_word())),
            ("DisconnectTimestamp", variant(stamp(self.lost, real))),
            (
                "DisconnectTimestampMonotonic",
                variant(stamp(self.lost, monotonic)),
            ),
            ("LastSeenTimestamp", variant(stamp(self.heard, real))),
            (
                "LastSeenTimestampMonotonic",
                variant(stamp(self.heard, monotonic)),
            ),
        ])
    }

    fn status(&self) -> &'static str {
        if self.state.online {
            "online"
        } else {
            "offline"
        }
    }

    fn target_word(&self) -> &'static str {
        let mut targets = log::TARGETS.iter();
        let target = self.configuration.as_ref().map(|it| it.target);
        let word = targets.find(|(_, word)| Some(*word) == target);
        word.map_or("", |(word, _)| word)
    }

    fn answer(&self, call: &Message, answer: zbus::Result<Message>) {
        if link::expects_reply(call) {
            self.push(answer);
        }
    }

    fn push(&self, message: zbus::Result<Message>) {
        match (&self.bus, message) {
            (Some(bus), Ok(message)) => {
                // It fails when the connection has ended, which its reader will say.
                let _ = bus.try_send(message);
            }
            (None, Ok(_)) => {}
            (_, Err(error)) => tracing::error!(%error, "message for the bus cannot be made"),
        }
    }
}

/// The answer, if there is one already, and what else is to be done.
type Served = (Option<zbus::Result<Message>>, Todo);

/// The proxy that is meant by its own name, its node and its unit.
fn proxy_of((service, node, unit): (&str, &str, &str)) -> Result<String, Failure> {
    let name = ProxyName::parse(service).map_err(|error| Failure::invalid(error.to_string()))?;
    if name.node().as_str() != node || name.unit().as_str() != unit {
        let text = format!(
            "'{service}' stands for {} of node {}, not for {unit} of node {node}",
            name.unit(),
            name.node()
        );
        return Err(Failure::invalid(text));
    }
    Ok(service.to_owned())
}

fn usec_of(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1000)
}

#[cfg(test)]
mod tests;
