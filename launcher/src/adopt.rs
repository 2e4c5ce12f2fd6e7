//! Workers that a launcher before this one has left: with `at_exit = "leave"` they outlive it. The
//! next one takes them over, and tells them to go once its own serve.

use std::{env, fs, os::fd::OwnedFd, path::Path};

use generations::GenerationId;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::{
    children::{group, variable},
    environment::{GENERATION, PROCESS},
    limits::ADOPTED_MAX,
};

/// A process that was left.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) generation: GenerationId,
}

/// All of them: what leads a process group and is in the cgroup of this unit, or was started by a
/// launcher with the same folder.
pub(crate) fn find(folder: Option<&Path>) -> Vec<Leftover> {
    let own = rustix::process::getpid();
    let in_unit = own_cgroup();
    let mut found = Vec::new();
    for pid in all_pids() {
        if pid == own || group(pid) != Some(pid) {
            continue;
        }
        let of_unit = in_unit
            .as_ref()
            .is_some_and(|unit| cgroup_of(pid).is_some_and(|it| is_within(&it, unit)));
        let of_folder = || {
            let named = variable(pid, "LAUNCHER_RUNTIME_DIRECTORY");
            folder.is_some_and(|it| named.as_deref() == it.to_str())
        };
        // In a unit, a program that has overwritten its environment is known by its place.
        if !(of_unit || of_folder() && variable(pid, PROCESS).is_some()) {
            continue;
        }
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let Ok(pidfd) = crate::sockets::away(pidfd) else {
            continue;
        };
        let generation = variable(pid, GENERATION).and_then(|it| it.parse().ok());
        found.push(Leftover {
            pid,
            pidfd,
            generation: GenerationId(generation.unwrap_or(0)),
        });
        if found.len() >= ADOPTED_MAX {
            break;
        }
    }
    found
}

/// `unitlink-launcher reap`: kills what is left after an ordinary stop. After anything else it is what
/// the next launcher takes over.
pub(crate) fn reap(folder: Option<&Path>) -> u8 {
    if let Ok(result) = env::var("SERVICE_RESULT")
        && result != "success"
    {
        crate::log::info(&format!(
            "the service ended with {result}: workers are left for the next launcher"
        ));
        return 0;
    }
    for leftover in find(folder) {
        crate::log::info(&format!(
            "killing process {}, which was left",
            leftover.pid.as_raw_nonzero()
        ));
        let _ = kill_process_group(leftover.pid, Signal::KILL);
        let _ = kill_process(leftover.pid, Signal::KILL);
    }
    0
}

fn all_pids() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    names.filter_map(Pid::from_raw).collect()
}

/// The cgroup of the unit that this process is of, if it is of one.
fn own_cgroup() -> Option<String> {
    env::var_os("INVOCATION_ID")?;
    unit_of(&cgroup_of(rustix::process::getpid())?).map(str::to_owned)
}

/// A launcher, and systemd's own helper processes, are one below the unit if it may divide its cgroup.
fn unit_of(cgroup: &str) -> Option<&str> {
    let is_unit = |it: &&str| it.ends_with(".service");
    let above = || cgroup.rsplit_once('/').map(|(above, _)| above);
    Some(cgroup).filter(is_unit).or_else(above).filter(is_unit)
}

fn is_within(cgroup: &str, unit: &str) -> bool {
    let rest = cgroup.strip_prefix(unit);
    rest.is_some_and(|it| it.is_empty() || it.starts_with("/gen-"))
}

fn cgroup_of(pid: Pid) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix("0::"))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("/system.slice/web.service" => Some("/system.slice/web.service"))]
    #[test_case("/system.slice/web.service/launcher" => Some("/system.slice/web.service"); "one below")]
    #[test_case("/user.slice/user@0.service/app.slice/x.scope" => None; "of a manager, not of a unit")]
    #[test_case("/" => None)]
    fn units(cgroup: &str) -> Option<&str> {
        unit_of(cgroup)
    }

    #[test]
    fn what_is_within_a_unit() {
        let is = |cgroup| is_within(cgroup, "/s/web.service");
        assert!(is("/s/web.service") && is("/s/web.service/gen-3"));
        for other in ["/s/web.service/.control", "/s/web.service2", "/s"] {
            assert!(!is(other), "{other}");
        }
    }
}
