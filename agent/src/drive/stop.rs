//! A stop in order. No unit is touched: what runs goes on.

use host::notify;
use node::Input;
use proto::{rhythm::Rhythm, time::Moment};
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::{Agent, Sources, tell};
use crate::{
    limits::{EXTEND_BY, EXTEND_EVERY, GOODBYE, HEAR_OUT, QUIET, SHUTDOWN_ANSWER},
    link::is_shutting_down,
};

/// This agent's own unit: a job that restarts it ends only when it has stopped.
const OWN_UNIT: &str = "unitlink-agent.service";

/// A stop that waits for jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    /// When it waits no longer; nothing without a limit.
    until: Option<Moment>,
    /// When the service manager is told that this takes its time.
    tell: Rhythm,
}

impl Agent {
    /// The agent is to stop.
    pub(super) async fn begin_stop(&mut self) {
        if self.stopping.is_some() {
            info!("stopping already, another SIGTERM changes nothing");
            return;
        }
        let now = self.clock.now();
        let mut limit = self.settings.graceful_shutdown;
        self.take(Input::Drain);
        let jobs = self.jobs_waited_for();
        if jobs > 0 {
            // At the shutdown of the machine every job is a part of it, or is called off by it; one
            // that is to start the shutdown itself would wait for us.
            let asked = timeout(SHUTDOWN_ANSWER, is_shutting_down(&self.around.manager));
            if asked.await.unwrap_or(true) {
                limit = Some(std::time::Duration::ZERO);
            } else {
                let seconds = limit.map(|limit| limit.as_secs_f64());
                info!(
                    jobs,
                    seconds, "stopping as soon as jobs have ended, new ones are refused"
                );
            }
        }
        self.stopping = Some(Stopping {
            until: limit.map(|limit| now.plus(limit)),
            tell: Rhythm::at_once(now, EXTEND_EVERY),
        });
    }

    /// When a stop is to be looked at again.
    pub(super) fn stop_wake(&self) -> Option<Moment> {
        let Stopping { until, tell } = self.stopping?;
        until.into_iter().chain(tell.due()).min()
    }

    /// Whether nothing is waited for any more; and the service manager is told how it stands.
    pub(super) fn may_leave(&mut self) -> bool {
        let (now, jobs) = (self.clock.now(), self.jobs_waited_for());
        let Some(stopping) = &mut self.stopping else {
            return false;
        };
        if jobs == 0 || stopping.until.is_some_and(|until| until <= now) {
            if jobs > 0 {
                info!(jobs, "jobs have not ended, they go on without the agent");
            }
            return true;
        }
        if stopping.tell.take(now) {
            let left = stopping.until.map(|until| until.since(now).as_secs());
            let text = match left {
                Some(left) => format!("stopping: waiting for {jobs} jobs, {left} s at most"),
                None => format!("stopping: waiting for {jobs} jobs"),
            };
            tell(notify::stopping(&text));
            // The limit of the unit may be shorter than ours.
            tell(notify::extend_timeout(EXTEND_BY));
        }
        false
    }

    fn jobs_waited_for(&self) -> usize {
        let others = |unit: &str| unit != OWN_UNIT;
        self.node
            .jobs()
            .filter(|(.., unit)| others(unit.as_str()))
            .count()
    }

    /// Takes in what is on its way: at a shutdown, systemd has stopped hold units and proxies just
    /// before it stops this agent, and other nodes are to hear of it.
    pub(super) async fn hear_out(&mut self, sources: &mut Sources) {
        let until = tokio::time::Instant::now() + HEAR_OUT;
        loop {
            let quiet = (tokio::time::Instant::now() + QUIET).min(until);
            tokio::select! {
                biased;
                () = sleep_until(until) => return,
                Some(event) = sources.manager.recv() => self.manager(event),
                Some(event) = sources.link.recv() => self.link(event),
                () = sleep_until(quiet) => return,
            }
            self.carry_out();
        }
    }

    /// Says goodbye, and waits until it is written.
    pub(super) async fn leave(&mut self) {
        tell(notify::stopping("saying goodbye to the controller"));
        self.take(Input::Stop);
        self.carry_out();
        if let Some(ending) = self.ending.take()
            && timeout(GOODBYE, ending.written()).await.is_err()
        {
            warn!("the controller did not read the goodbye in time");
        }
    }
}
