//! The service manager of one node, as far as a unit file and an operator can tell.
//!
//! Rules and where they are from (the sources are those of systemd 252; "tried" means on a booted
//! systemd 252 with units of the same shape):
//!
//! | rule | from |
//! |---|---|
//! | a start pulls in what is required, bound to, wanted and upheld; a stop and a restart go to what requires or binds to it, a restart only to what is active | systemd.unit(5), `transaction_add_job_and_dependencies()` |
//! | conflicting jobs: `replace` cancels the one that was there, `fail` refuses the new one; start and restart become one restart | `job_install()`, `job_type_lookup_merge()` |
//! | of two jobs on ordered units a stop goes first, two starts go in order, two stops in reverse | systemd.unit(5) `After=`, `job_compare()` |
//! | a restart is a stop that becomes a start, under one number | `job_finish_and_invalidate()`, tried |
//! | a failed start fails the starts that require it | same |
//! | `BindsTo=`: stops with it however it ends, does not start unless it is active | systemd.unit(5), `unit_is_bound_by_inactive()`, `unit_verify_deps()`, tried |
//! | `Upholds=`: started again whenever inactive and without a job, 16 times in 10 s | `unit_is_upheld_by_active()`, tried |
//! | `StopWhenUnneeded=`: looked at when the unit has started and when one that needs it has stopped | `unit_is_unneeded()` |
//! | … and not when only the *job* of one that needs it fails: the unit then stays | tried |
//! | … and by `Upholds=` only while the upholding unit has no job; nobody looks again after that | `unit_is_upheld_by_active()` |
//! | a unit without a process at stop (the proxy) is inactive in the same turn, and nobody may see it | tried |
//! | a change of a unit is told some time later, with the state it has then; before the end of its job is told | `bus_unit_send_pending_change_signal()` |
//! | the answer to a call that queues a job follows `JobNew` | `bus_unit_queue_job_one()` |
//! | an inactive unit that nobody refers to is unloaded | systemd.unit(5) `CollectMode=` |
//! | jobs, states and invocations survive `daemon-reexec`, connections do not | systemctl(1) |

mod job;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto::{
    model::{JobResult, Token},
    name::{HoldName, ProxyName, UnitName},
    time::Moment,
};
use tests::rng::Rng;

pub(crate) use job::{Job, JobType, Verb};

/// How long the start of a unit that hangs may take (`TimeoutStartSec=`).
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Inactive,
    Activating,
    Active,
    Deactivating,
    Failed,
}

impl State {
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }
}

/// What is written in a unit file. All dependencies have `After=` beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    pub(crate) requires: Vec<UnitName>,
    pub(crate) wants: Vec<UnitName>,
    pub(crate) binds_to: Vec<UnitName>,
    pub(crate) upholds: Vec<UnitName>,
    pub(crate) stop_when_unneeded: bool,
    pub(crate) behaviour: Behaviour,
}

impl Spec {
    /// What a start pulls in, and whether the start fails with it.
    fn pulled(&self) -> impl Iterator<Item = (&UnitName, bool)> {
        let hard = self.requires.iter().chain(&self.binds_to);
        let soft = self.wants.iter().chain(&self.upholds);
        hard.map(|unit| (unit, true))
            .chain(soft.map(|unit| (unit, false)))
    }

    fn needs(&self, unit: &UnitName) -> bool {
        self.pulled().any(|(other, _)| other == unit)
    }

    /// Whether a stop of `unit` stops this one.
    fn requires(&self, unit: &UnitName) -> bool {
        self.requires.contains(unit) || self.binds_to.contains(unit)
    }
}

/// What the programs of a unit do.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Service(Service),
    /// `proxy@.service`: its start is decided by the helper.
    Proxy,
    /// `dep@.service`: nothing to run at start, `/bin/true` at stop.
    Hold,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) start: Start,
    pub(crate) start_takes: Duration,
    pub(crate) stop_takes: Duration,
    /// Ends by itself after this time, well or not.
    pub(crate) runs: Option<(Duration, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Works,
    Fails,
    Hangs,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Service(Service {
            start: Start::Works,
            start_takes: Duration::from_millis(20),
            stop_takes: Duration::from_millis(5),
            runs: None,
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) spec: Spec,
    pub(crate) state: State,
    pub(crate) job: Option<Job>,
    pub(crate) invocation: Option<Token>,
    /// `Result=`, for the reason of a failure.
    pub(crate) result: &'static str,
    /// Which of the wake-ups that were asked for still counts.
    turn: u64,
    /// When it was started by `Upholds=` of late.
    upheld: VecDeque<Moment>,
}

/// What happens later inside the service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The programs of a unit have got somewhere.
    Unit { unit: UnitName, turn: u64 },
    /// A unit that was started too often may be started again.
    Upheld(UnitName),
    /// Changes are told.
    Flush,
}

