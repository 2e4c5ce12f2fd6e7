//! How things are, told to the service manager and to clients.

use std::{os::fd::AsFd as _, os::fd::OwnedFd};

use generations::{GenerationView, ProcessId};
use jiff::{Timestamp, tz::TimeZone};
use proto::time::Moment;
use serde_json::json;

use super::Shell;
use crate::{drive::now, limits::MESSAGE_FDS_MAX, log};

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
        let generation = |it: &GenerationView| {
            json!({
                "generation": it.generation.0,
                "role": it.role.name(),
                "workers": it.workers,
                "ready": it.ready,
                "starting": it.starting,
                "draining": it.draining,
                "waiting": it.waiting,
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
                "at": wall(it.at).to_string(),
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

    /// Whether workers say that they live, so that the launcher only passes it on.
    pub(super) fn workers_are_watched(&self) -> bool {
        let serving = self
            .core
            .serving_generation()
            .and_then(|it| self.plans.get(&it));
        serving.is_some_and(|it| it.watchdog_micros.is_some())
    }

    /// Where the service manager watches and workers are not asked, the launcher speaks for itself.
    pub(super) fn sign_of_life(&mut self) {
        if self.workers_are_watched() {
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

fn wall(at: Moment) -> Timestamp {
    let (now, then) = (now(), Timestamp::now());
    if at > now {
        then.checked_add(at.since(now)).unwrap_or(then)
    } else {
        then.checked_sub(now.since(at)).unwrap_or(then)
    }
}

fn time_of_day(at: Moment) -> String {
    wall(at)
        .to_zoned(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}
