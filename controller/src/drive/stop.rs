//! A stop in order: no new jobs, those that run may end, agents and clients stay until then.

use fleet::Input;
use host::notify;
use proto::{rhythm::Rhythm, time::Moment};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Drive, told};
use crate::limits::{EXTEND_BY, EXTEND_EVERY, STOP_TIME};

/// A stop that waits for jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    /// When it waits no longer; nothing without a limit.
    until: Option<Moment>,
    /// When the service manager is told that this takes its time.
    tell: Rhythm,
}

impl Drive {
    /// The controller is to stop.
    pub(super) fn begin_stop(&mut self, now: Moment) {
        if self.stopping.is_some() {
            info!("stopping already, another SIGTERM changes nothing");
            return;
        }
        let limit = self.settings.graceful_shutdown;
        self.stopping = Some(Stopping {
            until: limit.map(|limit| now.plus(limit)),
            tell: Rhythm::at_once(now, EXTEND_EVERY),
        });
        self.decide(now, Input::Stop);
        let jobs = self.fleet.jobs_open();
        if jobs > 0 {
            let seconds = limit.map(|limit| limit.as_secs_f64());
            info!(
                jobs,
                seconds, "stopping as soon as jobs have ended, new ones are refused"
            );
        }
    }

    /// When a stop is to be looked at again.
    pub(super) fn stop_wake(&self) -> Option<Moment> {
        let Stopping { until, tell } = self.stopping?;
        until.into_iter().chain(tell.due()).min()
    }

    /// Whether nothing is waited for any more; and the service manager is told how it stands.
    pub(super) fn may_leave(&mut self, now: Moment) -> bool {
        let Some(stopping) = &mut self.stopping else {
            return false;
        };
        let jobs = self.fleet.jobs_open();
        if jobs == 0 {
            return true;
        }
        if stopping.until.is_some_and(|until| until <= now) {
            warn!(
                jobs,
                "jobs have not ended in time, they go on at their nodes"
            );
            return true;
        }
        if stopping.tell.take(now) {
            let left = stopping.until.map(|until| until.since(now).as_secs());
            let text = match left {
                Some(left) => format!("stopping: waiting for {jobs} jobs, {left} s at most"),
                None => format!("stopping: waiting for {jobs} jobs"),
            };
            told(notify::stopping(&text));
            // The limit of the unit may be shorter than ours.
            told(notify::extend_timeout(EXTEND_BY));
        }
        false
    }

    /// Ends all connections, after what was sent. Nothing is said to agents: they keep everything
    /// as it is until there is a controller again.
    pub(super) async fn leave(&mut self) {
        info!("stopping");
        told(notify::stopping("stopping"));
        // Before the first agent comes back.
        self.listening.deafen();
        let ending = self.public.close().into_iter().chain(self.agents.close());
        let ending: Vec<_> = ending.collect();
        let written = async {
            for sender in &ending {
                sender.written().await;
            }
        };
        if timeout(STOP_TIME, written).await.is_err() {
            info!("not all that was said is read in time, leaving");
        }
    }
}
