//! `--user`: the public interface on the session bus of whoever runs it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::daemon::{Daemon, Folder, SOON, wait_until};

/// A bus of its own; it ends with its owner.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        let out = daemon.stdout.take().expect("output");
        let read = BufReader::new(out).read_line(&mut address);
        read.expect("an address");
        let address = address.trim().to_owned();
        Self { daemon, address }
    }

    /// What `busctl` says; nothing when it fails.
    fn busctl(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("busctl")
            .args(["--user", "--timeout", &SOON.as_secs().to_string()])
            .args(args)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .expect("busctl is installed");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn with_user_it_has_its_names_and_methods_on_the_session_bus() {
    let (folder, bus) = (Folder::new("session"), Bus::start());
    let socket = folder.path("c.sock");
    let config = format!("[listen]\nunix = \"{}\"\n[node.a]\n", socket.display());
    let _daemon = Daemon::on_bus(&folder, &config, &bus.address);
    let call = |service: &str, interface: &str, member: &[&str]| {
        let object = ["call", service, "/org/eclipse/bluechi", interface];
        bus.busctl(&[&object[..], member].concat())
    };
    for service in ["org.eclipse.bluechi", "org.unitlink"] {
        let list = || call(service, "org.eclipse.bluechi.Controller", &["ListNodes"]);
        wait_until("it is on the bus", || list().is_some());
        let expected = "a(soss) 1 \"a\" \"/org/eclipse/bluechi/node/a\" \"offline\" \"\"";
        assert_eq!(list().as_deref(), Some(expected));
        let node = ["GetNode", "s", "b"];
        assert_eq!(call(service, "org.eclipse.bluechi.Controller", &node), None);
    }
    let tree = bus.busctl(&["tree", "--list", "org.unitlink"]);
    assert!(tree.is_some_and(|tree| tree.contains("/org/eclipse/bluechi/node/a")));
}
