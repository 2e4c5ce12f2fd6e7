//! What others need of a node of BlueChi's: each unit that is held is started and stopped by its
//! agent's `StartDep` and `StopDep`, and the states of the unit say how the hold stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleet::{Occasion, UnitNews, limits::HOLDS_PER_TARGET_MAX};
use proto::{
    message::{Attempt, Hold, HoldKey, TokenState},
    model::{Cause, ClaimState, Reason},
    name::{NodeName, UnitName},
    sync::{Delta, Generation, Listener, SyncError, Teller},
    time::Moment,
};

use super::{Act, Question, Terms};

/// What BlueChi's agents hold a unit with is this and its name.
const DEP: &str = "bluechi-dep@";

/// The held units of a node.
#[derive(Debug)]
pub(super) struct Target {
    node: NodeName,
    holds: Listener<HoldKey, Hold>,
    states: Teller<HoldKey, TokenState>,
    units: BTreeMap<UnitName, Stage>,
    /// Units that are held and of which nobody has said that they need them, and until when.
    left: BTreeSet<UnitName>,
    left_until: Moment,
}

/// How a held unit stands.
#[derive(Clone, Debug)]
enum Stage {
    /// It was up, or should be; whether it is, its agent is about to say.
    Checking,
    /// It is being started; `stopping` while a stop is under way from before.
    Starting { stopping: bool },
    /// It is up.
    Up,
    /// It is not, and only a new attempt starts it.
    Down(Reason),
}

impl Stage {
    fn state(&self) -> ClaimState {
        match self {
            Self::Checking | Self::Up => ClaimState::Up,
            Self::Starting { .. } => ClaimState::Starting,
            Self::Down(reason) => ClaimState::Down(reason.clone()),
        }
    }
}

impl Target {
    pub(super) fn new(node: NodeName) -> Self {
        Self {
            node,
            holds: Listener::default(),
            states: Teller::default(),
            units: BTreeMap::new(),
            left: BTreeSet::new(),
            left_until: Moment::default(),
        }
    }

