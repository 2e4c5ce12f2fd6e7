//! The state machine of one node: its link to the controller, the controller's jobs, the claims of
//! its proxies on other nodes and the holds of other nodes on its units. It decides; the agent's
//! shell does. There is no IO here, no clock, no randomness and no async: time and a seed are told,
//! so a run can be repeated exactly.
//!
//! # Contract
//!
//! * [`Node::handle`] takes one [`Input`], [`Node::handle_timeout`] takes the time when
//!   [`Node::deadline`] has come. After each, [`Node::poll_output`] is called until there is none, and
//!   the [`Output`]s are carried out in their order. `now` never goes backwards.
//! * Nothing is done before the first [`FromManager::Connected`]: before it there is nothing true to
//!   tell a controller. Then the first connection is made at once.
//! * There is at most one connection. Its number is in every output and input about it; what is told
//!   about another is ignored. After [`Output::Disconnect`], and after `Failed` or `Closed` was
//!   told, the number is never used again.
//! * [`Output::Persist`] is to be done, and to be durable for a reader of the file, before any
//!   output that follows it.
//! * [`Output::KeepJob`] and [`Output::ForgetJobs`] likewise. The notes that there are at a start are given to [`Node::with_jobs`]
//!   before anything else.
//! * Every [`Output::Call`] is answered once with [`FromManager::Answered`], unless
//!   [`FromManager::Disconnected`] comes first. The shell gives calls a deadline and answers with an
//!   error then. An answer and the end of its job may come in either order.
//! * Changes of units come in the order in which systemd tells them. The answer to [`Request::Look`]
//!   comes at its place among them, so nothing that is told after it is older than it.
//! * A helper that was answered `Up` or `Failed` is forgotten; the shell closes it, and need not tell
//!   that it has gone.
//! * All sets, queues and tables have the bounds of [`limits`].
//!
//! # Parts
//!
//! `link` connects and registers, `job` does what the controller orders, `claim` is the
//! source's side, `order` what it has done once, `hold` the target's side; `call` knows who asked systemd for what, `unit` how the
//! proxies and hold units are, `wait` what starts wait for,
//! `needless` what systemd leaves running, [`record`] what has to survive a restart. Claims and holds collect what
//! has changed and are settled once, at the end of each input.

mod call;
mod claim;
mod failure;
mod hold;
mod input;
mod invariant;
mod job;
pub mod limits;
mod link;
mod manager;
mod needless;
mod order;
mod output;
mod reason;
pub mod record;
mod unit;
mod upheld;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use proto::{
    message::{Claim, ClaimKey, HoldKey, StartTimeouts, Stream, ToAgent, ToController},
    model::{Cause, JobId, JobKind, Reason},
    name::{HoldName, NodeName, UnitName},
    sync::SyncError,
    time::Moment,
};

pub use input::{
    Answer, CallId, Description, FromHelper, FromLink, FromManager, Input, LinkId, Live,
    ManagerError, Restarting, Snapshot, Waited, Waiter,
};
pub use job::note::{JobNote, NoteStage};
pub use link::LinkStatus;
pub use output::{Event, HelperAnswer, LOOK_AGAIN, Output, Request, Verb};
pub use record::{Record, RecordState, Records};
pub use unit::{ActiveState, ActiveStateError, ManagerJob, UnitState};

use call::{Calls, Cx};
use claim::Claims;
use failure::Failures;
use hold::Holds;
use job::Jobs;
use link::Link;
use needless::Needless;
use order::Orders;
use unit::Units;
use upheld::Upheld;
use wait::Waits;

/// What a node is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Its name.
    pub node: NodeName,
    /// The version of the agent.
    pub version: String,
    /// The boot that it runs in, as the journal has it.
    pub boot_id: String,
    /// A number that differs for each start of the agent.
    pub incarnation: u64,
    /// What may change later.
    pub live: Live,
}

/// One node. The crate's documentation has the contract.
#[derive(Clone, Debug, Hash)]
pub struct Node {
    settings: Settings,
    link: Link,
    jobs: Jobs,
    claims: Claims,
    holds: Holds,
    waits: Waits,
    needless: Needless,
    upheld: Upheld,
    orders: Orders,
    units: Units,
    calls: Calls,
    failures: Failures,
    batch: Vec<Output>,
    outputs: VecDeque<Output>,
}

/// What the parts of a node work with; the parts themselves stay free to be borrowed beside it.
macro_rules! cx {
    ($node:ident, $now:expr) => {
        &mut Cx {
            now: $now,
            settings: &$node.settings,
            units: &$node.units,
            calls: &mut $node.calls,
            out: &mut $node.batch,
            link: $node.link.registered(),
            failures: &mut $node.failures,
        }
    };
}
use cx;

