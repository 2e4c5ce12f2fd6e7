mod once;

use test_case::test_case;

use super::Stage;

const START_T: &str = "1: StartUnit dep@t.service fail";
const LOOK_T: &str = "1: look dep@t.service";

/// Rows "new": what follows from a token that is not known, for each state of the hold unit.
#[test_case("start", "active 7", "persist 1", "starting", LOOK_T; "start, active")]
#[test_case("start", "active 7 40", "persist 1", "starting", LOOK_T; "start, active with a job")]
#[test_case("start", "activating 7 40", "persist 1", "starting", LOOK_T; "start, activating")]
#[test_case("start", "inactive 7 40", "persist 1", "starting", LOOK_T; "start, about to start")]
#[test_case("start", "deactivating 7 40", "persist 1", "starting", ""; "start, deactivating")]
#[test_case("start", "inactive -", "persist 1", "starting", START_T; "start, inactive")]
#[test_case("start", "failed 7", "persist 1", "starting", START_T; "start, failed")]
#[test_case("keep", "active 7", "persist 1", "up", ""; "keep, active")]
#[test_case("keep", "active 7 40", "persist 1", "up", ""; "keep, active with a job")]
#[test_case("keep", "activating 7 40", "persist 1", "down unit-stopped unit t.service on node b was stopped", ""; "keep, activating")]
#[test_case("keep", "inactive -", "persist 1", "down unit-stopped unit t.service on node b was stopped", ""; "keep, inactive")]
fn a_new_token(attempt: &str, unit: &str, persist: &str, state: &str, call: &str) {
    let call = if call.is_empty() {
        String::new()
    } else {
        format!("> {call}")
    };
    Stage::registered(&format!("dep@t.service {unit}")).plays(&format!(
        "holds whole t.service a 1 {attempt}
         > {persist}
         > acknowledge Holds
         {call}
         > hold-states change t.service a 1 {state}",
    ));
}

/// A node on which `t.service` is being started for `a` (token 1), as job 40.
fn starting() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 job 40
         unit dep@t.service activating 7 40",
    );
    stage
}

#[test]
fn a_reload_of_a_held_unit_is_told_when_there_is_somebody_to_tell() {
    up().plays(
        "unit-reloaded 1 dep@t.service
         > helper 1 done
         > reloaded t.service
         unit-reloaded 2 dep@u.service
         > helper 2 done
         unit-reloaded 3 t.service
         > helper 3 failed invalid-name 't.service' is no hold; it looks like 'dep@UNIT.service'",
    );
}

/// The same, when it is up.
fn up() -> Stage {
    let mut stage = starting();
    stage.plays(
        "unit dep@t.service active 7 40
         removed 40 dep@t.service done
         > persist 1
         > hold-states change t.service a 1 up",
    );
    stage
}

#[test]
fn all_that_joined_a_start_are_up_when_it_is() {
    starting().plays(
        "holds change t.service d 2 start
         > persist 2
         > acknowledge Holds
         > 2: look dep@t.service
         > hold-states change t.service d 2 starting
         answer 2 unit dep@t.service activating 7 40
         unit dep@t.service active 7
         > persist 2
         > hold-states change t.service a 1 up, t.service d 2 up
         removed 40 dep@t.service done",
    );
}

