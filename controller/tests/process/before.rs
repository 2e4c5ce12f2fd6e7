//! Agents that speak the protocol of the version before and nothing else: of jobs, claims, holds and what is
//! passed through they are told what they know, and they come back to the next controller.

use std::{sync::atomic::Ordering, time::Duration};

use rustix::process::Signal;
use tests::{
    before::{Between, Side, between},
    fake::Plan,
};

use crate::{
    bus::Bus,
    daemon::{Daemon, Folder, controller_on_bus, wait_until},
    fakes::Fakes,
};

/// The version before.
const PROTOCOL: u32 = 4;

const NODE: &str = "/org/eclipse/bluechi/node/before00001";
const BLUECHI: &str = "org.eclipse.bluechi.Node";
const OWN: &str = "org.unitlink.Node1";

/// Two agents, each of which needs something of the other, who listens to what is said, and a client. They end
/// with their owner.
struct Agents {
    bus: Bus,
    config: String,
    between: Between,
    fakes: Fakes,
}

impl Agents {
    /// With a controller on its own bus, which may be followed by others.
    fn start(folder: &Folder) -> (Self, Daemon) {
        let plan = Plan {
            prefix: "before".to_owned(),
            neighbours: 1,
            job_time: Duration::from_millis(300),
            protocol: PROTOCOL,
            ..Plan::new(address(folder, "between"), 2)
        };
        let (socket, nodes) = (folder.path("controller"), plan.configuration());
        // What differs from the time for all is told to them.
        let config = format!(
            "listen.unix = {socket:?}\n[claims.unit.\"slow*\"]\nstart_timeout = \"5min\"\n{nodes}"
        );
        let bus = Bus::start();
        let controller = controller_on_bus(folder, &config, &bus.address);
        let heard = Between::default();
        let passing = between(
            folder.path("between"),
            address(folder, "controller"),
            heard.clone(),
        );
        let agents = Self {
            bus,
            config,
            between: heard,
            fakes: Fakes::start(plan, passing),
        };
        agents.wait_settled();
        agents.wait("it is on the bus", || {
            agents.call(BLUECHI, "ListUnits").is_ok()
        });
        (agents, controller)
    }

    /// Waits until something is so, unless there is something that they do not know.
    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        wait_until(what, || {
            self.assert_understood();
            is_so()
        });
    }

    /// Waits until both are online, and what each needs is held.
    fn wait_settled(&self) {
        self.wait("both are online", || self.fakes.online() == 2);
        self.wait("claims and holds are equal", || {
            self.fakes.counts.ledger().differences().is_empty()
        });
    }

    /// A client calls the first node, as busctl(1) takes a call.
    #[track_caller]
    fn call(&self, interface: &str, call: &str) -> Result<String, String> {
        let object = ["call", "org.unitlink", NODE, interface];
        let words: Vec<_> = object.into_iter().chain(call.split(' ')).collect();
        let answer = self.bus.busctl(&words);
        self.assert_understood();
        answer
    }

    fn jobs(&self) -> u64 {
        self.fakes.counts.jobs.load(Ordering::Relaxed)
    }

    #[track_caller]
    fn assert_understood(&self) {
        assert_eq!(self.between.unknown(), Vec::<String>::new());
    }
}

fn address(folder: &Folder, name: &str) -> host::address::Address {
    let path = format!("unix:path={}", folder.path(name).display());
    path.parse().expect("an address")
}

#[test]
fn an_agent_of_the_version_before_is_told_nothing_that_it_does_not_know() {
    let folder = Folder::new("before");
    let (agents, _controller) = Agents::start(&folder);
    for passed in ["UnitStatus as 1 app1.service", "ListClaims", "ListHolds"] {
        agents.call(OWN, passed).expect("an answer");
    }
    assert!(agents.between.count(Side::Controller, "StartTimeouts") > 0);

    // A request with a name is an ordinary job where it is new, and cannot be repeated.
    let request = format!("Enqueue sssst start u.service replace {}", "0f".repeat(16));
    let begun = agents.call(OWN, &format!("{request} 0")).expect("a job");
    assert!(begun.contains("/job/"), "{begun}");
    agents.wait("it is begun", || agents.jobs() == 1);
    let refused = agents.call(OWN, &format!("{request} 1500000"));
    let refused = refused.expect_err("a repetition");
    assert!(refused.contains("does not know requests"), "{refused}");
    agents.wait("its end is told", || {
        agents.between.count(Side::Agent, "JobDone") > 0
    });
    assert_eq!(agents.jobs(), 1);
}

#[test]
fn an_agent_of_the_version_before_comes_back_to_the_next_controller_with_all_that_it_had() {
    let folder = Folder::new("before");
    let (agents, mut controller) = Agents::start(&folder);
    let job = agents.call(BLUECHI, "RestartUnit ss u.service replace");
    let job = job.expect("a job");
    let (_, path) = job.split_once(' ').expect("a path");
    agents.wait("it is begun", || agents.jobs() == 1);
    let held = agents.fakes.counts.ledger().clone();
    controller.signal(Signal::KILL);
    controller.end();

    let _next = controller_on_bus(&folder, &agents.config, &agents.bus.address);
    agents.wait("its jobs are told to the next one", || {
        agents.between.count(Side::Agent, "Jobs") > 0
    });
    agents.wait_settled();
    agents.wait("the job of before has ended well", || {
        let known = agents.call(OWN, "FindJobs s u.service").unwrap_or_default();
        known.contains(path) && known.contains("\"done\"")
    });
    assert_eq!(agents.jobs(), 1, "it is not carried out twice");
    let now = agents.fakes.counts.ledger().clone();
    assert_eq!((now.begun, now.released), (held.begun, held.released));
}
