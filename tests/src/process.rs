//! Processes of a node, seen from the host, and the way to start one.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::Cgroup;
use crate::island::within;

/// A way into a running node.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    /// The node's first process, as the host knows it.
    pub(crate) leader: Pid,
    /// The cgroup in which commands run: a leaf, as cgroup v2 demands of one with processes.
    pub(crate) cgroup: Cgroup,
}

impl Inside {
    /// A command that will run as root in all namespaces of the node, in a plain environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = within(&self.cgroup, "nsenter");
        command
            .args([
                &format!("--target={}", self.leader),
                "--all",
                "--wd=/",
                "--",
            ])
            // nsenter waits for the command; without this it would leave it behind when killed.
            .args(["setpriv", "--pdeathsig=KILL", "--"])
            .args(args)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("SYSTEMD_PAGER", "");
        command
    }
}

/// Whether a process is alive; a zombie has no namespaces any more.
pub(crate) fn is_alive(pid: Pid) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok()
}

/// The pid on the host of the process that has `inner` as its pid in the namespace of `leader`, the
/// first process of that namespace.
///
/// # Errors
///
/// When there is none.
pub(crate) fn host_pid(leader: Pid, inner: i32) -> Result<Pid> {
    let namespace =
        fs::read_link(format!("/proc/{leader}/ns/pid")).context("the node is not running")?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process that has just ended is not the one.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        if innermost_pid(&status) == Some(inner)
            && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == namespace)
        {
            return Pid::from_raw(pid).context("pid 0");
        }
    }
    bail!("no process has pid {inner} there")
}

/// Sends a signal to one process of a node.
///
/// # Errors
///
/// When there is no such process, and when the pid is that of the host's first process, which no
/// test has any business with.
pub(crate) fn signal(pid: Pid, signal: Signal) -> Result<()> {
    // A `Pid` is never zero, and is negative for a process group.
    if pid.as_raw_nonzero().get() <= 1 {
        bail!("refused to send {signal:?} to pid {pid}");
    }
    kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to pid {pid}"))
}

/// The last number of `NSpid:` in `/proc/PID/status`: the pid in the process's own namespace.
fn innermost_pid(status: &str) -> Option<i32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_pid_is_the_last_one() {
        assert_eq!(
            innermost_pid("Name:\tx\nNSpid:\t8085\t1\nNSsid:\t4\n"),
            Some(1)
        );
        assert_eq!(innermost_pid("NSpid:\t8085\n"), Some(8085));
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }

    #[test]
    fn the_first_process_is_never_signalled() {
        let error = signal(Pid::INIT, Signal::CONT).unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[test]
    fn a_process_is_found_by_its_pid_inside() {
        let me = rustix::process::getpid();
        assert_eq!(host_pid(me, me.as_raw_nonzero().get()).unwrap(), me);
    }
}
