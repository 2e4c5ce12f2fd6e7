//! What must hold when nothing happens: what systemd runs on every node, what is needed and what is
//! held, and what the controller says of it, are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use ::tests::fleet::Fleet;
use ::tests::node::Node;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::layout::{Layout, NODES, NodeId, Role, Tie};

/// A unit as its systemd shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `ActiveState`
    pub(crate) active: String,
    /// Zero for none.
    pub(crate) main_pid: u32,
    pub(crate) invocation: String,
    /// `StatusText`, which says why a proxy has failed.
    pub(crate) status: String,
    has_job: bool,
}

impl Seen {
    pub(crate) fn is_active(&self) -> bool {
        self.active == "active"
    }
}

/// The units of each node, by name: those of the layout, all proxies and all holds.
pub(crate) type View = Vec<BTreeMap<String, Seen>>;

/// Asks the systemd of each node.
pub(crate) fn look(fleet: &Fleet, layout: &Layout) -> Result<View> {
    each_node(|id| look_at(fleet.node(NODES[id]), layout, id))
}

/// What is not as it must be, of what systemd shows.
pub(crate) fn problems(layout: &Layout, view: &View) -> Vec<String> {
    let mut problems = Vec::new();
    for (node, units) in view.iter().enumerate() {
        for (name, seen) in units {
            let is_settled = matches!(seen.active.as_str(), "active" | "inactive" | "failed");
            if !is_settled || seen.has_job {
                let job = if seen.has_job { " with a job" } else { "" };
                problems.push(format!("{name} on {} is {}{job}", NODES[node], seen.active));
            }
        }
    }
    needs_and_holds(layout, view, &mut problems);
    for unit in &layout.units {
        let on = NODES[unit.node];
        let is_active = is_active(view, unit.node, &unit.name);
        let is_held = is_active_hold(view, unit.node, &unit.hold());
        if unit.role == Role::Target && is_active != is_held {
            let held = if is_held { "held" } else { "not held" };
            let is = if is_active { "active" } else { "not active" };
            problems.push(format!("{} on {on} is {held} and {is}", unit.name));
        }
        for need in &unit.needs {
            let proxy = layout.units[need.of].proxy();
            let must = match need.tie {
                Tie::BindsTo | Tie::Upholds => is_active,
                // What a unit requires may end by itself, or with its node, as on one machine.
                Tie::Requires | Tie::Wants => false,
            };
            if must && !self::is_active(view, unit.node, &proxy) {
                let tie = format!("{:?}", need.tie);
                problems.push(format!(
                    "{} on {on} is active, and {proxy}, which is in its {tie}=, is not",
                    unit.name
                ));
            }
        }
    }
    problems
}

/// Proxies are active where something active needs them, and holds where a proxy is.
fn needs_and_holds(layout: &Layout, view: &View, problems: &mut Vec<String>) {
    let mut needed = BTreeSet::new();
    let mut known = vec![BTreeSet::new(); NODES.len()];
    for (node, of) in layout.proxies() {
        let unit = &layout.units[of];
        let proxy = unit.proxy();
        if is_active(view, node, &proxy) {
            needed.insert((unit.node, unit.hold()));
            let mut needers = layout.needers(node, of);
            if !needers.any(|needer| is_active(view, node, &needer.name)) {
                problems.push(format!("{proxy} on {} is active for nobody", NODES[node]));
            }
        }
        known[node].insert(proxy);
    }
    for (node, units) in view.iter().enumerate() {
        for (name, seen) in units.iter().filter(|(_, seen)| seen.is_active()) {
            let is_hold = name.starts_with("dep@") || name.starts_with("dep-unit@");
            if is_hold && !needed.remove(&(node, name.clone())) {
                problems.push(format!("{name} on {} holds for nobody", NODES[node]));
            }
            if name.starts_with("proxy@") && !known[node].contains(name) {
                problems.push(format!("{name} on {}: whose is it? {seen:?}", NODES[node]));
            }
        }
    }
    for (node, hold) in needed {
        problems.push(format!("{hold} on {} is needed, not active", NODES[node]));
    }
}

/// What of the controller's view is not what systemd shows.
pub(crate) fn disagreements(fleet: &Fleet, layout: &Layout, view: &View) -> Result<Vec<String>> {
    let main = fleet.node(NODES[0]);
    let mut problems = Vec::new();
    for node in ctl(main, &["status"])?["nodes"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if node["status"] != "online" {
            problems.push(format!("{} is {}", node["name"], node["status"]));
        }
    }

    // Each node is asked, and each claim must be told by both of its ends.
    let told = each_node(|id| claims(main, id))?;
    let mut shown = BTreeSet::new();
    for (node, of) in layout.proxies() {
        let unit = &layout.units[of];
        if let Some(seen) = view[node]
            .get(&unit.proxy())
            .filter(|seen| seen.is_active())
        {
            shown.insert((
                NODES[node].to_owned(),
                NODES[unit.node].to_owned(),
                unit.name.clone(),
                seen.invocation.clone(),
                "up".to_owned(),
            ));
        }
    }
    for (node, told) in NODES.iter().zip(&told) {
        let shown: BTreeSet<Claim> = shown
            .iter()
            .filter(|claim| claim.0 == *node || claim.1 == *node)
            .cloned()
            .collect();
        for claim in told.difference(&shown) {
            problems.push(format!(
                "`ctl status {node}` tells of {claim:?}, systemd does not"
            ));
        }
        for claim in shown.difference(told) {
            problems.push(format!("`ctl status {node}` does not tell of {claim:?}"));
        }
    }

    let mut listed = BTreeMap::new();
    let units = ctl(main, &["list-units", "--all"])?;
    for unit in units["units"].as_array().into_iter().flatten() {
        let text = |key: &str| unit[key].as_str().unwrap_or_default().to_owned();
        listed.insert((text("node"), text("unit")), text("active_state"));
    }
    for (node, units) in NODES.iter().zip(view) {
        for (name, seen) in units.iter().filter(|(_, seen)| seen.is_active()) {
            let state = listed.get(&((*node).to_owned(), name.clone()));
            if state != Some(&seen.active) {
                problems.push(format!(
                    "`ctl list-units` has {name} on {node} as {state:?}"
                ));
            }
        }
    }
    Ok(problems)
}

