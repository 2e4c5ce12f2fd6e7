use proto::{
    message::{Hello, PROTOCOL, Stream, ToAgent, ToController, Welcome},
    model::{Cause, NodeStatus, Reason},
    name::NodeName,
    rhythm::Rhythm,
    sync::Generation,
    time::Moment,
};

use crate::{
    Fleet,
    input::{Gone, Origin, PeerId},
    node::{Link, Peer},
    order::Wish,
    output::{Breach, Disconnect, Event, Output},
    timer::Timer,
};

impl Fleet {
    /// An agent has said its name.
    pub(crate) fn hello(&mut self, now: Moment, peer: PeerId, hello: Hello, origin: Origin) {
        if self.peers.contains_key(&peer) {
            return self.breach(now, peer, Breach::SecondHello);
        }
        let name = hello.node.clone();
        let reason = match self.nodes.get(&name) {
            None => Reason::new(
                Cause::NotAllowed,
                format!(
                    "node {name} is not allowed; the controller's configuration does not name it"
                ),
            ),
            Some(node) => match node.peer() {
                Some(there) if !there.is_same(&hello) => Reason::new(
                    Cause::Limit,
                    format!(
                        "node {name} is online already, from {}",
                        there.origin.address
                    ),
                ),
                Some(there) => {
                    let old = there.id;
                    self.disconnect(now, old, Disconnect::Replaced);
                    return self.register(now, peer, hello, origin);
                }
                None => return self.register(now, peer, hello, origin),
            },
        };
        self.put(Output::Log(Event::Rejected {
            node: name,
            address: origin.address,
            reason: reason.clone(),
        }));
        self.put(Output::Send {
            peer,
            message: ToAgent::Rejected(reason),
        });
        self.put(Output::Disconnect {
            peer,
            why: Disconnect::Rejected,
        });
    }

    fn register(&mut self, now: Moment, peer: PeerId, hello: Hello, origin: Origin) {
        let name = hello.node.clone();
        let heartbeat = self.settings.heartbeat;
        let start_timeout = self
            .settings
            .policy(&name)
            .unwrap_or_default()
            .start_timeout;
        let event = Event::NodeOnline {
            node: name.clone(),
            address: origin.address.clone(),
            version: hello.version.clone(),
            protocol: hello.protocol,
        };
        let rhythm = Rhythm::after(now, heartbeat.interval, peer.0);
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        node.last_heard = Some(now);
        node.link = Link::Up(Box::new(Peer {
            id: peer,
            hello,
            origin,
            since: now,
            heartbeat: rhythm,
        }));
        self.peers.insert(peer, name.clone());
        self.set_heartbeat(peer, rhythm);
        self.timers
            .set(Timer::Silence(peer), now.plus(heartbeat.threshold));
        let version = self.settings.version.clone();
        self.put(Output::Send {
            peer,
            message: ToAgent::Welcome(Welcome {
                protocol: PROTOCOL,
                version,
                start_timeout,
            }),
        });
        self.put(Output::Log(event));
        self.put(Output::NodeStatus {
            node: name.clone(),
            status: NodeStatus::Online,
        });
        self.online = self.online.saturating_add(1);
        self.note_status();
        self.claims_connected(&name);
        self.watch_anew(&name, peer);
    }

    /// A registered agent has said something.
    pub(crate) fn message(&mut self, now: Moment, peer: PeerId, message: ToController) {
        let Some(name) = self.peers.get(&peer).cloned() else {
            return;
        };
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        node.last_heard = Some(now);
        let taken = match message {
            ToController::Hello(_) => Err(Breach::SecondHello),
            ToController::Goodbye => {
                self.disconnect(now, peer, Disconnect::Goodbye);
                Ok(())
            }
            ToController::Heartbeat => Ok(()),
            ToController::Claims(delta) => {
                let generation = delta.generation;
                self.hear_claims(&name, delta)
                    .map(|()| self.acknowledge(peer, Stream::Claims, generation))
            }
            ToController::HoldStates(delta) => {
                let generation = delta.generation;
                self.hear_hold_states(now, &name, delta)
                    .map(|()| self.acknowledge(peer, Stream::HoldStates, generation))
            }
            ToController::Waits(delta) => {
                let generation = delta.generation;
                self.hear_waits(&name, delta)
                    .map(|()| self.acknowledge(peer, Stream::Waits, generation))
            }
            ToController::Acknowledged(stream, generation) => {
                self.acknowledged(&name, stream, generation)
            }
            ToController::Order {
                order,
                kind,
                node,
                unit,
            } => {
                let wish = Wish { kind, node, unit };
                self.take_order(now, &name, (peer, order), wish);
                Ok(())
            }
            ToController::JobState { job, state } => {
                self.job_state(now, &name, job, state);
                Ok(())
            }
            ToController::JobDone {
                job,
                result,
                reason,
            } => {
                self.job_done(now, &name, job, result, reason);
                Ok(())
            }
        };
        if let Err(breach) = taken {
            self.breach(now, peer, breach);
        }
    }

