//! Jobs whose end nobody saw: the agent was restarted, or systemd was out of reach. What became of them
//! is read from their units.

use proto::{
    model::{Cause, JobId, JobKind, JobResult, JobState, Reason},
    time::Moment,
};

use super::{
    Job, Jobs, Stage,
    end::{End, Task},
    note::{JobNote, NoteStage},
};
use crate::{
    call::{Cx, Purpose, Step},
    input::{Answer, CallId, Description, ManagerError},
    limits::{ENDS_MAX, JOBS_MAX},
    output::Request,
    reason::{self, Ending},
    unit::ManagerJob,
};

impl Jobs {
    /// Takes up what was noted before the agent was restarted; what is beyond the bounds is left out. All
    /// requests that were made after `since` are among it.
    pub(crate) fn restore(&mut self, notes: Vec<JobNote>, since: Moment, now: Moment) {
        self.remembers_since = Some(since);
        for note in notes {
            let task = Task {
                kind: note.kind,
                unit: note.unit,
                mode: note.mode,
                cookie: note.cookie,
                since: now,
            };
            match note.stage {
                NoteStage::Open(number) if self.entries.len() < JOBS_MAX => {
                    let job = Job {
                        task,
                        state: JobState::Waiting,
                        cancel: false,
                        stage: Stage::Noted(number),
                    };
                    self.requests.extend(note.cookie.map(|it| (it, note.job)));
                    self.entries.insert(note.job, job);
                }
                NoteStage::Ended(result, reason) => {
                    let heard = None;
                    self.restore_end(note.job, (task, result, reason, heard), now);
                }
                NoteStage::Heard(result, reason) => {
                    let heard = Some(now);
                    self.restore_end(note.job, (task, result, reason, heard), now);
                }
                NoteStage::Open(_) => {}
            }
        }
    }

    fn restore_end(
        &mut self,
        job: JobId,
        (task, result, reason, heard): (Task, JobResult, Option<Reason>, Option<Moment>),
        now: Moment,
    ) {
        if self.ends.len() < ENDS_MAX {
            let end = End {
                task,
                result,
                reason,
                heard,
            };
            let cookie = end.task.cookie;
            self.requests.extend(cookie.map(|cookie| (cookie, job)));
            // There is room for it.
            self.ends.keep(job, end, now);
        }
    }

    /// The service manager is reached, with these jobs: what was noted is found again.
    pub(crate) fn manager_reached(&mut self, jobs: &[ManagerJob], cx: &mut Cx<'_>) {
        let noted = self.entries.iter().filter_map(|(id, job)| match job.stage {
            Stage::Noted(number) => Some((*id, number)),
            Stage::Working(_) | Stage::Describing { .. } | Stage::Finding(_) => None,
        });
        let noted: Vec<_> = noted.collect();
        for (id, number) in noted {
            match number {
                Some(number) if jobs.contains(&number) => {
                    // Nothing has ended since the snapshot was taken.
                    cx.calls.follow(number, Purpose::Job(id));
                    if let Some(job) = self.entries.get_mut(&id) {
                        job.stage = Stage::Working(Step::Queued(number));
                    }
                }
                Some(_) => self.find(id, cx),
                None => self.ask_again(id, cx),
            }
        }
    }

    /// The agent ended between its call and the answer, so systemd may have the job or not. To start or to
    /// stop twice does what once does; anything else is not done again.
    fn ask_again(&mut self, id: JobId, cx: &mut Cx<'_>) {
        let Some(task) = self.entries.get(&id).map(|job| job.task.clone()) else {
            return;
        };
        match task.kind {
            JobKind::Start | JobKind::Stop => self.ask(id, task, cx),
            JobKind::Restart | JobKind::Reload => {
                let text = format!(
                    "the agent of node {} was restarted while it asked systemd to {} {}; whether that was done is not known",
                    cx.settings.node, task.kind, task.unit
                );
                let reason = Reason::new(Cause::Manager, text);
                self.done(id, JobResult::Failed, Some(reason), cx);
            }
        }
    }

