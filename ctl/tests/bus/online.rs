//! `is-online`, also where it is waited for.

use test_case::test_case;

use super::{Bus, Controller, ctl, end, said, spawn};

#[test_case("is-online node main", "online", 0)]
#[test_case("is-online system", "degraded", 6)]
#[test_case("is-online node worker1 --wait", "online", 0; "it is there already")]
fn the_status_is_said(line: &str, word: &str, code: i32) {
    let said = said(line);
    assert_eq!(
        (said.out.trim_end(), said.code),
        (word, Some(code)),
        "{}",
        said.err
    );
}

#[test]
fn the_agent_of_this_machine_can_be_asked() {
    let bus = Bus::start();
    assert_eq!(ctl(&bus, "is-online agent").code, Some(8));
    let waits = spawn(&bus, "is-online agent --wait");
    let _agent = Controller::serve_as(&bus, "org.eclipse.bluechi.Agent");
    let said = end(waits);
    assert_eq!(
        (said.out.as_str(), said.code),
        ("online\n", Some(0)),
        "{}",
        said.err
    );
}

#[test]
fn a_node_is_watched_until_it_is_offline() {
    let said = said("is-online node leaves --monitor");
    assert_eq!(
        (said.out.as_str(), said.code),
        ("online\noffline\n", Some(6)),
        "{}",
        said.err
    );
}

#[test]
fn a_controller_that_does_not_come_back_ends_the_watch() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let watch = spawn(&bus, "is-online node main --monitor --timeout 300ms");
    controller.has_been_asked("Get");
    drop(controller);
    let said = end(watch);
    assert_eq!(
        (said.out.as_str(), said.code),
        ("online\n", Some(8)),
        "{}",
        said.err
    );
}

#[test]
fn a_node_is_waited_for_by_signals() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let said = ctl(&bus, "is-online node late --wait");
    assert_eq!(
        (said.out.as_str(), said.code),
        ("online\n", Some(0)),
        "{}",
        said.err
    );
    assert_eq!(controller.calls().len(), 2);
}

#[test]
fn the_wait_has_an_end() {
    let said = said("is-online system --wait=200ms");
    assert_eq!(said.code, Some(7));
    assert!(
        said.err
            .starts_with("error: the fleet is not online after 200ms\n"),
        "{}",
        said.err
    );
}

#[test]
fn a_node_that_the_controller_does_not_know_is_not_waited_for() {
    assert_eq!(said("is-online node woker1 --wait").code, Some(5));
}

#[test]
fn a_controller_that_is_not_there_yet_is_waited_for() {
    let bus = Bus::start();
    let ctl = spawn(&bus, "is-online node main --wait");
    let _controller = Controller::serve(&bus);
    let said = end(ctl);
    assert_eq!(
        (said.out.as_str(), said.code),
        ("online\n", Some(0)),
        "{}",
        said.err
    );
}
