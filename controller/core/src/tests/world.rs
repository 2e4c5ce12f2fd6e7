//! A fleet, and agents that do as they are told.

mod line;

use std::{collections::BTreeMap, time::Duration};

use proto::{
    message::{
        Claim, ClaimKey, Hello, Hold, HoldKey, HoldWait, Stream, ToAgent, ToController, TokenState,
        WaitOn,
    },
    model::{Cause, ClaimState, JobId, JobKind, JobMode, Reason, Token},
    name::{NodeName, UnitName},
    sync::{Delta, Generation, Listener},
    time::Moment,
};

use crate::{
    AgentError, ClaimPolicy, ClientId, DependsOn, Event, Fleet, Gone, Heartbeat, Input,
    NodeSettings, OnLoss, Origin, Output, PeerId, Request, RequestId, Settings, Transport,
};

use line::show;

/// One claim that a start waits for, as `NODE UNIT TOKEN VIA`.
pub(super) type On<'a> = (&'a str, &'a str, u8, Option<&'a str>);

pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) now: Moment,
    /// Agents that answer, with their nodes.
    peers: BTreeMap<PeerId, String>,
    next_peer: u64,
    /// The generations of what each agent tells.
    told: BTreeMap<(PeerId, bool), u64>,
    lines: Vec<String>,
    /// What each agent was told to hold.
    holds: BTreeMap<PeerId, Listener<HoldKey, Hold>>,
    /// The sets of agents that were acknowledged.
    acknowledged: Vec<(PeerId, Stream, Generation)>,
    /// The boot of machines that say hello from now on.
    pub(super) boot: &'static str,
    /// How often an agent was told that the controller is alive.
    pub(super) heartbeats: usize,
    /// How claims came to stand, as the log has it.
    pub(super) logged: Vec<&'static str>,
}

pub(super) fn name(text: &str) -> NodeName {
    text.parse().expect("node name")
}

pub(super) fn unit(text: &str) -> UnitName {
    text.parse().expect("unit name")
}

pub(super) fn token(n: u8) -> Token {
    Token([n; 16])
}

/// `a` may depend on anything; `b` and `d` on nothing; `k` on anything and keeps what is lost.
pub(super) fn settings(nodes: &str) -> Settings {
    let node = |text: &str| {
        let mut node = NodeSettings::default();
        if matches!(text, "a" | "k") {
            node.depends_on = DependsOn::Any;
        }
        if text == "k" {
            node.claims.on_loss = OnLoss::Keep;
        }
        (name(text), node)
    };
    Settings {
        nodes: nodes.split_whitespace().map(node).collect(),
        heartbeat: Heartbeat::default(),
        resume_window: Duration::ZERO,
        call_timeout: Duration::from_secs(30),
        job_timeout: None,
        version: "1".into(),
    }
}

impl World {
    pub(super) fn new(nodes: &str) -> Self {
        Self::with(settings(nodes))
    }

    pub(super) fn with(settings: Settings) -> Self {
        let now = Moment::at(Duration::from_secs(100));
        Self {
            fleet: Fleet::new(settings, now, JobId(1)),
            now,
            peers: BTreeMap::new(),
            next_peer: 1,
            told: BTreeMap::new(),
            lines: Vec::new(),
            holds: BTreeMap::new(),
            acknowledged: Vec::new(),
            boot: "boot",
            heartbeats: 0,
            logged: Vec::new(),
        }
    }

    /// A fleet with these nodes online, and silence about it.
    pub(super) fn online(nodes: &str) -> Self {
        let mut world = Self::new(nodes);
        for node in nodes.split_whitespace() {
            world.join(node);
        }
        world.take();
        world
    }

    /// The lines since the last time, less heartbeats, acknowledgements and log lines of no weight.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Says hello; its connection is new.
    pub(super) fn hello(&mut self, node: &str, incarnation: u64, protocol: u32) -> PeerId {
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        self.peers.insert(peer, node.to_owned());
        let hello = Hello {
            node: name(node),
            protocol,
            version: "1".into(),
            boot_id: self.boot.into(),
            incarnation,
        };
        let origin = Origin {
            address: format!("[::1]:{}", peer.0),
            transport: Transport::Tcp,
            encrypted: false,
        };
        self.give(Input::Hello {
            peer,
            hello,
            origin,
        });
        peer
    }

