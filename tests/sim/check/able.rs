//! What can be started, by what the unit files say, and whether it was.

use std::collections::BTreeSet;

use proto::name::{ProxyName, UnitName};

use super::Rule;
use crate::{
    systemd::{Spec, State},
    world::World,
};

/// A service, with the machine that has it.
type Place = (usize, UnitName);

/// Whether a unit starts if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Able {
    /// It must not: it requires itself.
    Never,
    /// That depends on who was first, or cannot be known from the files alone.
    Perhaps,
    Yes,
}

/// Says what is not as it should be after everything was started; `soon` is whether all starts must
/// have come to an end.
pub(crate) fn check_able(world: &World, soon: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for place in places(world) {
        let (at, unit) = &place;
        let (Some(machine), Some(spec)) = (world.machines.get(*at), spec(world, &place)) else {
            continue;
        };
        let state = world.state(*at, unit);
        let (rule, fine) = match able(world, &place, &mut BTreeSet::new()) {
            Able::Never => (Rule::Circle, state != State::Active),
            Able::Perhaps => continue,
            // What nobody needs may have stopped again.
            Able::Yes if spec.stop_when_unneeded => continue,
            Able::Yes => (Rule::Startable, state == State::Active || !soon),
        };
        if !fine {
            wrong.push(format!("{rule}: {unit} of {} is {state:?}", machine.name));
        }
    }
    wrong
}

/// Every service of the fleet.
pub(crate) fn places(world: &World) -> Vec<Place> {
    let real = world.machines.iter().enumerate();
    let files = real.flat_map(|(at, machine)| machine.systemd.files().map(move |unit| (at, unit)));
    files.map(|(at, unit)| (at, unit.clone())).collect()
}

fn spec(world: &World, (at, unit): &Place) -> Option<Spec> {
    let machine = world.machines.get(*at).filter(|machine| machine.up)?;
    machine.systemd.spec(unit)
}

/// What a dependency stands for, and whether it may be needed.
fn place(world: &World, from: usize, name: &UnitName) -> Option<Place> {
    let Ok(proxy) = ProxyName::parse(name.as_str()) else {
        return Some((from, name.clone()));
    };
    let source = &world.machines.get(from)?.name;
    let allowed = world.settings.allows(source, proxy.node());
    allowed.then_some((world.index(proxy.node())?, proxy.unit().clone()))
}

fn able(world: &World, here: &Place, above: &mut BTreeSet<Place>) -> Able {
    let Some(file) = spec(world, here) else {
        return Able::Perhaps;
    };
    if leads_back(world, here, true) {
        return Able::Never;
    }
    // A circle that is only wanted somewhere is opened somewhere. `Requisite=` starts nothing, and
    // what is bound on its own node to what only runs never is.
    let only_runs =
        |name: &UnitName| spec(world, &(here.0, name.clone())).is_some_and(|spec| spec.only_runs());
    if leads_back(world, here, false)
        || !file.requisite.is_empty()
        || file.binds_to.iter().any(only_runs)
        || file.only_runs() && above.is_empty()
    {
        return Able::Perhaps;
    }
    if !above.insert(here.clone()) {
        return Able::Yes;
    }
    let mut least = Able::Yes;
    for name in file.hard() {
        let needed = place(world, here.0, name);
        let its = needed.map_or(Able::Perhaps, |needed| able(world, &needed, above));
        least = least.min(its.max(Able::Perhaps));
    }
    least
}

/// Whether a unit needs itself, over what it requires or over anything.
fn leads_back(world: &World, begin: &Place, hard: bool) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![begin.clone()];
    while let Some(here) = next.pop() {
        let Some(spec) = spec(world, &here) else {
            continue;
        };
        let soft = spec.wants.iter().chain(&spec.upholds).filter(|_| !hard);
        for name in spec.hard().chain(soft) {
            let Some(needed) = place(world, here.0, name) else {
                continue;
            };
            if needed == *begin {
                return true;
            }
            if seen.insert(needed.clone()) {
                next.push(needed);
            }
        }
    }
    false
}
