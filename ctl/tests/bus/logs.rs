//! `logs` and `cat`: journals and unit files of nodes.

use test_case::test_case;

use super::{Bus, Controller, assert_failed, ctl, said};

/// The messages of lines, and how it ended.
fn messages(line: &str) -> (String, Option<i32>) {
    let said = said(&format!("{line} -o cat"));
    let messages: Vec<&str> = said.out.lines().collect();
    (messages.join(" "), said.code)
}

#[test_case("logs worker1 target", "one two four six"; "all of them, in as many parts as it takes")]
#[test_case("logs worker1 target -n 3", "two four six"; "the last ones")]
#[test_case("logs worker1 target -n 1", "six"; "the last one")]
#[test_case("logs worker1 old target", "one two four six"; "a unit without a line beside one with some")]
#[test_case("logs worker1 target -q", ""; "quietly")]
fn lines_are_those_of_the_unit(line: &str, lines: &str) {
    assert_eq!(messages(line), (lines.to_owned(), Some(0)));
}

#[test]
fn the_next_part_is_asked_for_behind_the_last_line() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    ctl(&bus, "logs worker1 target -n 3");
    let calls = controller.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(!calls[0].contains("Cursor"), "{calls:?}");
    assert!(
        calls[1].contains("\"Cursor\": <\"s=3\">") && calls[1].contains("\"Lines\": <uint32 1>"),
        "{calls:?}"
    );
}

#[test]
fn lines_of_several_nodes_are_in_the_order_of_time() {
    let said = said("logs worker1,worker3 target -o plain");
    assert_eq!(
        said.out,
        "10000000 worker1 target.service 6 target 7 one\n\
         20000000 worker1 target.service 4 target 7 two\n\
         30000000 worker3 target.service 6 target 7 three\n\
         40000000 worker1 target.service 6 target 7 four\n\
         50000000 worker3 target.service 6 target 7 five\n\
         60000000 worker1 target.service 3 target 7 six\n"
    );
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn a_node_that_is_offline_is_told_after_the_lines_of_the_others() {
    let said = said("logs @front target -o cat");
    assert_eq!(said.out.lines().count(), 4, "{}", said.out);
    assert_failed(&said, 6, "node worker2 is offline since 3min 5s");
}

#[test_case("logs worker2 target", 6, "node worker2 is offline"; "offline")]
#[test_case("logs woker1 target", 5, "did you mean worker1?"; "mistyped")]
#[test_case("logs worker1 gone", 4, "there is no unit gone.service on worker1"; "no unit, and no line of it")]
#[test_case("logs worker1 secret", 9, "access denied: not for you"; "denied")]
#[test_case("logs main target", 10, "main"; "an agent that has no journals")]
#[test_case("cat worker2 target", 6, "node worker2 is offline"; "files of an offline node")]
#[test_case("cat woker1 target", 5, "did you mean worker1?"; "files of a mistyped node")]
#[test_case("cat worker1 gone", 4, "there is no unit gone.service on worker1"; "files of no unit")]
#[test_case("cat worker1 secret", 10, "failed to read /etc/systemd/system/secret.service on worker1: Permission denied"; "files that cannot be read")]
#[test_case("cat worker1,worker2 target", 6, "node worker2 is offline"; "files of several nodes")]
fn what_cannot_be_read_is_said(line: &str, code: i32, text: &str) {
    assert_failed(&said(line), code, text);
}

#[test]
fn a_unit_without_a_line_has_no_entries() {
    let none = said("logs worker1 old");
    assert_eq!(
        (none.out.as_str(), none.code),
        ("-- No entries --\n", Some(0))
    );
    for output in ["json", "plain"] {
        let said = said(&format!("logs worker1 old -o {output}"));
        assert_eq!((said.out.as_str(), said.code), ("", Some(0)), "{output}");
    }
}

#[test]
fn each_line_is_an_object() {
    let said = said("logs worker1 target -o json");
    let lines = said.out.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.map(|line| line.expect("an object")).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str()).collect();
    assert_eq!(
        messages,
        [Some("one"), Some("two"), Some("four"), Some("six")]
    );
    assert_eq!(lines[0]["time_usec"], 10_000_000);
    assert_eq!(lines[0]["invocation_id"], serde_json::Value::Null);
}

#[test]
fn lines_are_coloured_by_how_important_they_are() {
    let said = said("--color always logs worker1 target -o cat");
    let coloured: Vec<bool> = said
        .out
        .lines()
        .map(|line| line.contains('\u{1b}'))
        .collect();
    assert_eq!(coloured, [false, true, false, true], "{:?}", said.out);
}

#[test]
fn files_are_printed_as_systemctl_does() {
    let said = said("cat worker1 target");
    assert_eq!(
        said.out,
        "# /etc/systemd/system/target.service\n\
         [Service]\n\
         ExecStart=/bin/true\n\
         \n\
         # /run/systemd/system/target.service.d/limit.conf\n\
         [Service]\n\
         MemoryMax=1G\n"
    );
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn files_of_several_nodes_are_told_apart() {
    let said = said("cat worker1,worker3 a");
    assert_eq!(
        said.out,
        "# worker1: /etc/systemd/system/a.service\n\
         [Service]\n\
         ExecStart=/bin/true\n\
         \n\
         # worker3: /etc/systemd/system/a.service\n\
         [Service]\n\
         ExecStart=/bin/true\n"
    );
}

#[test]
fn a_masked_unit_is_said_to_be_and_is_no_failure() {
    let said = said("cat worker1 masked");
    assert_eq!(said.out, "# Unit masked.service is masked.\n");
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn files_that_systemd_has_not_read_again_are_warned_of() {
    let said = said("cat worker1 changed");
    assert_eq!(said.code, Some(0));
    assert!(
        said.err
            .starts_with("warning: files of changed.service on worker1 have changed"),
        "{}",
        said.err
    );
}

#[test]
fn files_of_units_of_a_node_cost_one_question() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    ctl(&bus, "cat worker1 target a");
    assert_eq!(
        controller.calls(),
        ["worker1 UnitFiles [\"target.service\", \"a.service\"]"]
    );
}
