//! The target's side: what other nodes need of the units here.
//!
//! For each unit there are the holds that the controller tells (`wanted`), the records of how each
//! stands, and at most one operation on the hold unit. Whenever anything of these or the hold unit
//! changes, the unit is settled: what has happened is noted in the records, then, if the whole set
//! was heard on this connection and no operation is under way, the next one is begun. The table of
//! rules is in docs/design/claims.md.

mod ending;
mod proof;
mod settle;
mod starting;

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{Hold, HoldKey, PROTOCOL_RELOADS, TokenState},
    model::{JobResult, Token},
    name::{HoldName, NodeName, UnitName},
    sync::{Delta, Generation, Listener, SyncError, Teller},
    time::Moment,
    wave::Wave,
};

use crate::{
    call::{Cx, Purpose, Retry, Step, description_of, job_of},
    input::{Answer, CallId, ManagerError},
    limits::HOLDS_MAX,
    output::{Event, Output},
    reason::Ending,
    record::{self, Record, RecordState},
    unit::{ActiveState, ManagerJob, Units},
};
use proof::Proof;

/// All holds on units of this node.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Holds {
    units: BTreeMap<UnitName, Held>,
    heard: Listener<HoldKey, Hold>,
    told: Teller<HoldKey, TokenState>,
    /// What the controller of the present connection speaks.
    protocol: u32,
    /// Units at which something has changed.
    dirty: BTreeSet<UnitName>,
    /// Units that were reloaded, of which the controller has not heard.
    reloads: BTreeSet<UnitName>,
    /// Whether the records differ from what was persisted last.
    changed: bool,
}

/// One unit of this node.
#[derive(Clone, Debug, Default, Hash)]
struct Held {
    wanted: BTreeMap<NodeName, Hold>,
    records: BTreeMap<NodeName, Record>,
    work: Option<Work>,
    /// How a job of the unit itself has ended last since the present start of the hold unit.
    own: Option<JobResult>,
    /// Whether a job of the unit itself has ended since the hold unit was last up: then the unit was
    /// stopped or restarted, and has not ended by itself. What nobody has seen counts as a stop.
    by_job: bool,
    retry: Option<Retry>,
    /// The restart of the hold unit that was part of that of a proxy.
    part: Option<Part>,
    /// The unit is asked whether it is still up.
    doubt: Option<Doubt>,
    proof: Proof,
}

/// A restart of the hold unit that follows from that of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    /// The job of the hold unit.
    job: ManagerJob,
    /// What has led to it.
    wave: Wave,
}

/// A question whether a unit is still up whose hold unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Doubt {
    call: CallId,
    /// Whether a job of the unit has ended: otherwise it has ended by itself.
    by_job: bool,
}

/// The operation that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Start(Step),
    Stop(Step),
    /// The unit is asked why it is not up, on behalf of these attempts.
    Describe {
        call: CallId,
        ending: Ending,
        concerned: Vec<(NodeName, Token)>,
    },
}

/// How the hold unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum View {
    /// It is active, in this run.
    Up {
        witness: Token,
        /// A job is queued for it, so it may not stay so.
        busy: bool,
    },
    /// It is on its way, or about to be.
    Moving,
    /// It is being stopped.
    Stopping,
    /// It is not active, and nothing is queued.
    Down,
}

impl View {
    fn of(units: &Units, hold: &HoldName) -> Self {
        let Some(unit) = units.get(hold.name()) else {
            return Self::Down;
        };
        match (unit.active, unit.job) {
            (ActiveState::Active, job) => Self::Up {
                // systemd gives each start an id; one without would be the same run for ever.
                witness: unit.invocation.unwrap_or(Token([0; 16])),
                busy: job.is_some(),
            },
            (ActiveState::Activating, _) => Self::Moving,
            (ActiveState::Deactivating, _) => Self::Stopping,
            (ActiveState::Inactive | ActiveState::Failed, Some(_)) => Self::Moving,
            (ActiveState::Inactive | ActiveState::Failed, None) => Self::Down,
        }
    }
}

impl Holds {
    /// Begins with what was remembered.
    pub(crate) fn new(records: BTreeMap<HoldKey, Record>) -> Self {
        let mut holds = Self::default();
        for (key, record) in records {
            holds.told.put(key.clone(), token_state(&record));
            let held = holds.units.entry(key.unit).or_default();
            held.records.insert(key.source, record);
            held.by_job = true;
        }
        holds
    }

    /// Takes in a message about the set of holds.
    pub(crate) fn hear(
        &mut self,
        delta: Delta<HoldKey, Hold>,
        units: &Units,
    ) -> Result<Generation, SyncError> {
        let (generation, full) = (delta.generation, delta.full);
        let changes = self.heard.hear(delta, HOLDS_MAX)?;
        for key in changes.put {
            if let Some(hold) = self.heard.entries().get(&key).copied() {
                let held = self.units.entry(key.unit.clone()).or_default();
                held.wanted.insert(key.source, hold);
                self.dirty.insert(key.unit);
            }
        }
        for (key, _) in changes.dropped {
            if let Some(held) = self.units.get_mut(&key.unit) {
                held.wanted.remove(&key.source);
            }
            self.dirty.insert(key.unit);
        }
        if full {
            self.mark_all(units);
        }
        Ok(generation)
    }

