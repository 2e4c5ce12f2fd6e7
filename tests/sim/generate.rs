//! From a seed to a fleet and what befalls it. Each run has probabilities of its own, many of them
//! zero: a world where everything happens at once hides what needs quiet between two faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fleet::{ClaimPolicy, DependsOn, Heartbeat, NodeSettings, OnLoss, Settings};
use proto::{
    model::JobKind,
    name::{HoldName, NodeName, ProxyName, UnitName},
};
use tests::rng::Rng;

use crate::{
    systemd::{Behaviour, Service, Spec, Start, Verb},
    world::{Action, MachinePlan, Net, Plan},
};

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The longest stop (2 s) and start (8 s) of a service that works, and a reserve for latencies.
const SLOWEST: Duration = Duration::from_secs(14);

/// A world and its story.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) plan: Plan,
    /// What is done, and when after the beginning.
    pub(crate) script: Vec<(Duration, Action)>,
    /// When everything is healed.
    pub(crate) heals: Duration,
    /// How long it may take then until all is quiet.
    pub(crate) settles: Duration,
}

pub(crate) fn unit(name: &str) -> UnitName {
    name.parse().expect("a unit name")
}

pub(crate) fn node(name: &str) -> NodeName {
    name.parse().expect("a node name")
}

pub(crate) fn proxy(at: &NodeName, unit: &UnitName) -> UnitName {
    let proxy = ProxyName::of(at, unit).expect("short enough");
    proxy.name().clone()
}

/// What is common in one world.
struct Climate {
    fails: u64,
    hangs: u64,
    exits: u64,
    slow: u64,
    kept: u64,
    /// Weights of the actions.
    weights: Vec<(u64, Kind)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    StartSource,
    StopSource,
    RestartSource,
    StartTarget,
    StopTarget,
    RestartTarget,
    Ctl,
    KillUnit,
    KillAgent,
    StopAgent,
    KillAgentAmid,
    FreezeAgent,
    KillController,
    FreezeController,
    Silence,
    Cut,
    Open,
    Reset,
    Crash,
    Reexec,
    TwinComes,
    TwinGoes,
    Deny,
    Allow,
    /// Somebody starts and stops our units by hand.
    Meddle,
    CancelJob,
}

impl Climate {
    fn new(rng: &mut Rng) -> Self {
        let mut some = |chance: u64, most: u64| {
            if rng.percent(chance) {
                rng.below(most + 1)
            } else {
                0
            }
        };
        let twin = some(15, 3);
        let deny = some(25, 3);
        let weights = vec![
            (8 + some(100, 8), Kind::StartSource),
            (4 + some(100, 6), Kind::StopSource),
            (some(50, 4), Kind::RestartSource),
            (some(30, 3), Kind::StartTarget),
            (some(50, 4), Kind::StopTarget),
            (some(50, 4), Kind::RestartTarget),
            (some(50, 4), Kind::Ctl),
            (some(50, 4), Kind::KillUnit),
            (some(60, 6), Kind::KillAgent),
            (some(30, 3), Kind::StopAgent),
            (some(40, 6), Kind::KillAgentAmid),
            (some(30, 4), Kind::FreezeAgent),
            (some(60, 5), Kind::KillController),
            (some(30, 3), Kind::FreezeController),
            (some(40, 5), Kind::Silence),
            (some(40, 5), Kind::Cut),
            (some(80, 8), Kind::Open),
            (some(40, 5), Kind::Reset),
            (some(40, 4), Kind::Crash),
            (some(40, 4), Kind::Reexec),
            (twin, Kind::TwinComes),
            (twin, Kind::TwinGoes),
            (deny, Kind::Deny),
            (deny, Kind::Allow),
            (some(30, 4), Kind::Meddle),
            (some(20, 4), Kind::CancelJob),
        ];
        Self {
            fails: some(30, 30),
            hangs: some(20, 20),
            exits: some(40, 50),
            slow: some(50, 60),
            kept: some(50, 50),
            weights,
        }
    }

