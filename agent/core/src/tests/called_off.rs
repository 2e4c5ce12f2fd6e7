//! Starts of held units that are called off.

use super::Stage;

/// A node on which `t.service` is being started while the unit of a proxy that it requires has gone.
fn starting_on_a_proxy_that_goes() -> Stage {
    let mut stage = Stage::registered("proxy@c_x.service active 3");
    stage.plays(
        "holds whole t.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: StartUnit dep@t.service fail
         > hold-states change t.service a 1 starting
         answer 1 job 40
         unit dep@t.service inactive - 40
         states whole c x.service 3 stopped it was stopped
         > acknowledge ClaimStates
         > 2: StopUnit proxy@c_x.service replace",
    );
    stage
}

#[test]
fn a_start_that_made_way_for_our_stop_of_a_proxy_is_asked_for_again() {
    starting_on_a_proxy_that_goes().plays(
        "job-new 42 dep@t.service
         removed 40 dep@t.service canceled
         answer 2 job 43
         removed 42 dep@t.service done
         > 3: StartUnit dep@t.service fail
         answer 3 error TransactionIsDestructive t.service is being stopped
         removed 41 t.service done
         > 4: StartUnit dep@t.service fail",
    );
}

#[test]
fn a_start_that_is_cancelled_after_our_stop_was_answered_has_failed() {
    starting_on_a_proxy_that_goes().plays(
        "answer 2 job 43
         unit dep@t.service inactive -
         removed 40 dep@t.service canceled
         > 3: describe t.service
         answer 3 described loaded inactive success 0 0
         > persist 1
         > hold-states change t.service a 1 down canceled unit t.service on node b was not started: its job was cancelled",
    );
}
