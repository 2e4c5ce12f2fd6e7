//! Jobs whose controller went away: the next one is asked what became of them.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use proto::{
    dbus::{error, public},
    model::JobId,
};
use zbus::{Message, OwnedVariant};

use crate::{
    bus::{self, Answer, Bus},
    fault::{Daemon, Fault, Refusal},
    fleet::Target,
    jobs::{Ended, Found, Jobs},
    limits,
    view::job::Asked,
};

type Facts = HashMap<String, OwnedVariant>;

/// The search for jobs.
pub(super) struct Search<'a> {
    asked: &'a Asked<'a>,
    /// The calls that ask for the jobs.
    calls: &'a [Message],
    began: Instant,
    /// Since when there is no controller.
    away: Option<Instant>,
    /// Whether there ever was one.
    was_there: bool,
    /// The questions that are not answered, with the places of their jobs.
    open: BTreeMap<NonZeroU32, (usize, Option<JobId>)>,
    /// When to ask again.
    again: Option<Instant>,
}

impl<'a> Search<'a> {
    /// Nothing is lost yet.
    pub(super) fn new(asked: &'a Asked<'a>, calls: &'a [Message]) -> Self {
        Self {
            asked,
            calls,
            began: Instant::now(),
            away: None,
            was_there: false,
            open: BTreeMap::new(),
            again: None,
        }
    }

    /// What is asked for.
    pub(super) fn asked(&self) -> &'a Asked<'a> {
        self.asked
    }

    /// For how long there has been no controller.
    pub(super) fn away(&self) -> Option<Duration> {
        self.away.map(|since| since.elapsed())
    }

    /// When something is to be done though nothing is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        let gives_up = self.away.map(|since| since + self.patience());
        gives_up.into_iter().chain(self.again).min()
    }

    fn patience(&self) -> Duration {
        if self.was_there {
            limits::CONTROLLER_AWAY_MAX
        } else {
            limits::CONTROLLER_ABSENT_MAX
        }
    }

    /// A controller has answered.
    pub(super) fn is_there(&mut self) {
        self.was_there = true;
        self.away = None;
    }

    /// The controller went away, or there is another.
    pub(super) async fn owner_changed(
        &mut self,
        there: bool,
        bus: &mut Bus,
        jobs: &mut Jobs,
    ) -> Result<(), Fault> {
        jobs.controller_gone();
        self.open.clear();
        self.was_there = true;
        if !there {
            self.away.get_or_insert_with(Instant::now);
            self.again = None;
            return Ok(());
        }
        self.away = None;
        self.ask(bus, jobs).await
    }

    /// A call was answered by the bus because there is no controller just now. It may have come already.
    pub(super) fn lost_a_call(&mut self) {
        self.away.get_or_insert_with(Instant::now);
        self.ask_soon();
    }

    fn ask_soon(&mut self) {
        self.again
            .get_or_insert_with(|| Instant::now() + limits::FIND_EVERY);
    }

    /// The time of [`Self::due`] has come.
    pub(super) async fn timeout(&mut self, bus: &mut Bus, jobs: &mut Jobs) -> Result<(), Fault> {
        let now = Instant::now();
        if self.away().is_some_and(|away| away >= self.patience()) {
            return Err(if self.was_there {
                Fault::ControllerLost("while the job was waited for; the job goes on")
            } else {
                Fault::absent(Daemon::Controller, bus.name())
            });
        }
        if self.again.is_some_and(|at| at <= now) {
            self.ask(bus, jobs).await?;
        }
        Ok(())
    }

    /// Asks for all jobs that are lost and not asked for.
    async fn ask(&mut self, bus: &mut Bus, jobs: &Jobs) -> Result<(), Fault> {
        self.again = None;
        let mut questions = Vec::new();
        for (at, job) in jobs.lost() {
            let Some(Target { node, unit }) = self.asked.targets.get(at) else {
                continue;
            };
            if self.open.values().any(|(open, _)| *open == at) {
                continue;
            }
            let question = bus::node_call(node, public::NODE_OWN, "FindJobs", &unit.as_str())?;
            self.open.insert(bus::serial(&question), (at, job));
            questions.push(question);
        }
        bus.send(&questions).await
    }

    /// Whether this call is one of the search's questions.
    pub(super) fn is_question(&self, call: NonZeroU32) -> bool {
        self.open.contains_key(&call)
    }

    /// A question was answered.
    pub(super) async fn answered(
        &mut self,
        call: NonZeroU32,
        answer: Answer,
        bus: &Bus,
        jobs: &mut Jobs,
    ) -> Result<(), Fault> {
        let Some((at, job)) = self.open.remove(&call) else {
            return Ok(());
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                let fault = fault_of(refusal);
                if fault.is_of_lost_controller() {
                    self.lost_a_call();
                } else {
                    jobs.found(at, "", Found::Never(job, fault));
                }
                return Ok(());
            }
        };
        self.is_there();
        let controller = bus::sender(&answer);
        let (known, found): (String, Vec<Facts>) = bus::read(&answer, "FindJobs")?;
        let it = found.iter().find(|facts| self.is_it(facts, job));
        let found = match (it.and_then(found_of), known.as_str(), job) {
            (Some(found), ..) => found,
            (None, "not-yet", _) => {
                self.ask_soon();
                return Ok(());
            }
            (None, "yes", None) | (None, "away", None) => {
                let Some(again) = self.calls.get(at) else {
                    return Ok(());
                };
                bus.send(std::slice::from_ref(again)).await?;
                Found::AskedAgain(bus::serial(again))
            }
            (None, _, job) => Found::Never(
                job,
                Fault::ControllerLost("and nobody knows any more how the job has ended"),
            ),
        };
        jobs.found(at, &controller, found);
        Ok(())
    }

    /// Whether these are the facts of the job: by its number, or else by what was asked for since.
    fn is_it(&self, facts: &Facts, job: Option<JobId>) -> bool {
        match job {
            Some(job) => number(facts) == Some(job),
            None => {
                let age = facts
                    .get("AgeUSec")
                    .and_then(|age| u64::try_from(age).ok())
                    .map(Duration::from_micros);
                text(facts, "JobType") == self.asked.kind.as_str()
                    && age.is_some_and(|age| age <= self.began.elapsed())
            }
        }
    }
}

fn found_of(facts: &Facts) -> Option<Found> {
    let job = number(facts)?;
    Some(if text(facts, "State") == "ended" {
        let ended = Ended {
            result: text(facts, "Result").to_owned(),
            cause: text(facts, "Cause").to_owned(),
            text: text(facts, "Reason").to_owned(),
        };
        Found::Ended(job, ended)
    } else {
        Found::Open(job)
    })
}

fn number(facts: &Facts) -> Option<JobId> {
    let id = facts.get("Id")?;
    u32::try_from(id).ok().map(JobId)
}

fn text<'a>(facts: &'a Facts, key: &str) -> &'a str {
    let value = facts.get(key);
    value
        .and_then(|value| <&str>::try_from(value).ok())
        .unwrap_or_default()
}

/// A controller that is too old to find jobs is as one that does not come back.
fn fault_of(refusal: Refusal) -> Fault {
    if refusal.name == error::UNKNOWN_METHOD {
        return Fault::ControllerLost("while the job was waited for; the job goes on");
    }
    let Refusal { name, text } = refusal;
    Fault::Refused { name, text }
}