/// News of systemd that are before the agent when it hears of an attempt may be older than that.
#[test]
fn an_attempt_is_not_up_by_what_was_told_before_it() {
    let joins = "holds change t.service d 2 start
         > persist 2
         > acknowledge Holds
         > 2: look dep@t.service
         > hold-states change t.service d 2 starting";
    up().plays(&format!(
        "{joins}
         answer 2 unit dep@t.service active 7
         > persist 2
         > hold-states change t.service d 2 up"
    ));
    // It went down while the agent was frozen.
    up().plays(&format!(
        "{joins}
         answer 2 unit dep@t.service inactive -
         > 3: describe t.service
         answer 3 described loaded inactive success 0 0
         > persist 2
         > 4: StartUnit dep@t.service fail
         > hold-states change t.service a 1 down unit-ended unit t.service on node b has ended
         unit dep@t.service active 8
         > persist 2
         > hold-states change t.service d 2 up"
    ));
    // It came up, and went down again, while the agent was frozen.
    starting().plays(&format!(
        "{joins}
         unit dep@t.service active 7
         > persist 2
         > hold-states change t.service a 1 up
         unit dep@t.service inactive 7
         removed 40 dep@t.service done
         > 3: describe t.service
         answer 2 unit dep@t.service inactive 7
         answer 3 described loaded inactive success 0 0
         > persist 2
         > 4: StartUnit dep@t.service fail
         > hold-states change t.service a 1 down unit-ended unit t.service on node b has ended"
    ));
    // What systemd does not say is left as it was told before.
    up().plays(&format!(
        "{joins}
         answer 2 error NoReply it did not answer
         > persist 2
         > hold-states change t.service d 2 up"
    ));
    // systemd is out of reach meanwhile: it is asked again.
    up().plays(&format!(
        "{joins}
         manager-lost
         manager dep@t.service active 7
         > 3: look dep@t.service"
    ));
}

#[test]
fn a_start_that_fails_is_down_with_the_units_own_result() {
    starting().plays(
        "unit dep@t.service inactive 7 40
         removed 40 dep@t.service dependency
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 1
         > persist 1
         > hold-states change t.service a 1 down unit-failed unit t.service on node b failed: exit-code (status 1)
         holds change t.service a 2 start
         > persist 1
         > acknowledge Holds
         > 3: StartUnit dep@t.service fail
         > hold-states change t.service a 2 starting",
    );
}

#[test]
fn a_unit_that_systemd_does_not_know_is_down_with_that_reason() {
    Stage::registered("").plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 error NoSuchUnit Unit t.service not found.
         > 2: describe t.service
         answer 2 described not-found inactive  0 0
         > persist 1
         > hold-states change t.service a 1 down unit-not-found unit t.service on node b not found",
    );
}

#[test]
fn a_token_that_comes_while_a_failed_start_is_explained_gets_a_start_of_its_own() {
    starting().plays(
        "unit dep@t.service inactive 7 40
         removed 40 dep@t.service dependency
         > 2: describe t.service
         holds change t.service d 2 start
         > persist 2
         > acknowledge Holds
         > hold-states change t.service d 2 starting
         answer 2 described loaded failed timeout 0 0
         > persist 2
         > 3: StartUnit dep@t.service fail
         > hold-states change t.service a 1 down unit-failed unit t.service on node b failed: timeout",
    );
}

#[test]
fn the_end_of_a_start_may_be_told_before_the_answer() {
    Stage::registered("").plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         removed 40 dep@t.service dependency
         answer 1 job 40
         > 2: describe t.service",
    );
}

// The hold unit goes first where its unit is stopped, and last where that ends by itself.
#[test_case("removed 42 t.service done\nanswer 2 described loaded inactive success 0 0", "unit-stopped unit t.service on node b was stopped"; "its job has ended")]
#[test_case("answer 2 stopping", "unit-stopped unit t.service on node b was stopped"; "it is being stopped")]
#[test_case("removed 42 t.service done\nanswer 2 described loaded failed timeout 0 0", "unit-failed unit t.service on node b failed: timeout"; "its stop has failed")]
#[test_case("answer 2 described loaded inactive success 1 0", "unit-ended unit t.service on node b has ended"; "it has ended by itself")]
#[test_case("answer 2 described loaded failed signal 2 9", "unit-died unit t.service on node b failed: signal (signal 9)"; "it has failed by itself")]
#[test_case("answer 2 described masked failed signal 2 9", "unit-died unit t.service on node b is masked"; "it was masked meanwhile")]
#[test_case("answer 2 restarts", "unit-restarts unit t.service on node b failed: signal (signal 9), and is started again by its systemd"; "it is started again")]
#[test_case("answer 2 described loaded active success 0 0", "unit-restarts unit t.service on node b has ended, and is started again by its systemd"; "it was started again already")]
fn a_unit_that_is_not_up_any_more_is_down(says: &str, reason: &str) {
    up().plays(&format!(
        "unit dep@t.service deactivating 7 41
         unit dep@t.service inactive 7
         > 2: describe t.service
         {says}
         > persist 1
         > hold-states change t.service a 1 down {reason}",
    ));
}

