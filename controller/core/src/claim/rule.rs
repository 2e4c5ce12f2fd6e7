use proto::{
    message::{Attempt, Claim, ClaimKey, Hold, TokenState},
    model::{Cause, ClaimState, Reason, Token},
    name::{NodeName, ProxyName, UnitName, rivalled_by},
    time::Moment,
};

use super::Ended;
use crate::{
    limits::HOLDS_PER_TARGET_MAX,
    node::Sight,
    settings::{ClaimPolicy, OnLoss},
};

/// How a claim stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) token: Token,
    pub(crate) state: ClaimState,
    /// Whether the controller itself decided that the claim is at its end. The target then need
    /// not hold for it; where the target decided, it keeps the record of its token.
    pub(crate) decided_here: bool,
    /// When the attempt was first heard of.
    pub(crate) since: Moment,
    /// When it came to stand as it does.
    pub(crate) changed: Moment,
}

impl Record {
    /// What is remembered of it when there is no such claim any more, or another attempt.
    pub(crate) fn ended(self, now: Moment, expired: bool) -> Ended {
        Ended {
            at: if self.state.is_final() {
                self.changed
            } else {
                now
            },
            state: self.state,
            expired,
        }
    }
}

/// What is known about the target of a claim.
pub(crate) struct Target<'a> {
    /// Why it cannot be: the settings do not name its node.
    pub(crate) unknown: Option<Reason>,
    /// Whether the source may depend on it.
    pub(crate) allowed: bool,
    /// Whether it has no room for one more hold.
    pub(crate) full: bool,
    /// Whether its agent speaks only BlueChi's protocol.
    pub(crate) legacy: bool,
    /// Whether it is seen.
    pub(crate) sight: Sight,
    /// What it last said of this hold.
    pub(crate) report: Option<&'a TokenState>,
}

/// That no such node is known, and where a node that is has a `_` in its name, how its proxy is spelt.
pub(crate) fn unknown<'a>(
    node: &NodeName,
    unit: &UnitName,
    nodes: impl Iterator<Item = &'a NodeName>,
) -> Reason {
    let named = ProxyName::of(node, unit).ok();
    // Of two that fit, the longer one is the less likely by chance.
    let meant = named.and_then(|named| {
        let fitting = nodes.filter_map(|node| named.meant_for(node));
        fitting.max_by_key(|it| it.node().as_str().len())
    });
    let text = match meant {
        Some(meant) => format!(
            "node {node} is unknown; for {} of node {} write '{meant}'",
            meant.rivalled().as_ref().unwrap_or(meant.unit()),
            meant.node(),
        ),
        None => format!("node {node} is unknown; the controller's configuration does not name it"),
    };
    Reason::new(Cause::NodeUnknown, text)
}

/// How a claim stands by the rules, and whether its end was decided here.
pub(crate) fn assess(
    source: &NodeName,
    key: &ClaimKey,
    claim: Claim,
    before: Option<&Record>,
    target: &Target<'_>,
) -> (ClaimState, bool) {
    let refused = |cause, text| (ClaimState::Refused(Reason::new(cause, text)), true);
    let node = &key.node;
    if let Some(record) = before
        && record.token == claim.token
        && record.state.is_final()
    {
        return (record.state.clone(), record.decided_here);
    }
    if let Some(reason) = &target.unknown {
        return (ClaimState::Refused(reason.clone()), true);
    }
    if !target.allowed {
        return refused(
            Cause::NotAllowed,
            format!(
                "units of node {source} may not depend on node {node}; allow_dependencies_on of the controller's configuration does not list it"
            ),
        );
    }
    if target.full {
        return refused(
            Cause::Limit,
            format!("node {node} has {HOLDS_PER_TARGET_MAX} holds; no more are allowed"),
        );
    }
    match target.sight {
        Sight::Out if claim.up => {
            let text = format!("node {node} is out of sight");
            (ClaimState::Lost(Reason::new(Cause::NodeLost, text)), false)
        }
        Sight::Out => {
            let text = format!("node {node} is offline");
            (
                ClaimState::Waiting(Reason::new(Cause::NodeOffline, text)),
                false,
            )
        }
        // The units with which a unit can be kept from running are installed with our agents.
        Sight::Clear if target.legacy && !claim.up && rivalled_by(&key.unit).is_some() => refused(
            Cause::Manager,
            format!(
                "conflict@ needs an agent of Unitlink on node {node}; the one that is there is BlueChi's"
            ),
        ),
        Sight::Clear => match target.report {
            Some(report) if report.token == claim.token => (report.state.clone(), false),
            Some(_) | None if claim.up => (ClaimState::Up, false),
            Some(_) | None => (ClaimState::Starting, false),
        },
    }
}

/// The hold that a claim makes.
pub(crate) fn hold_for(claim: Claim, policy: &ClaimPolicy) -> Hold {
    let attempt = match policy.on_loss {
        OnLoss::Stop if claim.up => Attempt::Keep,
        OnLoss::Stop | OnLoss::Keep => Attempt::Start,
    };
    Hold {
        token: claim.token,
        attempt,
    }
}

/// The hold that stands for a source that has not been heard: what its target reports, told back.
pub(crate) fn hold_adopted(report: &TokenState) -> Hold {
    let attempt = match report.state {
        ClaimState::Starting | ClaimState::Waiting(_) => Attempt::Start,
        ClaimState::Up
        | ClaimState::Restarted(_)
        | ClaimState::Down(_)
        | ClaimState::Refused(_)
        | ClaimState::Lost(_) => Attempt::Keep,
    };
    Hold {
        token: report.token,
        attempt,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("cam", "1_t.service", "node cam is unknown; for t.service of node cam_1 write 'proxy@cam\\x5f1_t.service'"; "a node with a separator")]
    #[test_case("a", "b_c_t.socket", "node a is unknown; for t.socket of node a_b_c write 'proxy@a\\x5fb\\x5fc_t.socket.service'"; "the longest that fits")]
    #[test_case("cam", "against@1_t.service", "node cam is unknown; for t.service of node cam_1 write 'conflict@cam\\x5f1_t.service'"; "a rival")]
    #[test_case("camera", "1_t.service", "node camera is unknown; the controller's configuration does not name it"; "nothing fits")]
    fn an_unknown_node_is_told_with_the_right_spelling(node: &str, unit: &str, text: &str) {
        let nodes: Vec<NodeName> = ["a_b", "a_b_c", "cam_1", "worker1"]
            .map(|name| name.parse().expect("valid"))
            .into();
        let (node, unit) = (node.parse().expect("valid"), unit.parse().expect("valid"));
        let reason = unknown(&node, &unit, nodes.iter());
        assert_eq!(
            (reason.cause, reason.text.as_str()),
            (Cause::NodeUnknown, text)
        );
    }
}
