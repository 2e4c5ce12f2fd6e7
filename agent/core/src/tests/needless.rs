use test_case::test_case;

use super::Stage;

/// A node with a proxy that is up, one that is being started, and one that is being stopped.
fn node() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "unit proxy@b_t.service active 1
         > claims change b t.service 1 up
         unit proxy@c_u.service activating 2 41
         > claims change c u.service 2
         unit proxy@c_v.service active 3 42
         > claims change c v.service 3 up",
    );
    stage
}

#[test_case("canceled")]
#[test_case("dependency")]
#[test_case("failed")]
#[test_case("timeout")]
#[test_case("unsupported")]
fn a_start_that_comes_to_nothing_has_systemd_look_at_what_is_up(result: &str) {
    node().plays(&format!(
        "removed 50 source.service {result}
         at 900
         at 1000
         > 1: look again proxy@b_t.service
         answer 1 job 60
         at 1900"
    ));
}

#[test_case("source.service done"; "what was done has changed its unit")]
#[test_case("source.service skipped"; "what was skipped was not begun")]
#[test_case("proxy@c_u.service failed"; "who needs a proxy that fails is heard of, too")]
#[test_case("unitlink-look-again.service failed"; "the look itself")]
fn nothing_is_asked_for(job: &str) {
    let (unit, result) = job.split_once(' ').expect("two words");
    node().plays(&format!("removed 50 {unit} {result}\nat 1900"));
}

#[test]
fn what_is_called_off_together_is_looked_at_together_and_not_too_often() {
    node().plays(
        "removed 50 source.service canceled
         at 500
         removed 51 other.service canceled
         at 1000
         > 1: look again proxy@b_t.service
         answer 1 job 60
         removed 52 third.service canceled
         at 2000
         > heartbeat
         at 4000
         > heartbeat
         at 4999
         at 5000
         > 2: look again proxy@b_t.service",
    );
}

#[test]
fn a_look_that_systemd_refuses_is_asked_for_again() {
    node().plays(
        "removed 50 source.service canceled
         at 1000
         > 1: look again proxy@b_t.service
         answer 1 error UnitExists it is still there
         at 2000
         > heartbeat
         at 4000
         > heartbeat
         at 5000
         > 2: look again proxy@b_t.service",
    );
}

#[test]
fn an_agent_that_starts_has_systemd_look_at_what_it_finds() {
    Stage::registered("proxy@b_t.service active 1").plays(
        "at 1000
         > 1: look again proxy@b_t.service",
    );
}

/// The answer to a look is waited for, and so is one that went with the connection to systemd.
#[test]
fn a_look_that_is_not_answered_is_the_last_until_systemd_is_reached_again() {
    let mut stage = node();
    stage.plays(
        "removed 50 source.service canceled
         at 1000
         > 1: look again proxy@b_t.service
         removed 51 other.service canceled
         at 5000
         > heartbeat
         at 5500",
    );
    stage.clone().plays(
        "answer 1 job 60
         > 2: look again proxy@b_t.service",
    );
    stage.plays(
        "manager-lost
         at 5600
         manager proxy@b_t.service active 1
         > 2: look again proxy@b_t.service
         > claims change -c u.service, -c v.service",
    );
}