#[test]
fn a_unit_that_has_ended_while_nobody_looked_counts_as_stopped() {
    up().plays(
        "manager-lost
         manager dep@t.service inactive 7
         > 2: describe t.service
         answer 2 described loaded inactive success 1 0
         > persist 1
         > hold-states change t.service a 1 down unit-stopped unit t.service on node b was stopped",
    );
}

// A reload, for one: it says nothing about what happens later.
#[test]
fn a_job_that_has_ended_while_the_unit_was_up_has_not_stopped_it() {
    up().plays(
        "removed 39 t.service done
         > 2: describe t.service
         answer 2 described loaded active success 0 0
         unit dep@t.service inactive 7
         > 3: describe t.service
         answer 3 described loaded inactive success 1 0
         > persist 1
         > hold-states change t.service a 1 down unit-ended unit t.service on node b has ended",
    );
}

#[test]
fn a_unit_that_is_about_to_start_again_stays_up_until_it_has_restarted() {
    up().plays(
        "unit dep@t.service deactivating 7 41
         unit dep@t.service inactive 7 41
         unit dep@t.service active 8
         > persist 1
         > hold-states change t.service a 1 restarted
         unit dep@t.service inactive 8
         holds change t.service a 2 start
         > persist 1
         > acknowledge Holds
         > 2: StartUnit dep@t.service fail
         > hold-states change t.service a 2 starting",
    );
}

#[test]
fn a_restart_that_is_seen_only_by_its_new_run_is_a_restart() {
    up().plays(
        "unit dep@t.service active 8
         > persist 1
         > hold-states change t.service a 1 restarted",
    );
}

#[test]
fn a_restart_that_fails_is_down() {
    up().plays(
        "unit dep@t.service inactive 7 41
         removed 42 t.service failed
         removed 41 dep@t.service dependency
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 1
         > persist 1
         > hold-states change t.service a 1 down unit-failed unit t.service on node b failed: exit-code (status 1)",
    );
}

#[test]
fn the_unit_is_released_with_the_last_hold_and_not_before() {
    let mut stage = up();
    stage.plays(
        "holds change t.service d 2 start
         > persist 2
         > acknowledge Holds
         > 2: look dep@t.service
         > hold-states change t.service d 2 starting
         answer 2 unit dep@t.service active 7
         > persist 2
         > hold-states change t.service d 2 up
         holds change -t.service a
         > persist 1
         > acknowledge Holds
         > hold-states change -t.service a
         holds change -t.service d
         > persist 0
         > acknowledge Holds
         > 3: StopUnit dep@t.service replace
         > hold-states change -t.service d
         answer 3 job 41
         unit dep@t.service inactive 7
         removed 41 dep@t.service done",
    );
    assert_eq!(stage.node.holds.len(), 0, "nothing of it is kept");
}

#[test]
fn a_release_and_a_new_claim_that_cross_end_as_the_set_says() {
    up().plays(
        "holds change -t.service a
         > persist 0
         > acknowledge Holds
         > 2: StopUnit dep@t.service replace
         > hold-states change -t.service a
         holds change t.service a 2 start
         > persist 1
         > acknowledge Holds
         > hold-states change t.service a 2 starting
         answer 2 job 41
         unit dep@t.service inactive 7
         removed 41 dep@t.service done
         > 3: StartUnit dep@t.service fail
         holds change -t.service a
         > persist 0
         > acknowledge Holds
         > hold-states change -t.service a
         answer 3 job 42
         unit dep@t.service active 8
         removed 42 dep@t.service done
         > 4: StopUnit dep@t.service replace",
    );
}