    /// The service manager went away before it answered.
    pub(crate) fn call_lost(&mut self, id: JobId, call: CallId, cx: &mut Cx<'_>) {
        match self.entries.get(&id).map(|job| &job.stage) {
            Some(Stage::Working(Step::Called(open))) if *open == call => {
                self.lost(id, JobResult::Failed, cx);
            }
            Some(Stage::Describing { call: open, result }) if *open == call => {
                let result = *result;
                self.lost(id, result, cx);
            }
            // It is asked again when the service manager is back.
            Some(Stage::Finding(open)) if *open == call => self.note_again(id),
            Some(
                Stage::Noted(_) | Stage::Working(_) | Stage::Describing { .. } | Stage::Finding(_),
            )
            | None => {}
        }
    }

    /// The job ended while the service manager was out of reach.
    pub(crate) fn job_lost(&mut self, id: JobId, manager_job: ManagerJob, cx: &mut Cx<'_>) {
        if self.is_at(id, manager_job) {
            self.find(id, cx);
        }
    }

    fn note_again(&mut self, id: JobId) {
        if let Some(job) = self.entries.get_mut(&id) {
            // systemd numbers its jobs from 1 on.
            job.stage = Stage::Noted(Some(ManagerJob(0)));
        }
    }

    fn find(&mut self, id: JobId, cx: &mut Cx<'_>) {
        if let Some(job) = self.entries.get_mut(&id) {
            let request = Request::Describe(job.task.unit.clone());
            job.stage = Stage::Finding(cx.call(Purpose::Job(id), request));
        }
    }

    /// The unit of a job that ended unseen has said how it is.
    pub(super) fn found(
        &mut self,
        id: JobId,
        answer: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        let Ok(Answer::Description(description)) = answer else {
            return self.lost(id, JobResult::Failed, cx);
        };
        let Some(task) = self.entries.get(&id).map(|job| job.task.clone()) else {
            return;
        };
        let result = result_of(task.kind, &description);
        let reason = match result {
            JobResult::Failed if task.kind == JobKind::Reload => {
                let what = reason::what(&cx.settings.node, &task.unit);
                let text = format!("{what} is {}", description.active);
                Some(Reason::new(Cause::UnitFailed, text))
            }
            JobResult::Failed => Some(cx.why(&task.unit, &Ending::Job(result), Some(&description))),
            JobResult::Canceled => {
                let what = reason::what(&cx.settings.node, &task.unit);
                let text = format!("{what} is {}: its job was taken back", description.active);
                Some(Reason::new(Cause::Canceled, text))
            }
            JobResult::Done
            | JobResult::Timeout
            | JobResult::Dependency
            | JobResult::Skipped
            | JobResult::Invalid
            | JobResult::Assert
            | JobResult::Unsupported
            | JobResult::Collected
            | JobResult::Once
            | JobResult::Frozen => None,
        };
        self.done(id, result, reason, cx);
    }

    fn lost(&mut self, id: JobId, result: JobResult, cx: &mut Cx<'_>) {
        let text = format!(
            "the connection to systemd of node {} was lost while the job was under way",
            cx.settings.node
        );
        self.done(id, result, Some(Reason::new(Cause::Manager, text)), cx);
    }
}

/// How a job has ended, by what its unit is now.
fn result_of(kind: JobKind, unit: &Description) -> JobResult {
    let active = matches!(unit.active.as_str(), "active" | "reloading" | "refreshing");
    match kind {
        JobKind::Start | JobKind::Restart => {
            // One that only runs has run; a condition that does not hold is no failure of the job.
            let ran = unit.active == "inactive"
                && unit.load == "loaded"
                && matches!(unit.result.as_str(), "" | "success")
                && (unit.once || unit.condition_failed);
            if active || ran {
                JobResult::Done
            } else {
                JobResult::Failed
            }
        }
        JobKind::Stop if matches!(unit.active.as_str(), "inactive" | "failed") => JobResult::Done,
        JobKind::Stop => JobResult::Canceled,
        JobKind::Reload if active => JobResult::Done,
        JobKind::Reload => JobResult::Failed,
    }
}
