//! The pure state machine of the fleet: which nodes are there, what is done on them, and who needs
//! what of whom. It has no clock, no randomness, no IO and no runtime: the same inputs at the same
//! moments give the same outputs in the same order.
//!
//! # Contract
//!
//! The owner of a [`Fleet`] does this, over and over:
//!
//! 1. It gives one [`Input`] to [`Fleet::handle`] with the present moment, or calls
//!    [`Fleet::handle_timeout`] when the moment of [`Fleet::deadline`] has come (calling it too
//!    early or too often does no harm). Moments never go backwards.
//! 2. It takes every [`Output`] from [`Fleet::poll_output`] until there is none, and carries them
//!    out in that order.
//! 3. It looks up [`Fleet::deadline`], and waits.
//!
//! Views ([`Fleet::nodes`], [`Fleet::jobs`], [`Fleet::claims`] …) may be read at any time.
//!
//! # Order
//!
//! * Messages of one peer are given in the order in which they came, each to the peer's connection
//!   ([`PeerId`]). A connection begins with [`Input::Hello`]; after [`Output::Disconnect`] or
//!   [`Input::Gone`] whatever still comes from it is dropped.
//! * Messages to one peer are sent in the order of the outputs, and a connection is closed after
//!   what precedes its disconnect.
//! * A call is answered exactly once. [`Output::JobNew`] precedes the answer that names the job,
//!   and [`Output::JobRemoved`] follows it.
//! * An input is taken in as a whole, then every claim that it touches is looked at once, then the
//!   nodes concerned are told. What is told about one set waits for the acknowledgement of what was
//!   told before, so nothing queues up for a slow peer.
//!
//! # Cost
//!
//! An input costs what it touches: the claims it names, the claims on the node that comes or goes,
//! and logarithms. Only [`Input::Settings`] looks at everything.
//!
//! # Limits
//!
//! Every bound is in [`limits`], with its reason.

mod call;
mod circle;
mod claim;
mod difference;
mod input;
mod invariant;
mod job;
pub mod limits;
mod monitor;
mod node;
mod order;
mod output;
mod peer;
mod settings;
#[cfg(test)]
mod tests;
mod timer;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proto::{
    model::{JobId, JobKind},
    name::NodeName,
    time::Moment,
};

pub use difference::{Difference, ToldSet};
pub use input::{AgentError, ClientId, Gone, Input, Origin, PeerId, Request, RequestId, Transport};
pub use invariant::Violation;
pub use job::{EndedJob, Job, JobsKnown};
pub use monitor::{Choice, MonitorId, MonitorRequest, Occasion, SubscriptionId, UnitNews};
pub use output::{Answer, Breach, Disconnect, Event, FleetStatus, Level, Output, RequestError};
pub use settings::{
    ClaimPolicy, DependsOn, Heartbeat, NodeSettings, OnLoss, RESUME_WINDOW, Settings, UnitPolicy,
};
pub use view::{AgentView, ClaimView, EndedView, HoldView, NodeView};

use call::Calls;
use claim::Unsettled;
use job::{Asker, Jobs, Order, Owner};
use monitor::Monitors;
use node::Node;
use timer::{Timer, Timers};

/// The fleet, as the controller sees it. See the [crate] for how it is to be driven.
#[derive(Clone, Debug, Hash)]
pub struct Fleet {
    settings: Settings,
    nodes: BTreeMap<NodeName, Node>,
    /// The connections of registered agents.
    peers: BTreeMap<PeerId, NodeName>,
    /// How many nodes are online.
    online: usize,
    status: FleetStatus,
    jobs: Jobs,
    calls: Calls,
    /// Deadlines that clients have set for their calls.
    call_timeouts: BTreeMap<ClientId, Duration>,
    monitors: Monitors,
    timers: Timers,
    unsettled: Unsettled,
    outputs: VecDeque<Output>,
    /// The last moment that was told.
    clock: Moment,
    /// When the controller started.
    begun: Moment,
    /// Whether the controller is about to end.
    stopping: bool,
    /// When the controller went on after it had not run for a while.
    resumed: Option<Moment>,
}

