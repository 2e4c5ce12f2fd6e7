//! An agent, a controller and a systemd in one process.

use std::{fs, path::PathBuf, time::Duration};

use host::{
    address::ListenAddress,
    alarm::Alarm,
    bus::BusEvent,
    clock::{Clock, random_guid, random_u64},
    config::{Sources, load_in_time},
    link::{self, CallSerial, Limits, Link, LinkSender, Method},
    reload::{Reload, Rules},
    scope::Scope,
    signal,
    stream::{Listener, TcpOptions, TcpTuning, UnixOptions},
    watchdog::Watchdog,
};
use node::Node;
use proto::{
    dbus::{internal, systemd},
    message::Welcome,
    wire::welcome_to_wire,
};
use serde::Serialize;
use tests::before::{Conversation, Side};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use zbus::{Message, message::Type, wire::DynamicType};

use crate::{
    drive::{Agent, Dial, End, Parts, Sources as Events},
    link::Surroundings,
    local::HelperEvent,
    notes::JobNotes,
    public::Public,
    reasons::Reasons,
    records::RecordFile,
    settings::{self, OPTIONS},
    systemd::{
        Way,
        tests::{ListedJob, Played, listed, path, run, scene},
    },
};

/// A proxy that is being started when the agent begins.
pub(super) const PROXY: &str = "proxy@b_u.service";

/// Its run, and so the token of its claim.
pub(super) const TOKEN: &str = "07070707070707070707070707070707";

/// Far more than anything takes.
const SOON: Duration = Duration::from_secs(600);

/// An agent that runs, and what is around it. It ends with its owner.
pub(super) struct World {
    folder: PathBuf,
    listener: Listener,
    agent: JoinHandle<End>,
    systemd: JoinHandle<()>,
    /// Lets systemd end the jobs that it was given.
    pub(super) jobs_end: tokio::sync::watch::Sender<bool>,
    /// Those who could send what nobody sends here: without them the loop would end.
    _silent: Option<(mpsc::Sender<HelperEvent>, mpsc::Sender<BusEvent>)>,
}

/// A controller that is played, with all that was said.
pub(super) struct Controller {
    link: Link,
    /// What both sides are held to, if they are.
    conversation: Option<Conversation>,
}

impl World {
    /// An agent with this configuration besides its name and its controller.
    pub(super) fn new(
        more: &str,
        interval: Duration,
        alive: impl FnMut() + Send + 'static,
    ) -> Self {
        let number = random_u64().expect("random");
        let folder = std::env::temp_dir().join(format!("unitlink-agent-{number:x}"));
        fs::create_dir_all(&folder).expect("a folder");
        let address = ListenAddress::unix(folder.join("controller")).expect("a path");
        let unix = UnixOptions::default();
        let listener = Listener::bind(&address, unix, 16, TcpOptions::default()).expect("bound");
        let scene = scene(Way::Private);
        let (jobs_end, may_end) = tokio::sync::watch::channel(true);
        let mut world = Self {
            listener,
            agent: tokio::spawn(async { End::Broken }),
            systemd: tokio::spawn(play(scene.systemd, may_end)),
            jobs_end,
            folder,
            _silent: None,
        };
        world.configure(more);

        let sources = Sources::file(world.folder.join("agent.toml"), &Scope::System);
        let loaded = load_in_time(&sources, settings::prove_here).expect("valid");
        let clock = Clock::start();
        let now = clock.now();
        let records = world.folder.join("records");
        let name: proto::name::NodeName = "a".parse().expect("a name");
        let node_settings = node::Settings {
            node: name.clone(),
            version: "1".into(),
            boot_id: "boot".into(),
            incarnation: 1,
            live: loaded.settings.live(),
        };
        let node = Node::new(node_settings, node::Records::default(), now, number);
        let (tcp, tuning) = TcpTuning::live(loaded.settings.tcp);
        let (link_events, link) = mpsc::channel(64);
        let (helper_events, helpers) = mpsc::channel(64);
        let (bus_events, bus) = mpsc::channel(64);
        let mut alive = alive;
        let watchdog = Watchdog::new(now, interval, move || {
            alive();
            Ok(())
        });
        let mut agent = Agent::new(Parts {
            node: node.with_jobs(Vec::new(), now, now),
            clock,
            name: name.to_string(),
            records: RecordFile::in_folder(&records).expect("records"),
            jobs: JobNotes::in_folder(&records).expect("notes"),
            reasons: Reasons::in_folder(&world.folder).expect("reasons"),
            around: Surroundings::new(scene.manager, None, false),
            dial: Dial {
                addresses: loaded.settings.controllers.clone(),
                tcp: tuning,
                events: link_events,
            },
            tcp,
            settings: loaded.settings,
            reload: Reload::new(
                Rules {
                    sources,
                    options: &OPTIONS,
                    prove: settings::prove_here,
                },
                loaded.entries,
            ),
            public: Public::new(now, helper_events.clone()),
            watchdog,
        });
        let signals = signal::block().expect("signals").listen().expect("signals");
        let events = Events {
            manager: scene.events,
            link,
            helpers,
            bus,
            signals,
            alarm: Alarm::of_runtime(),
        };
        world._silent = Some((helper_events, bus_events));
        world.agent = tokio::spawn(async move { agent.run(events).await });
        world
    }

