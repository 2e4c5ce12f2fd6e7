//! The jobs that are waited for; pure. What comes from the bus is told in the order in which it
//! came, and a job may end before the reply to its call has said which job it is.

use std::{collections::VecDeque, num::NonZeroU32};

use proto::model::JobId;

use crate::{fault::Fault, limits};

/// How a job ended, as the controller says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// A word of `JobResult`.
    pub(crate) result: String,
    /// A word of `Cause`; empty if there is no more to say.
    pub(crate) cause: String,
    /// A sentence for people; may be empty.
    pub(crate) text: String,
}

/// What became of the wish for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The job has ended.
    Ended(Ended),
    /// The job was queued, and nobody waits for it.
    Queued,
    /// There is no job, or its end was not seen.
    Fault(Fault),
}

/// One job of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    /// Asked for with this call.
    Asked(NonZeroU32),
    /// It has a number.
    Running(JobId),
    /// The controller went away. What became of the job, which may have a number, or whether there ever
    /// was one, has to be found out.
    Lost(Option<JobId>),
    /// It is decided.
    Settled(Option<JobId>, End),
}

/// The jobs of one call, in its order.
#[derive(Debug)]
pub(crate) struct Jobs {
    wishes: Vec<Wish>,
    /// Ends of jobs of which it is not known yet whether they are ours.
    early: VecDeque<(String, JobId, Ended)>,
    /// The unique name of the controller, once it has answered: only its word counts.
    controller: Option<String>,
    wait: bool,
}

impl Jobs {
    /// Jobs that were asked for with calls of these numbers; `wait` is whether their ends matter.
    pub(crate) fn new(calls: impl IntoIterator<Item = NonZeroU32>, wait: bool) -> Self {
        Self {
            wishes: calls.into_iter().map(Wish::Asked).collect(),
            early: VecDeque::new(),
            controller: None,
            wait,
        }
    }

    /// The call was answered by `controller`: with a job, or with an error.
    pub(crate) fn answered(
        &mut self,
        call: NonZeroU32,
        controller: &str,
        answer: Result<Told, Fault>,
    ) {
        let asked = Wish::Asked(call);
        let Some(wish) = self.wishes.iter_mut().find(|wish| **wish == asked) else {
            return;
        };
        let answer = answer.map(|Told { job, ended }| (job, ended));
        *wish = match answer {
            Err(fault) if fault.is_of_lost_controller() => Wish::Lost(None),
            Err(fault) => Wish::Settled(None, End::Fault(fault)),
            Ok((job, _)) if !self.wait => Wish::Settled(Some(job), End::Queued),
            Ok((job, Some(ended))) => Wish::Settled(Some(job), End::Ended(ended)),
            Ok((job, None)) => {
                self.controller = Some(controller.to_owned());
                let ended = self
                    .early
                    .iter()
                    .find(|(sender, early, _)| sender == controller && *early == job);
                match ended {
                    Some((_, _, ended)) => Wish::Settled(Some(job), End::Ended(ended.clone())),
                    None => Wish::Running(job),
                }
            }
        };
        self.tidy();
    }

    fn tidy(&mut self) {
        if !self.wishes.iter().any(Wish::is_unnumbered) {
            self.early.clear();
        }
    }

    /// The place of the job that was asked for with this call, while it is not answered.
    pub(crate) fn place(&self, call: NonZeroU32) -> Option<usize> {
        let asked = Wish::Asked(call);
        self.wishes.iter().position(|wish| *wish == asked)
    }

    /// The job at this place is asked for again.
    pub(crate) fn asked_again(&mut self, at: usize, call: NonZeroU32) {
        let wish = self.wishes.get_mut(at);
        if let Some(wish) = wish.filter(|it| matches!(it, Wish::Asked(_) | Wish::Lost(_))) {
            *wish = Wish::Asked(call);
        }
    }

    /// What became of the job at this place, which was asked for, has to be found out.
    pub(crate) fn lose(&mut self, at: usize) {
        let wish = self.wishes.get_mut(at);
        if let Some(wish) = wish.filter(|it| matches!(it, Wish::Asked(_))) {
            *wish = Wish::Lost(None);
        }
    }

    /// The controller has gone: of what is open nothing is known until there is another.
    pub(crate) fn controller_gone(&mut self) {
        self.controller = None;
        for wish in &mut self.wishes {
            match wish {
                Wish::Running(job) => *wish = Wish::Lost(Some(*job)),
                // The bus answers the call.
                Wish::Asked(_) | Wish::Lost(_) | Wish::Settled(..) => {}
            }
        }
    }

    /// The places of jobs that are to be found, with their numbers.
    pub(crate) fn lost(&self) -> Vec<(usize, Option<JobId>)> {
        let wishes = self.wishes.iter().enumerate();
        let lost = wishes.filter_map(|(at, wish)| match wish {
            Wish::Lost(job) => Some((at, *job)),
            Wish::Asked(_) | Wish::Running(_) | Wish::Settled(..) => None,
        });
        lost.collect()
    }

