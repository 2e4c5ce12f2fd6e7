//! One agent of BlueChi's, by what is done about it: each line is an act.

use std::time::Duration;

use fleet::{Occasion, UnitNews};
use proto::{
    message::{Attempt, ClaimKey, Hold, HoldKey, Stream, ToAgent, ToController, TokenState},
    model::{Cause, ClaimState, Reason, Token},
    sync::{Delta, Generation},
    time::Moment,
};
use test_case::test_case;

use super::*;

struct World {
    bluechi: Bluechi,
    now: Moment,
    connections: u64,
    /// Generations that were told by the core.
    holds: u64,
    states: u64,
    lines: Vec<String>,
}

const GRACE: Duration = Duration::from_secs(15);
const START_TIMEOUT: Duration = Duration::from_secs(90);
const T: &str = "t.service";

impl World {
    fn new() -> Self {
        let mut world = Self {
            bluechi: Bluechi::new("old".parse().expect("name")),
            now: Moment::default(),
            connections: 0,
            holds: 0,
            states: 0,
            lines: Vec::new(),
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        self.connections += 1;
        let terms = Terms {
            unique: self.connections,
            start_timeout: START_TIMEOUT,
            grace: GRACE,
        };
        (self.holds, self.states) = (0, 0);
        self.bluechi.connected(self.now, terms);
        self.settle();
    }

    /// One that has announced what it had, which is nothing.
    fn ready() -> Self {
        let mut world = Self::new();
        world.bluechi.answered(&Answered::There);
        world.take();
        world
    }

    /// One with a proxy at `/p/1`, and its token.
    fn with_proxy() -> (Self, Token) {
        let mut world = Self::ready();
        world.bluechi.proxy_new(world.now, "n", T, "/p/1");
        let token = world.token();
        world.take();
        (world, token)
    }

    /// One that holds the unit for `n`.
    fn holding() -> Self {
        let mut world = Self::ready();
        world.hold("n", 1, Attempt::Start);
        world.take();
        world
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.bluechi.tick(self.now);
    }

    fn token(&mut self) -> Token {
        self.settle();
        let line = self.lines.iter().rev().find_map(|line| {
            let (_, token) = line.strip_prefix("claims +n/t.service ")?.split_once('#')?;
            token.parse().ok()
        });
        line.expect("a claim")
    }

    fn state(&mut self, token: Token, state: ClaimState) {
        self.states += 1;
        let key = ClaimKey {
            node: "n".parse().expect("name"),
            unit: T.parse().expect("name"),
        };
        self.told(&ToAgent::ClaimStates(Delta {
            generation: Generation(self.states),
            full: self.states == 1,
            put: vec![(key, TokenState { token, state })],
            drop: vec![],
        }));
    }

    fn hold_of(&mut self, unit: &str, source: &str, token: u8, attempt: Attempt) {
        let hold = Hold {
            token: Token([token; 16]),
            attempt,
        };
        self.holds_are(vec![(key(unit, source), hold)], vec![]);
    }

    fn hold(&mut self, source: &str, token: u8, attempt: Attempt) {
        self.hold_of(T, source, token, attempt);
    }

    fn release(&mut self, source: &str) {
        self.holds_are(vec![], vec![key(T, source)]);
    }

    fn holds_are(&mut self, put: Vec<(HoldKey, Hold)>, drop: Vec<HoldKey>) {
        self.holds += 1;
        let (generation, full) = (Generation(self.holds), self.holds == 1);
        self.told(&ToAgent::Holds(Delta {
            generation,
            full,
            put,
            drop,
        }));
    }

    fn told(&mut self, message: &ToAgent) {
        self.bluechi.told(message).expect("in step");
    }

    fn unit_is(&mut self, active: &str, occasion: Occasion) {
        let news = UnitNews::State {
            active: active.to_owned(),
            sub: String::new(),
            occasion,
        };
        self.bluechi.unit(&T.parse().expect("name"), &news);
    }

    /// Acts as lines; what is said of sets is acknowledged.
    fn settle(&mut self) {
        while let Some(act) = self.bluechi.next_act() {
            let line = match act {
                Act::Dep { unit, start } => {
                    format!("{} {unit}", if start { "start" } else { "stop" })
                }
                Act::Watch { unit, on } => format!("watch {unit} {on}"),
                Act::Proxy { path, tell } => match tell {
                    Told::Error(text) => format!("{path} error: {text}"),
                    Told::State(active, _, reason) => format!("{path} {active} {reason}"),
                },
                Act::Ask(Question::Watched(unit)) => format!("watch {unit} true"),
                Act::Ask(Question::There | Question::Units) => continue,
                Act::Say(ToController::Claims(delta)) => {
                    let ack = ToAgent::Acknowledged(Stream::Claims, delta.generation);
                    self.told(&ack);
                    set(
                        "claims",
                        delta.full,
                        &delta.drop.len(),
                        delta.put,
                        |(key, claim)| {
                            let up = if claim.up { "up" } else { "new" };
                            format!("{}/{} {up}#{}", key.node, key.unit, claim.token)
                        },
                    )
                }
                Act::Say(ToController::HoldStates(delta)) => {
                    let ack = ToAgent::Acknowledged(Stream::HoldStates, delta.generation);
                    self.told(&ack);
                    set(
                        "states",
                        delta.full,
                        &delta.drop.len(),
                        delta.put,
                        |(key, told)| {
                            format!("{} {} {}", key.source, told.token.0[0], shown(&told.state))
                        },
                    )
                }
                Act::Say(ToController::Acknowledged(..)) => continue,
                Act::Say(other) => panic!("{other:?}"),
            };
            self.lines.push(line);
        }
    }

    /// What was done since this was asked last.
    fn take(&mut self) -> Vec<String> {
        self.settle();
        let lines = std::mem::take(&mut self.lines);
        let cut = |line: String| line.split('#').next().unwrap_or_default().to_owned();
        lines.into_iter().map(cut).collect()
    }
}

fn set<E>(
    name: &str,
    full: bool,
    dropped: &usize,
    put: Vec<E>,
    entry: impl Fn(E) -> String,
) -> String {
    let mut line = name.to_owned();
    if full {
        line.push_str(" all");
    }
    for put in put {
        line.push_str(&format!(" +{}", entry(put)));
    }
    if *dropped > 0 {
        line.push_str(&format!(" -{dropped}"));
    }
    line
}

fn shown(state: &ClaimState) -> String {
    match state.reason() {
        Some(reason) => format!("{}({})", state.as_str(), reason.cause),
        None => state.as_str().to_owned(),
    }
}

fn key(unit: &str, source: &str) -> HoldKey {
    HoldKey {
        unit: unit.parse().expect("name"),
        source: source.parse().expect("name"),
    }
}

fn reason(cause: Cause) -> Reason {
    Reason::new(cause, "why")
}

#[test]
fn what_is_needed_is_told_when_all_proxies_were_announced() {
    let mut world = World::new();
    assert_eq!(world.take(), ["states all"]);
    world.bluechi.proxy_new(world.now, "n", T, "/p/1");
    assert!(world.take().is_empty(), "there may be more");
    world.bluechi.answered(&Answered::There);
    assert_eq!(world.take(), ["claims all +n/t.service new"]);
    world.bluechi.proxy_removed("n", T);
    assert_eq!(world.take(), ["claims -1"]);
}

#[test]
fn an_agent_that_does_not_answer_is_believed_with_its_first_heartbeat() {
    let mut world = World::new();
    world.bluechi.proxy_new(world.now, "n", T, "/p/1");
    world.take();
    world.bluechi.heartbeat();
    assert_eq!(world.take(), ["claims all +n/t.service new"]);
}

#[test]
fn an_agent_of_which_nothing_is_heard_has_not_said_that_it_needs_nothing() {
    let mut world = World::with_proxy().0;
    world.bluechi.disconnected();
    world.connect();
    world.take();
    world.pass(5);
    assert!(world.take().is_empty(), "its link may be cut");
}

#[test]
fn a_proxy_is_told_when_its_unit_is_up_and_when_it_is_not_any_more() {
    let (mut world, token) = World::with_proxy();
    world.state(token, ClaimState::Starting);
    assert!(world.take().is_empty());
    world.state(token, ClaimState::Up);
    assert_eq!(world.take(), ["/p/1 active real", "claims +n/t.service up"]);
    world.state(token, ClaimState::Lost(reason(Cause::NodeLost)));
    assert!(world.take().is_empty(), "what is lost may come back");
    world.state(token, ClaimState::Down(reason(Cause::UnitStopped)));
    assert_eq!(world.take(), ["/p/1 inactive real", "claims -1"]);
}

#[test_case(ClaimState::Down(reason(Cause::UnitFailed)); "failed")]
#[test_case(ClaimState::Refused(reason(Cause::NotAllowed)); "refused")]
fn a_start_that_fails_is_told_as_an_error_with_its_reason(state: ClaimState) {
    let (mut world, token) = World::with_proxy();
    world.state(token, state);
    assert_eq!(world.take(), ["/p/1 error: why", "claims -1"]);
    world.bluechi.proxy_removed("n", T);
    assert!(world.take().is_empty());
}

#[test]
fn no_start_waits_for_ever() {
    let (mut world, token) = World::with_proxy();
    world.state(token, ClaimState::Waiting(reason(Cause::NodeOffline)));
    world.pass(89);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(
        world.take(),
        [
            "/p/1 error: gave up after the start timeout: why",
            "claims -1"
        ]
    );
}

#[test]
fn a_proxy_with_a_name_that_is_none_is_told_so() {
    let mut world = World::ready();
    world.bluechi.proxy_new(world.now, "../x", T, "/p/1");
    let lines = world.take();
    assert!(lines[0].starts_with("/p/1 error: "), "{lines:?}");
    assert_eq!(lines.len(), 1);
}

#[test]
fn an_attempt_outlives_the_connection_and_what_is_not_announced_again_does_not() {
    let (mut world, token) = World::with_proxy();
    world.bluechi.proxy_new(world.now, "n", "u.service", "/p/2");
    world.state(token, ClaimState::Up);
    world.take();
    world.bluechi.disconnected();
    world.connect();
    world.bluechi.proxy_new(world.now, "n", T, "/p/1");
    world.bluechi.answered(&Answered::There);
    world.settle();
    assert!(
        world
            .lines
            .contains(&format!("claims all +n/t.service up#{token}"))
    );
    assert_eq!(
        world.take(),
        [
            "states all",
            "/p/1 active virtual",
            "claims all +n/t.service up"
        ]
    );
}

#[test]
fn another_proxy_is_another_attempt() {
    let (mut world, first) = World::with_proxy();
    world.bluechi.proxy_new(world.now, "n", T, "/p/2");
    assert_ne!(world.token(), first);
    world.take();
    world.state(first, ClaimState::Up);
    assert!(world.take().is_empty(), "that was about the one before");
}

#[test]
fn a_hold_starts_the_unit_and_its_state_is_how_it_stands() {
    let mut world = World::ready();
    world.hold("n", 1, Attempt::Start);
    assert_eq!(
        world.take(),
        [
            "watch t.service true",
            "start t.service",
            "states +n 1 starting"
        ]
    );
    world.unit_is("activating", Occasion::Real);
    assert!(world.take().is_empty());
    world.unit_is("active", Occasion::Real);
    assert_eq!(world.take(), ["states +n 1 up"]);
    world.hold("m", 2, Attempt::Start);
    assert_eq!(world.take(), ["states +m 2 up"], "it is up already");
    world.release("n");
    assert_eq!(world.take(), ["states -1"]);
    world.release("m");
    assert_eq!(
        world.take(),
        ["stop t.service", "watch t.service false", "states -1"]
    );
}

#[test_case(&["real failed"], "down(unit-failed)"; "it fails")]
#[test_case(&["virtual failed"], "starting"; "it had failed before")]
#[test_case(&["virtual inactive"], "starting"; "it was not running before")]
#[test_case(&["virtual active"], "up"; "it was running before")]
#[test_case(&["real activating", "real inactive"], "down(unit-failed)"; "it ends at once")]
#[test_case(&["virtual deactivating", "real inactive"], "starting"; "it was stopping before")]
#[test_case(&["virtual deactivating", "real inactive", "real activating", "real failed"], "down(unit-failed)"; "it was stopping and fails")]
#[test_case(&["removed"], "down(unit-not-found)"; "it cannot be loaded")]
#[test_case(&["real active", "real failed"], "down(unit-failed)"; "it fails later")]
#[test_case(&["real active", "real inactive"], "down(unit-stopped)"; "it is stopped later")]
#[test_case(&["real active", "real deactivating"], "up"; "it is not down while it stops")]
#[test_case(&["real active", "real inactive", "real active"], "down(unit-stopped)"; "an attempt ends once")]
fn a_hold_stands_as_its_unit_does(events: &[&str], expected: &str) {
    let mut world = World::holding();
    for event in events {
        match event.split_once(' ') {
            Some(("real", active)) => world.unit_is(active, Occasion::Real),
            Some((_, active)) => world.unit_is(active, Occasion::Virtual),
            None => {
                let news = UnitNews::Removed(Occasion::Real);
                world.bluechi.unit(&T.parse().expect("name"), &news);
            }
        }
    }
    let lines = world.take();
    let last = lines.last().map_or("states +n 1 starting", String::as_str);
    assert_eq!(last, format!("states +n 1 {expected}"));
}

#[test]
fn a_new_attempt_starts_again_what_has_failed() {
    let mut world = World::holding();
    world.unit_is("failed", Occasion::Real);
    world.take();
    world.hold("m", 2, Attempt::Start);
    assert_eq!(world.take(), ["start t.service", "states +m 2 starting"]);
    world.unit_is("active", Occasion::Real);
    assert_eq!(
        world.take(),
        ["states +m 2 up"],
        "the first stays at its end"
    );
}

#[test_case("active", &["start t.service"]; "still up")]
#[test_case("inactive", &["states +n 1 down(unit-stopped)"]; "stopped meanwhile")]
fn what_should_be_up_is_looked_at_and_not_started_behind_its_source(now: &str, acts: &[&str]) {
    let mut world = World::ready();
    world.hold("n", 1, Attempt::Keep);
    assert_eq!(world.take(), ["watch t.service true", "states +n 1 up"]);
    world.unit_is(now, Occasion::Virtual);
    assert_eq!(world.take(), acts);
}

#[test]
fn what_should_be_up_and_is_not_even_loaded_is_down() {
    let mut world = World::ready();
    world.hold("n", 1, Attempt::Keep);
    world.take();
    world
        .bluechi
        .answered(&Answered::Watched(T.parse().expect("name")));
    assert_eq!(world.take(), ["states +n 1 down(unit-stopped)"]);
}

#[test]
fn a_hold_outlives_the_connection() {
    let mut world = World::holding();
    world.unit_is("active", Occasion::Real);
    world.take();
    world.bluechi.disconnected();
    world.connect();
    assert_eq!(world.take(), ["watch t.service true", "states all +n 1 up"]);
    world.unit_is("active", Occasion::Virtual);
    world.hold("n", 1, Attempt::Keep);
    assert_eq!(world.take(), ["start t.service"]);
}

#[test]
fn a_unit_that_cannot_be_held_is_refused() {
    let mut world = World::ready();
    world.hold_of("t.target", "n", 1, Attempt::Start);
    assert_eq!(world.take(), ["states +n 1 refused(manager)"]);
}

#[test]
fn what_is_held_for_nobody_is_let_go_when_all_had_their_turn() {
    let mut world = World::ready();
    let active = [
        "bluechi-dep@t.service",
        "bluechi-dep@u.service",
        "v.service",
    ];
    let active = active.map(str::to_owned).to_vec();
    world.bluechi.answered(&Answered::Units(active));
    world.hold("n", 1, Attempt::Keep);
    world.take();
    world.pass(14);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["stop u.service"]);
}
