//! The state as lines, for somebody who looks for a fault.

use tracing::info;

use super::Agent;
use crate::limits::DUMP_LINES_MAX;

impl Agent {
    /// Writes the state into the log, at most [`DUMP_LINES_MAX`] lines of it.
    pub(super) fn dump(&self) {
        let lines = self.state_lines();
        let more = lines.len().saturating_sub(DUMP_LINES_MAX);
        for line in lines.iter().take(DUMP_LINES_MAX) {
            info!("state: {line}");
        }
        if more > 0 {
            info!("state: and {more} lines more, which 'ctl daemon debug agent' shows");
        }
    }

    /// The state: settings, link, jobs, claims, holds.
    pub(super) fn state_lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        for (id, kind, unit) in self.node.jobs() {
            lines.push(format!("job {id}: {kind} of {unit}"));
        }
        for (key, claim) in self.node.claims() {
            let state = if claim.up { "up" } else { "not up" };
            let (unit, node, token) = (&key.unit, &key.node, &claim.token);
            lines.push(format!(
                "claim on {unit} of {node}: {state}, attempt {token}"
            ));
        }
        for (key, record) in self.node.records() {
            let state = record.state.claim_state();
            let (unit, source, token) = (&key.unit, &key.source, &record.token);
            let state = state.as_str();
            lines.push(format!(
                "hold of {unit} for {source}: {state}, attempt {token}"
            ));
        }
        let waiting = self.helpers.len();
        lines.push(format!("{waiting} helpers wait for an answer"));
        lines
    }

    fn summary(&self) -> String {
        let deadline = match self.node.deadline() {
            Some((at, why)) => {
                let wait = at.since(self.clock.now()).as_secs_f64();
                format!("next deadline in {wait:.3} s for {why}")
            }
            None => "no deadline".to_owned(),
        };
        let stopping = if self.stopping.is_some() {
            ", stopping"
        } else {
            ""
        };
        format!(
            "node {}: {}{stopping}, configuration {} generation {}, {deadline}",
            self.name,
            self.status_text(),
            self.reload.digest().short(),
            self.reload.last().generation,
        )
    }
}
