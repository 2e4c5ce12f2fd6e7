//! What depends on what, as people, programs and Graphviz see it.

use insta::assert_snapshot;

use super::{super::deps, look, seen};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::Missing,
    graph::{
        Direction, Seen, Sight,
        tests::{graph, target},
    },
    view::deps::{Found, Part},
};

fn found() -> Found {
    let mut needs = graph(&[
        "a/x\\x2dy.service BindsTo a/proxy@b_t.service",
        "a/x\\x2dy.service Wants a/proxy@b_t.service",
        "a/x\\x2dy.service Requires a/conflict@c_u.service",
        "a/proxy@b_t.service stands-for b/t.service",
        "a/conflict@c_u.service stops c/u.service",
        "b/t.service Wants b/proxy@z_gone.service",
        "b/proxy@z_gone.service stands-for z/gone.service",
    ]);
    needs.units.insert(target("c/u.service"), Sight::Offline);
    needs.units.insert(target("z/gone.service"), Sight::NoNode);
    let not_found = Seen {
        load: "not-found".into(),
        active: "inactive".into(),
        ..Seen::default()
    };
    needs
        .units
        .insert(target("b/t.service"), Sight::Seen(not_found));
    let missing = Missing {
        node: "c".into(),
        error: "org.eclipse.bluechi.Offline".into(),
        text: "node c is offline".into(),
        exit: Exit::Done,
    };
    let part = |direction, graph| Part { direction, graph };
    Found {
        root: target("a/x\\x2dy.service"),
        parts: vec![
            part(Direction::NeededBy, graph(&[])),
            part(Direction::Needs, needs),
        ],
        missing: vec![missing],
        is_full: false,
    }
}

#[test]
fn a_table_says_which_settings_lead_where_and_what_is_not_known() {
    assert_snapshot!(seen(&deps::both(&found(), &look(Output::Table))));
}

#[test]
fn programs_get_units_and_dependencies() {
    assert_snapshot!(seen(&deps::both(&found(), &look(Output::Json))));
    assert_snapshot!(seen(&deps::both(&found(), &look(Output::Plain))));
}

#[test]
fn names_are_escaped_for_graphviz() {
    assert_snapshot!(seen(&deps::dot(&found())));
}

#[test]
fn names_without_a_tree() {
    assert_snapshot!(seen(&deps::one(&found(), true, &look(Output::Table))));
}
