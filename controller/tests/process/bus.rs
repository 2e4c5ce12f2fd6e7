//! A bus of its own, and a client on it.

use std::process::{Child, Command};

use crate::daemon::SOON;

/// A bus; it ends with its owner.
pub(crate) struct Bus {
    daemon: Child,
    pub(crate) address: String,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let (daemon, address) = tests::bus::start().expect("a bus");
        Self { daemon, address }
    }

    /// What `busctl` says, or why it fails.
    pub(crate) fn busctl(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("busctl")
            .args(["--user", "--timeout", &SOON.as_secs().to_string()])
            .args(args)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .expect("busctl is installed");
        let text = |said: &[u8]| String::from_utf8_lossy(said).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
