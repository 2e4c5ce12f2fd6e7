//! What depends on what: as a tree, as a graph for Graphviz, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Look, Mood, Page, clean, json, message::Message, missing, plain};
use crate::{
    cli::Output,
    fleet::{Missing, Target},
    graph::{self, Branch, Direction, Edge, Graph, Relation, Seen, Sight},
};

/// What was found about a unit.
pub(crate) struct Found {
    pub(crate) root: Target,
    pub(crate) parts: Vec<Part>,
    /// Nodes that could not say what their units need.
    pub(crate) missing: Vec<Missing>,
    /// Whether there was more than is looked at.
    pub(crate) is_full: bool,
}

/// What was found in one direction.
pub(crate) struct Part {
    pub(crate) direction: Direction,
    pub(crate) graph: Graph,
}

/// Both directions, with the settings.
pub(crate) fn both(found: &Found, look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let mut text = format!("{}\n", headline(found, look));
            for part in &found.parts {
                let (title, nothing) = match part.direction {
                    Direction::NeededBy => ("Needed by", "Nothing that is known needs it.\n"),
                    Direction::Needs => ("Needs", "It needs no unit of another node.\n"),
                };
                let lines = lines(part, &found.root, Style::Settings, look);
                text.push_str(&format!("\n{title}\n"));
                let is_seen = part.graph.seen(&found.root).is_some();
                text.push_str(match part.direction {
                    _ if !lines.is_empty() => &lines,
                    Direction::Needs if !is_seen => "That is not known.\n",
                    Direction::Needs | Direction::NeededBy => nothing,
                });
            }
            text
        }
        Output::Json => as_json(found),
        Output::Plain => rows(found),
    };
    page(found, data)
}

/// One direction, in the manner of `systemctl list-dependencies`.
pub(crate) fn one(found: &Found, is_plain: bool, look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let style = if is_plain { Style::Names } else { Style::Tree };
            let mut text = format!("{}\n", found.root);
            for part in &found.parts {
                text.push_str(&lines(part, &found.root, style, look));
            }
            text
        }
        Output::Json => as_json(found),
        Output::Plain => rows(found),
    };
    page(found, data)
}

/// A graph in the language of dot(1): one box for each node, an arrow from who needs to what is
/// needed.
pub(crate) fn dot(found: &Found) -> Page {
    let graph = joined(found);
    let mut text = String::from(
        "digraph unitlink {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", \
         fillcolor=white, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    let mut by_node: BTreeMap<&str, Vec<(&Target, &Sight)>> = BTreeMap::new();
    for (unit, sight) in &graph.units {
        by_node
            .entry(unit.node.as_str())
            .or_default()
            .push((unit, sight));
    }
    for (node, units) in by_node {
        text.push_str(&format!(
            "  subgraph {} {{\n    label={};\n",
            quoted(&format!("cluster {node}")),
            quoted(node)
        ));
        for (unit, sight) in units {
            let mut label = unit.unit.to_string();
            if let Some(note) = note(sight) {
                label.push_str(&format!("\n{note}"));
            }
            let bold = if *unit == found.root {
                ", penwidth=2"
            } else {
                ""
            };
            text.push_str(&format!(
                "    {} [label={}, color={}{bold}];\n",
                quoted(&unit.to_string()),
                quoted(&label),
                colour(sight)
            ));
        }
        text.push_str("  }\n");
    }
    for ((from, to), relations) in arrows(&graph) {
        let is_step = relations.iter().any(|relation| relation.is_step());
        let style = if is_step { ", style=bold" } else { "" };
        text.push_str(&format!(
            "  {} -> {} [label={}{style}];\n",
            quoted(&from.to_string()),
            quoted(&to.to_string()),
            quoted(&words(&relations))
        ));
    }
    text.push_str("}\n");
    page(found, text)
}

fn page(found: &Found, data: String) -> Page {
    let mut messages = missing::messages("needs", &found.missing);
    messages.extend(full(found.is_full));
    Page {
        data,
        messages,
        exit: missing::exit(&found.missing),
    }
}

/// A warning, where there was more than is looked at.
pub(super) fn full(is_full: bool) -> Option<Message> {
    let max = crate::limits::UNITS_WALKED_MAX;
    let text = format!("there are more than {max} units to look at; this is not all");
    is_full.then(|| Message::warning(text, None))
}

fn headline(found: &Found, look: &Look) -> String {
    let sights = found
        .parts
        .iter()
        .map(|part| part.graph.units.get(&found.root));
    let sight = sights.flatten().next();
    let state = match sight {
        Some(Sight::Seen(seen)) if seen.load == "loaded" => {
            let state = format!("{} ({})", seen.active, seen.sub);
            look.paint.mood(Mood::of(&seen.active), &clean(&state))
        }
        Some(sight) => note(sight).unwrap_or_default(),
        None => "not known".into(),
    };
    format!("{}: {state}", found.root)
}

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A tree.
    Tree,
    /// A tree with the settings by which a unit is needed.
    Settings,
    /// No tree.
    Names,
}

