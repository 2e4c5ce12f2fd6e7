use test_case::test_case;

use super::Stage;

/// What a proxy claims, as it is found when the manager is reached.
#[test_case("active 1", "b t.service 1 up"; "active")]
#[test_case("activating 1 30", "b t.service 1"; "activating")]
#[test_case("inactive 1 30", "b t.service 1 up"; "its restart is queued")]
#[test_case("deactivating 1 30", "b t.service 1 up"; "deactivating")]
#[test_case("inactive 1", ""; "inactive")]
#[test_case("failed 1", ""; "failed")]
#[test_case("inactive - 30", ""; "its first start is queued")]
fn a_proxy_is_a_claim(unit: &str, claim: &str) {
    let line = format!("claims whole {claim}");
    Stage::new("").plays(&format!(
        "manager proxy@b_t.service {unit}
         > connect 1 to 0
         link up
         > hello b
         > hold-states whole
         > {}",
        line.trim_end()
    ));
}

#[test]
fn a_claim_follows_its_proxy() {
    Stage::registered("").plays(
        "unit proxy@b_t.service inactive - 30
         unit proxy@b_t.service activating 1 30
         > claims change b t.service 1
         unit proxy@b_t.service active 1
         > claims change b t.service 1 up
         unit proxy@b_t.service deactivating 1 31
         unit proxy@b_t.service inactive 1 31
         unit proxy@b_t.service activating 2 31
         > claims change b t.service 2
         unit proxy@b_t.service active 2
         > claims change b t.service 2 up
         unit proxy@b_t.service inactive 2
         > claims change -b t.service",
    );
}

#[test]
fn a_proxy_that_is_not_loaded_any_more_claims_nothing() {
    Stage::registered("proxy@b_t.service active 1").plays(
        "unit-gone proxy@b_t.service
         > claims change -b t.service",
    );
}

/// A node whose `proxy@b_t.service` is activating with a helper that waits.
pub(super) fn waiting() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "unit proxy@b_t.service activating 1 30
         > claims change b t.service 1
         asks 1 proxy@b_t.service 1
         > helper 1 wait 90s the controller is asked for unit t.service on node b",
    );
    stage
}

/// A node whose `proxy@b_t.service` is active and up.
pub(super) fn active() -> Stage {
    let mut stage = Stage::registered("proxy@b_t.service active 1");
    stage.plays("states whole b t.service 1 up\n> acknowledge ClaimStates");
    stage
}

/// The same, whose unit is down: systemd is asked to stop it.
pub(super) fn stopping() -> Stage {
    let mut stage = active();
    stage.plays(
        "states change b t.service 1 down it is so
         > acknowledge ClaimStates
         > reason 1 node-offline it is so
         > 1: StopUnit proxy@b_t.service replace",
    );
    stage
}

/// The same, whose unit has ended and is started again: it has stopped, and systemd is asked to start it.
pub(super) fn restarting() -> Stage {
    let mut stage = active();
    stage.plays(
        "states change b t.service 1 restarts it is so
         > acknowledge ClaimStates
         > 1: stop proxy@b_t.service alone
         answer 1 job 30
         unit proxy@b_t.service deactivating 1 30
         unit proxy@b_t.service inactive 1
         > 2: RestartUnit proxy@b_t.service fail
         > claims change -b t.service",
    );
    stage
}

#[test]
fn a_helper_is_told_what_it_waits_for_and_answered() {
    waiting().plays(
        "states whole b t.service 1 waiting node b is offline
         > acknowledge ClaimStates
         > helper 1 wait 90s node b is offline
         states change b t.service 1 starting
         > acknowledge ClaimStates
         > helper 1 wait 90s unit t.service on node b is being started
         states change b t.service 1 up
         > acknowledge ClaimStates
         > helper 1 up
         asks 2 proxy@b_t.service 1
         > helper 2 up",
    );
}

#[test]
fn two_helpers_of_one_proxy_are_both_answered() {
    waiting().plays(
        "asks 2 proxy@b_t.service 1
         > helper 2 wait 90s the controller is asked for unit t.service on node b
         states whole b t.service 1 up
         > acknowledge ClaimStates
         > helper 1 up
         > helper 2 up",
    );
}

#[test_case("down"; "down")]
#[test_case("refused"; "refused")]
fn a_bad_end_fails_the_helper_with_the_reason(state: &str) {
    waiting().plays(&format!(
        "states whole b t.service 1 {state} it is so
         > acknowledge ClaimStates
         > helper 1 failed node-offline it is so
         unit proxy@b_t.service failed 1
         > claims change -b t.service"
    ));
}