    /// Replaces the configuration besides name and controller.
    pub(super) fn configure(&self, more: &str) {
        let socket = self.folder.join("controller");
        let controller = format!("unix:path={}", socket.display());
        let text = format!("node_name = \"a\"\ncontroller = [{controller:?}]\n{more}\n");
        fs::write(self.folder.join("agent.toml"), text).expect("written");
    }

    /// The agent connects, and is welcome.
    pub(super) async fn controller(&self, protocol: u32, held: bool) -> Controller {
        let (stream, identity) = within(self.listener.accept()).await.expect("accepted");
        let guid = random_guid().expect("random");
        let link = Link::serve(stream, identity, guid, |_| true, Limits::TRUSTED);
        let mut controller = Controller {
            link: link.await.expect("handshake"),
            conversation: held.then(Conversation::default),
        };
        let hello = controller.called("Hello").await;
        let welcome = Welcome {
            protocol,
            version: "1".into(),
            start_timeout: Duration::from_secs(90),
        };
        controller.answer(&hello, &welcome_to_wire(&welcome));
        controller
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.agent.abort();
        self.systemd.abort();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Controller {
    /// The next thing that the agent says.
    pub(super) async fn next(&mut self) -> Message {
        let message = within(self.link.receiver.recv()).await;
        let message = message.expect("open").expect("valid");
        self.check(Side::Agent, &message);
        message
    }

    /// The next call of this member. Heartbeats are passed over, and so is what is said of jobs on the way.
    pub(super) async fn called(&mut self, wanted: &str) -> Message {
        loop {
            let message = self.next().await;
            if message.message_type() == Type::MethodCall {
                assert_eq!(member(&message), wanted);
                return message;
            }
            assert_eq!(message.message_type(), Type::Signal, "{message:?}");
        }
    }

    /// The answer to a call; signals are passed over.
    pub(super) async fn answered(&mut self, serial: CallSerial) -> Message {
        loop {
            let message = self.next().await;
            if message.message_type() != Type::Signal {
                assert_eq!(link::answers(&message), Some(serial), "{message:?}");
                return message;
            }
        }
    }

    /// Calls the agent.
    pub(super) fn call<B>(&mut self, interface: &str, member: &str, body: &B) -> CallSerial
    where
        B: Serialize + DynamicType,
    {
        let serial = self.link.sender.next_serial();
        let method = Method {
            destination: None,
            path: internal::AGENT_PATH,
            interface,
            member,
        };
        self.send(link::call(serial, method, body));
        serial
    }

    /// Answers the agent.
    pub(super) fn answer<B: Serialize + DynamicType>(&mut self, call: &Message, body: &B) {
        self.send(link::reply(call, body));
    }

    /// Says that it is alive.
    pub(super) fn beat(&mut self) {
        let (path, interface) = (internal::CONTROLLER_PATH, internal::CONTROLLER);
        self.send(link::signal(path, interface, "Heartbeat", &()));
    }

    fn send(&mut self, message: zbus::Result<Message>) {
        let message = message.expect("built");
        self.check(Side::Controller, &message);
        self.link.sender.try_send(message).expect("open");
    }

    fn check(&mut self, side: Side, message: &Message) {
        if let Some(conversation) = &mut self.conversation {
            assert_eq!(conversation.say(side, message), Ok(()));
        }
    }
}

/// A systemd that has the proxy and no other unit, and does every job, if it may.
async fn play(mut systemd: Played, mut may_end: tokio::sync::watch::Receiver<bool>) {
    let mut jobs = 0_u32;
    while let Some(Ok(call)) = systemd.link.receiver.recv().await {
        let sender: &LinkSender = &systemd.link.sender;
        match member(&call).as_str() {
            "Subscribe" => systemd.reply(&call, &()),
            "ListUnitsByPatterns" => systemd.reply(&call, &vec![listed(PROXY, "activating")]),
            "ListJobs" => systemd.reply(&call, &Vec::<ListedJob>::new()),
            "Get" => systemd.reply(&call, &run()),
            "StartUnit" | "StopUnit" | "RestartUnit" | "ReloadUnit" => {
                let body = call.body();
                let (unit, _): (&str, &str) = body.deserialize().expect("a unit");
                jobs += 1;
                let job = path(&format!("/org/freedesktop/systemd1/job/{jobs}"));
                systemd.reply(&call, &job);
                // Whoever decides is gone when the test is over.
                let _ = may_end.wait_for(|may| *may).await;
                systemd.removed(jobs, unit, "done");
            }
            _ => {
                let unknown = link::error(&call, systemd::NO_SUCH_UNIT, "not loaded");
                sender.try_send(unknown.expect("built")).expect("open");
            }
        }
    }
}

pub(super) fn member(message: &Message) -> String {
    let header = message.header();
    header
        .member()
        .map_or_else(String::new, |it| it.to_string())
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("in time")
}