    fn pick(&self, rng: &mut Rng) -> Kind {
        let mut left = rng.below(self.weights.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in &self.weights {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::StartSource
    }

    fn target(&self, rng: &mut Rng) -> Spec {
        let start = match rng.below(100) {
            n if n < self.fails => Start::Fails,
            n if n < self.fails + self.hangs => Start::Hangs,
            _ => Start::Works,
        };
        let slow = rng.percent(self.slow);
        let runs = rng
            .percent(self.exits)
            .then(|| (rng.millis(50, 20_000), rng.percent(50)));
        Spec {
            stop_when_unneeded: !rng.percent(self.kept),
            behaviour: Behaviour::Service(Service {
                start,
                start_takes: if slow {
                    rng.millis(100, 8000)
                } else {
                    rng.millis(1, 50)
                },
                stop_takes: if slow {
                    rng.millis(10, 2000)
                } else {
                    rng.millis(1, 10)
                },
                runs,
            }),
            ..Spec::default()
        }
    }
}

/// Who there is, and which units they have.
struct Cast {
    sources: Vec<(usize, UnitName)>,
    targets: Vec<(usize, UnitName)>,
}

fn machines(
    rng: &mut Rng,
    climate: &Climate,
    allows: &dyn Fn(usize, usize) -> bool,
    count: usize,
) -> (Vec<MachinePlan>, Cast) {
    let names: Vec<NodeName> = NODES.iter().take(count).map(|n| node(n)).collect();
    let mut cast = Cast {
        sources: Vec::new(),
        targets: Vec::new(),
    };
    let mut files: Vec<BTreeMap<UnitName, Spec>> = vec![BTreeMap::new(); count];
    for (at, files) in files.iter_mut().enumerate() {
        for number in 0..rng.between(1, 3) {
            let name = unit(&format!("t{number}.service"));
            files.insert(name.clone(), climate.target(rng));
            cast.targets.push((at, name));
        }
    }
    // Targets that need others in turn; only ever later machines, so that there is no circle.
    for (at, name) in cast.targets.clone() {
        let later: Vec<_> = cast
            .targets
            .iter()
            .filter(|(other, _)| *other > at && allows(at, *other))
            .collect();
        if rng.percent(20)
            && let Some((other, needed)) = rng.pick(&later)
            && let Some(to) = names.get(*other)
            && let Some(spec) = files.get_mut(at).and_then(|f| f.get_mut(&name))
        {
            spec.requires.push(proxy(to, needed));
        }
    }
    for at in 0..count {
        for number in 0..rng.between(0, 3) {
            let name = unit(&format!("s{number}.service"));
            let mut spec = Spec {
                behaviour: Behaviour::Service(Service {
                    start: Start::Works,
                    start_takes: rng.millis(1, 200),
                    stop_takes: rng.millis(1, 200),
                    runs: None,
                }),
                ..Spec::default()
            };
            for _ in 0..rng.between(1, 3) {
                let Some((other, needed)) = rng.pick(&cast.targets) else {
                    continue;
                };
                let Some(to) = names.get(*other) else {
                    continue;
                };
                let missing = rng.percent(4);
                let needed = if missing {
                    unit("missing.service")
                } else {
                    needed.clone()
                };
                let name = proxy(to, &needed);
                match rng.below(4) {
                    0 => spec.requires.push(name),
                    1 => spec.wants.push(name),
                    // What is upheld and can never start is started for ever, and never quiet.
                    2 if !missing && allows(at, *other) => spec.upholds.push(name),
                    _ => spec.binds_to.push(name),
                }
            }
            if let Some(files) = files.get_mut(at) {
                files.insert(name.clone(), spec);
            }
            cast.sources.push((at, name));
        }
    }
    let pinned: Vec<bool> = names.iter().map(|_| rng.percent(50)).collect();
    let plans = names.into_iter().zip(files).zip(pinned);
    let plans = plans.map(|((name, files), pinned)| MachinePlan {
        name,
        files,
        pinned,
        twin: false,
    });
    let mut plans: Vec<MachinePlan> = plans.collect();
    // The last one is another machine with the name of one of them.
    let twin = rng.pick(&plans).map(|plan| MachinePlan {
        files: BTreeMap::new(),
        twin: true,
        ..plan.clone()
    });
    plans.extend(twin);
    (plans, cast)
}

/// The world of a seed.
pub(crate) fn story(seed: u64) -> Story {
    let mut rng = Rng::new(seed);
    let climate = Climate::new(&mut rng);
    let count = usize::try_from(rng.between(2, 5)).unwrap_or(2);
    let denied: BTreeSet<(usize, usize)> = if rng.percent(30) {
        let pair = |rng: &mut Rng| (rng.below(5), rng.below(5));
        let pairs: Vec<(u64, u64)> = (0..rng.between(1, 4)).map(|_| pair(&mut rng)).collect();
        let at = |n: u64| usize::try_from(n).unwrap_or(0);
        pairs.into_iter().map(|(a, b)| (at(a), at(b))).collect()
    } else {
        BTreeSet::new()
    };
    let allows = |from: usize, to: usize| !denied.contains(&(from, to));
    let (machines, cast) = machines(&mut rng, &climate, &allows, count);
    let claims = ClaimPolicy {
        source_grace: rng.millis(4000, 20_000),
        loss_grace: rng.millis(2000, 15_000),
        on_loss: if rng.percent(50) {
            OnLoss::Stop
        } else {
            OnLoss::Keep
        },
        // Never shorter than the slowest stop and start together, with the news of both: whoever
        // upholds such a unit would ask for it again and again.
        start_timeout: rng.millis(3000, 60_000).max(SLOWEST),
    };
    let real = machines.iter().filter(|machine| !machine.twin);
    let names: Vec<NodeName> = real.map(|m| m.name.clone()).collect();
    let nodes = names.iter().enumerate().map(|(at, name)| {
        let allowed = names
            .iter()
            .enumerate()
            .filter(|(other, _)| allows(at, *other));
        let depends_on = DependsOn::These(allowed.map(|(_, name)| name.clone()).collect());
        let settings = NodeSettings {
            depends_on,
            labels: Vec::new(),
            claims,
            units: Vec::new(),
        };
        (name.clone(), settings)
    });
    let plan = Plan {
        seed,
        settings: settings(nodes.collect()),
        machines,
        controller_socket: rng.percent(50),
        latency: if rng.percent(20) { (1, 400) } else { (0, 5) },
        flush: if rng.percent(30) { (0, 50) } else { (0, 2) },
    };
    let length = rng.millis(20_000, 200_000);
    let script = script(&mut rng, &climate, &cast, count, length);
    // Whatever was done last takes its time: a machine that is off, a freeze (30 s each), the graces,
    // a start that hangs or waits, a helper that waits for the first word of its agent.
    let settles =
        Duration::from_secs(300) + claims.source_grace + claims.loss_grace + claims.start_timeout;
    Story {
        plan,
        script,
        heals: length,
        settles,
    }
}

pub(crate) fn settings(nodes: BTreeMap<NodeName, NodeSettings>) -> Settings {
    Settings {
        nodes,
        heartbeat: Heartbeat::default(),
        call_timeout: Duration::from_secs(25),
        job_timeout: Some(Duration::from_secs(120)),
        version: "simulated".to_owned(),
    }
}

fn script(
    rng: &mut Rng,
    climate: &Climate,
    cast: &Cast,
    count: usize,
    length: Duration,
) -> Vec<(Duration, Action)> {
    let steps = rng.between(5, 60);
    let end = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut when = Duration::from_millis(500);
    let mut script = Vec::new();
    for _ in 0..steps {
        // Bursts and pauses: what races is what is done at the same time.
        when += match rng.below(4) {
            0 => rng.millis(0, 3),
            1 => rng.millis(0, 100),
            2 => rng.millis(0, 2000),
            _ => rng.millis(0, end / steps * 3),
        };
        if when >= length {
            break;
        }
        let kind = climate.pick(rng);
        if let Some(action) = action(rng, kind, cast, count) {
            script.push((when, action));
        }
    }
    script
}

fn action(rng: &mut Rng, kind: Kind, cast: &Cast, count: usize) -> Option<Action> {
    let at = usize::try_from(rng.below(count as u64)).ok()?;
    let away = if rng.percent(70) {
        rng.millis(5, 2000)
    } else {
        rng.millis(2000, 30_000)
    };
    let source = rng.pick(&cast.sources).cloned();
    let (target_at, target) = rng.pick(&cast.targets).cloned()?;
    let on_source = |verb| {
        source
            .clone()
            .map(|(at, unit)| Action::Unit(at, verb, unit))
    };
    Some(match kind {
        Kind::StartSource => on_source(Verb::Start)?,
        Kind::StopSource => on_source(Verb::Stop)?,
        Kind::RestartSource => on_source(Verb::Restart)?,
        Kind::StartTarget => Action::Unit(target_at, Verb::Start, target),
        Kind::StopTarget => Action::Unit(target_at, Verb::Stop, target),
        Kind::RestartTarget => {
            let verb = if rng.percent(50) {
                Verb::Restart
            } else {
                Verb::TryRestart
            };
            Action::Unit(target_at, verb, target)
        }
        Kind::Ctl => {
            let kind = *rng.pick(&[
                JobKind::Start,
                JobKind::Stop,
                JobKind::Restart,
                JobKind::Reload,
            ])?;
            match source.filter(|_| rng.percent(50)) {
                Some((at, unit)) => Action::Ctl(at, kind, unit),
                None => Action::Ctl(target_at, kind, target),
            }
        }
        Kind::KillUnit => Action::KillUnit(target_at, target),
        Kind::KillAgent => Action::KillAgent(at, away),
        Kind::StopAgent => Action::StopAgent(at, away),
        Kind::KillAgentAmid => Action::KillAgentAmid(at, usize::try_from(rng.below(6)).ok()?),
        Kind::FreezeAgent => Action::FreezeAgent(at, away),
        Kind::KillController => Action::KillController(away),
        Kind::FreezeController => Action::FreezeController(away),
        Kind::Silence => {
            let both = rng.percent(50);
            let to_agent = both || rng.percent(50);
            Action::Net(
                at,
                Net::Silent {
                    to_agent,
                    to_controller: both || !to_agent,
                },
            )
        }
        Kind::Cut => Action::Net(at, Net::Cut),
        Kind::Open => Action::Net(at, Net::Open),
        Kind::Reset => Action::Reset(at),
        Kind::Crash => Action::Crash(at, away),
        Kind::Reexec if rng.percent(50) => Action::Reload(at),
        Kind::Reexec => Action::Reexec(at),
        Kind::TwinComes => Action::TwinComes(count),
        Kind::TwinGoes => Action::TwinGoes(count),
        Kind::Meddle => {
            let verbs = [Verb::Start, Verb::Stop, Verb::Restart, Verb::TryRestart];
            let verb = *rng.pick(&verbs)?;
            if rng.percent(50) {
                let hold = HoldName::of(&target).ok()?;
                Action::Unit(target_at, verb, hold.name().clone())
            } else {
                let to = NODES.get(target_at).copied()?;
                Action::Unit(at, verb, proxy(&node(to), &target))
            }
        }
        Kind::CancelJob => Action::CancelJob(at),
        Kind::Deny => Action::Deny(at),
        Kind::Allow => Action::Allow(at),
    })
}