#[test]
fn a_state_of_another_token_is_not_about_this_one() {
    waiting().plays("states whole b t.service 9 down it was so\n> acknowledge ClaimStates");
}

#[test]
fn an_active_proxy_is_stopped_when_its_unit_is_down() {
    stopping().plays(
        "answer 1 job 30
         unit proxy@b_t.service inactive 1
         > claims change -b t.service
         removed 30 proxy@b_t.service done",
    );
}

// Its helper finds it there, whether there is an agent or not.
#[test]
fn a_proxy_that_is_stopped_for_a_failure_has_the_reason_before_it_is() {
    stopping().plays(
        "answer 1 error NoSuchUnit not now
         at 200
         > reason 1 node-offline it is so
         > 2: StopUnit proxy@b_t.service replace",
    );
}

#[test]
fn a_proxy_that_is_stopped_for_a_stop_has_not_failed_and_its_next_run_is_another_attempt() {
    active().plays(
        "states change b t.service 1 stopped it is so
         > acknowledge ClaimStates
         > 1: StopUnit proxy@b_t.service replace
         unit proxy@b_t.service deactivating 1 30
         unit proxy@b_t.service activating 2 31
         > claims change b t.service 2
         asks 1 proxy@b_t.service 2
         > helper 1 wait 90s the controller is asked for unit t.service on node b",
    );
}

#[test_case("stopped", "", "StopUnit proxy@b_t.service replace"; "a stop stops what requires it")]
#[test_case("down", "node-offline", "StopUnit proxy@b_t.service replace"; "so does a loss")]
#[test_case("ended", "", "stop proxy@b_t.service alone"; "an end does not")]
#[test_case("died", "unit-died", "stop proxy@b_t.service alone"; "nor does a failure")]
#[test_case("restarts", "", "stop proxy@b_t.service alone"; "nor an end before a start")]
fn how_a_unit_went_down_decides_whether_what_requires_it_stops(
    state: &str,
    failed: &str,
    stop: &str,
) {
    let reason = match failed {
        "" => String::new(),
        cause => format!("> reason 1 {cause} it is so"),
    };
    active().plays(&format!(
        "states change b t.service 1 {state} it is so
         > acknowledge ClaimStates
         {reason}
         > 1: {stop}"
    ));
}

#[test_case(999, "StopUnit proxy@b_t.service replace"; "at once")]
#[test_case(1000, "stop proxy@b_t.service alone"; "after a while")]
fn a_unit_that_fails_at_once_has_not_started(ms: u64, stop: &str) {
    let mut stage = waiting();
    stage.plays(&format!(
        "states whole b t.service 1 up
         > acknowledge ClaimStates
         > helper 1 up
         unit proxy@b_t.service active 1
         > claims change b t.service 1 up
         at {ms}
         states change b t.service 1 died it is so
         > acknowledge ClaimStates
         > reason 1 unit-died it is so
         > 1: {stop}"
    ));
}

// On its node the start of the unit has stopped the rival, which is what is claimed.
#[test]
fn a_unit_that_must_not_run_and_is_started_stops_what_conflicts_with_it() {
    Stage::registered("conflict@b_t.service active 1").plays(
        "states whole b against@t.service 1 stopped unit t.service on node b was started
         > acknowledge ClaimStates
         > 1: StopUnit conflict@b_t.service replace",
    );
}

#[test]
fn a_unit_that_is_started_again_restarts_its_proxy_after_what_is_bound_to_it_has_stopped() {
    restarting().plays(
        "answer 2 error TransactionIsDestructive no
         at 200
         > 3: RestartUnit proxy@b_t.service fail
         answer 3 job 31
         unit proxy@b_t.service activating 2 31
         > claims change b t.service 2",
    );
}

#[test]
fn a_stop_that_a_start_has_replaced_becomes_a_restart() {
    stopping().plays(
        "answer 1 job 30
         unit proxy@b_t.service active 1 30
         removed 30 proxy@b_t.service canceled
         > 2: TryRestartUnit proxy@b_t.service fail
         answer 2 error TransactionIsDestructive no
         at 200
         > reason 1 node-offline it is so
         > 3: StopUnit proxy@b_t.service replace",
    );
}

