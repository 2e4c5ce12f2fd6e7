//! Restarts that go from node to node, and come to an end where they began.

use super::Stage;

/// `t.service` of node b is held by node a and needs `u.service` of node a; both are up.
fn mutual() -> Stage {
    let mut stage = Stage::registered("dep@t.service active 7 , proxy@a_u.service active 1");
    stage.plays(
        "holds whole t.service a 1 keep
         > persist 1
         > acknowledge Holds
         > hold-states change t.service a 1 up
         states whole a u.service 1 up
         > acknowledge ClaimStates",
    );
    stage
}

const RESTARTED: &str = "states change a u.service 1 restarted
     > acknowledge ClaimStates
     > 1: TryRestartUnit proxy@a_u.service fail";

#[test]
fn a_hold_that_is_restarted_with_a_proxy_says_what_led_to_it() {
    mutual().plays(&format!(
        "{RESTARTED}
         answer 1 restarting 30 dep@t.service 31
         job-new 31 dep@t.service
         unit dep@t.service inactive 7 31
         unit dep@t.service active 8 31
         > persist 1
         > hold-states change t.service a 1 restarted a/u.service"
    ));
}

#[test]
fn what_led_to_the_restart_of_its_unit_is_passed_on() {
    mutual().plays(
        "states change a u.service 1 restarted d/w.service
         > acknowledge ClaimStates
         > 1: TryRestartUnit proxy@a_u.service fail
         answer 1 restarting 30 dep@t.service 31
         unit dep@t.service active 8 31
         > persist 1
         > hold-states change t.service a 1 restarted d/w.service a/u.service",
    );
}

#[test]
fn a_restart_spares_those_of_its_node_that_led_to_it() {
    mutual().plays(
        "states change a u.service 1 restarted b/t.service d/w.service b/v.mount
         > acknowledge ClaimStates
         > 1: TryRestartUnit proxy@a_u.service fail but t.service but v.mount
         answer 1 restarting 30 alone dep@x.service 31
         unit proxy@a_u.service inactive 1 30
         unit proxy@a_u.service activating 2 30
         > claims change a u.service 2",
    );
}

/// A restart that somebody asks for later begins anew.
#[test]
fn another_restart_of_a_hold_has_a_reason_of_its_own() {
    mutual().plays(&format!(
        "{RESTARTED}
         answer 1 restarting 30 dep@t.service 31
         removed 31 dep@t.service canceled
         job-new 32 dep@t.service
         unit dep@t.service inactive 7 32
         unit dep@t.service active 8 32
         > persist 1
         > hold-states change t.service a 1 restarted"
    ));
}

#[test]
fn a_hold_whose_restart_has_ended_before_the_answer_is_not_taken_for_the_next() {
    mutual().plays(&format!(
        "{RESTARTED}
         job-new 31 dep@t.service
         removed 31 dep@t.service canceled
         answer 1 restarting 30 dep@t.service 31
         unit dep@t.service active 8
         > persist 1
         > hold-states change t.service a 1 restarted"
    ));
}

#[test]
fn a_restart_that_nobody_saw_has_a_reason_of_its_own() {
    mutual().plays(&format!(
        "{RESTARTED}
         answer 1 restarting 30 dep@t.service 31
         manager-lost
         manager dep@t.service active 9 , proxy@a_u.service active 2
         > persist 1
         > hold-states change t.service a 1 restarted
         > claims change a u.service 2 up"
    ));
}

/// What was spared is not restarted with a proxy, and would run on without what it requires.
#[test]
fn a_proxy_that_fails_after_a_restart_alone_is_restarted_with_what_requires_it() {
    let alone = "states change a u.service 1 restarted b/t.service
         > acknowledge ClaimStates
         > 1: TryRestartUnit proxy@a_u.service fail but t.service
         answer 1 restarting 30 alone
         unit proxy@a_u.service active 1 30
         unit proxy@a_u.service inactive 1 30
         unit proxy@a_u.service activating 2 30
         > claims change a u.service 2";
    let mut fails = mutual();
    fails.plays(&format!(
        "{alone}
         unit proxy@a_u.service failed 2
         > 2: RestartUnit proxy@a_u.service fail
         > claims change -a u.service
         answer 2 restarting 32 dep@t.service 33
         unit dep@t.service active 8 33
         > persist 1
         > hold-states change t.service a 1 restarted a/u.service"
    ));
    // Once it is up, it fails as any other.
    mutual().plays(&format!(
        "{alone}
         unit proxy@a_u.service active 2
         > claims change a u.service 2 up
         unit proxy@a_u.service failed 2
         > claims change -a u.service"
    ));
    // Nobody needs it any more.
    mutual().plays(&format!(
        "{alone}
         unit proxy@a_u.service inactive 2
         > claims change -a u.service"
    ));
}

#[test]
fn the_restart_of_a_proxy_whose_unit_is_started_again_leads_to_what_follows() {
    mutual().plays(
        "states change a u.service 1 restarts it is so
         > acknowledge ClaimStates
         > 1: stop proxy@a_u.service alone
         answer 1 job 30
         unit proxy@a_u.service inactive 1
         > 2: RestartUnit proxy@a_u.service fail
         > claims change -a u.service
         answer 2 restarting 31 dep@t.service 32
         unit dep@t.service active 8 32
         > persist 1
         > hold-states change t.service a 1 restarted a/u.service",
    );
}
