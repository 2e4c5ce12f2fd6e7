//! What is done to a world, and when.

use std::time::Duration;

use proto::{model::JobKind, name::HoldName};

use super::{
    NODES,
    cast::Cast,
    climate::{Climate, Kind},
    node, proxy,
};
use tests::rng::Rng;

use crate::{
    systemd::Verb,
    world::{Action, Net},
};

pub(super) fn script(
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
        if when >= length || rng.is_over() {
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
    let other = usize::try_from(rng.below(count as u64)).ok()?;
    let some = usize::try_from(rng.below(6)).ok()?;
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
        Kind::CancelCtl => Action::CancelCtl,
        Kind::KillAgentAmid => Action::KillAgentAmid(at, some),
        Kind::KillControllerAmid => Action::KillControllerAmid(some),
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
        Kind::CutAmid => Action::CutAmid(at, some),
        Kind::Slow => Action::Slow(at, rng.millis(10, 1500)),
        Kind::Suspend => Action::Suspend(at, away),
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
        Kind::Mask | Kind::Unmask => {
            let masked = matches!(kind, Kind::Mask);
            let name = proxy(&node(NODES.get(target_at).copied()?), &target);
            if rng.percent(50) {
                Action::Mask(target_at, target, masked)
            } else {
                Action::Mask(at, name, masked)
            }
        }
        Kind::Edge => Action::Edge(at, other, rng.percent(50)),
        Kind::Unname => Action::Named(at, false),
        Kind::Name => Action::Named(at, true),
        Kind::Deny => Action::Deny(at),
        Kind::Allow => Action::Allow(at),
    })
}
