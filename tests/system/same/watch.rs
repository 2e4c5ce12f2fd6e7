//! Where a pair is, and what becomes of it.

use anyhow::Result;
use tests::{fleet::Fleet, node::Node};

use super::{
    event::{Event, Role},
    kind::Kind,
};
use crate::quiet::{Shown, quiet, show_all};

/// Where source and target are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Both on `worker2`.
    One,
    /// The source on `main`, the target on `worker1`.
    Two,
}

impl Place {
    pub(super) const BOTH: [Self; 2] = [Self::One, Self::Two];

    fn node(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::One, _) => "worker2",
            (Self::Two, Role::Source) => "main",
            (Self::Two, Role::Target) => "worker1",
        }
    }
}

/// A source and a target to which something happens.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) kind: &'a Kind,
    pub(super) event: &'a Event,
    pub(super) place: Place,
}

impl Pair<'_> {
    fn stem(&self) -> String {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let stem: String = self.event.name.chars().map(word).collect();
        stem.replace("--", "-")
    }

    fn unit(&self, role: Role) -> String {
        match role {
            Role::Source => format!("{}-s.service", self.stem()),
            Role::Target => format!("{}-t.service", self.stem()),
        }
    }

    fn keeper(&self) -> String {
        format!("{}-k.service", self.stem())
    }

    /// The files of the pair: node, name, text.
    pub(super) fn units(&self) -> Vec<(&'static str, String, String)> {
        let target = self.unit(Role::Target);
        let (source_node, target_node) =
            (self.place.node(Role::Source), self.place.node(Role::Target));
        let (needed, stopped) = match self.place {
            Place::One => (target.clone(), target.clone()),
            Place::Two => (
                format!("proxy@{target_node}_{target}"),
                format!("conflict@{target_node}_{target}"),
            ),
        };
        let settings = match (self.place, self.kind.settings) {
            (Place::Two, "Conflicts=@") => format!("Requires={stopped}\nAfter={stopped}"),
            (_, settings) => settings.replace('@', &needed),
        };
        let service = "[Service]\nExecStart=/bin/sleep infinity\n\
             ExecReload=/bin/sh -c 'echo >>/run/%N.reloads'\n";
        let text = format!("[Unit]\n{settings}\n{service}");
        let mut units = vec![(source_node, self.unit(Role::Source), text)];
        if self.kind.keeper {
            let text = format!("[Unit]\nRequires={needed}\nAfter={needed}\n{service}");
            units.push((source_node, self.keeper(), text));
        }
        if let Some(text) = self.event.target {
            units.push((target_node, target, text.to_owned()));
        }
        units
    }
}

/// The units of pairs, and what stands for them.
const UNITS: &[&str] = &[
    "*-s.service",
    "*-t.service",
    "*-k.service",
    "proxy@*",
    "dep@*",
    "conflict@*",
];

/// Has everything happen, and says what has become of each pair.
pub(super) fn observe(fleet: &Fleet, pairs: &[Pair<'_>]) -> Result<Vec<String>> {
    for pair in pairs {
        let source = fleet.node(pair.place.node(Role::Source));
        if pair.event.runs {
            if pair.kind.settings.starts_with("On") || pair.kind.settings.starts_with("Conflicts") {
                let target = fleet.node(pair.place.node(Role::Target));
                run(
                    target,
                    &format!("systemctl start {}", pair.unit(Role::Target)),
                )?;
            }
            if pair.kind.keeper {
                run(source, &format!("systemctl start {}", pair.keeper()))?;
            }
            run(
                source,
                &format!("systemctl start {}", pair.unit(Role::Source)),
            )?;
        }
    }
    quiet(fleet, UNITS)?;
    let before = show_all(fleet, UNITS)?;
    let mut ends = Vec::new();
    for pair in pairs {
        let node = fleet.node(pair.place.node(pair.event.at));
        let unit = pair.unit(pair.event.at);
        ends.push(run(node, &pair.event.script.replace('@', &unit))?);
    }
    let after = quiet(fleet, UNITS)?;
    let mut seen = Vec::new();
    for (pair, end) in pairs.iter().zip(ends) {
        let mut words = vec![];
        // Whether the start of a source saw that its target would fail is a matter of a
        // millisecond, on one machine too.
        if !pair.event.name.ends_with("fails at once") {
            words.push(if end { "done" } else { "error" }.to_owned());
        }
        for role in [Role::Source, Role::Target] {
            let node = pair.place.node(role);
            let key = (node.to_owned(), pair.unit(role));
            let reloads = format!(
                "/run/{}.reloads",
                pair.unit(role).trim_end_matches(".service")
            );
            let reloads = fleet.node(node).read(&reloads).unwrap_or_default();
            let mut word = fate(before.get(&key), after.get(&key));
            if !reloads.is_empty() {
                word.push_str(" reloaded");
            }
            words.push(word);
        }
        seen.push(words.join(", "));
    }
    Ok(seen)
}

fn fate(before: Option<&Shown>, after: Option<&Shown>) -> String {
    let text = |shown: Option<&Shown>, key: &str| {
        shown
            .and_then(|it| it.get(key).cloned())
            .unwrap_or_default()
    };
    let state = text(after, "ActiveState");
    if state == "active" {
        let same = text(before, "InvocationID") == text(after, "InvocationID");
        let ran = text(before, "ActiveState") == "active";
        return match (ran, same) {
            (true, true) => "runs on",
            (true, false) => "runs anew",
            (false, _) => "runs",
        }
        .to_owned();
    }
    if state.is_empty() {
        "inactive".to_owned()
    } else {
        state
    }
}

fn run(node: &Node, script: &str) -> Result<bool> {
    Ok(node.run(&["sh", "-c", script])?.success())
}
