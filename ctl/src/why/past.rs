//! How a need of a unit on another node has ended, as far as the controller remembers.

use std::time::Duration;

use crate::{facts::Facts, fleet::Target, span};

/// The last end of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) source: String,
    pub(crate) of: Target,
    /// How it stood at last.
    pub(crate) state: String,
    pub(crate) cause: String,
    pub(crate) reason: String,
    /// Whether its source was away for longer than its grace.
    pub(crate) expired: bool,
    pub(crate) age: Option<Duration>,
}

impl Ended {
    /// Reads an entry of `org.unitlink.Fleet1.ListEndedClaims`; nothing, where it names no unit.
    pub(crate) fn from_facts(facts: &Facts) -> Option<Self> {
        let node = facts.text("Node").parse().ok()?;
        let unit = facts.text("Unit").parse().ok()?;
        Some(Self {
            source: facts.text("Source"),
            of: Target { node, unit },
            state: facts.text("State"),
            cause: facts.text("Cause"),
            reason: facts.text("Reason"),
            expired: facts.flag("Expired") == Some(true),
            age: facts.span("EndAgeUSec"),
        })
    }

    /// Whether it ended on the other side, rather than because its source did not need the unit any more.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "down" | "restarted" | "refused")
    }

    /// What became of the unit: `was stopped 5s ago`.
    pub(crate) fn fate(&self) -> String {
        let ago = ago(self.age);
        match (self.state.as_str(), self.cause.as_str()) {
            ("restarted", _) => format!("was restarted{ago}"),
            ("refused", _) => format!("was refused{ago}: {}", self.reason),
            (_, "unit-stopped") => format!("was stopped{ago}"),
            (_, "unit-ended") => format!("ended{ago}"),
            (_, "unit-restarts") => format!("ended{ago} and was started again"),
            (_, "unit-failed" | "unit-died") => format!("failed{ago} ({})", self.reason),
            (_, "node-lost") => format!("was given up{ago}, because {}", self.reason),
            (_, _) => format!("was not available{ago}: {}", self.reason),
        }
    }
}

/// ` 5s ago`; empty if it is not known.
pub(crate) fn ago(age: Option<Duration>) -> String {
    age.map_or_else(String::new, |age| format!(" {} ago", span::display(age)))
}

/// ` for 5s`; empty if it is not known.
pub(crate) fn lasting(age: Option<Duration>) -> String {
    age.map_or_else(String::new, |age| format!(" for {}", span::display(age)))
}
