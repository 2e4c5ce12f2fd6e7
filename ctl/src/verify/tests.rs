//! Each kind of mistake, and the unit file beside it that is right.

use test_case::test_case;

use super::*;
use crate::graph::{
    Seen,
    tests::{graph, target},
};

fn node(name: &str, depends_on: &[&str]) -> Node {
    Node {
        depends_on: Some(depends_on.iter().map(|node| (*node).to_owned()).collect()),
        ..Node::from_listing(name.into(), "online".into(), String::new())
    }
}

/// Nodes `a`, which may depend on `b`, `b`, which may depend on all, and `my_node`; and what `a/x` says.
fn files(words: &[&str], lines: &[&str]) -> Files {
    let reference = |word: &&str| Reference {
        node: "a".parse().expect("name"),
        unit: "x.service".into(),
        file: "/etc/systemd/system/x.service".into(),
        setting: "Requires".into(),
        name: (*word).to_owned(),
    };
    let mut graph = graph(lines);
    for (unit, sight) in &mut graph.units {
        if let Sight::Seen(seen) = sight {
            seen.id = unit.unit.to_string();
            seen.stops_when_unneeded = Some(true);
        }
    }
    Files {
        nodes: vec![node("a", &["b"]), node("b", &["*"]), node("my_node", &[])],
        references: words.iter().map(reference).collect(),
        graph,
        files: BTreeMap::from([("b".parse().expect("name"), vec!["target.service".into()])]),
    }
}

/// What is found, in short: severity, unit, check, what would be right.
fn found(files: &Files) -> Vec<String> {
    let line = |it: Finding| {
        format!(
            "{} {}/{} {}: {}",
            it.severity.as_str(),
            it.node,
            it.unit,
            it.check,
            it.right
        )
    };
    check(files).into_iter().map(line).collect()
}

const GOOD: &[&str] = &[
    "a/x.service Requires a/proxy@b_t.service",
    "a/x.service After a/proxy@b_t.service",
    "a/proxy@b_t.service stands-for b/t.service",
];

#[test_case("proxy@b_t.service", ""; "right")]
#[test_case("bluechi-proxy@b_t.service", ""; "the alias")]
#[test_case("proxy@my\\x5fnode_t.service", ""; "an escape that has to be there")]
#[test_case("proxy@b_%j.service", ""; "a specifier that only systemd knows")]
#[test_case("proxy@b-t.service", "error a/x.service name: proxy@b_t.service"; "no underscore")]
#[test_case("proxy@b_t", "error a/x.service name: proxy@b_t.service"; "no suffix")]
#[test_case("proxy@b_t.service.service", "error a/x.service name: proxy@b_t.service"; "another spelling")]
#[test_case("proxy@b_a/t.service", "error a/x.service name: "; "a character that cannot be in a name")]
#[test_case("proxy@my_node_t.service", "error a/x.service no-node: proxy@my\\x5fnode_t.service"; "a node name that is not escaped")]
#[test_case("conflict@bb_t.service", "error a/x.service no-node: conflict@b_t.service"; "a node that is not there, near one that is")]
#[test_case("proxy@kitchen_t.service", "error a/x.service no-node: "; "far from all")]
#[test_case("proxy@a_t.service", "warning a/x.service own-node: t.service"; "the same node")]
#[test_case("dep@t.service", "warning a/x.service hold: the unit itself, which the hold is for"; "a hold")]
fn names_are_checked_as_they_are_written(word: &str, finding: &str) {
    let found = found(&files(&[word], &[]));
    assert_eq!(found.first().map_or("", String::as_str), finding);
}

#[test]
fn what_is_right_has_no_finding() {
    assert_eq!(
        found(&files(&["proxy@b_t.service"], GOOD)),
        Vec::<String>::new()
    );
}

#[test]
fn order_is_asked_for_in_either_direction() {
    let without = &[GOOD[0], GOOD[2]];
    assert_eq!(
        found(&files(&[], without)),
        ["warning a/x.service no-order: After=proxy@b_t.service"]
    );
    let before = &[GOOD[0], GOOD[2], "a/x.service Before a/proxy@b_t.service"];
    assert_eq!(found(&files(&[], before)), Vec::<String>::new());
}

