//! As on one machine: each kind of dependency between two units of one node, and between two nodes,
//! has the same thing happen to it, and must come to the same. Where it does not, [`DIFFERENT`] says
//! how and why, and so does docs/how-to/dependencies.md.

mod event;
mod kind;
mod watch;

use std::fmt::Write;

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::fleet::FleetBuilder;

use crate::world::{scene, three};
use event::{EVENTS, Event};
use kind::{KINDS, Kind};
use watch::{Pair, Place};

/// What is not as on one machine.
struct Different {
    kinds: &'static [&'static str],
    event: &'static str,
    /// What comes of it over nodes: one of these.
    is: &'static [&'static str],
    #[expect(dead_code, reason = "for who reads it")]
    why: &'static str,
}

const DIFFERENT: &[Different] = &[
    Different {
        kinds: &["requires", "propagates reload to", "reload propagated from"],
        event: "source is started, target fails at once",
        is: &["inactive, failed"],
        why: "a target that fails within a second of its start counts as one that has not started",
    },
    Different {
        kinds: &["requires without after"],
        event: "source is started, target fails at once",
        is: &["inactive, failed", "runs, failed"],
        why: "the same; where it fails before it was seen to run, its start has failed, and the source did not wait for that",
    },
    Different {
        kinds: &["requires without after"],
        event: "source is started, target is missing",
        is: &["done, runs, inactive"],
        why: "the source does not wait, and its systemd cannot know that there is no such unit",
    },
    Different {
        kinds: &["requires without after"],
        event: "source is started, target is masked",
        is: &["done, runs, inactive"],
        why: "as for one that is missing",
    },
    Different {
        kinds: &["requires without after", "part of"],
        event: "target is restarted, and fails",
        is: &["error, inactive, failed"],
        why: "the source is not restarted before it is known how the restart of the target ends",
    },
    Different {
        kinds: &["binds to"],
        event: "source is started, target only runs",
        is: &["done, runs, inactive"],
        why: "what has run is all that can be needed of it",
    },
    Different {
        kinds: &["upholds"],
        event: "source is started, target only runs",
        is: &["done, runs, inactive"],
        why: "on one machine it is run again and again until its start limit ends that",
    },
    Different {
        kinds: &["propagates stop to"],
        event: "source is stopped",
        is: &["done, inactive, runs on"],
        why: "the target is given back, and not stopped against others",
    },
    Different {
        kinds: &["propagates stop to"],
        event: "source is restarted",
        is: &["done, runs anew, runs anew", "done, runs anew, runs on"],
        why: "it is given back and needed again: with systemd 252 it has stopped by then, with 257 it is kept over the restart of the proxy",
    },
    Different {
        kinds: &["propagates stop to"],
        event: "source is restarted, target while needed",
        is: &["done, runs anew, runs anew", "done, runs anew, runs on"],
        why: "it is given back and needed again: with systemd 252 it has stopped by then, with 257 it is kept over the restart of the proxy",
    },
    Different {
        kinds: &["part of", "stop propagated from"],
        event: "source is started, target fails at once",
        is: &["inactive, failed", "runs, failed"],
        why: "the same; where the failure is seen before the source is started, it starts without",
    },
    Different {
        kinds: &["stop propagated from"],
        event: "target with Restart=, RestartSec=0 is killed",
        is: &["done, runs on, runs anew", "done, inactive, runs anew"],
        why: "systemd restarts the hold in one go with the target, where it has not stopped it by then",
    },
];

fn layout(kind: &Kind, places: &[Place; 2]) -> FleetBuilder {
    let mut builder = three("same");
    for place in places {
        for event in EVENTS {
            let pair = Pair {
                kind,
                event,
                place: *place,
            };
            for (node, name, text) in pair.units() {
                builder = builder.unit_text(node, &name, &text);
            }
        }
    }
    builder
}

fn compare(kind: &str) {
    let kind = KINDS.iter().find(|it| it.name == kind).expect("a kind");
    scene(layout(kind, &Place::BOTH), |fleet| {
        let pairs: Vec<Pair<'_>> = EVENTS
            .iter()
            .flat_map(|event| Place::BOTH.map(|place| Pair { kind, event, place }))
            .collect();
        let seen = watch::observe(fleet, &pairs)?;
        let mut wrong = String::new();
        for (event, seen) in EVENTS.iter().zip(seen.chunks(2)) {
            judge(kind, event, &seen[0], &seen[1], &mut wrong)?;
        }
        ensure!(wrong.is_empty(), "{}:\n{wrong}", kind.name);
        Ok(())
    });
}

fn judge(kind: &Kind, event: &Event, one: &str, two: &str, wrong: &mut String) -> Result<()> {
    println!("{:20} {:44} {one:55} | {two}", kind.name, event.name);
    let known = DIFFERENT
        .iter()
        .find(|it| it.kinds.contains(&kind.name) && it.event == event.name);
    let as_one = [one];
    let expected = known.map_or(&as_one[..], |it| it.is);
    if !expected.contains(&two) {
        writeln!(
            wrong,
            "{}: on one machine: {one}; expected: {expected:?}; is: {two}",
            event.name
        )?;
    } else if known.is_some_and(|it| it.is.len() == 1) && one == two {
        writeln!(wrong, "{}: is as on one machine", event.name)?;
    }
    Ok(())
}

#[test_case("wants")]
#[test_case("requires")]
#[test_case("requires without after")]
#[test_case("binds to")]
#[test_case("upholds")]
#[test_case("requisite")]
#[test_case("part of")]
#[test_case("stop propagated from")]
#[test_case("propagates stop to")]
#[test_case("propagates reload to")]
#[test_case("reload propagated from")]
#[test_case("before")]
#[test_case("on failure")]
#[test_case("on success")]
#[test_case("conflicts")]
fn it_is_as_on_one_machine(kind: &str) {
    compare(kind);
}
