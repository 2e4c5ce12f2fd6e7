//! The loop: wait; give the core what came, with the time; carry out all that it asks for; look up
//! when to wake; wait again. It owns all state.

mod agents;
mod dump;
mod reload;
mod stop;

use std::time::Duration;

use fleet::{Fleet, Input, Output, limits::ADOPTED_GRACE_MIN};
use host::{
    alarm::Alarm,
    bus::BusEvent,
    clock::Clock,
    log::LogControl,
    notify,
    rate::{Line, Repeats},
    reload::Reload,
    signal::{Signal, Signals},
    watchdog::Watchdog,
};
use proto::time::Moment;
use tokio::sync::mpsc;
use tracing::{info, warn};
use zbus::Message;

use crate::{
    events::Lines,
    limits::{BATCH_MAX, DROPPED_LINES_MAX, DROPPED_LINES_TIME, STATUS_INTERVAL},
    listening::Listening,
    peers::PeerEvent,
    public::{Configuration, Public, Todo, in_force_rows},
    quota::Quota,
    settings::Settings,
};
use agents::{Agents, News};
use stop::Stopping;

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to stop, and has.
    Stopped,
    /// It was interrupted.
    Interrupted,
}

/// What the loop waits for.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) signals: Signals,
    pub(crate) peers: mpsc::Receiver<PeerEvent>,
    pub(crate) bus: mpsc::Receiver<BusEvent>,
    pub(crate) alarm: Alarm,
}

/// The controller.
#[derive(Debug)]
pub(crate) struct Drive {
    clock: Clock,
    fleet: Fleet,
    agents: Agents,
    public: Public,
    settings: Settings,
    reload: Reload<Settings, Message>,
    listening: Listening,
    stopping: Option<Stopping>,
    log: LogControl,
    log_lines: Lines,
    dropped: Quota,
    deaf: Repeats,
    bus_lost: Repeats,
    state: State,
}

/// What is said in the status line of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Condition {
    nodes_online: usize,
    nodes: usize,
    bus: bool,
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} nodes online", self.nodes_online, self.nodes)?;
        if self.bus {
            return Ok(());
        }
        f.write_str(", no connection to the bus")
    }
}

/// What the service manager was told.
#[derive(Debug)]
struct State {
    ready: bool,
    /// What was told last, and when.
    told: Condition,
    told_at: Option<Moment>,
    /// When the service manager is told that we are alive.
    watchdog: Watchdog,
}

impl Drive {
    pub(crate) fn new(
        clock: Clock,
        fleet: Fleet,
        settings: Settings,
        reload: Reload<Settings, Message>,
        listening: Listening,
        log: LogControl,
        watchdog: Watchdog,
    ) -> Self {
        let public = Public::new(Configuration {
            level: settings.log.level,
            target: settings.log.target,
            warnings: listening.warnings(),
            digest: reload.digest(),
            last: reload.last().clone(),
        });
        let mut agents = Agents::default();
        agents.set_grace(leftover_grace(&settings.fleet));
        Self {
            clock,
            fleet,
            agents,
            public,
            settings,
            reload,
            listening,
            stopping: None,
            log,
            log_lines: Lines::default(),
            dropped: Quota::new(DROPPED_LINES_MAX, DROPPED_LINES_TIME),
            deaf: Repeats::default(),
            bus_lost: Repeats::default(),
            state: State {
                ready: false,
                told: Condition::default(),
                told_at: None,
                watchdog,
            },
        }
    }

    /// Runs until a signal ends it.
    pub(crate) async fn run(mut self, mut from: Waits) -> End {
        loop {
            let wake = self.clock.instant(self.wake());
            tokio::select! {
                signal = from.signals.next() => match signal {
                    Signal::Stop => self.begin_stop(self.clock.now()),
                    Signal::Quit => return End::Interrupted,
                    Signal::Reload => self.ask_reload(None),
                    Signal::Dump => self.dump(),
                },
                Some(event) = from.peers.recv() => self.on_peer(event),
                Some(event) = from.bus.recv() => self.on_bus(event),
                read = self.reload.read() => self.on_read(read),
                () = from.alarm.at(Some(wake)) => {}
            }
            for _ in 0..BATCH_MAX {
                let (peer, bus) = (from.peers.try_recv(), from.bus.try_recv());
                if peer.is_err() && bus.is_err() {
                    break;
                }
                if let Ok(event) = peer {
                    self.on_peer(event);
                }
                if let Ok(event) = bus {
                    self.on_bus(event);
                }
            }
            self.on_time();
            if self.may_leave(self.clock.now()) {
                self.leave().await;
                return End::Stopped;
            }
        }
    }

