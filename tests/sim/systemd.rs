//! The service manager of one node, as far as a unit file and an operator can tell.
//!
//! Rules and where they are from (the sources are those of systemd 252; "tried" means on a booted
//! systemd 252 with units of the same shape):
//!
//! | rule | from |
//! |---|---|
//! | a start pulls in what is required, bound to, wanted and upheld; a stop and a restart go to what requires or binds to it, a restart only to what is active | systemd.unit(5), `transaction_add_job_and_dependencies()` |
//! | a job that its unit does not need (a stop of what is inactive, a start of what is active) is dropped, and with it what only that asks for; so a stop does not go on behind what is inactive | `transaction_drop_redundant()`, `transaction_collect_garbage()`, tried |
//! | conflicting jobs: `replace` cancels the one that was there, `fail` refuses the new one, or leaves it out where it is only wanted; start and restart become one restart | `job_install()`, `job_type_lookup_merge()` |
//! | of two jobs on ordered units a stop goes first, two starts go in order, two stops in reverse | systemd.unit(5) `After=`, `job_compare()` |
//! | a restart is a stop that becomes a start, under one number | `job_finish_and_invalidate()`, tried |
//! | a failed start fails the starts that require it | same |
//! | `PartOf=`: stops and is restarted with it, and nothing else; `Requisite=`: fails unless it is active, and stops with it | systemd.unit(5), `unit_dependency_to_atom()` |
//! | `Restart=`: goes through failed or inactive, then waits as activating, then gets a restart job, unless a stop is queued | `service_enter_dead()`, `service_enter_restart()` |
//! | a one-shot without `RemainAfterExit=` is inactive when it has run, and its start job is done | systemd.service(5) `Type=`, `unit_notify()` |
//! | a masked unit cannot be started; what is active stays so; a hold forgets what it is bound to | systemctl(1) `mask`, `bus_unit_validate_load_state()`, `unit_load()` |
//! | `BindsTo=`: stops with it however it ends, does not start unless it is active | systemd.unit(5), `unit_is_bound_by_inactive()`, `unit_verify_deps()`, tried |
//! | `Upholds=`: started again whenever inactive and without a job, 16 times in 10 s | `unit_is_upheld_by_active()`, tried |
//! | `StopWhenUnneeded=`: looked at when the unit has started and when one that needs it has stopped | `unit_is_unneeded()` |
//! | … and not when only the *job* of one that needs it fails: the unit then stays | tried |
//! | … and by `Upholds=` only while the upholding unit has no job; nobody looks again after that, but at the end of a job of its own, and when units are read again | `unit_is_upheld_by_active()`, `job_finish_and_invalidate()`, `unit_coldplug()`, tried |
//! | a unit that is merely wanted is started although something that it requires is masked | `transaction_add_job_and_dependencies()` |
//! | a unit without a process at stop (the proxy) is inactive in the same turn, and nobody may see it | tried |
//! | a change of a unit is told some time later, with the state it has then; before the end of its job is told | `bus_unit_send_pending_change_signal()` |
//! | the answer to a call that queues a job follows `JobNew` | `bus_unit_queue_job_one()` |
//! | an inactive unit that nobody refers to is unloaded | systemd.unit(5) `CollectMode=` |
//! | jobs, states and invocations survive `daemon-reexec`, connections do not | systemctl(1) |

mod job;
mod spec;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{Hash, Hasher},
    time::Duration,
};

use proto::{
    model::{JobResult, Token},
    name::{HoldName, ProxyName, UnitName},
    time::Moment,
};
use tests::rng::Rng;

pub(crate) use job::{Job, JobType, Restarted, Verb};
pub(crate) use spec::{Behaviour, Service, Spec, Start};

/// How long a start takes where nothing is wrong.
const QUICK: Duration = Duration::from_millis(50);

/// How long the start of a unit that hangs may take (`TimeoutStartSec=`).
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

#[derive(Clone, Debug, Hash)]
pub(crate) struct Unit {
    pub(crate) spec: Spec,
    pub(crate) state: State,
    pub(crate) job: Option<Job>,
    pub(crate) invocation: Option<Token>,
    /// `Result=`, for the reason of a failure.
    pub(crate) result: &'static str,
    /// Which of the wake-ups that were asked for still counts.
    turn: Turn,
    /// When it was started by `Upholds=` of late.
    upheld: VecDeque<Moment>,
    /// It is activating only because it waits for `RestartSec=`.
    auto_restart: bool,
}