/// What an agent is told, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Changed(View),
    Gone(UnitName),
    JobNew(u32, UnitName),
    JobRunning(u32),
    JobRemoved(u32, UnitName, JobResult),
}

/// A unit as its properties show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: UnitName,
    pub(crate) state: State,
    pub(crate) job: Option<u32>,
    pub(crate) invocation: Option<Token>,
}

/// What the world has to do for the service manager.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    After(Duration, Wake),
    Tell(Signal),
    HelperStarts { proxy: UnitName, token: Token },
    HelperKilled { proxy: UnitName },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    NoSuchUnit(UnitName),
    Destructive,
    NoSuchJob,
    NotApplicable,
}

/// Unit files stay over a reboot; everything else is a boot's.
#[derive(Clone, Debug)]
pub(crate) struct Systemd {
    files: BTreeMap<UnitName, Spec>,
    /// Whether units with files are kept loaded (something enabled refers to them).
    pinned: bool,
    pub(crate) units: BTreeMap<UnitName, Unit>,
    pub(crate) effects: VecDeque<Effect>,
    /// How long changes are gathered before they are told.
    pub(crate) flush: (u64, u64),
    flush_asked: bool,
    dirty: BTreeSet<UnitName>,
    run_queue: VecDeque<UnitName>,
    check_unneeded: BTreeSet<UnitName>,
    check_bound: BTreeSet<UnitName>,
    check_upheld: BTreeSet<UnitName>,
    /// Units that systemd itself does not look at although it should: for `StopWhenUnneeded=`, after
    /// the job of a unit that needs it failed without a change of that unit.
    pub(crate) unstopped: BTreeSet<UnitName>,
    /// For `Upholds=`, where the upholding unit had a job at the moment at which this one failed.
    pub(crate) unstarted: BTreeSet<UnitName>,
    /// Those that were just starting when something that they require was restarted: a restart goes
    /// only to what is active.
    pub(crate) unreached: BTreeSet<UnitName>,
    /// Those that were stopped without what requires them, since they were last active.
    pub(crate) ended: BTreeSet<UnitName>,
    jobs: u32,
    turns: u64,
    rng: Rng,
}

impl Systemd {
    pub(crate) fn new(files: BTreeMap<UnitName, Spec>, pinned: bool, rng: Rng) -> Self {
        let mut systemd = Self {
            files,
            pinned,
            units: BTreeMap::new(),
            effects: VecDeque::new(),
            flush: (0, 3),
            flush_asked: false,
            dirty: BTreeSet::new(),
            run_queue: VecDeque::new(),
            check_unneeded: BTreeSet::new(),
            check_bound: BTreeSet::new(),
            check_upheld: BTreeSet::new(),
            unstopped: BTreeSet::new(),
            unstarted: BTreeSet::new(),
            unreached: BTreeSet::new(),
            ended: BTreeSet::new(),
            jobs: 0,
            turns: 0,
            rng,
        };
        systemd.boot();
        systemd
    }

    /// The machine starts: nothing runs.
    pub(crate) fn boot(&mut self) {
        self.units.clear();
        self.effects.clear();
        self.dirty.clear();
        self.run_queue.clear();
        self.check_unneeded.clear();
        self.check_bound.clear();
        self.check_upheld.clear();
        self.flush_asked = false;
        self.unstopped.clear();
        self.unstarted.clear();
        self.unreached.clear();
        self.ended.clear();
        self.jobs = 0;
        if self.pinned {
            let names: Vec<UnitName> = self.files.keys().cloned().collect();
            for name in names {
                self.load(&name);
            }
        }
    }

    /// Whoever writes unit files has repaired them (and `systemctl daemon-reload`): every service
    /// starts and stays up.
    pub(crate) fn heal(&mut self) {
        for spec in self.files.values_mut() {
            if let Behaviour::Service(service) = &mut spec.behaviour {
                service.start = Start::Works;
                service.runs = None;
            }
        }
        for (name, spec) in &self.files {
            if let Some(unit) = self.units.get_mut(name) {
                unit.spec = spec.clone();
            }
        }
    }

    pub(crate) fn state(&self, unit: &UnitName) -> State {
        self.units.get(unit).map_or(State::Inactive, |u| u.state)
    }

    pub(crate) fn has_job(&self, unit: &UnitName) -> bool {
        self.units.get(unit).is_some_and(|u| u.job.is_some())
    }

    pub(crate) fn exists(&self, unit: &UnitName) -> bool {
        self.spec(unit).is_some()
    }

