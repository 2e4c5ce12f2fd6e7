//! Two services, `source.service` and `target.service`, on two nodes: the first is bound to the
//! second, which runs only while it is needed.

use anyhow::{Result, ensure};
use tests::fleet::Fleet;
use tests::node::Node;

use crate::world::{AT_ONCE, SOON, await_inactive, await_no_holds, await_no_needs, ctl_ok};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    fleet: &'a Fleet,
    pub(crate) source: &'a Node,
    pub(crate) target: &'a Node,
}

/// The main processes of both.
pub(crate) type Processes = (i32, i32);

impl<'a> Pair<'a> {
    /// The source on one node, the target on the other; they do not run yet.
    pub(crate) fn of(fleet: &'a Fleet, source: &str, target: &str) -> Self {
        Self {
            fleet,
            source: fleet.node(source),
            target: fleet.node(target),
        }
    }

    /// Starts the source, and with it the target.
    pub(crate) fn start(&self) -> Result<Processes> {
        ctl_ok(
            self.fleet,
            &format!("start {} source.service", self.source.name()),
        )?;
        self.processes()
    }

    /// The processes, which both must have.
    pub(crate) fn processes(&self) -> Result<Processes> {
        self.source.wait_active("source.service", SOON)?;
        self.target.wait_active("target.service", SOON)?;
        Ok((
            self.source.main_pid("source.service")?,
            self.target.main_pid("target.service")?,
        ))
    }

    /// Fails unless both are the processes that they were.
    pub(crate) fn ensure_same(&self, before: Processes) -> Result<()> {
        let after = self.processes()?;
        ensure!(
            after == before,
            "source and target were {before:?} and are {after:?}"
        );
        Ok(())
    }

    /// F1: the target is stopped, so the source stops at once.
    pub(crate) fn target_stop_stops_source(&self) -> Result<()> {
        ctl_ok(
            self.fleet,
            &format!("stop {} target.service", self.target.name()),
        )?;
        await_inactive(self.source, "source.service", AT_ONCE)?;
        self.ensure_nothing_left()
    }

    /// F2: the source is stopped, so the target stops at once.
    pub(crate) fn source_stop_stops_target(&self) -> Result<()> {
        ctl_ok(
            self.fleet,
            &format!("stop {} source.service", self.source.name()),
        )?;
        await_inactive(self.target, "target.service", AT_ONCE)?;
        self.ensure_nothing_left()
    }

    /// F1, then a start, then F2.
    pub(crate) fn ensure_linked(&self) -> Result<()> {
        self.target_stop_stops_source()?;
        self.start()?;
        self.source_stop_stops_target()
    }

    /// Nothing is needed and nothing is held any more.
    pub(crate) fn ensure_nothing_left(&self) -> Result<()> {
        await_no_needs(self.source)?;
        await_no_holds(self.target)?;
        await_inactive(self.source, "source.service", SOON)?;
        await_inactive(self.target, "target.service", SOON)
    }
}
