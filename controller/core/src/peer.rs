use std::collections::BTreeSet;

use proto::{
    message::{
        Hello, PROTOCOL, PROTOCOL_JOBS, PROTOCOL_TIMEOUTS, Stream, ToAgent, ToController, Welcome,
    },
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
    output::{Breach, Disconnect, Event, Output, RequestError},
    settings::Settings,
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
                None => {
                    // Another boot, or an agent that tells nothing of before, is a new beginning.
                    if node.agent().is_some_and(|agent| !agent.is_again(&hello)) {
                        self.away_over(now, &name);
                    }
                    return self.register(now, peer, hello, origin);
                }
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
        let timeouts = self.settings.start_timeouts(&name);
        let protocol = hello.protocol;
        let event = Event::NodeOnline {
            node: name.clone(),
            address: origin.address.clone(),
            version: hello.version.clone(),
            protocol: hello.protocol,
        };
        let rhythm = Rhythm::joining(now, heartbeat.interval, peer.0);
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        node.last_heard = Some(now);
        node.jobs_told = false;
        let away = match &node.link {
            Link::Away(_, since, why) => Some((now.since(*since), why.clone())),
            Link::Up(_) | Link::Down => None,
        };
        node.resumed &= away.is_some();
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
                start_timeout: timeouts.other,
            }),
        });
        if protocol >= PROTOCOL_TIMEOUTS && !timeouts.units.is_empty() {
            let message = ToAgent::StartTimeouts(timeouts);
            self.put(Output::Send { peer, message });
        }
        self.timers.cancel(Timer::Resume(name.clone()));
        match away {
            Some((away, why)) => {
                let node = name.clone();
                self.put(Output::Log(Event::NodeResumed { node, away, why }));
            }
            None => {
                self.put(Output::Log(event));
                self.put(Output::NodeStatus {
                    node: name.clone(),
                    status: NodeStatus::Online,
                });
                self.online = self.online.saturating_add(1);
                self.note_status();
                self.greet(&name);
            }
        }
        self.claims_connected(&name);
        self.watch_anew(&name, peer);
        self.forward_again(&name, peer);
        if protocol < PROTOCOL_JOBS {
            // It will not tell what it knows; what came meanwhile is all that there is.
            let _ = self.hear_jobs(now, (&name, peer), Vec::new());
        }
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
            ToController::Heartbeat => {
                self.answer_heartbeat(now, peer);
                Ok(())
            }
            ToController::Claims(delta) => {
                let generation = delta.generation;
                self.hear_claims(&name, delta)
                    .map(|()| self.acknowledge(peer, Stream::Claims, generation))
            }
            ToController::Jobs(known) => self.hear_jobs(now, (&name, peer), known),
            ToController::HoldStates(delta) => {
                let generation = delta.generation;
                // Whoever has jobs to tell of has told them before.
                self.no_more_jobs(now, &name, peer);
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
            ToController::Reloaded(unit) => {
                self.unit_reloaded(&name, &unit);
                Ok(())
            }
            ToController::JobState { job, state } => {
                self.job_state(now, &name, job, state);
                Ok(())
            }
            ToController::JobIs {
                asked,
                job,
                standing,
            } => {
                self.job_is(now, &name, asked, (job, standing));
                Ok(())
            }
            ToController::JobDone {
                job,
                result,
                reason,
            } => {
                self.job_done(now, &name, job, result, reason);
                self.acknowledge_job(peer, job);
                Ok(())
            }
        };
        if let Err(breach) = taken {
            self.breach(now, peer, breach);
        }
    }

    /// Tells each node that is online what is new about the times of its claims.
    pub(crate) fn tell_start_timeouts(&mut self, before: &Settings) {
        let online = self.nodes.iter().filter_map(|(name, node)| {
            let peer = node.peer()?;
            (peer.hello.protocol >= PROTOCOL_TIMEOUTS).then_some((name, peer.id))
        });
        let told: Vec<_> = online
            .map(|(name, peer)| (peer, before.start_timeouts(name), name))
            .map(|(peer, before, name)| (peer, before, self.settings.start_timeouts(name)))
            .filter(|(_, before, now)| before != now)
            .collect();
        for (peer, _, timeouts) in told {
            let message = ToAgent::StartTimeouts(timeouts);
            self.put(Output::Send { peer, message });
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
        self.beat(peer, |rhythm| {
            rhythm.take(now);
            true
        });
    }

    /// An agent says that it is alive. If it is to be told the same soon, that is done while everybody is
    /// awake: of a thousand quiet agents, each costs one wake-up in an interval, not two.
    fn answer_heartbeat(&mut self, now: Moment, peer: PeerId) {
        self.beat(peer, |rhythm| rhythm.join(now));
    }

    fn beat(&mut self, peer: PeerId, is_time: impl FnOnce(&mut Rhythm) -> bool) {
        let name = self.peers.get(&peer);
        let there = name.and_then(|name| self.nodes.get_mut(name)?.peer_mut());
        if let Some(there) = there
            && is_time(&mut there.heartbeat)
        {
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
        self.away(now, peer, why);
    }

    /// Ends a connection.
    pub(crate) fn disconnect(&mut self, now: Moment, peer: PeerId, why: Disconnect) {
        let text = why.to_string();
        let comes_back = match &why {
            Disconnect::Replaced => true,
            Disconnect::Rejected
            | Disconnect::Goodbye
            | Disconnect::Silent(_)
            | Disconnect::Breach(_)
            | Disconnect::Removed => false,
        };
        self.put(Output::Disconnect { peer, why });
        if comes_back {
            self.away(now, peer, text);
        } else {
            self.offline(now, peer, text);
        }
    }

    /// The connection of an agent has broken. It is back within moments, or its node is offline after
    /// the window. What only BlueChi's agents speak knows nothing of coming back.
    fn away(&mut self, now: Moment, peer: PeerId, why: String) {
        let window = self.settings.resume_window;
        let Some((name, agent)) = self.unlink(peer) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        if window.is_zero() || agent.hello.protocol == 0 {
            return self.went(now, &name, &why);
        }
        let calls = std::mem::take(&mut node.calls);
        let lost = if agent.hello.protocol < PROTOCOL_JOBS {
            std::mem::take(&mut node.jobs)
        } else {
            BTreeSet::new()
        };
        node.link = Link::Away(agent, now, why.clone());
        node.resumed = node.hold_states.has_heard() || node.resumed;
        self.timers
            .set(Timer::Resume(name.clone()), now.plus(window));
        // What was handed on may have been done or not; only whoever asked can know whether to ask again.
        self.lose_calls(calls);
        self.lose_jobs(&name, lost, &why);
        self.claims_disconnected(now, &name);
    }

    /// The agent of a node is not connected any more, and is not waited for.
    fn offline(&mut self, now: Moment, peer: PeerId, why: String) {
        if let Some((name, _)) = self.unlink(peer) {
            self.went(now, &name, &why);
        }
    }

    /// The agent of a node has not come back.
    pub(crate) fn away_over(&mut self, now: Moment, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        match &node.link {
            Link::Away(_, _, why) => {
                let why = why.clone();
                self.went(now, name, &why);
            }
            Link::Down => self.not_come(name),
            Link::Up(_) => {}
        }
    }

    /// A node was waited for after the start of the controller, and has not come.
    fn not_come(&mut self, name: &NodeName) {
        self.timers.cancel(Timer::Resume(name.clone()));
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let jobs = std::mem::take(&mut node.jobs);
        let calls = std::mem::take(&mut node.calls);
        for job in jobs {
            self.job_never_was(job, RequestError::Offline(name.clone()));
        }
        for call in calls {
            self.fail_call(call, RequestError::Offline(name.clone()));
        }
    }

    /// Forgets a connection. Its node is still said to be online after this.
    fn unlink(&mut self, peer: PeerId) -> Option<(NodeName, Box<Peer>)> {
        let name = self.peers.remove(&peer)?;
        self.timers.cancel(Timer::Heartbeat(peer));
        self.timers.cancel(Timer::Silence(peer));
        let node = self.nodes.get_mut(&name)?;
        match std::mem::take(&mut node.link) {
            Link::Up(agent) => Some((name, agent)),
            Link::Down | Link::Away(..) => None,
        }
    }

    /// A node is offline.
    fn went(&mut self, now: Moment, name: &NodeName, why: &str) {
        self.timers.cancel(Timer::Resume(name.clone()));
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.link = Link::Down;
        node.resumed = false;
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
        self.lose_jobs(name, jobs, why);
        self.lose_calls(calls);
        self.unwatch(name);
        self.claims_disconnected(now, name);
        self.touch_target(name);
    }

    /// Whoever tells its holds has told all its jobs.
    fn no_more_jobs(&mut self, now: Moment, name: &NodeName, peer: PeerId) {
        let told = self.nodes.get(name).is_none_or(|node| {
            let agent = node.peer();
            node.jobs_told || agent.is_none_or(|it| it.hello.protocol < PROTOCOL_JOBS)
        });
        if !told {
            // It was not told, so this is not for the second time.
            let _ = self.hear_jobs(now, (name, peer), Vec::new());
        }
    }
}
