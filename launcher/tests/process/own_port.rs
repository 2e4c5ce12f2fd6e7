//! Workers that bind their port themselves, with SO_REUSEPORT. The kernel must move what waits in the
//! socket of an old one to a new one, which is a setting of a network: the case has one of its own.

use std::{fs, process::Command, thread, time::Duration};

use nix::sched::{CloneFlags, unshare};
use tests::load::{Load, Target};

use super::world::Case;

/// One connection after the other, so that some always wait in the socket that is closed.
const SERVER: &str = "import os,signal,socket,sys\n\
    s=socket.socket()\n\
    s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n\
    s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEPORT,1)\n\
    s.bind(('127.0.0.1',int(sys.argv[1])))\n\
    s.listen(4096)\n\
    s.settimeout(0.02)\n\
    going=False\n\
    def go(*_):\n \
     global going\n \
     going=True\n\
    signal.signal(signal.SIGTERM,go)\n\
    n=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n\
    n.connect('\\0'+os.environ['NOTIFY_SOCKET'][1:])\n\
    n.send(b'READY=1')\n\
    while not going:\n \
     try: c=s.accept()[0]\n \
     except TimeoutError: continue\n \
     c.settimeout(5)\n \
     c.recv(4096)\n \
     c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n')\n \
     c.close()\n";

#[test]
fn what_waits_in_the_socket_of_an_old_worker_is_served_by_a_new_one() {
    // Of this thread alone, and of all that it starts.
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        return eprintln!("skipped: no network of its own: {error}");
    }
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .output();
    assert!(up.expect("ran").status.success());
    fs::write("/proc/sys/net/ipv4/tcp_migrate_req", "1").expect("set");
    let case = Case::new();
    let port = case.address.port().to_string();
    let options = [
        "--reuse-port",
        "--workers",
        "2",
        "--ready",
        "notify",
        "--confirm",
        "0s",
    ];
    let command = ["--", "python3", "-c", SERVER, &port];
    let launcher = case
        .launch(&[&options[..], &command[..]].concat(), &[])
        .ready();
    let load = Load::new(Target::Tcp(case.address), 8).start();
    for _ in 0..5 {
        assert_eq!(launcher.reload().0, 0, "{}", launcher.log());
        thread::sleep(Duration::from_millis(200));
    }
    let report = load.stop();
    assert!(
        report.losses() == 0 && report.answered > 100,
        "{report}\n{}",
        launcher.log()
    );
}

/// It says that requests would be lost; who accepts that says so.
#[test]
fn a_start_that_would_lose_requests_can_be_forced() {
    let case = Case::new();
    let port = case.address.port().to_string();
    let options = ["--reuse-port", "--force", "--ready", "notify", "--"];
    let command = ["python3", "-c", SERVER, &port];
    let launcher = case.launch(&[&options[..], &command[..]].concat(), &[]);
    let _serves = launcher.ready();
}
