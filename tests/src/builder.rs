//! The layout of a fleet before it boots.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::base::Base;
use crate::boot;
use crate::fleet::Fleet;
use crate::island::Island;
use crate::network::Port;
use crate::node::Node;
use crate::stage::Stage;

/// The layout of a fleet: nodes, and files that are there before they boot.
#[derive(Debug)]
pub struct FleetBuilder {
    case: String,
    order: Vec<String>,
    layouts: BTreeMap<String, Layout>,
    stage: Staging,
    /// The first mistake in the layout, told by [`FleetBuilder::boot`].
    problem: Option<anyhow::Error>,
}

#[derive(Debug)]
enum Staging {
    Found,
    Given(Stage),
    Bare,
}

#[derive(Debug, Default)]
struct Layout {
    /// Directories of the host, copied before the single files so that these can replace some.
    copies: Vec<(PathBuf, &'static str)>,
    files: Vec<(String, String)>,
    enabled: Vec<String>,
}

impl FleetBuilder {
    pub(crate) fn new(case: &str) -> Self {
        Self {
            case: case.to_owned(),
            order: Vec::new(),
            layouts: BTreeMap::new(),
            stage: Staging::Found,
            problem: None,
        }
    }

    /// Adds a node. Names are host names: lower-case letters, digits and `-`.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        if !is_host_name(name) {
            self.complain(anyhow!("not a host name: {name:?}"));
        } else if self
            .layouts
            .insert(name.to_owned(), Layout::default())
            .is_some()
        {
            self.complain(anyhow!("two nodes with the name {name}"));
        } else {
            self.order.push(name.to_owned());
        }
        self
    }

    /// Gives a node the unit in the file `path` of the host, under the name of the file.
    #[must_use]
    pub fn unit(self, node: &str, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match (
            fs::read_to_string(path),
            path.file_name().and_then(|name| name.to_str()),
        ) {
            (Ok(text), Some(name)) => self.unit_text(node, name, &text),
            (Err(error), _) => {
                self.with_problem(anyhow!("cannot read {}: {error}", path.display()))
            }
            (Ok(_), None) => self.with_problem(anyhow!("not UTF-8: {}", path.display())),
        }
    }

    /// Gives a node the unit `name` with the text given.
    #[must_use]
    pub fn unit_text(self, node: &str, name: &str, text: &str) -> Self {
        self.file(node, &format!("/etc/systemd/system/{name}"), text)
    }

    /// Writes a file on a node; it is executable when it begins with `#!`.
    #[must_use]
    pub fn file(self, node: &str, path: &str, text: &str) -> Self {
        self.layout(node, |layout| {
            layout.files.push((path.to_owned(), text.to_owned()))
        })
    }

    /// Starts a unit of the stage or of the case with the node.
    #[must_use]
    pub fn enable(self, node: &str, unit: &str) -> Self {
        self.layout(node, |layout| layout.enabled.push(unit.to_owned()))
    }

    /// Lays out a case's folder: each directory `NODE` in it adds that node if it is new, and what
    /// is in `NODE` goes to its `/etc/systemd/system`, except the directory `NODE/etc`, which goes
    /// to its `/etc`. Other files of the folder are not looked at.
    #[must_use]
    pub fn folder(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let nodes = match directories(path) {
            Ok(nodes) => nodes,
            Err(error) => return self.with_problem(error.context(path.display().to_string())),
        };
        for (name, path) in nodes {
            if !self.layouts.contains_key(&name) {
                self = self.node(&name);
            }
            self = self.layout(&name, |layout| {
                layout.copies.push((path.clone(), "/etc/systemd/system"));
                if path.join("etc").is_dir() {
                    layout.copies.push((path.join("etc"), "/etc"));
                }
            });
        }
        self
    }

    /// Configures the daemons: a controller on the node given, which allows all nodes to depend on
    /// all others, and an agent on every node named so far, all started with their nodes. Files
    /// that are added afterwards, such as drop-ins in `/etc/unitlink/controller.toml.d/`, come on
    /// top.
    #[must_use]
    pub fn daemons(mut self, controller: &str) -> Self {
        let Some(index) = self.order.iter().position(|name| name == controller) else {
            return self.with_problem(anyhow!("no node {controller} for the controller"));
        };
        let Some(port) = Port::of(index) else {
            return self.with_problem(anyhow!("too many nodes"));
        };
        let mut config = "[listen]\ntcp = [\"[::]:842\"]\n".to_owned();
        for name in &self.order {
            config.push_str(&format!(
                "\n[node.{name}]\nallow_dependencies_on = [\"*\"]\n"
            ));
        }
        self = self
            .file(controller, "/etc/unitlink/controller.toml", &config)
            .enable(controller, "unitlink-controller.service");
        for name in self.order.clone() {
            let address = if name == controller {
                "unix:path=/run/unitlink/controller.sock".to_owned()
            } else {
                format!("tcp:host={},port=842", port.v4())
            };
            let config = format!("node_name = \"{name}\"\ncontroller = [\"{address}\"]\n");
            self = self
                .file(&name, "/etc/unitlink/agent.toml", &config)
                .enable(&name, "unitlink-agent.service");
        }
        self
    }

    /// Uses this stage instead of the one that [`Stage::find`] finds.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = Staging::Given(stage);
        self
    }

    /// Boots nodes with what the host has in `/usr` and nothing of ours.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.stage = Staging::Bare;
        self
    }

    /// The name of the case.
    #[must_use]
    pub fn case(&self) -> &str {
        &self.case
    }

    /// Whether it needs an installed stage.
    pub(crate) fn needs_stage(&self) -> bool {
        matches!(self.stage, Staging::Found)
    }

    /// Lays out all nodes and boots them at the same time.
    ///
    /// # Errors
    ///
    /// When the layout is wrong, the host lacks something, or a node does not come up.
    pub fn boot(self) -> Result<Fleet> {
        let case = self.case.clone();
        self.build().with_context(|| format!("case {case}"))
    }

    fn build(self) -> Result<Fleet> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let stage = match self.stage {
            Staging::Found => Some(Stage::find()?),
            Staging::Given(stage) => Some(stage),
            Staging::Bare => None,
        };
        let base = Base::find()?;
        let hosts = hosts(&self.order)?;
        let island = Arc::new(Island::create()?);
        base.show(&island)?;
        if let Some(stage) = &stage {
            boot::show_stage(&island, stage)?;
        }
        let mut nodes = Vec::new();
        for (index, name) in self.order.iter().enumerate() {
            let port = Port::of(index).context("too many nodes")?;
            let node = Node::create(name, port, &hosts, &island, &base, stage.as_ref())?;
            if let Some(layout) = self.layouts.get(name) {
                lay_out(&node, layout).with_context(|| format!("the files of {name}"))?;
            }
            nodes.push(node);
        }
        let fleet = Fleet::new(nodes, island);
        boot_all(fleet.nodes())?;
        Ok(fleet)
    }

    fn layout(mut self, node: &str, change: impl FnOnce(&mut Layout)) -> Self {
        match self.layouts.get_mut(node) {
            Some(layout) => change(layout),
            None => self.complain(anyhow!("no node {node} was named before its files")),
        }
        self
    }

    fn with_problem(mut self, problem: anyhow::Error) -> Self {
        self.complain(problem);
        self
    }

    fn complain(&mut self, problem: anyhow::Error) {
        self.problem.get_or_insert(problem);
    }
}

