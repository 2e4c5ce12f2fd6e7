//! Orders: what units of one node have done, once, with units of another. Each becomes a job like
//! those of clients, and its end is the answer. And the other way round: a reload of a unit, of which
//! those hear that need it.

use proto::{
    dbus::systemd::NO_SUCH_UNIT,
    message::{ClaimKey, OrderId, PROTOCOL_RELOADS, ToAgent},
    model::{Cause, ClaimState, JobKind, JobMode, JobResult, Reason},
    name::{NodeName, UnitName},
    time::Moment,
};

use crate::{
    Fleet,
    claim::unknown,
    input::PeerId,
    job::{Asker, Job, Order, Owner},
    output::{Output, RequestError},
};

/// What is ordered.
pub(crate) struct Wish {
    pub(crate) kind: JobKind,
    pub(crate) node: NodeName,
    pub(crate) unit: UnitName,
}

impl Fleet {
    /// A unit of this node orders something of another, whose agent is asked for a job. Whoever may
    /// need units of a node may also have them stopped and reloaded.
    pub(crate) fn take_order(
        &mut self,
        now: Moment,
        source: &NodeName,
        (peer, id): (PeerId, OrderId),
        wish: Wish,
    ) {
        // The agent gives it again to the next controller.
        if self.stopping {
            return;
        }
        let Wish { kind, node, unit } = wish;
        let known = self.nodes.contains_key(&node);
        let allowed = match kind {
            JobKind::Stop | JobKind::Reload => self.settings.allows(source, &node),
            JobKind::Start | JobKind::Restart => false,
        };
        let refusal = match (known, allowed) {
            (true, true) => None,
            (false, _) => Some(unknown(&node, &unit, self.nodes.keys())),
            (true, false) => Some(Reason::new(
                Cause::NotAllowed,
                format!(
                    "units of node {source} may not {kind} units of node {node}; allow_dependencies_on of the controller's configuration does not list it"
                ),
            )),
        };
        let order = Order {
            owner: Owner::Node(source.clone()),
            asker: Asker::Agent(peer, id),
            node,
            kind,
            unit,
            mode: JobMode::Replace,
            transient: None,
            named: None,
        };
        let refusal = match refusal {
            Some(reason) => Some(reason),
            None => self.start_job(now, order).err().map(reason_of),
        };
        if let Some(reason) = refusal {
            self.ordered(peer, id, Err(reason));
        }
    }

    /// A unit of this node was reloaded: whoever has it up is told, and looks who wants to know.
    pub(crate) fn unit_reloaded(&mut self, target: &NodeName, unit: &UnitName) {
        let Some(node) = self.nodes.get(target) else {
            return;
        };
        let key = ClaimKey {
            node: target.clone(),
            unit: unit.clone(),
        };
        let holds = node.claimed_by.iter().filter(|hold| hold.unit == *unit);
        let sources = holds.filter_map(|hold| self.nodes.get(&hold.source));
        let up = sources.filter(|source| {
            let record = source.records.get(&key);
            record.is_some_and(|record| record.state == ClaimState::Up)
        });
        let peers = up.filter_map(|source| source.peer());
        let peers: Vec<PeerId> = peers
            .filter(|peer| peer.hello.protocol >= PROTOCOL_RELOADS)
            .map(|peer| peer.id)
            .collect();
        for peer in peers {
            let message = ToAgent::Reloaded(key.clone());
            self.put(Output::Send { peer, message });
        }
    }

    /// Answers an order, if the agent is still there; a new connection gives its orders again.
    pub(crate) fn ordered(&mut self, peer: PeerId, order: OrderId, result: Result<(), Reason>) {
        if self.peers.contains_key(&peer) {
            let message = ToAgent::Ordered { order, result };
            self.put(Output::Send { peer, message });
        }
    }
}

/// How an order ends whose job was not queued.
pub(crate) fn refused(job: &Job, error: RequestError) -> Result<(), Reason> {
    let reason = reason_of(error);
    // systemd refuses to stop what is not loaded; it is not active either.
    match (job.kind, reason.cause) {
        (JobKind::Stop, Cause::UnitNotFound) => Ok(()),
        _ => Err(reason),
    }
}

/// How an order ends with its job.
pub(crate) fn ended(job: &Job, result: JobResult, reason: Option<Reason>) -> Result<(), Reason> {
    if result == JobResult::Done {
        return Ok(());
    }
    Err(reason.unwrap_or_else(|| {
        let cause = match result {
            JobResult::Canceled => Cause::Canceled,
            JobResult::Timeout => Cause::Timeout,
            JobResult::Done
            | JobResult::Failed
            | JobResult::Dependency
            | JobResult::Skipped
            | JobResult::Invalid
            | JobResult::Assert
            | JobResult::Unsupported
            | JobResult::Collected
            | JobResult::Once
            | JobResult::Frozen => Cause::UnitFailed,
        };
        let Job {
            kind, unit, node, ..
        } = job;
        Reason::new(
            cause,
            format!("the {kind} of unit {unit} on node {node} ended as {result}"),
        )
    }))
}

fn reason_of(error: RequestError) -> Reason {
    let text = error.to_string();
    let cause = match error {
        RequestError::UnknownNode(_) => Cause::NodeUnknown,
        RequestError::Offline(_) => Cause::NodeOffline,
        RequestError::Limit { .. } => Cause::Limit,
        RequestError::Timeout { .. } => Cause::Timeout,
        RequestError::NodeGone(_) => Cause::NodeLost,
        RequestError::Refused(reason) => return reason,
        RequestError::Agent(error) if error.name == NO_SUCH_UNIT => Cause::UnitNotFound,
        RequestError::Agent(_)
        | RequestError::Stopping
        | RequestError::UnknownJob(_)
        | RequestError::UnknownMonitor(_)
        | RequestError::UnknownSubscription(_)
        | RequestError::NoCookies(_) => Cause::Manager,
    };
    Reason::new(cause, text)
}
