mod repeat;
mod told;

use std::{collections::BTreeMap, time::Duration};

use proto::{
    message::{Named, OrderId, ToAgent},
    model::{Cause, JobId, JobKind, JobMode, JobResult, JobState, Reason},
    name::{NodeName, UnitName},
    time::Moment,
};

use crate::{
    Fleet,
    input::{AgentError, ClientId, PeerId, RequestId},
    limits::{JOBS_PER_CLIENT_MAX, JOBS_PER_NODE_MAX, ORDERS_PER_NODE_MAX},
    order::{ended, refused},
    output::{Answer, Event, Output, RequestError},
    timer::Timer,
};

use repeat::Request;
pub(crate) use told::EndedJobs;
pub use told::{EndedJob, JobsKnown};

/// A job: something that is done with a unit of a node.
///
/// ```text
/// asked ──▶ queued ──▶ canceling
///   │          └──────────┴──▶ removed, with a result
///   └──▶ never was: the agent's error, its silence or its end is the answer to the call
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The node.
    pub node: NodeName,
    /// The unit.
    pub unit: UnitName,
    /// What is done.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// How it deals with jobs that are queued already.
    pub mode: JobMode,
    /// When it was asked for.
    pub since: Moment,
    /// How long its call may wait for the answer of the agent.
    pub(crate) within: Duration,
    pub(crate) owner: Owner,
    pub(crate) asker: Asker,
    pub(crate) phase: Phase,
    /// The client's call that brings the unit.
    pub(crate) transient: Option<RequestId>,
    pub(crate) named: Option<Request>,
}

impl Job {
    /// The node whose units ordered it; `None` for one that a client of the API asked for.
    pub fn source(&self) -> Option<&NodeName> {
        match &self.owner {
            Owner::Client(_) | Owner::Before => None,
            Owner::Node(node) => Some(node),
        }
    }
}

/// Who wanted a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// A client of the public API.
    Client(ClientId),
    /// A unit of this node.
    Node(NodeName),
    /// Somebody who asked a controller before this one.
    Before,
}

/// Whom to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// Clients, when the job is queued: more than one where a request was repeated before it was answered. The
    /// shell bounds the calls that wait.
    Clients(Vec<RequestId>),
    /// An agent, when it has ended.
    Agent(PeerId, OrderId),
    /// Nobody who asked is known here.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The agent has not said yet whether systemd has queued it; nobody else knows of it.
    Asked,
    /// It is announced.
    Queued,
    /// The agent was told to take it back.
    Canceling,
}

/// The jobs that are open.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Jobs {
    next: JobId,
    open: BTreeMap<JobId, Job>,
    by_owner: BTreeMap<Owner, usize>,
    pub(crate) ended: EndedJobs,
}

impl Jobs {
    pub(crate) fn new(first: JobId) -> Self {
        Self {
            next: first,
            open: BTreeMap::new(),
            by_owner: BTreeMap::new(),
            ended: EndedJobs::default(),
        }
    }

    /// A number that no job has or had, as far as is known. 0 is no job, as in the lists of systemd.
    fn allot(&mut self) -> JobId {
        // The bounds on jobs leave nearly all numbers free, so this ends after a few steps.
        while self.next.0 == 0
            || self.open.contains_key(&self.next)
            || self.ended.contains(self.next)
        {
            self.next = JobId(self.next.0.wrapping_add(1));
        }
        let id = self.next;
        self.next = JobId(id.0.wrapping_add(1));
        id
    }

    fn insert(&mut self, job: Job) {
        *self.by_owner.entry(job.owner.clone()).or_default() += 1;
        self.open.insert(job.id, job);
    }

    fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.open.remove(&id)?;
        if let Some(count) = self.by_owner.get_mut(&job.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_owner.remove(&job.owner);
            }
        }
        Some(job)
    }

    fn of(&self, owner: &Owner) -> usize {
        self.by_owner.get(owner).copied().unwrap_or(0)
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Job> {
        self.open.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.open.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn by_owner(&self) -> &BTreeMap<Owner, usize> {
        &self.by_owner
    }
}

/// A job on a node that somebody asks for.
pub(crate) struct Order {
    pub(crate) owner: Owner,
    pub(crate) asker: Asker,
    pub(crate) node: NodeName,
    pub(crate) kind: JobKind,
    pub(crate) unit: UnitName,
    pub(crate) mode: JobMode,
    /// The client's call that brings the unit.
    pub(crate) transient: Option<RequestId>,
    /// What the client calls its request.
    pub(crate) named: Option<Named>,
}

impl Fleet {
    /// Asks an agent for a job. Whoever asked is answered when the agent has said something about it.
    pub(crate) fn start_job(&mut self, now: Moment, order: Order) -> Result<(), RequestError> {
        let Order {
            owner,
            asker,
            node: name,
            kind,
            unit,
            mode,
            transient,
            named,
        } = order;
        if self.stopping {
            return Err(RequestError::Stopping);
        }
        let within = match &owner {
            Owner::Client(client) => self.call_timeout_of(*client),
            Owner::Node(_) | Owner::Before => self.settings.call_timeout,
        };
        let again = named.is_some_and(|named| !named.age.is_zero());
        let (node, peer) = self.reachable(now, &name, again)?;
        let open = node.jobs.len();
        if open >= JOBS_PER_NODE_MAX {
            return Err(RequestError::Limit {
                what: "jobs",
                whose: format!("node {name}"),
                max: JOBS_PER_NODE_MAX,
            });
        }
        let (whose, max) = match &owner {
            Owner::Client(_) => ("this client".to_owned(), JOBS_PER_CLIENT_MAX),
            Owner::Node(name) => (format!("units of node {name}"), ORDERS_PER_NODE_MAX),
            Owner::Before => ("before".to_owned(), JOBS_PER_NODE_MAX),
        };
        if self.jobs.of(&owner) >= max {
            let what = "jobs";
            return Err(RequestError::Limit { what, whose, max });
        }
        let id = self.jobs.allot();
        if let Some(node) = self.nodes.get_mut(&name) {
            node.jobs.insert(id);
        }
        self.jobs.insert(Job {
            id,
            node: name,
            unit,
            kind,
            state: JobState::Waiting,
            mode,
            since: now,
            within,
            owner,
            asker,
            phase: Phase::Asked,
            transient,
            named: named.map(|named| Request::made(named, now)),
        });
        self.timers.set(Timer::Queued(id), now.plus(within));
        // Otherwise it is sent when the agent is back.
        if let Some(peer) = peer {
            self.send_job(now, id, peer);
        }
        Ok(())
    }

    /// Asks the agent for a job that has its number.
    fn send_job(&mut self, now: Moment, id: JobId, peer: PeerId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let named = match job.named.map(|request| self.named_for(peer, request, now)) {
            Some(Some(named)) => named,
            Some(None) => return self.job_unsendable(id),
            None => None,
        };
        let output = match job.transient {
            Some(request) => Output::Transient {
                peer,
                job: id,
                id: request,
            },
            None => Output::Send {
                peer,
                message: ToAgent::Job {
                    job: id,
                    kind: job.kind,
                    unit: job.unit.clone(),
                    mode: job.mode,
                    named,
                },
            },
        };
        self.put(output);
    }

    /// The agent has answered the call that asked for the job.
    pub(crate) fn job_answered(
        &mut self,
        now: Moment,
        (node, peer): (&NodeName, PeerId),
        id: JobId,
        result: Result<(), AgentError>,
    ) {
        match (self.job_of(node, id).map(|job| job.phase), result) {
            (Some(Phase::Asked), Ok(())) => self.job_queued(now, id),
            (Some(Phase::Asked), Err(error)) => {
                self.job_never_was(id, RequestError::Agent(error));
                self.acknowledge_job(peer, id);
            }
            (Some(Phase::Queued | Phase::Canceling), _) | (None, _) => {}
        }
    }

    /// The agent says how far a job is.
    pub(crate) fn job_state(&mut self, now: Moment, node: &NodeName, id: JobId, state: JobState) {
        let Some(job) = self.job_of(node, id) else {
            return self.job_unknown(node, id);
        };
        let before = std::mem::replace(&mut job.state, state);
        self.job_queued(now, id);
        if before != state {
            self.put(Output::JobState { job: id, state });
        }
    }

    /// The agent says that a job has ended.
    pub(crate) fn job_done(
        &mut self,
        now: Moment,
        node: &NodeName,
        id: JobId,
        result: JobResult,
        reason: Option<Reason>,
    ) {
        let Some(job) = self.job_of(node, id) else {
            return self.job_unknown(node, id);
        };
        match (job.phase, result, reason) {
            // An agent says first that a job is queued. One that fails before was refused.
            (Phase::Asked, JobResult::Failed, Some(reason)) => {
                self.job_never_was(id, RequestError::Refused(reason));
            }
            (Phase::Asked | Phase::Queued | Phase::Canceling, result, reason) => {
                self.job_queued(now, id);
                self.remove_job(id, result, reason);
            }
        }
    }

    /// Has an agent take a job back. Saying it twice is no error and tells the agent once.
    pub(crate) fn cancel_job(&mut self, id: JobId) -> Result<Answer, RequestError> {
        let job = match self.jobs.open.get_mut(&id) {
            Some(job) => match job.phase {
                Phase::Queued => job,
                Phase::Canceling => return Ok(Answer::Canceling),
                Phase::Asked => return Err(RequestError::UnknownJob(id)),
            },
            None => return Err(RequestError::UnknownJob(id)),
        };
        job.phase = Phase::Canceling;
        let peer = self.nodes.get(&job.node).and_then(|node| node.peer());
        if let Some(peer) = peer.map(|peer| peer.id) {
            self.put(Output::Send {
                peer,
                message: ToAgent::CancelJob(id),
            });
        }
        Ok(Answer::Canceling)
    }

    /// The agent did not say in time that a job is queued.
    pub(crate) fn job_not_queued(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let error = RequestError::Timeout {
            node: job.node.clone(),
            after: job.within,
        };
        self.tell_cancel(id);
        self.job_never_was(id, error);
    }

    /// A job took longer than it may.
    pub(crate) fn job_timed_out(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let node = job.node.clone();
        let limit = self.settings.job_timeout.unwrap_or_default();
        let reason = Reason::new(
            Cause::Timeout,
            format!(
                "the job took longer than job_timeout, {:.0} s, allows",
                limit.as_secs_f64()
            ),
        );
        self.tell_cancel(id);
        self.put(Output::Log(Event::JobTimedOut { job: id, node }));
        self.remove_job(id, JobResult::Timeout, Some(reason));
    }

    /// The node of these jobs went away: nobody will say how they end.
    pub(crate) fn lose_jobs(
        &mut self,
        node: &NodeName,
        jobs: std::collections::BTreeSet<JobId>,
        why: &str,
    ) {
        for id in jobs {
            match self.jobs.get(id).map(|job| job.phase) {
                Some(Phase::Asked) => {
                    self.job_never_was(id, RequestError::NodeGone(node.clone()));
                }
                Some(Phase::Queued | Phase::Canceling) => {
                    let reason = Reason::new(
                        Cause::NodeLost,
                        format!("node {node} was lost while the job was open: {why}"),
                    );
                    self.remove_job(id, JobResult::Failed, Some(reason));
                }
                None => {}
            }
        }
    }

    /// Announces a job, if it is not announced yet, and answers the call that made it.
    fn job_queued(&mut self, now: Moment, id: JobId) {
        let Some(job) = self.jobs.open.get_mut(&id) else {
            return;
        };
        if job.phase != Phase::Asked {
            return;
        }
        let asker = job.asker.clone();
        job.phase = Phase::Queued;
        self.timers.cancel(Timer::Queued(id));
        if let Some(limit) = self.settings.job_timeout {
            self.timers.set(Timer::Job(id), now.plus(limit));
        }
        self.put(Output::JobNew(id));
        match asker {
            Asker::Clients(requests) => self.answer_all(requests, &Ok(Answer::Job(id))),
            Asker::Agent(..) | Asker::Nobody => {}
        }
    }

    fn answer_all(&mut self, requests: Vec<RequestId>, result: &Result<Answer, RequestError>) {
        for id in requests {
            let result = result.clone();
            self.put(Output::Answer { id, result });
        }
    }

    /// Forgets a job that was not announced, and answers the call that asked for it.
    pub(crate) fn job_never_was(&mut self, id: JobId, error: RequestError) {
        let reason = Reason::new(Cause::Manager, error.to_string());
        let Some(job) = self.forget_job(id, JobResult::Failed, Some(reason)) else {
            return;
        };
        match job.asker {
            Asker::Clients(requests) => self.answer_all(requests, &Err(error)),
            Asker::Agent(peer, order) => self.ordered(peer, order, refused(&job, error)),
            Asker::Nobody => {}
        }
    }

    fn remove_job(&mut self, id: JobId, result: JobResult, reason: Option<Reason>) {
        if let Some(job) = self.forget_job(id, result, reason.clone()) {
            if let Asker::Agent(peer, order) = job.asker {
                self.ordered(peer, order, ended(&job, result, reason.clone()));
            }
            self.put(Output::JobRemoved {
                job,
                result,
                reason,
            });
        }
    }

    fn forget_job(&mut self, id: JobId, result: JobResult, reason: Option<Reason>) -> Option<Job> {
        let job = self.take_job(id)?;
        self.jobs.ended.keep(EndedJob::of(&job, result, reason));
        Some(job)
    }

    /// Forgets a job as if it had never been asked for.
    fn take_job(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        if let Some(node) = self.nodes.get_mut(&job.node) {
            node.jobs.remove(&id);
        }
        match job.phase {
            Phase::Asked => self.timers.cancel(Timer::Queued(id)),
            Phase::Queued | Phase::Canceling => self.timers.cancel(Timer::Job(id)),
        }
        Some(job)
    }

    fn tell_cancel(&mut self, id: JobId) {
        let peer = self
            .jobs
            .get(id)
            .and_then(|job| self.nodes.get(&job.node)?.peer());
        if let Some(peer) = peer.map(|peer| peer.id) {
            self.put(Output::Send {
                peer,
                message: ToAgent::CancelJob(id),
            });
        }
    }

    fn job_of(&mut self, node: &NodeName, id: JobId) -> Option<&mut Job> {
        self.jobs.open.get_mut(&id).filter(|job| job.node == *node)
    }

    fn job_unknown(&mut self, node: &NodeName, id: JobId) {
        self.put(Output::Log(Event::JobUnknown {
            job: id,
            node: node.clone(),
        }));
    }
}
