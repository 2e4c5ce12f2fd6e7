//! How it ended, and the exit code for it.
//!
//! | code | the remote unit |
//! |---|---|
//! | 0 | is up, or was stopped or reloaded as ordered |
//! | 1 | could not be started, or failed (`unit-failed`; also a reason not known here) |
//! | 2 | was not asked for: wrong command line, or the name is not valid (`invalid-name`) |
//! | 10 | was stopped (`unit-stopped`) |
//! | 11 | does not exist, or its file is broken or masked (`unit-not-found`) |
//! | 12 | is on a node that the controller does not know (`node-unknown`) |
//! | 13 | may not be needed by this node (`not-allowed`) |
//! | 14 | is on a node that is offline (`node-offline`) |
//! | 15 | is on a node that went out of sight (`node-lost`) |
//! | 16 | cannot be asked for: the agent has no controller (`controller-unreachable`) |
//! | 17 | cannot be asked for: the agent of this node does not answer |
//! | 18 | did not come up in time (`timeout`) |
//! | 19 | needs, over other nodes, the unit that needs it (`cycle`) |
//! | 20 | was called off (`canceled`) |
//! | 21 | is beyond a limit (`limit`) |
//! | 22 | was refused by the service manager (`manager`) |
//! | 23 | was up, and has ended by itself, well (`unit-ended`) |
//! | 24 | was up, and has failed by itself (`unit-died`) |
//! | 25 | was up, has ended by itself, and is started again (`unit-restarts`) |
//!
//! The codes 3 to 7, 64 to 78 and those from 200 on are left out: systemd.exec(5) gives them names
//! of its own, which `systemctl status` would then show.

use proto::model::Cause;

/// The exit code for a wrong command line.
pub(crate) const USAGE: u8 = 2;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The unit is up, or what was ordered is done.
    Up,
    /// It is not; the text says why.
    Failed { failure: Failure, text: String },
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The agent says so.
    Said(Cause),
    /// The agent says so, with a word that is not known here.
    SaidOtherwise,
    /// The agent did not answer in time.
    NoAgent,
}

impl Failure {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Said(Cause::UnitFailed) | Self::SaidOtherwise => 1,
            Self::Said(Cause::InvalidName) => USAGE,
            Self::Said(Cause::UnitStopped) => 10,
            Self::Said(Cause::UnitNotFound) => 11,
            Self::Said(Cause::NodeUnknown) => 12,
            Self::Said(Cause::NotAllowed) => 13,
            Self::Said(Cause::NodeOffline) => 14,
            Self::Said(Cause::NodeLost) => 15,
            Self::Said(Cause::ControllerUnreachable) => 16,
            Self::NoAgent => 17,
            Self::Said(Cause::Timeout) => 18,
            Self::Said(Cause::Cycle) => 19,
            Self::Said(Cause::Canceled) => 20,
            Self::Said(Cause::Limit) => 21,
            Self::Said(Cause::Manager) => 22,
            Self::Said(Cause::UnitEnded) => 23,
            Self::Said(Cause::UnitDied) => 24,
            Self::Said(Cause::UnitRestarts) => 25,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::options::HELP;

    #[test]
    fn every_cause_has_a_code_of_its_own_that_systemd_does_not_name() {
        let mut codes: Vec<u8> = Cause::ALL
            .iter()
            .map(|cause| Failure::Said(*cause).exit_code())
            .collect();
        codes.push(Failure::NoAgent.exit_code());
        let distinct: BTreeSet<u8> = codes.iter().copied().collect();
        assert_eq!(distinct.len(), codes.len());
        assert!(codes.iter().all(|code| matches!(code, 1 | 2 | 8..=63)));
    }

    #[test]
    fn every_code_is_in_the_reference_and_in_the_help() {
        let reference = include_str!("../../docs/reference/exit-codes.md");
        let (_, reference) = reference
            .split_once("## `unitlink-proxy`")
            .expect("a section");
        let said = Cause::ALL.iter().map(|cause| Failure::Said(*cause));
        for code in said.chain([Failure::NoAgent]).map(Failure::exit_code) {
            assert!(reference.contains(&format!("| {code} | ")), "{code}");
            assert!(HELP.contains(&format!("{code:>2}  ")), "{code}");
        }
    }
}
