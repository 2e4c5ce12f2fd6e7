//! Jobs whose controller went away: the next one is asked what became of them.
//!
//! Each request has a name of its own, a cookie, and is repeated under it: an agent that knows it answers with the job that
//! it has made for it, and for one that does not it is new. So the job that is told of is the one that was asked for, and is
//! carried out once.
//!
//! A controller before protocol 5, or an agent, knows no cookies. There the job is looked for by its number, and where that
//! was not told yet by kind, unit and age: of two equal requests of nearly the same moment, of which one was lost, both may
//! then be told the end of the other.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use proto::{
    dbus::{error, public},
    model::JobId,
};

use super::{
    call::Call,
    told::{self, Facts},
};
use crate::{
    bus::{self, Answer, Bus},
    fault::{Daemon, Fault, Refusal},
    fleet::Target,
    jobs::{Found, Jobs, Told},
    limits,
    view::job::Asked,
};

/// The search for jobs.
pub(super) struct Search<'a> {
    asked: &'a Asked<'a>,
    /// What is asked for, each at its place.
    calls: Vec<Call>,
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
    pub(super) fn new(asked: &'a Asked<'a>, calls: Vec<Call>) -> Self {
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

    /// Asks for jobs that are lost and not asked for, as many as a bus takes at once.
    pub(super) async fn ask(&mut self, bus: &mut Bus, jobs: &mut Jobs) -> Result<(), Fault> {
        self.again = None;
        let under_way = self.open.len().saturating_add(jobs.calls().count());
        let room = limits::CALLS_AT_ONCE.saturating_sub(under_way);
        let mut messages = Vec::new();
        for (at, job) in jobs.lost() {
            if messages.len() >= room {
                break;
            }
            let (Some(target), Some(call)) = (self.asked.targets.get(at), self.calls.get_mut(at))
            else {
                continue;
            };
            if let Some(again) = call.again(self.asked.kind, target, self.began)? {
                jobs.asked_again(at, bus::serial(&again));
                messages.push(again);
            } else if !self.open.values().any(|(open, _)| *open == at) {
                let Target { node, unit } = target;
                let question = bus::node_call(node, public::NODE_OWN, "FindJobs", &unit.as_str())?;
                self.open.insert(bus::serial(&question), (at, job));
                messages.push(question);
            }
        }
        bus.send(&messages).await
    }

    /// Whether there is somebody to ask just now.
    pub(super) fn can_ask(&self) -> bool {
        self.away.is_none() && self.again.is_none()
    }

    /// What a refusal means that is not one of the request, if it is none: the request may be made in another way,
    /// or of another controller.
    pub(super) async fn refused(
        &mut self,
        at: usize,
        refusal: &Refusal,
        bus: &Bus,
        jobs: &mut Jobs,
    ) -> Result<bool, Fault> {
        let (Some(target), Some(call)) = (self.asked.targets.get(at), self.calls.get_mut(at))
        else {
            return Ok(false);
        };
        match refusal.name.as_str() {
            error::UNKNOWN_METHOD | UNKNOWN_INTERFACE if call.is_first() => {
                let plain = call.plainly(self.asked.kind, target)?;
                jobs.asked_again(at, bus::serial(&plain));
                bus.send(&[plain]).await?;
            }
            error::UNKNOWN_METHOD | UNKNOWN_INTERFACE | error::NOT_SUPPORTED
                if call.is_repeated() =>
            {
                call.knows_no_cookies();
                jobs.lose(at);
            }
            // What became of the request the next controller can say.
            error::STOPPING if call.is_repeated() => {
                jobs.lose(at);
                self.lost_a_call();
            }
            _ => return Ok(false),
        }
        Ok(true)
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
                    jobs.found(at, None, Found::Never(job, fault));
                }
                return Ok(());
            }
        };
        self.is_there();
        let controller = bus::sender(&answer);
        let (known, found): (String, Vec<Facts>) = bus::read(&answer, "FindJobs")?;
        let it = found.iter().find(|facts| self.is_it(facts, job));
        let found = match (it.and_then(told::read), known.as_str(), job) {
            (Some(Told { job, ended: None }), ..) => Found::Open(job),
            (
                Some(Told {
                    job,
                    ended: Some(ended),
                }),
                ..,
            ) => Found::Ended(job, ended),
            (None, "not-yet", _) => {
                self.ask_soon();
                return Ok(());
            }
            (None, "yes" | "away", None) => {
                let (Some(target), Some(call)) =
                    (self.asked.targets.get(at), self.calls.get_mut(at))
                else {
                    return Ok(());
                };
                let again = call.plainly(self.asked.kind, target)?;
                jobs.asked_again(at, bus::serial(&again));
                return bus.send(&[again]).await;
            }
            (None, _, job) => Found::Never(
                job,
                Fault::ControllerLost("and nobody knows any more how the job has ended"),
            ),
        };
        jobs.found(at, Some(&controller), found);
        Ok(())
    }

    /// Whether these are the facts of the job: by its number, or else by what was asked for since.
    fn is_it(&self, facts: &Facts, job: Option<JobId>) -> bool {
        match job {
            Some(job) => told::number(facts) == Some(job),
            None => {
                told::text(facts, "JobType") == self.asked.kind.as_str()
                    && told::age(facts).is_some_and(|age| age <= self.began.elapsed())
            }
        }
    }
}

/// What a controller of BlueChi's says to an interface of ours.
const UNKNOWN_INTERFACE: &str = "org.freedesktop.DBus.Error.UnknownInterface";

/// A controller that is too old to find jobs is as one that does not come back.
fn fault_of(refusal: Refusal) -> Fault {
    if refusal.name == error::UNKNOWN_METHOD {
        return Fault::ControllerLost("while the job was waited for; the job goes on");
    }
    let Refusal { name, text } = refusal;
    Fault::Refused { name, text }
}
