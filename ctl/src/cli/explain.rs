//! The verbs that explain: what depends on what, why a unit is as it is, and what is wrong in unit
//! files.

use clap::Args;
use proto::name::{NodeName, UnitName};

use super::Nodes;
use crate::{fleet::Target, graph};

/// One unit of one node.
#[derive(Debug, Args)]
pub(crate) struct OneUnit {
    /// The node
    #[arg(value_name = "NODE", value_parser = super::node)]
    pub(crate) node: NodeName,
    /// Its unit; '.service' may be left out
    #[arg(value_name = "UNIT", value_parser = super::unit)]
    pub(crate) unit: UnitName,
}

impl OneUnit {
    /// The unit.
    pub(crate) fn target(&self) -> Target {
        Target {
            node: self.node.clone(),
            unit: self.unit.clone(),
        }
    }
}

/// Which dependencies to list.
#[derive(Debug, Args)]
pub(crate) struct ListDependencies {
    #[command(flatten)]
    pub(crate) of: OneUnit,
    /// Who needs the unit, also from other nodes
    #[arg(long)]
    pub(crate) reverse: bool,
    /// What every unit needs, not only targets and what leads to other nodes
    #[arg(short, long)]
    pub(crate) all: bool,
    /// What is ordered before the unit
    #[arg(long, conflicts_with_all = ["before", "reverse"])]
    pub(crate) after: bool,
    /// What is ordered after the unit
    #[arg(long, conflicts_with = "reverse")]
    pub(crate) before: bool,
    /// Names without a tree
    #[arg(long)]
    pub(crate) plain: bool,
}

impl ListDependencies {
    /// Which settings to follow.
    pub(crate) fn relations(&self) -> &'static [graph::Relation] {
        if self.after {
            &[graph::Relation::After]
        } else if self.before {
            &[graph::Relation::Before]
        } else {
            graph::LISTED
        }
    }

    /// From which end.
    pub(crate) fn direction(&self) -> graph::Direction {
        if self.reverse {
            graph::Direction::NeededBy
        } else {
            graph::Direction::Needs
        }
    }

    /// How far.
    pub(crate) fn reach(&self) -> graph::Reach {
        if self.all {
            graph::Reach::All
        } else {
            graph::Reach::Listed
        }
    }
}

/// What of the dependencies of a unit to show.
#[derive(Debug, Args)]
pub(crate) struct Deps {
    #[command(flatten)]
    pub(crate) of: OneUnit,
    /// Everything, not only what has to do with other nodes
    #[arg(short, long)]
    pub(crate) all: bool,
}
/// Whose unit files to look at.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only of this node; or of several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Option<Nodes>,
}
