//! The table of the target agent: what follows for one unit from its holds, its records and its
//! hold unit.

use proto::{
    message::{Attempt, Hold, HoldKey},
    model::{Cause, JobMode, Reason},
    name::{HoldName, NodeName, UnitName},
};

use super::{Held, Holds, View, Work};
use crate::{
    call::{Cx, Purpose, Step},
    input::CallId,
    output::{Event, Request, Verb},
    reason::{self, Ending},
    record::{Record, RecordState},
};

impl Held {
    /// Looks at the table. `acting` is whether the whole set of holds was heard on this
    /// connection; without it, what happens is noted and nothing is done.
    pub(super) fn settle(
        &mut self,
        unit: &UnitName,
        acting: bool,
        holds: &mut Holds,
        cx: &mut Cx<'_>,
    ) {
        let hold = match HoldName::of(unit) {
            Ok(hold) => hold,
            Err(error) => {
                self.refuse(
                    unit,
                    &Reason::new(Cause::InvalidName, error.to_string()),
                    holds,
                    cx,
                );
                return;
            }
        };
        let view = View::of(cx.units, &hold);
        // A job that was queued later is another restart, for a reason of its own.
        let job = cx.units.get(hold.name()).and_then(|unit| unit.job);
        self.part.take_if(|part| job > Some(part.job));
        if acting {
            self.take_in(unit, view, holds, cx);
        }
        self.take_note(unit, view, holds, cx);
        if self.work.is_none() && view == View::Down {
            let up = self.concerned(|state| matches!(state, RecordState::Up { .. }));
            if !up.is_empty() {
                self.describe(unit, Ending::Stopped, up, cx);
            }
        }
        if acting && self.work.is_none() {
            self.act(unit, &hold, view, cx);
        }
        self.ask(unit, &hold, view, cx);
    }

    /// Asks systemd how the hold unit is, on behalf of attempts that came since it was last asked for
    /// anything. One that is down is started.
    fn ask(&mut self, unit: &UnitName, hold: &HoldName, view: View, cx: &mut Cx<'_>) {
        let records = &self.records;
        let starting = |source: &NodeName| {
            let record = records.get(source);
            record.is_some_and(|record| record.state == RecordState::Starting)
        };
        self.proof.retain(starting);
        let may_be_up = match view {
            View::Up { .. } | View::Moving => true,
            View::Stopping | View::Down => false,
        };
        if may_be_up && !self.is_stopping() && self.proof.is_to_ask() {
            let request = Request::Look(hold.name().clone());
            let call = cx.call(Purpose::Hold(unit.clone()), request);
            self.proof.asked(call);
        }
    }

    /// Holds that are gone, and attempts that are new.
    fn take_in(&mut self, unit: &UnitName, view: View, holds: &mut Holds, cx: &mut Cx<'_>) {
        let gone = self
            .records
            .extract_if(.., |source, _| !self.wanted.contains_key(source));
        for (source, _) in gone {
            holds.untell(&HoldKey {
                unit: unit.clone(),
                source,
            });
        }
        for (source, Hold { token, attempt }) in self.unknown() {
            let state = match (view, attempt) {
                (View::Up { witness, .. }, Attempt::Keep) if !self.is_stopping() => {
                    RecordState::Up { witness }
                }
                (_, Attempt::Start) => {
                    self.proof.want(source.clone());
                    RecordState::Starting
                }
                (_, Attempt::Keep) => RecordState::Down(reason::stopped(&cx.settings.node, unit)),
            };
            self.note(unit, &source, Record { token, state }, holds, cx.out);
        }
    }

    /// What has become of the attempts that are under way or up.
    fn take_note(&mut self, unit: &UnitName, view: View, holds: &mut Holds, cx: &mut Cx<'_>) {
        let View::Up { witness, busy } = view else {
            return;
        };
        self.by_job &= busy;
        let wave = self.part.as_ref().map(|part| part.wave.clone());
        let stopping = self.is_stopping();
        for (source, token) in self.concerned(|_| true) {
            let state = match self.records.get(&source).map(|record| &record.state) {
                Some(RecordState::Starting)
                    if !busy && !stopping && self.proof.is_there(&source) =>
                {
                    RecordState::Up { witness }
                }
                Some(RecordState::Up { witness: then }) if *then != witness => {
                    RecordState::Restarted(wave.clone().unwrap_or_default())
                }
                Some(
                    RecordState::Starting
                    | RecordState::Up { .. }
                    | RecordState::Ran
                    | RecordState::Restarted(_)
                    | RecordState::Down(_)
                    | RecordState::Refused(_),
                )
                | None => continue,
            };
            self.note(unit, &source, Record { token, state }, holds, cx.out);
        }
    }

    /// Begins the next operation, if one is needed.
    fn act(&mut self, unit: &UnitName, hold: &HoldName, view: View, cx: &mut Cx<'_>) {
        if self.wanted.is_empty() {
            match view {
                View::Down | View::Stopping => self.retry = None,
                View::Up { .. } | View::Moving => {
                    if self.retry.is_none_or(|retry| cx.now >= retry.at) {
                        if self.retry.is_none() {
                            cx.event(Event::Releasing { unit: unit.clone() });
                        }
                        let call = queue(unit, hold, Verb::Stop, cx);
                        self.work = Some(Work::Stop(Step::Called(call)));
                    }
                }
            }
            return;
        }
        let starting = self
            .records
            .values()
            .any(|r| r.state == RecordState::Starting);
        if !starting || view != View::Down {
            self.retry = None;
        } else if self.retry.is_none_or(|retry| cx.now >= retry.at) {
            self.own = None;
            let call = queue(unit, hold, Verb::Start, cx);
            self.proof.asked(call);
            self.work = Some(Work::Start(Step::Called(call)));
        }
    }

    /// There can be no hold on this unit.
    fn refuse(&mut self, unit: &UnitName, why: &Reason, holds: &mut Holds, cx: &mut Cx<'_>) {
        let gone = self
            .records
            .extract_if(.., |source, _| !self.wanted.contains_key(source));
        for (source, _) in gone {
            holds.untell(&HoldKey {
                unit: unit.clone(),
                source,
            });
        }
        for (source, Hold { token, .. }) in self.unknown() {
            let state = RecordState::Refused(why.clone());
            self.note(unit, &source, Record { token, state }, holds, cx.out);
        }
    }

    /// Holds whose token has no record.
    fn unknown(&self) -> Vec<(NodeName, Hold)> {
        let known = |source: &NodeName| self.records.get(source).map(|record| record.token);
        let unknown = self
            .wanted
            .iter()
            .filter(|(source, hold)| known(source) != Some(hold.token));
        unknown
            .map(|(source, hold)| (source.clone(), *hold))
            .collect()
    }

    fn is_stopping(&self) -> bool {
        match &self.work {
            Some(Work::Stop(_)) => true,
            Some(Work::Start(_) | Work::Describe { .. }) | None => false,
        }
    }
}

/// A start does not take the place of a stop: somebody stops the unit just now, and as on one machine
/// it is started again when it has stopped.
pub(super) fn queue(unit: &UnitName, hold: &HoldName, verb: Verb, cx: &mut Cx<'_>) -> CallId {
    let request = Request::Queue {
        verb,
        unit: hold.name().clone(),
        mode: match verb {
            Verb::Start => JobMode::Fail,
            Verb::Stop | Verb::Restart | Verb::Reload | Verb::TryRestart => JobMode::Replace,
        },
    };
    cx.call(Purpose::Hold(unit.clone()), request)
}
