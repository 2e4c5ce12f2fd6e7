//! The bus: calls that are sent together, and one ordered stream of all that comes back.
//!
//! Everything is built on messages, because a job is waited for best that way: the match rules and
//! the calls go out in one write, which the bus takes in order, so nothing is missed and no round
//! trip is spent on a subscription. Replies and signals are read in the order in which they came.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use proto::{
    dbus::{agent, public},
    name::{NodeName, path_element},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use zbus::{
    Connection, DynamicType, Message, MessageStream,
    connection::Builder,
    message::{Flags, Type as MessageType},
    wire::Type,
};

use crate::{
    fault::{Fault, Refusal},
    limits, span,
    window::Window,
};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// What was answered to a call.
pub(crate) type Answer = Result<Message, Refusal>;

/// A connection to a bus on which a controller is expected.
pub(crate) struct Bus {
    connection: Connection,
    stream: MessageStream,
    name: &'static str,
    began: Instant,
    limit: Duration,
    /// Signals that came while answers were waited for; `None` where nobody wants them.
    kept: Option<VecDeque<Message>>,
}

impl Bus {
    /// Connects to the system bus or the session bus. Everything on this connection has `limit`
    /// together.
    pub(crate) async fn connect(session: bool, limit: Duration) -> Result<Self, Fault> {
        let (builder, name) = if session {
            (Builder::session(), "session")
        } else {
            (Builder::system(), "system")
        };
        let began = Instant::now();
        let builder = builder.max_queued(limits::MESSAGES_QUEUED);
        let connection = timeout(limit, builder.build())
            .await
            .map_err(|_| "it does not answer".to_owned())
            .and_then(|built| built.map_err(|error| describe(&error)))
            .map_err(|cause| Fault::NoBus {
                bus: name,
                cause,
                service: None,
            })?;
        Ok(Self {
            // Nothing is asked for yet, so nothing is missed in between.
            stream: MessageStream::from(&connection),
            connection,
            name,
            began,
            limit,
            kept: None,
        })
    }

    /// From now on signals that come while answers are waited for are kept for [`Self::hear`].
    pub(crate) fn keep_signals(&mut self) {
        self.kept = Some(VecDeque::new());
    }

    /// From now on there is as much time again as there was when it was connected.
    pub(crate) fn renew(&mut self) {
        self.began = Instant::now();
    }