/// Tells the wake-up that a unit waits for from those that count no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// What happens next does not depend on how often something has happened before: two worlds that differ in
/// nothing else are the same to a walk.
impl Hash for Turn {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What happens later inside the service manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wake {
    /// The programs of a unit have got somewhere.
    Unit { unit: UnitName, turn: Turn },
    /// A unit that was started too often may be started again.
    Upheld(UnitName),
    /// Changes are told.
    Flush,
}

/// What an agent is told, in this order.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Signal {
    Changed(View),
    Gone(UnitName),
    JobNew(u32, UnitName),
    JobRunning(u32),
    JobRemoved(u32, UnitName, JobResult),
}

/// A unit as its properties show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) name: UnitName,
    pub(crate) state: State,
    pub(crate) job: Option<u32>,
    pub(crate) invocation: Option<Token>,
}

/// What the world has to do for the service manager.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Effect {
    After(Duration, Wake),
    Tell(Signal),
    HelperStarts { proxy: UnitName, token: Token },
    HelperKilled { proxy: UnitName },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    NoSuchUnit(UnitName),
    Masked(UnitName),
    Destructive,
    NoSuchJob,
    NotApplicable,
}

/// Unit files stay over a reboot; everything else is a boot's.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Systemd {
    files: BTreeMap<UnitName, Spec>,
    /// Whether units with files are kept loaded (something enabled refers to them).
    pinned: bool,
    masked: BTreeSet<UnitName>,
    /// How often each unit that only runs has done so, over all boots.
    ran: BTreeMap<UnitName, u64>,
    pub(crate) units: BTreeMap<UnitName, Unit>,
    pub(crate) effects: VecDeque<Effect>,
    /// How many milliseconds changes are gathered before they are told; with none at all nothing is
    /// left to chance, not even their order.
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
    /// Units whose stop was refused when it was seen that nobody needs them.
    pub(crate) refused: BTreeSet<UnitName>,
    /// For `Upholds=`, where the upholding unit had a job at the moment at which this one failed.
    pub(crate) unstarted: BTreeSet<UnitName>,
    /// Those that were just starting when something that they require was restarted: a restart goes
    /// only to what is active. And those that run without something that they require, see `lacking`.
    pub(crate) unreached: BTreeSet<UnitName>,
    /// Those with a start without something that they require: it is masked, and who pulls them in wants them only.
    lacking: BTreeSet<UnitName>,
    /// Those that were stopped without what requires them, since they were last active.
    pub(crate) ended: BTreeSet<UnitName>,
    /// The hold units that have a job from what is being queued, each with that job.
    touched: Vec<(UnitName, u32)>,
    jobs: u32,
    turns: Turn,
    rng: Rng,
    /// Numbers for new runs, which do not depend on what else was drawn.
    invocations: Rng,
}

