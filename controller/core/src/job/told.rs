//! What agents tell of jobs when they connect: jobs that this controller gave before their link broke,
//! jobs of a controller before it, and ends that were told before.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto::{
    message::{KnownJob, PROTOCOL_JOBS, Standing, ToAgent},
    model::{Cause, JobId, JobKind, JobResult, Reason},
    name::{NodeName, UnitName},
    time::Moment,
};

use super::{Asker, Job, Owner, Phase};
use crate::{
    Fleet,
    difference::{Difference, ToldSet},
    input::PeerId,
    limits::{ADOPTED_GRACE_MIN, ENDED_JOBS_MAX, JOBS_PER_NODE_MAX},
    node::Link,
    output::{Breach, Event, Output},
    timer::Timer,
};

/// A job that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndedJob {
    /// Its number.
    pub id: JobId,
    /// The node.
    pub node: NodeName,
    /// The unit.
    pub unit: UnitName,
    /// What was done.
    pub kind: JobKind,
    /// When it was asked for.
    pub since: Moment,
    /// How it ended.
    pub result: JobResult,
    /// Why, where there is more to say than the result.
    pub reason: Option<Reason>,
}

impl EndedJob {
    pub(super) fn of(job: &Job, result: JobResult, reason: Option<Reason>) -> Self {
        Self {
            id: job.id,
            node: job.node.clone(),
            unit: job.unit.clone(),
            kind: job.kind,
            since: job.since,
            result,
            reason,
        }
    }
}

/// The jobs that ended last: for clients that were away, and so that none is begun or ends again.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct EndedJobs {
    entries: BTreeMap<JobId, EndedJob>,
    order: VecDeque<JobId>,
}

impl EndedJobs {
    pub(super) fn contains(&self, id: JobId) -> bool {
        self.entries.contains_key(&id)
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&EndedJob> {
        self.entries.get(&id)
    }

    pub(super) fn keep(&mut self, ended: EndedJob) {
        if self.entries.contains_key(&ended.id) {
            return;
        }
        if self.order.len() >= ENDED_JOBS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(ended.id);
        self.entries.insert(ended.id, ended);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &EndedJob> {
        self.entries.values()
    }

    /// What must be true of it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let ordered: BTreeSet<_> = self.order.iter().collect();
        let fits = self.order.len() <= ENDED_JOBS_MAX;
        if ordered.len() == self.order.len() && ordered.into_iter().eq(self.entries.keys()) && fits
        {
            Ok(())
        } else {
            Err("the ended jobs are not in order".to_owned())
        }
    }
}

/// What a controller can say of the jobs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsKnown {
    /// All that there are.
    Yes,
    /// The controller or the node has just begun, and the node is about to tell its jobs.
    NotYet,
    /// Nothing more than this controller has seen: the node is away.
    Away,
}

impl JobsKnown {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::NotYet => "not-yet",
            Self::Away => "away",
        }
    }
}

impl Fleet {
    /// The jobs of a unit that have ended, as far as they are remembered.
    pub fn ended_jobs(&self, node: &NodeName, unit: &UnitName) -> impl Iterator<Item = &EndedJob> {
        let of = move |job: &&EndedJob| job.node == *node && job.unit == *unit;
        self.jobs.ended.iter().filter(of)
    }

    /// One job that has ended, if it is remembered.
    pub fn ended_job(&self, id: JobId) -> Option<&EndedJob> {
        self.jobs.ended.get(id)
    }

    /// Whether the node has told which jobs it knows of; `None` for a node that is unknown.
    pub fn jobs_known(&self, node: &NodeName, now: Moment) -> Option<JobsKnown> {
        let node = self.nodes.get(node)?;
        let is_new = now.since(self.begun) < ADOPTED_GRACE_MIN;
        Some(match &node.link {
            Link::Up(peer) if node.jobs_told || peer.hello.protocol < PROTOCOL_JOBS => {
                JobsKnown::Yes
            }
            Link::Up(_) | Link::Away(..) => JobsKnown::NotYet,
            Link::Down if is_new => JobsKnown::NotYet,
            Link::Down => JobsKnown::Away,
        })
    }