impl Node {
    /// A node that was just started. `records` is what was persisted before, `seed` decides the jitter
    /// of its attempts to connect.
    pub fn new(settings: Settings, records: Records, now: Moment, seed: u64) -> Self {
        let mut node = Self {
            settings,
            link: Link::new(seed),
            jobs: Jobs::default(),
            claims: Claims::default(),
            holds: Holds::new(records.entries),
            waits: Waits::default(),
            needless: Needless::default(),
            upheld: Upheld::default(),
            orders: Orders::default(),
            units: Units::default(),
            calls: Calls::default(),
            failures: Failures::default(),
            batch: Vec::new(),
            outputs: VecDeque::new(),
        };
        for damage in records.damages.into_iter().take(limits::DAMAGES_MAX) {
            let record::Damage { line, why } = damage;
            node.batch
                .push(Output::Event(Event::RecordDamaged { line, why }));
        }
        node.finish(now);
        node
    }

    /// The same node, which was given these jobs before its agent was restarted. Of requests that were made
    /// after `since` all are among them.
    #[must_use]
    pub fn with_jobs(mut self, notes: Vec<JobNote>, since: Moment, now: Moment) -> Self {
        self.jobs.restore(notes, since, now);
        self
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Link(link, input) if self.link.is_present(link) => self.on_link(now, input),
            Input::Link(..) => {}
            Input::Manager(input) => self.on_manager(now, input),
            Input::Helper(waiter, FromHelper::Asks { proxy, token }) => {
                self.claims.asks(waiter, &proxy, &token, cx!(self, now));
            }
            Input::Helper(waiter, FromHelper::Orders { kind, proxy }) => {
                self.orders.asks(waiter, kind, &proxy, cx!(self, now));
            }
            Input::Helper(waiter, FromHelper::Reloaded { hold }) => {
                let unit = hold.parse().ok().as_ref().and_then(HoldName::parse);
                let answer = match unit {
                    Some(hold) => {
                        self.holds.reloaded(hold.unit());
                        HelperAnswer::Done
                    }
                    None => HelperAnswer::Failed(Reason::new(
                        Cause::InvalidName,
                        format!("'{hold}' is no hold; it looks like 'dep@UNIT.service'"),
                    )),
                };
                self.batch.push(Output::Helper { waiter, answer });
            }
            Input::Helper(waiter, FromHelper::Gone) => {
                self.claims.gone(waiter);
                self.orders.gone(waiter);
            }
            Input::Configure(live) => {
                let moved = live.controllers != self.settings.live.controllers;
                self.settings.live = live;
                self.link.configured(now, &self.settings.live);
                if moved {
                    self.jobs.disown(cx!(self, now));
                    self.link.restart(cx!(self, now));
                    self.disconnected();
                }
            }
            Input::Rename(name) => {
                if name != self.settings.node {
                    self.settings.node = name;
                    self.jobs.disown(cx!(self, now));
                    self.link.restart(cx!(self, now));
                    self.disconnected();
                }
            }
            Input::Drain => self.jobs.drain(),
            Input::Stop => {
                self.needless.stop();
                self.upheld.stop();
                // What is known is said before the goodbye: at a shutdown, units that others need
                // have just been stopped, and those others are to hear of a stop, not of a loss.
                self.holds.conclude(cx!(self, now));
                self.finish(now);
                self.link.stop(cx!(self, now));
                self.disconnected();
            }
        }
        self.finish(now);
    }

    /// Takes in that the time of [`Self::deadline`] has come. To be called early or in vain is
    /// harmless.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.link.timeout(cx!(self, now)) {
            self.disconnected();
        }
        self.claims.timeout(now);
        self.holds.timeout(now);
        self.finish(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called, if nothing happens before, and why.
    pub fn deadline(&self) -> Option<(Moment, &'static str)> {
        let link = self.link.deadline(&self.settings);
        link.into_iter().chain(self.deadline_of_units()).min()
    }

    /// The same, without what is only about the connection to the controller.
    fn deadline_of_units(&self) -> Option<(Moment, &'static str)> {
        let is_registered = self.link.registered().is_some();
        [
            self.claims.deadline(&self.units),
            self.holds.deadline(&self.units, is_registered),
            self.waits.deadline(&self.units),
            self.needless.deadline(&self.units),
            self.upheld.deadline(&self.units),
            self.orders.deadline(is_registered),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The jobs of the controller that are under way, by number, with their units.
    pub fn jobs(&self) -> impl Iterator<Item = (JobId, JobKind, &UnitName)> {
        self.jobs.iter()
    }

    /// Whether the node is registered, and where.
    pub fn link_status(&self) -> LinkStatus {
        self.link.status(&self.settings)
    }

    /// The claims of this node, as it tells them.
    pub fn claims(&self) -> &BTreeMap<ClaimKey, Claim> {
        self.claims.entries()
    }

    /// The records of the holds on this node's units.
    pub fn records(&self) -> impl Iterator<Item = (HoldKey, &Record)> {
        self.holds.records()
    }

    fn on_link(&mut self, now: Moment, input: FromLink) {
        match input {
            FromLink::Connected => self.link.connected(cx!(self, now)),
            FromLink::Failed(why) | FromLink::Closed(why) => {
                self.link.closed(why, cx!(self, now));
                self.disconnected();
            }
            FromLink::Said(message) => {
                self.link.heard(now);
                if let Err(why) = self.said(now, message) {
                    self.link.breach(why, cx!(self, now));
                    self.disconnected();
                }
            }
        }
    }

    /// Takes in a message of the controller; an error is a breach of the protocol.
    fn said(&mut self, now: Moment, message: ToAgent) -> Result<(), String> {
        let registered = self.link.registered().is_some();
        let breach = |error: SyncError| error.to_string();
        match message {
            ToAgent::Welcome(welcome) => {
                if !self.link.welcomed(&welcome, cx!(self, now)) {
                    return Err("a second welcome came".to_owned());
                }
                self.jobs.registered(welcome.protocol, cx!(self, now));
                self.holds.registered(welcome.protocol);
                let timeouts = StartTimeouts::all(welcome.start_timeout);
                self.claims.allow(timeouts.clone());
                self.orders.allow(timeouts);
                self.claims.registered();
                self.waits.registered(&welcome);
                self.orders.registered(&welcome);
            }
            ToAgent::Rejected(reason) if !registered => self.link.rejected(reason, cx!(self, now)),
            ToAgent::Heartbeat => {}
            ToAgent::Rejected(_) => return Err("a rejection came after the welcome".to_owned()),
            ToAgent::ClaimStates(_)
            | ToAgent::Holds(_)
            | ToAgent::Acknowledged(..)
            | ToAgent::Job { .. }
            | ToAgent::CancelJob(_)
            | ToAgent::JobHeard(_)
            | ToAgent::Reloaded(_)
            | ToAgent::StartTimeouts(_)
            | ToAgent::Ordered { .. }
                if !registered =>
            {
                return Err("a message came before the welcome".to_owned());
            }
            ToAgent::ClaimStates(delta) => {
                let generation = self.claims.hear(delta).map_err(breach)?;
                self.acknowledge(now, Stream::ClaimStates, generation);
            }
            ToAgent::Holds(delta) => {
                let generation = self.holds.hear(delta, &self.units).map_err(breach)?;
                self.acknowledge(now, Stream::Holds, generation);
            }
            ToAgent::Acknowledged(Stream::Claims, generation) => {
                self.claims.acknowledged(generation).map_err(breach)?;
            }
            ToAgent::Acknowledged(Stream::HoldStates, generation) => {
                self.holds.acknowledged(generation).map_err(breach)?;
            }
            ToAgent::Acknowledged(Stream::Waits, generation) => {
                self.waits.acknowledged(generation).map_err(breach)?;
            }
            ToAgent::Acknowledged(Stream::ClaimStates | Stream::Holds, _) => {
                return Err("the controller acknowledged a set of its own".to_owned());
            }
            ToAgent::Job {
                job,
                kind,
                unit,
                mode,
                named,
            } => {
                let task = (kind, unit, mode);
                self.jobs.begin(job, task, named, cx!(self, now));
            }
            ToAgent::CancelJob(job) => self.jobs.cancel(job, cx!(self, now)),
            ToAgent::JobHeard(job) => self.jobs.heard(job, cx!(self, now)),
            ToAgent::Reloaded(key) => self.claims.reloaded(&key, cx!(self, now)),
            ToAgent::StartTimeouts(timeouts) => {
                self.claims.allow(timeouts.clone());
                self.orders.allow(timeouts);
            }
            ToAgent::Ordered { order, result } => self.orders.ended(order, result, cx!(self, now)),
        }
        Ok(())
    }

    fn acknowledge(&mut self, now: Moment, stream: Stream, generation: proto::sync::Generation) {
        let cx: &mut Cx<'_> = cx!(self, now);
        cx.say(ToController::Acknowledged(stream, generation));
    }

    /// There is no connection any more, or another one is being made.
    fn disconnected(&mut self) {
        self.claims.disconnected();
        self.holds.disconnected();
        self.waits.disconnected();
        self.orders.disconnected();
    }

    /// Settles what has changed, and puts what is to be done in order: records first, then all else
    /// as it came up, then the sets.
    fn finish(&mut self, now: Moment) {
        let mut touched = self.claims.settle(cx!(self, now));
        touched |= self.holds.settle(cx!(self, now));
        let (claims, holds) = (&self.claims, &self.holds);
        self.waits.settle(touched, claims, holds, cx!(self, now));
        self.needless.settle(cx!(self, now));
        self.upheld.settle(cx!(self, now));
        self.orders.settle(cx!(self, now));
        let hold_states = self.holds.poll().map(ToController::HoldStates);
        let claims = self.claims.poll().map(ToController::Claims);
        let waits = self.waits.poll().map(ToController::Waits);
        let cx: &mut Cx<'_> = cx!(self, now);
        for message in [hold_states, claims, waits].into_iter().flatten() {
            cx.say(message);
        }
        if cx.link.is_some() {
            for unit in self.holds.poll_reloads() {
                cx.say(ToController::Reloaded(unit));
            }
        }
        let records = self.holds.poll_records().map(Output::Persist);
        self.outputs.extend(records);
        self.outputs
            .append(&mut VecDeque::from(std::mem::take(&mut self.batch)));
    }
}
