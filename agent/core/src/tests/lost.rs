//! Proxies while systemd or the controller is out of reach.

use super::{
    Stage,
    source::{active, waiting},
};

/// Its target is down, and systemd was asked to stop it; this follows.
fn being_stopped(then: &str) {
    active().plays(&format!(
        "states change b t.service 1 down it is so
         > acknowledge ClaimStates
         > reason 1 node-offline it is so
         > 1: StopUnit proxy@b_t.service replace
         {then}"
    ));
}

#[test]
fn a_stop_to_which_systemd_did_not_answer_is_asked_for_again() {
    being_stopped(
        "manager-lost
         manager proxy@b_t.service active 1
         > reason 1 node-offline it is so
         > 2: StopUnit proxy@b_t.service replace",
    );
}

#[test]
fn a_stop_whose_job_systemd_has_no_more_is_asked_for_again() {
    being_stopped(
        "answer 1 job 30
         manager-lost
         manager proxy@b_t.service active 1
         > reason 1 node-offline it is so
         > 2: StopUnit proxy@b_t.service replace",
    );
    being_stopped(
        "answer 1 job 30
         manager-lost
         manager proxy@b_t.service active 1,job 30",
    );
}

#[test]
fn a_proxy_that_only_its_helper_knows_is_looked_at_again() {
    Stage::registered("").plays(
        "asks 1 proxy@b_t.service 1
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 1
         manager-lost
         manager
         > 2: look proxy@b_t.service",
    );
}

/// A proxy that systemd cannot be asked about is there as long as a process of it is.
#[test]
fn a_look_that_fails_is_no_end_of_a_proxy_with_a_helper() {
    let looked_at = "asks 1 proxy@b_t.service 1
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 1";
    Stage::registered("").plays(&format!("{looked_at}\nanswer 1 error NoReply not now"));
    Stage::registered("").plays(&format!(
        "{looked_at}
         helper-gone 1
         answer 1 error NoReply not now
         > claims change -b t.service"
    ));
}

/// What systemd has forgotten may be an earlier run.
#[test]
fn a_proxy_that_is_being_looked_at_is_gone_when_the_look_says_so() {
    Stage::registered("").plays(
        "asks 1 proxy@b_t.service 1
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 1
         unit-gone proxy@b_t.service",
    );
}

#[test]
fn a_helper_is_told_when_the_controller_goes() {
    waiting().plays(
        "link closed it went
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842",
    );
}

/// Its unit has ended and is started again: it is stopped, and its restart is asked for; this follows.
fn being_restarted(then: &str) {
    active().plays(&format!(
        "states change b t.service 1 restarts it is so
         > acknowledge ClaimStates
         > 1: stop proxy@b_t.service alone
         answer 1 job 30
         unit proxy@b_t.service deactivating 1 30
         unit proxy@b_t.service inactive 1
         > 2: RestartUnit proxy@b_t.service fail
         > claims change -b t.service
         {then}"
    ));
}

#[test]
fn a_restart_to_which_systemd_did_not_answer_is_asked_for_again() {
    being_restarted(
        "manager-lost
         manager proxy@b_t.service inactive 1
         > 3: RestartUnit proxy@b_t.service fail",
    );
}

#[test]
fn a_restart_that_only_has_to_wait_is_asked_for_again_and_no_other() {
    being_restarted(
        "answer 2 error UnitMasked no
         at 1900",
    );
    // Somebody else has started it meanwhile.
    being_restarted(
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
