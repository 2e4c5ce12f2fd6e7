//! The jobs that the controller gives.
//!
//! | state | true in it | leaves it |
//! |---|---|---|
//! | noted | it is known from before a restart of the agent | the first look at the service manager |
//! | called | systemd was asked, has not answered | an answer: queued; an error: done |
//! | queued | systemd has the job | its end: done, or describing where a start failed |
//! | describing | the unit is asked why | the answer: done |
//! | finding | it ended unseen, the unit is asked how | the answer: done |
//!
//! A job outlives the connection on which it came, the controller that gave it, and the agent: it is told on the
//! next connection, and its end is kept until it is acknowledged. Its number is that of one job for ever; a
//! command with a number that is known is answered and not carried out again. So is a request whose name is known: whoever
//! lost its controller repeats it, and hears of the job that was made for it (see [`repeat`]). Only a controller that
//! speaks less than [`PROTOCOL_JOBS`] is told of nothing that was begun on another connection.

mod end;
mod find;
pub(crate) mod note;
mod repeat;

use std::collections::BTreeMap;

use proto::{
    dbus::{error, systemd::NO_SUCH_UNIT},
    message::{Named, PROTOCOL_JOBS, Standing, ToController},
    model::{Cause, Cookie, JobId, JobKind, JobMode, JobResult, JobState, Reason},
    name::UnitName,
    time::Moment,
};

use crate::{
    call::{Cx, Purpose, Step, description_of, job_of},
    input::{Answer, CallId, ManagerError},
    limits::JOBS_MAX,
    output::{Event, Output, Request, Verb},
    reason::{self, Ending},
    unit::ManagerJob,
};
use end::{End, Ends, Task};
use note::{JobNote, NoteStage};
use repeat::{refuse, refuse_as};

/// Errors of systemd that mean that there is no unit to work on (org.freedesktop.systemd1(5)).
const NOT_THERE: [&str; 4] = [
    NO_SUCH_UNIT,
    "org.freedesktop.systemd1.LoadFailed",
    "org.freedesktop.systemd1.BadUnitSetting",
    "org.freedesktop.systemd1.UnitMasked",
];

/// The jobs of the controller, those under way and those that have ended.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Jobs {
    entries: BTreeMap<JobId, Job>,
    ends: Ends,
    /// The job that was made for each request that has a name, under way or ended.
    requests: BTreeMap<Cookie, JobId>,
    /// Whether the controller of the last connection acknowledges ends.
    acknowledged: bool,
    /// Whether the agent is about to stop.
    draining: bool,
    /// All requests that were made after this are known, as long as they can be repeated; all, if it is none.
    remembers_since: Option<Moment>,
}

#[derive(Clone, Debug, Hash)]
struct Job {
    task: Task,
    state: JobState,
    /// The controller has taken it back before systemd had a job to cancel.
    cancel: bool,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Nothing was heard of the service manager yet.
    Noted(Option<ManagerJob>),
    Working(Step),
    Describing {
        call: CallId,
        result: JobResult,
    },
    Finding(CallId),
}

