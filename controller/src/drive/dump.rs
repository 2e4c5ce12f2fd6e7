//! The state as lines, for somebody who looks for a fault.

use tracing::info;

use super::Drive;
use crate::limits::DUMP_LINES_MAX;

impl Drive {
    /// Writes the state into the log, at most [`DUMP_LINES_MAX`] lines of it.
    pub(super) fn dump(&self) {
        let lines = self.state_lines();
        let more = lines.len().saturating_sub(DUMP_LINES_MAX);
        for line in lines.iter().take(DUMP_LINES_MAX) {
            info!("state: {line}");
        }
        if more > 0 {
            info!("state: and {more} lines more, which 'ctl daemon debug' shows");
        }
    }

    /// The state: settings, sockets, and then what there is, the fewest first: jobs, sessions, nodes, claims,
    /// holds.
    pub(super) fn state_lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        lines.extend(
            self.listening
                .addresses()
                .map(|it| format!("listening on {it}")),
        );
        for job in self.fleet.jobs() {
            let (id, node, unit, kind, state) = (job.id, &job.node, &job.unit, job.kind, job.state);
            lines.push(format!("job {id}: {kind} of {unit} on {node}, {state}"));
        }
        lines.extend(self.agents.sessions());
        let now = self.clock.now();
        for node in self.fleet.nodes() {
            let agent = node.agent.as_ref();
            let agent = agent.map_or_else(String::new, |agent| {
                format!(
                    " from {}, version {}, protocol {}, boot {}, for {:.0} s",
                    agent.origin.address,
                    agent.version,
                    agent.protocol,
                    if agent.boot_id.is_empty() {
                        "not told"
                    } else {
                        agent.boot_id
                    },
                    now.since(agent.since).as_secs_f64()
                )
            });
            lines.push(format!("node {}: {}{agent}", node.name, node.status));
        }
        for claim in self.fleet.claims() {
            let (node, unit) = (&claim.claim.node, &claim.claim.unit);
            let reason = claim.state.reason();
            let reason = reason.map_or_else(String::new, |reason| format!(": {}", reason.text));
            let (source, state) = (claim.source, claim.state.as_str());
            lines.push(format!(
                "claim of {source} on {unit} of {node}: {state}{reason}"
            ));
        }
        for hold in self.fleet.holds() {
            let (node, unit, source) = (hold.node, &hold.hold.unit, &hold.hold.source);
            let state = hold.state.map_or("not told yet", |state| state.as_str());
            lines.push(format!("hold of {unit} on {node} for {source}: {state}"));
        }
        lines
    }

    fn summary(&self) -> String {
        let deadline = match self.fleet.deadline() {
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
            "{}{stopping}, {} jobs, configuration {} generation {}, {deadline}",
            self.condition(),
            self.fleet.jobs_open(),
            self.reload.digest().short(),
            self.reload.last().generation,
        )
    }
}
