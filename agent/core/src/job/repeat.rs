//! Requests that have a name, so that one that is repeated is carried out once. A client that lost its controller does
//! not know whether its request had arrived; it makes it again, under the same name, and says how long ago it made it
//! for the first time.
//!
//! | the agent | then |
//! |---|---|
//! | has a job for it, under way or ended | the answer names that job |
//! | has none, and would know it if it had | the request is new |
//! | has none, and may have forgotten it | it is refused: nobody can say whether it was carried out |

use proto::{
    dbus::error,
    message::{Named, Standing, ToController},
    model::{Cause, Cookie, JobId, JobResult, Reason},
    time::Moment,
};

use super::{
    Jobs, drop_note,
    end::{Forgotten, Task},
};
use crate::{
    call::Cx,
    input::ManagerError,
    limits::ENDS_KEPT,
    output::{Event, Output},
};

impl Jobs {
    /// Whether the request was made before, or may have been; that is then said, and no job is begun.
    pub(super) fn is_repeated(
        &self,
        id: JobId,
        task: &Task,
        named: Named,
        cx: &mut Cx<'_>,
    ) -> bool {
        if let Some((job, known, standing)) = self.of(named.cookie) {
            if (known.kind, &known.unit, known.mode) == (task.kind, &task.unit, task.mode) {
                let asked = id;
                cx.say(ToController::JobIs {
                    asked,
                    job,
                    standing,
                });
            } else {
                let text = "the cookie is that of another request".to_owned();
                refuse_as(
                    id,
                    error::INVALID_ARGS,
                    Reason::new(Cause::Manager, text),
                    cx,
                );
            }
            return true;
        }
        let forgotten = !self.would_know(named, cx.now);
        if forgotten {
            let text = format!(
                "the agent of node {} does not know any more whether it was asked to {} {}",
                cx.settings.node, task.kind, task.unit
            );
            refuse_as(id, error::FORGOTTEN, Reason::new(Cause::NodeLost, text), cx);
        }
        forgotten
    }

    /// The job that was made for a request, and how it stands.
    fn of(&self, cookie: Cookie) -> Option<(JobId, &Task, Standing)> {
        let id = *self.requests.get(&cookie)?;
        if let Some(job) = self.entries.get(&id) {
            return Some((id, &job.task, Standing::Open(job.state)));
        }
        let end = self.ends.get(id)?;
        Some((id, &end.task, end.standing()))
    }

    /// Whether a request would be known if it had been here before, so that one that is not known is new. A
    /// job begins after the request for it and is kept for [`ENDS_KEPT`] after its end; so all younger ones are known, but
    /// for what had to go for lack of room, and what was noted before the node was started.
    fn would_know(&self, named: Named, now: Moment) -> bool {
        let first = now.before(named.age);
        named.age.is_zero()
            || (named.age < ENDS_KEPT && self.remembers_since.is_none_or(|since| first > since))
    }

    /// Ends are not kept any more, and so are their notes.
    pub(super) fn forget(&mut self, forgotten: Vec<Forgotten>, cx: &mut Cx<'_>) {
        for Forgotten {
            job,
            end,
            too_early,
        } in forgotten
        {
            if end.note(job).is_some() {
                drop_note(job, cx);
            }
            if let Some(cookie) = end.task.cookie {
                self.requests.remove(&cookie);
            }
            if too_early && end.task.cookie.is_some() {
                self.forgets(cx);
            }
            if end.heard.is_none() {
                cx.event(Event::Limit {
                    what: "ends of jobs that no controller has acknowledged",
                });
            }
        }
    }

    /// Of requests that were made before now not all are known.
    pub(super) fn forgets(&mut self, cx: &mut Cx<'_>) {
        self.remembers_since = Some(cx.now);
        cx.out.push(Output::ForgetJobs);
    }
}

/// A job is not begun; whoever asked for it is told why.
pub(super) fn refuse(job: JobId, reason: Reason, cx: &mut Cx<'_>) {
    cx.say(ToController::JobDone {
        job,
        result: JobResult::Failed,
        reason: Some(reason),
    });
}

/// Likewise, with an error of this name.
pub(super) fn refuse_as(job: JobId, name: &str, reason: Reason, cx: &mut Cx<'_>) {
    let (name, text) = (name.to_owned(), reason.text.clone());
    let error = ManagerError { name, text };
    cx.event(Event::JobRefused { job, error });
    refuse(job, reason, cx);
}