    /// An agent without claims or holds comes.
    pub(super) fn join(&mut self, node: &str) -> PeerId {
        let peer = self.hello(node, 1, 1);
        self.hold_states(peer, true, &[]);
        self.claims(peer, true, &[]);
        peer
    }

    pub(super) fn peer(&self, node: &str) -> PeerId {
        *self
            .peers
            .iter()
            .rev()
            .find(|(_, name)| *name == node)
            .expect("connected")
            .0
    }

    /// Whether a connection is there and registered, and its agent answers.
    pub(super) fn is_registered(&self, peer: PeerId) -> bool {
        self.peers.contains_key(&peer)
    }

    /// What the agent was told to hold on this connection, once it was told.
    pub(super) fn told_holds(&self, peer: PeerId) -> Option<&BTreeMap<HoldKey, Hold>> {
        self.holds.get(&peer).map(Listener::entries)
    }

    /// The agent is silent from now on; its connection stays.
    pub(super) fn freeze(&mut self, node: &str) {
        let peer = self.peer(node);
        self.peers.remove(&peer);
    }

    /// The connection ends.
    pub(super) fn cut(&mut self, node: &str) {
        let peer = self.peer(node);
        self.peers.remove(&peer);
        self.give(Input::Gone {
            peer,
            why: Gone::Closed,
        });
    }

    /// An agent says something; a set that is taken in has to be acknowledged.
    pub(super) fn say(&mut self, peer: PeerId, message: ToController) {
        let set = match &message {
            ToController::Claims(delta) => Some((Stream::Claims, delta.generation)),
            ToController::HoldStates(delta) => Some((Stream::HoldStates, delta.generation)),
            ToController::Waits(delta) => Some((Stream::Waits, delta.generation)),
            ToController::Hello(_)
            | ToController::Goodbye
            | ToController::Heartbeat
            | ToController::Acknowledged(..)
            | ToController::Jobs(_)
            | ToController::JobState { .. }
            | ToController::JobIs { .. }
            | ToController::JobDone { .. }
            | ToController::Order { .. }
            | ToController::Reloaded(_) => None,
        };
        self.give(Input::Message { peer, message });
        if let Some((stream, generation)) = set.filter(|_| self.is_registered(peer)) {
            let there = self.acknowledged.contains(&(peer, stream, generation));
            assert!(there, "{stream:?} {generation:?} is not acknowledged");
        }
    }

    /// Claims, as `NODE UNIT TOKEN UP`; a token of 0 drops it.
    pub(super) fn claims(&mut self, peer: PeerId, full: bool, set: &[(&str, &str, u8, bool)]) {
        let (mut put, mut drop) = (Vec::new(), Vec::new());
        for (node, unit_name, n, up) in set {
            let key = ClaimKey {
                node: name(node),
                unit: unit(unit_name),
            };
            match n {
                0 => drop.push(key),
                n => put.push((
                    key,
                    Claim {
                        token: token(*n),
                        up: *up,
                    },
                )),
            }
        }
        let generation = self.generation(peer, true);
        self.say(
            peer,
            ToController::Claims(Delta {
                generation,
                full,
                put,
                drop,
            }),
        );
    }

    /// States of holds, as `UNIT SOURCE TOKEN STATE`; a token of 0 drops it.
    pub(super) fn hold_states(
        &mut self,
        peer: PeerId,
        full: bool,
        set: &[(&str, &str, u8, ClaimState)],
    ) {
        let (mut put, mut drop) = (Vec::new(), Vec::new());
        for (unit_name, source, n, state) in set {
            let key = HoldKey {
                unit: unit(unit_name),
                source: name(source),
            };
            match n {
                0 => drop.push(key),
                n => put.push((
                    key,
                    TokenState {
                        token: token(*n),
                        state: state.clone(),
                    },
                )),
            }
        }
        let generation = self.generation(peer, false);
        self.say(
            peer,
            ToController::HoldStates(Delta {
                generation,
                full,
                put,
                drop,
            }),
        );
    }

