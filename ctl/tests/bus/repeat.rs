//! Requests whose controller is gone before it has answered: each is carried out once, and told its own end.

use std::process::Child;

use test_case::test_case;

use super::{
    Bus, Controller, assert_failed, assert_quiet,
    controller::{Knows, Node},
    end, spawn,
};

/// Requests for `twice.service`, of which the controller takes in all, one after the other, before it is gone.
fn asked(bus: &Bus, node: &Node, line: &str, times: usize) -> Vec<Child> {
    let controller = Controller::serve_with(bus, node);
    let ask = |_| {
        let ctl = spawn(bus, line);
        controller.has_started_a_job();
        ctl
    };
    (0..times).map(ask).collect()
}

/// Of two equal requests of nearly the same moment one never came to the agent; the one that did is younger than both
/// clients, so by kind, unit and age it is as good as the job of each.
#[test_case("start worker1 twice"; "start")]
#[test_case("stop worker1 twice"; "stop")]
#[test_case("restart worker1 twice"; "restart")]
#[test_case("reload worker1 twice"; "reload")]
#[test_case("--no-block restart worker1 twice"; "without waiting")]
fn two_equal_requests_of_which_one_was_lost_are_both_carried_out(line: &str) {
    let bus = Bus::start();
    let node = Node::losing(1, Knows::Cookies);
    let clients = asked(&bus, &node, line, 2);
    let _next = Controller::serve_with(&bus, &node);
    for client in clients {
        assert_quiet(&end(client));
    }
    assert_eq!(node.carried_out(), 2);
}

#[test_case(Knows::Cookies)]
#[test_case(Knows::NoneOfAgent)]
#[test_case(Knows::None)]
fn a_request_that_came_to_the_agent_is_not_carried_out_again_by_who_knows(knows: Knows) {
    let bus = Bus::start();
    let node = Node::losing(0, knows);
    let clients = asked(&bus, &node, "restart worker1 twice", 1);
    let _next = Controller::serve_with(&bus, &node);
    for client in clients {
        assert_quiet(&end(client));
    }
    assert_eq!(node.carried_out(), 1);
}

#[test_case(Knows::Cookies)]
#[test_case(Knows::NoneOfAgent)]
#[test_case(Knows::None)]
fn a_request_that_never_came_to_the_agent_is_made_again_by_who_knows(knows: Knows) {
    let bus = Bus::start();
    let node = Node::losing(1, knows);
    let clients = asked(&bus, &node, "restart worker1 twice", 1);
    let _next = Controller::serve_with(&bus, &node);
    for client in clients {
        assert_quiet(&end(client));
    }
    assert_eq!(node.carried_out(), 1);
}

/// Where nobody knows the names of requests, one of two may be told the end of the other: that is why there are names.
#[test]
fn without_names_two_equal_requests_of_which_one_was_lost_are_carried_out_once() {
    let bus = Bus::start();
    let node = Node::losing(1, Knows::None);
    let clients = asked(&bus, &node, "restart worker1 twice", 2);
    let _next = Controller::serve_with(&bus, &node);
    for client in clients {
        assert_quiet(&end(client));
    }
    assert_eq!(node.carried_out(), 1);
}

#[test]
fn a_request_that_nobody_remembers_is_not_made_again() {
    let bus = Bus::start();
    let node = Node::losing(1, Knows::Forgotten);
    let clients = asked(&bus, &node, "restart worker1 twice", 1);
    let _next = Controller::serve_with(&bus, &node);
    for client in clients {
        assert_failed(
            &end(client),
            8,
            "look at the unit before it is asked for again",
        );
    }
    assert_eq!(node.carried_out(), 0);
}

#[test]
fn more_requests_than_a_bus_takes_at_once_are_repeated() {
    let bus = Bus::start();
    let node = Node::losing(usize::MAX, Knows::Cookies);
    let units: Vec<String> = (0..250).map(|n| format!("twice{n}")).collect();
    let line = format!("restart worker1 {} -o plain", units.join(" "));
    let controller = Controller::serve_with(&bus, &node);
    let ctl = spawn(&bus, &line);
    for _ in 0..100 {
        controller.has_started_a_job();
    }
    node.hears_all();
    drop(controller);
    let _next = Controller::serve_with(&bus, &node);
    let said = end(ctl);
    let done = said.out.lines().filter(|line| line.ends_with(" done -"));
    assert_eq!((done.count(), said.code), (250, Some(0)), "{}", said.err);
    assert_eq!(node.carried_out(), 250);
}
