//! Named scenarios: what one fault alone does, in the order of `docs/reference/faults.md`.

mod around;
mod circle;
mod job;
mod kinds;
mod stage;
mod upheld;

use std::time::Duration;

use fleet::OnLoss;
use test_case::test_case;

use crate::{
    systemd::{Start, State, Verb},
    world::{Action, Net},
};
use stage::{Stage, ms, secs};

const SILENT: Net = Net::Silent {
    to_agent: true,
    to_controller: true,
};

/// `source.service` on `a` is bound to `target.service` on `b`, and both run.
fn pair() -> Stage {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.both_run();
    stage
}

#[test]
fn the_target_is_started_first_and_stops_with_its_source() {
    let mut stage = pair();
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(1));
    stage.is("b", "target.service", State::Inactive);
    stage.is("b", "dep@target.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn a_target_that_stops_stops_its_source() {
    let mut stage = pair();
    stage.systemctl(Verb::Stop, "b", "target.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn a_target_that_dies_stops_its_source() {
    let mut stage = pair();
    let action = Action::KillUnit(stage.at("b"), stage::unit("target.service"));
    stage.act(action);
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn two_sources_share_a_target_and_it_stops_with_the_last() {
    let mut stage = Stage::new(&["a", "b", "d"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .bound("d", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.systemctl(Verb::Start, "d", "source.service");
    stage.run(secs(1));
    let target = stage.run_of("b", "target.service");
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(1));
    assert_eq!(stage.run_of("b", "target.service"), target);
    stage.systemctl(Verb::Stop, "d", "source.service");
    stage.run(secs(1));
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

/// What does no harm: nothing is stopped or started, and what depends on each other still does.
#[test_case(|s| Action::KillController(s.ms(100)), 30; "controller restarts")]
#[test_case(|s| Action::KillController(s.ms(60_000)), 90; "controller is away for a minute")]
#[test_case(|s| Action::FreezeController(s.ms(3_000)), 30; "controller is frozen for three seconds")]
#[test_case(|s| Action::FreezeController(s.ms(60_000)), 90; "controller is frozen for a minute")]
#[test_case(|s| Action::KillAgent(s.at("a"), s.ms(50)), 30; "agent of the source restarts")]
#[test_case(|s| Action::KillAgent(s.at("a"), s.ms(9_000)), 30; "agent of the source is away within the grace")]
#[test_case(|s| Action::StopAgent(s.at("a"), s.ms(9_000)), 30; "agent of the source is stopped within the grace")]
#[test_case(|s| Action::FreezeAgent(s.at("a"), s.ms(9_000)), 40; "agent of the source is frozen within the grace")]
#[test_case(|s| Action::KillAgent(s.at("b"), s.ms(50)), 30; "agent of the target restarts")]
#[test_case(|s| Action::KillAgent(s.at("b"), s.ms(5_000)), 30; "agent of the target is away within the grace")]
#[test_case(|s| Action::StopAgent(s.at("b"), s.ms(5_000)), 30; "agent of the target is stopped within the grace")]
#[test_case(|s| Action::Reset(s.at("a")), 30; "link of the source is reset")]
#[test_case(|s| Action::Reset(s.at("b")), 30; "link of the target is reset")]
#[test_case(|s| Action::Reexec(s.at("a")), 30; "systemd of the source executes itself")]
#[test_case(|s| Action::Reexec(s.at("b")), 30; "systemd of the target executes itself")]
#[test_case(|s| Action::Reload(s.at("a")), 30; "systemd of the source reads its units again")]
#[test_case(|s| Action::Reload(s.at("b")), 30; "systemd of the target reads its units again")]
#[test_case(|s| Action::Suspend(s.at("a"), s.ms(9_000)), 40; "machine of the source sleeps within the grace")]
#[test_case(|s| Action::Suspend(s.at("b"), s.ms(9_000)), 40; "machine of the target sleeps within the grace")]
#[test_case(|s| Action::CutAmid(s.at("a"), 2), 30; "link of the source breaks in the middle")]
#[test_case(|s| Action::CutAmid(s.at("b"), 2), 30; "link of the target breaks in the middle")]
#[test_case(|_| Action::KillControllerAmid(1), 30; "controller dies in the middle")]
fn nothing_changes_when(fault: fn(&Stage) -> Action, seconds: u64) {
    let mut stage = pair();
    let before = stage.runs();
    let action = fault(&stage);
    stage.act(action);
    stage.run(secs(seconds));
    assert_eq!(stage.runs(), before);
    stage.is_quiet();
    stage.systemctl(Verb::Stop, "b", "target.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.both_run();
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(1));
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

/// After an outage the agent may take another five seconds until it tries again, which count as well.
#[test_case("a", Net::Cut, 9; "link of the source is cut")]
#[test_case("a", SILENT, 9; "link of the source is silent")]
#[test_case("a", Net::Silent { to_agent: true, to_controller: false }, 9; "source hears nothing")]
#[test_case("a", Net::Silent { to_agent: false, to_controller: true }, 9; "source is not heard")]
#[test_case("b", Net::Cut, 4; "link of the target is cut")]
#[test_case("b", SILENT, 9; "link of the target is silent")]
fn nothing_changes_within_the_graces_when(node: &str, net: Net, seconds: u64) {
    let mut stage = pair();
    let before = stage.runs();
    stage.net(node, net);
    stage.run(secs(seconds));
    stage.net(node, Net::Open);
    stage.run(secs(20));
    assert_eq!(stage.runs(), before);
    stage.is_quiet();
}

#[test_case(Net::Cut, OnLoss::Stop; "cut, stop")]
#[test_case(SILENT, OnLoss::Stop; "silent, stop")]
#[test_case(Net::Cut, OnLoss::Keep; "cut, keep")]
#[test_case(SILENT, OnLoss::Keep; "silent, keep")]
fn a_source_out_of_sight_for_longer_than_its_grace_loses_its_target(net: Net, on_loss: OnLoss) {
    let mut stage = pair().on_loss(on_loss);
    stage.net("a", net);
    stage.run(secs(6 + 15 + 2));
    stage.is("b", "target.service", State::Inactive);
    stage.is("a", "source.service", State::Active);
    stage.net("a", Net::Open);
    stage.run(secs(15));
    match on_loss {
        OnLoss::Stop => stage.is("a", "source.service", State::Inactive),
        OnLoss::Keep => stage.both_run(),
    }
    stage.is_quiet();
}

#[test]
fn a_target_node_that_dies_stops_the_source_after_the_graces() {
    let mut stage = pair();
    let action = Action::Crash(stage.at("b"), secs(60));
    stage.act(action);
    stage.run(secs(6));
    stage.is("a", "source.service", State::Active);
    stage.run(secs(10 + 1));
    stage.is("a", "source.service", State::Inactive);
    stage.run(secs(60));
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn a_target_node_that_dies_is_kept_and_started_again_where_that_is_the_policy() {
    let mut stage = pair().on_loss(OnLoss::Keep);
    let action = Action::Crash(stage.at("b"), secs(60));
    stage.act(action);
    stage.run(secs(50));
    stage.is("a", "source.service", State::Active);
    stage.run(secs(30));
    stage.both_run();
    stage.is_quiet();
}

#[test]
fn a_source_node_that_dies_and_comes_back_without_its_needs_releases_the_target() {
    let mut stage = pair();
    let action = Action::Crash(stage.at("a"), secs(5));
    stage.act(action);
    stage.run(secs(4));
    stage.is("b", "target.service", State::Active);
    stage.run(secs(15));
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn a_source_that_stops_while_there_is_no_controller_releases_its_target_afterwards() {
    let mut stage = pair();
    stage.act(Action::KillController(secs(10)));
    stage.run(secs(1));
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(5));
    stage.is("b", "target.service", State::Active);
    stage.run(secs(15));
    stage.is("b", "target.service", State::Inactive);
    stage.is("b", "dep@target.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn a_source_that_died_while_there_was_no_controller_is_given_up_after_its_grace() {
    let mut stage = pair();
    stage.act(Action::KillController(secs(10)));
    let action = Action::Crash(stage.at("a"), secs(600));
    stage.act(action);
    stage.run(secs(10 + 12));
    stage.is("b", "target.service", State::Active);
    stage.run(secs(10));
    stage.is("b", "target.service", State::Inactive);
}

#[test_case("a"; "target is heard first")]
#[test_case("b"; "source is heard first")]
fn a_restarted_controller_changes_nothing_whoever_is_heard_first(late: &str) {
    let mut stage = pair();
    let before = stage.runs();
    stage.net(late, SILENT);
    stage.act(Action::KillController(ms(100)));
    stage.run(secs(5));
    stage.net(late, Net::Open);
    stage.run(secs(25));
    assert_eq!(stage.runs(), before);
    stage.is_quiet();
}

#[test]
fn an_agent_killed_while_it_starts_a_target_goes_on_with_it() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .start_takes("b", "target.service", secs(3))
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.is("b", "target.service", State::Activating);
    let target = stage.run_of("b", "target.service");
    let action = Action::KillAgent(stage.at("b"), ms(500));
    stage.act(action);
    stage.run(secs(5));
    stage.both_run();
    assert_eq!(stage.run_of("b", "target.service"), target);
    stage.is_quiet();
}

#[test]
fn an_agent_that_was_not_told_its_holds_yet_releases_nothing() {
    let mut stage = pair();
    let action = Action::KillAgent(stage.at("b"), ms(50));
    stage.act(action);
    stage.run(ms(50));
    while !stage.is_registered("b") {
        stage.run(ms(1));
    }
    let unheard = Net::Silent {
        to_agent: true,
        to_controller: true,
    };
    stage.net("b", unheard);
    stage.systemctl(Verb::Restart, "b", "target.service");
    stage.run(secs(3));
    stage.is("b", "target.service", State::Active);
    stage.is("b", "dep@target.service", State::Active);
    stage.net("b", Net::Open);
    stage.run(secs(10));
    stage.both_run();
    stage.is_quiet();
}

#[test]
fn an_agent_killed_while_its_proxy_waits_goes_on_with_it() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .start_takes("b", "target.service", secs(3))
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    let action = Action::KillAgent(stage.at("a"), ms(500));
    stage.act(action);
    stage.run(secs(6));
    stage.both_run();
    stage.is_quiet();
}

#[test_case("bound"; "binds to")]
#[test_case("requires"; "requires")]
fn a_target_that_is_restarted_restarts_its_source(how: &str) {
    let stage = Stage::new(&["a", "b"]).target("b", "target.service");
    let mut stage = match how {
        "bound" => stage.bound("a", "source.service", "b", "target.service"),
        _ => stage.requires("a", "source.service", "b", "target.service"),
    }
    .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    let before = stage.run_of("a", "source.service");
    stage.systemctl(Verb::Restart, "b", "target.service");
    stage.run(secs(2));
    stage.both_run();
    assert_ne!(stage.run_of("a", "source.service"), before);
    stage.is_quiet();
}

#[test]
fn a_dependency_that_is_not_allowed_fails_at_once() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .deny("a")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.is("a", "proxy@b_target.service", State::Failed);
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

#[test_case(Start::Fails, 2; "fails")]
#[test_case(Start::Hangs, 32; "hangs")]
fn a_target_that_does_not_start_keeps_its_source_from_starting(start: Start, seconds: u64) {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .start("b", "target.service", start)
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(seconds));
    stage.is("a", "source.service", State::Inactive);
    stage.is("a", "proxy@b_target.service", State::Failed);
    stage.is_quiet();
}

#[test]
fn a_target_that_is_not_there_keeps_its_source_from_starting() {
    let mut stage = Stage::new(&["a", "b"])
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.is("a", "proxy@b_target.service", State::Failed);
    stage.is_quiet();
}

#[test]
fn a_start_waits_for_a_node_that_comes_back_in_time() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .begin();
    let action = Action::Crash(stage.at("b"), secs(40));
    stage.act(action);
    stage.run(secs(10));
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(20));
    stage.is("a", "proxy@b_target.service", State::Activating);
    stage.run(secs(20));
    stage.both_run();
    stage.is_quiet();
}

#[test]
fn a_start_that_waits_for_a_node_fails_after_the_start_timeout() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .begin();
    let action = Action::Crash(stage.at("b"), secs(200));
    stage.act(action);
    stage.run(secs(10));
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(89));
    stage.is("a", "proxy@b_target.service", State::Activating);
    stage.run(secs(2));
    stage.is("a", "proxy@b_target.service", State::Failed);
    stage.is("a", "source.service", State::Inactive);
    stage.run(secs(120));
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

#[test]
fn another_machine_with_the_same_name_is_refused_while_the_first_is_heard() {
    let mut stage = pair();
    let before = stage.runs();
    let twin = stage.twin();
    stage.act(Action::TwinComes(twin));
    stage.run(secs(30));
    assert_eq!(stage.runs(), before);
    stage.act(Action::TwinGoes(twin));
    stage.run(secs(10));
    assert_eq!(stage.runs(), before);
    stage.is_quiet();
}

#[test]
fn a_hundred_proxies_of_one_node_start_at_once() {
    let names: Vec<String> = (0..100).map(|n| format!("t{n}.service")).collect();
    let mut stage = Stage::new(&["a", "b"]);
    for name in &names {
        stage = stage.target("b", name);
        stage = stage.bound("a", "source.service", "b", name);
    }
    let mut stage = stage.begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(Duration::from_secs(2));
    stage.is("a", "source.service", State::Active);
    stage.is_quiet();
}

#[test]
fn a_start_of_a_source_that_is_being_stopped_gets_a_target_of_its_own() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .stop_takes("a", "source.service", secs(2))
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.systemctl(Verb::Stop, "b", "target.service");
    // The source is about to stop, and its proxy after it, when somebody starts it again.
    stage.run(secs(1));
    stage.is("a", "source.service", State::Deactivating);
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(10));
    stage.both_run();
    stage.is_quiet();
}

#[test]
fn a_start_that_is_called_off_while_it_waits_leaves_nothing_running() {
    let mut stage = Stage::new(&["a", "b", "c"])
        .target("b", "target.service")
        .target("c", "slow.service")
        .start_takes("c", "slow.service", secs(20))
        .bound("a", "source.service", "b", "target.service")
        .bound("a", "source.service", "c", "slow.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(5));
    stage.is("b", "target.service", State::Active);
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(2));
    stage.is("b", "target.service", State::Inactive);
    stage.run(secs(30));
    stage.is_quiet();
}
