//! How operations on hold units end, and why a unit is not up.

use proto::{
    dbus::systemd::TRANSACTION_IS_DESTRUCTIVE,
    model::{JobResult, Token},
    name::{HoldName, NodeName, UnitName},
};

use super::{Doubt, Held, Holds, View, Work, settle::queue};
use crate::{
    call::{Cx, Purpose, Retry, Step},
    input::Description,
    output::{Event, Request, Verb},
    reason::{self, Ending},
    record::{Record, RecordState},
};

impl Holds {
    /// A job of the unit itself has ended: it may have been the run that is waited for, or what
    /// stood against a start.
    pub(crate) fn unit_job_ended(&mut self, unit: &UnitName, result: JobResult, cx: &mut Cx<'_>) {
        let Some(held) = self.units.get_mut(unit) else {
            return;
        };
        // At a stop the hold unit goes first, so that it is down when the job of its unit ends. A
        // job that ends while it is up is another, such as a reload.
        let view = HoldName::of(unit).map(|hold| View::of(cx.units, &hold));
        let stays = matches!(view, Ok(View::Up { busy: false, .. }));
        held.by_job |= !stays;
        if stays {
            held.doubts(unit, true, cx);
        }
        if matches!(held.work, Some(Work::Start(_))) {
            // The last one decides: beside the job that is waited for there may be one that does
            // nothing and is done at once, as that of a try-restart of what is not active.
            held.own = Some(result);
        }
        if held.retry.is_some() && !held.wanted.is_empty() {
            held.retry = None;
            self.dirty.insert(unit.clone());
        }
    }

    /// The hold unit of a unit is bound to nothing, and the unit may have ended by itself, of which no job tells.
    pub(crate) fn unbound(&mut self, unit: &UnitName, cx: &mut Cx<'_>) {
        let Some(held) = self.units.get_mut(unit) else {
            return;
        };
        let view = HoldName::of(unit).map(|hold| View::of(cx.units, &hold));
        if matches!(view, Ok(View::Up { busy: false, .. })) {
            held.doubts(unit, false, cx);
        }
    }

    /// There is no time left to ask units why they are not up.
    pub(crate) fn conclude(&mut self, cx: &mut Cx<'_>) {
        let asked = |held: &Held| matches!(held.work, Some(Work::Describe { .. }));
        let units = self.units.iter().filter(|(_, held)| asked(held));
        for unit in units.map(|(unit, _)| unit.clone()).collect::<Vec<_>>() {
            self.described(&unit, None, cx);
        }
    }

    /// An operation has ended: the unit is settled again, after it was asked why if it did not come
    /// up.
    pub(super) fn work_ended(&mut self, unit: &UnitName, ending: Ending, cx: &mut Cx<'_>) {
        let (Some(held), Ok(hold)) = (self.units.get_mut(unit), HoldName::of(unit)) else {
            return;
        };
        self.dirty.insert(unit.clone());
        let view = View::of(cx.units, &hold);
        match held.work.take() {
            Some(Work::Start(_)) => {
                let mut starting = held.concerned(|state| *state == RecordState::Starting);
                // One that may have come after the end gets a start of its own.
                starting.retain(|(source, _)| held.proof.is_there(source));
                let went_well = match (view, &ending) {
                    (View::Up { .. }, _) => true,
                    (View::Moving | View::Stopping, Ending::Job(JobResult::Done)) => true,
                    (View::Moving | View::Stopping | View::Down, _) => false,
                };
                match &ending {
                    _ if went_well || starting.is_empty() => {}
                    // Something that is queued stands against it, as a stop of the unit does until
                    // it has stopped.
                    Ending::Call(error) if error.name == TRANSACTION_IS_DESTRUCTIVE => {
                        held.retry = Some(Retry::after(held.retry, cx.now));
                        cx.event(Event::Retrying {
                            unit: hold.name().clone(),
                            why: reason::one_line(&error.text),
                        });
                    }
                    // The stop of a proxy whose unit has gone goes through to what requires it, and
                    // takes along a start that came meanwhile. That start is about the unit as it
                    // will be, so it is asked for again.
                    Ending::Job(JobResult::Canceled) if cx.calls.stop_takes_effect() => {
                        held.retry = Some(Retry::after(held.retry, cx.now));
                        cx.event(Event::Retrying {
                            unit: hold.name().clone(),
                            why: "a proxy that it requires is stopped".to_owned(),
                        });
                    }
                    Ending::Call(_) | Ending::Job(_) | Ending::Stopped => {
                        held.describe(unit, ending, starting, cx);
                    }
                }
            }
            Some(Work::Stop(_)) => {
                held.retry = match view {
                    View::Down => None,
                    View::Up { .. } | View::Moving | View::Stopping => {
                        Some(Retry::after(held.retry, cx.now))
                    }
                };
                if held.retry.is_some() && held.wanted.is_empty() {
                    let why = match ending {
                        Ending::Call(error) => reason::one_line(&error.text),
                        Ending::Job(result) => format!("the job to stop it ended as {result}"),
                        Ending::Stopped => "it was stopped".to_owned(),
                    };
                    cx.event(Event::Retrying {
                        unit: hold.name().clone(),
                        why,
                    });
                }
            }
            Some(Work::Describe { .. }) | None => {}
        }
    }

