//! The processes that were started, by their names in the state machine and by their pids.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    os::fd::OwnedFd,
    thread,
    time::Duration,
};

use generations::{Exit, ProcessId, Spawn};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{
    environment::PROCESS,
    limits::{EXECUTES_MS, STRAYS_MAX},
    spawn::{Stage, why},
};

/// A worker that runs, or has ended and was not waited for.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) spawn: Spawn,
    pub(crate) pid: Pid,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Started here; what it could not do is in this pipe.
    Own(Option<OwnedFd>),
    /// Left by a launcher before this one: not our child, so its end is seen by this descriptor.
    Adopted(OwnedFd),
}

#[derive(Debug, Default)]
pub(crate) struct Children {
    all: BTreeMap<ProcessId, Running>,
    /// Processes that ended before they were ready, and may have forked away.
    false_starts: VecDeque<ProcessId>,
}

/// Somebody who has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Worker(ProcessId, Exit),
    /// A probe, or what a worker has left behind.
    Other(Pid, bool),
}

impl Children {
    pub(crate) fn insert(&mut self, running: Running) {
        self.all.insert(running.spawn.process, running);
    }

    pub(crate) fn remove(&mut self, process: ProcessId) -> Option<Running> {
        self.all.remove(&process)
    }

    pub(crate) fn get(&self, process: ProcessId) -> Option<&Running> {
        self.all.get(&process)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Running> {
        self.all.values()
    }

    /// The worker that a process is, or belongs to.
    pub(crate) fn of_pid(&self, pid: Pid) -> Option<ProcessId> {
        let by = |pid: Pid| {
            self.all
                .values()
                .find(|it| it.pid == pid)
                .map(|it| it.spawn.process)
        };
        by(pid).or_else(|| by(group(pid)?))
    }

    /// Sends a signal to the worker alone; what it has started is its own affair.
    pub(crate) fn signal(&self, process: ProcessId, signal: Signal) {
        if let Some(running) = self.all.get(&process) {
            let _ = kill_process(running.pid, signal);
        }
    }

    /// Kills a worker with all of its process group.
    pub(crate) fn kill(&self, process: ProcessId) {
        if let Some(running) = self.all.get(&process) {
            let _ = kill_process_group(running.pid, Signal::KILL);
            let _ = kill_process(running.pid, Signal::KILL);
        }
    }

    /// Whoever has ended next. A child that is stopped has not.
    pub(crate) fn reap(&mut self) -> Option<Ended> {
        let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        let status = waitid(Id::All, ended | WaitPidFlag::WNOWAIT).ok()?;
        let number = status.pid()?;
        let pid = Pid::from_raw(number.as_raw())?;
        let worker = self.all.values().find(|it| it.pid == pid);
        let worker = worker.map(|it| it.spawn.process);
        if worker.is_some() {
            // While it was not waited for, its number is nobody else's.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = waitid(Id::Pid(number), ended);
        let Some(process) = worker else {
            let is_well = exit_of(&status) == Exit::Code(0);
            return Some(Ended::Other(pid, is_well));
        };
        let report = match self.all.get(&process).map(|it| &it.kind) {
            Some(Kind::Own(Some(report))) => why(report),
            Some(Kind::Own(None) | Kind::Adopted(_)) | None => None,
        };
        let exit = match report {
            Some((stage, error)) => never_ran(stage, &error),
            None => exit_of(&status),
        };
        Some(Ended::Worker(process, exit))
    }

    /// A worker ended before it was ready: if it has forked away, what it has left is in nobody's
    /// hands, and would serve beside the others for ever.
    pub(crate) fn false_start(&mut self, process: ProcessId) {
        self.false_starts.push_back(process);
        if self.false_starts.len() > STRAYS_MAX {
            self.false_starts.pop_front();
        }
    }

    /// Kills what such workers have left; it became our child when they ended.
    pub(crate) fn kill_strays(&self) {
        if self.false_starts.is_empty() {
            return;
        }
        for pid in own_children() {
            if self.all.values().any(|it| it.pid == pid) {
                continue;
            }
            let process = variable_soon(pid, PROCESS)
                .and_then(|it| it.parse().ok())
                .map(ProcessId);
            if process.is_some_and(|it| self.false_starts.contains(&it)) {
                crate::log::warn(&format!(
                    "killing process {}, which a worker that failed has left",
                    pid.as_raw_nonzero()
                ));
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Kills every child that is left, at the end.
    pub(crate) fn kill_all(&self) {
        for running in self.all.values() {
            let _ = kill_process_group(running.pid, Signal::KILL);
        }
        for pid in own_children() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A variable that a process was started with.
pub(crate) fn variable(pid: Pid, name: &str) -> Option<String> {
    variable_in(&environment(pid)?, name)
}

/// Likewise, of one that may be about to execute its program: then it has no environment for some microseconds
/// (execve(2)), in which whoever started it may have ended already. It is read again.
fn variable_soon(pid: Pid, name: &str) -> Option<String> {
    let mut all = environment(pid)?;
    for _ in 0..EXECUTES_MS {
        if !all.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        all = environment(pid)?;
    }
    variable_in(&all, name)
}

fn environment(pid: Pid) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()
}

fn variable_in(environment: &[u8], name: &str) -> Option<String> {
    let mut variables = environment.split(|it| *it == 0);
    variables.find_map(|it| {
        let value = it.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

/// The process group of a process; a kernel thread has none.
pub(crate) fn group(pid: Pid) -> Option<Pid> {
    let pid = nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get());
    Pid::from_raw(nix::unistd::getpgid(Some(pid)).ok()?.as_raw())
}

fn own_children() -> Vec<Pid> {
    let own = std::process::id();
    let list = fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .filter_map(|it| Pid::from_raw(it.parse().ok()?))
        .collect()
}

fn exit_of(status: &WaitStatus) -> Exit {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match status {
        WaitStatus::Exited(_, code) => Exit::Code(byte(*code)),
        WaitStatus::Signaled(_, signal, _) => Exit::Signal(byte(*signal as i32)),
        // Only ends were asked for.
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => Exit::Unknown,
    }
}

fn never_ran(stage: Stage, error: &std::io::Error) -> Exit {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    let text = error.to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let why = match stage {
        Stage::Program => format!("the command cannot be run: {text}"),
        Stage::Directory => format!("its directory cannot be entered: {text}"),
        Stage::Sockets => format!("its sockets cannot be laid out: {text}"),
        Stage::Prepare => format!("its process cannot be prepared: {text}"),
    };
    Exit::NeverRan {
        missing: is_missing && stage == Stage::Program,
        why,
    }
}