    /// When to wake at the latest.
    fn wake(&self) -> Moment {
        let never = Moment::at(Duration::MAX);
        let fleet = self.fleet.deadline().map_or(never, |(at, _)| at);
        let status = match self.state.told_at {
            Some(at) if self.stopping.is_none() && self.condition() != self.state.told => {
                at.plus(STATUS_INTERVAL)
            }
            Some(_) | None => never,
        };
        let watchdog = self.state.watchdog.due().unwrap_or(never);
        let stop = self.stop_wake().unwrap_or(never);
        fleet.min(status).min(watchdog).min(stop)
    }

    fn on_time(&mut self) {
        let now = self.clock.now();
        if self.fleet.deadline().is_some_and(|(at, _)| at <= now) {
            self.fleet.handle_timeout(now);
            self.carry_out(now);
        }
        self.tell_status(now);
        told(self.state.watchdog.beat(now));
    }

    fn on_peer(&mut self, event: PeerEvent) {
        let now = self.clock.now();
        match event {
            PeerEvent::Dropped { identity, why } => {
                if let Some(kept_back) = self.dropped.take(now) {
                    warn!(peer = %identity, why, kept_back, "connection came to nothing");
                }
            }
            PeerEvent::Deaf(why) => {
                if let Line::Write { kept_back } = self.deaf.line(now, &why) {
                    warn!(error = why, kept_back, "connection cannot be accepted");
                }
            }
            PeerEvent::Hello(arrival) => {
                let input = self.agents.arrived(*arrival);
                self.decide(now, input);
            }
            PeerEvent::Gone(peer, why) => {
                self.agents.forget(peer);
                self.decide(now, Input::Gone { peer, why });
            }
            PeerEvent::Message(peer, message) => {
                match self.agents.heard(now, peer, message) {
                    Some(News::Decide(input)) => {
                        self.decide(now, input);
                        // An answer that the core did not want came too late for its call.
                        self.agents.drop_handed_on();
                    }
                    Some(News::Measured(node, message)) => {
                        self.public.agent_measured(&node, &message);
                    }
                    // Something may have been said on an agent's behalf.
                    None => self.carry_out(now),
                }
            }
        }
    }

    fn on_bus(&mut self, event: BusEvent) {
        let now = self.clock.now();
        match event {
            BusEvent::Up(sender) => {
                self.bus_lost.over();
                self.public.up(sender);
                info!("public interface is on the bus");
                self.ready(now);
            }
            BusEvent::Down(why) => {
                let inputs = self.public.down();
                if let Line::Write { kept_back } = self.bus_lost.line(now, &why) {
                    warn!(
                        why,
                        kept_back, "no connection to the bus, agents are served without it"
                    );
                }
                self.ready(now);
                self.decide_all(now, inputs);
            }
            BusEvent::Left(name) => {
                let inputs = self.public.left(&name);
                self.decide_all(now, inputs);
            }
            BusEvent::Call(call) => match self.public.call(now, &self.fleet, call) {
                Todo::Done => {}
                Todo::Decide(inputs) => self.decide_all(now, inputs),
                Todo::Metrics(on) => self.agents.measure(on),
                Todo::Level(level) => self.set_level(level),
                Todo::Reload(call) => self.ask_reload(Some(call)),
                Todo::Configuration(call) => {
                    let digest = self.reload.digest().to_string();
                    let in_force = self.reload.in_force();
                    self.public
                        .reply(&call, &(digest, in_force_rows(&in_force)));
                }
                Todo::Dump(call) => {
                    let text = self.state_lines().join("\n");
                    self.public.reply(&call, &text);
                }
            },
        }
    }

    fn decide_all(&mut self, now: Moment, inputs: Vec<Input>) {
        for input in inputs {
            self.decide(now, input);
        }
    }