/// The lines below a unit.
fn lines(part: &Part, root: &Target, style: Style, look: &Look) -> String {
    let tree = graph::tree(&part.graph, root, part.direction);
    let mut text = String::new();
    below(&part.graph, &tree, "", style, look, &mut text);
    text
}

fn below(
    graph: &Graph,
    branch: &Branch<'_>,
    indent: &str,
    style: Style,
    look: &Look,
    text: &mut String,
) {
    let last = branch.below.len().saturating_sub(1);
    for (at, next) in branch.below.iter().enumerate() {
        let sight = graph.units.get(next.unit);
        let name = if next.unit.node == branch.unit.node {
            next.unit.unit.to_string()
        } else {
            next.unit.to_string()
        };
        let (here, deeper) = match style {
            Style::Names => (format!("{indent}  "), format!("{indent}  ")),
            Style::Tree | Style::Settings if at == last => {
                (format!("{indent}\u{2514}\u{2500}"), format!("{indent}  "))
            }
            Style::Tree | Style::Settings => (
                format!("{indent}\u{251c}\u{2500}"),
                format!("{indent}\u{2502} "),
            ),
        };
        text.push_str(&format!("{} {here}{name}", dot_of(sight, look)));
        let settings: Vec<Relation> = next
            .relations
            .iter()
            .copied()
            .filter(|it| !it.is_step())
            .collect();
        if style == Style::Settings && !settings.is_empty() {
            text.push_str(&format!(" ({})", words(&settings)));
        }
        if next.relations.contains(&Relation::Stop) {
            text.push_str(" (is stopped)");
        }
        if let Some(note) = sight.and_then(note) {
            let mood = match Mood::of(&note) {
                Mood::Neutral => Mood::Bad,
                mood @ (Mood::Good | Mood::Bad | Mood::Busy | Mood::Idle) => mood,
            };
            let note = look.paint.mood(mood, &clean(&note));
            text.push_str(&format!(": {note}"));
        }
        if next.is_again {
            text.push_str(", see above");
        }
        text.push('\n');
        below(graph, next, &deeper, style, look, text);
    }
}

/// A dot in the colour of the state, with the shapes of systemctl(1).
fn dot_of(sight: Option<&Sight>, look: &Look) -> String {
    let seen = match sight {
        Some(Sight::Seen(seen)) => seen,
        Some(Sight::Offline | Sight::NoNode | Sight::Unread(_)) | None => {
            return look.paint.mood(Mood::Bad, "?");
        }
    };
    let shape = match seen.active.as_str() {
        "active" => "\u{25cf}",
        "failed" => "\u{d7}",
        "reloading" | "refreshing" => "\u{21bb}",
        "inactive" | "maintenance" => "\u{25cb}",
        _ => "\u{25cf}",
    };
    look.paint.mood(Mood::of(&seen.active), shape)
}

/// What is worth a word about a unit.
fn note(sight: &Sight) -> Option<String> {
    match sight {
        Sight::Seen(Seen { load, .. }) if load != "loaded" => Some(load.clone()),
        Sight::Seen(Seen { active, .. }) => {
            (!matches!(active.as_str(), "active" | "inactive")).then(|| active.clone())
        }
        Sight::Offline => Some("not known, its node is offline".into()),
        Sight::NoNode => Some("there is no such node".into()),
        Sight::Unread(why) => Some(format!("not known: {why}")),
    }
}

