//! Reloads under load: not one request may be lost. `make bench-reload` does the same for longer.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant},
};

use test_case::test_case;
use tests::load::{Load, Target};

use super::world::{Case, LAUNCHER, Launcher, PLAIN};

/// A socket that is passed, as by a socket unit.
pub(crate) struct Passed {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Passed {
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        // As many may wait as with `Backlog=4096`.
        rustix::net::listen(&listener, 4096).expect("listens");
        let address = listener.local_addr().expect("address");
        Self { listener, address }
    }

    /// A launcher to which it is passed: a shell lays it at 3 and is replaced, which keeps the pid.
    pub(crate) fn launch(&self, case: &Case, arguments: &[&str]) -> Launcher {
        let fd = self.listener.as_raw_fd();
        rustix::io::fcntl_setfd(&self.listener, rustix::io::FdFlags::empty()).expect("set");
        let script = format!(
            "exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; exec \"$@\""
        );
        let launcher = case.launch_by(&["sh", "-c", &script, "sh", LAUNCHER], arguments);
        rustix::io::fcntl_setfd(&self.listener, rustix::io::FdFlags::CLOEXEC).expect("set");
        launcher
    }
}

/// How often a case reloads in a long run.
fn reloads() -> Option<usize> {
    std::env::var("UNITLINK_RELOADS").ok()?.parse().ok()
}

/// Workers when there are most of them: five of one generation and three of the one before.
const MOST: usize = 8;

/// New connections and kept ones, closed and open loop, while the number of workers changes.
#[test_case("0s", |it| it; "new connections")]
#[test_case("0s", |it: Load| it.open(1000); "so many each second")]
#[test_case("0s", |it: Load| it.kept(Duration::from_millis(5)); "kept connections")]
#[test_case("0s", |it: Load| it.kept(Duration::from_millis(400)); "kept connections that rest")]
#[test_case("300ms", |it| it; "with probation")]
#[test_case("300ms", |it: Load| it.open(1000); "so many each second, with probation")]
fn no_request_is_lost(confirm: &str, of: impl Fn(Load) -> Load) {
    let case = Case::new();
    let socket = Passed::listen();
    let settings = |workers: usize| {
        case.settings(&format!(
            "ready = \"notify\"\nconfirm = \"{confirm}\"\nworkers = {workers}"
        ));
    };
    settings(2);
    let file = case.path("settings.toml");
    let worker = super::world::worker();
    let arguments = [
        "--settings",
        super::world::text_of(&file),
        "--",
        super::world::text_of(&worker),
    ];
    let launcher = socket.launch(&case, &arguments).ready();
    let clients = || of(Load::new(Target::Tcp(socket.address), 16)).start();
    let load = clients();
    let (begun, mut ready_in) = (Instant::now(), Vec::new());
    for round in 0..reloads().unwrap_or(8) {
        settings([2, 5, 1, 3][round % 4]);
        let (code, text) = launcher.reload();
        assert_eq!(code, 0, "{text}");
        let millis = text
            .split(' ')
            .rev()
            .nth(1)
            .and_then(|it| it.parse::<f64>().ok());
        ready_in.push(millis.expect("a time"));
        thread::sleep(Duration::from_millis(100));
    }
    let report = load.stop();
    let lasted = begun.elapsed();
    ready_in.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| ready_in[(ready_in.len() * share / 100).min(ready_in.len() - 1)];
    eprintln!(
        "{report}\n{} reloads, all new workers ready in {:.1} ms, p99 {:.1} ms",
        ready_in.len(),
        at(50),
        at(99)
    );
    assert_eq!(report.losses(), 0, "{report}\n{}", launcher.log());
    assert!(report.answered > 30, "{report}");
    if reloads().is_some() {
        // What the same clients see of as many workers when nothing happens, on this machine and now.
        settings(MOST);
        assert_eq!(launcher.reload().0, 0);
        let load = clients();
        thread::sleep(lasted);
        eprintln!("without a reload: {}", load.stop());
    }
}

#[test]
fn no_request_is_lost_by_any_mode() {
    for mode in ["rolling", "replace"] {
        let case = Case::new();
        let launcher = case
            .start_with(&format!("{PLAIN}workers = 3\nmode = \"{mode}\""))
            .ready();
        let load = Load::new(Target::Tcp(case.address), 8).start();
        for _ in 0..4 {
            assert_eq!(launcher.reload().0, 0);
        }
        let report = load.stop();
        assert_eq!(report.losses(), 0, "{mode}: {report}");
    }
}