/// Source, node, unit, token, state.
type Claim = (String, String, String, String, String);

fn claims(main: &Node, id: NodeId) -> Result<BTreeSet<Claim>> {
    let status = ctl(main, &["status", NODES[id]])?;
    let claims = status["claims"].as_array().context("no claims in it")?;
    Ok(claims
        .iter()
        .map(|claim| {
            let text = |key: &str| claim[key].as_str().unwrap_or_default().to_owned();
            (
                text("source"),
                text("node"),
                text("unit"),
                text("token"),
                text("state"),
            )
        })
        .collect())
}

fn ctl(main: &Node, line: &[&str]) -> Result<Value> {
    let mut args = vec!["ctl", "--output", "json"];
    args.extend(line);
    serde_json::from_str(&main.ok(&args)?).context("what ctl says is not JSON")
}

fn is_active(view: &View, node: NodeId, name: &str) -> bool {
    view[node].get(name).is_some_and(Seen::is_active)
}

fn is_active_hold(view: &View, node: NodeId, name: &str) -> bool {
    is_active(view, node, name)
}

fn look_at(node: &Node, layout: &Layout, id: NodeId) -> Result<BTreeMap<String, Seen>> {
    let mut args = vec![
        "show",
        "--property=Id,ActiveState,MainPID,InvocationID,Job,StatusText",
        "--",
        "proxy@*",
        "dep@*",
        "dep-unit@*",
    ];
    let names = layout.units.iter().filter(|unit| unit.node == id);
    args.extend(names.map(|unit| unit.name.as_str()));
    let text = node.systemctl(&args)?;
    Ok(text.split("\n\n").filter_map(parse).collect())
}

/// One unit of what `systemctl show` prints.
fn parse(text: &str) -> Option<(String, Seen)> {
    let fields: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let field = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
    let name = field("Id");
    (!name.is_empty()).then(|| {
        let seen = Seen {
            active: field("ActiveState"),
            main_pid: field("MainPID").parse().unwrap_or(0),
            invocation: field("InvocationID"),
            status: field("StatusText"),
            has_job: !field("Job").is_empty() && field("Job") != "0",
        };
        (name, seen)
    })
}

/// Does something for all nodes at the same time.
pub(crate) fn each_node<T: Send>(what: impl Fn(NodeId) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..NODES.len())
            .map(|id| {
                let what = &what;
                scope.spawn(move || what(id))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow!("a thread panicked"))
                    .flatten()
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MainPID=7\nId=a.service\nActiveState=active\nInvocationID=ff\n\n\
                        Job=12\nId=b.target\nActiveState=inactive\nInvocationID=\n";

    #[test]
    fn units_are_read_as_systemctl_shows_them() {
        let units: BTreeMap<_, _> = TEXT.split("\n\n").filter_map(parse).collect();
        assert!(units["a.service"].is_active());
        assert_eq!(units["a.service"].main_pid, 7);
        assert!(!units["a.service"].has_job);
        assert!(units["b.target"].has_job);
    }

    fn view(active: &[(NodeId, &str)]) -> View {
        let mut view = vec![BTreeMap::new(); NODES.len()];
        for (node, name) in active {
            let text = format!("Id={name}\nActiveState=active\n");
            view[*node].extend(parse(&text));
        }
        view
    }

    #[test]
    fn a_hold_without_a_need_and_a_need_without_a_hold_are_found() {
        let layout = Layout::of(1);
        assert_eq!(problems(&layout, &view(&[])), [""; 0]);
        let (node, of) = layout.proxies().into_iter().next().unwrap();
        let unit = &layout.units[of];
        let (proxy, hold) = (unit.proxy(), unit.hold());

        let held = problems(
            &layout,
            &view(&[(unit.node, &hold), (unit.node, &unit.name)]),
        );
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[0].contains("holds for nobody"), "{held:?}");

        let needed = problems(&layout, &view(&[(node, &proxy)]));
        assert!(
            needed.iter().any(|it| it.contains("active for nobody")),
            "{needed:?}"
        );
        assert!(
            needed.iter().any(|it| it.contains("is needed, not active")),
            "{needed:?}"
        );
    }
}