    /// The job at this place was found, or not, by the word of `controller`; without one it cannot be asked.
    pub(crate) fn found(&mut self, at: usize, controller: Option<&str>, found: Found) {
        let early = |job: JobId| {
            let is_it = |sender: &str| controller == Some(sender);
            let mut early = self.early.iter();
            let it = early.find(|(sender, early, _)| is_it(sender) && *early == job);
            it.map(|(_, _, ended)| ended.clone())
        };
        let wish = match found {
            Found::Open(job) => match early(job) {
                Some(ended) => Wish::Settled(Some(job), End::Ended(ended)),
                None => Wish::Running(job),
            },
            Found::Ended(job, ended) => Wish::Settled(Some(job), End::Ended(ended)),
            Found::Never(job, fault) => Wish::Settled(job, End::Fault(fault)),
        };
        if let Some(lost) = self
            .wishes
            .get_mut(at)
            .filter(|it| matches!(it, Wish::Lost(_)))
        {
            *lost = wish;
            if let Some(controller) = controller {
                self.controller = Some(controller.to_owned());
            }
        }
        self.tidy();
    }

    /// `sender` says that a job has ended. The first word about a job is the fullest.
    pub(crate) fn ended(&mut self, sender: &str, job: JobId, ended: Ended) {
        if self
            .controller
            .as_deref()
            .is_some_and(|name| name != sender)
        {
            return;
        }
        let is_it = |wish: &Wish| *wish == Wish::Running(job) || *wish == Wish::Lost(Some(job));
        if let Some(wish) = self.wishes.iter_mut().find(|wish| is_it(wish)) {
            *wish = Wish::Settled(Some(job), End::Ended(ended));
        } else if self.wishes.iter().any(Wish::is_unnumbered) {
            if self.early.len() >= limits::EARLY_ENDS_MAX {
                self.early.pop_front();
            }
            self.early.push_back((sender.to_owned(), job, ended));
        }
    }

    /// Nothing more will be heard; what is open ends with this fault.
    pub(crate) fn abandon(&mut self, fault: &Fault) {
        for wish in &mut self.wishes {
            let job = match wish {
                Wish::Asked(_) => None,
                Wish::Running(job) => Some(*job),
                Wish::Lost(job) => *job,
                Wish::Settled(..) => continue,
            };
            *wish = Wish::Settled(job, End::Fault(fault.clone()));
        }
    }

    /// Whether all is decided.
    pub(crate) fn is_settled(&self) -> bool {
        self.open().next().is_none()
    }

    /// The numbers of the calls that are not answered.
    pub(crate) fn calls(&self) -> impl Iterator<Item = NonZeroU32> + '_ {
        self.wishes.iter().filter_map(|wish| match wish {
            Wish::Asked(call) => Some(*call),
            Wish::Running(_) | Wish::Lost(_) | Wish::Settled(..) => None,
        })
    }

    /// The places in the call of the jobs that are not decided.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> + '_ {
        let wishes = self.wishes.iter().enumerate();
        wishes.filter_map(|(at, wish)| match wish {
            Wish::Asked(_) | Wish::Running(_) | Wish::Lost(_) => Some(at),
            Wish::Settled(..) => None,
        })
    }

    /// What became of each, in the order of the call, without what is still open.
    pub(crate) fn into_ends(self) -> impl Iterator<Item = (Option<JobId>, End)> {
        self.wishes.into_iter().filter_map(|wish| match wish {
            Wish::Settled(job, end) => Some((job, end)),
            Wish::Asked(_) | Wish::Running(_) | Wish::Lost(_) => None,
        })
    }
}

impl Wish {
    /// Whether it may turn out that any job is the one.
    fn is_unnumbered(&self) -> bool {
        match self {
            Self::Asked(_) | Self::Lost(None) => true,
            Self::Running(_) | Self::Lost(Some(_)) | Self::Settled(..) => false,
        }
    }
}

/// What is told of a job that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) job: JobId,
    /// How it has ended, where it has: it was asked for before.
    pub(crate) ended: Option<Ended>,
}

