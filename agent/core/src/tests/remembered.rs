//! The target's side of an agent that was restarted: what it remembers, and what it has not seen.

use test_case::test_case;

use super::Stage;

const RECORDS: &str = "unitlink holds 1
hold t.service a 01010101010101010101010101010101 up 07070707070707070707070707070707
hold u.service a 02020202020202020202020202020202 starting -
";

#[test_case("active 7", "up", ""; "as it was")]
#[test_case("active 8", "restarted", "persist 2"; "restarted")]
fn a_restarted_agent_knows_its_tokens_again(unit: &str, state: &str, persist: &str) {
    let persist = if persist.is_empty() {
        String::new()
    } else {
        format!("> {persist}")
    };
    Stage::new(RECORDS).plays(&format!(
        "manager dep@t.service {unit},dep@u.service activating 9 40
         {persist}
         > connect 1 to 0
         link up
         > hello b
         > hold-states whole t.service a 1 {state}, u.service a 2 starting
         > claims whole
         holds whole t.service a 1 keep,u.service a 2 start
         > acknowledge Holds
         unit dep@u.service active 9
         > persist 2
         > hold-states change u.service a 2 up"
    ));
}

#[test]
fn a_restarted_agent_stops_nothing_before_it_was_told_the_whole_set() {
    Stage::new(RECORDS).plays(
        "manager dep@t.service active 7,dep@u.service activating 9 40
         > connect 1 to 0
         link up
         > hello b
         > hold-states whole t.service a 1 up, u.service a 2 starting
         > claims whole
         unit dep@t.service active 7
         unit dep@u.service active 9
         > persist 2
         > hold-states change u.service a 2 up
         holds whole t.service a 1 keep
         > persist 1
         > acknowledge Holds
         > 1: StopUnit dep@u.service replace
         > hold-states change -u.service a",
    );
}

#[test]
fn what_has_ended_while_the_agent_did_not_run_counts_as_stopped() {
    Stage::new(RECORDS).plays(
        "manager dep@t.service inactive -,dep@u.service activating 9 40
         > connect 1 to 0
         > 1: describe t.service
         answer 1 described loaded failed signal 2 9
         > persist 2
         link up
         > hello b
         > hold-states whole t.service a 1 down unit-failed unit t.service on node b failed: signal (signal 9), u.service a 2 starting
         > claims whole",
    );
}

#[test]
fn a_restarted_agent_starts_what_was_not_started() {
    let mut stage = Stage::new(RECORDS);
    stage.plays(
        "manager dep@t.service active 7
         > connect 1 to 0
         link up
         > hello b
         > hold-states whole t.service a 1 up, u.service a 2 starting
         > claims whole
         holds whole t.service a 1 keep,u.service a 2 start
         > acknowledge Holds
         > 1: StartUnit dep@u.service fail",
    );
}
