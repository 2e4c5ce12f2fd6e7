//! How things are, told to the service manager and to clients.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::{SystemTime, UNIX_EPOCH},
};

use generations::{GenerationView, ProcessId};
use proto::time::Moment;
use serde_json::json;

use super::Shell;
use crate::{drive::now, limits::MESSAGE_FDS_MAX, log, spawn::calendar};

impl Shell {
    pub(super) fn say_status(&mut self) {
        let line = self.status_line();
        self.upstream.status(&line);
    }

    fn status_line(&self) -> String {
        let mut line = self.core.status().line(time_of_day);
        if let Some((process, text)) = &self.said
            && let Some(running) = self.children.get(*process)
        {
            line.push_str(&format!("; {}: {text}", running.spawn.worker));
        }
        line
    }

    pub(super) fn status_json(&self) -> String {
        let status = self.core.status();
        let cgroups = self.wiring.cgroups.as_ref();
        let generation = |it: &GenerationView| {
            let usage = cgroups
                .map(|all| all.usage(it.generation))
                .unwrap_or_default();
            json!({
                "generation": it.generation.0,
                "role": it.role.name(),
                "workers": it.workers,
                "ready": it.ready,
                "starting": it.starting,
                "draining": it.draining,
                "waiting": it.waiting,
                "memory_bytes": usage.memory_bytes,
                "cpu_usec": usage.cpu_usec,
                "killed_in_s": it.until.map(|at| at.since(now()).as_secs_f64()),
            })
        };
        let workers = self.children.iter().map(|it| {
            json!({
                "generation": it.spawn.generation.0,
                "worker": it.spawn.worker.0,
                "pid": it.pid.as_raw_nonzero(),
                "ready": self.core.has_been_ready(it.spawn.process),
            })
        });
        let last = status.last.as_ref().map(|it| {
            json!({
                "number": it.number.0,
                "code": it.outcome.code(),
                "text": it.outcome.to_string(),
                "at": date(it.at),
            })
        });
        let sockets = self.wiring.sockets.iter().map(|it| it.name.as_str());
        let all = json!({
            "state": status.state,
            "pid": std::process::id(),
            "line": self.status_line(),
            "generations": status.generations.iter().map(generation).collect::<Vec<_>>(),
            "workers": workers.collect::<Vec<_>>(),
            "sockets": sockets.collect::<Vec<_>>(),
            "last_reload": last,
        });
        all.to_string()
    }

    /// Where the service manager watches and no worker is there who would say that it lives, the launcher speaks for
    /// itself.
    pub(super) fn sign_of_life(&mut self) {
        if self.core.is_spoken_for() {
            return;
        }
        if let Some((every, at)) = &mut self.watchdog
            && *at <= now()
        {
            *at = now().plus(*every);
            self.upstream.say("WATCHDOG=1");
        }
    }

    /// A worker has something for the service manager to keep.
    pub(super) fn store(&self, process: ProcessId, name: Option<&str>, fds: &[OwnedFd]) {
        let Some((running, may)) = self.storing(process) else {
            return;
        };
        if !may {
            return log::warn(&format!(
                "{} wants descriptors kept, ignoring: fdstore is not set",
                running.worker
            ));
        }
        let fds: Vec<_> = fds
            .iter()
            .take(MESSAGE_FDS_MAX)
            .map(|it| it.as_fd())
            .collect();
        let name = stored_name(running, name);
        self.upstream
            .say_with(&format!("FDSTORE=1\nFDNAME={name}"), &fds);
    }

    pub(super) fn unstore(&self, process: ProcessId, name: Option<&str>) {
        if let Some((running, true)) = self.storing(process) {
            let name = stored_name(running, name);
            self.upstream
                .say(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
        }
    }

    fn storing(&self, process: ProcessId) -> Option<(&generations::Spawn, bool)> {
        let running = self.children.get(process)?;
        let plan = self.plans.get(&running.spawn.generation);
        Some((&running.spawn, plan.is_some_and(|it| it.fdstore)))
    }
}

/// Workers do not take each other's.
fn stored_name(spawn: &generations::Spawn, name: Option<&str>) -> String {
    format!("w{}-{}", spawn.worker.0, name.unwrap_or("stored"))
}

/// Seconds since 1970.
fn wall(at: Moment) -> i64 {
    let now = now();
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = time.unwrap_or_default().saturating_sub(now.since(at)) + at.since(now);
    i64::try_from(then.as_secs()).unwrap_or(i64::MAX)
}

fn time_of_day(at: Moment) -> String {
    let (here, _) = calendar(wall(at));
    format!("{:02}:{:02}:{:02}", here.tm_hour, here.tm_min, here.tm_sec)
}

/// As RFC 3339 has it.
fn date(at: Moment) -> String {
    let (_, utc) = calendar(wall(at));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec
    )
}
