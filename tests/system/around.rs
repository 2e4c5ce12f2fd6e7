//! Units of different nodes that need each other and do not wait for each other both ways: a restart
//! of one is one of each. Every case has the same units on one node too, where it must be the same.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result, ensure};
use test_case::test_case;
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Node;

use crate::quiet::quiet;
use crate::world::{ctl, scene, three};

/// Leaves a line for each of its starts, which fail while there is a file for that.
const SERVICE: &str = "[Service]\n\
    ExecStartPre=/bin/sh -c 'echo >>/run/%N.starts; ! test -e /run/%N.fail'\n\
    ExecStart=/bin/sleep infinity\n";

const UNITS: &[&str] = &["t?.service", "s?.service", "one-*", "proxy@*", "dep@*"];

/// A unit that is there twice: on its node, and with all others of the case on `main`.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    node: &'static str,
    /// `@NAME` is another unit.
    settings: &'static str,
    /// What else is in its section `[Service]`.
    service: &'static str,
}

const fn unit(name: &'static str, node: &'static str, settings: &'static str) -> Unit {
    Unit {
        name,
        node,
        settings,
        service: "",
    }
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    One,
    Nodes,
}

impl Unit {
    fn file(&self, place: Place) -> String {
        match place {
            Place::One => format!("one-{}.service", self.name),
            Place::Nodes => format!("{}.service", self.name),
        }
    }

    fn home(&self, place: Place) -> &'static str {
        match place {
            Place::One => "main",
            Place::Nodes => self.node,
        }
    }

    fn text(&self, place: Place, all: &[Self]) -> String {
        let mut settings = self.settings.to_owned();
        for other in all {
            let file = other.file(place);
            let here = other.home(place) == self.home(place);
            let name = if here {
                file
            } else {
                format!("proxy@{}_{file}", other.home(place))
            };
            settings = settings.replace(&format!("@{}", other.name), &name);
        }
        format!("[Unit]\n{settings}\n\n{SERVICE}{}", self.service)
    }

    fn starts(&self, fleet: &Fleet, place: Place) -> usize {
        let path = format!("/run/{}", self.file(place)).replace(".service", ".starts");
        let node = fleet.node(self.home(place));
        node.read(&path).map_or(0, |text| text.lines().count())
    }
}

/// What has become of a unit since it ran.
#[derive(Clone, PartialEq, Eq)]
struct Fate {
    active: String,
    restarts: usize,
    /// Those that its own `Restart=` was for.
    own: String,
}

impl Display for Fate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {} restarts ({} of its own)",
            self.active, self.restarts, self.own
        )
    }
}

/// By name.
#[derive(Clone, PartialEq, Eq)]
struct Fates(BTreeMap<&'static str, Fate>);

impl Display for Fates {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, fate) in &self.0 {
            write!(f, "{name} is {fate}; ")?;
        }
        Ok(())
    }
}

impl Fates {
    /// All are active.
    fn run(&self) -> bool {
        self.0.values().all(|fate| fate.active == "active")
    }

    /// All are active, and each was restarted once.
    fn once(&self) -> bool {
        self.run() && self.0.values().all(|it| it.restarts == 1 && it.own == "0")
    }
}

fn layout(units: &[Unit]) -> FleetBuilder {
    let add = |builder: FleetBuilder, (unit, place): (&Unit, Place)| {
        builder.unit_text(
            unit.home(place),
            &unit.file(place),
            &unit.text(place, units),
        )
    };
    let both = |unit| [Place::One, Place::Nodes].map(|place| (unit, place));
    units.iter().flat_map(both).fold(three("around"), add)
}

/// Starts the units in one place, and waits until they run.
fn start(fleet: &Fleet, units: &[Unit], place: Place) -> Result<()> {
    for unit in units {
        let node = fleet.node(unit.home(place));
        node.systemctl(&["start", &unit.file(place)])?;
    }
    quiet(fleet, UNITS)?;
    for unit in units {
        crate::world::ensure_is(fleet.node(unit.home(place)), &unit.file(place), "active")?;
    }
    Ok(())
}

