//! Units that only run, and holds that are bound to nothing.

use test_case::test_case;

use super::{starting, up};

#[test]
fn what_only_runs_is_up_once_it_has_run_and_stays_so() {
    starting().plays(
        "holds change t.service d 2 start
         > persist 2
         > acknowledge Holds
         > 2: look dep@t.service
         > hold-states change t.service d 2 starting
         answer 2 unit dep@t.service inactive - 40
         removed 41 t.service done
         unit dep@t.service inactive - 40
         removed 40 dep@t.service dependency
         > 3: describe t.service
         answer 3 ran
         > persist 2
         > hold-states change t.service a 1 up, t.service d 2 up
         holds change t.service a 1 keep
         > acknowledge Holds
         holds change t.service a 3 start
         > persist 2
         > acknowledge Holds
         > 4: StartUnit dep@t.service fail
         > hold-states change t.service a 3 starting",
    );
}

#[test]
fn what_only_runs_has_run_although_somebody_starts_it_again() {
    starting().plays(
        "removed 41 t.service done
         unit dep@t.service inactive - 40
         removed 40 dep@t.service dependency
         > 2: describe t.service
         answer 2 runs
         > persist 1
         > hold-states change t.service a 1 up",
    );
}

/// It failed, or a unit that it needs did: what it says is from an earlier run.
#[test_case("removed 41 t.service failed\n", "unit-failed", "could not be started"; "its job has failed")]
#[test_case("", "unit-failed", "did not become active: a condition is not met, it ended at once, or a unit that it needs failed"; "it had no job")]
#[test_case("removed 41 t.service unsupported\n", "unit-failed", "cannot be started on this node"; "its node does not support it")]
#[test_case("removed 43 t.service done\nremoved 41 t.service canceled\n", "canceled", "was not started: its job was cancelled"; "its job was canceled, and one that does nothing is done")]
fn what_only_runs_and_has_not_is_down(job: &str, cause: &str, text: &str) {
    starting().plays(&format!(
        "{job}unit dep@t.service inactive - 40
         removed 40 dep@t.service dependency
         > 2: describe t.service
         answer 2 ran
         > persist 1
         > hold-states change t.service a 1 down {cause} unit t.service on node b {text}",
    ));
}

#[test]
fn a_hold_that_stays_when_its_unit_has_stopped_is_stopped() {
    let mut stage = up();
    stage.plays(
        "unit dep@t.service active 7
         removed 44 t.service done
         > 2: describe t.service
         answer 2 described loaded inactive success 0 0
         > 3: StopUnit dep@t.service replace
         answer 3 job 45
         unit dep@t.service inactive - 45
         removed 45 dep@t.service done
         > 4: describe t.service
         answer 4 described loaded inactive success 0 0
         > persist 1
         > hold-states change t.service a 1 down unit-stopped unit t.service on node b was stopped",
    );
}

/// It has ended by itself, so no job tells of it: its hold unit has lost what bound it, and does not end.
#[test]
fn a_hold_that_is_bound_to_nothing_is_stopped_when_its_unit_ends_by_itself() {
    up().plays(
        "unbound t.service
         > 2: describe t.service
         answer 2 described loaded failed exit-code 1 3
         > 3: StopUnit dep@t.service replace
         answer 3 job 45
         unit dep@t.service inactive - 45
         removed 45 dep@t.service done
         > 4: describe t.service
         answer 4 described loaded failed exit-code 1 3
         > persist 1
         > hold-states change t.service a 1 down unit-died unit t.service on node b failed: exit-code (status 3)",
    );
}

/// It is asked once at a time, is left alone while it runs, and nothing is asked of a unit that nobody holds.
#[test]
fn a_hold_that_is_bound_to_nothing_stays_while_its_unit_runs() {
    up().plays(
        "unbound t.service
         > 2: describe t.service
         unbound t.service
         unbound u.service
         answer 2 described loaded active success 0 0
         unit dep@t.service active 7 9
         unbound t.service
         unit dep@t.service active 7
         unbound t.service
         > 3: describe t.service
         manager-lost
         unbound t.service",
    );
}
