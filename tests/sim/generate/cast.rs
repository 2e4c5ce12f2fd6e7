//! Who there is, and which units they have.

use std::collections::{BTreeMap, BTreeSet};

use proto::name::{NodeName, UnitName};

use super::{NODES, UNITS_MAX, climate::Climate, node, proxy, unit};
use tests::rng::Rng;

use crate::{systemd::Spec, world::MachinePlan};

/// A service, with the machine that has it.
type Place = (usize, UnitName);

pub(super) struct Cast {
    pub(super) sources: Vec<Place>,
    pub(super) targets: Vec<Place>,
}

/// The services of a world while they are written.
struct Files {
    names: Vec<NodeName>,
    files: Vec<BTreeMap<UnitName, Spec>>,
    /// Which service needs which.
    needs: BTreeMap<Place, BTreeSet<Place>>,
}

/// How one service needs another.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Requires,
    Wants,
    BindsTo,
    Upholds,
    /// `PartOf=` alone starts nothing, so it comes with `Wants=`.
    PartOf,
    Requisite,
}

impl Files {
    fn room(&self) -> bool {
        self.files.iter().map(BTreeMap::len).sum::<usize>() < UNITS_MAX
    }

    fn spec(&mut self, (at, name): &Place) -> Option<&mut Spec> {
        self.files.get_mut(*at)?.get_mut(name)
    }

    fn insert(&mut self, (at, name): Place, spec: Spec) {
        if let Some(files) = self.files.get_mut(at) {
            files.insert(name, spec);
        }
    }

    /// What `from` calls `to`: itself on its own machine, unless `proxied`, and a proxy elsewhere.
    fn called(&self, from: usize, (at, name): &Place, proxied: bool) -> Option<UnitName> {
        if from == *at && !proxied {
            return Some(name.clone());
        }
        Some(proxy(self.names.get(*at)?, name))
    }

    fn reaches(&self, from: &Place, to: &Place) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(here) = next.pop() {
            for needed in self.needs.get(here).into_iter().flatten() {
                if needed == to {
                    return true;
                }
                if seen.insert(needed) {
                    next.push(needed);
                }
            }
        }
        false
    }

    /// Whether a start of this one would run into a circle.
    fn is_circular(&self, place: &Place) -> bool {
        let on_one = |other: &&Place| self.reaches(other, other);
        let places = self.needs.keys();
        places
            .filter(on_one)
            .any(|other| other == place || self.reaches(place, other))
    }

    /// It needs the other, and does not wait for it.
    fn disorder(&mut self, from: &Place, to: &Place) {
        if let Some(name) = self.called(from.0, to, false)
            && let Some(spec) = self.spec(from)
        {
            spec.unordered.push(name);
        }
    }

    fn depend(&mut self, from: &Place, to: &Place, kind: Kind, proxied: bool) {
        let Some(name) = self.called(from.0, to, proxied) else {
            return;
        };
        self.needs
            .entry(from.clone())
            .or_default()
            .insert(to.clone());
        let Some(spec) = self.spec(from) else {
            return;
        };
        match kind {
            Kind::Requires => spec.requires.push(name),
            Kind::Wants => spec.wants.push(name),
            Kind::BindsTo => spec.binds_to.push(name),
            Kind::Upholds => spec.upholds.push(name),
            Kind::Requisite => spec.requisite.push(name),
            Kind::PartOf => {
                spec.wants.push(name.clone());
                spec.part_of.push(name);
            }
        }
    }
}

pub(super) fn machines(
    rng: &mut Rng,
    climate: &Climate,
    allows: &dyn Fn(usize, usize) -> bool,
    count: usize,
) -> (Vec<MachinePlan>, Cast) {
    let mut cast = Cast {
        sources: Vec::new(),
        targets: Vec::new(),
    };
    let mut files = Files {
        names: NODES.iter().take(count).map(|n| node(n)).collect(),
        files: vec![BTreeMap::new(); count],
        needs: BTreeMap::new(),
    };
    for at in 0..count {
        for number in 0..rng.between(1, 3) {
            let place = (at, unit(&format!("t{number}.service")));
            if files.room() {
                files.insert(place.clone(), climate.target(rng));
                cast.targets.push(place);
            }
        }
    }
    chain(rng, climate, allows, &cast, &mut files);
    for at in 0..count {
        for number in 0..rng.between(0, 3) {
            let place = (at, unit(&format!("s{number}.service")));
            if !files.room() {
                break;
            }
            let spec = climate.source(rng);
            files.insert(place.clone(), spec);
            for _ in 0..rng.between(1, 3) {
                source_needs(rng, allows, &cast, &mut files, &place);
            }
            cast.sources.push(place);
        }
    }
    (plans(rng, files), cast)
}

/// Targets that need others in turn, on their own machine or elsewhere.
fn chain(
    rng: &mut Rng,
    climate: &Climate,
    allows: &dyn Fn(usize, usize) -> bool,
    cast: &Cast,
    files: &mut Files,
) {
    for from in &cast.targets {
        if !rng.percent(climate.chains) {
            continue;
        }
        let Some(to) = rng.pick(&cast.targets).cloned() else {
            continue;
        };
        let back = to == *from || files.reaches(&to, from);
        // A circle on one machine is systemd's own affair, which is not simulated.
        let over_nodes = to.0 != from.0;
        if !allows(from.0, to.0) || back && !(climate.circles && over_nodes) {
            continue;
        }
        // What is bound to a unit of its own node that only runs can never be active.
        let runs = from.0 == to.0 && files.spec(&to).is_some_and(|spec| spec.only_runs());
        let kind = match rng.below(8) {
            _ if runs => Kind::Requires,
            0..4 => Kind::Requires,
            4 => Kind::Wants,
            5 => Kind::PartOf,
            6 if back => Kind::PartOf,
            _ => Kind::BindsTo,
        };
        files.depend(from, &to, kind, false);
        // Two that are restarted together, and are up although they need each other.
        if back && matches!(kind, Kind::PartOf) && rng.percent(60) {
            files.disorder(from, &to);
        }
    }
}

fn source_needs(
    rng: &mut Rng,
    allows: &dyn Fn(usize, usize) -> bool,
    cast: &Cast,
    files: &mut Files,
    from: &Place,
) {
    let Some(to) = rng.pick(&cast.targets).cloned() else {
        return;
    };
    let to = if rng.percent(4) {
        (to.0, unit("missing.service"))
    } else {
        to
    };
    let runs_on = files.spec(&to).is_some_and(|spec| !spec.only_runs());
    // What is upheld and never up is started for ever, and never quiet.
    let startable = runs_on && allows(from.0, to.0) && !files.is_circular(&to);
    let kind = match rng.below(10) {
        0 | 1 => Kind::Requires,
        2 | 3 => Kind::Wants,
        4 if startable => Kind::Upholds,
        5 if startable => Kind::Upholds,
        6 => Kind::PartOf,
        7 if rng.percent(40) => Kind::Requisite,
        _ => Kind::BindsTo,
    };
    // A proxy of one's own node is allowed, and as good as the unit itself.
    let proxied = rng.percent(70);
    files.depend(from, &to, kind, proxied);
}

fn plans(rng: &mut Rng, files: Files) -> Vec<MachinePlan> {
    let pinned: Vec<bool> = files.names.iter().map(|_| rng.percent(50)).collect();
    let plans = files.names.into_iter().zip(files.files).zip(pinned);
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
    plans
}