/// What was found of a job after its controller went away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is under way.
    Open(JobId),
    /// It has ended.
    Ended(JobId, Ended),
    /// It cannot be said what became of it.
    Never(Option<JobId>, Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: NonZeroU32 = NonZeroU32::MIN;
    const JOB: JobId = JobId(7);
    const OPEN: Told = Told {
        job: JOB,
        ended: None,
    };

    fn ended(result: &str, text: &str) -> Ended {
        Ended {
            result: result.into(),
            cause: String::new(),
            text: text.into(),
        }
    }

    fn ends(jobs: Jobs) -> Vec<(Option<JobId>, End)> {
        jobs.into_ends().collect()
    }

    #[test]
    fn a_job_is_waited_for_until_it_ends() {
        let mut jobs = Jobs::new([CALL], true);
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        jobs.ended(":1.1", JobId(8), ended("failed", "another job"));
        assert!(!jobs.is_settled());
        jobs.ended(":1.1", JOB, ended("done", ""));
        assert_eq!(ends(jobs), [(Some(JOB), End::Ended(ended("done", "")))]);
    }

    #[test]
    fn a_job_that_ended_before_the_reply_is_found() {
        let mut jobs = Jobs::new([CALL], true);
        jobs.ended(":1.1", JOB, ended("failed", "first word"));
        jobs.ended(":1.1", JOB, ended("failed", ""));
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        let end = End::Ended(ended("failed", "first word"));
        assert_eq!(ends(jobs), [(Some(JOB), end)]);
    }

    #[test]
    fn only_the_controller_can_end_a_job() {
        let mut jobs = Jobs::new([CALL], true);
        jobs.ended(":1.66", JOB, ended("done", "early"));
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        jobs.ended(":1.66", JOB, ended("done", "late"));
        assert!(!jobs.is_settled());
    }

    #[test]
    fn without_waiting_the_reply_is_enough() {
        let mut jobs = Jobs::new([CALL], false);
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        assert_eq!(ends(jobs), [(Some(JOB), End::Queued)]);
    }

    #[test]
    fn what_is_abandoned_keeps_what_is_known() {
        let second = CALL.saturating_add(1);
        let mut jobs = Jobs::new([CALL, second], true);
        jobs.answered(second, ":1.1", Ok(OPEN));
        jobs.ended(":1.1", JOB, ended("done", ""));
        let fault = Fault::ControllerLost("while jobs were waited for");
        jobs.abandon(&fault);
        assert_eq!(
            ends(jobs),
            [
                (None, End::Fault(fault)),
                (Some(JOB), End::Ended(ended("done", "")))
            ]
        );
    }

    #[test]
    fn a_job_is_found_again_at_the_next_controller() {
        let mut jobs = Jobs::new([CALL], true);
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        jobs.controller_gone();
        assert_eq!(jobs.lost(), [(0, Some(JOB))]);
        jobs.found(0, Some(":1.9"), Found::Open(JOB));
        jobs.ended(":1.1", JOB, ended("failed", "of the one before"));
        assert!(!jobs.is_settled());
        jobs.ended(":1.9", JOB, ended("done", ""));
        assert_eq!(ends(jobs), [(Some(JOB), End::Ended(ended("done", "")))]);
    }

    #[test]
    fn an_end_that_comes_before_the_job_is_found_counts() {
        let mut jobs = Jobs::new([CALL], true);
        jobs.answered(CALL, ":1.1", Ok(OPEN));
        jobs.controller_gone();
        jobs.ended(":1.9", JOB, ended("done", ""));
        assert_eq!(ends(jobs), [(Some(JOB), End::Ended(ended("done", "")))]);
    }

    #[test]
    fn a_call_that_nobody_answered_is_looked_for_by_its_unit() {
        let mut jobs = Jobs::new([CALL], true);
        let fault = Fault::Refused {
            name: "org.freedesktop.DBus.Error.NoReply".into(),
            text: "gone".into(),
        };
        jobs.controller_gone();
        jobs.answered(CALL, "org.freedesktop.DBus", Err(fault));
        assert_eq!(jobs.lost(), [(0, None)]);
        jobs.ended(":1.9", JOB, ended("done", ""));
        jobs.found(0, Some(":1.9"), Found::Open(JOB));
        assert_eq!(ends(jobs), [(Some(JOB), End::Ended(ended("done", "")))]);
    }

    #[test]
    fn a_call_that_never_arrived_is_made_again() {
        let again = CALL.saturating_add(1);
        let mut jobs = Jobs::new([CALL], true);
        let fault = Fault::ControllerLost("before it answered");
        jobs.answered(CALL, "org.freedesktop.DBus", Err(fault));
        jobs.asked_again(0, again);
        jobs.answered(again, ":1.9", Ok(OPEN));
        jobs.ended(":1.9", JOB, ended("done", ""));
        assert_eq!(ends(jobs), [(Some(JOB), End::Ended(ended("done", "")))]);
    }

    #[test]
    fn a_job_that_was_asked_for_before_may_have_ended() {
        let mut jobs = Jobs::new([CALL], true);
        let told = Told {
            job: JOB,
            ended: Some(ended("failed", "why")),
        };
        jobs.answered(CALL, ":1.9", Ok(told));
        let end = End::Ended(ended("failed", "why"));
        assert_eq!(ends(jobs), [(Some(JOB), end)]);
    }

    #[test]
    fn early_ends_are_bounded() {
        let mut jobs = Jobs::new([CALL], true);
        for id in 0..=u32::try_from(limits::EARLY_ENDS_MAX).expect("small") {
            jobs.ended(":1.1", JobId(id), ended("done", ""));
        }
        assert_eq!(jobs.early.len(), limits::EARLY_ENDS_MAX);
    }
}