impl Jobs {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, JobKind, &UnitName)> {
        let jobs = self.entries.iter();
        jobs.map(|(id, job)| (*id, job.task.kind, &job.task.unit))
    }

    /// From now on no job is begun.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) fn begin(
        &mut self,
        id: JobId,
        (kind, unit, mode): (JobKind, UnitName, JobMode),
        named: Option<Named>,
        cx: &mut Cx<'_>,
    ) {
        if self.is_known(id, cx) {
            return;
        }
        let task = Task {
            kind,
            unit,
            mode,
            cookie: named.map(|named| named.cookie),
            since: cx.now,
        };
        let is_done = named.is_some_and(|named| self.is_repeated(id, &task, named, cx));
        if is_done {
            return;
        }
        let node = &cx.settings.node;
        if self.draining {
            let text = format!("the agent of node {node} is stopping, and takes no new jobs");
            refuse_as(id, error::STOPPING, Reason::new(Cause::Canceled, text), cx);
        } else if self.entries.len() >= JOBS_MAX {
            let text = format!("node {node} has {JOBS_MAX} jobs under way");
            cx.event(Event::Limit {
                what: "jobs of the controller",
            });
            refuse(id, Reason::new(Cause::Limit, text), cx);
        } else if !cx.units.connected {
            let text = format!("systemd of node {node} is not reachable");
            refuse(id, Reason::new(Cause::Manager, text), cx);
        } else {
            self.ask(id, task, cx);
        }
    }

    /// Asks systemd for a job.
    fn ask(&mut self, id: JobId, task: Task, cx: &mut Cx<'_>) {
        keep_note(&task.note(id, NoteStage::Open(None)), cx);
        let verb = match task.kind {
            JobKind::Start => Verb::Start,
            JobKind::Stop => Verb::Stop,
            JobKind::Restart => Verb::Restart,
            JobKind::Reload => Verb::Reload,
        };
        let request = Request::Queue {
            verb,
            unit: task.unit.clone(),
            mode: task.mode,
        };
        let call = cx.call(Purpose::Job(id), request);
        self.requests.extend(task.cookie.map(|cookie| (cookie, id)));
        self.entries.insert(
            id,
            Job {
                task,
                state: JobState::Waiting,
                cancel: false,
                stage: Stage::Working(Step::Called(call)),
            },
        );
    }

    /// Whether a job of this number is known; what is known of it is then said again.
    fn is_known(&self, id: JobId, cx: &mut Cx<'_>) -> bool {
        if let Some(job) = self.entries.get(&id) {
            if job.stage.is_queued() {
                cx.say(ToController::JobState {
                    job: id,
                    state: JobState::Waiting,
                });
                if job.state == JobState::Running {
                    let state = job.state;
                    cx.say(ToController::JobState { job: id, state });
                }
            }
            return true;
        }
        if let Some(end) = self.ends.get(id) {
            cx.say(ToController::JobDone {
                job: id,
                result: end.result,
                reason: end.reason.clone(),
            });
            return true;
        }
        false
    }

    pub(crate) fn cancel(&mut self, id: JobId, cx: &mut Cx<'_>) {
        let Some(job) = self.entries.get_mut(&id) else {
            return;
        };
        match job.stage {
            Stage::Working(Step::Called(_)) => job.cancel = true,
            Stage::Working(Step::Queued(manager_job)) => {
                cx.call(Purpose::Cancel, Request::Cancel(manager_job));
            }
            Stage::Noted(_) | Stage::Describing { .. } | Stage::Finding(_) => {}
        }
    }

    pub(crate) fn answered(
        &mut self,
        id: JobId,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        let Some(job) = self.entries.get_mut(&id) else {
            return;
        };
        match &job.stage {
            Stage::Working(Step::Called(open)) if *open == call => match job_of(result) {
                Ok(manager_job) => {
                    job.stage = Stage::Working(Step::Queued(manager_job));
                    let cancel = job.cancel;
                    let stage = NoteStage::Open(Some(manager_job));
                    keep_note(&job.task.note(id, stage), cx);
                    cx.say(ToController::JobState {
                        job: id,
                        state: JobState::Waiting,
                    });
                    match cx.calls.follow(manager_job, Purpose::Job(id)) {
                        Some(result) => self.ended(id, manager_job, result, cx),
                        None if cancel => {
                            cx.call(Purpose::Cancel, Request::Cancel(manager_job));
                        }
                        None => {}
                    }
                }
                Err(error) => {
                    let cause = if NOT_THERE.contains(&error.name.as_str()) {
                        Cause::UnitNotFound
                    } else {
                        Cause::Manager
                    };
                    let reason = Reason::new(cause, reason::one_line(&error.text));
                    cx.event(Event::JobRefused { job: id, error });
                    self.done(id, JobResult::Failed, Some(reason), cx);
                }
            },
            Stage::Describing {
                call: open,
                result: end,
            } if *open == call => {
                let end = *end;
                let description = description_of(result);
                let why = cx.why(&job.task.unit, &Ending::Job(end), description.as_ref());
                self.done(id, end, Some(why), cx);
            }
            Stage::Finding(open) if *open == call => self.found(id, result, cx),
            Stage::Noted(_) | Stage::Working(_) | Stage::Describing { .. } | Stage::Finding(_) => {}
        }
    }

    pub(crate) fn running(&mut self, id: JobId, manager_job: ManagerJob, cx: &mut Cx<'_>) {
        if self.is_at(id, manager_job) {
            if let Some(job) = self.entries.get_mut(&id) {
                job.state = JobState::Running;
            }
            cx.say(ToController::JobState {
                job: id,
                state: JobState::Running,
            });
        }
    }

    pub(crate) fn ended(
        &mut self,
        id: JobId,
        manager_job: ManagerJob,
        result: JobResult,
        cx: &mut Cx<'_>,
    ) {
        if !self.is_at(id, manager_job) {
            return;
        }
        let Some(job) = self.entries.get_mut(&id) else {
            return;
        };
        if wants_a_reason(job.task.kind, result) && cx.units.connected {
            let call = cx.call(Purpose::Job(id), Request::Describe(job.task.unit.clone()));
            job.stage = Stage::Describing { call, result };
        } else {
            self.done(id, result, None, cx);
        }
    }

    /// The controller has registered this node: it is told what is under way and what has ended.
    pub(crate) fn registered(&mut self, protocol: u32, cx: &mut Cx<'_>) {
        self.acknowledged = protocol >= PROTOCOL_JOBS;
        if !self.acknowledged {
            return self.disown(cx);
        }
        if self.entries.is_empty() && self.ends.is_empty() {
            return;
        }
        let open = self.entries.iter();
        let open = open.map(|(id, job)| job.task.known(*id, cx.now, Standing::Open(job.state)));
        let mut known: Vec<_> = open.collect();
        let (ended, forgotten) = self.ends.known(cx.now);
        known.extend(ended);
        self.forget(forgotten, cx);
        if known.is_empty() {
            return;
        }
        cx.say(ToController::Jobs(known));
        for (id, end) in self.ends.unheard() {
            cx.say(ToController::JobDone {
                job: id,
                result: end.result,
                reason: end.reason.clone(),
            });
        }
    }

    /// The controller has taken in that a job has ended.
    pub(crate) fn heard(&mut self, id: JobId, cx: &mut Cx<'_>) {
        match self.ends.heard(id, cx.now).map(|end| end.note(id)) {
            Some(Some(note)) => keep_note(&note, cx),
            Some(None) => drop_note(id, cx),
            None => {}
        }
    }

    /// The jobs are nobody's: there is another controller now, or one that knows nothing of jobs that it has
    /// not given on this connection. systemd goes on with them.
    pub(crate) fn disown(&mut self, cx: &mut Cx<'_>) {
        if self.entries.is_empty() && self.ends.is_empty() {
            return;
        }
        self.forgets(cx);
        self.requests.clear();
        let open = std::mem::take(&mut self.entries).into_keys();
        for id in open.chain(self.ends.clear()) {
            drop_note(id, cx);
        }
    }

    /// Whether the requests that are known are those of the jobs that are.
    pub(crate) fn are_requests_right(&self) -> bool {
        let open = self.entries.iter();
        let open = open.filter_map(|(id, job)| Some((job.task.cookie?, *id)));
        open.chain(self.ends.requests()).collect::<BTreeMap<_, _>>() == self.requests
    }

    pub(crate) fn ended_len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_at(&self, id: JobId, manager_job: ManagerJob) -> bool {
        let stage = self.entries.get(&id).map(|job| &job.stage);
        stage == Some(&Stage::Working(Step::Queued(manager_job)))
    }

    fn done(&mut self, id: JobId, result: JobResult, reason: Option<Reason>, cx: &mut Cx<'_>) {
        let Some(job) = self.entries.remove(&id) else {
            return;
        };
        if self.acknowledged || cx.link.is_none() {
            let end = End {
                task: job.task,
                result,
                reason: reason.clone(),
                heard: None,
            };
            if let Some(note) = end.note(id) {
                keep_note(&note, cx);
            }
            let forgotten = self.ends.keep(id, end, cx.now);
            self.forget(forgotten, cx);
        } else {
            if let Some(cookie) = job.task.cookie {
                self.requests.remove(&cookie);
            }
            drop_note(id, cx);
        }
        cx.say(ToController::JobDone {
            job: id,
            result,
            reason,
        });
    }
}

