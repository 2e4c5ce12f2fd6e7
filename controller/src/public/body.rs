//! The bodies of answers and signals.

use fleet::{DependsOn, NodeView, OnLoss, RequestError, Transport};
use host::{
    bus::object::{Facts, facts, variant},
    clock::START,
    config::InForce,
    link,
};
use proto::{
    dbus::{error, systemd::NO_SUCH_UNIT},
    model::{Cause, NodeStatus},
    time::Moment,
};
use rustix::time::{ClockId, clock_gettime};
use zbus::{
    Message, Variant,
    message::Type,
    wire::{ObjectPath, Signature, Structure, StructureBuilder},
};

use super::object::node_path;

/// A unit, as `ListUnits` of org.freedesktop.systemd1(5) has it.
pub(crate) type UnitRow<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

/// A unit file, with its state.
pub(crate) type FileRow<'a> = (&'a str, &'a str);

/// The signature of a list of units.
const UNITS: &str = "a(ssssssouso)";

/// Writes a body again into a message that `build` makes: what an agent said goes to the client as
/// it is, and the other way round. The body is read once on the way, which is what proves it.
pub(crate) fn copy(
    body_of: &Message,
    build: impl Fn(&dyn Copied) -> zbus::Result<Message>,
) -> zbus::Result<Message> {
    let body = body_of.body();
    let signature = body.signature();
    if *signature == Signature::Unit {
        return build(&());
    }
    if signature.to_string_no_parens() == UNITS {
        // Thousands of units with ten fields: not one value for each field.
        let units: Vec<UnitRow<'_>> = body.deserialize()?;
        return build(&units);
    }
    let structure: Structure<'_> = body.deserialize()?;
    build(&structure)
}

/// A body with something before or after it.
pub(crate) fn around<'m>(
    before: Option<Variant<'m>>,
    body: Structure<'m>,
    after: Option<Variant<'m>>,
) -> zbus::Result<Structure<'m>> {
    let mut builder = StructureBuilder::new();
    for field in before.into_iter().chain(body.into_fields()).chain(after) {
        builder = builder.append_field(field);
    }
    builder.build()
}

/// A body of any kind.
pub(crate) trait Copied {
    fn reply(&self, call: &Message) -> zbus::Result<Message>;
    fn call(&self, serial: link::CallSerial, method: link::Method<'_>) -> zbus::Result<Message>;
}

impl<T: serde::Serialize + zbus::wire::DynamicType> Copied for T {
    fn reply(&self, call: &Message) -> zbus::Result<Message> {
        link::reply(call, self)
    }

    fn call(&self, serial: link::CallSerial, method: link::Method<'_>) -> zbus::Result<Message> {
        link::call(serial, method, self)
    }
}

/// The answer of an agent as the answer to a client's call.
pub(crate) fn hand_back(call: &Message, answer: &Message) -> zbus::Result<Message> {
    match answer.message_type() {
        Type::Error => {
            let (name, text) = error_of(answer);
            link::error(call, &name, &text)
        }
        Type::MethodReturn | Type::MethodCall | Type::Signal => {
            copy(answer, |body| body.reply(call))
        }
    }
}

/// The name and the text of an error.
pub(crate) fn error_of(answer: &Message) -> (String, String) {
    let header = answer.header();
    let name = header
        .error_name()
        .map_or(error::FAILED, |name| name.as_str());
    let body = answer.body();
    // The first argument, if it is a string, is the text (D-Bus specification, "Error").
    let text = match body.deserialize::<&str>() {
        Ok(text) => text.to_owned(),
        Err(_) => body
            .deserialize::<Structure<'_>>()
            .ok()
            .and_then(|fields| Some(<&str>::try_from(fields.fields().first()?).ok()?.to_owned()))
            .unwrap_or_default(),
    };
    (name.to_owned(), text)
}

/// The D-Bus name of an error of the core.
pub(crate) fn error_name_of(failure: &RequestError) -> &str {
    match failure {
        RequestError::UnknownNode(_) => error::INVALID_ARGS,
        RequestError::Offline(_) => error::OFFLINE,
        RequestError::UnknownJob(_) => error::UNKNOWN_OBJECT,
        RequestError::Limit { .. } => error::LIMITS_EXCEEDED,
        RequestError::Timeout { .. } => error::TIMEOUT,
        RequestError::NodeGone(_) => error::OFFLINE,
        RequestError::NoCookies(_) => error::NOT_SUPPORTED,
        RequestError::Stopping => error::STOPPING,
        RequestError::UnknownMonitor(_) => error::UNKNOWN_OBJECT,
        RequestError::UnknownSubscription(_) => error::NO_SUCH_SUBSCRIPTION,
        RequestError::Refused(reason) if reason.cause == Cause::UnitNotFound => NO_SUCH_UNIT,
        RequestError::Refused(reason) if reason.cause == Cause::Limit => error::LIMITS_EXCEEDED,
        RequestError::Refused(_) => error::FAILED,
        RequestError::Agent(error) => &error.name,
    }
}

/// A row of `ListNodes`, as BlueChi's clients know it.
pub(crate) fn node_row<'a>(
    node: &NodeView<'a>,
) -> (&'a str, ObjectPath<'static>, &'static str, String) {
    (
        node.name.as_str(),
        ObjectPath::from_string_unchecked(node_path(node.name)),
        node.status.as_str(),
        ip_of(node),
    )
}

/// The IP address of a node's agent: that of this machine for one on a Unix socket, nothing while
/// it is offline.
pub(crate) fn ip_of(node: &NodeView<'_>) -> String {
    match node.agent.as_ref().map(|agent| agent.origin.transport) {
        Some(Transport::Unix) => "127.0.0.1".to_owned(),
        Some(Transport::Tcp) | None => peer_of(node),
    }
}

