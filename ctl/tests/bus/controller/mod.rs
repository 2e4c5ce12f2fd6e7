//! A controller that does what the names of the units say, and the bus it is on.

mod journal;
mod request;
mod stream;
mod verbs;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::JoinHandle,
};

use futures_util::StreamExt as _;
use zbus::{
    Connection, Message, MessageStream,
    connection::Builder,
    message::Type,
    wire::{ObjectPath, OwnedObjectPath, Variant},
};

pub(crate) use request::{Knows, Node};

const PATH: &str = "/org/eclipse/bluechi";
const FLEET: &str = "org.unitlink.Fleet1";
const CONTROLLER: &str = "org.eclipse.bluechi.Controller";
const NAME: &str = "org.eclipse.bluechi";

type Dictionary = HashMap<&'static str, Variant<'static>>;

/// A bus of our own.
pub(crate) struct Bus {
    daemon: Option<Child>,
    address: String,
}

impl Bus {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        BufReader::new(daemon.stdout.as_mut().expect("piped"))
            .read_line(&mut address)
            .expect("an address");
        Self {
            daemon: Some(daemon),
            // Without its identity, which it would not have any more after a restart.
            address: address
                .split(",guid=")
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) {
        let path = self.address.strip_prefix("unix:path=").expect("a path");
        let _ = std::fs::remove_file(path);
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .arg(format!("--address=unix:path={path}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut line = String::new();
        BufReader::new(daemon.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("an address");
        self.daemon = Some(daemon);
    }

    /// One that is not there.
    pub(crate) fn absent() -> Self {
        Self {
            daemon: None,
            address: "unix:path=/nonexistent/bus".into(),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What no other bus of this machine is called at the time, for names of files.
    pub(crate) fn name(&self) -> String {
        let daemon = self.daemon.as_ref().expect("it runs");
        daemon.id().to_string()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Bus {
    /// Ends it.
    pub(crate) fn stop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        self.daemon = None;
    }
}

/// The controller, on a thread of its own until it is dropped.
pub(crate) struct Controller {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    jobs: Receiver<()>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Controller {
    /// Begins to serve; it is on the bus when this returns.
    pub(crate) fn serve(bus: &Bus) -> Self {
        Self::serve_as(bus, NAME)
    }

    /// Begins to serve under another name, as the agent of this machine.
    pub(crate) fn serve_as(bus: &Bus, name: &'static str) -> Self {
        Self::begin(bus, name, Node::default())
    }

    /// Begins to serve with an agent that outlives it.
    pub(crate) fn serve_with(bus: &Bus, node: &Node) -> Self {
        node.serve();
        Self::begin(bus, NAME, node.clone())
    }

    fn begin(bus: &Bus, name: &'static str, agent: Node) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = channel();
        let (started, jobs) = channel();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&calls);
        let address = bus.address().to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                let connection = Builder::address(address.as_str())
                    .build()
                    .await
                    .expect("connected");
                let mut stream = MessageStream::from(&connection);
                connection.request_name(name).await.expect("name");
                ready.send(()).expect("waited for");
                tokio::select! {
                    _ = stopped => {}
                    () = async {
                        while let Some(Ok(call)) = stream.next().await {
                            if call.message_type() == Type::MethodCall {
                                heard.lock().expect("no panic").push(verbs::described(&call));
                                answer(&connection, &call, &agent).await;
                                if request::is_one(&call) && agent.takes(&call) {
                                    let _ = started.send(());
                                }
                            }
                        }
                    } => {}
                }
            });
        });
        is_ready.recv().expect("ready");
        Self {
            stop: Some(stop),
            thread: Some(thread),
            jobs,
            calls,
        }
    }

    /// What was asked for so far and not yet told here: `NODE METHOD ARGUMENTS`.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }

    /// Returns when this method was called.
    pub(crate) fn has_been_asked(&self, method: &str) {
        let is_it = |call: &str| call.split(' ').any(|word| word == method);
        assert!(self.awaits(is_it), "{method} was not called");
    }

    /// Returns when something was asked with this argument.
    pub(crate) fn has_been_told(&self, argument: &str) {
        let is_it = |call: &str| call.contains(argument);
        assert!(self.awaits(is_it), "{argument} was not told");
    }

    fn awaits(&self, is_it: impl Fn(&str) -> bool) -> bool {
        let began = std::time::Instant::now();
        while began.elapsed().as_secs() < 20 {
            if self
                .calls
                .lock()
                .expect("no panic")
                .iter()
                .any(|call| is_it(call))
            {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Returns when a request for a job was answered, or left unanswered on purpose, which was not yet told here.
    pub(crate) fn has_started_a_job(&self) {
        self.jobs.recv().expect("a job");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What became of a reload.
fn report(result: &'static str) -> Dictionary {
    Dictionary::from([
        ("Result", Variant::from(result)),
        ("Generation", Variant::from(2_u64)),
        ("DurationUSec", Variant::from(1_500_u64)),
    ])
}

/// Whether `flips.service` is active now: it never is twice.
static FLIPPED: AtomicBool = AtomicBool::new(true);

async fn answer(connection: &Connection, call: &Message, agent: &Node) {
    let header = call.header();
    let path = header.path().map_or("", |path| path.as_str()).to_owned();
    let member = header
        .member()
        .map_or("", |member| member.as_str())
        .to_owned();
    let interface = header
        .interface()
        .map_or("", |name| name.as_str())
        .to_owned();
    let node = path
        .strip_prefix("/org/eclipse/bluechi/node/")
        .unwrap_or("");
    match (node, interface.as_str(), member.as_str()) {
        ("", FLEET, "ListNodes") => reply(connection, call, &nodes()).await,
        ("", FLEET, "ListClaims") => reply(connection, call, &claims()).await,
        ("", FLEET, "Reload") => reply(connection, call, &report("applied")).await,
        ("worker1", _, "ReloadAgent") => reply(connection, call, &report("timeout")).await,
        ("", FLEET, "ListUnits") => {
            let units = HashMap::from([("worker1", worker1()), ("main", main())]);
            let offline = ("org.eclipse.bluechi.Offline", "node worker2 is offline");
            let missing = HashMap::from([("worker2", offline)]);
            reply(connection, call, &(units, missing)).await;
        }
        ("", "org.freedesktop.DBus.Properties", "GetAll") if path == PATH => {
            let warnings = vec!["tcp [::]:842 is neither encrypted nor authenticated"];
            let own = Dictionary::from([
                ("Version", Variant::from("0.1.0")),
                ("Warnings", Variant::from(warnings)),
            ]);
            reply(connection, call, &own).await;
        }
        ("worker2", _, _) => {
            let name = "org.eclipse.bluechi.Offline";
            refuse(connection, call, name, "node worker2 is offline").await;
        }
        ("worker1" | "main", _, "FindJobs") => request::find(connection, call, agent).await,
        ("worker1" | "main", _, _) if request::is_one(call) => {
            request::answer(connection, call, node, agent).await;
        }
        ("worker1", _, "ListUnits") => reply(connection, call, &worker1()).await,
        ("worker1", "org.unitlink.Node1", "UnitStatus") => {
            let names: Vec<String> = call.body().deserialize().expect("units");
            let status = |name: String| {
                let mut properties = properties(&name);
                if name == "flips.service" {
                    let is_down = FLIPPED.fetch_xor(true, Ordering::Relaxed);
                    let active = if is_down { "inactive" } else { "active" };
                    properties.insert("ActiveState", Variant::from(active));
                }
                if name == "target.service" {
                    properties.insert("StateAgeUSec", Variant::from(303_000_000u64));
                }
                (name, properties)
            };
            let all: Vec<_> = names.into_iter().map(status).collect();
            reply(connection, call, &all).await;
        }
        ("main", "org.unitlink.Node1", _) => {
            let name = "org.freedesktop.DBus.Error.NotSupported";
            refuse(connection, call, name, "an agent of BlueChi").await;
        }
        ("main", _, "GetUnitProperties") => {
            let (name, _): (String, String) = call.body().deserialize().expect("a unit");
            reply(connection, call, &properties(&name)).await;
        }
        (_, _, _) => {
            if !verbs::answer(connection, call, (&path, node, &member)).await {
                let name = "org.freedesktop.DBus.Error.UnknownObject";
                refuse(connection, call, name, &format!("no object {path}")).await;
            }
        }
    }
}

async fn finished(
    connection: &Connection,
    id: u32,
    node: &str,
    unit: &str,
    result: &str,
    cause: &str,
    text: &str,
) {
    let body = (id, node, unit, result, cause, text);
    let to = None::<&str>;
    let sent = connection.emit_signal(to, PATH, FLEET, "JobFinished", &body);
    sent.await.expect("sent");
}

async fn removed(connection: &Connection, id: u32, node: &str, unit: &str, result: &str) {
    let path = ObjectPath::try_from(format!("{PATH}/job/{id}")).expect("a path");
    let body = (id, path, node, unit, result);
    let to = None::<&str>;
    let sent = connection.emit_signal(to, PATH, CONTROLLER, "JobRemoved", &body);
    sent.await.expect("sent");
}

async fn reply<B>(connection: &Connection, call: &Message, body: &B)
where
    B: serde::Serialize + zbus::DynamicType,
{
    connection.reply(&call.header(), body).await.expect("sent");
}

async fn refuse(connection: &Connection, call: &Message, name: &str, text: &str) {
    let header = call.header();
    let sent = connection.reply_error(&header, name, &text);
    sent.await.expect("sent");
}

fn nodes() -> Vec<Dictionary> {
    let node = |name: &'static str, peer: &'static str, online: bool, labels: &[&'static str]| {
        Dictionary::from([
            ("Name", Variant::from(name)),
            (
                "Status",
                Variant::from(if online { "online" } else { "offline" }),
            ),
            ("Peer", Variant::from(peer)),
            ("Transport", Variant::from("tcp")),
            ("Encrypted", Variant::from(false)),
            ("AgentVersion", Variant::from("0.1.0")),
            ("Protocol", Variant::from(1u32)),
            ("Labels", Variant::from(labels.to_vec())),
            ("LastSeenUSecAgo", Variant::from(185_000_000u64)),
            ("OnlineForUSec", Variant::from(7_200_000_000u64)),
        ])
    };
    vec![
        node("worker2", "10.0.0.3", false, &["front", "rear"]),
        node("main", "10.0.0.1", true, &[]),
        node("worker1", "10.0.0.2", true, &["front"]),
    ]
}

fn claims() -> Vec<Dictionary> {
    vec![Dictionary::from([
        ("Source", Variant::from("worker1")),
        ("Node", Variant::from("worker2")),
        ("Unit", Variant::from("target.service")),
        ("State", Variant::from("waiting")),
        ("Cause", Variant::from("node-offline")),
        ("Reason", Variant::from("node worker2 is offline")),
        ("Token", Variant::from("00112233445566778899aabbccddeeff")),
    ])]
}

fn properties(unit: &str) -> Dictionary {
    if unit != "target.service" {
        return Dictionary::from([
            ("LoadState", Variant::from("not-found")),
            ("ActiveState", Variant::from("inactive")),
            ("SubState", Variant::from("dead")),
        ]);
    }
    Dictionary::from([
        ("Description", Variant::from("Target service")),
        ("LoadState", Variant::from("loaded")),
        ("ActiveState", Variant::from("active")),
        ("SubState", Variant::from("running")),
        ("FreezerState", Variant::from("running")),
        ("UnitFileState", Variant::from("static")),
        ("StateChangeTimestamp", Variant::from(1_000_000u64)),
    ])
}

/// `(ssssssouso)`.
type Row = (
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

fn main() -> Vec<Row> {
    vec![row("source.service", "active", "running")]
}

fn worker1() -> Vec<Row> {
    vec![
        row("target.service", "active", "running"),
        row("old.service", "inactive", "dead"),
    ]
}

fn row(unit: &str, active: &str, sub: &str) -> Row {
    let none = || OwnedObjectPath::try_from("/").expect("a path");
    (
        unit.into(),
        "A unit".into(),
        "loaded".into(),
        active.into(),
        sub.into(),
        String::new(),
        none(),
        0,
        String::new(),
        none(),
    )
}