fn boot_all(nodes: &[Node]) -> Result<()> {
    thread::scope(|scope| {
        let booting: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.boot()))
            .collect();
        // All are joined before the first error is returned: the scope would wait for them anyway.
        let results: Vec<_> = booting.into_iter().map(|thread| thread.join()).collect();
        for result in results {
            result.map_err(|_| anyhow!("a thread that boots a node panicked"))??;
        }
        Ok(())
    })
}

fn lay_out(node: &Node, layout: &Layout) -> Result<()> {
    for (from, to) in &layout.copies {
        node.copy_in(from, to)?;
    }
    for (path, text) in &layout.files {
        node.write(path, text)?;
    }
    for unit in &layout.enabled {
        node.enable(unit)?;
    }
    Ok(())
}

/// `/etc/hosts` of every node (hosts(5)).
fn hosts(names: &[String]) -> Result<String> {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for (index, name) in names.iter().enumerate() {
        let port = Port::of(index).context("too many nodes")?;
        text.push_str(&format!("{} {name}\n{} {name}\n", port.v4(), port.v6()));
    }
    Ok(text)
}

fn is_host_name(name: &str) -> bool {
    // The limit of a label in RFC 1123, which is also below that of a network namespace's name.
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && name != "island"
}

fn directories(path: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) => drop(found.insert(name, entry.path())),
            Err(name) => bail!("not UTF-8: {}", name.display()),
        }
    }
    Ok(found)
}