impl Fleet {
    /// A fleet of which nothing was heard yet. `first_job` is the number of the first job; one
    /// that differs from start to start keeps clients from taking a new job for an old one.
    pub fn new(settings: Settings, now: Moment, first_job: JobId) -> Self {
        let nodes = settings
            .nodes
            .keys()
            .map(|name| (name.clone(), Node::default()))
            .collect();
        Self {
            settings,
            nodes,
            peers: BTreeMap::new(),
            online: 0,
            status: FleetStatus::Down,
            jobs: Jobs::new(first_job),
            calls: Calls::new(),
            call_timeouts: BTreeMap::new(),
            monitors: Monitors::default(),
            timers: Timers::default(),
            unsettled: Unsettled::default(),
            outputs: VecDeque::new(),
            clock: now,
            begun: now,
            stopping: false,
            resumed: None,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.note_time(now);
        match input {
            Input::Hello {
                peer,
                hello,
                origin,
            } => self.hello(now, peer, hello, origin),
            Input::Message { peer, message } => self.message(now, peer, message),
            Input::JobAnswered { peer, job, result } => {
                if let Some(name) = self.peers.get(&peer).cloned() {
                    self.job_answered(now, (&name, peer), job, result);
                }
            }
            Input::Unit { peer, unit, news } => self.unit_news(now, peer, unit, news),
            Input::ClientGone(client) => drop(self.call_timeouts.remove(&client)),
            Input::MonitorGone(monitor) => self.monitor_gone(monitor),
            Input::Gone { peer, why } => self.gone(now, peer, why),
            Input::Request {
                id,
                client,
                request,
            } => self.request(now, id, client, request),
            Input::Forwarded { id } => self.forwarded(id),
            Input::Settings(settings) => self.change_settings(now, settings),
            Input::Stop => self.stopping = true,
        }
        self.settle(now);
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.note_time(now);
        while let Some((at, timer)) = self.timers.pop(now) {
            match timer {
                Timer::Heartbeat(peer) => self.heartbeat(now, peer),
                Timer::Resume(ref name) => match self.excused(at, now) {
                    Some(later) => self.timers.set(timer, later),
                    None => self.away_over(now, &name.clone()),
                },
                Timer::Silence(peer) => self.look_for_silence(now, peer),
                Timer::Grace(ref name) => match self.excused(at, now) {
                    Some(later) => self.prolong_grace(name, later.since(at)),
                    None => self.grace_over(now, name),
                },
                Timer::Loss(ref source, ref key) => match self.loss_excused(at, now, &key.node) {
                    Some(later) => self.timers.set(timer, later),
                    None => self.loss_over(source, key.clone()),
                },
                Timer::Queued(job) => self.job_not_queued(job),
                Timer::Job(job) => self.job_timed_out(job),
                Timer::Call(call) => self.call_timed_out(call),
            }
        }
        self.settle(now);
    }

    /// The next thing that is to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Fleet::handle_timeout`] next, and why.
    pub fn deadline(&self) -> Option<(Moment, &'static str)> {
        self.timers.next()
    }

    fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn request(&mut self, now: Moment, id: RequestId, client: ClientId, request: Request) {
        let result = match request {
            Request::Job {
                node,
                kind,
                unit,
                mode,
                named,
            } => {
                let order = Order {
                    owner: Owner::Client(client),
                    asker: Asker::Clients(vec![id]),
                    node,
                    kind,
                    unit,
                    mode,
                    transient: None,
                    named,
                };
                match self.start_job(now, order) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Request::Transient { node, unit, mode } => {
                let order = Order {
                    owner: Owner::Client(client),
                    asker: Asker::Clients(vec![id]),
                    node,
                    kind: JobKind::Start,
                    unit,
                    mode,
                    transient: Some(id),
                    named: None,
                };
                match self.start_job(now, order) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Request::Monitor(request) => return self.monitor_request(id, client, request),
            Request::Cancel(job) => self.cancel_job(job),
            Request::CallTimeout(within) => self.set_call_timeout(client, within),
            Request::Forward { node } => match self.forward(now, (id, client), node) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
        };
        self.put(Output::Answer { id, result });
    }

    /// Puts new settings into force. The graces of nodes and claims that are out of sight already are the new
    /// ones, from when they went; jobs and calls keep their ends; heartbeats follow from the next one on. A node that is not named any more is disconnected, and its claims are
    /// gone at once: it was taken out by hand, and nobody waits for it.
    fn change_settings(&mut self, now: Moment, settings: Settings) {
        let gone: Vec<NodeName> = self
            .nodes
            .keys()
            .filter(|name| !settings.nodes.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            let peer = self.nodes.get(&name).and_then(|node| node.peer());
            if let Some(peer) = peer.map(|peer| peer.id) {
                self.disconnect(now, peer, Disconnect::Removed);
            }
            self.away_over(now, &name);
            self.timers.cancel(Timer::Grace(name.clone()));
            self.forget_claims(&name);
            self.settle(now);
            self.nodes.remove(&name);
            self.put(Output::NodeRemoved(name));
        }
        let before = std::mem::replace(&mut self.settings, settings);
        self.move_graces();
        self.tell_start_timeouts(&before);
        let new: Vec<NodeName> = self
            .settings
            .nodes
            .keys()
            .filter(|name| !self.nodes.contains_key(*name))
            .cloned()
            .collect();
        for name in new {
            self.nodes.insert(name.clone(), Node::default());
            self.put(Output::NodeAdded(name));
        }
        self.change_heartbeats(now);
        self.note_status();
        self.touch_all();
    }

    /// Says how the fleet stands, if that has changed.
    fn note_status(&mut self) {
        let status = self.counted_status();
        if status != self.status {
            self.status = status;
            self.put(Output::FleetStatus(status));
        }
    }

    fn counted_status(&self) -> FleetStatus {
        match self.online {
            0 => FleetStatus::Down,
            all if all == self.nodes.len() => FleetStatus::Up,
            _ => FleetStatus::Degraded,
        }
    }

    /// Finds out whether the controller itself did not run (it was stopped, or the machine was
    /// short of everything). What was not heard in that time may well have been said, and lies in
    /// the sockets still.
    fn note_time(&mut self, now: Moment) {
        let time = now.since(self.clock);
        self.clock = self.clock.max(now);
        // While an agent is connected, something happens in every interval.
        if !self.peers.is_empty() && time >= self.stall_min() {
            self.resumed = Some(now);
            self.put(Output::Log(Event::Stalled { time }));
        }
    }

    fn stall_min(&self) -> Duration {
        let heartbeat = self.settings.heartbeat;
        heartbeat
            .interval
            .saturating_add(heartbeat.threshold.saturating_sub(heartbeat.interval) / 2)
    }

    /// A grace that ended while the controller did not run goes on for one threshold, so that
    /// those who knocked in that time are let in first.
    fn excused(&self, at: Moment, now: Moment) -> Option<Moment> {
        let later = self.resumed?.plus(self.settings.heartbeat.threshold);
        (at < later && later > now).then_some(later)
    }
}