/// What is about to go is not what a source that comes back has had.
#[test]
fn what_a_source_keeps_is_down_while_it_is_being_released() {
    up().plays(
        "holds change -t.service a
         > persist 0
         > acknowledge Holds
         > 2: StopUnit dep@t.service replace
         > hold-states change -t.service a
         holds change t.service a 1 keep
         > persist 1
         > acknowledge Holds
         > hold-states change t.service a 1 down unit-stopped unit t.service on node b was stopped",
    );
}

/// A start does not call off the stop of its unit that is under way; it comes after it.
#[test_case("removed 99 t.service done"; "when the unit has stopped")]
#[test_case("at 200"; "or after a while")]
fn a_start_waits_for_a_stop_that_stands_against_it(what: &str) {
    Stage::registered("").plays(&format!(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 error TransactionIsDestructive no
         at 199
         {what}
         > 2: StartUnit dep@t.service fail
         answer 2 job 40
         unit dep@t.service active 7
         > persist 1
         > hold-states change t.service a 1 up
         removed 40 dep@t.service done"
    ));
}

#[test]
fn a_release_that_systemd_refuses_is_tried_again_later() {
    up().plays(
        "holds change -t.service a
         > persist 0
         > acknowledge Holds
         > 2: StopUnit dep@t.service replace
         > hold-states change -t.service a
         answer 2 error TransactionIsDestructive no
         at 199
         at 200
         > 3: StopUnit dep@t.service replace
         answer 3 error TransactionIsDestructive no
         at 599
         at 600
         > 4: StopUnit dep@t.service replace
         answer 4 job 41
         unit dep@t.service inactive 7
         removed 41 dep@t.service done",
    );
}

#[test]
fn a_hold_unit_that_nobody_claims_is_stopped_once_the_whole_set_was_heard() {
    let mut stage = Stage::registered("dep@t.service active 7,dep-unit@u.socket.service active 8");
    stage.plays(
        "holds whole t.service a 1 keep
         > persist 1
         > acknowledge Holds
         > 1: StopUnit dep-unit@u.socket.service replace
         > hold-states change t.service a 1 up",
    );
}

#[test]
fn without_a_connection_changes_are_noted_and_nothing_is_done() {
    let mut stage = up();
    stage.plays(
        "link closed reset
         unit dep@t.service inactive 7
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 1
         > persist 1
         unit dep@u.service active 9
         at 20
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole t.service a 1 down unit-died unit t.service on node b failed: exit-code (status 1)
         > claims whole
         holds whole t.service a 1 keep
         > acknowledge Holds
         > 3: StopUnit dep@u.service replace",
    );
}

#[test]
fn a_second_connection_stops_nothing_before_it_has_told_the_whole_set() {
    let mut stage = up();
    stage.plays(
        "link closed reset
         at 20
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole t.service a 1 up
         > claims whole
         unit dep@t.service active 7
         holds whole
         > persist 0
         > acknowledge Holds
         > 2: StopUnit dep@t.service replace
         > hold-states change -t.service a",
    );
}

#[test]
fn an_operation_outlives_the_connection_to_the_manager_if_its_job_does() {
    starting().plays(
        "manager-lost
         manager dep@t.service activating 7 40,job 40
         unit dep@t.service inactive 7 40
         removed 40 dep@t.service failed
         > 2: describe t.service",
    );
    starting().plays(
        "manager-lost
         manager
         > 2: StartUnit dep@t.service fail",
    );
}

#[test]
fn a_name_that_cannot_be_held_is_refused() {
    let unit = format!("{}.service", "a".repeat(245));
    let mut stage = Stage::registered("");
    stage.plays(&format!(
        "holds whole {unit} a 1 start
         > persist 1
         > acknowledge Holds
         > hold-states change {unit} a 1 refused invalid-name a unit name has 257 bytes; at most 255 are allowed",
    ));
}
