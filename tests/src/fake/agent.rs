//! One agent: what it says and what it does when it is told something.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use host::{
    clock,
    link::{self, CallSerial, Link, LinkSender, Method},
};
use proto::{
    dbus::internal,
    message::{Claim, ClaimKey, Hello, Hold, HoldKey, PROTOCOL_COOKIES, Standing, TokenState},
    model::{ClaimState, Cookie, JobId, JobKind, JobResult, JobState, Token},
    name::{NodeName, UnitName},
    sync::{Generation, Listener, Teller},
    wire::{
        NeedsBody, StatesBody, enqueued_to_wire, hello_to_wire, needs_from_wire, needs_to_wire,
        states_from_wire, states_to_wire,
    },
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use zbus::{Message, message::Type, wire::Structure};

use super::{
    Counts, Plan, answer,
    job::Jobs,
    ledger::Need,
    ping::Pings,
    units::{Units, states},
};

/// Entries of a set: more than anybody lets one agent have.
const ENTRIES_MAX: usize = 100_000;

/// An agent, with what outlives a connection.
#[derive(Debug)]
pub(super) struct Agent {
    name: NodeName,
    index: usize,
    plan: Arc<Plan>,
    boot: u64,
    units: Units,
    claims: Teller<ClaimKey, Claim>,
    holds: Listener<HoldKey, Hold>,
    hold_states: Teller<HoldKey, TokenState>,
    watched: Watched,
    jobs: Jobs,
    /// What is under way, by the time of its end: all takes equally long.
    work: VecDeque<(Instant, Work)>,
    /// Calls about sets that are on the way.
    claims_call: Option<(CallSerial, Generation)>,
    states_call: Option<(CallSerial, Generation)>,
    pings: Pings,
}

/// What takes time.
#[derive(Clone, Debug)]
enum Work {
    Job {
        id: u32,
        unit: UnitName,
        /// What the unit is after it; `None` leaves it as it is.
        active: Option<bool>,
    },
    Hold(HoldKey, Token),
}

/// Units that the controller wants to hear of.
#[derive(Debug, Default)]
struct Watched {
    all: bool,
    units: BTreeSet<UnitName>,
}

impl Watched {
    fn covers(&self, unit: &UnitName) -> bool {
        self.all || self.units.contains(unit)
    }
}

impl Agent {
    pub(super) fn new(
        name: NodeName,
        index: usize,
        plan: Arc<Plan>,
        units: Units,
        needs: Vec<ClaimKey>,
    ) -> Result<Self> {
        let mut claims = Teller::default();
        for need in needs.into_iter().filter(|need| need.node != name) {
            let random = || clock::random_u64().context("randomness");
            let bits = u128::from(random()?) << 64 | u128::from(random()?);
            let token = Token(bits.to_be_bytes());
            let known = Need {
                source: name.clone(),
                target: need.clone(),
            };
            plan.counts.ledger().claim(known, token, false);
            claims.put(need, Claim { token, up: false });
        }
        Ok(Self {
            name,
            index,
            plan,
            boot: clock::random_u64().context("randomness")?,
            units,
            claims,
            holds: Listener::default(),
            hold_states: Teller::default(),
            watched: Watched::default(),
            jobs: Jobs::default(),
            work: VecDeque::new(),
            claims_call: None,
            states_call: None,
            pings: Pings::default(),
        })
    }

    pub(super) fn name(&self) -> &NodeName {
        &self.name
    }

    /// Does what it is told on this connection, until it ends. `registered` is called when the
    /// controller has taken it in. Yields why it does not want this node, if it says so.
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no core here whose deadline could be waited for"
    )]
    pub(super) async fn serve(&mut self, link: Link, registered: impl FnOnce()) -> Option<String> {
        let Link {
            sender,
            mut receiver,
            ..
        } = link;
        let hello = self.hello(&sender).ok()?;
        loop {
            let Some(Ok(message)) = receiver.recv().await else {
                return None;
            };
            if link::answers(&message) != Some(hello) {
                continue;
            }
            if message.message_type() == Type::Error {
                let body = message.body();
                return Some(body.deserialize().unwrap_or("without a word").to_owned());
            }
            break;
        }
        registered();
        if self.begin(&sender).is_err() {
            return None;
        }
        let mut frozen = self.plan.frozen.clone();
        let mut heartbeat = interval(self.plan.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.pings = Pings::new(self.plan.ping, self.index, self.plan.count);
        loop {
            let index = self.index;
            // Whoever can freeze agents is gone when nobody can.
            let _ = frozen.wait_for(|frozen| index >= *frozen).await;
            let end = self.work.front().map(|(at, _)| *at);
            let ping = self.pings.due();
            let said = tokio::select! {
                message = receiver.recv() => match message {
                    Some(Ok(message)) => self.heard(&sender, &message),
                    Some(Err(_)) | None => break,
                },
                Ok(()) = frozen.changed() => continue,
                () = sleep_until(ping.unwrap_or_else(Instant::now)), if ping.is_some() => {
                    self.pings.ask(&sender)
                }
                _ = heartbeat.tick() => emit(&sender, "Heartbeat", &()),
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                    self.finish_work(&sender)
                }
            };
            if said.and_then(|()| self.tell_sets(&sender)).is_err() {
                break;
            }
        }
        sender.abort();
        None
    }

    fn hello(&self, sender: &LinkSender) -> Result<CallSerial> {
        if self.plan.is_bluechis() {
            let serial = sender.next_serial();
            let register = Method {
                interface: internal::CONTROLLER,
                ..controller("Register")
            };
            sender.try_send(link::call(serial, register, &self.name.as_str())?)?;
            return Ok(serial);
        }
        let hello = Hello {
            node: self.name.clone(),
            protocol: self.plan.protocol,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: format!("{:032x}", self.boot),
            incarnation: self.boot,
        };
        let serial = sender.next_serial();
        let call = link::call(serial, controller("Hello"), &hello_to_wire(&hello))?;
        sender.try_send(call)?;
        Ok(serial)
    }

    /// A connection begins: nothing of the last one is on the way any more.
    fn begin(&mut self, sender: &LinkSender) -> Result<()> {
        self.watched = Watched::default();
        self.holds.connected();
        self.claims.connected();
        self.hold_states.connected();
        (self.claims_call, self.states_call) = (None, None);
        if self.plan.is_bluechis() {
            return Ok(());
        }
        self.jobs.tell(sender)?;
        self.tell_sets(sender)
    }

    fn heard(&mut self, sender: &LinkSender, message: &Message) -> Result<()> {
        if let Some(serial) = link::answers(message) {
            return self.answered(serial, message);
        }
        if message.message_type() != Type::MethodCall {
            return Ok(());
        }
        let header = message.header();
        let member = header.member().map_or("", |it| it.as_str());
        let interface = header.interface().map_or("", |it| it.as_str());
        let body = message.body();
        match (interface, member) {
            (internal::AGENT_OWN, "Holds") => {
                let body: NeedsBody = body.deserialize()?;
                let changes = self.holds.hear(needs_from_wire(&body)?, ENTRIES_MAX)?;
                reply(sender, message)?;
                changes.put.into_iter().for_each(|key| self.hold(key));
                for (key, _) in changes.dropped {
                    self.release(sender, &key)?;
                }
                Ok(())
            }
            (internal::AGENT_OWN, "ClaimStates") => {
                let body: StatesBody = body.deserialize()?;
                reply(sender, message)?;
                for (key, TokenState { token, state }) in states_from_wire::<ClaimKey>(&body)?.put {
                    let known = self.claims.entries().get(&key);
                    if known.is_some_and(|claim| claim.token == token) {
                        let up = state == ClaimState::Up;
                        let need = Need {
                            source: self.name.clone(),
                            target: key.clone(),
                        };
                        self.plan.counts.ledger().claim(need, token, up);
                        self.claims.put(key, Claim { token, up });
                    }
                }
                Ok(())
            }
            _ if self.is_silent() => Ok(()),
            (internal::AGENT, "StartUnit") => self.job(sender, message, JobKind::Start),
            (internal::AGENT, "RestartUnit") => self.job(sender, message, JobKind::Restart),
            (internal::AGENT, "StopUnit") => self.job(sender, message, JobKind::Stop),
            (internal::AGENT, "ReloadUnit") => self.job(sender, message, JobKind::Reload),
            (internal::AGENT_OWN, "Enqueue") if self.plan.protocol >= PROTOCOL_COOKIES => {
                self.enqueue(sender, message)
            }
            (internal::AGENT_OWN, "StartTransientUnit") => {
                let made: Structure<'_> = body.deserialize()?;
                let [unit, .., id] = made.fields() else {
                    bail!("a unit without a job");
                };
                let (unit, id) = (<&str>::try_from(unit)?, u32::try_from(id)?);
                reply(sender, message)?;
                self.queue(sender, id, (JobKind::Start, unit.parse()?), None)
            }
            (internal::AGENT, "JobCancel") => {
                let canceled: u32 = body.deserialize()?;
                let is_it = |work: &Work| matches!(work, Work::Job { id, .. } if *id == canceled);
                let before = self.work.len();
                self.work.retain(|(_, work)| !is_it(work));
                reply(sender, message)?;
                if self.work.len() < before {
                    self.end(sender, canceled, JobResult::Canceled)?;
                }
                Ok(())
            }
            (internal::AGENT, "Subscribe") => {
                let which: &str = body.deserialize()?;
                reply(sender, message)?;
                self.subscribe(sender, which)
            }
            (internal::AGENT, "Unsubscribe") => {
                match body.deserialize()? {
                    "*" => self.watched.all = false,
                    unit => drop(self.watched.units.remove(&unit.parse::<UnitName>()?)),
                }
                reply(sender, message)
            }
            _ => {
                if link::expects_reply(message) {
                    sender.try_send(answer::answer(message, &self.units)?)?;
                }
                Ok(())
            }
        }
    }

    fn job(&mut self, sender: &LinkSender, call: &Message, kind: JobKind) -> Result<()> {
        let body = call.body();
        let (unit, _, id): (&str, &str, u32) = body.deserialize()?;
        reply(sender, call)?;
        self.queue(sender, id, (kind, unit.parse()?), None)
    }

    /// A request that has a name. It is as good as the agent's memory, which is longer than anything that is measured.
    fn enqueue(&mut self, sender: &LinkSender, call: &Message) -> Result<()> {
        let body = call.body();
        let (kind, unit, _, id, cookie, _): (&str, &str, &str, u32, &str, u64) =
            body.deserialize()?;
        let cookie: Cookie = cookie.parse()?;
        if let Some((job, standing)) = self.jobs.of(cookie) {
            Counts::add(&self.plan.counts.repeated);
            let known = enqueued_to_wire(job, &standing);
            return Ok(sender.try_send(link::reply(call, &known)?)?);
        }
        let queued = enqueued_to_wire(JobId(id), &Standing::Open(JobState::Waiting));
        sender.try_send(link::reply(call, &queued)?)?;
        self.queue(sender, id, (kind.parse()?, unit.parse()?), Some(cookie))
    }

    fn queue(
        &mut self,
        sender: &LinkSender,
        id: u32,
        (kind, unit): (JobKind, UnitName),
        cookie: Option<Cookie>,
    ) -> Result<()> {
        if !self.jobs.begin(id, (kind, unit.clone()), cookie) {
            Counts::add(&self.plan.counts.repeated);
            return self.jobs.say_again(sender, id);
        }
        Counts::add(&self.plan.counts.jobs);
        let active = match kind {
            JobKind::Start | JobKind::Restart => Some(true),
            JobKind::Stop => Some(false),
            JobKind::Reload => None,
        };
        emit(sender, "JobStateChanged", &(id, "running"))?;
        self.begin_work(Work::Job { id, unit, active });
        Ok(())
    }

    fn subscribe(&mut self, sender: &LinkSender, which: &str) -> Result<()> {
        let one: Option<UnitName> = match which {
            "*" => None,
            unit => Some(unit.parse()?),
        };
        for (unit, active) in self.units.loaded() {
            if one.as_ref().is_none_or(|one| one == unit) {
                let (state, sub) = states(active);
                emit(sender, "UnitNew", &(unit.as_str(), "virtual"))?;
                let body = (unit.as_str(), state, sub, "virtual");
                emit(sender, "UnitStateChanged", &body)?;
            }
        }
        match one {
            None => self.watched.all = true,
            Some(unit) => drop(self.watched.units.insert(unit)),
        }
        Ok(())
    }

    /// Somebody needs a unit.
    fn hold(&mut self, key: HoldKey) {
        let Some(Hold { token, .. }) = self.holds.entries().get(&key).copied() else {
            return;
        };
        let known = self.hold_states.entries().get(&key);
        if known.is_some_and(|known| known.token == token) {
            // The same attempt, told again.
            return;
        }
        let need = Need::of_hold(&self.name, &key);
        self.plan.counts.ledger().hold(need, token);
        let state = ClaimState::Starting;
        self.hold_states
            .put(key.clone(), TokenState { token, state });
        self.begin_work(Work::Hold(key, token));
    }

    /// Somebody does not need a unit any more; it stops when nobody does.
    fn release(&mut self, sender: &LinkSender, key: &HoldKey) -> Result<()> {
        self.hold_states.drop(key);
        let need = Need::of_hold(&self.name, key);
        self.plan.counts.ledger().release(&need);
        let held = self.holds.entries().keys().any(|it| it.unit == key.unit);
        if held || self.units.runs_by_itself(&key.unit) {
            return Ok(());
        }
        self.set(sender, &key.unit, false)
    }

    fn begin_work(&mut self, work: Work) {
        let end = Instant::now() + self.plan.job_time;
        self.work.push_back((end, work));
    }

    fn finish_work(&mut self, sender: &LinkSender) -> Result<()> {
        let Some((_, work)) = self.work.pop_front() else {
            return Ok(());
        };
        match work {
            Work::Job { id, .. } if self.is_failing() => self.end(sender, id, JobResult::Failed),
            Work::Job { id, unit, active } => {
                if let Some(active) = active {
                    self.set(sender, &unit, active)?;
                }
                self.end(sender, id, JobResult::Done)
            }
            Work::Hold(key, token) => {
                let held = self.holds.entries().get(&key);
                if held.is_some_and(|hold| hold.token == token) {
                    let state = ClaimState::Up;
                    self.set(sender, &key.unit, true)?;
                    self.hold_states.put(key, TokenState { token, state });
                }
                Ok(())
            }
        }
    }

    fn end(&mut self, sender: &LinkSender, id: u32, result: JobResult) -> Result<()> {
        if self.plan.is_bluechis() {
            // It is said once, and whoever has not heard it never will.
            return emit(sender, "JobDone", &(id, result.as_str()));
        }
        self.jobs.ended(sender, id, result)
    }

    fn set(&mut self, sender: &LinkSender, unit: &UnitName, active: bool) -> Result<()> {
        let Some(was_loaded) = self.units.set(unit, active) else {
            return Ok(());
        };
        if !self.watched.covers(unit) {
            return Ok(());
        }
        if !was_loaded {
            emit(sender, "UnitNew", &(unit.as_str(), "real"))?;
        }
        let (state, sub) = states(active);
        let body = (unit.as_str(), state, sub, "real");
        emit(sender, "UnitStateChanged", &body)
    }

    /// Tells the controller what it does not know yet.
    fn tell_sets(&mut self, sender: &LinkSender) -> Result<()> {
        if self.plan.is_bluechis() {
            return Ok(());
        }
        if let Some(delta) = self.hold_states.poll() {
            let serial = sender.next_serial();
            self.states_call = Some((serial, delta.generation));
            let call = link::call(serial, controller("HoldStates"), &states_to_wire(&delta))?;
            sender.try_send(call)?;
        }
        if let Some(delta) = self.claims.poll() {
            let serial = sender.next_serial();
            self.claims_call = Some((serial, delta.generation));
            let call = link::call(serial, controller("Claims"), &needs_to_wire(&delta))?;
            sender.try_send(call)?;
        }
        Ok(())
    }

    fn answered(&mut self, serial: CallSerial, message: &Message) -> Result<()> {
        if message.message_type() == Type::Error {
            bail!("the controller refused a set");
        }
        if self.jobs.answered(serial) || self.pings.answered(serial, &self.plan.counts.round_trips)
        {
            return Ok(());
        }
        let is_this = |call: &mut (CallSerial, Generation)| call.0 == serial;
        if let Some((_, generation)) = self.states_call.take_if(is_this) {
            self.hold_states.acknowledged(generation)?;
        }
        if let Some((_, generation)) = self.claims_call.take_if(is_this) {
            self.claims.acknowledged(generation)?;
        }
        Ok(())
    }

    fn is_silent(&self) -> bool {
        self.index >= self.plan.count.saturating_sub(self.plan.silent)
    }

    fn is_failing(&self) -> bool {
        self.index < self.plan.failing
    }
}

pub(super) fn controller(member: &str) -> Method<'_> {
    Method {
        destination: None,
        path: internal::CONTROLLER_PATH,
        interface: internal::CONTROLLER_OWN,
        member,
    }
}

pub(super) fn emit<B>(sender: &LinkSender, member: &str, body: &B) -> Result<()>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    let signal = link::signal(internal::AGENT_PATH, internal::AGENT, member, body)?;
    Ok(sender.try_send(signal)?)
}

fn reply(sender: &LinkSender, call: &Message) -> Result<()> {
    if link::expects_reply(call) {
        sender.try_send(link::reply(call, &())?)?;
    }
    Ok(())
}