#[test]
fn an_active_proxy_is_restarted_when_its_unit_was() {
    active().plays(
        "states change b t.service 1 restarted
         > acknowledge ClaimStates
         > 1: TryRestartUnit proxy@b_t.service fail
         answer 1 job 30
         unit proxy@b_t.service inactive 1 30
         unit proxy@b_t.service activating 2 30
         > claims change b t.service 2
         asks 1 proxy@b_t.service 2
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         removed 30 proxy@b_t.service done",
    );
}

#[test]
fn a_unit_that_restarted_while_its_helper_waited_restarts_the_proxy_once_it_is_active() {
    waiting().plays(
        "states whole b t.service 1 restarted
         > acknowledge ClaimStates
         > helper 1 up
         unit proxy@b_t.service active 1
         > 1: TryRestartUnit proxy@b_t.service fail
         > claims change b t.service 1 up",
    );
}

#[test]
fn what_systemd_refuses_is_asked_again_while_the_proxy_is_as_it_was() {
    active().plays(
        "states change b t.service 1 restarted
         > acknowledge ClaimStates
         > 1: TryRestartUnit proxy@b_t.service fail
         answer 1 error TransactionIsDestructive no
         at 200
         > 2: TryRestartUnit proxy@b_t.service fail
         answer 2 error TransactionIsDestructive no
         unit proxy@b_t.service inactive 1
         > claims change -b t.service
         at 600",
    );
}

#[test]
fn a_lost_unit_changes_nothing_and_is_logged_once() {
    let mut stage = active().with_log();
    stage.plays(
        "states change b t.service 1 lost node b is out of sight
         > acknowledge ClaimStates
         > log ClaimLost
         unit proxy@b_t.service active 1
         states change b t.service 1 up
         > acknowledge ClaimStates",
    );
}

#[test]
fn a_helper_gives_up_after_the_start_timeout_and_says_what_was_waited_for() {
    let mut stage = waiting();
    stage.plays(
        "states whole b t.service 1 waiting node b is offline
         > acknowledge ClaimStates
         > helper 1 wait 90s node b is offline",
    );
    for seconds in (2..90).step_by(4) {
        stage.plays(&format!("at {seconds}000\n> heartbeat\nheartbeat"));
    }
    stage.plays(
        "at 90000
         > heartbeat
         > helper 1 failed node-offline node b is offline (waited 90s)
         asks 2 proxy@b_t.service 1
         > helper 2 failed node-offline node b is offline (waited 90s)",
    );
}

#[test]
fn a_helper_without_a_controller_is_told_so() {
    let mut stage = Stage::new("");
    stage.plays(
        "asks 1 proxy@b_t.service 1
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842
         manager proxy@b_t.service activating 1 30
         > 1: look proxy@b_t.service
         > connect 1 to 0
         at 90000
         > disconnect 1
         > helper 1 failed controller-unreachable controller not reachable at tcp:host=c,port=842 (waited 90s)",
    );
}

#[test]
fn the_start_timeout_may_be_another_for_some_units_and_change_while_a_start_waits() {
    let mut stage = waiting();
    stage.plays(
        "timeouts 10 u* 5 t* 1
         at 999
         at 1000
         > helper 1 failed timeout the controller is asked for unit t.service on node b (waited 1s)",
    );
}

#[test]
fn a_reload_of_the_remote_unit_reaches_what_follows_an_active_proxy() {
    active().plays(
        "remote-reload b t.service
         > 1: reload what follows proxy@b_t.service
         remote-reload b u.service",
    );
    waiting().plays("remote-reload b t.service");
}

#[test]
fn the_start_timeout_runs_from_the_first_word_of_a_token() {
    let mut stage = Stage::new("");
    stage.plays(
        "asks 1 proxy@b_t.service 1
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842
         at 60000
         helper-gone 1
         asks 2 proxy@b_t.service 1
         > helper 2 wait 30s controller not reachable at tcp:host=c,port=842",
    );
}

#[test]
fn a_helper_may_speak_before_systemd_does() {
    Stage::registered("").plays(
        "asks 1 proxy@b_t.service 2
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 2
         unit proxy@b_t.service failed 1
         unit proxy@b_t.service activating 1 30
         unit proxy@b_t.service activating 2 30
         answer 1 unit proxy@b_t.service activating 2 30
         unit proxy@b_t.service failed 2
         > helper 1 failed canceled the start of proxy@b_t.service was given up
         > claims change -b t.service",
    );
}