/// Has something happen to units that run, and says what has become of each when all is quiet.
fn fates(
    fleet: &Fleet,
    units: &[Unit],
    place: Place,
    event: impl FnOnce() -> Result<()>,
) -> Result<Fates> {
    start(fleet, units, place)?;
    let count = || units.iter().map(|unit| unit.starts(fleet, place));
    let before: Vec<usize> = count().collect();
    event()?;
    quiet(fleet, UNITS).with_context(|| format!("starts: {:?}", count().collect::<Vec<_>>()))?;
    let mut fates = BTreeMap::new();
    for (unit, before) in units.iter().zip(before) {
        let (node, file) = (fleet.node(unit.home(place)), unit.file(place));
        let fate = Fate {
            active: node.state(&file)?.active,
            restarts: unit.starts(fleet, place) - before,
            own: node.property(&file, "NRestarts")?,
        };
        fates.insert(unit.name, fate);
    }
    Ok(Fates(fates))
}

/// The same in both places.
fn both(
    fleet: &Fleet,
    units: &[Unit],
    mut event: impl FnMut(&Node, &Unit, Place) -> Result<()>,
    name: &str,
) -> Result<[Fates; 2]> {
    let unit = units.iter().find(|it| it.name == name).expect("a unit");
    let mut of = |place| {
        let node = fleet.node(unit.home(place));
        fates(fleet, units, place, || event(node, unit, place))
    };
    let (one, nodes) = (of(Place::One)?, of(Place::Nodes)?);
    println!("one machine: {one}\nnodes: {nodes}");
    Ok([one, nodes])
}

/// Nothing has failed and nothing is on its way on any node.
fn ensure_clean(fleet: &Fleet) -> Result<()> {
    for node in fleet.nodes() {
        let jobs = node.systemctl(&["list-jobs", "--no-legend"])?;
        ensure!(jobs.is_empty(), "jobs on {}: {jobs}", node.name());
        let mut args = vec!["list-units", "--failed", "--plain", "--no-legend"];
        args.extend(UNITS);
        let failed = node.systemctl(&args)?;
        ensure!(
            failed.is_empty(),
            "{} has units that failed:\n{failed}",
            node.name()
        );
    }
    Ok(())
}

/// A restart of each of these, one after the other, restarts all once.
fn restarts_each_once(units: &[Unit], names: &[&str]) {
    scene(layout(units), |fleet| {
        for name in names {
            let mut done = true;
            let restart = |node: &Node, unit: &Unit, place| {
                let file = unit.file(place);
                let output = ctl(fleet, &format!("restart {} {file}", node.name()))?;
                done &= output.success();
                Ok(())
            };
            let [one, nodes] = both(fleet, units, restart, name)?;
            ensure!(
                one.once() && nodes.once() && done,
                "{name} is restarted on one machine: {one}\nover nodes: {nodes}\nit ended well: {done}"
            );
            ensure_clean(fleet)?;
        }
        Ok(())
    });
}

const PART_OF: [Unit; 2] = [
    unit("t0", "worker1", "Wants=@t1\nPartOf=@t1"),
    unit("t1", "worker2", "Wants=@t0\nPartOf=@t0"),
];
const REQUIRES: [Unit; 2] = [
    unit("t0", "worker1", "Requires=@t1"),
    unit("t1", "worker2", "Requires=@t0"),
];
const PART_OF_AND_AFTER: [Unit; 2] = [
    unit("t0", "worker1", "Wants=@t1\nPartOf=@t1"),
    unit("t1", "worker2", "Wants=@t0\nPartOf=@t0\nAfter=@t0"),
];
const REQUIRES_AND_AFTER: [Unit; 2] = [
    unit("t0", "worker1", "Requires=@t1"),
    unit("t1", "worker2", "Requires=@t0\nAfter=@t0"),
];
const REQUIRES_AND_PART_OF: [Unit; 2] = [
    unit("t0", "worker1", "Wants=@t1\nPartOf=@t1"),
    unit("t1", "worker2", "Requires=@t0\nAfter=@t0"),
];
const BINDS_TO: [Unit; 2] = [
    unit("t0", "worker1", "BindsTo=@t1"),
    unit("t1", "worker2", "Requires=@t0"),
];

#[test_case(PART_OF; "part of both ways")]
#[test_case(REQUIRES; "requires both ways")]
#[test_case(REQUIRES_AND_PART_OF; "requires after one way and part of back")]
#[test_case(BINDS_TO; "binds to one way and requires back")]
#[test_case(PART_OF_AND_AFTER; "part of both ways and after one way")]
#[test_case(REQUIRES_AND_AFTER; "requires both ways and after one way")]
fn a_restart_of_either_restarts_each_of_two_once(pair: [Unit; 2]) {
    restarts_each_once(&pair, &["t1", "t0"]);
}

