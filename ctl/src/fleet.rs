//! What the controller says about nodes, claims and units, as values.

use std::{cmp::Ordering, fmt, time::Duration};

use proto::name::{NodeName, UnitName};

pub(crate) use crate::details::Details;
use crate::{exit::Exit, facts::Facts, fault::Fault};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// `online` or `offline`.
    pub(crate) status: String,
    /// Where its agent connects from, or did last; empty if that is not known.
    pub(crate) address: String,
    /// `unix`, `tcp` …; empty if that is not known.
    pub(crate) transport: String,
    pub(crate) encrypted: Option<bool>,
    /// Empty for an agent that does not say it.
    pub(crate) agent_version: String,
    pub(crate) protocol: Option<u32>,
    pub(crate) labels: Vec<String>,
    /// The nodes whose units its units may depend on, `*` for all; `None` if that is not said.
    pub(crate) depends_on: Option<Vec<String>>,
    /// How long a start of its units may wait for a unit of another node.
    pub(crate) start_timeout: Option<Duration>,
    /// What becomes of its claims on a node that is out of sight for too long: `stop`, `keep`.
    pub(crate) on_loss: String,
    /// Whether the controller is one that says all this, so that what is missing has never been.
    pub(crate) is_detailed: bool,
    /// `None` if it was never seen.
    pub(crate) last_seen_ago: Option<Duration>,
    pub(crate) online_for: Option<Duration>,
}

impl Node {
    /// Reads an entry of `org.unitlink.Fleet1.ListNodes`.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        let mut node = Self {
            name: facts.text("Name"),
            status: facts.text("Status"),
            address: facts.text("Peer"),
            transport: facts.text("Transport"),
            encrypted: facts.flag("Encrypted"),
            agent_version: facts.text("AgentVersion"),
            protocol: facts.u32("Protocol"),
            labels: facts.texts("Labels"),
            start_timeout: facts.span("StartTimeoutUSec"),
            on_loss: facts.text("OnLoss"),
            depends_on: facts
                .0
                .contains_key("DependsOn")
                .then(|| facts.texts("DependsOn")),
            is_detailed: true,
            last_seen_ago: facts.span("LastSeenUSecAgo"),
            online_for: facts.span("OnlineForUSec"),
        };
        if !node.is_online() {
            node.online_for = None;
        }
        node
    }

    /// Reads an entry of `org.eclipse.bluechi.Controller.ListNodes`, which says less.
    pub(crate) fn from_listing(name: String, status: String, address: String) -> Self {
        Self {
            name,
            status,
            address,
            transport: String::new(),
            encrypted: None,
            agent_version: String::new(),
            protocol: None,
            labels: Vec::new(),
            depends_on: None,
            start_timeout: None,
            on_loss: String::new(),
            is_detailed: false,
            last_seen_ago: None,
            online_for: None,
        }
    }

    /// Where its agent connects from, for people: an agent beside the controller has no address that
    /// would tell them anything.
    pub(crate) fn place(&self) -> &str {
        if self.transport == "unix" {
            "local"
        } else {
            &self.address
        }
    }

    /// What its agent is, for people.
    pub(crate) fn agent(&self) -> &str {
        match self.protocol {
            Some(0) if self.is_online() => "BlueChi",
            Some(_) | None => &self.agent_version,
        }
    }

    /// Whether its agent is connected.
    pub(crate) fn is_online(&self) -> bool {
        self.status == "online"
    }
}

/// A node's need of a unit of another node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) source: String,
    pub(crate) node: String,
    pub(crate) unit: String,
    pub(crate) state: String,
    pub(crate) cause: String,
    pub(crate) reason: String,
    pub(crate) token: String,
    /// How long it has stood so.
    pub(crate) state_age: Option<Duration>,
    /// In what time it is given up, if it is: its target or its source is out of sight.
    pub(crate) gives_up_in: Option<Duration>,
    /// How long an attempt may take, if the controller says it of each claim.
    pub(crate) start_timeout: Option<Duration>,
}

impl Claim {
    /// Reads an entry of `org.unitlink.Fleet1.ListClaims`.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        Self {
            source: facts.text("Source"),
            node: facts.text("Node"),
            unit: facts.text("Unit"),
            state: facts.text("State"),
            cause: facts.text("Cause"),
            reason: facts.text("Reason"),
            token: facts.text("Token"),
            state_age: facts.span("StateAgeUSec"),
            gives_up_in: facts.span("GivesUpInUSec"),
            start_timeout: facts.span("StartTimeoutUSec"),
        }
    }
}

