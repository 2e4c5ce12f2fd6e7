use super::{Stage, live};
use crate::{Input, LinkStatus};

#[test]
fn nothing_is_done_before_the_manager_is_reached_and_then_sets_are_told_in_order() {
    Stage::new("").plays(
        "manager
         > connect 1 to 0
         link connected
         > hello b
         welcome
         > hold-states whole
         > claims whole",
    );
}

#[test]
fn attempts_wait_longer_each_time_and_begin_anew_after_a_good_connection() {
    let mut stage = Stage::new("");
    stage.plays(
        "manager
         > connect 1 to 0
         link failed refused
         at 15
         at 20
         > connect 2 to 0
         link failed refused
         at 49
         at 60
         > connect 3 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole
         at 3000
         > heartbeat
         heartbeat
         at 7000
         > heartbeat
         link closed reset
         > connect 4 to 0",
    );
}

#[test]
fn a_connection_that_is_dropped_at_once_counts_as_a_failed_attempt() {
    Stage::registered("").plays(
        "link closed reset
         at 20
         > connect 2 to 0
         link up
         > hello b
         > hold-states whole
         > claims whole
         link closed reset
         at 35
         at 60
         > connect 3 to 0",
    );
}

#[test]
fn a_controller_that_is_killed_again_and_again_is_called_at_once_each_time() {
    let mut stage = Stage::registered("");
    for killed in 1..=20 {
        let next = killed + 1;
        stage.plays(&format!(
            "at {}
             link closed reset
             > connect {next} to 0
             link up
             > hello b
             > hold-states whole
             > claims whole",
            killed * 300
        ));
    }
}

#[test]
fn a_long_outage_makes_nobody_wait_after_the_next_restart() {
    let mut stage = Stage::new("");
    stage.plays("manager\n> connect 1 to 0\nlink failed refused");
    stage.plays("at 20\n> connect 2 to 0\nlink failed refused");
    stage.plays("at 60\n> connect 3 to 0\nlink failed refused");
    stage
        .plays("at 140\n> connect 4 to 0\nlink up\n> hello b\n> hold-states whole\n> claims whole");
    stage.plays("at 170\nlink closed reset\n> connect 5 to 0");
}

#[test]
fn addresses_are_tried_in_order_before_there_is_a_wait() {
    let mut stage = Stage::new("");
    stage.plays("configure one two\nmanager\n> connect 1 to 0");
    stage.plays(
        "link failed refused
         > connect 2 to 1
         link failed refused
         at 20
         > connect 3 to 0",
    );
}

#[test]
fn new_addresses_are_used_at_once_and_other_settings_without_a_new_connection() {
    let mut stage = Stage::registered("");
    stage.plays("configure elsewhere\n> disconnect 1\n> connect 2 to 0\nlink connected\n> hello b");
    stage.plays("configure elsewhere");
}

#[test]
fn heartbeats_are_sent_and_silence_ends_the_connection() {
    Stage::registered("").plays(
        "at 1899
         at 2000
         > heartbeat
         heartbeat
         at 4000
         > heartbeat
         at 7999
         > heartbeat
         at 8000
         > disconnect 1
         > connect 2 to 0",
    );
}

#[test]
fn a_controller_that_does_not_welcome_is_given_up_after_ten_seconds() {
    Stage::new("").plays(
        "manager
         > connect 1 to 0
         link connected
         > hello b
         at 9999
         at 10000
         > disconnect 1
         at 10020
         > connect 2 to 0
         at 20020
         > disconnect 2",
    );
}

#[test]
fn a_rejection_is_logged_once_in_an_outage() {
    Stage::new("").with_log().plays(
        "manager
         > log ManagerReached
         > connect 1 to 0
         link connected
         > hello b
         rejected node b is not allowed
         > disconnect 1
         > log Rejected
         at 20
         > connect 2 to 0
         link connected
         > hello b
         rejected node b is not allowed
         > disconnect 2
         at 60
         > connect 3 to 0
         link failed refused
         > log Unreachable
         at 200
         > connect 4 to 0
         link failed refused",
    );
}

#[test]
fn a_breach_of_the_protocol_ends_the_connection() {
    let mut stage = Stage::registered("");
    stage.plays("holds change\n> disconnect 1");
    stage.plays("at 20\n> connect 2 to 0\nlink connected\n> hello b");
    stage.plays("holds whole\n> disconnect 2");
}

#[test]
fn what_is_late_is_ignored() {
    let mut stage = Stage::registered("");
    stage.plays("link closed reset\nlink closed reset\nheartbeat\nanswer 99 job 1");
}

#[test]
fn an_agent_that_stops_says_goodbye_and_touches_no_unit() {
    let mut stage = Stage::registered("proxy@c_t.service active 1,dep@u.service active 2");
    stage
        .plays("stop\n> goodbye\n> disconnect 1\nmanager-lost\nmanager proxy@c_t.service active 1");
    assert_eq!(stage.node.deadline(), None);
}

#[test]
fn an_agent_that_stops_says_first_which_units_have_stopped() {
    let mut stage = Stage::registered("dep@u.service active 2");
    stage.plays(
        "holds whole u.service a 1 start
         > persist 1
         > acknowledge Holds
         > 1: look dep@u.service
         > hold-states change u.service a 1 starting
         answer 1 unit dep@u.service active 2
         > persist 1
         > hold-states change u.service a 1 up
         unit dep@u.service inactive 2
         > 2: describe u.service
         stop
         > persist 1
         > hold-states change u.service a 1 down unit-stopped unit u.service on node b was stopped
         > goodbye
         > disconnect 1",
    );
}

#[test]
fn the_address_is_in_the_status() {
    let mut stage = Stage::registered("");
    let address = "tcp:host=c,port=842".to_owned();
    assert_eq!(stage.node.link_status(), LinkStatus::Registered { address });
    stage.node.handle(stage.now, Input::Configure(live(&["x"])));
    assert_eq!(stage.node.link_status(), LinkStatus::Unreachable);
}

#[test]
fn a_node_with_another_name_registers_anew_and_touches_no_unit() {
    let mut stage = Stage::registered("proxy@c_t.service active 1,dep@u.service active 2");
    stage.plays("rename b");
    stage.plays("rename z\n> disconnect 1\n> connect 2 to 0");
}
