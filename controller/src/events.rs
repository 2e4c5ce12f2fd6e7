//! What the core finds worth a line, as lines.

use std::collections::BTreeMap;

use fleet::{Difference, Event, Level};
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
        Event::Differs {
            node,
            set,
            difference,
        } => {
            let Difference {
                added,
                gone,
                changed,
            } = difference;
            info!(%node, set = set.as_str(), added, gone, changed, "agent is back and tells otherwise than before");
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
            // A field that is not there is left out.
            let reason = reason.as_ref().map(|reason| reason.text.as_str());
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use proto::{
        message::ClaimKey,
        model::{Cause, Reason},
    };
    use test_case::test_case;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line that an event makes.
    fn line(event: &Event) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || write(event));
        let bytes = kept.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text").trim().to_owned()
    }

    #[test_case(None, "claim source=a node=b unit=t.service state=\"up\""; "none")]
    #[test_case(Some("node b is offline"), "claim source=a node=b unit=t.service state=\"up\" reason=\"node b is offline\""; "one")]
    fn a_claim_is_told_with_its_reason_if_there_is_one(reason: Option<&str>, told: &str) {
        let claim = ClaimKey {
            node: "b".parse().expect("valid"),
            unit: "t.service".parse().expect("valid"),
        };
        let event = Event::Claim {
            source: "a".parse().expect("valid"),
            claim,
            state: "up",
            was_lost: true,
            reason: reason.map(|text| Reason::new(Cause::NodeOffline, text)),
        };
        let line = line(&event);
        assert!(line.ends_with(told), "{line}");
    }
}