impl Stage {
    /// Whether it is known that systemd has, or had, the job.
    fn is_queued(&self) -> bool {
        match self {
            Self::Noted(_) | Self::Working(Step::Called(_)) => false,
            Self::Working(Step::Queued(_)) | Self::Describing { .. } | Self::Finding(_) => true,
        }
    }
}

fn keep_note(note: &JobNote, cx: &mut Cx<'_>) {
    let (job, text) = (note.job, Some(note.to_string()));
    cx.out.push(Output::KeepJob { job, text });
}

fn drop_note(job: JobId, cx: &mut Cx<'_>) {
    cx.out.push(Output::KeepJob { job, text: None });
}

/// Whether the unit can say more about this end than its word does.
fn wants_a_reason(kind: JobKind, result: JobResult) -> bool {
    let starts = match kind {
        JobKind::Start | JobKind::Restart => true,
        // What its reload has failed of, a service may say itself.
        JobKind::Reload => return result == JobResult::Failed,
        JobKind::Stop => false,
    };
    starts
        && match result {
            JobResult::Failed
            | JobResult::Timeout
            | JobResult::Dependency
            | JobResult::Skipped
            | JobResult::Assert => true,
            JobResult::Done
            | JobResult::Canceled
            | JobResult::Invalid
            | JobResult::Unsupported
            | JobResult::Collected
            | JobResult::Once
            | JobResult::Frozen => false,
        }
}