/// A unit as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) node: String,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) load: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    /// The unit that stands for it, if another one does.
    pub(crate) following: String,
    /// 0 if there is none.
    pub(crate) job_id: u32,
    pub(crate) job_type: String,
}

impl Listed {
    /// By node, then by name.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        (&self.node, &self.unit).cmp(&(&other.node, &other.unit))
    }
}

/// A node that did not say what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) node: String,
    /// The name of a D-Bus error.
    pub(crate) error: String,
    pub(crate) text: String,
    /// What it means for how the command ends.
    pub(crate) exit: Exit,
}

impl Missing {
    /// A node, and why it did not say it.
    pub(crate) fn of(node: impl fmt::Display, fault: &Fault) -> Self {
        Self {
            node: node.to_string(),
            error: fault.error_name().to_owned(),
            text: fault.to_string(),
            exit: fault.exit(),
        }
    }
}

/// A unit of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) node: NodeName,
    pub(crate) unit: UnitName,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.unit)
    }
}

/// A word in a unit file that names a unit of another node, or a hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) node: NodeName,
    /// The unit; it may be a template.
    pub(crate) unit: String,
    pub(crate) file: String,
    pub(crate) setting: String,
    /// As it is written.
    pub(crate) name: String,
}

impl Reference {
    /// A row of `org.unitlink.Node1.ListReferences`.
    pub(crate) fn new(node: &NodeName, row: (String, String, String, String)) -> Self {
        let (unit, file, setting, name) = row;
        Self {
            node: node.clone(),
            unit,
            file,
            setting,
            name,
        }
    }

    /// The unit that says it; `None` for a template.
    pub(crate) fn user(&self) -> Option<Target> {
        Some(Target {
            node: self.node.clone(),
            unit: self.unit.parse().ok()?,
        })
    }

    /// The word with what `%i` stands for; `None` if there are other specifiers, systemd.unit(5).
    pub(crate) fn expanded(&self) -> Option<String> {
        if !self.name.contains('%') {
            return Some(self.name.clone());
        }
        let (_, rest) = self.unit.split_once('@')?;
        let (instance, _) = rest.rsplit_once('.')?;
        if instance.is_empty() {
            return None;
        }
        let name = self.name.replace("%i", instance);
        (!name.contains('%')).then_some(name)
    }
}

/// `(sss)`: what was done to a link (`symlink`, `unlink`), where it is, and what it leads to.
pub(crate) type Change = (String, String, String);

/// What something did besides being done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) changes: Vec<Change>,
    /// Whether it was to be enabled and does not say how.
    pub(crate) lacks_install_info: bool,
}

/// A unit file as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnitFile {
    pub(crate) node: String,
    pub(crate) file: String,
    pub(crate) path: String,
    pub(crate) state: String,
}

/// A job that the controller has under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedJob {
    pub(crate) id: u32,
    pub(crate) node: String,
    pub(crate) unit: String,
    /// `start`, `stop` …
    pub(crate) kind: String,
    /// `waiting` or `running`.
    pub(crate) state: String,
}

/// A unit in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) load: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    pub(crate) freezer: String,
    pub(crate) enabled: String,
    /// How long it has been in this state.
    pub(crate) state_age: Option<Duration>,
    /// How its last run ended, `success` if well; empty for units that do not run.
    pub(crate) result: String,
    /// The exit code or signal of the main process, once it has ended.
    pub(crate) main_status: Option<i32>,
    pub(crate) main_pid: Option<u32>,
    /// What the service says about itself, sd_notify(3).
    pub(crate) status_text: String,
    pub(crate) path: String,
    pub(crate) details: Details,
}