    /// Which bus this is.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The time that all has together.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Sends messages in one write.
    pub(crate) async fn send(&self, messages: &[Message]) -> Result<(), Fault> {
        let sending = self.connection.send_all(messages);
        match timeout(self.left(), sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.lost(&error)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// The next message; safe to be given up and called again.
    pub(crate) async fn next(&mut self) -> Result<Message, Fault> {
        match timeout(self.left(), self.stream.next()).await {
            Ok(next) => self.read(next),
            Err(_) => Err(self.too_late()),
        }
    }

    /// The next message, however long it takes, beginning with signals that were kept; safe to be
    /// given up and called again.
    pub(crate) async fn hear(&mut self) -> Result<Message, Fault> {
        if let Some(kept) = self.kept.as_mut().and_then(VecDeque::pop_front) {
            return Ok(kept);
        }
        let next = self.stream.next().await;
        self.read(next)
    }

    fn read(&self, next: Option<zbus::Result<Message>>) -> Result<Message, Fault> {
        match next {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(self.lost(&error)),
            None => Err(Fault::BusLost {
                bus: self.name,
                cause: "it closed the connection".into(),
            }),
        }
    }

    /// Sends calls together and waits for all answers, which are in the order of the calls.
    pub(crate) async fn ask<const N: usize>(
        &mut self,
        calls: [Message; N],
    ) -> Result<[Answer; N], Fault> {
        let answers = self.ask_all(&calls).await?;
        answers.try_into().map_err(|_| self.too_late())
    }

    /// As [`Self::ask`], for any number of calls.
    pub(crate) async fn ask_all(&mut self, calls: &[Message]) -> Result<Vec<Answer>, Fault> {
        self.ask_each(calls).await.into_iter().collect()
    }

    /// As [`Self::ask_all`], and what came before the bus or the patience came to an end is kept.
    /// Only so many calls are under way at once as the bus and the nodes take.
    pub(crate) async fn ask_each(&mut self, calls: &[Message]) -> Vec<Result<Answer, Fault>> {
        let object = |call: &Message| {
            let header = call.header();
            header.path().map(ToString::to_string).unwrap_or_default()
        };
        let mut window = Window::new(calls.iter().map(object));
        let mut open: BTreeMap<NonZeroU32, usize> = calls.iter().map(serial).zip(0..).collect();
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        let fault = loop {
            let next = std::iter::from_fn(|| window.next());
            let next: Vec<Message> = next.filter_map(|at| calls.get(at).cloned()).collect();
            if !next.is_empty()
                && let Err(fault) = self.send(&next).await
            {
                break fault;
            }
            if open.is_empty() {
                return answers.into_iter().flatten().map(Ok).collect();
            }
            match self.next().await {
                Ok(message) => {
                    self.keep(&message);
                    let Some((to, answer)) = answer(message) else {
                        continue;
                    };
                    let Some(at) = open.remove(&to) else {
                        continue;
                    };
                    if let (Some(slot), Some(call)) = (answers.get_mut(at), calls.get(at)) {
                        *slot = Some(answer);
                        window.answered(&object(call));
                    }
                }
                Err(fault) => break fault,
            }
        };
        let or_fault = |answer: Option<Answer>| answer.ok_or_else(|| fault.clone());
        answers.into_iter().map(or_fault).collect()
    }

    /// Keeps a signal that somebody wants later, the newest if there are too many.
    fn keep(&mut self, message: &Message) {
        if let Some(kept) = &mut self.kept
            && message.message_type() == MessageType::Signal
        {
            if kept.len() >= limits::SIGNALS_KEPT_MAX {
                kept.pop_front();
            }
            kept.push_back(message.clone());
        }
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    fn lost(&self, error: &zbus::Error) -> Fault {
        Fault::BusLost {
            bus: self.name,
            cause: describe(error),
        }
    }

    fn too_late(&self) -> Fault {
        Fault::Timeout {
            text: format!(
                "no answer from the controller after {}",
                span::display(self.limit)
            ),
            hint: "see 'systemctl status unitlink-controller'; --timeout waits longer".into(),
        }
    }
}

/// A call to the controller's object.
pub(crate) fn fleet_call<B>(interface: &str, method: &str, body: &B) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    call(
        public::BUS_NAME,
        public::CONTROLLER_PATH,
        interface,
        method,
        body,
    )
}

/// A call to a job's object.
pub(crate) fn job_call<B>(
    job: u32,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    let path = format!("{}{job}", public::JOB_PATH_PREFIX);
    call(public::BUS_NAME, &path, interface, method, body)
}

/// A call to the agent of this machine.
pub(crate) fn agent_call<B>(interface: &str, method: &str, body: &B) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    call(agent::BUS_NAME, agent::PATH, interface, method, body)
}

/// Asks the bus which connection has a name.
pub(crate) fn owner_call(name: &str) -> Result<Message, Fault> {
    call(BUS, BUS_PATH, BUS, "GetNameOwner", &name)
}

/// The unique name of whoever sent a message; empty if it does not say.
pub(crate) fn sender(message: &Message) -> String {
    let header = message.header();
    header.sender().map(ToString::to_string).unwrap_or_default()
}

/// Whether a signal says that a bus name has changed its owner; the new one, if there is one.
pub(crate) fn new_owner(message: &Message, of: &str) -> Option<Option<String>> {
    let header = message.header();
    let is_it = header.member().is_some_and(|it| it == "NameOwnerChanged")
        && header.interface().is_some_and(|it| it == BUS)
        && header.sender().is_some_and(|it| it == BUS);
    if !is_it {
        return None;
    }
    let (name, _, new): (String, String, String) = message.body().deserialize().ok()?;
    (name == of).then(|| Some(new).filter(|new| !new.is_empty()))
}

/// The rule for signals of [`new_owner`].
pub(crate) fn owner_rule(of: &str) -> String {
    format!("type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{of}'")
}

/// A call to any object of the controller.
pub(crate) fn object_call<B>(
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    call(public::BUS_NAME, path, interface, method, body)
}

/// The path of a node's object.
pub(crate) fn node_path(node: &NodeName) -> String {
    let element = path_element(node.as_str());
    format!("{}{element}", public::NODE_PATH_PREFIX)
}

/// A call to a node's object.
pub(crate) fn node_call<B>(
    node: &NodeName,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    call(public::BUS_NAME, &node_path(node), interface, method, body)
}

/// Asks the bus for signals. There is no reply: the bus takes this in before the calls after it.
pub(crate) fn add_match(rule: &str) -> Result<Message, Fault> {
    Message::method_call(BUS_PATH, "AddMatch")
        .destination(BUS)
        .interface(BUS)
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(&rule)
        .map_err(|error| unsendable("AddMatch", &error))
}

fn call<B>(to: &str, path: &str, interface: &str, method: &str, body: &B) -> Result<Message, Fault>
where
    B: Serialize + DynamicType,
{
    Message::method_call(path, method)
        .destination(to)
        .interface(interface)
        // An answer that says "not there" is better than a service that is started to say it.
        .with_flags(Flags::NO_AUTO_START)
        .build(body)
        .map_err(|error| unsendable(method, &error))
}

/// Only a bug makes a message that cannot be built; it is reported, not hidden.
fn unsendable(method: &str, error: &zbus::Error) -> Fault {
    Fault::Refused {
        name: "call".into(),
        text: format!("the call of {method} cannot be written: {error}"),
    }
}

/// The number of a message, which its reply names.
pub(crate) fn serial(message: &Message) -> NonZeroU32 {
    message.primary_header().serial_num()
}

/// The number of the call that a message answers; `None` if it is no answer.
pub(crate) fn replies_to(message: &Message) -> Option<NonZeroU32> {
    message.header().reply_serial()
}

/// The call that a message answers, and the answer; `None` if it is no answer.
pub(crate) fn answer(message: Message) -> Option<(NonZeroU32, Answer)> {
    let (to, name) = {
        let header = message.header();
        let name = header.error_name().map(ToString::to_string);
        (header.reply_serial()?, name)
    };
    match message.message_type() {
        MessageType::MethodReturn => Some((to, Ok(message))),
        MessageType::Error => {
            let text = message.body().deserialize::<String>().unwrap_or_default();
            let name = name.unwrap_or_default();
            Some((to, Err(Refusal { name, text })))
        }
        MessageType::MethodCall | MessageType::Signal => None,
    }
}

/// The body of an answer.
pub(crate) fn read<T>(message: &Message, asked: &'static str) -> Result<T, Fault>
where
    T: DeserializeOwned + Type,
{
    message.body().deserialize().map_err(|error| Fault::Answer {
        asked,
        cause: error.to_string(),
    })
}

/// An error without what only a programmer wants to know.
fn describe(error: &zbus::Error) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the errors of a library that may get more"
    )]
    match error {
        zbus::Error::InputOutput(io) => io.to_string(),
        zbus::Error::Connection(io, address) => format!("{io} ({address})"),
        other => other.to_string(),
    }
}