#[test]
fn the_end_of_the_run_before_does_not_drop_a_new_claim() {
    active().plays(
        "asks 1 proxy@b_t.service 2
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 2
         unit proxy@b_t.service inactive 1
         answer 1 unit proxy@b_t.service activating 2 31",
    );
}

#[test]
fn the_late_word_of_a_dead_helper_is_found_out() {
    Stage::registered("").plays(
        "asks 1 proxy@b_t.service 1
         > 1: look proxy@b_t.service
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 1
         answer 1 no-unit
         > helper 1 failed canceled the start of proxy@b_t.service was given up
         > claims change -b t.service",
    );
    waiting().plays(
        "asks 2 proxy@b_t.service 9
         > 1: look proxy@b_t.service
         > helper 2 wait 90s the controller is asked for unit t.service on node b
         > claims change b t.service 9
         answer 1 unit proxy@b_t.service activating 1 30
         > helper 2 failed canceled the start of proxy@b_t.service was given up
         > claims change b t.service 1
         states whole b t.service 1 up
         > acknowledge ClaimStates
         > helper 1 up",
    );
}

#[test]
fn a_restarted_agent_keeps_the_claim_of_an_activating_proxy_whose_helper_comes_again() {
    Stage::registered("proxy@b_t.service activating 1 30").plays(
        "asks 1 proxy@b_t.service 1
         > helper 1 wait 90s the controller is asked for unit t.service on node b",
    );
}

#[test]
fn a_snapshot_says_what_has_gone_meanwhile() {
    Stage::registered("proxy@b_t.service active 1,proxy@b_u.service active 2").plays(
        "manager-lost
         unit proxy@b_u.service inactive 2
         manager proxy@b_u.service active 2
         > claims change -b t.service",
    );
}

#[test_case("proxy@b_t.service.service", "'proxy@b_t.service.service' is not how this proxy is spelt; write 'proxy@b_t.service'"; "spelling")]
#[test_case("t.service", "'t.service' is no proxy; it looks like 'proxy@NODE_UNIT.service'"; "no proxy")]
#[test_case("proxy@_t.service", "the node of the proxy is not valid: a node name is empty; it has 1 to 64 letters, digits, '-', '_' or '.'"; "no node")]
fn a_name_that_is_not_right_fails_with_what_would_be(name: &str, text: &str) {
    Stage::registered("").plays(&format!(
        "asks 1 {name} 1\n> helper 1 failed invalid-name {text}"
    ));
}

#[test]
fn a_token_that_is_none_fails() {
    Stage::registered("").plays(
        "asks 1 proxy@b_t.service hello
         > helper 1 failed invalid-name 'hello' is no token; a token has 32 hexadecimal digits",
    );
}

#[test]
fn another_node_may_have_the_same_unit() {
    Stage::registered("").plays(
        "unit proxy@b_t.service activating 1
         > claims change b t.service 1
         unit proxy@c_t.socket.service activating 2
         > claims change c t.socket 2",
    );
}

#[test]
fn a_proxy_that_systemd_knows_by_its_alias_is_the_same_proxy() {
    Stage::registered("").plays(
        "unit bluechi-proxy@b_t.service activating 1 30
         > claims change b t.service 1
         asks 1 proxy@b_t.service 1
         > helper 1 wait 90s the controller is asked for unit t.service on node b
         states whole b t.service 1 up
         > acknowledge ClaimStates
         > helper 1 up
         unit bluechi-proxy@b_t.service active 1
         > claims change b t.service 1 up
         manager-lost
         manager bluechi-proxy@b_t.service active 1
         states change b t.service 1 down it is so
         > acknowledge ClaimStates
         > reason 1 node-offline it is so
         > 1: StopUnit bluechi-proxy@b_t.service replace
         unit-gone bluechi-proxy@b_t.service
         > claims change -b t.service",
    );
}

#[test]
fn a_reload_of_the_manager_changes_nothing_and_loses_no_call() {
    Stage::registered("proxy@b_t.service active 1").plays(
        "job 5 start t.service
         > 1: StartUnit t.service replace
         asks 1 proxy@b_u.service 2
         > 2: look proxy@b_u.service
         > helper 1 wait 90s the controller is asked for unit u.service on node b
         > claims change b u.service 2
         reloaded proxy@b_t.service active 1
         answer 1 job 30
         > job 5 waiting
         answer 2 unit proxy@b_u.service activating 2 31
         reloaded proxy@b_t.service active 1,proxy@b_u.service activating 2 31
         removed 30 t.service done
         > job 5 done",
    );
}
