//! What the service manager is told, sd_notify(3).

use std::{
    future::pending,
    net::TcpListener,
    os::unix::net::UnixDatagram,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{daemon::Hung, fake::Plan};

use crate::{
    bus::Bus,
    client::Client,
    daemon::{FILE, Folder, SOON, answers, controller_told_to, wait_until},
    fakes::Fakes,
};

/// A service manager that listens.
struct Manager(UnixDatagram);

impl Manager {
    fn new(folder: &Folder) -> Self {
        let socket = UnixDatagram::bind(folder.path("notify")).expect("bound");
        // Longer than a reload may take.
        socket.set_read_timeout(Some(2 * SOON)).expect("a limit");
        Self(socket)
    }

    /// The next message that has this line; what the others said is passed over.
    fn hears(&self, line: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            let length = self.0.recv(&mut bytes);
            let length = length.unwrap_or_else(|error| panic!("no '{line}': {error}"));
            let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
            if text.lines().any(|it| it == line) {
                return text.into_owned();
            }
        }
    }
}

#[test]
fn it_is_ready_when_agents_can_connect_and_again_after_each_reload_however_that_ended() {
    let folder = Folder::new("ready");
    let manager = Manager::new(&folder);
    let good = format!("listen.unix = {:?}\n", folder.path("socket"));
    let mut daemon = controller_told_to(&folder, &good, "unix:path=/nonexistent/bus");
    manager.hears("READY=1");
    assert!(
        answers(&folder.path("socket")),
        "the first attempt is taken"
    );

    let busy = TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = busy.local_addr().expect("an address");
    let taken = format!("listen.tcp = [\"{taken}\"]\n");
    for (more, said) in [
        (
            "x = 1\n",
            "STATUS=reload rejected (1 error), configuration of ",
        ),
        (&taken, "STATUS=reload rejected (1 error)"),
        (
            "claims.loss_grace = \"31s\"\n",
            "STATUS=0 of 1 nodes online",
        ),
        (
            "claims.loss_grace = \"31s\"\n",
            "STATUS=0 of 1 nodes online",
        ),
    ] {
        std::fs::write(folder.path("controller.toml"), format!("{more}{good}")).expect("written");
        daemon.signal(Signal::HUP);
        let reloading = manager.hears("RELOADING=1");
        assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
        let ready = manager.hears("READY=1");
        assert!(ready.contains(said), "{ready}");
    }
    daemon.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn it_is_ready_again_after_a_reload_that_took_too_long_and_serves_meanwhile() {
    let (folder, bus) = (Folder::new("late"), Bus::start());
    let manager = Manager::new(&folder);
    let good = format!("listen.unix = {:?}\n", folder.path("socket"));
    let daemon = controller_told_to(&folder, &good, &bus.address);
    manager.hears("READY=1");
    let own = [
        "org.unitlink",
        "/org/eclipse/bluechi",
        "org.unitlink.Fleet1",
    ];
    let last = || bus.busctl(&[&["get-property"], &own[..], &["LastReload"]].concat());
    wait_until("it is on the bus", || last().is_ok());

    let hung = Hung::file(&folder.path(FILE));
    daemon.signal(Signal::HUP);
    manager.hears("RELOADING=1");
    assert!(answers(&folder.path("socket")) && last().is_ok());
    let ready = manager.hears("READY=1");
    let status = "STATUS=reload rejected (not read within 20 s), configuration of ";
    assert!(ready.contains(status), "{ready}");
    let report = last().expect("an answer");
    assert!(report.contains("\"timeout\""), "{report}");

    // The next one is none the worse for it.
    drop(hung);
    daemon.signal(Signal::HUP);
    manager.hears("RELOADING=1");
    let ready = manager.hears("READY=1");
    assert!(ready.contains("STATUS=0 of 1 nodes online"), "{ready}");
}

#[test]
fn a_stop_that_waits_asks_for_more_time_keeps_agents_and_monitors_and_is_not_hurried() {
    let (folder, bus) = (Folder::new("stop"), Bus::start());
    let manager = Manager::new(&folder);
    let socket = folder.path("socket");
    let address = format!("unix:path={}", socket.display());
    let plan = Plan {
        prefix: "stop".to_owned(),
        // There is time for a second message.
        job_time: Duration::from_secs(13),
        ..Plan::new(address.parse().expect("an address"), 1)
    };
    let config = format!(
        "graceful_shutdown_timeout = \"0s\"\nlisten.unix = {socket:?}\n{}",
        plan.configuration()
    );
    let mut daemon = controller_told_to(&folder, &config, &bus.address);
    let agents = Fakes::start(plan, pending());
    let start = |unit: &str| {
        let node = "/org/eclipse/bluechi/node/stop00001";
        let call = ["call", "org.unitlink", node, "org.eclipse.bluechi.Node"];
        bus.busctl(&[&call[..], &["StartUnit", "ss", unit, "replace"]].concat())
    };
    wait_until("the job is queued", || start("u.service").is_ok());
    wait_until("it is begun", || {
        agents.counts.jobs.load(Ordering::Relaxed) == 1
    });

    let mut client = Client::connect(&bus.address);
    client.watch("stop00001", "u.service");

    let began = Instant::now();
    daemon.signal(Signal::TERM);
    let said = manager.hears("STOPPING=1");
    assert!(
        said.contains("STATUS=stopping: waiting for 1 jobs"),
        "{said}"
    );
    manager.hears("EXTEND_TIMEOUT_USEC=30000000");
    let refused = start("other.service").expect_err("a new job");
    assert!(refused.contains("stopping"), "{refused}");
    daemon.signal(Signal::TERM);
    wait_until("another one is noted", || {
        daemon.log().contains("another SIGTERM changes nothing")
    });
    manager.hears("EXTEND_TIMEOUT_USEC=30000000");
    let again = began.elapsed();
    assert!(
        again > Duration::from_secs(9),
        "every ten seconds: {again:?}"
    );
    assert_eq!(agents.online(), 1, "it stays connected");
    assert!(daemon.is_alive());
    // What the job has done is seen by whoever watches.
    client.hears("UnitNew");
    assert_eq!(daemon.end().code(), Some(0));
    assert_eq!(agents.counts.jobs.load(Ordering::Relaxed), 1);
}