    /// The unit has said why it is not up, or nobody waits for that any more.
    pub(super) fn described(
        &mut self,
        unit: &UnitName,
        description: Option<Description>,
        cx: &mut Cx<'_>,
    ) {
        let (Some(mut held), Ok(hold)) = (self.units.remove(unit), HoldName::of(unit)) else {
            return;
        };
        self.dirty.insert(unit.clone());
        if let Some(Work::Describe {
            ending, concerned, ..
        }) = held.work.take()
        {
            let mut why = cx.why(unit, &held.own_end(&ending), description.as_ref());
            if let (Ending::Stopped, Some(description)) = (&ending, &description)
                && !held.by_job
            {
                let what = reason::what(&cx.settings.node, unit);
                why = reason::by_itself(why, &what, description);
            }
            let ran = held.has_run(&ending, description.as_ref());
            let view = View::of(cx.units, &hold);
            for (source, token) in concerned {
                let ends = match held.records.get(&source) {
                    Some(record) if record.token == token => match record.state {
                        RecordState::Starting => !matches!(view, View::Up { .. }),
                        RecordState::Up { .. } => view == View::Down,
                        RecordState::Ran
                        | RecordState::Restarted(_)
                        | RecordState::Down(_)
                        | RecordState::Refused(_) => false,
                    },
                    Some(_) | None => false,
                };
                if ends {
                    let state = if ran {
                        RecordState::Ran
                    } else {
                        RecordState::Down(why.clone())
                    };
                    held.note(unit, &source, Record { token, state }, self, cx.out);
                }
            }
        }
        self.units.insert(unit.clone(), held);
    }
}

impl Held {
    /// Asks the unit whether it is still up. An answer that is still to come will be newer than whatever was told
    /// before it, so that one question at a time is enough.
    fn doubts(&mut self, unit: &UnitName, by_job: bool, cx: &mut Cx<'_>) {
        match &mut self.doubt {
            Some(doubt) => doubt.by_job |= by_job,
            None if cx.units.connected => {
                let request = Request::Describe(unit.clone());
                let call = cx.call(Purpose::Hold(unit.clone()), request);
                self.doubt = Some(Doubt { call, by_job });
            }
            None => {}
        }
    }

    /// A hold unit that was masked while it was active, and whose file was read again, is bound to nothing any
    /// more. When its unit has stopped, it is stopped as systemd would have done it.
    pub(super) fn resolve(
        &mut self,
        unit: &UnitName,
        doubt: Doubt,
        description: &Description,
        cx: &mut Cx<'_>,
    ) {
        let Ok(hold) = HoldName::of(unit) else {
            return;
        };
        let is_down = matches!(description.active.as_str(), "inactive" | "failed");
        let stays = matches!(View::of(cx.units, &hold), View::Up { busy: false, .. });
        if is_down && !description.job && stays && self.work.is_none() {
            self.by_job |= doubt.by_job;
            let call = queue(unit, &hold, Verb::Stop, cx);
            self.work = Some(Work::Stop(Step::Called(call)));
        }
    }

    /// Whether the start that ended so was one of a unit that only runs, and has. The hold unit fails
    /// then, because what it is bound to is not active; whoever requires such a unit on its own
    /// node starts all the same.
    fn has_run(&self, ending: &Ending, description: Option<&Description>) -> bool {
        let Some(unit) = description else {
            return false;
        };
        *ending == Ending::Job(JobResult::Dependency)
            && self.own == Some(JobResult::Done)
            && unit.once
            && unit.load == "loaded"
            // It may have been started again by then; it has run all the same.
            && unit.active != "failed"
            && unit.result == "success"
            && !unit.condition_failed
    }

    /// How a start has ended, as far as the unit itself is concerned: the job of the hold unit says no more
    /// than that what it depends on was not there.
    fn own_end(&self, ending: &Ending) -> Ending {
        match (ending, self.own) {
            (Ending::Job(JobResult::Dependency), Some(own)) if own != JobResult::Done => {
                Ending::Job(own)
            }
            (Ending::Job(_) | Ending::Call(_) | Ending::Stopped, _) => ending.clone(),
        }
    }

    pub(super) fn describe(
        &mut self,
        unit: &UnitName,
        ending: Ending,
        concerned: Vec<(NodeName, Token)>,
        cx: &mut Cx<'_>,
    ) {
        let call = cx.call(Purpose::Hold(unit.clone()), Request::Describe(unit.clone()));
        self.work = Some(Work::Describe {
            call,
            ending,
            concerned,
        });
    }
}