#[test_case(PART_OF; "part of both ways")]
#[test_case(REQUIRES; "requires both ways")]
fn a_unit_beside_the_first_that_needs_the_other_is_restarted_once(pair: [Unit; 2]) {
    let [t0, t1] = pair;
    let s0 = unit("s0", "worker2", "Requires=@t0\nAfter=@t0");
    restarts_each_once(&[t0, t1, s0], &["t1"]);
}

#[test_case(PART_OF; "part of both ways")]
#[test_case(REQUIRES; "requires both ways")]
fn a_source_on_a_third_node_is_restarted_once(pair: [Unit; 2]) {
    let [t0, t1] = pair;
    let s0 = unit("s0", "main", "Requires=@t1\nAfter=@t1");
    restarts_each_once(&[t0, t1, s0], &["t1"]);
}

#[test]
fn a_restart_goes_round_a_ring_of_three_nodes_once() {
    let ring = [
        unit("t0", "worker1", "Wants=@t1\nPartOf=@t1"),
        unit("t1", "worker2", "Wants=@t2\nPartOf=@t2"),
        unit("t2", "main", "Wants=@t0\nPartOf=@t0"),
    ];
    restarts_each_once(&ring, &["t1"]);
}

const AGAIN: &str = "Restart=on-failure\n";
const AGAIN_AT_ONCE: &str = "Restart=on-failure\nRestartSec=0\n";

// Two things are told of it, that it has died and that it runs again, and either may restart the other
// unit: a round more than of a restart by hand is allowed, and none after that.
#[test_case(REQUIRES, AGAIN; "requires")]
#[test_case(REQUIRES, AGAIN_AT_ONCE; "requires, at once")]
#[test_case(PART_OF, AGAIN; "part of")]
#[test_case(PART_OF, AGAIN_AT_ONCE; "part of, at once")]
#[test_case(BINDS_TO, AGAIN; "binds to")]
#[test_case(BINDS_TO, AGAIN_AT_ONCE; "binds to, at once")]
fn a_unit_that_dies_and_starts_itself_again_comes_to_rest_with_the_other(
    mut pair: [Unit; 2],
    again: &'static str,
) {
    pair[1].service = again;
    scene(layout(&pair), |fleet| {
        let kill = |node: &Node, unit: &Unit, place| node.kill_service(&unit.file(place), "KILL");
        let [one, nodes] = both(fleet, &pair, kill, "t1")?;
        let at_most = |fates: &Fates, most: usize| {
            fates.run() && fates.0.values().all(|it| (1..=most).contains(&it.restarts))
        };
        ensure!(
            at_most(&one, 1) && at_most(&nodes, 2),
            "on one machine: {one}\nover nodes: {nodes}"
        );
        ensure_clean(fleet)
    });
}

const WANTS_AND_PART_OF: [Unit; 2] = [
    unit("t0", "worker1", "Wants=@t1\nPartOf=@t1"),
    unit("t1", "worker2", "Wants=@t0"),
];

#[test_case(REQUIRES_AND_PART_OF, false; "requires")]
#[test_case(WANTS_AND_PART_OF, true; "only wants")]
fn where_the_restart_of_the_other_fails_only_what_requires_it_stops(pair: [Unit; 2], runs: bool) {
    scene(layout(&pair), |fleet| {
        let restart = |node: &Node, unit: &Unit, place| {
            let other = pair[0];
            let path = format!("/run/{}", other.file(place)).replace(".service", ".fail");
            fleet.node(other.home(place)).write(&path, "")?;
            node.run(&["systemctl", "restart", &unit.file(place)])
                .map(drop)
        };
        let [one, nodes] = both(fleet, &pair, restart, "t1")?;
        let is_so = |fates: &Fates| {
            let is = |name: &str| fates.0[name].active.as_str();
            !matches!(is("t0"), "active") && (is("t1") == "active") == runs
        };
        ensure!(
            is_so(&one) && is_so(&nodes),
            "on one machine: {one}\nover nodes: {nodes}"
        );
        Ok(())
    });
}
