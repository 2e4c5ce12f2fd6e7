//! From a seed to a fleet and what befalls it. Each run has probabilities of its own, many of them
//! zero: a world where everything happens at once hides what needs quiet between two faults.

mod cast;
mod climate;
mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fleet::{ClaimPolicy, DependsOn, Heartbeat, NodeSettings, OnLoss, Settings};
use proto::name::{NodeName, ProxyName, UnitName};

use tests::rng::Rng;

use crate::world::{Action, Plan};
use cast::machines;
use climate::Climate;
use script::script;

/// The names of the nodes; a world has at least two of them.
const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// How many services a world has at most.
const UNITS_MAX: usize = 30;

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

/// The world of a seed.
pub(crate) fn story(seed: u64) -> Story {
    tell(Rng::new(seed), seed)
}

/// The world that these bytes describe, as a fuzzer writes them.
pub(crate) fn story_of_bytes(bytes: &[u8]) -> Story {
    let mut rng = Rng::of_bytes(bytes);
    let seed = rng.below(1 << 16);
    tell(rng, seed)
}

/// The world that these numbers describe. `seed` decides what is not in the story: latencies, and
/// which of two things that happen at the same time comes first.
pub(crate) fn tell(mut rng: Rng, seed: u64) -> Story {
    let climate = Climate::new(&mut rng);
    let count = index(rng.between(2, NODES.len() as u64));
    let denied: BTreeSet<(usize, usize)> = if rng.percent(30) {
        let most = NODES.len() as u64;
        (0..rng.between(1, 4))
            .map(|_| (index(rng.below(most)), index(rng.below(most))))
            .collect()
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
        resume_window: fleet::RESUME_WINDOW,
        call_timeout: Duration::from_secs(25),
        job_timeout: Some(Duration::from_secs(120)),
        version: "simulated".to_owned(),
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
