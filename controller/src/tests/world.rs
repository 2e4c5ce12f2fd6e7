//! A controller, agents and a client in one process.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use fleet::{DependsOn, Fleet, NodeSettings};
use host::{
    alarm::Alarm,
    bus::{self, BusEvent},
    clock::{Clock, random_guid},
    config::Sources,
    link::{self, Limits, Link, LinkReceiver, LinkSender},
    log::{self, Format, LogControl, Target},
    reload::{Reload, Rules},
    scope::Scope,
    signal,
    stream::Identity,
    watchdog::Watchdog,
};
use proto::{
    dbus::internal,
    message::{Hello, PROTOCOL},
    model::JobId,
    wire::{NeedsBody, StatesBody, hello_to_wire},
};
use serde::Serialize;
use tokio::{
    io::{DuplexStream, duplex},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use zbus::{
    Message, OwnedVariant,
    message::Type,
    wire::{DynamicType, OwnedObjectPath},
};

use crate::{
    drive::{Drive, Waits},
    listening::Listening,
    peers::Doors,
    settings::{Log, OPTIONS, Settings, Tcp},
};

pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A unit, owned.
pub(super) type UnitRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// The controller, and a client on its bus.
pub(super) struct World {
    doors: Doors,
    bus_events: mpsc::Sender<BusEvent>,
    client: Link,
    bus_task: JoinHandle<()>,
}

/// An agent, played by hand.
pub(super) struct Agent {
    sender: LinkSender,
    pub(super) receiver: LinkReceiver,
}

impl World {
    /// A controller of these nodes. Each may depend on all.
    pub(super) fn new(nodes: &[&str]) -> Self {
        let clock = Clock::start();
        let off = Watchdog::new(clock.now(), Duration::ZERO, || Ok(()));
        Self::reading(nodes, Path::new("/nonexistent"), clock, off)
    }

    /// The same, whose reloads read this file, and whose service manager is told that it is alive.
    pub(super) fn reading(nodes: &[&str], file: &Path, clock: Clock, watchdog: Watchdog) -> Self {
        let node = |name: &&str| {
            let node = NodeSettings {
                depends_on: DependsOn::Any,
                ..NodeSettings::default()
            };
            (name.parse().expect("name"), node)
        };
        let fleet_settings = fleet::Settings {
            nodes: nodes.iter().map(node).collect(),
            heartbeat: fleet::Heartbeat::default(),
            resume_window: Duration::ZERO,
            call_timeout: CALL_TIMEOUT,
            job_timeout: None,
            version: "1".into(),
        };
        let settings = Settings {
            listen: vec![],
            backlog: 16,
            graceful_shutdown: Some(Duration::from_secs(60)),
            tcp: Tcp {
                keepalive: Duration::from_secs(10),
                user_timeout: Duration::from_secs(20),
            },
            log: Log {
                level: tracing::Level::DEBUG,
                target: Target::Stderr,
                format: Format::Text,
            },
            fleet: fleet_settings.clone(),
        };
        let (peer_events, peers) = mpsc::channel(16);
        let (bus_events, bus_queue) = mpsc::channel(256);
        let doors = Doors::new(peer_events, random_guid().expect("random"), 0);
        let rules = Rules {
            sources: Sources::file(file, &Scope::System),
            options: &OPTIONS,
            prove: crate::settings::prove_here,
        };
        let drive = Drive::new(
            clock,
            Fleet::new(fleet_settings, clock.now(), JobId(1)),
            settings.clone(),
            Reload::new(rules, vec![]),
            Listening::new(doors.clone(), settings.tcp_options()),
            log_control(),
            watchdog,
        );
        let blocked = signal::block().expect("signals");
        let waits = Waits {
            signals: blocked.listen().expect("signals"),
            peers,
            bus: bus_queue,
            alarm: Alarm::of_runtime(),
        };
        tokio::spawn(drive.run(waits));
        let (client, bus_task) = connect_bus(&bus_events);
        Self {
            doors,
            bus_events,
            client,
            bus_task,
        }
    }

    /// The bus goes away.
    pub(super) async fn lose_bus(&mut self) {
        self.client.sender.abort();
        let task = std::mem::replace(&mut self.bus_task, tokio::spawn(async {}));
        within(task).await.expect("ended");
    }

    /// There is another bus.
    pub(super) async fn find_bus(&mut self) {
        (self.client, self.bus_task) = connect_bus(&self.bus_events);
        // What is heard on it shows that it was taken.
        self.call("/", "org.freedesktop.DBus.Peer", "Ping", &());
        self.answer().await;
    }

    /// An agent without claims or holds, that has registered.
    pub(super) async fn agent(&mut self, node: &str) -> Agent {
        let agent = self.agent_quietly(node).await;
        self.heard("PropertiesChanged").await;
        agent
    }

    /// The same, without a look at the bus.
    pub(super) async fn agent_quietly(&mut self, node: &str) -> Agent {
        let mut agent = self.connection().await;
        agent.hello(node, 1);
        let welcome = agent.next_but_heartbeats().await;
        assert_eq!(welcome.message_type(), Type::MethodReturn, "{welcome:?}");
        agent.ask(
            "HoldStates",
            &StatesBody {
                generation: 1,
                full: true,
                put: vec![],
                drop: vec![],
            },
        );
        agent.ask(
            "Claims",
            &NeedsBody {
                generation: 1,
                full: true,
                put: vec![],
                drop: vec![],
            },
        );
        let mut acknowledged = 0;
        while acknowledged < 2 {
            let message = agent.next_but_heartbeats().await;
            match message.message_type() {
                Type::MethodReturn => acknowledged += 1,
                Type::MethodCall => agent.send(link::reply(&message, &())),
                Type::Signal | Type::Error => panic!("{message:?}"),
            }
        }
        // The first whole sets are empty; what is still on its way is the last of them.
        let rest = agent.call("ClaimStates").await;
        agent.send(link::reply(&rest, &()));
        agent
    }

    /// A connection that has shaken hands, over TCP for all that the controller knows.
    pub(super) async fn connection(&mut self) -> Agent {
        let (stream, _) = self.raw_connection();
        let link = Link::connect(Box::new(stream), tcp_identity(), Limits::TRUSTED);
        Agent::of(within(link).await.expect("handshake"))
    }

    /// A connection that has said nothing.
    pub(super) fn raw_connection(&mut self) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(1024 * 1024);
        let permit = Arc::new(Semaphore::new(1))
            .try_acquire_owned()
            .expect("room");
        let admitted = self
            .doors
            .clone()
            .admit(Box::new(theirs), tcp_identity(), permit);
        (ours, tokio::spawn(admitted))
    }

    /// The client calls, and does not wait. Yields the serial.
    pub(super) fn call<B: Serialize + DynamicType>(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> NonZeroU32 {
        let serial = self.client.sender.next_serial().number();
        let call = Message::method_call(path, member)
            .interface(interface)
            .sender(":1.7")
            .serial(serial)
            .build(body)
            .expect("built");
        self.client.sender.try_send(call).expect("sent");
        serial
    }

    /// Something comes over the bus.
    pub(super) fn send(&mut self, message: Message) {
        self.client.sender.try_send(message).expect("sent");
    }

    /// The next message that the client gets.
    pub(super) async fn client_next(&mut self) -> Message {
        within(self.client.receiver.recv())
            .await
            .expect("open")
            .expect("valid")
    }

    /// The next answer that the client gets; signals are passed over.
    pub(super) async fn answer(&mut self) -> Message {
        loop {
            let message = self.client_next().await;
            if link::answers(&message).is_some() {
                return message;
            }
        }
    }

    /// The next signal of this name that the client gets; all else is passed over.
    pub(super) async fn heard(&mut self, signal: &str) -> Message {
        loop {
            let message = self.client_next().await;
            if message.message_type() == Type::Signal && member(&message) == signal {
                return message;
            }
        }
    }
}

impl Agent {
    pub(super) fn of(link: Link) -> Self {
        Self {
            sender: link.sender,
            receiver: link.receiver,
        }
    }

    pub(super) fn hello(&mut self, node: &str, incarnation: u64) {
        self.hello_of(node, incarnation, PROTOCOL);
    }

    /// The same, of an agent that speaks this version.
    pub(super) fn hello_of(&mut self, node: &str, incarnation: u64, protocol: u32) {
        let hello = Hello {
            node: node.parse().expect("name"),
            protocol,
            version: "1".into(),
            boot_id: "boot".into(),
            incarnation,
        };
        self.ask("Hello", &hello_to_wire(&hello));
    }

    pub(super) fn send(&mut self, message: zbus::Result<Message>) {
        self.sender.try_send(message.expect("built")).expect("sent");
    }

    /// Calls a method of our own on the controller.
    pub(super) fn ask<B: Serialize + DynamicType>(&mut self, member: &str, body: &B) -> NonZeroU32 {
        let serial = self.sender.next_serial();
        self.send(link::call(serial, controller(member), body));
        serial.number()
    }

    /// The same, without waiting for an answer.
    pub(super) fn say<B: Serialize + DynamicType>(&mut self, member: &str, body: &B) {
        let serial = self.sender.next_serial();
        self.send(link::call_quietly(serial, controller(member), body));
    }

    /// The next message that is no heartbeat.
    pub(super) async fn next_but_heartbeats(&mut self) -> Message {
        loop {
            let message = within(self.receiver.recv())
                .await
                .expect("open")
                .expect("valid");
            if member(&message) != "Heartbeat" {
                return message;
            }
        }
    }

    /// The next call of this method; other calls are answered with nothing.
    pub(super) async fn call(&mut self, method: &str) -> Message {
        loop {
            let message = self.next_but_heartbeats().await;
            if member(&message) == method {
                return message;
            }
            if link::expects_reply(&message) {
                self.send(link::reply(&message, &()));
            }
        }
    }

    /// Says that it is alive until something is done.
    pub(super) async fn alive_until<T>(&mut self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            let signal = link::signal(internal::AGENT_PATH, internal::AGENT, "Heartbeat", &());
            self.send(signal);
            tokio::select! {
                done = &mut done => return done,
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }
}

fn controller(member: &str) -> link::Method<'_> {
    link::Method {
        destination: None,
        path: internal::CONTROLLER_PATH,
        interface: internal::CONTROLLER_OWN,
        member,
    }
}

fn connect_bus(events: &mpsc::Sender<BusEvent>) -> (Link, JoinHandle<()>) {
    let (ours, theirs) = duplex(1024 * 1024);
    let start = |stream: DuplexStream| {
        Link::start(Box::new(stream), tcp_identity(), vec![], Limits::TRUSTED)
    };
    let (link, events) = (start(theirs), events.clone());
    let task = tokio::spawn(async move {
        let why = bus::serve(link, &[], vec![], &events).await;
        let _ = events.send(BusEvent::Down(why)).await;
    });
    (start(ours), task)
}

fn log_control() -> LogControl {
    static LOG: OnceLock<LogControl> = OnceLock::new();
    LOG.get_or_init(|| {
        let (level, target) = (tracing::Level::DEBUG, Target::Stderr);
        log::init("test", level, target, Format::Text).expect("once")
    })
    .clone()
}

pub(super) fn tcp_identity() -> Identity {
    Identity::Tcp {
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
    }
}

/// What must come, comes within a minute of the paused clock.
pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), work)
        .await
        .expect("within a minute")
}

pub(super) fn member(message: &Message) -> String {
    let header = message.header();
    header.member().map(ToString::to_string).unwrap_or_default()
}

/// The name and the text of an error.
pub(super) fn text_of(message: &Message) -> (String, String) {
    assert_eq!(message.message_type(), Type::Error, "{message:?}");
    let header = message.header();
    let name = header.error_name().expect("name").to_string();
    let body = message.body();
    (name, body.deserialize::<&str>().expect("text").to_owned())
}

/// A dictionary, with its values as text.
pub(super) fn facts(message: &Message) -> BTreeMap<String, String> {
    let body = message.body();
    let facts: HashMap<String, OwnedVariant> = body.deserialize().expect("body");
    facts
        .into_iter()
        .map(|(key, value)| (key, value.to_string()))
        .collect()
}