#[test]
fn a_node_may_depend_only_on_those_that_are_allowed() {
    let lines = &[
        "a/x.service Requires a/proxy@my\\x5fnode_t.service",
        "a/x.service After a/proxy@my\\x5fnode_t.service",
        "a/proxy@my\\x5fnode_t.service stands-for my_node/t.service",
    ];
    let found = found(&files(&[], lines));
    let right =
        "\"my_node\" in allow_dependencies_on of [node.a], in the controller's configuration";
    assert_eq!(found, [format!("error a/x.service not-allowed: {right}")]);
}

#[test_case("not-found", "error a/x.service no-unit: "; "no near name")]
#[test_case("masked", "error a/x.service masked: on b: systemctl unmask t.service")]
#[test_case(
    "bad-setting",
    "error a/x.service broken: on b: systemd-analyze verify t.service"
)]
fn units_have_to_be_there(load: &str, finding: &str) {
    let mut files = files(&[], GOOD);
    let seen = Seen {
        load: load.into(),
        ..Seen::default()
    };
    files
        .graph
        .units
        .insert(target("b/t.service"), Sight::Seen(seen));
    assert_eq!(found(&files), [finding]);
}

#[test]
fn a_near_name_is_said_of_a_unit_that_is_not_there() {
    let rename = |line: &&str| line.replace("b_t", "b_tarket").replace("b/t", "b/tarket");
    let lines: Vec<String> = GOOD.iter().map(rename).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut files = files(&[], &lines);
    let seen = Seen {
        load: "not-found".into(),
        ..Seen::default()
    };
    files
        .graph
        .units
        .insert(target("b/tarket.service"), Sight::Seen(seen));
    assert_eq!(files.lacking().len(), 1);
    assert_eq!(found(&files), ["error a/x.service no-unit: target.service"]);
}

#[test]
fn what_may_be_meant_is_only_noted() {
    let mut files = files(&[], GOOD);
    let seen = |id: &str, stops| Seen {
        load: "loaded".into(),
        id: id.into(),
        stops_when_unneeded: Some(stops),
        ..Seen::default()
    };
    let t = target("b/t.service");
    files
        .graph
        .units
        .insert(t.clone(), Sight::Seen(seen("t.service", false)));
    let right = "StopWhenUnneeded=yes, if it is to run only while it is needed";
    assert_eq!(
        found(&files),
        [format!("note b/t.service not-stopped: {right}")]
    );
    files
        .graph
        .units
        .insert(t.clone(), Sight::Seen(seen("real.service", true)));
    assert_eq!(
        found(&files),
        ["warning a/x.service alias: proxy@b_real.service"]
    );
    files.graph.units.insert(t, Sight::Offline);
    assert_eq!(found(&files), ["note a/x.service node-offline: "]);
}

/// `a/x` needs `b/y` over a unit in between, which needs `a/x`.
fn circle(last: &str, order: &str) -> Files {
    files(
        &[],
        &[
            "a/x.service Requires a/proxy@b_y.service",
            "a/x.service After a/proxy@b_y.service",
            "a/proxy@b_y.service stands-for b/y.service",
            "b/y.service BindsTo b/z.service",
            "b/y.service After b/z.service",
            &format!("b/z.service {last} b/proxy@a_x.service"),
            order,
            "b/proxy@a_x.service stands-for a/x.service",
        ],
    )
}

#[test_case("Requires", "b/z.service After b/proxy@a_x.service", Some(Severity::Error); "each requires the next")]
#[test_case("Requires", "b/proxy@a_x.service Before b/z.service", Some(Severity::Error); "ordered from the other end")]
#[test_case("Wants", "b/z.service After b/proxy@a_x.service", Some(Severity::Warning); "one only wants the next")]
#[test_case("Requires", "b/z.service After b/y.service", None; "one does not wait")]
fn circles_over_nodes_name_every_unit(last: &str, order: &str, severity: Option<Severity>) {
    let found = check(&circle(last, order));
    let circle = found.iter().find(|it| it.check == "circle");
    assert_eq!(circle.map(|it| it.severity), severity);
    if let Some(circle) = circle {
        assert_eq!(
            circle.what,
            "units need each other in a circle: a/x.service needs b/y.service needs b/z.service needs a/x.service"
        );
    }
}