    fn acknowledge(&mut self, peer: PeerId, stream: Stream, generation: Generation) {
        self.put(Output::Send {
            peer,
            message: ToAgent::Acknowledged(stream, generation),
        });
    }

    fn acknowledged(
        &mut self,
        name: &NodeName,
        stream: Stream,
        generation: Generation,
    ) -> Result<(), Breach> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        match stream {
            Stream::ClaimStates => node.claim_states.acknowledged(generation)?,
            Stream::Holds => node.holds.acknowledged(generation)?,
            Stream::Claims | Stream::HoldStates | Stream::Waits => {
                return Err(Breach::OwnSet);
            }
        }
        self.unsettled.tellers.insert(name.clone());
        Ok(())
    }

    fn breach(&mut self, now: Moment, peer: PeerId, breach: Breach) {
        self.disconnect(now, peer, Disconnect::Breach(breach));
    }

    /// Says to an agent that the controller is alive.
    pub(crate) fn heartbeat(&mut self, now: Moment, peer: PeerId) {
        let name = self.peers.get(&peer);
        let there = name.and_then(|name| self.nodes.get_mut(name)?.peer_mut());
        if let Some(there) = there {
            there.heartbeat.take(now);
            let rhythm = there.heartbeat;
            self.set_heartbeat(peer, rhythm);
            self.put(Output::Send {
                peer,
                message: ToAgent::Heartbeat,
            });
        }
    }

    fn set_heartbeat(&mut self, peer: PeerId, rhythm: Rhythm) {
        match rhythm.due() {
            Some(due) => self.timers.set(Timer::Heartbeat(peer), due),
            None => self.timers.cancel(Timer::Heartbeat(peer)),
        }
    }

    /// The interval may be another one: the next heartbeats are due by that.
    pub(crate) fn change_heartbeats(&mut self, now: Moment) {
        let interval = self.settings.heartbeat.interval;
        let peers = self.nodes.values_mut().filter_map(|node| node.peer_mut());
        let changed: Vec<(PeerId, Rhythm)> = peers
            .map(|peer| {
                peer.heartbeat.set_spacing(now, interval);
                (peer.id, peer.heartbeat)
            })
            .collect();
        for (peer, rhythm) in changed {
            self.set_heartbeat(peer, rhythm);
        }
    }

    /// Looks whether an agent was silent for too long. The timer is not moved with each message,
    /// which would be work for nothing; it finds out here that there was one.
    pub(crate) fn look_for_silence(&mut self, now: Moment, peer: PeerId) {
        let threshold = self.settings.heartbeat.threshold;
        let heard = self
            .peers
            .get(&peer)
            .and_then(|name| self.nodes.get(name)?.last_heard);
        let Some(heard) = heard else {
            return;
        };
        let since = self.resumed.map_or(heard, |resumed| heard.max(resumed));
        if since.plus(threshold) <= now {
            self.disconnect(now, peer, Disconnect::Silent(now.since(heard)));
        } else {
            self.timers.set(Timer::Silence(peer), since.plus(threshold));
        }
    }

    /// A connection has ended.
    pub(crate) fn gone(&mut self, now: Moment, peer: PeerId, why: Gone) {
        let why = match why {
            Gone::Closed => "its agent closed the connection".to_owned(),
            Gone::Failed(text) => text,
        };
        self.offline(now, peer, &why);
    }

    /// Ends a connection.
    pub(crate) fn disconnect(&mut self, now: Moment, peer: PeerId, why: Disconnect) {
        let text = why.to_string();
        self.put(Output::Disconnect { peer, why });
        self.offline(now, peer, &text);
    }

    /// The agent of a node is not connected any more.
    fn offline(&mut self, now: Moment, peer: PeerId, why: &str) {
        let Some(name) = self.peers.remove(&peer) else {
            return;
        };
        self.timers.cancel(Timer::Heartbeat(peer));
        self.timers.cancel(Timer::Silence(peer));
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        node.link = Link::Down;
        let jobs = std::mem::take(&mut node.jobs);
        let calls = std::mem::take(&mut node.calls);
        let event = Event::NodeOffline {
            node: name.clone(),
            why: why.to_owned(),
            jobs: jobs.len(),
            claims: node.records.len(),
            claimed: node.claimed_by.len(),
        };
        self.put(Output::Log(event));
        self.put(Output::NodeStatus {
            node: name.clone(),
            status: NodeStatus::Offline,
        });
        self.online = self.online.saturating_sub(1);
        self.note_status();
        self.lose_jobs(&name, jobs, why);
        self.lose_calls(calls);
        self.unwatch(&name);
        self.claims_disconnected(now, &name);
    }
}