impl Unit {
    /// Reads the properties of a unit. `now` is the time of the day since 1970: an agent that does
    /// not know how old the state is knows since when it is.
    pub(crate) fn from_facts(name: &str, facts: &Facts, now: Duration) -> Self {
        let since = || {
            let since = facts.span("StateChangeTimestamp");
            since.filter(|since| !since.is_zero())
        };
        let ended = facts.u64("ExecMainExitTimestamp").is_some_and(|at| at > 0);
        Self {
            name: name.to_owned(),
            description: facts.text("Description"),
            load: facts.text("LoadState"),
            active: facts.text("ActiveState"),
            sub: facts.text("SubState"),
            freezer: facts.text("FreezerState"),
            enabled: facts.text("UnitFileState"),
            state_age: facts
                .span("StateAgeUSec")
                .or_else(|| since().map(|since| now.saturating_sub(since))),
            result: facts.text("Result"),
            main_status: facts.i32("ExecMainStatus").filter(|_| ended),
            main_pid: facts.u32("MainPID").filter(|pid| *pid > 0),
            status_text: facts.text("StatusText"),
            path: facts.text("FragmentPath"),
            details: Details::from_facts(facts),
        }
    }

    /// The name that is its own, which for an alias is another than what was asked for.
    pub(crate) fn own_name(&self) -> &str {
        match self.details.id.as_str() {
            "" => &self.name,
            id => id,
        }
    }

    /// Whether the node has no such unit.
    pub(crate) fn is_missing(&self) -> bool {
        self.load == "not-found" && self.active != "active"
    }

    /// Whether it is up, or about to be: the rule by which systemctl(1) chooses its exit code.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.active.as_str(), "inactive" | "failed" | "")
    }
}

/// What became of a reload of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// `applied`, `unchanged`, `invalid`, `failed` or `timeout`.
    pub(crate) result: String,
    /// The configuration that is in force.
    pub(crate) generation: u64,
    pub(crate) took: Duration,
    pub(crate) problems: Vec<Problem>,
    /// Reasons that were not kept.
    pub(crate) more: u64,
}

impl Reloaded {
    /// Reads what `Reload` answers.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        Self {
            result: facts.text("Result"),
            generation: facts.u64("Generation").unwrap_or(0),
            took: facts.span("DurationUSec").unwrap_or_default(),
            problems: facts.problems("Errors"),
            more: facts.u64("MoreErrors").unwrap_or(0),
        }
    }
}

/// Why a reload was rejected: one of the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) key: String,
    pub(crate) reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// A key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) key: String,
    /// As TOML writes it.
    pub(crate) value: String,
    /// A place in a file, or `default`.
    pub(crate) source: String,
    /// What a change does.
    pub(crate) effect: String,
}

impl Key {
    /// Reads a line of `--show-config`.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut cells = line.split('\t').map(str::to_owned);
        Some(Self {
            key: cells.next()?,
            value: cells.next()?,
            source: cells.next()?,
            effect: cells.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use test_case::test_case;
    use zbus::wire::{OwnedVariant, Variant};

    use super::*;

    #[test]
    fn an_agent_beside_the_controller_is_local_and_one_of_bluechis_is_named() {
        let (name, online, address) = ("a".to_owned(), "online".to_owned(), "10.0.0.3".to_owned());
        let mut node = Node::from_listing(name, online, address);
        assert_eq!((node.place(), node.agent()), ("10.0.0.3", ""));
        node.protocol = Some(0);
        assert_eq!(node.agent(), "BlueChi");
        node.transport = "unix".into();
        assert_eq!(node.place(), "local");
    }

    fn facts(of: &[(&str, u64)]) -> Facts {
        let owned = |n: u64| OwnedVariant::try_from(Variant::from(n)).expect("owned");
        Facts(BTreeMap::from_iter(
            of.iter().map(|(key, n)| ((*key).to_owned(), owned(*n))),
        ))
    }

    #[test_case(&[("StateAgeUSec", 5_000_000), ("StateChangeTimestamp", 1)], Some(5); "the node's own clock")]
    #[test_case(&[("StateChangeTimestamp", 90_000_000)], Some(10); "against our clock")]
    #[test_case(&[("StateChangeTimestamp", 200_000_000)], Some(0); "clocks that disagree")]
    #[test_case(&[("StateChangeTimestamp", 0)], None; "never")]
    #[test_case(&[], None; "not known")]
    fn the_age_of_a_state(of: &[(&str, u64)], seconds: Option<u64>) {
        let unit = Unit::from_facts("a.service", &facts(of), Duration::from_secs(100));
        assert_eq!(unit.state_age, seconds.map(Duration::from_secs));
    }
}
