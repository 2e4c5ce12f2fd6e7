use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::{name::NodeName, time::Moment};

use crate::{
    Fleet,
    input::{ClientId, PeerId, RequestId},
    limits::{ADOPTED_GRACE_MIN, CALL_TIMEOUTS_MAX, CALLS_PER_NODE_MAX},
    node::{Link, Node},
    output::{Answer, Output, RequestError},
    timer::Timer,
};

/// The calls that were handed on and wait for an answer, with their nodes and how long they may.
pub(crate) type Calls = BTreeMap<RequestId, (NodeName, Duration)>;

impl Fleet {
    /// The node, and the connection of its agent; none while that is coming back, or is about to come for the first
    /// time since the controller started: what is to be done then waits for it until the window is over. What is asked
    /// for again waits as long as an agent may need to come back: it may have been done, and only that agent knows.
    pub(crate) fn reachable(
        &mut self,
        now: Moment,
        name: &NodeName,
        again: bool,
    ) -> Result<(&mut Node, Option<PeerId>), RequestError> {
        let window = self.settings.resume_window;
        let window = if again {
            window.max(ADOPTED_GRACE_MIN)
        } else {
            window
        };
        let ends = self.begun.plus(window);
        let Some(node) = self.nodes.get_mut(name) else {
            return Err(RequestError::UnknownNode(name.clone()));
        };
        match &node.link {
            Link::Up(peer) => {
                let peer = peer.id;
                Ok((node, Some(peer)))
            }
            Link::Away(..) => Ok((node, None)),
            Link::Down if node.last_heard.is_none() && now < ends => {
                // All that waits for it waits for as long as the most patient.
                self.timers.set_or_later(Timer::Resume(name.clone()), ends);
                Ok((node, None))
            }
            Link::Down => Err(RequestError::Offline(name.clone())),
        }
    }

    /// Hands a call on.
    pub(crate) fn forward(
        &mut self,
        now: Moment,
        (id, client): (RequestId, ClientId),
        name: NodeName,
    ) -> Result<(), RequestError> {
        let within = self.call_timeout_of(client);
        let (node, peer) = self.reachable(now, &name, false)?;
        if node.calls.len() >= CALLS_PER_NODE_MAX {
            return Err(RequestError::Limit {
                what: "calls",
                whose: format!("node {name}"),
                max: CALLS_PER_NODE_MAX,
            });
        }
        node.calls.insert(id);
        self.calls.insert(id, (name, within));
        self.timers.set(Timer::Call(id), now.plus(within));
        // Otherwise it is handed on when the agent is back.
        if let Some(peer) = peer {
            self.put(Output::Forward { id, peer });
        }
        Ok(())
    }

    /// The agent is back: it is given the calls that came meanwhile.
    pub(crate) fn forward_again(&mut self, name: &NodeName, peer: PeerId) {
        let calls = self.nodes.get(name).map(|node| node.calls.clone());
        for id in calls.unwrap_or_default() {
            self.put(Output::Forward { id, peer });
        }
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

    /// A call could not be handed on.
    pub(crate) fn fail_call(&mut self, id: RequestId, why: RequestError) {
        if self.end_call(id).is_some() {
            let result = Err(why);
            self.put(Output::Answer { id, result });
        }
    }

    /// The answer to a call did not come in time.
    pub(crate) fn call_timed_out(&mut self, id: RequestId) {
        if let Some((node, after)) = self.end_call(id) {
            self.put(Output::Answer {
                id,
                result: Err(RequestError::Timeout { node, after }),
            });
        }
    }

    /// The node of these calls went away.
    pub(crate) fn lose_calls(&mut self, calls: BTreeSet<RequestId>) {
        for id in calls {
            if let Some((node, _)) = self.end_call(id) {
                self.put(Output::Answer {
                    id,
                    result: Err(RequestError::NodeGone(node)),
                });
            }
        }
    }

    fn end_call(&mut self, id: RequestId) -> Option<(NodeName, Duration)> {
        let (name, within) = self.calls.remove(&id)?;
        if let Some(node) = self.nodes.get_mut(&name) {
            node.calls.remove(&id);
        }
        self.timers.cancel(Timer::Call(id));
        Some((name, within))
    }

    /// How long calls of this client may wait for a node, from now on.
    pub(crate) fn set_call_timeout(
        &mut self,
        client: ClientId,
        within: Option<Duration>,
    ) -> Result<Answer, RequestError> {
        let Some(within) = within else {
            self.call_timeouts.remove(&client);
            return Ok(Answer::Done);
        };
        let timeouts = &mut self.call_timeouts;
        if timeouts.len() >= CALL_TIMEOUTS_MAX && !timeouts.contains_key(&client) {
            return Err(RequestError::Limit {
                what: "deadlines",
                whose: "all clients together".to_owned(),
                max: CALL_TIMEOUTS_MAX,
            });
        }
        timeouts.insert(client, within);
        Ok(Answer::Done)
    }

    /// How long a call of this client may wait for a node.
    pub(crate) fn call_timeout_of(&self, client: ClientId) -> Duration {
        let own = self.call_timeouts.get(&client).copied();
        own.unwrap_or(self.settings.call_timeout)
    }
}
