//! The exit codes, in one place. `docs/reference/exit-codes.md` and `--help` have the same table.

use std::collections::BTreeMap;

/// How the command ends. 3 and 4 are those of systemctl(1), 2 is that of every program that reads
/// its command line with the same library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// A job did not succeed; also no as the answer to a question.
    JobFailed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// `status`, `is-active`: a unit is not active.
    NotActive = 3,
    /// There is no such unit on the node.
    NoSuchUnit = 4,
    /// There is no such node.
    NoSuchNode = 5,
    /// The node is not connected.
    NodeOffline = 6,
    /// It took too long.
    Timeout = 7,
    /// The controller, or the bus, is not there.
    Unreachable = 8,
    /// The caller may not do this.
    AccessDenied = 9,
    /// Anything else.
    Other = 10,
    /// Ctrl-C, as shells have it: 128 and the number of the signal.
    Interrupted = 130,
}

/// `daemon` has meanings of its own for these.
impl Exit {
    /// The configuration is not valid.
    pub(crate) const CONFIG_INVALID: Self = Self::NotActive;
    /// It is valid, and could not be put into force.
    pub(crate) const RELOAD_FAILED: Self = Self::NoSuchUnit;
    /// It took too long.
    pub(crate) const RELOAD_LATE: Self = Self::NoSuchNode;
    /// The daemon cannot be asked.
    pub(crate) const DAEMON_GONE: Self = Self::NodeOffline;
}

impl Exit {
    /// The code of several things together: the code that all failures share, or "a job failed".
    pub(crate) fn together(exits: impl IntoIterator<Item = Self>) -> Self {
        let mut failures = exits.into_iter().filter(|exit| *exit != Self::Done);
        match failures.next() {
            None => Self::Done,
            Some(first) if failures.all(|exit| exit == first) => first,
            Some(_) => Self::JobFailed,
        }
    }

    /// The code of several nodes together: the worst, in the order of what an operator has to see
    /// to first. `docs/reference/exit-codes.md` has the same order.
    pub(crate) fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| match exit {
            Self::Done => 0,
            Self::NotActive => 1,
            Self::JobFailed => 2,
            Self::NoSuchUnit => 3,
            Self::Timeout => 4,
            Self::NodeOffline => 5,
            Self::NoSuchNode => 6,
            Self::Other => 7,
            Self::AccessDenied => 8,
            Self::Unreachable => 9,
            Self::Usage => 10,
            Self::Interrupted => 11,
        };
        exits.into_iter().max_by_key(rank).unwrap_or(Self::Done)
    }

    /// The code of things on nodes: those of one node together, and the worst of the nodes.
    pub(crate) fn of_nodes<N: Ord>(exits: impl IntoIterator<Item = (N, Self)>) -> Self {
        let mut nodes: BTreeMap<N, Vec<Self>> = BTreeMap::new();
        for (node, exit) in exits {
            nodes.entry(node).or_default().push(exit);
        }
        Self::worst(nodes.into_values().map(Self::together))
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[], Exit::Done; "nothing")]
    #[test_case(&[Exit::Done, Exit::Done], Exit::Done; "all done")]
    #[test_case(&[Exit::Done, Exit::NoSuchUnit], Exit::NoSuchUnit; "one failure")]
    #[test_case(&[Exit::NodeOffline, Exit::NodeOffline], Exit::NodeOffline; "the same failure")]
    #[test_case(&[Exit::Timeout, Exit::NoSuchUnit], Exit::JobFailed; "different failures")]
    fn several_codes_make_one(exits: &[Exit], one: Exit) {
        assert_eq!(Exit::together(exits.iter().copied()), one);
    }

    #[test_case(&[("a", Exit::Done), ("b", Exit::NoSuchUnit)], Exit::NoSuchUnit; "one node failed")]
    #[test_case(&[("a", Exit::NodeOffline), ("b", Exit::JobFailed)], Exit::NodeOffline; "the worst counts")]
    #[test_case(&[("a", Exit::Timeout), ("a", Exit::NoSuchUnit), ("b", Exit::NotActive)], Exit::JobFailed; "units of one node are taken together")]
    fn several_nodes_make_one(exits: &[(&str, Exit)], one: Exit) {
        assert_eq!(Exit::of_nodes(exits.iter().copied()), one);
    }

    #[test]
    fn the_reference_has_the_order() {
        let reference = include_str!("../../docs/reference/exit-codes.md");
        let order = [
            Exit::Interrupted,
            Exit::Usage,
            Exit::Unreachable,
            Exit::AccessDenied,
            Exit::Other,
            Exit::NoSuchNode,
            Exit::NodeOffline,
            Exit::Timeout,
            Exit::NoSuchUnit,
            Exit::JobFailed,
            Exit::NotActive,
            Exit::Done,
        ];
        for pair in order.windows(2) {
            assert_eq!(Exit::worst(pair.iter().copied()), pair[0]);
        }
        let words = order.map(|exit| (exit as u8).to_string()).join(", ");
        assert!(reference.contains(&words), "{words}");
    }
}