    /// A new connection: the whole set will be told, both ways.
    pub(crate) fn registered(&mut self, protocol: u32) {
        self.protocol = protocol;
        self.heard.connected();
        self.told.connected();
    }

    pub(crate) fn disconnected(&mut self) {
        self.told.disconnected();
    }

    pub(crate) fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        self.told.acknowledged(generation)
    }

    /// The next message about how the holds stand.
    pub(crate) fn poll(&mut self) -> Option<Delta<HoldKey, TokenState>> {
        let delta = self.told.poll()?;
        Some(delta.for_protocol(self.protocol))
    }

    /// The text of the records, if it has changed.
    pub(crate) fn poll_records(&mut self) -> Option<String> {
        std::mem::take(&mut self.changed).then(|| record::encode(self.records()))
    }

    /// A unit was reloaded.
    pub(crate) fn reloaded(&mut self, unit: &UnitName) {
        if self.units.contains_key(unit) {
            self.reloads.insert(unit.clone());
        }
    }

    /// The reloads of which a controller that is there is to hear.
    pub(crate) fn poll_reloads(&mut self) -> BTreeSet<UnitName> {
        let reloads = std::mem::take(&mut self.reloads);
        if self.protocol >= PROTOCOL_RELOADS {
            reloads
        } else {
            BTreeSet::new()
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (HoldKey, &Record)> {
        self.units.iter().flat_map(|(unit, held)| {
            held.records.iter().map(move |(source, record)| {
                (
                    HoldKey {
                        unit: unit.clone(),
                        source: source.clone(),
                    },
                    record,
                )
            })
        })
    }

    /// A hold unit has changed.
    pub(crate) fn unit_changed(&mut self, hold: &HoldName) {
        self.dirty.insert(hold.unit().clone());
    }

    /// The service manager is out of reach; what it was asked, it will not answer.
    pub(crate) fn manager_lost(&mut self) {
        for held in self.units.values_mut() {
            held.by_job = true;
            held.doubt = None;
            // Another restart may come meanwhile, of which nobody hears.
            held.part = None;
            held.proof.lost();
            match held.work {
                Some(Work::Start(Step::Called(_)) | Work::Stop(Step::Called(_)))
                | Some(Work::Describe { .. }) => held.work = None,
                Some(Work::Start(Step::Queued(_)) | Work::Stop(Step::Queued(_))) | None => {}
            }
        }
    }

    /// A job ended while the service manager was out of reach.
    pub(crate) fn job_lost(&mut self, unit: &UnitName, job: ManagerJob) {
        if let Some(held) = self.units.get_mut(unit) {
            match held.work {
                Some(Work::Start(step) | Work::Stop(step)) if step == Step::Queued(job) => {
                    held.work = None;
                }
                Some(Work::Start(_) | Work::Stop(_) | Work::Describe { .. }) | None => {}
            }
        }
    }

    /// Everything is to be looked at again.
    pub(crate) fn mark_all(&mut self, units: &Units) {
        self.dirty.extend(self.units.keys().cloned());
        let holds = units.names().filter_map(HoldName::parse);
        self.dirty.extend(holds.map(|hold| hold.unit().clone()));
    }

    pub(crate) fn deadline(&self, units: &Units, link: bool) -> Option<(Moment, &'static str)> {
        if !units.connected || !link || !self.heard.has_heard() {
            return None;
        }
        let waiting = self.units.values().filter(|held| held.work.is_none());
        let at = waiting
            .filter_map(|held| held.retry)
            .map(|retry| retry.at)
            .min();
        at.map(|at| (at, "release again"))
    }

    pub(crate) fn timeout(&mut self, now: Moment) {
        for (unit, held) in &mut self.units {
            if held.retry.is_some_and(|retry| now >= retry.at) && held.work.is_none() {
                self.dirty.insert(unit.clone());
            }
        }
    }

    /// A call was answered.
    pub(crate) fn answered(
        &mut self,
        unit: &UnitName,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        let Some(held) = self.units.get_mut(unit) else {
            return;
        };
        if let Some(doubt) = held.doubt.take_if(|doubt| doubt.call == call) {
            if let Ok(Answer::Description(description)) = result {
                held.resolve(unit, doubt, &description, cx);
            }
            return;
        }
        if held.proof.answered(call) {
            self.dirty.insert(unit.clone());
        }
        match &mut held.work {
            Some(Work::Start(step) | Work::Stop(step)) if *step == Step::Called(call) => {
                match job_of(result) {
                    Ok(job) => {
                        *step = Step::Queued(job);
                        if let Some(result) = cx.calls.follow(job, Purpose::Hold(unit.clone())) {
                            self.ended(unit, job, result, cx);
                        }
                    }
                    Err(error) => self.work_ended(unit, Ending::Call(error), cx),
                }
            }
            Some(Work::Describe { call: open, .. }) if *open == call => {
                let description = description_of(result);
                self.described(unit, description, cx);
            }
            Some(Work::Start(_) | Work::Stop(_) | Work::Describe { .. }) | None => {}
        }
    }

    /// A hold unit is restarted in this job as a part of the restart of a proxy, to which these have led.
    pub(crate) fn restarts(&mut self, hold: &UnitName, job: ManagerJob, wave: &Wave) {
        let unit = HoldName::parse(hold);
        if let Some(held) = unit.and_then(|hold| self.units.get_mut(hold.unit())) {
            let wave = wave.clone();
            held.part = Some(Part { job, wave });
        }
    }

    /// A job has ended.
    pub(crate) fn ended(
        &mut self,
        unit: &UnitName,
        job: ManagerJob,
        result: JobResult,
        cx: &mut Cx<'_>,
    ) {
        match self.units.get(unit).and_then(|held| held.work.as_ref()) {
            Some(Work::Start(step) | Work::Stop(step)) if *step == Step::Queued(job) => {
                self.work_ended(unit, Ending::Job(result), cx);
            }
            Some(Work::Start(_) | Work::Stop(_) | Work::Describe { .. }) | None => {}
        }
    }

    /// Settles what has changed. Returns whether anything has.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) -> bool {
        let touched = !self.dirty.is_empty();
        let acting = cx.link.is_some() && self.heard.has_heard();
        if !cx.units.connected {
            return touched;
        }
        while let Some(unit) = self.dirty.pop_first() {
            let mut held = self.units.remove(&unit).unwrap_or_default();
            held.settle(&unit, acting, self, cx);
            if held.is_idle() {
                cx.failures.forget_unit(&unit);
            } else {
                self.units.insert(unit, held);
            }
        }
        touched
    }

    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// What must be true between two inputs; see [`crate::Node::check`].
    pub(crate) fn check(&self, units: &Units, calls: &crate::call::Calls) -> Result<(), String> {
        let mut told = self.told.entries().iter();
        for (key, record) in self.records() {
            if told.next() != Some((&key, &token_state(&record.clone()))) {
                return Err(format!("the record of {key:?} is not what is told"));
            }
        }
        if told.next().is_some() {
            return Err("a hold is told that has no record".to_owned());
        }
        for (unit, held) in &self.units {
            let alive = match &held.work {
                None => true,
                Some(Work::Start(step) | Work::Stop(step)) => match step {
                    Step::Called(call) => calls.is_open(*call),
                    Step::Queued(job) => calls.is_followed(*job),
                },
                Some(Work::Describe { call, .. }) => calls.is_open(*call),
            };
            if !alive || !held.proof.is_alive(calls) {
                return Err(format!("the work on {unit} waits for nothing"));
            }
            let settled = units.connected && self.dirty.is_empty() && held.work.is_none();
            let view = HoldName::of(unit).map(|hold| View::of(units, &hold));
            let any_up = held
                .records
                .values()
                .any(|r| matches!(r.state, RecordState::Up { .. }));
            if settled && view == Ok(View::Down) && any_up {
                return Err(format!("a hold on {unit} is up, its hold unit is not"));
            }
        }
        Ok(())
    }

    /// A record is new or another.
    fn tell(&mut self, key: HoldKey, record: &Record, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::Hold {
            unit: key.unit.clone(),
            source: key.source.clone(),
            state: record.state.claim_state(),
        }));
        self.told.put(key, token_state(record));
        self.changed = true;
    }

    /// A record is gone.
    fn untell(&mut self, key: &HoldKey) {
        self.told.drop(key);
        self.changed = true;
    }
}

impl Held {
    fn is_idle(&self) -> bool {
        self.wanted.is_empty()
            && self.records.is_empty()
            && self.work.is_none()
            && self.retry.is_none()
    }

    fn concerned(&self, is: impl Fn(&RecordState) -> bool) -> Vec<(NodeName, Token)> {
        let records = self.records.iter().filter(|(_, record)| is(&record.state));
        records
            .map(|(source, record)| (source.clone(), record.token))
            .collect()
    }

    /// Sets a record.
    fn note(
        &mut self,
        unit: &UnitName,
        source: &NodeName,
        record: Record,
        holds: &mut Holds,
        out: &mut Vec<Output>,
    ) {
        let key = HoldKey {
            unit: unit.clone(),
            source: source.clone(),
        };
        holds.tell(key, &record, out);
        self.records.insert(source.clone(), record);
    }
}

fn token_state(record: &Record) -> TokenState {
    TokenState {
        token: record.token,
        state: record.state.claim_state(),
    }
}
