//! The public interface, on the bus.
//!
//! One connection, read by one task that hands every call on in order; one queue for everything
//! that goes out. So calls of a client are taken in in the order in which they were made, the
//! answer that names a job always precedes the signal that it has ended, and nothing is registered
//! or looked up for an object that comes and goes with each job.

mod answer;
mod authorize;
mod body;
mod call;
mod emit;
mod gather;
mod metrics;
mod monitor;
mod object;
mod properties;
mod standing;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fleet::{ClientId, Fleet, Input, Request, RequestId};
use host::{
    bus::object::{self as standard, Failure},
    config::Digest,
    link::LinkSender,
    reload::Report,
};
use proto::{
    dbus::{error, internal},
    name::NodeName,
    time::Moment,
};
use zbus::{Message, wire::ObjectPath};

use crate::limits::{CALL_TIMEOUT_MAX, GATHERS_MAX, OPEN_CALLS_MAX};
use authorize::{Caller, authorize};
pub(crate) use body::{UnitRow, error_of, in_force_rows};
use call::Verb;
use gather::{Gather, Kind};
use metrics::{Measured, Metrics};
use monitor::Audiences;
use object::{Object, node_path};

/// The public side of the controller.
#[derive(Debug)]
pub(crate) struct Public {
    bus: Option<LinkSender>,
    /// Calls that wait for the core.
    open: BTreeMap<RequestId, Open>,
    gathers: BTreeMap<u64, Gather>,
    audiences: Audiences,
    /// Clients that have a deadline of their own. The core bounds them.
    timed: BTreeSet<ClientId>,
    metrics: Metrics,
    next_request: u64,
    next_gather: u64,
    configuration: Configuration,
    /// `CLOCK_MONOTONIC` at the start, in microseconds.
    start_usec: u64,
}

/// What clients may read of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) level: tracing::Level,
    pub(crate) target: host::log::Target,
    /// What an operator should know of it.
    pub(crate) warnings: Vec<String>,
    pub(crate) digest: Digest,
    /// What became of the last reload.
    pub(crate) last: Report,
}

/// A call that waits for the core.
#[derive(Debug)]
enum Open {
    /// The core answers it by itself.
    Core(Message),
    /// The core answers it by itself, with a job of which all is told that is known.
    Enqueue(Message),
    /// It is handed on to an agent.
    Pass {
        call: Message,
        interface: &'static str,
        member: &'static str,
    },
    /// It is ours: when the unit of a start was started.
    Measure(Measured),
    /// It is a part of a list of the whole fleet.
    Part {
        gather: u64,
        kind: Kind,
        node: NodeName,
    },
}

/// What a call asks of the loop.
#[derive(Debug)]
pub(crate) enum Todo {
    /// Nothing more.
    Done,
    /// The core is to decide.
    Decide(Vec<Input>),
    /// Lines of this level and above are to be written.
    Level(tracing::Level),
    /// Agents are to measure jobs, or not any more.
    Metrics(bool),
    /// The configuration is to be read again, and this call answered with what became of it.
    Reload(Message),
    /// This call is to be answered with what is in force.
    Configuration(Message),
    /// This call is to be answered with the state as text.
    Dump(Message),
}

impl Public {
    pub(crate) fn new(configuration: Configuration) -> Self {
        Self {
            bus: None,
            open: BTreeMap::new(),
            gathers: BTreeMap::new(),
            audiences: Audiences::default(),
            timed: BTreeSet::new(),
            metrics: Metrics::default(),
            next_request: 0,
            next_gather: 0,
            configuration,
            start_usec: body::Times::start(),
        }
    }

    /// There is a bus.
    pub(crate) fn up(&mut self, bus: LinkSender) {
        self.bus = Some(bus);
    }

    /// There is none. Nobody waits for answers any more: names of another connection are others.
    /// Monitors end with those who made them.
    pub(crate) fn down(&mut self) -> Vec<Input> {
        self.bus = None;
        self.open.clear();
        self.gathers.clear();
        let monitors = self.audiences.all_left().into_iter();
        let clients = std::mem::take(&mut self.timed).into_iter();
        let clients = clients.map(Input::ClientGone);
        monitors.map(Input::MonitorGone).chain(clients).collect()
    }

    /// Somebody has left the bus.
    pub(crate) fn left(&mut self, name: &str) -> Vec<Input> {
        let monitors = self.audiences.left(name).into_iter();
        let client = Some(client_of(name)).filter(|client| self.timed.remove(client));
        let client = client.map(Input::ClientGone);
        monitors.map(Input::MonitorGone).chain(client).collect()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.bus.is_some()
    }

    /// The configuration is this now; a reload of it is told in any case.
    pub(crate) fn set_configuration(&mut self, configuration: Configuration) {
        self.configuration = configuration;
        self.configuration_changed();
    }

    /// Ends the connection, after what was sent. Yields what is still to be written.
    pub(crate) fn close(&mut self) -> Option<LinkSender> {
        self.bus.take().inspect(LinkSender::close)
    }