    /// What was held is looked at again; what was being started is asked for again.
    pub(super) fn connected(&mut self, now: Moment, terms: Terms, acts: &mut VecDeque<Act>) {
        self.holds.connected();
        self.states.connected();
        self.left.clear();
        self.left_until = now.plus(terms.grace);
        for (unit, stage) in &mut self.units {
            acts.push_back(watch(unit));
            match stage {
                Stage::Up => *stage = Stage::Checking,
                Stage::Starting { .. } => {
                    *stage = Stage::Starting { stopping: false };
                    acts.push_back(dep(unit, true));
                }
                Stage::Checking | Stage::Down(_) => {}
            }
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.states.disconnected();
    }

    /// What others need now.
    pub(super) fn holds(
        &mut self,
        delta: Delta<HoldKey, Hold>,
        acts: &mut VecDeque<Act>,
    ) -> Result<(), SyncError> {
        let changes = self.holds.hear(delta, HOLDS_PER_TARGET_MAX)?;
        for key in &changes.put {
            self.hold(key, acts);
        }
        for (key, _) in &changes.dropped {
            self.states.drop(key);
            self.release(&key.unit, acts);
        }
        Ok(())
    }

    fn hold(&mut self, key: &HoldKey, acts: &mut VecDeque<Act>) {
        let Some(Hold { token, attempt }) = self.holds.entries().get(key).copied() else {
            return;
        };
        let unit = &key.unit;
        let told = self.states.entries().get(key);
        if told.is_some_and(|told| told.token == token) {
            return;
        }
        if !unit.as_str().ends_with(".service") {
            let text = format!("the agent of node {} can hold services only", self.node);
            let reason = Reason::new(Cause::Manager, text);
            let state = ClaimState::Refused(reason);
            self.states.put(key.clone(), TokenState { token, state });
            return;
        }
        self.left.remove(unit);
        match (self.units.get(unit), attempt) {
            (None, Attempt::Start) => {
                acts.push_back(watch(unit));
                acts.push_back(dep(unit, true));
                let stage = Stage::Starting { stopping: false };
                self.units.insert(unit.clone(), stage);
            }
            (None, Attempt::Keep) => {
                acts.push_back(watch(unit));
                self.units.insert(unit.clone(), Stage::Checking);
            }
            (Some(Stage::Down(_)), Attempt::Start) => {
                acts.push_back(dep(unit, true));
                let stage = Stage::Starting { stopping: false };
                self.units.insert(unit.clone(), stage);
            }
            (Some(Stage::Down(_)), Attempt::Keep)
            | (Some(Stage::Checking | Stage::Starting { .. } | Stage::Up), _) => {}
        }
        let unit = unit.clone();
        self.tell(&unit);
    }

    /// A unit that nobody needs any more is let go.
    fn release(&mut self, unit: &UnitName, acts: &mut VecDeque<Act>) {
        let needed = self.holds.entries().keys().any(|key| key.unit == *unit);
        if !needed && self.units.remove(unit).is_some() {
            let unit = unit.clone();
            acts.push_back(dep(&unit, false));
            acts.push_back(Act::Watch { unit, on: false });
        }
    }

    /// The agent tells of a unit.
    pub(super) fn unit(&mut self, unit: &UnitName, news: &UnitNews, acts: &mut VecDeque<Act>) {
        let Some(stage) = self.units.get(unit).cloned() else {
            return;
        };
        let next = match news {
            UnitNews::New(_) | UnitNews::Properties => None,
            UnitNews::Removed(_) => match stage {
                Stage::Starting { .. } => {
                    let text = format!("there is no unit {unit} on node {}", self.node);
                    Some(Stage::Down(Reason::new(Cause::UnitNotFound, text)))
                }
                Stage::Checking | Stage::Up => Some(self.stopped(unit)),
                Stage::Down(_) => None,
            },
            UnitNews::State {
                active, occasion, ..
            } => self.in_state(unit, &stage, active, *occasion == Occasion::Real),
        };
        let Some(next) = next else {
            return;
        };
        if let (Stage::Checking, Stage::Up | Stage::Starting { .. }) = (&stage, &next) {
            // What held it may be gone. What holds it already is not started twice.
            acts.push_back(dep(unit, true));
        }
        self.units.insert(unit.clone(), next);
        self.tell(unit);
    }

    /// What a unit becomes that is in this state; the state of before is told as what it is not.
    fn in_state(
        &self,
        unit: &UnitName,
        stage: &Stage,
        active: &str,
        is_change: bool,
    ) -> Option<Stage> {
        match (stage, active) {
            (Stage::Checking | Stage::Starting { .. }, "active" | "reloading") => Some(Stage::Up),
            (Stage::Checking, "activating") => Some(Stage::Starting { stopping: false }),
            (Stage::Checking, "failed" | "inactive" | "deactivating") => Some(self.stopped(unit)),
            (Stage::Starting { .. }, "activating") => Some(Stage::Starting { stopping: false }),
            // A stop that was under way before the start ends first.
            (Stage::Starting { .. }, "deactivating") if !is_change => {
                Some(Stage::Starting { stopping: true })
            }
            (Stage::Starting { stopping: true }, "failed" | "inactive") => {
                Some(Stage::Starting { stopping: false })
            }
            (Stage::Starting { stopping: false }, "failed" | "inactive") if is_change => {
                Some(Stage::Down(Reason::new(
                    Cause::UnitFailed,
                    format!("{unit} on node {} did not start: it is {active}", self.node),
                )))
            }
            (Stage::Up, "failed") => Some(Stage::Down(Reason::new(
                Cause::UnitFailed,
                format!("{unit} on node {} failed", self.node),
            ))),
            (Stage::Up, "inactive") => Some(self.stopped(unit)),
            _ => None,
        }
    }

    fn stopped(&self, unit: &UnitName) -> Stage {
        let text = format!("{unit} on node {} was stopped", self.node);
        Stage::Down(Reason::new(Cause::UnitStopped, text))
    }

    /// The agent is now telling of a unit; its state came before this, if it is loaded.
    pub(super) fn watched(&mut self, unit: &UnitName) {
        if let Some(Stage::Checking) = self.units.get(unit) {
            let stopped = self.stopped(unit);
            self.units.insert(unit.clone(), stopped);
            self.tell(unit);
        }
    }

    /// What the node holds as it connects: what nobody needs is let go when all had their turn.
    pub(super) fn found(&mut self, active: &[String]) {
        let held = active.iter().filter_map(|name| name.strip_prefix(DEP));
        let held = held.filter_map(|unit| unit.parse().ok());
        self.left = held.filter(|unit| !self.units.contains_key(unit)).collect();
    }

    pub(super) fn tick(&mut self, now: Moment, acts: &mut VecDeque<Act>) {
        if self.left_until <= now {
            let left = std::mem::take(&mut self.left);
            acts.extend(left.iter().map(|unit| dep(unit, false)));
        }
    }

    pub(super) fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        self.states.acknowledged(generation)
    }

    pub(super) fn poll(&mut self) -> Option<Delta<HoldKey, TokenState>> {
        self.states.poll()
    }

    pub(super) fn wants(&self, unit: &UnitName) -> bool {
        self.units.contains_key(unit)
    }

    /// Tells how the attempts on a unit stand that are not at their end.
    fn tell(&mut self, unit: &UnitName) {
        let Some(stage) = self.units.get(unit) else {
            return;
        };
        let keys = self.holds.entries().iter();
        for (key, Hold { token, .. }) in keys.filter(|(key, _)| key.unit == *unit) {
            let told = self.states.entries().get(key);
            let ended = told.is_some_and(|told| told.token == *token && told.state.is_final());
            if !ended {
                let (token, state) = (*token, stage.state());
                self.states.put(key.clone(), TokenState { token, state });
            }
        }
    }
}

fn watch(unit: &UnitName) -> Act {
    Act::Ask(Question::Watched(unit.clone()))
}

fn dep(unit: &UnitName, start: bool) -> Act {
    let unit = unit.clone();
    Act::Dep { unit, start }
}