/// The colour of a box.
fn colour(sight: &Sight) -> &'static str {
    match sight {
        Sight::Seen(Seen { load, .. }) if load != "loaded" => "red",
        Sight::Seen(Seen { active, .. }) => match active.as_str() {
            "active" => "green4",
            "failed" => "red",
            "inactive" => "gray50",
            _ => "orange",
        },
        Sight::Offline | Sight::NoNode | Sight::Unread(_) => "red",
    }
}

fn words(relations: &[Relation]) -> String {
    let words: Vec<&str> = relations.iter().map(|relation| relation.as_str()).collect();
    words.join(", ")
}

/// A text as dot(1) reads it: between quotes, which are escaped, and so are backslashes, which
/// names of units may hold.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

fn joined(found: &Found) -> Graph {
    let mut graph = Graph::default();
    for part in &found.parts {
        graph.join(part.graph.clone());
    }
    graph
}

/// What a unit says about another one, together.
fn arrows(graph: &Graph) -> BTreeMap<(Target, Target), Vec<Relation>> {
    let mut arrows: BTreeMap<_, Vec<Relation>> = BTreeMap::new();
    for (from, relation, to) in graph.edges() {
        arrows.entry((from, to)).or_default().push(relation);
    }
    arrows
}

fn rows(found: &Found) -> String {
    let graph = joined(found);
    plain(graph.edges().map(|(from, relation, to)| {
        [
            from.node.to_string(),
            from.unit.to_string(),
            word(relation).to_owned(),
            to.node.to_string(),
            to.unit.to_string(),
        ]
    }))
}

/// As programs know it.
fn word(relation: Relation) -> &'static str {
    if relation == Relation::Proxy {
        "Proxy"
    } else if relation == Relation::Stop {
        "Stop"
    } else {
        relation.as_str()
    }
}

fn as_json(found: &Found) -> String {
    let graph = joined(found);
    json(&GraphJson {
        node: found.root.node.as_str(),
        unit: found.root.unit.as_str(),
        units: graph.units.iter().map(UnitJson::of).collect(),
        dependencies: graph.edges().map(EdgeJson::of).collect(),
        complete: !found.is_full && found.missing.is_empty(),
        missing: missing::all_json(&found.missing),
    })
}

#[derive(Serialize)]
struct GraphJson<'a> {
    node: &'a str,
    unit: &'a str,
    units: Vec<UnitJson<'a>>,
    dependencies: Vec<EdgeJson>,
    complete: bool,
    missing: Vec<missing::MissingJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    node: &'a str,
    unit: &'a str,
    load_state: Option<&'a str>,
    active_state: Option<&'a str>,
    sub_state: Option<&'a str>,
    /// Why the state is not known.
    unknown: Option<String>,
}

impl<'a> UnitJson<'a> {
    fn of((unit, sight): (&'a Target, &'a Sight)) -> Self {
        let seen = match sight {
            Sight::Seen(seen) => Some(seen),
            Sight::Offline | Sight::NoNode | Sight::Unread(_) => None,
        };
        let unknown = match sight {
            Sight::Seen(_) => None,
            Sight::Offline => Some("node-offline".to_owned()),
            Sight::NoNode => Some("unknown-node".to_owned()),
            Sight::Unread(why) => Some(why.clone()),
        };
        Self {
            node: unit.node.as_str(),
            unit: unit.unit.as_str(),
            load_state: seen.map(|seen| seen.load.as_str()),
            active_state: seen.map(|seen| seen.active.as_str()),
            sub_state: seen.map(|seen| seen.sub.as_str()),
            unknown,
        }
    }
}

#[derive(Serialize)]
struct EdgeJson {
    from_node: String,
    from_unit: String,
    relation: &'static str,
    to_node: String,
    to_unit: String,
}

impl EdgeJson {
    fn of((from, relation, to): Edge) -> Self {
        Self {
            from_node: from.node.to_string(),
            from_unit: from.unit.to_string(),
            relation: word(relation),
            to_node: to.node.to_string(),
            to_unit: to.unit.to_string(),
        }
    }
}
