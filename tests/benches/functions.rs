//! What single functions cost, and how that grows with the fleet: a table's second row beside its first is
//! what counts. `make bench-functions`.

use std::time::Duration;

use divan::{Bencher, black_box};
use fleet::{
    ClientId, DependsOn, Fleet, Heartbeat, Input, NodeSettings, Origin, PeerId, Request, RequestId,
    Settings, Transport,
};
use proto::{
    message::{Claim, ClaimKey, Hello, ToController},
    model::{JobId, JobKind, JobMode, JobResult, JobState, Token},
    name::{NodeName, ProxyName, UnitName},
    sync::{Delta, Generation},
    time::Moment,
};

/// Nodes of a fleet that is small, large, and larger than any.
const FLEETS: [usize; 3] = [10, 1000, 10_000];

/// Units of other nodes that one node needs.
const CLAIMS: usize = 100;

fn main() {
    divan::main();
}

#[expect(clippy::expect_used, reason = "a benchmark with a wrong name is wrong")]
fn node(number: usize) -> NodeName {
    format!("n{number}").parse().expect("a name")
}

#[expect(clippy::expect_used, reason = "a benchmark with a wrong name is wrong")]
fn unit(number: usize) -> UnitName {
    format!("app{number}.service").parse().expect("a name")
}

/// A controller all of whose nodes are online, and what a moment is for it.
struct World {
    fleet: Fleet,
    now: Moment,
    next: u32,
}

impl World {
    fn new(nodes: usize) -> Self {
        let allowed = || NodeSettings {
            depends_on: DependsOn::Any,
            ..NodeSettings::default()
        };
        let settings = Settings {
            nodes: (0..nodes).map(|number| (node(number), allowed())).collect(),
            heartbeat: Heartbeat::default(),
            resume_window: Duration::ZERO,
            call_timeout: Duration::from_secs(30),
            job_timeout: None,
            version: String::new(),
        };
        let now = Moment::at(Duration::from_secs(100));
        let fleet = Fleet::new(settings, now, JobId(1));
        let mut world = Self {
            fleet,
            now,
            next: 0,
        };
        for number in 0..nodes {
            let origin = Origin {
                address: String::new(),
                transport: Transport::Tcp,
                encrypted: false,
            };
            let hello = Hello {
                node: node(number),
                protocol: proto::message::PROTOCOL,
                version: String::new(),
                boot_id: "boot".to_owned(),
                incarnation: 1,
            };
            let peer = peer(number);
            world.give(Input::Hello {
                peer,
                hello,
                origin,
            });
            world.say(number, ToController::HoldStates(whole(Vec::new())));
            world.say(number, ToController::Claims(whole(Vec::new())));
        }
        world
    }

    /// How many things are to be done for it.
    fn give(&mut self, input: Input) -> usize {
        self.fleet.handle(self.now, input);
        std::iter::from_fn(|| self.fleet.poll_output()).count()
    }

    fn say(&mut self, node: usize, message: ToController) -> usize {
        self.give(Input::Message {
            peer: peer(node),
            message,
        })
    }

    /// A job from its request to its end.
    fn job(&mut self, of: usize) -> usize {
        self.next += 1;
        let job = JobId(self.next);
        let request = Request::Job {
            node: node(of),
            kind: JobKind::Start,
            unit: unit(0),
            mode: JobMode::Replace,
            named: None,
        };
        let asked = self.give(Input::Request {
            id: RequestId(u64::from(self.next)),
            client: ClientId(1),
            request,
        });
        let answered = self.give(Input::JobAnswered {
            peer: peer(of),
            job,
            result: Ok(()),
        });
        let state = JobState::Running;
        let running = self.say(of, ToController::JobState { job, state });
        let (result, reason) = (JobResult::Done, None);
        let ended = self.say(
            of,
            ToController::JobDone {
                job,
                result,
                reason,
            },
        );
        asked + answered + running + ended
    }
}

fn peer(node: usize) -> PeerId {
    PeerId(u64::try_from(node).unwrap_or(u64::MAX))
}

fn whole<K, V>(put: Vec<(K, V)>) -> Delta<K, V> {
    Delta {
        generation: Generation(1),
        full: true,
        put,
        drop: Vec::new(),
    }
}

#[divan::bench]
fn name_of_a_proxy(bencher: Bencher<'_, '_>) {
    let (node, unit) = (node(1), unit(1));
    bencher.bench(|| ProxyName::of(black_box(&node), black_box(&unit)));
}

#[divan::bench]
fn proxy_from_its_name() -> bool {
    ProxyName::parse(black_box("proxy@worker2_target.service")).is_ok()
}

#[divan::bench(args = FLEETS)]
fn heartbeat(bencher: Bencher<'_, '_>, nodes: usize) {
    let mut world = World::new(nodes);
    bencher.bench_local(|| world.say(nodes / 2, ToController::Heartbeat));
}

#[divan::bench(args = FLEETS)]
fn job(bencher: Bencher<'_, '_>, nodes: usize) {
    let mut world = World::new(nodes);
    bencher.bench_local(|| world.job(nodes / 2));
}

/// A node says what it needs, from as many nodes as there are, and each of them is told to hold it.
#[divan::bench(args = FLEETS)]
fn a_hundred_claims(bencher: Bencher<'_, '_>, nodes: usize) {
    let claim = |number: usize| {
        let key = ClaimKey {
            node: node(1 + number % (nodes - 1)),
            unit: unit(number),
        };
        let claim = Claim {
            token: Token([1; 16]),
            up: false,
        };
        (key, claim)
    };
    let mut world = World::new(nodes);
    let mut generation = 1;
    bencher.bench_local(|| {
        let mut told = 0;
        for up in [true, false] {
            generation += 1;
            let put = if up {
                (0..CLAIMS).map(claim).collect()
            } else {
                Vec::new()
            };
            let drop = if up {
                Vec::new()
            } else {
                (0..CLAIMS).map(|number| claim(number).0).collect()
            };
            let delta = Delta {
                generation: Generation(generation),
                full: false,
                put,
                drop,
            };
            told += world.say(0, ToController::Claims(delta));
        }
        told
    });
}