    /// An agent tells the jobs that it knows of.
    pub(crate) fn hear_jobs(
        &mut self,
        now: Moment,
        (name, peer): (&NodeName, PeerId),
        known: Vec<KnownJob>,
    ) -> Result<(), Breach> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        if std::mem::replace(&mut node.jobs_told, true) {
            return Err(Breach::SecondJobs);
        }
        // Its holds come after its jobs, on each connection.
        let is_back = node.holds_known;
        let ours: Vec<JobId> = node.jobs.iter().copied().collect();
        let told: BTreeSet<JobId> = known.iter().map(|known| known.job).collect();
        let mut adopted: usize = 0;
        for known in known {
            adopted = adopted.saturating_add(self.hear_job(now, (name, peer), known).into());
        }
        let mut lost: usize = 0;
        for id in ours.into_iter().filter(|id| !told.contains(id)) {
            match self.jobs.get(id).map(|job| job.phase) {
                // It was given while the link was broken, or lost with it.
                Some(Phase::Asked) => self.send_job(now, id, peer),
                Some(Phase::Queued | Phase::Canceling) => {
                    let text =
                        format!("the agent of node {name} knows nothing of the job any more");
                    let reason = Reason::new(Cause::NodeLost, text);
                    self.remove_job(id, JobResult::Failed, Some(reason));
                    lost = lost.saturating_add(1);
                }
                None => {}
            }
        }
        if is_back {
            let difference = Difference {
                added: adopted,
                gone: lost,
                changed: 0,
            };
            self.outputs.extend(difference.told(name, ToldSet::Jobs));
        } else if adopted > 0 {
            self.put(Output::Log(Event::JobsAdopted {
                node: name.clone(),
                jobs: adopted,
            }));
        }
        Ok(())
    }

    /// Whether the job was one that this controller did not know of.
    fn hear_job(
        &mut self,
        now: Moment,
        (name, peer): (&NodeName, PeerId),
        known: KnownJob,
    ) -> bool {
        let id = known.job;
        if self.jobs.ended.contains(id) {
            return false;
        }
        let phase = self.jobs.get(id).map(|job| (&job.node == name, job.phase));
        match (known.standing.clone(), phase) {
            (_, Some((false, _))) => {
                self.job_unknown(name, id);
                false
            }
            (Standing::Open(state), Some((true, phase))) => {
                self.job_state(now, name, id, state);
                if phase == Phase::Canceling {
                    let message = ToAgent::CancelJob(id);
                    self.put(Output::Send { peer, message });
                }
                false
            }
            (Standing::Ended(result, reason), Some((true, _))) => {
                self.job_done(now, name, id, result, reason);
                false
            }
            (Standing::Open(_), None) => self.adopt_job(now, name, known),
            (Standing::Ended(result, reason), None) => {
                self.jobs.ended.keep(EndedJob {
                    id,
                    node: name.clone(),
                    unit: known.unit,
                    kind: known.kind,
                    since: now.before(known.age),
                    result,
                    reason,
                });
                false
            }
        }
    }

    /// A job of a controller before this one is one of ours from now on.
    fn adopt_job(&mut self, now: Moment, name: &NodeName, known: KnownJob) -> bool {
        let KnownJob {
            job: id,
            kind,
            unit,
            mode,
            age,
            standing,
        } = known;
        let Standing::Open(state) = standing else {
            return false;
        };
        let node = self.nodes.get_mut(name);
        let Some(node) = node.filter(|node| node.jobs.len() < JOBS_PER_NODE_MAX && id.0 != 0)
        else {
            return false;
        };
        node.jobs.insert(id);
        self.jobs.insert(Job {
            id,
            node: name.clone(),
            unit,
            kind,
            state,
            mode,
            since: now.before(age),
            within: Duration::ZERO,
            owner: Owner::Before,
            asker: Asker::Nobody,
            phase: Phase::Queued,
            transient: None,
            named: None,
        });
        if let Some(limit) = self.settings.job_timeout {
            let left = limit.saturating_sub(age);
            self.timers.set(Timer::Job(id), now.plus(left));
        }
        self.put(Output::JobNew(id));
        true
    }

    /// Tells an agent that its word about the end of a job has arrived, if it waits for that.
    pub(crate) fn acknowledge_job(&mut self, peer: PeerId, job: JobId) {
        let node = self.peers.get(&peer).and_then(|name| self.nodes.get(name));
        let protocol = node
            .and_then(|node| node.peer())
            .map(|it| it.hello.protocol);
        if protocol.is_some_and(|protocol| protocol >= PROTOCOL_JOBS) {
            let message = ToAgent::JobHeard(job);
            self.put(Output::Send { peer, message });
        }
    }
}
