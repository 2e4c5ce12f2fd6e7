//! Calls to the service manager that are under way, and the jobs that came of them: for each, who
//! asked. The end of a job may be told before the answer that names it; such ends are remembered
//! until no call is open.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{ClaimKey, ToController},
    model::{JobId, JobResult, Reason},
    name::UnitName,
    time::Moment,
    wave::Wave,
};

use crate::{
    Settings,
    failure::Failures,
    input::{Answer, CallId, Description, LinkId, ManagerError, Restarting},
    limits::{EARLY_MAX, RETRY},
    output::{Event, Output, Request, Verb},
    reason::{self, Ending},
    unit::{ManagerJob, Units},
};

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A job of the controller.
    Job(JobId),
    /// The cancelling of one; nobody waits for the answer.
    Cancel,
    /// The hold on this unit.
    Hold(UnitName),
    /// This proxy.
    Proxy(UnitName),
    /// What follows a reload of a proxy; nobody waits for the answer.
    Followers,
    /// The restart of this proxy, which claims nothing at present.
    Again(UnitName),
    /// What starts wait for.
    Waits,
    /// Proxies that may not be needed.
    Needless,
    /// A proxy that may be upheld.
    Upheld,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// systemd has not answered.
    Called(CallId),
    /// The job is queued or at work.
    Queued(ManagerJob),
}

/// When to do again what systemd did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Retry {
    attempts: u32,
    pub(crate) at: Moment,
}

impl Retry {
    pub(crate) fn after(last: Option<Self>, now: Moment) -> Self {
        let attempts = last.map_or(1, |retry| retry.attempts.saturating_add(1));
        // One agent asks its own systemd: there is nobody to come back in step with.
        let at = now.plus(RETRY.wait(attempts, 0));
        Self { attempts, at }
    }
}

/// Everything that is under way.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Calls {
    last: u64,
    open: BTreeMap<CallId, Purpose>,
    jobs: BTreeMap<ManagerJob, Vec<Purpose>>,
    early: BTreeMap<ManagerJob, JobResult>,
    /// Those open calls that have a proxy stopped, with what requires it.
    stops: BTreeSet<CallId>,
    /// What has led to the restarts of proxies that are asked for.
    waves: BTreeMap<CallId, Wave>,
}

impl Calls {
    fn begin(&mut self, purpose: Purpose, request: &Request) -> CallId {
        self.last = self.last.saturating_add(1);
        let call = CallId(self.last);
        if matches!(purpose, Purpose::Proxy(_))
            && let Request::Queue {
                verb: Verb::Stop, ..
            } = request
        {
            self.stops.insert(call);
        }
        self.open.insert(call, purpose);
        call
    }

    /// What has led to the restart for which this call asks.
    pub(crate) fn wave(&mut self, call: CallId) -> Option<Wave> {
        self.waves.remove(&call)
    }

    /// A call was answered. Returns who asked; nobody, if it was given up.
    pub(crate) fn answered(&mut self, call: CallId) -> Option<Purpose> {
        self.stops.remove(&call);
        self.waves.remove(&call);
        self.open.remove(&call)
    }

    /// Whether a job that has just been cancelled made way for a stop of ours: systemd says that
    /// before it answers the call that asked for the stop.
    pub(crate) fn stop_takes_effect(&self) -> bool {
        !self.stops.is_empty()
    }

    /// To be called after an answer was dealt with: without open calls no end is early.
    pub(crate) fn tidy(&mut self) {
        if self.open.is_empty() {
            self.early.clear();
        }
    }

    /// Remembers who is to hear of the end of a job. Returns how it ended, if it has.
    pub(crate) fn follow(&mut self, job: ManagerJob, purpose: Purpose) -> Option<JobResult> {
        if let Some(result) = self.early.get(&job) {
            return Some(*result);
        }
        self.jobs.entry(job).or_default().push(purpose);
        None
    }

    /// Who waits for a job.
    pub(crate) fn followers(&self, job: ManagerJob) -> &[Purpose] {
        self.jobs.get(&job).map_or(&[], Vec::as_slice)
    }

    /// A job has ended. Returns who waited for it.
    pub(crate) fn ended(&mut self, job: ManagerJob, result: JobResult) -> Vec<Purpose> {
        if !self.open.is_empty() && self.early.len() < EARLY_MAX {
            self.early.insert(job, result);
        }
        self.jobs.remove(&job).unwrap_or_default()
    }