/// The address of a node's agent as people write it: nothing for one on a Unix socket, which has
/// none, and while it is offline. The port is left away; it says nothing to anybody.
fn peer_of(node: &NodeView<'_>) -> String {
    let Some(agent) = &node.agent else {
        return String::new();
    };
    match agent.origin.transport {
        Transport::Unix => String::new(),
        Transport::Tcp => {
            let address = &agent.origin.address;
            let ip = address
                .rsplit_once(':')
                .map_or(address.as_str(), |(ip, _)| ip);
            ip.trim_matches(['[', ']']).to_owned()
        }
    }
}

/// All that is known of a node.
pub(crate) fn node_facts(node: &NodeView<'_>, now: Moment) -> Facts {
    let ago = |moment: Moment| micros(now.since(moment));
    let path = ObjectPath::from_string_unchecked(node_path(node.name));
    let mut known = facts([
        ("Name", variant(node.name.as_str())),
        ("Path", variant(path)),
        ("Status", variant(node.status.as_str())),
        ("Labels", variant(node.labels.to_vec())),
        ("DependsOn", variant(depends_on(node))),
    ]);
    let agent = node.agent.as_ref();
    let transport = agent.map_or("", |agent| agent.origin.transport.as_str());
    known.extend(facts([
        ("Peer", variant(peer_of(node))),
        ("Transport", variant(transport)),
        (
            "Encrypted",
            variant(agent.is_some_and(|agent| agent.origin.encrypted)),
        ),
        (
            "AgentVersion",
            variant(agent.map_or("", |agent| agent.version)),
        ),
    ]));
    if let Some(agent) = agent {
        known.extend(facts([
            ("Protocol", variant(agent.protocol)),
            ("OnlineForUSec", variant(ago(agent.since))),
        ]));
    }
    if let Some(policy) = node.claims {
        let on_loss = match policy.on_loss {
            OnLoss::Stop => "stop",
            OnLoss::Keep => "keep",
        };
        known.extend(facts([
            ("StartTimeoutUSec", variant(micros(policy.start_timeout))),
            ("OnLoss", variant(on_loss)),
        ]));
    }
    if let Some(heard) = node.last_heard {
        known.extend(facts([("LastSeenUSecAgo", variant(ago(heard)))]));
    }
    known
}

/// The nodes whose units its units may depend on; `*` is all.
fn depends_on(node: &NodeView<'_>) -> Vec<String> {
    match node.depends_on {
        Some(DependsOn::Any) => vec!["*".to_owned()],
        Some(DependsOn::These(nodes)) => nodes.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    }
}

/// What is in force: key, value, where it is from, what a change does.
pub(crate) fn in_force_rows(keys: &[InForce]) -> Vec<(&str, &str, &str, &str)> {
    let mut rows = Vec::new();
    for it in keys {
        let (key, value, source) = (it.key.as_str(), it.value.as_str(), it.source.as_str());
        rows.push((key, value, source, it.effect.as_str()));
    }
    rows
}

/// The properties of a node in BlueChi's interface.
pub(crate) fn node_properties(node: &NodeView<'_>, times: Times) -> Facts {
    facts([
        ("Name", variant(node.name.as_str())),
        ("Status", variant(node.status.as_str())),
        ("PeerIp", variant(ip_of(node))),
        ("LastSeenTimestamp", variant(times.real(node.last_heard))),
        (
            "LastSeenTimestampMonotonic",
            variant(times.monotonic(node.last_heard)),
        ),
    ])
}

/// Its properties in our own.
pub(crate) fn own_node_properties(node: &NodeView<'_>, times: Times) -> Facts {
    let agent = node.agent.as_ref();
    let since = agent.map(|agent| agent.since);
    let transport = agent.map_or("", |agent| agent.origin.transport.as_str());
    facts([
        (
            "AgentVersion",
            variant(agent.map_or("", |agent| agent.version)),
        ),
        ("Protocol", variant(agent.map_or(0, |agent| agent.protocol))),
        ("Transport", variant(transport)),
        ("Labels", variant(node.labels.to_vec())),
        ("OnlineTimestamp", variant(times.real(since))),
        ("OnlineTimestampMonotonic", variant(times.monotonic(since))),
    ])
}

/// When the controller was started, and for how long it has run: moments count from its start.
pub(crate) fn running_facts(times: Times) -> Facts {
    let start = Some(Moment::default());
    facts([
        ("StartTimestamp", variant(times.real(start))),
        ("StartTimestampMonotonic", variant(times.monotonic(start))),
        ("UptimeUSec", variant(micros(times.now.since(START)))),
    ])
}

/// Moments as time stamps in microseconds; 0 is never, as systemd writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The time.
    pub(crate) now: Moment,
    /// `CLOCK_MONOTONIC` at the start, so that a moment is the same whenever it is asked for.
    pub(crate) start_usec: u64,
}

impl Times {
    /// `CLOCK_MONOTONIC` as it is now.
    pub(crate) fn start() -> u64 {
        usec_of(ClockId::Monotonic)
    }

    fn monotonic(self, moment: Option<Moment>) -> u64 {
        moment.map_or(0, |moment| {
            self.start_usec.saturating_add(micros(moment.since(START)))
        })
    }

    /// By the wall clock as it goes now, which may have been set since.
    fn real(self, moment: Option<Moment>) -> u64 {
        moment.map_or(0, |moment| {
            usec_of(ClockId::Realtime).saturating_sub(micros(self.now.since(moment)))
        })
    }
}

/// Whether a node is to be asked when all are.
pub(crate) fn is_online(node: &NodeView<'_>) -> bool {
    node.status == NodeStatus::Online
}

pub(super) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn usec_of(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1000)
}
