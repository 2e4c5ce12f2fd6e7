//! What was measured of a job.

use std::time::Duration;

/// How long a job took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    /// A start, as the controller measured it.
    Start {
        node: String,
        unit: String,
        /// Its number, if the signal has one.
        id: Option<u32>,
        /// From the answer that it is queued to its end.
        job: Duration,
        /// From the unit's leaving of `inactive` to `active`.
        unit_start: Duration,
    },
    /// Any job, as the node's agent measured it.
    Systemd {
        node: String,
        unit: String,
        /// As the interface calls it, `StartUnit` …
        method: String,
        /// How long systemd had it.
        took: Duration,
    },
}

impl Measured {
    /// The node and the unit.
    pub(crate) fn place(&self) -> (&str, &str) {
        match self {
            Self::Start { node, unit, .. } | Self::Systemd { node, unit, .. } => (node, unit),
        }
    }
}
