//! What the core finds worth a line, as lines.

use fleet::{Event, Level};
use tracing::{debug, info, warn};

/// Writes an event into the log.
pub(crate) fn write(event: &Event) {
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
