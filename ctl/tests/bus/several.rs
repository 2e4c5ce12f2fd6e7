//! Several nodes in one call.

use test_case::test_case;

use super::{Bus, Controller, ctl, said};

#[test]
fn a_list_of_names_costs_no_question() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    assert_eq!(ctl(&bus, "start worker1,main target").code, Some(0));
    let mut calls = controller.calls();
    calls.sort();
    assert_eq!(
        calls,
        [
            "main Enqueue \"start\" \"target.service\" \"replace\" COOKIE 0",
            "worker1 Enqueue \"start\" \"target.service\" \"replace\" COOKIE 0"
        ]
    );
}

#[test_case("start main,worker1 target"; "by names")]
#[test_case("start [mw]*[n1] target"; "by a pattern")]
fn jobs_are_told_by_node(line: &str) {
    let said = said(line);
    assert_eq!(
        said.out,
        "NODE    | UNIT           | RESULT | REASON\n\
         -------------------------------------------\n\
         main    | target.service | done   |\n\
         worker1 | target.service | done   |\n"
    );
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn the_worst_node_decides_how_it_ends() {
    let said = said("start --all fail -o plain");
    assert_eq!(
        said.out,
        "main fail.service failed unit-failed\n\
         worker1 fail.service failed unit-failed\n\
         worker2 fail.service error -\n"
    );
    assert_eq!(said.code, Some(6));
}

#[test]
fn labels_choose_nodes() {
    let said = said("freeze @front target -o plain");
    assert_eq!(
        said.out,
        "worker1 target.service done -\n\
         worker2 target.service error \
         node_worker2_is_offline_since_3min_5s_(last_seen_from_10.0.0.3)\n"
    );
    assert_eq!(said.code, Some(6));
}

#[test_case("start @bck target", "no node has the label 'bck'")]
#[test_case("start cam* target", "there is no node 'cam*'")]
fn what_chooses_no_node_is_said(line: &str, text: &str) {
    let said = said(line);
    assert_eq!(said.code, Some(5));
    assert!(said.err.contains(text), "{}", said.err);
}

#[test]
fn patterns_of_units_are_those_that_a_node_has_loaded() {
    let said = said("stop main,worker1 *e* -o plain");
    assert_eq!(
        said.out,
        "main source.service done -\n\
         worker1 old.service done -\n\
         worker1 target.service done -\n"
    );
    assert_eq!(said.code, Some(0));
    let said = super::said("stop --all *e* -o plain");
    assert_eq!(said.out.lines().count(), 3);
    assert_eq!(said.code, Some(6));
    assert!(said.err.contains("node worker2 is offline"), "{}", said.err);
}

#[test]
fn more_units_than_a_bus_takes_calls_at_once_are_done() {
    let units: Vec<String> = (0..250).map(|n| format!("u{n}")).collect();
    let said = said(&format!("start worker1 {} -o plain", units.join(" ")));
    let done = said.out.lines().filter(|line| line.ends_with(" done -"));
    assert_eq!((done.count(), said.code), (250, Some(0)), "{}", said.err);
    let said = super::said(&format!("is-active worker1 {} -o plain", units.join(" ")));
    assert_eq!(said.out.lines().count(), 250);
    let said = super::said(&format!("status worker1 {} -o plain", units.join(" ")));
    assert_eq!((said.out.lines().count(), said.code), (250, Some(4)));
}

#[test]
fn units_of_several_nodes_are_one_table() {
    let said = said("status main,worker1 target gone --no-legend");
    assert_eq!(
        said.out.lines().map(|line| &line[..24]).collect::<Vec<_>>(),
        [
            "main    | target.service",
            "main    | gone.service  ",
            "worker1 | target.service",
            "worker1 | gone.service  "
        ]
    );
    assert_eq!(said.code, Some(4));
}

#[test]
fn nodes_are_shown_by_label() {
    let said = said("status @front -o plain");
    assert_eq!(said.out.lines().count(), 2);
    assert_eq!(said.code, Some(6));
}

#[test]
fn answers_of_several_nodes_are_a_table() {
    let said = said("get-default main,worker1");
    assert_eq!(
        said.out,
        "NODE    | TARGET\n\
         ----------------------------\n\
         main    | graphical.target\n\
         worker1 | multi-user.target\n"
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn units_of_some_nodes_are_listed() {
    let said = said("list-units @front -o plain");
    assert_eq!(said.out, "worker1 target.service loaded active running\n");
    assert_eq!(said.code, Some(6));
    assert!(
        said.err
            .starts_with("error: the units of worker2 are missing"),
        "{}",
        said.err
    );
}
