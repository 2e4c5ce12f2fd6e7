use super::Stage;

/// A node on which `t.service` is being started for `a` (token 1, job 40), and whose proxy of
/// `u.service` of `c` (token 2) is being started.
fn both() -> Stage {
    let mut stage = Stage::registered("");
    stage.plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 job 40
         unit dep@t.service inactive - 40
         at 10
         unit proxy@c_u.service activating 2 41
         > claims change c u.service 2",
    );
    stage
}

#[test]
fn what_a_start_waits_for_is_asked_once_and_told() {
    both().plays(
        "at 30
         > 2: waits of 40
         answer 2 waits 40 proxy@c_u.service t.service x.service
         > waits whole t.service a 1 on x.service c u.service 2
         at 600
         at 1900",
    );
}

#[test]
fn nothing_is_asked_where_no_proxy_is_starting() {
    Stage::registered("proxy@c_u.service active 2").plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 job 40
         unit dep@t.service inactive - 40
         at 100",
    );
}

#[test]
fn nothing_is_asked_where_nothing_held_is_starting() {
    Stage::registered("").plays(
        "unit proxy@c_u.service activating 2 41
         > claims change c u.service 2
         at 100",
    );
}

#[test]
fn a_start_that_ends_waits_for_nothing_any_more() {
    both().plays(
        "at 30
         > 2: waits of 40
         answer 2 waits 40 proxy@c_u.service t.service
         > waits whole t.service a 1 on c u.service 2
         unit dep@t.service active 7
         > persist 1
         > hold-states change t.service a 1 up
         > waits change -t.service a",
    );
}

#[test]
fn what_one_attempt_waited_for_is_not_said_of_the_next() {
    both().plays(
        "at 30
         > 2: waits of 40
         answer 2 waits 40 proxy@c_u.service t.service
         > waits whole t.service a 1 on c u.service 2
         holds change t.service a 3 start
         > persist 1
         > acknowledge Holds
         > 3: look dep@t.service
         > hold-states change t.service a 3 starting
         > waits change -t.service a",
    );
}

#[test]
fn a_proxy_that_comes_later_is_asked_about_after_a_pause() {
    both().plays(
        "at 30
         > 2: waits of 40
         answer 2 waits 40 proxy@c_u.service t.service
         > waits whole t.service a 1 on c u.service 2
         unit proxy@c_v.service activating 3 42
         > claims change c v.service 3
         at 500
         at 530
         > 3: waits of 40
         answer 3 waits 40 proxy@c_u.service t.service, 40 proxy@c_v.service t.service
         > waits change t.service a 1 on c u.service 2 on c v.service 3",
    );
}

#[test]
fn an_attempt_that_ended_before_the_answer_is_not_waited_for() {
    both().plays(
        "at 30
         > 2: waits of 40
         unit proxy@c_u.service inactive 2
         > claims change -c u.service
         unit proxy@c_u.service activating 3 43
         > claims change c u.service 3
         answer 2 waits 40 proxy@c_u.service t.service
         at 530
         > 3: waits of 40",
    );
}

#[test]
fn systemd_is_asked_again_at_leisure() {
    let mut stage = both();
    stage.plays(
        "at 30
         > 2: waits of 40
         answer 2 waits",
    );
    for second in (2..=10).step_by(2) {
        stage.plays(&format!(
            "heartbeat
             at {second}000
             > heartbeat"
        ));
    }
    stage.plays(
        "at 10030
         > 3: waits of 40
         answer 3 waits",
    );
}

#[test]
fn a_circle_that_came_over_a_unit_in_between_is_the_reason() {
    both().plays(
        "asks 1 proxy@c_u.service 2
         > helper 1 wait 90s the controller is asked for unit u.service on node c
         at 30
         > 2: waits of 40
         answer 2 waits 40 proxy@c_u.service t.service x.service
         > waits whole t.service a 1 on x.service c u.service 2
         states whole c u.service 2 cycle units need each other
         > acknowledge ClaimStates
         > helper 1 failed cycle units need each other
         removed 40 dep@t.service dependency
         > 3: describe t.service
         answer 3 described loaded inactive success 0 0
         > persist 1
         > hold-states change t.service a 1 down cycle unit t.service on node b was not started: units need each other
         > waits change -t.service a",
    );
}

#[test]
fn what_was_asked_of_a_systemd_that_went_is_asked_again() {
    both().plays(
        "at 30
         > 2: waits of 40
         manager-lost
         manager dep@t.service inactive - 40,proxy@c_u.service activating 2 41,job 40,job 41
         at 600
         > 3: waits of 40",
    );
}
