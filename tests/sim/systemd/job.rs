//! Jobs: how they come into the queue, in which order they run, and how they end.

use proto::{
    model::{JobMode, JobResult},
    name::{HoldName, ProxyName, UnitName},
    time::Moment,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{CallError, Effect, Signal, State, Systemd};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum JobType {
    Start,
    Stop,
    Restart,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    TryRestart,
}

/// What comes of the restart of a proxy.
pub(crate) struct Restarted {
    pub(crate) job: u32,
    /// Whether something was spared.
    pub(crate) alone: bool,
    pub(crate) holds: Vec<(UnitName, u32)>,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Job {
    pub(crate) id: u32,
    pub(crate) kind: JobType,
    pub(crate) running: bool,
}

/// What is to be done to the units of a transaction, and which of it asks for which.
#[derive(Default)]
struct Transaction {
    jobs: BTreeMap<UnitName, JobType>,
    /// From a unit to those whose jobs follow from its own, each with whether it fails without it.
    asks: BTreeMap<UnitName, BTreeMap<UnitName, bool>>,
    /// Those of which something that they require is masked. Where who pulls them in merely wants them, they are
    /// started all the same.
    lacking: BTreeSet<UnitName>,
}

impl Transaction {
    fn ask(&mut self, unit: &UnitName, other: &UnitName, hard: bool) {
        let asked = self.asks.entry(unit.clone()).or_default();
        *asked.entry(other.clone()).or_default() |= hard;
    }

    /// Those that this unit's job asks for, directly or over others.
    fn asked_by(&self, anchor: &UnitName, only_hard: bool) -> BTreeSet<UnitName> {
        let mut seen = BTreeSet::from([anchor.clone()]);
        let mut next = vec![anchor];
        while let Some(unit) = next.pop() {
            for (other, hard) in self.asks.get(unit).into_iter().flatten() {
                let is_there = self.jobs.contains_key(other);
                if is_there && (*hard || !only_hard) && seen.insert(other.clone()) {
                    next.push(other);
                }
            }
        }
        seen
    }

    /// Drops a job, and what only it asks for.
    fn drop(&mut self, anchor: &UnitName, unit: &UnitName) {
        self.jobs.remove(unit);
        let asked = self.asked_by(anchor, false);
        self.jobs.retain(|other, _| asked.contains(other));
    }
}

fn conflict(one: JobType, other: JobType) -> bool {
    (one == JobType::Stop) != (other == JobType::Stop)
}

fn merged(one: JobType, other: JobType) -> JobType {
    if one == other { one } else { JobType::Restart }
}

impl Systemd {
    /// Queues a job with all that follows from it, and gives its number.
    pub(crate) fn queue(
        &mut self,
        now: Moment,
        verb: Verb,
        unit: &UnitName,
        mode: JobMode,
    ) -> Result<u32, CallError> {
        let result = self.submit(verb, unit, mode);
        self.settle(now);
        result
    }

    /// Restarts a proxy as its agent asks for it, and says with which holds; see `Request::Restart`.
    pub(crate) fn restart(
        &mut self,
        now: Moment,
        unit: &UnitName,
        starts: bool,
        spared: &[UnitName],
    ) -> Result<Restarted, CallError> {
        self.touched.clear();
        let verb = if starts {
            Verb::Restart
        } else {
            Verb::TryRestart
        };
        let others = self.find(|spec| spec.stops_with(unit));
        let alone = others.iter().any(|other| spared.contains(other));
        let others = others.iter().filter(|other| !spared.contains(other));
        for other in others.filter(|_| alone) {
            let queued = self.queue(now, Verb::TryRestart, other, JobMode::Fail);
            if queued == Err(CallError::Destructive) {
                return Err(CallError::Destructive);
            }
        }
        let mode = if alone {
            JobMode::IgnoreRequirements
        } else {
            JobMode::Fail
        };
        let job = self.queue(now, verb, unit, mode)?;
        let holds = std::mem::take(&mut self.touched);
        Ok(Restarted { job, alone, holds })
    }

    /// The same from inside, where the caller goes on until all is settled.
    pub(super) fn submit(
        &mut self,
        verb: Verb,
        unit: &UnitName,
        mode: JobMode,
    ) -> Result<u32, CallError> {
        if !self.load(unit) {
            return Err(CallError::NoSuchUnit(unit.clone()));
        }
        let kind = match verb {
            Verb::Start => JobType::Start,
            Verb::Stop => JobType::Stop,
            Verb::Restart => JobType::Restart,
            Verb::TryRestart if self.state(unit) == State::Active => JobType::Restart,
            Verb::TryRestart => {
                // systemd queues a job that does nothing, and ends it at once.
                let id = self.next_job();
                self.signal(Signal::JobNew(id, unit.clone()));
                self.signal(Signal::JobRemoved(id, unit.clone(), JobResult::Done));
                return Ok(id);
            }
        };
        let mut transaction = Transaction::default();
        if mode == JobMode::IgnoreRequirements {
            transaction.jobs.insert(unit.clone(), kind);
            if kind == JobType::Stop {
                self.ended.insert(unit.clone());
            }
        } else {
            self.add(&mut transaction, unit, kind)?;
        }
        if mode == JobMode::Fail {
            self.minimize(&mut transaction, unit);
        }
        self.drop_redundant(&mut transaction, unit);
        let conflicts = |(other, kind): (&UnitName, &JobType)| self.conflicts(other, *kind);
        if mode == JobMode::Fail && transaction.jobs.iter().any(conflicts) {
            return Err(CallError::Destructive);
        }
        for (other, kind) in transaction.jobs {
            if kind == JobType::Restart {
                self.note_unreached(&other);
            }
            if transaction.lacking.contains(&other) {
                self.lacking.insert(other.clone());
            } else {
                self.lacking.remove(&other);
            }
            self.install(&other, kind);
            self.touch_hold(&other);
        }
        let id = self.units.get(unit).and_then(|u| u.job.as_ref());
        Ok(id.map_or(0, |job| job.id))
    }

    /// The job of a hold unit is part of a transaction.
    fn touch_hold(&mut self, unit: &UnitName) {
        let job = self.units.get(unit).and_then(|u| u.job.as_ref());
        if let Some(job) = job.filter(|_| HoldName::parse(unit).is_some()) {
            self.touched.push((unit.clone(), job.id));
        }
    }

    /// Whether a job would take the place of one that is there.
    fn conflicts(&self, unit: &UnitName, kind: JobType) -> bool {
        let job = self.units.get(unit).and_then(|u| u.job.as_ref());
        job.is_some_and(|job| conflict(job.kind, kind))
    }

    /// In the mode `fail`, what is only wanted is left alone where it stands against something.
    fn minimize(&self, transaction: &mut Transaction, anchor: &UnitName) {
        loop {
            let matter = transaction.asked_by(anchor, true);
            let mut jobs = transaction.jobs.iter();
            let against =
                jobs.find(|(unit, kind)| !matter.contains(*unit) && self.conflicts(unit, **kind));
            match against.map(|(unit, _)| unit.clone()) {
                Some(unit) => transaction.drop(anchor, &unit),
                None => return,
            }
        }
    }

    /// What is as it should be needs no job, except the one that was asked for; and what only such a job asks
    /// for is not done either: a stop does not go on behind what is inactive, nor a start behind
    /// what is active.
    fn drop_redundant(&self, transaction: &mut Transaction, anchor: &UnitName) {
        let is_redundant = |unit: &UnitName, kind: JobType| {
            let as_it_should_be = match kind {
                JobType::Start => self.state(unit) == State::Active,
                JobType::Stop => self.state(unit).is_down(),
                JobType::Restart => false,
            };
            unit != anchor && as_it_should_be && !self.conflicts(unit, kind)
        };
        let jobs = transaction.jobs.iter();
        let redundant = jobs.filter(|(unit, kind)| is_redundant(unit, **kind));
        let redundant: Vec<UnitName> = redundant.map(|(unit, _)| unit.clone()).collect();
        for unit in redundant {
            transaction.drop(anchor, &unit);
        }
    }

    /// Units that a restart of this one does not reach, because they are only starting.
    fn note_unreached(&mut self, unit: &UnitName) {
        for other in self.find(|spec| spec.stops_with(unit)) {
            if self.state(&other) == State::Activating {
                self.unreached.insert(other);
            }
        }
    }

    /// Takes a job back.
    pub(crate) fn cancel(&mut self, now: Moment, id: u32) -> Result<(), CallError> {
        let has = |unit: &super::Unit| unit.job.as_ref().is_some_and(|job| job.id == id);
        let found = self.units.iter().find(|(_, unit)| has(unit));
        let unit = found.map(|(name, _)| name.clone());
        let unit = unit.ok_or(CallError::NoSuchJob)?;
        self.finish(&unit, JobResult::Canceled, true);
        self.settle(now);
        Ok(())
    }

    /// Looks again whether units are needed, as at the end of a unit that wanted them all.
    pub(crate) fn look_again(&mut self, now: Moment, units: Vec<UnitName>) -> u32 {
        self.check_unneeded.extend(units);
        let job = self.next_job();
        self.settle(now);
        job
    }

    /// A job of the type `nop`, which does nothing and ends at once; at its end systemd looks whether the unit is upheld.
    pub(crate) fn look_upheld(&mut self, now: Moment, unit: &UnitName) -> Result<u32, CallError> {
        if self.is_masked(unit) {
            return Err(CallError::Masked(unit.clone()));
        }
        if !self.load(unit) {
            return Err(CallError::NoSuchUnit(unit.clone()));
        }
        let id = self.next_job();
        self.signal(Signal::JobNew(id, unit.clone()));
        self.signal(Signal::JobRemoved(id, unit.clone(), JobResult::Done));
        self.check_upheld.insert(unit.clone());
        self.check_bound.insert(unit.clone());
        self.check_unneeded.insert(unit.clone());
        self.settle(now);
        Ok(id)
    }

    /// The proxies for which a job waits, each with the units in between.
    pub(crate) fn waits(&self, id: u32) -> Vec<(UnitName, Vec<UnitName>)> {
        let has = |unit: &super::Unit| unit.job.as_ref().is_some_and(|job| job.id == id);
        let Some((from, _)) = self.units.iter().find(|(_, unit)| has(unit)) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::from([from.clone()]);
        let mut next = VecDeque::from([(from.clone(), Vec::new())]);
        let mut found = Vec::new();
        while let Some((at, via)) = next.pop_front() {
            let Some(unit) = self.units.get(&at) else {
                continue;
            };
            // What is at work does not wait.
            if unit.job.as_ref().is_none_or(|job| job.running) {
                continue;
            }
            for after in unit.spec.needed().chain(&unit.spec.part_of) {
                if !unit.spec.is_after(after) || !self.has_job(after) || !seen.insert(after.clone())
                {
                    continue;
                }
                if ProxyName::is_proxy(after) {
                    found.push((after.clone(), via.clone()));
                }
                let mut via = via.clone();
                via.push(after.clone());
                next.push_back((after.clone(), via));
            }
        }
        found
    }

    /// A unit and what follows from a job on it.
    fn add(
        &mut self,
        transaction: &mut Transaction,
        unit: &UnitName,
        kind: JobType,
    ) -> Result<(), CallError> {
        let kind = match transaction.jobs.get(unit) {
            Some(there) if *there == kind => return Ok(()),
            Some(there) => merged(*there, kind),
            None => kind,
        };
        if !self.load(unit) {
            return Err(CallError::NoSuchUnit(unit.clone()));
        }
        if kind != JobType::Stop && self.is_masked(unit) {
            return Err(CallError::Masked(unit.clone()));
        }
        transaction.jobs.insert(unit.clone(), kind);
        if kind != JobType::Stop {
            let pulled: Vec<(UnitName, bool)> = self.units.get(unit).map_or_else(Vec::new, |u| {
                let pulled = u.spec.pulled();
                pulled.map(|(other, hard)| (other.clone(), hard)).collect()
            });
            for (other, hard) in pulled {
                match self.add(transaction, &other, JobType::Start) {
                    Err(error) if hard => {
                        transaction.lacking.insert(unit.clone());
                        return Err(error);
                    }
                    Err(_) => {}
                    Ok(()) => transaction.ask(unit, &other, hard),
                }
            }
        }
        if kind != JobType::Start {
            for other in self.find(|spec| spec.stops_with(unit)) {
                if kind == JobType::Stop || self.state(&other) == State::Active {
                    self.add(transaction, &other, kind)?;
                    transaction.ask(unit, &other, true);
                }
            }
        }
        Ok(())
    }

    fn install(&mut self, unit: &UnitName, kind: JobType) {
        let there = self.units.get(unit).and_then(|u| u.job.clone());
        match there {
            Some(job) if conflict(job.kind, kind) => {
                self.finish(unit, JobResult::Canceled, false);
            }
            Some(job) => {
                let both = merged(job.kind, kind);
                if both != job.kind
                    && let Some(u) = self.units.get_mut(unit)
                {
                    u.job = Some(Job {
                        kind: both,
                        running: false,
                        ..job
                    });
                }
                self.enqueue(unit);
                return;
            }
            None => {}
        }
        let id = self.next_job();
        if let Some(u) = self.units.get_mut(unit) {
            u.job = Some(Job {
                id,
                kind,
                running: false,
            });
        }
        self.signal(Signal::JobNew(id, unit.clone()));
        self.touch(unit);
        self.enqueue(unit);
    }

    pub(super) fn enqueue(&mut self, unit: &UnitName) {
        if !self.run_queue.contains(unit) {
            self.run_queue.push_back(unit.clone());
        }
    }

    /// Whether no other job has to go first.
    fn is_runnable(&self, unit: &UnitName) -> bool {
        let Some((u, job)) = self
            .units
            .get(unit)
            .and_then(|u| Some((u, u.job.as_ref()?)))
        else {
            return false;
        };
        let stops = |kind: JobType| kind != JobType::Start;
        self.units.iter().all(|(name, other)| {
            let Some(its) = &other.job else {
                return true;
            };
            let we_follow = u.spec.is_after(name) && !stops(job.kind);
            let it_goes_down_first = other.spec.is_after(unit) && stops(its.kind);
            name == unit || !(we_follow || it_goes_down_first)
        })
    }

    /// Runs what can run.
    pub(super) fn run_jobs(&mut self) {
        while let Some(unit) = self.run_queue.pop_front() {
            if !self.is_runnable(&unit) {
                continue;
            }
            let Some(job) = self.units.get_mut(&unit).and_then(|u| u.job.as_mut()) else {
                continue;
            };
            if job.running {
                continue;
            }
            job.running = true;
            let (id, kind) = (job.id, job.kind);
            self.signal(Signal::JobRunning(id));
            match kind {
                JobType::Start => self.start(&unit),
                JobType::Stop | JobType::Restart => self.stop(&unit),
            }
        }
    }

    /// A job has waited for something that cannot be hurried: it is tried again at the next change.
    pub(super) fn wait_again(&mut self, unit: &UnitName) {
        if let Some(job) = self.units.get_mut(unit).and_then(|u| u.job.as_mut()) {
            job.running = false;
        }
    }

    /// The job of a unit ends.
    pub(super) fn finish(&mut self, unit: &UnitName, result: JobResult, recursive: bool) {
        let Some(u) = self.units.get_mut(unit) else {
            return;
        };
        let Some(job) = u.job.take() else {
            return;
        };
        if result == JobResult::Done && job.kind == JobType::Restart {
            u.job = Some(Job {
                kind: JobType::Start,
                running: false,
                ..job
            });
            self.enqueue(unit);
        } else {
            u.job = Some(job.clone());
            self.tell_change(unit);
            if let Some(u) = self.units.get_mut(unit) {
                u.job = None;
            }
            self.signal(Signal::JobRemoved(job.id, unit.clone(), result));
            if let Some(u) = self.units.get(unit).filter(|u| u.state.is_down()) {
                let needed: Vec<UnitName> = u.spec.needed().cloned().collect();
                self.unstopped.extend(needed);
            }
            if recursive && result != JobResult::Done && job.kind == JobType::Start {
                for other in self.find(|spec| spec.requires(unit)) {
                    let its = self.units.get(&other).and_then(|u| u.job.as_ref());
                    if its.is_some_and(|job| job.kind == JobType::Start) {
                        self.finish(&other, JobResult::Dependency, true);
                    }
                }
            }
        }
        self.touch(unit);
        let ordered: Vec<UnitName> = {
            let spec = self.units.get(unit).map(|u| &u.spec);
            let names = self.units.iter().filter(|(name, other)| {
                other.job.is_some()
                    && (other.spec.is_after(unit) || spec.is_some_and(|spec| spec.is_after(name)))
            });
            names.map(|(name, _)| name.clone()).collect()
        };
        for other in ordered {
            self.enqueue(&other);
        }
        self.check_upheld.insert(unit.clone());
        self.check_bound.insert(unit.clone());
        self.check_unneeded.insert(unit.clone());
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.effects.push_back(Effect::Tell(signal));
    }

    fn next_job(&mut self) -> u32 {
        self.jobs += 1;
        self.jobs
    }
}
