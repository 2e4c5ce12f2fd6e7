//! Journals and unit files.

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use proto::name::NodeName;

use super::{look, seen};
use crate::{
    cli::{Format, LogStyle, Output},
    command::Done,
    fault::Fault,
    journal::{Line, Log},
    view::{cat, logs::Writer},
};

fn node(name: &str) -> NodeName {
    name.parse().expect("valid")
}

/// Lines of two nodes, one of which was booted meanwhile.
pub(super) fn lines() -> Vec<(NodeName, Line)> {
    let line = |at: u64, boot: &str, priority: u8, message: &str| Line {
        realtime: 1_795_190_400_000_000 + at,
        monotonic: at,
        boot: boot.into(),
        priority: Some(priority),
        identifier: "target".into(),
        pid: Some(4711),
        unit: "target.service".into(),
        invocation: "00112233445566778899aabbccddeeff".into(),
        message: message.into(),
        cut: 0,
        cursor: format!("s=1;i={at}"),
    };
    let of_systemd = Line {
        identifier: "systemd".into(),
        pid: None,
        ..line(2, "b2", 6, "Started target.service - Target service.")
    };
    let cut = Line {
        cut: 300,
        ..line(1_500_000, "b3", 4, "long")
    };
    vec![
        (node("worker1"), line(1, "b1", 6, "hello")),
        (node("worker2"), of_systemd),
        (
            node("worker1"),
            line(1_000_000, "b1", 3, "first\n\tsecond\u{1b}[2J"),
        ),
        (node("worker2"), cut),
    ]
}

fn written(format: Format, several: bool) -> String {
    let mut writer = Writer::new(format, several, TimeZone::UTC, &look(format.output()));
    let lines = lines();
    let lines = lines.iter().map(|(node, line)| writer.line(node, line));
    lines.collect()
}

#[test]
fn lines_of_journals() {
    assert_snapshot!("logs_short", written(Format::Log(LogStyle::Short), true));
    assert_snapshot!(
        "logs_precise",
        written(Format::Log(LogStyle::ShortPrecise), true)
    );
    assert_snapshot!("logs_iso", written(Format::Log(LogStyle::ShortIso), true));
    assert_snapshot!("logs_cat", written(Format::Log(LogStyle::Cat), true));
    assert_snapshot!(
        "logs_cat_of_one",
        written(Format::Log(LogStyle::Cat), false)
    );
    assert_snapshot!("logs_json", written(Format::Of(Output::Json), true));
    assert_snapshot!("logs_plain", written(Format::Of(Output::Plain), true));
}

#[test]
fn every_field_of_a_line_is_in_the_reference() {
    let reference = include_str!("../../../../docs/reference/json.md");
    let all = written(Format::Of(Output::Json), true);
    let line = all.lines().next().expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("valid");
    for field in line.as_object().expect("an object").keys() {
        assert!(
            reference.contains(&format!("| `{field}` |")) || field == "node",
            "{field}"
        );
    }
}

#[test]
fn the_status_of_a_unit_with_its_log() {
    let page = |log: Log, output: Output| {
        let mut unit = super::unit("target.service", "active", "running");
        unit.details.log = log;
        seen(&super::of_node(&[unit], &look(output)))
    };
    let lines: Vec<Line> = lines().into_iter().map(|(_, line)| line).collect();
    assert_snapshot!("detail_log", page(Log::Lines(lines.clone()), Output::Table));
    assert_snapshot!("detail_log_json", page(Log::Lines(lines), Output::Json));
    let why = "node worker2 is offline".to_owned();
    assert_snapshot!("detail_no_log", page(Log::Unknown(why), Output::Table));
}

#[test]
fn files_of_units() {
    let done = |node: &str, unit: &str, answer| Done {
        verb: "read the files of",
        node: node.parse().expect("valid"),
        unit: unit.into(),
        answer,
    };
    let own = "/etc/systemd/system/target.service";
    let loaded = cat::Unit {
        load: "loaded".into(),
        fragment: own.into(),
        needs_reload: true,
        files: vec![
            (own.into(), "[Service]\nExecStart=/bin/true\n".into()),
            (
                format!("{own}.d/a.conf"),
                "[Service]\nNice=5\u{1b}[2J".into(),
            ),
        ],
        unreadable: vec![(format!("{own}.d/b.conf"), "Permission denied".into())],
    };
    let masked = cat::Unit {
        load: "masked".into(),
        ..cat::Unit::default()
    };
    let missing = cat::Unit {
        load: "not-found".into(),
        ..cat::Unit::default()
    };
    let offline = Fault::Offline {
        node: "worker1".into(),
        last_seen_ago: None,
        address: String::new(),
    };
    let all = [
        done("worker1", "", Err(offline)),
        done("worker2", "target.service", Ok(loaded.clone())),
        done("worker2", "masked.service", Ok(masked)),
        done("worker2", "nosuch.service", Ok(missing)),
    ];
    assert_snapshot!(
        "cat_table",
        seen(&cat::page(&all, true, &look(Output::Table)))
    );
    assert_snapshot!(
        "cat_json",
        seen(&cat::page(&all, true, &look(Output::Json)))
    );
    assert_snapshot!(
        "cat_plain",
        seen(&cat::page(&all, true, &look(Output::Plain)))
    );
    let one = [done("worker2", "target.service", Ok(loaded))];
    assert_snapshot!(
        "cat_of_one",
        seen(&cat::page(&one, false, &look(Output::Table)))
    );
}
