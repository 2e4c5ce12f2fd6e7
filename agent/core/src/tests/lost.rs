//! Proxies while systemd or the controller is out of reach.

use super::{
    Stage,
    source::{restarting, stopping, waiting},
};

/// A node that only a helper has told of its proxy, which systemd is asked about.
fn looking() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "asks 1 proxy@b_t.service 1
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 1",
    );
    stage
}

#[test]
fn a_stop_to_which_systemd_did_not_answer_is_asked_for_again() {
    stopping().plays(
        "manager-lost
         manager proxy@b_t.service active 1
         > reason 1 node-offline it is so
         > 2: StopUnit proxy@b_t.service replace",
    );
}

#[test]
fn a_stop_whose_job_systemd_has_no_more_is_asked_for_again() {
    stopping().plays(
        "answer 1 job 30
         manager-lost
         manager proxy@b_t.service active 1
         > reason 1 node-offline it is so
         > 2: StopUnit proxy@b_t.service replace",
    );
    stopping().plays(
        "answer 1 job 30
         manager-lost
         manager proxy@b_t.service active 1,job 30",
    );
}

#[test]
fn a_proxy_that_only_its_helper_knows_is_looked_at_again() {
    looking().plays(
        "manager-lost
         manager
         > 2: look proxy@b_t.service",
    );
}

/// A proxy that systemd cannot be asked about is there as long as a process of it is.
#[test]
fn a_look_that_fails_is_no_end_of_a_proxy_with_a_helper() {
    looking().plays("answer 1 error NoReply not now");
    looking().plays(
        "helper-gone 1
         answer 1 error NoReply not now
         > claims change -b t.service",
    );
}

/// What systemd has forgotten may be an earlier run.
#[test]
fn a_proxy_that_is_being_looked_at_is_gone_when_the_look_says_so() {
    looking().plays("unit-gone proxy@b_t.service");
}

#[test]
fn a_helper_is_told_when_the_controller_goes() {
    waiting().plays(
        "link closed it went
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842",
    );
}

#[test]
fn a_restart_to_which_systemd_did_not_answer_is_asked_for_again() {
    restarting().plays(
        "manager-lost
         manager proxy@b_t.service inactive 1
         > 3: RestartUnit proxy@b_t.service fail",
    );
}

#[test]
fn a_restart_that_only_has_to_wait_is_asked_for_again_and_no_other() {
    restarting().plays(
        "answer 2 error UnitMasked no
         at 1900",
    );
    // Somebody else has started it meanwhile.
    restarting().plays(
        "unit proxy@b_t.service activating 2 31
         > claims change b t.service 2
         answer 2 error TransactionIsDestructive no
         at 1900",
    );
}

#[test]
fn a_helper_that_has_gone_is_not_answered() {
    waiting().plays(
        "helper-gone 1
         states whole b t.service 1 up
         > acknowledge ClaimStates",
    );
}
