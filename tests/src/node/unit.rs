//! Units of a node, their processes and their journal.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use super::{Node, PATIENCE, UnitState};
use crate::boot;
use crate::command::capture;
use crate::process::{host_pid, signal};

impl Node {
    /// The state of a unit now; `not-found inactive (dead)` when there is no such unit.
    ///
    /// # Errors
    ///
    /// When systemd does not answer.
    pub fn state(&self, unit: &str) -> Result<UnitState> {
        self.manager()?
            .state(unit, PATIENCE)
            .with_context(|| self.name.clone())
    }

    /// A property of a unit as `systemctl show` prints it.
    ///
    /// # Errors
    ///
    /// As [`Node::ok`].
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.systemctl(&["show", "--value", "--property", name, "--", unit])
    }

    /// Waits until a unit is active.
    ///
    /// # Errors
    ///
    /// When it is not within the time given; the error holds its state and the end of its journal.
    pub fn wait_active(&self, unit: &str, timeout: Duration) -> Result<UnitState> {
        self.wait_state(unit, |active, _| active == "active", timeout)
    }

    /// Waits until `accept` holds for the active state and the sub-state of a unit. States are seen
    /// through systemd's own signals; one that lasts less than a round trip can be missed.
    ///
    /// # Errors
    ///
    /// As [`Node::wait_active`].
    pub fn wait_state(
        &self,
        unit: &str,
        accept: impl Fn(&str, &str) -> bool,
        timeout: Duration,
    ) -> Result<UnitState> {
        self.manager()?
            .wait_state(unit, |state| accept(&state.active, &state.sub), timeout)
            .with_context(|| {
                format!(
                    "{}: {unit}\n{}",
                    self.name,
                    self.journal(unit).unwrap_or_default()
                )
            })
    }

    /// Waits until `condition` holds, which is looked at after every event of this node's systemd
    /// and at worst every 50 ms (what is outside systemd has no event to wait for).
    ///
    /// # Errors
    ///
    /// When it does not hold within the time given.
    pub fn wait_until(&self, condition: impl FnMut() -> bool, timeout: Duration) -> Result<()> {
        self.manager()?
            .wait_until(condition, timeout)
            .with_context(|| self.name.clone())
    }

    /// The main process of a service, as the node counts.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn main_pid(&self, unit: &str) -> Result<i32> {
        let pid = self.property(unit, "MainPID")?.parse()?;
        if pid <= 0 {
            bail!("{unit} on {} has no main process", self.name);
        }
        Ok(pid)
    }

    /// The main process of a service, as the host counts: for `/proc`, and for measuring.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn host_pid(&self, unit: &str) -> Result<i32> {
        Ok(self.host_process(unit)?.as_raw_nonzero().get())
    }

    /// A number that the kernel has of the main process of a service, such as `VmRSS` in kB: `/proc/PID/status`, proc(5).
    ///
    /// # Errors
    ///
    /// When the service has no main process, and when there is no such number.
    pub fn main_status(&self, unit: &str, field: &str) -> Result<u64> {
        let pid = self.host_pid(unit)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mut values = status
            .lines()
            .filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = values
            .next()
            .and_then(|value| value.split_whitespace().next());
        let number = number.with_context(|| format!("no {field} of {unit}"))?;
        Ok(number.parse()?)
    }

    /// Stops the main process of a service as if the machine had forgotten it (SIGSTOP).
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn freeze(&self, unit: &str) -> Result<()> {
        signal(self.host_process(unit)?, Signal::STOP)
    }

    /// Lets the main process of a service go on after [`Node::freeze`].
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn thaw(&self, unit: &str) -> Result<()> {
        signal(self.host_process(unit)?, Signal::CONT)
    }

    /// Sends a signal, `SIGKILL` for instance, to the main process of a service.
    ///
    /// # Errors
    ///
    /// As [`Node::ok`].
    pub fn kill_service(&self, unit: &str, signal: &str) -> Result<()> {
        self.systemctl(&["kill", "--kill-whom=main", "--signal", signal, "--", unit])
            .map(drop)
    }

    /// All that the journal has about a unit, also of a node that is dead.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub fn journal(&self, unit: &str) -> Result<String> {
        self.journalctl(&["--unit", unit])
    }

    /// Runs `journalctl` on the node's journal with more arguments, also when the node is dead.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub fn journalctl(&self, args: &[&str]) -> Result<String> {
        if self.is_running() {
            // What was logged until now is on its way to the file. A node that is shutting down or
            // stuck cannot do it, and then the file is what there is.
            let _ = self.run_within(&["journalctl", "--sync"], Duration::from_secs(5));
        }
        let directory = self
            .island
            .path(&format!("{}/var/log/journal", boot::root_path(&self.name)));
        let mut command = Command::new("journalctl");
        command
            .arg("--directory")
            .arg(directory)
            .args([
                "--quiet",
                "--no-pager",
                "--output=short-precise",
                "--no-hostname",
            ])
            .args(args);
        capture(&mut command, PATIENCE)?
            .ok()
            .with_context(|| format!("{}: journalctl", self.name))
    }

    /// What the node wrote to its console, which is mostly what nspawn says when it cannot boot.
    #[must_use]
    pub fn console(&self) -> String {
        boot::console_output(&self.island, &self.name)
    }

    fn host_process(&self, unit: &str) -> Result<Pid> {
        host_pid(self.leader()?, self.main_pid(unit)?)
    }
}