    pub(crate) fn view(&self, unit: &UnitName) -> Option<View> {
        let loaded = self.units.get(unit)?;
        Some(View {
            name: unit.clone(),
            state: loaded.state,
            job: loaded.job.as_ref().map(|job| job.id),
            invocation: loaded.invocation,
        })
    }

    /// The proxies and holds that are loaded, and all jobs.
    pub(crate) fn snapshot(&self) -> (Vec<View>, Vec<u32>) {
        let ours = |name: &UnitName| ProxyName::is_proxy(name) || HoldName::parse(name).is_some();
        let views = self.units.keys().filter(|name| ours(name));
        (
            views.filter_map(|name| self.view(name)).collect(),
            self.units
                .values()
                .filter_map(|unit| unit.job.as_ref().map(|job| job.id))
                .collect(),
        )
    }

    /// What is written in the file of a unit, if there is one.
    fn spec(&self, name: &UnitName) -> Option<Spec> {
        if let Some(spec) = self.files.get(name) {
            return Some(spec.clone());
        }
        if let Some(hold) = HoldName::parse(name) {
            return Some(Spec {
                binds_to: vec![hold.unit().clone()],
                behaviour: Behaviour::Hold,
                ..Spec::default()
            });
        }
        ProxyName::is_proxy(name).then(|| Spec {
            stop_when_unneeded: true,
            behaviour: Behaviour::Proxy,
            ..Spec::default()
        })
    }

    /// Loads a unit and what it refers to. False if there is none.
    fn load(&mut self, name: &UnitName) -> bool {
        if self.units.contains_key(name) {
            return true;
        }
        let Some(spec) = self.spec(name) else {
            return false;
        };
        let refers: Vec<UnitName> = spec.pulled().map(|(unit, _)| unit.clone()).collect();
        let unit = Unit {
            spec,
            state: State::Inactive,
            job: None,
            invocation: None,
            result: "success",
            turn: 0,
            upheld: VecDeque::new(),
        };
        self.units.insert(name.clone(), unit);
        self.touch(name);
        for other in refers {
            self.load(&other);
        }
        true
    }

    /// Unloads what is inactive and what nobody refers to (any more).
    fn collect(&mut self) {
        loop {
            let gone = self.units.iter().find(|(name, unit)| {
                unit.state == State::Inactive
                    && unit.job.is_none()
                    && !(self.pinned && self.files.contains_key(*name))
                    && !self.units.values().any(|other| other.spec.needs(name))
            });
            let Some(name) = gone.map(|(name, _)| name.clone()) else {
                return;
            };
            self.tell_change(&name);
            self.units.remove(&name);
            self.effects.push_back(Effect::Tell(Signal::Gone(name)));
        }
    }

    /// Units that need this one: `RequiredBy`, `BoundBy`, `WantedBy`, `UpheldBy`.
    fn needing(&self, unit: &UnitName) -> Vec<UnitName> {
        self.find(|spec| spec.needs(unit))
    }

    fn find(&self, which: impl Fn(&Spec) -> bool) -> Vec<UnitName> {
        let found = self.units.iter().filter(|(_, unit)| which(&unit.spec));
        found.map(|(name, _)| name.clone()).collect()
    }

    /// Something of a unit has changed; it is told with the next lot.
    fn touch(&mut self, unit: &UnitName) {
        self.dirty.insert(unit.clone());
        if !self.flush_asked {
            self.flush_asked = true;
            let wait = self.rng.millis(self.flush.0, self.flush.1);
            self.effects.push_back(Effect::After(wait, Wake::Flush));
        }
    }

    fn tell_change(&mut self, unit: &UnitName) {
        if self.dirty.remove(unit)
            && let Some(view) = self.view(unit)
        {
            self.effects.push_back(Effect::Tell(Signal::Changed(view)));
        }
    }

    /// Something that was to happen later happens.
    pub(crate) fn wake(&mut self, now: Moment, wake: Wake) {
        match wake {
            Wake::Flush => {
                self.flush_asked = false;
                let mut dirty: Vec<UnitName> = self.dirty.iter().cloned().collect();
                while !dirty.is_empty() {
                    let at = self.rng.below(dirty.len() as u64);
                    let unit = dirty.swap_remove(usize::try_from(at).unwrap_or(0));
                    self.tell_change(&unit);
                }
            }
            Wake::Upheld(unit) => {
                self.check_upheld.insert(unit);
            }
            Wake::Unit { unit, turn } => {
                if self.units.get(&unit).is_some_and(|u| u.turn == turn) {
                    self.progress(&unit);
                }
            }
        }
        self.settle(now);
    }
}