    /// A client calls.
    pub(crate) fn call(&mut self, now: Moment, fleet: &Fleet, call: Message) -> Todo {
        let header = call.header();
        let path = header.path().map_or("", |path| path.as_str());
        let object =
            Object::parse(path).filter(|object| object.exists(fleet, self.metrics.enabled));
        let Some(object) = object else {
            self.send(standard::nowhere(&call), &call);
            return Todo::Done;
        };
        let verb = match call::parse(&object, &call) {
            Ok(verb) => verb,
            Err(failure) => {
                self.refuse(&call, &failure);
                return Todo::Done;
            }
        };
        let sender = header.sender().map(|sender| sender.as_str());
        if let Err(why) = authorize(Caller { name: sender }, &verb) {
            self.refuse(&call, &Failure::new(error::ACCESS_DENIED, why));
            return Todo::Done;
        }
        let client = client_of(sender.unwrap_or_default());
        self.serve(now, fleet, &object, client, verb, call.clone())
    }

    fn serve(
        &mut self,
        now: Moment,
        fleet: &Fleet,
        object: &Object,
        client: ClientId,
        verb: Verb,
        call: Message,
    ) -> Todo {
        match verb {
            Verb::Job {
                node,
                kind,
                unit,
                mode,
                named,
            } => {
                let open = match named {
                    Some(_) => Open::Enqueue(call),
                    None => Open::Core(call),
                };
                let request = Request::Job {
                    node,
                    kind,
                    unit,
                    mode,
                    named,
                };
                return self.ask(client, request, open);
            }
            Verb::Cancel(job) => return self.ask(client, Request::Cancel(job), Open::Core(call)),
            Verb::Pass {
                node,
                interface,
                member,
            } => return self.pass(fleet, client, node, (interface, member), call),
            Verb::ListUnits => return self.gather(fleet, client, Kind::Units, call),
            Verb::ListUnitFiles => return self.gather(fleet, client, Kind::Files, call),
            Verb::FleetUnits => return self.gather(fleet, client, Kind::UnitsAndMissing, call),
            Verb::SetLogLevel(level) => return self.change_level(&call, &level),
            Verb::Reload => return Todo::Reload(call),
            Verb::Configuration => return Todo::Configuration(call),
            Verb::Dump => return Todo::Dump(call),
            Verb::ListNodes => {
                let rows: Vec<_> = fleet.nodes().map(|node| body::node_row(&node)).collect();
                self.reply(&call, &rows);
            }
            Verb::FleetNodes => {
                let nodes: Vec<_> = fleet.nodes().map(|n| body::node_facts(&n, now)).collect();
                self.reply(&call, &nodes);
            }
            Verb::Claims(of) => self.reply(&call, &standing::claims(fleet, of.as_ref(), now)),
            Verb::EndedClaims => self.reply(&call, &standing::ended_claims(fleet, now)),
            Verb::Holds(on) => self.reply(&call, &standing::holds(fleet, on.as_ref(), now)),
            Verb::Jobs => self.reply(&call, &standing::jobs(fleet, now)),
            Verb::FindJobs(node, unit) => {
                let found = standing::found_jobs(fleet, &node, &unit, now);
                self.reply(&call, &found);
            }
            Verb::SetCallTimeout(usec) => {
                let within = (usec > 0).then(|| Duration::from_micros(usec).min(CALL_TIMEOUT_MAX));
                if within.is_some() {
                    self.timed.insert(client);
                } else {
                    self.timed.remove(&client);
                }
                return self.ask(client, Request::CallTimeout(within), Open::Core(call));
            }
            Verb::GetNode(name) => {
                let known = name.parse().ok().filter(|name| fleet.node(name).is_some());
                match known {
                    Some(name) => {
                        let path = ObjectPath::from_string_unchecked(node_path(&name));
                        self.reply(&call, &path);
                    }
                    None => {
                        let text = format!("there is no node '{name}'");
                        self.refuse(&call, &Failure::new(error::INVALID_ARGS, text));
                    }
                }
            }
            Verb::Monitor(request) => {
                return self.ask(client, Request::Monitor(request), Open::Core(call));
            }
            Verb::Transient { node, unit, mode } => {
                if is_legacy(fleet, &node) {
                    // It names a job of its systemd's; nobody here hears how it ends.
                    let method = (internal::AGENT, "StartTransientUnit");
                    return self.pass(fleet, client, node, method, call);
                }
                let request = Request::Transient { node, unit, mode };
                return self.ask(client, request, Open::Core(call));
            }
            Verb::Close(monitor) => {
                self.audiences.close(monitor);
                self.reply(&call, &());
                return Todo::Decide(vec![Input::MonitorGone(monitor)]);
            }
            Verb::AddPeer { monitor, name } => match self.audiences.add(monitor, name) {
                Ok(number) => self.reply(&call, &number),
                Err(failure) => self.refuse(&call, &failure),
            },
            Verb::RemovePeer {
                monitor,
                peer,
                reason,
            } => match self.audiences.remove(monitor, peer) {
                Some(name) => {
                    self.peer_removed(monitor, &name, &reason);
                    self.reply(&call, &());
                }
                None => {
                    let text = format!("there is no peer {peer} of this monitor");
                    self.refuse(&call, &Failure::invalid(text));
                }
            },
            Verb::Metrics(on) => {
                self.metrics.enable(on);
                self.reply(&call, &());
                return Todo::Metrics(on);
            }
            Verb::Standard(what) => {
                let properties = |interface: &str| self.properties(now, fleet, object, interface);
                let xml = || object.introspect(fleet, self.metrics.enabled);
                self.send(standard::answer(&call, &what, properties, xml), &call);
            }
        }
        Todo::Done
    }

