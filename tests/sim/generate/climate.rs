//! What is common in one world, and what does not happen in it at all.

use tests::rng::Rng;

use crate::systemd::{Behaviour, Service, Spec, Start};

/// Something that may be done to a world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    StartSource,
    StopSource,
    RestartSource,
    StartTarget,
    StopTarget,
    RestartTarget,
    Ctl,
    CancelCtl,
    KillUnit,
    KillAgent,
    StopAgent,
    KillAgentAmid,
    FreezeAgent,
    KillController,
    KillControllerAmid,
    FreezeController,
    Silence,
    Cut,
    CutAmid,
    Slow,
    Open,
    Reset,
    Crash,
    Suspend,
    Reexec,
    TwinComes,
    TwinGoes,
    Deny,
    Allow,
    /// One dependency is forbidden or allowed.
    Edge,
    /// A node is taken out of the configuration, or put back.
    Unname,
    Name,
    Mask,
    Unmask,
    /// Somebody starts and stops our units by hand.
    Meddle,
    CancelJob,
}

pub(super) struct Climate {
    fails: u64,
    hangs: u64,
    exits: u64,
    slow: u64,
    kept: u64,
    restarts: u64,
    once: u64,
    /// Of how many targets each needs another one in turn.
    pub(super) chains: u64,
    /// Whether these chains may lead back.
    pub(super) circles: bool,
    /// Weights of the actions.
    weights: Vec<(u64, Kind)>,
}

impl Climate {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut some = |chance: u64, most: u64| {
            if rng.percent(chance) {
                rng.below(most + 1)
            } else {
                0
            }
        };
        let twin = some(15, 3);
        let deny = some(25, 3);
        let name = some(10, 2);
        let mask = some(20, 3);
        let weights = vec![
            (8 + some(100, 8), Kind::StartSource),
            (4 + some(100, 6), Kind::StopSource),
            (some(50, 4), Kind::RestartSource),
            (some(30, 3), Kind::StartTarget),
            (some(50, 4), Kind::StopTarget),
            (some(50, 4), Kind::RestartTarget),
            (some(50, 4), Kind::Ctl),
            (some(30, 2), Kind::CancelCtl),
            (some(50, 4), Kind::KillUnit),
            (some(60, 6), Kind::KillAgent),
            (some(30, 3), Kind::StopAgent),
            (some(40, 6), Kind::KillAgentAmid),
            (some(30, 4), Kind::FreezeAgent),
            (some(60, 5), Kind::KillController),
            (some(30, 5), Kind::KillControllerAmid),
            (some(30, 3), Kind::FreezeController),
            (some(40, 5), Kind::Silence),
            (some(40, 5), Kind::Cut),
            (some(40, 6), Kind::CutAmid),
            (some(20, 3), Kind::Slow),
            (some(80, 8), Kind::Open),
            (some(40, 5), Kind::Reset),
            (some(40, 4), Kind::Crash),
            (some(25, 3), Kind::Suspend),
            (some(40, 4), Kind::Reexec),
            (twin, Kind::TwinComes),
            (twin, Kind::TwinGoes),
            (deny, Kind::Deny),
            (deny, Kind::Allow),
            (deny * 2, Kind::Edge),
            (name, Kind::Unname),
            (name * 2, Kind::Name),
            (mask, Kind::Mask),
            (mask, Kind::Unmask),
            (some(30, 4), Kind::Meddle),
            (some(20, 4), Kind::CancelJob),
        ];
        Self {
            fails: some(30, 30),
            hangs: some(20, 20),
            exits: some(40, 50),
            slow: some(50, 60),
            kept: some(50, 50),
            restarts: some(30, 60),
            once: some(30, 40),
            chains: some(70, 60),
            circles: some(100, 3) == 0,
            weights,
        }
    }

    pub(super) fn pick(&self, rng: &mut Rng) -> Kind {
        let mut left = rng.below(self.weights.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in &self.weights {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::StartSource
    }

    pub(super) fn target(&self, rng: &mut Rng) -> Spec {
        let start = match rng.below(100) {
            n if n < self.fails => Start::Fails,
            n if n < self.fails + self.hangs => Start::Hangs,
            _ => Start::Works,
        };
        let slow = rng.percent(self.slow);
        let runs = rng
            .percent(self.exits)
            .then(|| (rng.millis(50, 20_000), rng.percent(50)));
        let restart = rng.percent(self.restarts).then(|| rng.millis(500, 10_000));
        let once = rng.percent(self.once);
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
                // systemd refuses `Restart=always` for what only runs.
                restart: restart.filter(|_| !once),
                once,
            }),
            ..Spec::default()
        }
    }

    /// A service that somebody starts and stops, and that works.
    pub(super) fn source(&self, rng: &mut Rng) -> Spec {
        let service = Service {
            start_takes: rng.millis(1, 200),
            stop_takes: rng.millis(1, 200),
            ..Service::default()
        };
        Spec {
            behaviour: Behaviour::Service(service),
            ..Spec::default()
        }
    }
}