impl Systemd {
    pub(crate) fn new(files: BTreeMap<UnitName, Spec>, pinned: bool, mut rng: Rng) -> Self {
        let invocations = rng.fork();
        let mut systemd = Self {
            files,
            pinned,
            masked: BTreeSet::new(),
            ran: BTreeMap::new(),
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
            refused: BTreeSet::new(),
            unstarted: BTreeSet::new(),
            unreached: BTreeSet::new(),
            lacking: BTreeSet::new(),
            ended: BTreeSet::new(),
            touched: Vec::new(),
            jobs: 0,
            turns: Turn::default(),
            rng,
            invocations,
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
        self.refused.clear();
        self.unstarted.clear();
        self.unreached.clear();
        self.lacking.clear();
        self.ended.clear();
        self.touched.clear();
        self.jobs = 0;
        if self.pinned {
            let names: Vec<UnitName> = self.files.keys().cloned().collect();
            for name in names {
                self.load(&name);
            }
        }
    }

    /// `systemctl daemon-reload`: each unit is put into its state anew, and at that systemd looks at what is upheld.
    pub(crate) fn read_again(&mut self, now: Moment) {
        self.check_upheld.extend(self.units.keys().cloned());
        self.settle(now);
    }

    /// Whoever writes unit files has repaired them (and `systemctl daemon-reload`): every service
    /// starts, quickly, and stays up.
    pub(crate) fn heal(&mut self) {
        for unit in std::mem::take(&mut self.masked) {
            self.mask(&unit, false);
        }
        for spec in self.files.values_mut() {
            if let Behaviour::Service(service) = &mut spec.behaviour {
                service.start = Start::Works;
                service.start_takes = service.start_takes.min(QUICK);
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

    /// The units that have files of their own.
    pub(crate) fn files(&self) -> impl Iterator<Item = &UnitName> {
        self.files.keys()
    }

    pub(crate) fn exists(&self, unit: &UnitName) -> bool {
        self.spec(unit).is_some()
    }

    /// `systemctl mask`, or `unmask`, and `daemon-reload`.
    pub(crate) fn mask(&mut self, unit: &UnitName, masked: bool) {
        if masked {
            self.masked.insert(unit.clone());
        } else {
            self.masked.remove(unit);
        }
        let is_hold = HoldName::parse(unit).is_some();
        let mut spec = self.spec(unit).filter(|_| is_hold);
        if masked && let Some(spec) = &mut spec {
            spec.binds_to.clear();
        }
        if let (Some(spec), Some(loaded)) = (spec, self.units.get_mut(unit)) {
            loaded.spec = spec;
        }
    }

    /// The unit of a hold that is loaded and bound to nothing.
    pub(crate) fn unbound(&self, hold: &UnitName) -> Option<UnitName> {
        let unit = HoldName::parse(hold)?.unit().clone();
        (self.is_masked(hold) && self.units.contains_key(hold)).then_some(unit)
    }

    /// The units of all such holds.
    pub(crate) fn all_unbound(&self) -> Vec<UnitName> {
        let holds = self.masked.iter();
        holds.filter_map(|hold| self.unbound(hold)).collect()
    }

    pub(crate) fn is_masked(&self, unit: &UnitName) -> bool {
        self.masked.contains(unit)
    }

    /// Whether a wake-up still does something.
    pub(crate) fn is_due(&self, wake: &Wake) -> bool {
        match wake {
            Wake::Unit { unit, turn } => self.is_awaited(unit, *turn),
            Wake::Upheld(_) | Wake::Flush => true,
        }
    }

    fn is_awaited(&self, unit: &UnitName, turn: Turn) -> bool {
        self.units.get(unit).is_some_and(|unit| unit.turn == turn)
    }

    /// How often a unit that only runs has done so.
    pub(crate) fn ran(&self, unit: &UnitName) -> u64 {
        self.ran.get(unit).copied().unwrap_or_default()
    }

    /// Whether a unit has ended by itself and is about to be started again by `Restart=`.
    pub(crate) fn restarts(&self, unit: &UnitName) -> bool {
        self.units.get(unit).is_some_and(|unit| unit.auto_restart)
    }

    /// Whether a unit is one that only runs.
    pub(crate) fn only_runs(&self, unit: &UnitName) -> bool {
        let behaviour = self.spec(unit).map(|spec| spec.behaviour);
        matches!(
            behaviour,
            Some(Behaviour::Service(Service { once: true, .. }))
        )
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
    pub(crate) fn spec(&self, name: &UnitName) -> Option<Spec> {
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
        let refers: Vec<UnitName> = spec.needed().chain(&spec.part_of).cloned().collect();
        let unit = Unit {
            spec,
            state: State::Inactive,
            job: None,
            invocation: None,
            result: "success",
            turn: Turn::default(),
            upheld: VecDeque::new(),
            auto_restart: false,
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
                    && !self.units.values().any(|other| other.spec.names(name))
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

    /// The property `UpheldBy`: units that are loaded.
    pub(crate) fn upheld_by(&self, unit: &UnitName) -> Vec<UnitName> {
        self.find(|spec| spec.upholds.contains(unit))
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
            let wait = match self.flush {
                (_, 0) => Duration::ZERO,
                (low, high) => self.rng.millis(low, high),
            };
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
                    let at = match self.flush {
                        (_, 0) => 0,
                        _ => self.rng.below(dirty.len() as u64),
                    };
                    let unit = dirty.swap_remove(usize::try_from(at).unwrap_or(0));
                    self.tell_change(&unit);
                }
            }
            Wake::Upheld(unit) => {
                self.check_upheld.insert(unit);
            }
            Wake::Unit { unit, turn } => {
                if self.is_awaited(&unit, turn) {
                    self.progress(&unit);
                }
            }
        }
        self.settle(now);
    }
}
