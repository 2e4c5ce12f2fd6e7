//! The exit codes, in one place. `docs/reference/exit-codes.md` and `--help` have the same table.

/// How the command ends. 3 and 4 are those of systemctl(1), 2 is that of every program that reads
/// its command line with the same library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// A job did not succeed.
    JobFailed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// `status`: a unit is not active.
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
}