    /// The service manager is out of reach: open calls are not answered any more.
    pub(crate) fn disconnected(&mut self) -> Vec<(CallId, Purpose)> {
        self.early.clear();
        self.stops.clear();
        self.waves.clear();
        std::mem::take(&mut self.open).into_iter().collect()
    }

    /// The service manager is back with these jobs. Returns those that ended unheard.
    pub(crate) fn connected(&mut self, jobs: &[ManagerJob]) -> Vec<(ManagerJob, Purpose)> {
        let there: BTreeSet<_> = jobs.iter().collect();
        let gone: Vec<_> = self
            .jobs
            .keys()
            .copied()
            .filter(|j| !there.contains(j))
            .collect();
        let mut lost = Vec::new();
        for job in gone {
            let purposes = self.jobs.remove(&job).unwrap_or_default();
            lost.extend(purposes.into_iter().map(|purpose| (job, purpose)));
        }
        lost
    }

    pub(crate) fn early(&self) -> usize {
        self.early.len()
    }

    /// Whether a job has ended before the answer that names it.
    pub(crate) fn is_early(&self, job: ManagerJob) -> bool {
        self.early.contains_key(&job)
    }

    pub(crate) fn is_open(&self, call: CallId) -> bool {
        self.open.contains_key(&call)
    }

    pub(crate) fn is_followed(&self, job: ManagerJob) -> bool {
        self.jobs.contains_key(&job)
    }
}

/// What a part of the node works with while something is dealt with.
pub(crate) struct Cx<'a> {
    pub(crate) now: Moment,
    pub(crate) settings: &'a Settings,
    pub(crate) units: &'a Units,
    pub(crate) calls: &'a mut Calls,
    pub(crate) out: &'a mut Vec<Output>,
    /// The connection on which the node is registered.
    pub(crate) link: Option<LinkId>,
    pub(crate) failures: &'a mut Failures,
}

impl Cx<'_> {
    /// Calls the service manager.
    pub(crate) fn call(&mut self, purpose: Purpose, request: Request) -> CallId {
        let call = self.calls.begin(purpose, &request);
        self.out.push(Output::Call { call, request });
        call
    }

    /// Has a proxy restarted, since its unit was, to which these have led. `starts` is whether also one that is not
    /// active. Returns what is spared, too: those of this node to whose restart this one goes back.
    pub(crate) fn restart(
        &mut self,
        purpose: Purpose,
        unit: UnitName,
        starts: bool,
        (wave, key): (Wave, ClaimKey),
    ) -> (CallId, Vec<UnitName>) {
        let spared: Vec<UnitName> = wave.on(&self.settings.node).cloned().collect();
        let request = Request::Restart {
            unit,
            starts,
            spared: spared.clone(),
        };
        let call = self.call(purpose, request);
        self.calls.waves.insert(call, wave.then(key));
        (call, spared)
    }

    /// Tells the controller something, if there is one.
    pub(crate) fn say(&mut self, message: ToController) {
        if let Some(link) = self.link {
            self.out.push(Output::Send { link, message });
        }
    }

    /// Why a unit of this node is not up.
    pub(crate) fn why(
        &self,
        unit: &UnitName,
        ending: &Ending,
        description: Option<&Description>,
    ) -> Reason {
        let need = description.and_then(|unit| self.failures.first_of(&unit.proxies));
        let need = need.or_else(|| self.failures.circle_of(unit));
        reason::of_unit(&self.settings.node, unit, ending, description, need)
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
}

/// The description in an answer; nothing where there is none.
pub(crate) fn description_of(result: Result<Answer, ManagerError>) -> Option<Description> {
    match result {
        Ok(Answer::Description(description)) => Some(description),
        Ok(
            Answer::Job(_)
            | Answer::Restarting(_)
            | Answer::Done
            | Answer::Unit(_)
            | Answer::Waits(_)
            | Answer::Units(_),
        )
        | Err(_) => None,
    }
}

/// The job that an answer names.
pub(crate) fn job_of(result: Result<Answer, ManagerError>) -> Result<ManagerJob, ManagerError> {
    match result {
        Ok(Answer::Job(job) | Answer::Restarting(Restarting { job, .. })) => Ok(job),
        Ok(
            Answer::Done
            | Answer::Unit(_)
            | Answer::Description(_)
            | Answer::Waits(_)
            | Answer::Units(_),
        ) => Err(ManagerError {
            name: proto::dbus::error::FAILED.to_owned(),
            text: "the answer names no job".to_owned(),
        }),
        Err(error) => Err(error),
    }
}
