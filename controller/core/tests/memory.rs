//! What a claim costs in memory. It is the only test of its process, so that what the process has more
//! after it is of the claims.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::{fs, time::Duration};

use fleet::{
    DependsOn, Fleet, Heartbeat, Input, NodeSettings, Origin, Output, PeerId, RESUME_WINDOW,
    Settings, Transport,
};
use proto::{
    message::{
        Claim, ClaimKey, Hello, HoldKey, PROTOCOL, Stream, ToAgent, ToController, TokenState,
    },
    model::{ClaimState, JobId, Token},
    sync::{Delta, Generation},
    time::Moment,
};

const CLAIMS: usize = 8000;

/// Both sides of a claim together: what its source tells and is told, what its target is told and tells,
/// and what was decided. Ten thousand nodes with ten claims each are then 200 MB.
const BYTES_MAX: usize = 2000;

/// The size of a page where this is tested; with a larger one there would be less to allow.
const PAGE: usize = 4096;

/// What the process has in memory, from proc_pid_statm(5).
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages = text.split(' ').nth(1).expect("the second number");
    pages.parse::<usize>().expect("a number") * PAGE
}

struct World {
    fleet: Fleet,
    states: u64,
}

const A: PeerId = PeerId(1);
const B: PeerId = PeerId(2);

impl World {
    fn give(&mut self, peer: PeerId, message: ToController) {
        let now = Moment::default();
        self.fleet.handle(now, Input::Message { peer, message });
        while let Some(output) = self.fleet.poll_output() {
            if let Output::Send { peer, message } = output {
                self.answer(peer, message);
            }
        }
    }

    /// Every message about a set is acknowledged, and every hold is up.
    fn answer(&mut self, peer: PeerId, message: ToAgent) {
        if let ToAgent::ClaimStates(delta) = message {
            let stream = Stream::ClaimStates;
            self.give(peer, ToController::Acknowledged(stream, delta.generation));
        } else if let ToAgent::Holds(delta) = message {
            let stream = Stream::Holds;
            self.give(peer, ToController::Acknowledged(stream, delta.generation));
            let up = delta.put.into_iter().map(|(key, hold)| {
                let (token, state) = (hold.token, ClaimState::Up);
                (key, TokenState { token, state })
            });
            let up: Vec<(HoldKey, TokenState)> = up.collect();
            if !up.is_empty() {
                self.states += 1;
                self.give(peer, ToController::HoldStates(set(self.states, up)));
            }
        }
    }
}

fn set<K, V>(generation: u64, put: Vec<(K, V)>) -> Delta<K, V> {
    Delta {
        generation: Generation(generation),
        full: generation == 1,
        put,
        drop: Vec::new(),
    }
}

fn world() -> World {
    let nodes = ["worker1", "worker2"].map(|name| {
        let depends_on = DependsOn::Any;
        let settings = NodeSettings {
            depends_on,
            ..NodeSettings::default()
        };
        (name.parse().expect("name"), settings)
    });
    let settings = Settings {
        resume_window: RESUME_WINDOW,
        nodes: nodes.into(),
        heartbeat: Heartbeat::default(),
        call_timeout: Duration::from_secs(30),
        job_timeout: None,
        version: "1".to_owned(),
    };
    let mut fleet = Fleet::new(settings, Moment::default(), JobId(1));
    for (peer, node) in [(A, "worker1"), (B, "worker2")] {
        let hello = Hello {
            node: node.parse().expect("name"),
            protocol: PROTOCOL,
            version: "1".to_owned(),
            boot_id: "boot".to_owned(),
            incarnation: 1,
        };
        let origin = Origin {
            address: "here".to_owned(),
            transport: Transport::Unix,
            encrypted: false,
        };
        let input = Input::Hello {
            peer,
            hello,
            origin,
        };
        fleet.handle(Moment::default(), input);
    }
    World { fleet, states: 1 }
}

#[test]
fn a_claim_costs_a_small_number_of_bytes() {
    let mut world = world();
    world.give(B, ToController::HoldStates(set(1, Vec::new())));
    world.give(A, ToController::Claims(set(1, Vec::new())));
    let before = resident();
    for number in 0..CLAIMS {
        let key = ClaimKey {
            node: "worker2".parse().expect("name"),
            unit: format!("camera-front-left@{number}.service")
                .parse()
                .expect("unit"),
        };
        let token = Token((number as u128).to_le_bytes());
        let claim = Claim { token, up: false };
        let generation = 2 + number as u64;
        world.give(A, ToController::Claims(set(generation, vec![(key, claim)])));
    }
    let up = world.fleet.claims();
    let up = up.filter(|claim| *claim.state == ClaimState::Up).count();
    assert_eq!(up, CLAIMS);
    let each = resident().saturating_sub(before) / CLAIMS;
    println!("{each} bytes for each of {CLAIMS} claims");
    assert!(each <= BYTES_MAX, "a claim costs {each} bytes");
}
