//! What the core finds worth a line, as lines.

use std::collections::BTreeMap;

use fleet::{Event, Level};
use host::rate::{Line, Repeats};
use proto::{name::NodeName, time::Moment};
use tracing::{debug, info, warn};

use crate::{
    limits::{DROPPED_LINES_MAX, DROPPED_LINES_TIME, REJECTED_NAMES_MAX},
    quota::Quota,
};

/// Writes events into the log. An agent that is rejected comes again every few seconds, so what is
/// said of it is said once in a while.
#[derive(Debug)]
pub(crate) struct Lines {
    rejected: BTreeMap<NodeName, Repeats>,
    quota: Quota,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            rejected: BTreeMap::new(),
            quota: Quota::new(DROPPED_LINES_MAX, DROPPED_LINES_TIME),
        }
    }
}

impl Lines {
    /// Writes an event, unless it repeats another one.
    pub(crate) fn write(&mut self, now: Moment, event: &Event) {
        if let Event::Rejected { node, reason, .. } = event {
            if !self.rejected.contains_key(node) && self.rejected.len() >= REJECTED_NAMES_MAX {
                // Names are the strangers' choice. To forget them all costs a few lines more.
                self.rejected.clear();
            }
            let repeats = self.rejected.entry(node.clone()).or_default();
            if repeats.line(now, &reason.text) == Line::KeepBack || self.quota.take(now).is_none() {
                return;
            }
        }
        write(event);
    }
}

fn write(event: &Event) {
    match event {
        Event::NodeOnline {
            node,
            address,
            version,
            protocol,
        } => info!(%node, address, version, protocol, "node is online"),
        Event::NodeOffline {
            node,
            why,
            jobs,
            claims,
            claimed,
        } => info!(%node, why, jobs, claims, claimed, "node is offline"),
        Event::NodeResumed { node, away, why } => {
            debug!(%node, away_ms = away.as_millis(), why, "agent is back");
        }
        Event::JobsAdopted { node, jobs } => {
            info!(%node, jobs, "jobs that were begun before the controller go on");
        }
        Event::Rejected {
            node,
            address,
            reason,
        } => warn!(%node, address, cause = %reason.cause, %reason, "registration rejected"),
        Event::ClaimsExpired { node, claims } => {
            warn!(%node, claims, "node did not come back in time, its claims are given up");
        }
        Event::HoldsAdopted { node, source } => {
            info!(%node, %source, "units are held for a node that has not been heard yet, waiting for it");
        }
        Event::Claim {
            source,
            claim,
            state,
            was_lost: _,
            reason,
        } => {
            let (node, unit) = (&claim.node, &claim.unit);
            let reason = reason.as_ref().map_or("", |reason| &reason.text);
            match event.level() {
                Level::Debug => debug!(%source, %node, %unit, state, reason, "claim"),
                Level::Info => info!(%source, %node, %unit, state, reason, "claim"),
                Level::Warn => warn!(%source, %node, %unit, state, reason, "claim"),
            }
        }
        Event::JobTimedOut { job, node } => {
            warn!(%job, %node, "job took longer than limits.job_timeout, taken back");
        }
        Event::JobUnknown { job, node } => {
            debug!(%job, %node, "agent spoke of a job that is not open, ignoring");
        }
        Event::Stalled { time } => {
            warn!(
                seconds = time.as_secs_f64(),
                "this process did not run for a while, silence of agents in that time is forgiven"
            );
        }
    }
}