    fn decide(&mut self, now: Moment, input: Input) {
        self.fleet.handle(now, input);
        self.carry_out(now);
    }

    /// Carries out everything that the core asks for, in order.
    fn carry_out(&mut self, now: Moment) {
        loop {
            while let Some(output) = self.fleet.poll_output() {
                self.carry_out_one(now, output);
            }
            match self.agents.next_input() {
                Some(input) => self.fleet.handle(now, input),
                None => return,
            }
        }
    }

    fn carry_out_one(&mut self, now: Moment, output: Output) {
        match output {
            Output::Send { peer, message } => self.agents.send(now, peer, &message),
            Output::Disconnect { peer, .. } => self.agents.disconnect(peer),
            Output::Answer { id, result } => {
                let handed_on = self.agents.answered(id);
                let known = (&self.fleet, now);
                self.public.answer(id, result, handed_on, known);
            }
            Output::Forward { id, peer } => {
                let public = &self.public;
                if !self
                    .agents
                    .forward(id, peer, |serial| public.forward(id, serial))
                {
                    self.fleet.handle(now, Input::Forwarded { id });
                }
            }
            Output::Transient { peer, job, id } => {
                let public = &self.public;
                self.agents
                    .transient(peer, job, |serial| public.transient(id, job, serial));
            }
            Output::Watch { peer, unit, on } => self.agents.watch(peer, &unit, on),
            Output::Monitor {
                monitors,
                node,
                unit,
                news,
            } => {
                let said = self.agents.said();
                self.public
                    .tell_monitors(&monitors, &node, &unit, &news, said);
            }
            Output::NodeAdded(node) => info!(%node, "node added"),
            Output::NodeRemoved(node) => {
                self.agents.forget_node(&node);
                info!(%node, "node removed");
            }
            Output::NodeStatus { node, status } => self.public.node_status(&node, status),
            Output::FleetStatus(status) => self.public.fleet_status(status),
            Output::JobNew(job) => self.public.job_new(now, job),
            Output::JobState { job, state } => self.public.job_state(job, state),
            Output::JobRemoved {
                job,
                result,
                reason,
            } => {
                self.public.job_removed(&job, result, reason.as_ref());
                if let Some(input) = self.public.measure(now, &job, result) {
                    self.fleet.handle(now, input);
                }
            }
            Output::Log(event) => self.log_lines.write(now, &event),
        }
    }

    /// Says that we are up, once: agents can connect since the start, and whether there is a bus
    /// is known now. A bus that is not there does not keep us from being up, since claims need none
    /// and a bus that restarts must not end us.
    fn ready(&mut self, now: Moment) {
        if !self.state.ready {
            self.state.ready = true;
            self.state.told = self.condition();
            self.state.told_at = Some(now);
            told(notify::ready(&self.state.told.to_string()));
        }
    }

    fn condition(&self) -> Condition {
        let (nodes_online, nodes) = self.fleet.online();
        Condition {
            nodes_online,
            nodes,
            bus: self.public.is_up(),
        }
    }

    /// Says how we are, if that has changed, and not too often.
    fn tell_status(&mut self, now: Moment) {
        let condition = self.condition();
        let may = |at: Moment| at.plus(STATUS_INTERVAL) <= now;
        if self.stopping.is_none()
            && self.state.told_at.is_some_and(may)
            && condition != self.state.told
        {
            self.state.told_at = Some(now);
            self.state.told = condition;
            told(notify::status(&self.reload.status(&condition.to_string())));
        }
    }

    fn set_level(&mut self, level: tracing::Level) {
        self.log.set_level(level);
        self.public.set_configuration(self.configuration());
    }
}

/// How long what a node of BlueChi's holds for nobody is left alone: until every source that might
/// need it had its grace.
fn leftover_grace(settings: &fleet::Settings) -> Duration {
    let graces = settings.nodes.values().flat_map(|node| {
        let units = node.units.iter().filter_map(|unit| unit.source_grace);
        units.chain([node.claims.source_grace])
    });
    graces.max().unwrap_or_default().max(ADOPTED_GRACE_MIN)
}

/// The service manager could not be told. We are none the worse for it.
fn told(result: std::io::Result<()>) {
    if let Err(error) = result {
        warn!(%error, "failed to notify the service manager, going on");
    }
}