    /// What starts wait for, as `UNIT SOURCE TOKEN`, then [`On`]: the whole set, as
    /// the first message of its kind.
    pub(super) fn waits(&mut self, node: &str, set: &[(&str, &str, u8, On<'_>)]) {
        let mut put: BTreeMap<HoldKey, HoldWait> = BTreeMap::new();
        for (unit_name, source, n, (target, needed, of, via)) in set {
            let key = HoldKey {
                unit: unit(unit_name),
                source: name(source),
            };
            let claim = ClaimKey {
                node: name(target),
                unit: unit(needed),
            };
            let on = WaitOn {
                token: token(*of),
                via: via.iter().map(|via| unit(via)).collect(),
            };
            let token = token(*n);
            let wait = put.entry(key).or_insert_with(|| HoldWait {
                token,
                on: BTreeMap::new(),
            });
            wait.on.insert(claim, on);
        }
        let delta = Delta {
            generation: Generation(1),
            full: true,
            put: put.into_iter().collect(),
            drop: Vec::new(),
        };
        self.say(self.peer(node), ToController::Waits(delta));
    }

    fn generation(&mut self, peer: PeerId, claims: bool) -> Generation {
        let told = self.told.entry((peer, claims)).or_default();
        *told += 1;
        Generation(*told)
    }

    pub(super) fn request(&mut self, id: u64, request: Request) {
        self.give(Input::Request {
            id: RequestId(id),
            client: ClientId(1),
            request,
        });
    }

    pub(super) fn start(&mut self, id: u64, node: &str) {
        self.request(id, start_of(node));
    }

    pub(super) fn answered(&mut self, node: &str, job: u32, result: Result<(), &str>) {
        let result = result.map_err(|error| AgentError {
            name: error.into(),
            text: "no".into(),
        });
        self.give(Input::JobAnswered {
            peer: self.peer(node),
            job: JobId(job),
            result,
        });
    }

    pub(super) fn give(&mut self, input: Input) {
        self.fleet.handle(self.now, input);
        self.drain();
    }

    /// Time passes; agents that answer say so.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.plus(Duration::from_millis(ms));
        while let Some((at, _)) = self.fleet.deadline()
            && at <= end
        {
            self.now = self.now.max(at);
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.say(peer, ToController::Heartbeat);
            }
            self.fleet.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut acks = Vec::new();
        while let Some(output) = self.fleet.poll_output() {
            if let Output::Send { peer, message } = &output {
                match message {
                    ToAgent::Holds(delta) => {
                        acks.push((*peer, Stream::Holds, delta.generation));
                        let told = self.holds.entry(*peer).or_default();
                        told.hear(delta.clone(), usize::MAX).expect("in order");
                    }
                    ToAgent::ClaimStates(delta) => {
                        acks.push((*peer, Stream::ClaimStates, delta.generation));
                    }
                    ToAgent::Heartbeat => self.heartbeats += 1,
                    ToAgent::Acknowledged(stream, generation) => {
                        self.acknowledged.push((*peer, *stream, *generation));
                    }
                    ToAgent::Welcome(_)
                    | ToAgent::Rejected(_)
                    | ToAgent::Job { .. }
                    | ToAgent::CancelJob(_)
                    | ToAgent::JobHeard(_)
                    | ToAgent::Reloaded(_)
                    | ToAgent::StartTimeouts(_)
                    | ToAgent::Ordered { .. } => {}
                }
            }
            if let Output::Disconnect { peer, .. } = &output {
                self.peers.remove(peer);
            }
            if let Output::Log(Event::Claim { state, .. }) = &output {
                self.logged.push(state);
            }
            self.lines.extend(show(&output));
        }
        assert_eq!(self.fleet.check(), []);
        for (peer, stream, generation) in acks {
            if self.peers.contains_key(&peer) {
                self.say(peer, ToController::Acknowledged(stream, generation));
            }
        }
    }
}

pub(super) fn start_of(node: &str) -> Request {
    Request::Job {
        node: name(node),
        kind: JobKind::Start,
        unit: unit("t.service"),
        mode: JobMode::Replace,
        named: None,
    }
}

pub(super) fn down(cause: Cause) -> ClaimState {
    ClaimState::Down(Reason::new(cause, "because"))
}

pub(super) fn policy_of(world: &mut World, node: &str, policy: ClaimPolicy) {
    let mut settings = world.fleet.settings().clone();
    settings.nodes.get_mut(&name(node)).expect("known").claims = policy;
    world.give(Input::Settings(settings));
}
