//! A client of the public API: calls are written in one go and answers are read in one stream, so
//! that the client is never what is waited for.

use std::{
    collections::HashMap,
    num::{NonZeroU32, NonZeroUsize},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt as _;
use proto::dbus::public;
use serde::Serialize;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};
use zbus::{
    Connection, DynamicType, Message, MessageStream,
    connection::Builder,
    message::Type,
    wire::{OwnedObjectPath, Variant},
};

use crate::{plain::SOON, sample::Sample};

/// Messages that may wait to be read: more than are ever under way.
const QUEUED_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1 << 16);

const JOBS_RULE: &str = "type='signal',sender='org.eclipse.bluechi',\
     interface='org.eclipse.bluechi.Controller',member='JobRemoved'";

/// A connection to the bus.
pub(crate) struct Client {
    runtime: Runtime,
    connection: Connection,
    stream: MessageStream,
}

/// What jobs have taken.
pub(crate) struct Jobs {
    /// All together.
    pub(crate) took: Duration,
    /// Each, from its call to the signal of its end.
    pub(crate) each: Sample,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let runtime = RuntimeBuilder::new_current_thread().enable_all().build()?;
        let connection =
            runtime.block_on(Builder::address(address).max_queued(QUEUED_MAX).build())?;
        Ok(Self {
            stream: MessageStream::from(&connection),
            runtime,
            connection,
        })
    }

    fn send(&self, message: &Message) -> Result<()> {
        Ok(self.runtime.block_on(self.connection.send(message))?)
    }

    fn next(&mut self) -> Result<Message> {
        let next = async { tokio::time::timeout(SOON, self.stream.next()).await };
        let next = self.runtime.block_on(next).context("no answer in time")?;
        Ok(next.context("the bus has gone")??)
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call<B>(&mut self, call: &Call<'_>, body: &B) -> Result<Message>
    where
        B: Serialize + DynamicType,
    {
        let call = call.message(body)?;
        self.send(&call)?;
        loop {
            let message = self.next()?;
            if message.header().reply_serial() != Some(serial(&call)) {
                continue;
            }
            return match message.message_type() {
                Type::Error => bail!(
                    "{}",
                    message.body().deserialize::<String>().unwrap_or_default()
                ),
                Type::MethodReturn | Type::MethodCall | Type::Signal => Ok(message),
            };
        }
    }

    /// The nodes that the controller knows.
    pub(crate) fn list_nodes(&mut self) -> Result<Message> {
        self.call(&controller("ListNodes"), &())
    }

    /// The units of all nodes.
    pub(crate) fn list_units(&mut self) -> Result<Message> {
        self.call(&controller("ListUnits"), &())
    }

    /// How many needs of a node are up.
    pub(crate) fn claims_up(&mut self, node: &str) -> Result<usize> {
        let path = format!("{}{node}", public::NODE_PATH_PREFIX);
        let call = Call {
            path: &path,
            interface: public::NODE_OWN,
            ..controller("ListClaims")
        };
        let answer = self.call(&call, &())?;
        let body = answer.body();
        let claims: Vec<HashMap<&str, Variant<'_>>> = body.deserialize()?;
        let state = |claim: &HashMap<&str, Variant<'_>>| {
            let state = claim.get("State")?.downcast_ref::<&str>().ok()?;
            Some(state == "up")
        };
        Ok(claims.iter().filter(|it| state(it) == Some(true)).count())
    }

    /// The needs of all nodes.
    pub(crate) fn list_claims(&mut self) -> Result<Message> {
        let call = Call {
            interface: public::FLEET,
            ..controller("ListClaims")
        };
        self.call(&call, &())
    }

    /// Asks for signals.
    pub(crate) fn listen(&mut self, rule: &str) -> Result<()> {
        self.call(
            &Call {
                to: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                method: "AddMatch",
            },
            &rule,
        )
        .map(drop)
    }

    /// Waits for a signal with this name; others and answers are passed over.
    pub(crate) fn hear(&mut self, member: &str) -> Result<Message> {
        loop {
            let message = self.next()?;
            if message.message_type() == Type::Signal
                && message.header().member().is_some_and(|it| it == member)
            {
                return Ok(message);
            }
        }
    }

    /// So many calls that do nothing, so many at a time: what a call costs at least.
    pub(crate) fn pings(&mut self, count: usize, at_once: usize) -> Result<Duration> {
        let ping = Call {
            interface: "org.freedesktop.DBus.Peer",
            ..controller("Ping")
        };
        let began = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < at_once {
                self.send(&ping.message(&())?)?;
                sent += 1;
            }
            if self.next()?.message_type() == Type::MethodReturn {
                answered += 1;
            }
        }
        Ok(began.elapsed())
    }

    /// Restarts a unit of one node after the other, so many times in all and so many at a time.
    pub(crate) fn jobs(&mut self, nodes: usize, count: usize, at_once: usize) -> Result<Jobs> {
        self.listen(JOBS_RULE)?;
        let mut begun: HashMap<NonZeroU32, Instant> = HashMap::new();
        let mut open: HashMap<OwnedObjectPath, Instant> = HashMap::new();
        // The end of a job may be told before its path is, as both are only messages.
        let mut early: HashMap<OwnedObjectPath, Instant> = HashMap::new();
        let mut each = Sample::default();
        let began = Instant::now();
        let mut sent = 0;
        while each.count() < count {
            while sent < count && sent - each.count() < at_once {
                let path = format!("{}fake{:05}", public::NODE_PATH_PREFIX, sent % nodes + 1);
                let call = Call {
                    path: &path,
                    interface: public::NODE,
                    ..controller("RestartUnit")
                };
                let call = call.message(&("app1.service", "replace"))?;
                begun.insert(serial(&call), Instant::now());
                self.send(&call)?;
                sent += 1;
            }
            let message = self.next()?;
            match message.message_type() {
                Type::MethodReturn => {
                    let Some(at) = message
                        .header()
                        .reply_serial()
                        .and_then(|serial| begun.remove(&serial))
                    else {
                        continue;
                    };
                    let path: OwnedObjectPath = message.body().deserialize()?;
                    match early.remove(&path) {
                        Some(end) => each.push(end.duration_since(at)),
                        None => drop(open.insert(path, at)),
                    }
                }
                Type::Signal
                    if message
                        .header()
                        .member()
                        .is_some_and(|it| it == "JobRemoved") =>
                {
                    let (_, path, _, _, result): (u32, OwnedObjectPath, String, String, String) =
                        message.body().deserialize()?;
                    ensure!(result == "done", "a job ended as {result}");
                    match open.remove(&path) {
                        Some(at) => each.push(at.elapsed()),
                        None => drop(early.insert(path, Instant::now())),
                    }
                }
                Type::Signal => {}
                Type::Error | Type::MethodCall => bail!("{message}"),
            }
        }
        let took = began.elapsed();
        Ok(Jobs { took, each })
    }
}

/// A method of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) to: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) method: &'a str,
}

/// A method of the controller's own object.
pub(crate) fn controller(method: &str) -> Call<'_> {
    Call {
        to: public::BUS_NAME,
        path: public::CONTROLLER_PATH,
        interface: public::CONTROLLER,
        method,
    }
}

impl Call<'_> {
    fn message<B>(&self, body: &B) -> Result<Message>
    where
        B: Serialize + DynamicType,
    {
        let message = Message::method_call(self.path, self.method)
            .destination(self.to)
            .interface(self.interface)
            .build(body)?;
        Ok(message)
    }
}

fn serial(message: &Message) -> NonZeroU32 {
    message.primary_header().serial_num()
}