    fn change_level(&mut self, call: &Message, level: &str) -> Todo {
        let word = level.to_ascii_lowercase();
        match host::log::LEVELS.iter().find(|(name, _)| *name == word) {
            Some((_, level)) => {
                self.reply(call, &());
                Todo::Level(*level)
            }
            None => {
                let text =
                    format!("'{level}' is no log level; expected DEBUG, INFO, WARN or ERROR");
                self.refuse(call, &Failure::new(error::INVALID_ARGS, text));
                Todo::Done
            }
        }
    }

    /// Has the core decide, and keeps the call until it has.
    fn ask(&mut self, client: ClientId, request: Request, open: Open) -> Todo {
        if self.open.len() >= OPEN_CALLS_MAX {
            if let Open::Core(call) | Open::Enqueue(call) | Open::Pass { call, .. } = &open {
                let text = format!("{OPEN_CALLS_MAX} calls wait for an answer; no more may");
                self.refuse(call, &Failure::new(error::LIMITS_EXCEEDED, text));
            }
            return Todo::Done;
        }
        Todo::Decide(vec![self.request(client, request, open)])
    }

    fn request(&mut self, client: ClientId, request: Request, open: Open) -> Input {
        self.next_request = self.next_request.wrapping_add(1);
        let id = RequestId(self.next_request);
        self.open.insert(id, open);
        Input::Request {
            id,
            client,
            request,
        }
    }

    fn pass(
        &mut self,
        fleet: &Fleet,
        client: ClientId,
        node: NodeName,
        (interface, member): (&'static str, &'static str),
        call: Message,
    ) -> Todo {
        let needed = call::protocol_of(interface, member);
        if let Some(agent) = fleet.node(&node).and_then(|node| node.agent)
            && agent.protocol < needed
        {
            let spoken = match agent.protocol {
                0 => "only BlueChi's protocol".to_owned(),
                version => format!("version {version} of the protocol; {needed} is needed"),
            };
            let text = format!(
                "'{member}' is not supported by the agent on {node}, which speaks {spoken}"
            );
            self.refuse(&call, &Failure::new(error::NOT_SUPPORTED, text));
            return Todo::Done;
        }
        let open = Open::Pass {
            call,
            interface,
            member,
        };
        self.ask(client, Request::Forward { node }, open)
    }

    /// Asks all nodes at once. Each has its own deadline, so the list is there after the longest of
    /// them at the latest.
    fn gather(&mut self, fleet: &Fleet, client: ClientId, kind: Kind, call: Message) -> Todo {
        if self.gathers.len() >= GATHERS_MAX {
            let text = format!("{GATHERS_MAX} lists of the fleet are being made; no more may");
            self.refuse(&call, &Failure::new(error::LIMITS_EXCEEDED, text));
            return Todo::Done;
        }
        let nodes: Vec<_> = fleet
            .nodes()
            .filter(body::is_online)
            .map(|node| node.name.clone())
            .collect();
        let mut gather = Gather::new(call, kind, nodes.len());
        if kind == Kind::UnitsAndMissing {
            for node in fleet.nodes().filter(|node| !body::is_online(node)) {
                let text = format!("node {} is offline", node.name);
                gather.leave_out(node.name.clone(), error::OFFLINE, text);
            }
        }
        self.next_gather = self.next_gather.wrapping_add(1);
        let id = self.next_gather;
        self.gathers.insert(id, gather);
        self.finish_gather(id);
        let inputs = nodes.into_iter().map(|node| {
            let part = Open::Part {
                gather: id,
                kind,
                node: node.clone(),
            };
            self.request(client, Request::Forward { node }, part)
        });
        Todo::Decide(inputs.collect())
    }
}

/// Whether a node is online with an agent that only knows BlueChi's protocol.
fn is_legacy(fleet: &Fleet, node: &NodeName) -> bool {
    let agent = fleet.node(node).and_then(|node| node.agent);
    agent.is_some_and(|agent| agent.protocol == 0)
}

/// The number of a client: the two numbers of its unique name, as every bus makes them. All whose
/// names are otherwise count as one.
fn client_of(unique_name: &str) -> ClientId {
    let numbers = unique_name
        .strip_prefix(':')
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(major, minor)| {
            let (major, minor): (u64, u64) = (major.parse().ok()?, minor.parse().ok()?);
            Some(major.rotate_right(16) ^ minor)
        });
    ClientId(numbers.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_by_their_unique_names() {
        assert_ne!(client_of(":1.2"), client_of(":1.3"));
        assert_ne!(client_of(":1.2"), client_of(":2.2"));
        assert_eq!(client_of("x"), client_of(""));
    }
}
