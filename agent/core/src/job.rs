//! The jobs that the controller gives.
//!
//! | state | true in it | leaves it |
//! |---|---|---|
//! | called | systemd was asked, has not answered | an answer: queued; an error: done |
//! | queued | systemd has the job | its end: done, or describing where a start failed |
//! | describing | the unit is asked why | the answer: done |
//!
//! A job belongs to the connection on which it came. When that ends, systemd goes on with it, and
//! nobody is told the result.

use std::collections::BTreeMap;

use proto::{
    dbus::{error, systemd::NO_SUCH_UNIT},
    message::ToController,
    model::{Cause, JobId, JobKind, JobMode, JobResult, JobState, Reason},
    name::UnitName,
};

use crate::{
    call::{Cx, Purpose, Step, job_of},
    input::{Answer, CallId, ManagerError},
    limits::JOBS_MAX,
    output::{Event, Request, Verb},
    reason::{self, Ending},
    unit::ManagerJob,
};

/// Errors of systemd that mean that there is no unit to work on (org.freedesktop.systemd1(5)).
const NOT_THERE: [&str; 4] = [
    NO_SUCH_UNIT,
    "org.freedesktop.systemd1.LoadFailed",
    "org.freedesktop.systemd1.BadUnitSetting",
    "org.freedesktop.systemd1.UnitMasked",
];

/// The jobs of the present connection.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Jobs {
    entries: BTreeMap<JobId, Job>,
    /// Whether the agent is about to stop.
    draining: bool,
}

#[derive(Clone, Debug, Hash)]
struct Job {
    kind: JobKind,
    unit: UnitName,
    /// The controller has taken it back before systemd had a job to cancel.
    cancel: bool,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Working(Step),
    Describing { call: CallId, result: JobResult },
}

impl Jobs {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, JobKind, &UnitName)> {
        let jobs = self.entries.iter();
        jobs.map(|(id, job)| (*id, job.kind, &job.unit))
    }

    /// From now on no job is begun.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) fn begin(
        &mut self,
        id: JobId,
        kind: JobKind,
        unit: UnitName,
        mode: JobMode,
        cx: &mut Cx<'_>,
    ) {
        let refuse = |cause, text: String| ToController::JobDone {
            job: id,
            result: JobResult::Failed,
            reason: Some(Reason::new(cause, text)),
        };
        if self.draining {
            let node = &cx.settings.node;
            let text = format!("the agent of node {node} is stopping, and takes no new jobs");
            let name = error::STOPPING.to_owned();
            let error = ManagerError {
                name,
                text: text.clone(),
            };
            cx.event(Event::JobRefused { job: id, error });
            cx.say(refuse(Cause::Canceled, text));
            return;
        }
        if self.entries.contains_key(&id) {
            cx.say(refuse(
                Cause::Limit,
                format!("job {id} is under way already"),
            ));
            return;
        }
        if self.entries.len() >= JOBS_MAX {
            cx.event(Event::Limit {
                what: "jobs of the controller",
            });
            let text = format!("node {} has {JOBS_MAX} jobs under way", cx.settings.node);
            cx.say(refuse(Cause::Limit, text));
            return;
        }
        if !cx.units.connected {
            let text = format!("systemd of node {} is not reachable", cx.settings.node);
            cx.say(refuse(Cause::Manager, text));
            return;
        }
        let verb = match kind {
            JobKind::Start => Verb::Start,
            JobKind::Stop => Verb::Stop,
            JobKind::Restart => Verb::Restart,
            JobKind::Reload => Verb::Reload,
        };
        let request = Request::Queue {
            verb,
            unit: unit.clone(),
            mode,
        };
        let call = cx.call(Purpose::Job(id), request);
        let stage = Stage::Working(Step::Called(call));
        self.entries.insert(
            id,
            Job {
                kind,
                unit,
                cancel: false,
                stage,
            },
        );
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
            Stage::Describing { .. } => {}
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
                let description = match result {
                    Ok(Answer::Description(description)) => Some(description),
                    Ok(Answer::Job(_) | Answer::Done | Answer::Unit(_) | Answer::Waits(_))
                    | Err(_) => None,
                };
                let why = cx.why(&job.unit, &Ending::Job(end), description.as_ref());
                self.done(id, end, Some(why), cx);
            }
            Stage::Working(_) | Stage::Describing { .. } => {}
        }
    }

    pub(crate) fn running(&self, id: JobId, manager_job: ManagerJob, cx: &mut Cx<'_>) {
        if self.is_at(id, manager_job) {
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
        if wants_a_reason(job.kind, result) && cx.units.connected {
            let call = cx.call(Purpose::Job(id), Request::Describe(job.unit.clone()));
            job.stage = Stage::Describing { call, result };
        } else {
            self.done(id, result, None, cx);
        }
    }

    /// The service manager went away before it answered.
    pub(crate) fn call_lost(&mut self, id: JobId, call: CallId, cx: &mut Cx<'_>) {
        let end = match self.entries.get(&id).map(|job| &job.stage) {
            Some(Stage::Working(Step::Called(open))) if *open == call => JobResult::Failed,
            Some(Stage::Describing { call: open, result }) if *open == call => *result,
            Some(Stage::Working(_) | Stage::Describing { .. }) | None => return,
        };
        self.lost(id, end, cx);
    }

    /// The job ended while the service manager was out of reach.
    pub(crate) fn job_lost(&mut self, id: JobId, manager_job: ManagerJob, cx: &mut Cx<'_>) {
        if self.is_at(id, manager_job) {
            self.lost(id, JobResult::Failed, cx);
        }
    }

    /// The connection has ended: its jobs are nobody's.
    pub(crate) fn disconnected(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_at(&self, id: JobId, manager_job: ManagerJob) -> bool {
        let stage = self.entries.get(&id).map(|job| &job.stage);
        stage == Some(&Stage::Working(Step::Queued(manager_job)))
    }

    fn lost(&mut self, id: JobId, result: JobResult, cx: &mut Cx<'_>) {
        let text = format!(
            "the connection to systemd of node {} was lost while the job was under way",
            cx.settings.node
        );
        self.done(id, result, Some(Reason::new(Cause::Manager, text)), cx);
    }

    fn done(&mut self, id: JobId, result: JobResult, reason: Option<Reason>, cx: &mut Cx<'_>) {
        self.entries.remove(&id);
        cx.say(ToController::JobDone {
            job: id,
            result,
            reason,
        });
    }
}

/// Whether the unit can say more about this end than its word does.
fn wants_a_reason(kind: JobKind, result: JobResult) -> bool {
    let starts = match kind {
        JobKind::Start | JobKind::Restart => true,
        JobKind::Stop | JobKind::Reload => false,
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
