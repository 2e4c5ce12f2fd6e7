use test_case::test_case;

use super::Stage;

const GIVEN: &str = "orders 1 reload proxy@c_u.service
     > order 1 reload c u.service
     > helper 1 wait 90s unit u.service on node c is being reloaded";

#[test_case("ordered 1", "done"; "done")]
#[test_case("ordered 1 unit-failed it failed", "failed unit-failed it failed"; "failed")]
fn an_order_is_given_and_answered(end: &str, answer: &str) {
    let mut stage = Stage::registered("");
    stage.plays(GIVEN);
    stage.plays(&format!("{end}\n> helper 1 {answer}\n{end}"));
}

#[test]
fn an_order_for_no_proxy_is_refused() {
    Stage::registered("").plays(
        "orders 1 stop u.service
         > helper 1 failed invalid-name 'u.service' is no proxy; it looks like 'proxy@NODE_UNIT.service'",
    );
}

#[test]
fn an_order_waits_for_the_controller_and_is_given_again_after_a_loss() {
    let mut stage = Stage::new("");
    stage.plays(
        "manager
         > connect 1 to 0
         orders 1 stop proxy@c_u.service
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842
         link up
         > hello b
         > order 1 stop c u.service
         > helper 1 wait 90s unit u.service on node c is being stopped
         > hold-states whole
         > claims whole
         link closed gone
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842
         at 100
         > connect 2 to 0
         link up
         > hello b
         > order 2 stop c u.service
         > helper 1 wait 89.9s unit u.service on node c is being stopped
         > hold-states whole
         > claims whole
         ordered 1
         ordered 2
         > helper 1 done",
    );
}

#[test]
fn an_order_waits_for_a_node_that_is_offline() {
    Stage::registered("").plays(
        "orders 1 stop proxy@c_u.service
         > order 1 stop c u.service
         > helper 1 wait 90s unit u.service on node c is being stopped
         ordered 1 node-offline node c is offline
         > helper 1 wait 90s node c is offline
         at 150
         at 200
         > order 2 stop c u.service
         > helper 1 wait 89.8s unit u.service on node c is being stopped
         ordered 2
         > helper 1 done",
    );
}

#[test]
fn an_order_is_given_up_after_the_start_timeout() {
    let mut stage = Stage::new("");
    stage.plays(
        "orders 1 stop proxy@c_u.service
         > helper 1 wait 90s controller not reachable at tcp:host=c,port=842
         at 90000
         > helper 1 failed controller-unreachable controller not reachable at tcp:host=c,port=842 (waited 90s)",
    );
}

#[test]
fn an_order_that_waits_may_take_as_long_as_claims_may_from_now_on() {
    let mut stage = Stage::registered("");
    stage.plays(GIVEN);
    stage.plays(
        "timeouts 1
         at 999
         at 1000
         > helper 1 failed timeout unit u.service on node c is being reloaded (waited 1s)",
    );
}

#[test]
fn nobody_is_told_when_the_helper_has_gone() {
    let mut stage = Stage::registered("");
    stage.plays(GIVEN);
    stage.plays("helper-gone 1\nordered 1");
}

#[test]
fn a_proxy_that_is_reloaded_in_a_circle_comes_to_an_end() {
    let mut stage = Stage::registered("");
    let given = |n: usize| {
        format!(
            "orders {n} reload proxy@c_u.service
             > order {n} reload c u.service
             > helper {n} wait 90s unit u.service on node c is being reloaded
             ordered {n}
             > helper {n} done"
        )
    };
    for n in 1..=30 {
        stage.plays(&given(n));
    }
    stage.plays(
        "orders 99 reload proxy@c_u.service
         > helper 99 failed limit proxy@c_u.service was reloaded 30 times in a row; if units of several nodes propagate reloads to each other, one of them must not
         orders 98 stop proxy@c_u.service
         > order 31 stop c u.service
         > helper 98 wait 90s unit u.service on node c is being stopped
         ordered 31
         > helper 98 done
         at 9999
         > disconnect 1
         > connect 2 to 0
         orders 97 reload proxy@c_u.service
         > helper 97 failed limit proxy@c_u.service was reloaded 30 times in a row; if units of several nodes propagate reloads to each other, one of them must not
         at 10000
         orders 96 reload proxy@c_u.service
         > helper 96 wait 90s controller not reachable at tcp:host=c,port=842",
    );
}
