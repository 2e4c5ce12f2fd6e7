use std::collections::{BTreeMap, BTreeSet};

use proto::{name::NodeName, time::Moment};

use crate::{
    Fleet,
    input::{PeerId, RequestId},
    limits::CALLS_PER_NODE_MAX,
    node::Node,
    output::{Answer, Output, RequestError},
    timer::Timer,
};

/// The calls that were handed on and wait for an answer, with their nodes.
pub(crate) type Calls = BTreeMap<RequestId, NodeName>;

/// The node, and the connection of its agent.
pub(crate) fn online<'a>(
    nodes: &'a mut BTreeMap<NodeName, Node>,
    name: &NodeName,
) -> Result<(&'a mut Node, PeerId), RequestError> {
    let Some(node) = nodes.get_mut(name) else {
        return Err(RequestError::UnknownNode(name.clone()));
    };
    match node.peer().map(|peer| peer.id) {
        Some(peer) => Ok((node, peer)),
        None => Err(RequestError::Offline(name.clone())),
    }
}

impl Fleet {
    /// Hands a call on.
    pub(crate) fn forward(
        &mut self,
        now: Moment,
        id: RequestId,
        name: NodeName,
    ) -> Result<(), RequestError> {
        let (node, peer) = online(&mut self.nodes, &name)?;
        if node.calls.len() >= CALLS_PER_NODE_MAX {
            return Err(RequestError::Limit {
                what: "calls",
                whose: format!("node {name}"),
                max: CALLS_PER_NODE_MAX,
            });
        }
        node.calls.insert(id);
        self.calls.insert(id, name);
        self.timers
            .set(Timer::Call(id), now.plus(self.settings.call_timeout));
        self.put(Output::Forward { id, peer });
        Ok(())
    }

    /// The agent has answered. A call that was answered before, by time or by the end of its node,
    /// is not answered again.
    pub(crate) fn forwarded(&mut self, id: RequestId) {
        if self.end_call(id).is_some() {
            self.put(Output::Answer {
                id,
                result: Ok(Answer::Forwarded),
            });
        }
    }

    /// The answer to a call did not come in time.
    pub(crate) fn call_timed_out(&mut self, id: RequestId) {
        if let Some(node) = self.end_call(id) {
            let after = self.settings.call_timeout;
            self.put(Output::Answer {
                id,
                result: Err(RequestError::Timeout { node, after }),
            });
        }
    }

    /// The node of these calls went away.
    pub(crate) fn lose_calls(&mut self, calls: BTreeSet<RequestId>) {
        for id in calls {
            if let Some(node) = self.end_call(id) {
                self.put(Output::Answer {
                    id,
                    result: Err(RequestError::NodeGone(node)),
                });
            }
        }
    }

    fn end_call(&mut self, id: RequestId) -> Option<NodeName> {
        let name = self.calls.remove(&id)?;
        if let Some(node) = self.nodes.get_mut(&name) {
            node.calls.remove(&id);
        }
        self.timers.cancel(Timer::Call(id));
        Some(name)
    }
}
