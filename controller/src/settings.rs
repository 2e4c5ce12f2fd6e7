//! What the files say, proved. What the keys mean is in [`options`].

mod options;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use fleet::{ClaimPolicy, DependsOn, Heartbeat, NodeSettings, OnLoss, RESUME_WINDOW, UnitPolicy};
use host::{
    address::{AddressError, ListenAddress},
    clock,
    config::{Located, Section},
    limits::LISTEN_BACKLOG,
    log,
    stream::TcpOptions,
};
use proto::name::{NodeName, UnitPattern};
use tracing::Level;

pub(crate) use options::OPTIONS;

/// What the controller is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where it listens, besides the sockets that systemd passes.
    pub(crate) listen: Vec<ListenAddress>,
    /// How many connections may wait to be accepted, listen(2).
    pub(crate) backlog: i32,
    /// How long a stop waits for jobs; `None` is without a limit.
    pub(crate) graceful_shutdown: Option<Duration>,
    pub(crate) tcp: Tcp,
    pub(crate) log: Log,
    pub(crate) fleet: fleet::Settings,
}

/// What the kernel does for connections over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    /// How long a connection is silent before the kernel asks whether the peer is there.
    pub(crate) keepalive: Duration,
    /// How long what was sent may go unacknowledged before the kernel gives the connection up
    /// (`TCP_USER_TIMEOUT`, tcp(7)).
    pub(crate) user_timeout: Duration,
}

/// Where log lines go, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) target: log::Target,
    pub(crate) format: log::Format,
}

/// Where the controller listens when nothing is said about it, in the folder of our sockets.
const UNIX_DEFAULT: &str = "controller.sock";

/// How long a stop waits for jobs when nothing is said about it.
const GRACEFUL_SHUTDOWN: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Times that something is waited for. Nothing sensible is shorter, or longer than a day.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;
/// Times that may also be none at all.
const GRACES: RangeInclusive<Duration> = Duration::ZERO..=DAY;
const ON_LOSS: [(&str, OnLoss); 2] = [("stop", OnLoss::Stop), ("keep", OnLoss::Keep)];
/// Tables `[claims.unit.…]` of one node, or of all: each is looked at for each claim that changes.
const UNIT_POLICIES_MAX: usize = 256;
/// A label is shown in a column of a table.
const LABEL_BYTES_MAX: usize = 64;

impl Settings {
    /// The options of connections over TCP.
    pub(crate) fn tcp_options(&self) -> TcpOptions {
        TcpOptions {
            keepalive_idle: self.tcp.keepalive,
            user_timeout: self.tcp.user_timeout,
            ..TcpOptions::default()
        }
    }
}

/// What makes settings of the files on this machine.
pub(crate) fn prove_here(root: &Section<'_>) -> Settings {
    prove(root, &clock::host_name())
}

fn prove(root: &Section<'_>, host_name: &str) -> Settings {
    let graceful = wait(root, "graceful_shutdown_timeout", GRACES, GRACEFUL_SHUTDOWN);
    let (listen, backlog) = root.section("listen", |section| {
        let backlog = section.integer("backlog", 1..=65_535);
        let backlog = backlog.and_then(|it| i32::try_from(it.value).ok());
        (prove_listen(section), backlog.unwrap_or(LISTEN_BACKLOG))
    });
    let tcp = root.section("tcp", |tcp| Tcp {
        keepalive: wait(tcp, "keepalive", SECOND..=DAY, Duration::from_secs(10)),
        user_timeout: wait(tcp, "user_timeout", SECOND..=DAY, Duration::from_secs(20)),
    });
    let log = root.section("log", |section| Log {
        level: value(section.word("level", &log::LEVELS), Level::INFO),
        target: value(section.word("target", &log::TARGETS), log::Target::Auto),
        format: value(section.word("format", &log::FORMATS), log::Format::Text),
    });
    let (heartbeat, resume_window) = root.section("heartbeat", |section| {
        let window = wait(section, "resume_window", GRACES, RESUME_WINDOW);
        (prove_heartbeat(section), window)
    });
    let (claims, units) = root.section("claims", |section| {
        (
            prove_claims(section, ClaimPolicy::default()),
            prove_units(section),
        )
    });
    let (call_timeout, job_timeout) = root.section("limits", |limits| {
        let job_timeout = wait(limits, "job_timeout", GRACES, Duration::ZERO);
        (
            wait(limits, "call_timeout", WAITS, Duration::from_secs(30)),
            (!job_timeout.is_zero()).then_some(job_timeout),
        )
    });
    Settings {
        listen,
        backlog,
        graceful_shutdown: (!graceful.is_zero()).then_some(graceful),
        tcp,
        log,
        fleet: fleet::Settings {
            nodes: prove_nodes(root, claims, &units, host_name),
            heartbeat,
            resume_window,
            call_timeout,
            job_timeout,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    }
}

fn prove_listen(listen: &Section<'_>) -> Vec<ListenAddress> {
    let unix = listen.text("unix", |text| match text {
        "" => Ok(None),
        path => ListenAddress::unix(path).map(Some),
    });
    let unix = match unix {
        Some(unix) => unix.value,
        None => ListenAddress::unix(listen.scope().runtime().join(UNIX_DEFAULT)).ok(),
    };
    let tcp = listen.list("tcp", |text| {
        ListenAddress::tcp(text).map_err(|error: AddressError| error.to_string())
    });
    let tcp = tcp.into_iter().flat_map(|list| list.value);
    unix.into_iter()
        .chain(tcp.map(|address| address.value))
        .collect()
}

fn prove_heartbeat(section: &Section<'_>) -> Heartbeat {
    let default = Heartbeat::default();
    let interval = section.duration("interval", WAITS);
    let threshold = section.duration("threshold", WAITS);
    let interval_value = interval.map_or(default.interval, |it| it.value);
    let threshold_value = threshold.as_ref().map_or(default.threshold, |it| it.value);
    // One heartbeat that is late by as much as the interval must not end a connection.
    let least = interval_value.saturating_mul(2);
    if let Some(threshold) = &threshold
        && threshold.value < least
    {
        section.refuse(
            threshold,
            "expected at least twice heartbeat.interval, so that one late heartbeat does no harm",
        );
    }
    Heartbeat {
        interval: interval_value,
        threshold: threshold_value.max(least),
    }
}

/// The policy of a table, where it says nothing that of `base`.
fn prove_claims(section: &Section<'_>, base: ClaimPolicy) -> ClaimPolicy {
    ClaimPolicy {
        source_grace: wait(section, "source_grace", GRACES, base.source_grace),
        loss_grace: wait(section, "loss_grace", GRACES, base.loss_grace),
        on_loss: value(section.word("on_loss", &ON_LOSS), base.on_loss),
        start_timeout: wait(section, "start_timeout", SECOND..=DAY, base.start_timeout),
    }
}

/// What is different for some units, from the weak to the strong.
fn prove_units(claims: &Section<'_>) -> Vec<UnitPolicy> {
    let units = claims.each("unit", str::parse::<UnitPattern>, |name, section| {
        let policy = UnitPolicy {
            units: name.value.clone(),
            source_grace: section.duration("source_grace", GRACES).map(|it| it.value),
            loss_grace: section.duration("loss_grace", GRACES).map(|it| it.value),
            on_loss: section.word("on_loss", &ON_LOSS).map(|it| it.value),
            start_timeout: section
                .duration("start_timeout", SECOND..=DAY)
                .map(|it| it.value),
        };
        (policy, name.clone())
    });
    let mut policies = Vec::new();
    for (number, (_, (policy, name))) in units.into_iter().enumerate() {
        if number == UNIT_POLICIES_MAX {
            claims.refuse(&name, "expected at most 256 tables of units");
        }
        policies.push(policy);
    }
    policies.sort_by(|one, other| one.units.cmp(&other.units));
    policies
}

fn prove_nodes(
    root: &Section<'_>,
    claims: ClaimPolicy,
    units: &[UnitPolicy],
    host_name: &str,
) -> BTreeMap<NodeName, NodeSettings> {
    let mut nodes = BTreeMap::new();
    let allowed = root.section("nodes", |nodes| nodes.list("allowed", str::parse));
    let any = || NodeSettings {
        claims,
        units: units.to_vec(),
        ..NodeSettings::default()
    };
    for name in allowed.into_iter().flat_map(|list| list.value) {
        nodes.insert(name.value, any());
    }
    let tables = root.each("node", str::parse::<NodeName>, |_, section| {
        let depends_on = section.list("allow_dependencies_on", parse_dependency);
        let labels = section.list("labels", parse_label);
        let labels = labels.into_iter().flat_map(|list| list.value);
        let (own, own_units) = section.section("claims", |section| {
            (prove_claims(section, claims), prove_units(section))
        });
        let node = NodeSettings {
            depends_on: DependsOn::default(),
            labels: labels.map(|label| label.value).collect(),
            claims: own,
            // What is said of a unit for one node is stronger than what is said for all.
            units: units.iter().cloned().chain(own_units).collect(),
        };
        (node, depends_on)
    });
    if nodes.is_empty() && tables.is_empty() && root.scope().is_user() {
        // A user needs no configuration to have a fleet of one node: to the socket that is there by
        // default nobody else can connect.
        nodes.extend(host_name.parse().ok().map(|name| (name, any())));
    }
    let mut lists = Vec::new();
    for (name, (node, depends_on)) in tables {
        lists.extend(depends_on.map(|list| (name.value.clone(), list.value)));
        nodes.insert(name.value, node);
    }
    for (name, list) in lists {
        let depends_on = prove_dependencies(root, &nodes, list);
        if let Some(node) = nodes.get_mut(&name) {
            node.depends_on = depends_on;
        }
    }
    nodes
}

/// An entry of `allow_dependencies_on`.
#[derive(Clone)]
enum Dependency {
    Any,
    On(NodeName),
}

fn parse_dependency(text: &str) -> Result<Dependency, String> {
    match text {
        "*" => Ok(Dependency::Any),
        name => name
            .parse()
            .map(Dependency::On)
            .map_err(|error| format!("{error}; expected the name of a node, or \"*\" for all")),
    }
}

fn prove_dependencies(
    root: &Section<'_>,
    nodes: &BTreeMap<NodeName, NodeSettings>,
    list: Vec<Located<Dependency>>,
) -> DependsOn {
    let mut names = BTreeSet::new();
    let mut any = false;
    for entry in list {
        match entry.value.clone() {
            Dependency::Any => any = true,
            Dependency::On(name) if nodes.contains_key(&name) => {
                names.insert(name);
            }
            Dependency::On(_) => root.refuse(
                &entry,
                "expected a node that nodes.allowed or a table [node.NAME] names",
            ),
        }
    }
    if any {
        DependsOn::Any
    } else {
        DependsOn::These(names)
    }
}

fn parse_label(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > LABEL_BYTES_MAX || text.chars().any(char::is_control) {
        return Err("expected a label of 1 to 64 bytes without control characters");
    }
    Ok(text.to_owned())
}

fn wait(
    section: &Section<'_>,
    key: &str,
    range: RangeInclusive<Duration>,
    default: Duration,
) -> Duration {
    value(section.duration(key, range), default)
}

fn value<T>(located: Option<Located<T>>, default: T) -> T {
    located.map_or(default, |located| located.value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use host::{
        config::{Loaded, Sources, load},
        scope::Scope,
    };
    use std::{fs, path::PathBuf};
    use test_case::test_case;

    /// What is made of a file with this text.
    pub(crate) fn load_text(test: &str, text: &str) -> Result<Loaded<Settings>, String> {
        let path = file(test, text);
        let loaded = load(&Sources::file(&path, &Scope::System), prove_here);
        fs::remove_file(&path).expect("removed");
        loaded.map_err(|errors| {
            let file = format!("{}:", path.display());
            errors.to_string().replace(&file, "")
        })
    }

    fn file(test: &str, text: &str) -> PathBuf {
        let name = format!("unitlink-controller-{}-{test}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn read_text(test: &str, text: &str) -> Result<Settings, String> {
        load_text(test, text).map(|loaded| loaded.settings)
    }

    fn name(text: &str) -> NodeName {
        text.parse().expect("name")
    }

    #[test]
    fn nothing_said_means_one_unix_socket_and_no_nodes() {
        let settings = read_text("nothing", "").expect("valid");
        assert_eq!(
            settings.listen,
            [ListenAddress::unix("/run/unitlink/controller.sock").expect("path")]
        );
        assert!(settings.fleet.nodes.is_empty());
        assert_eq!(settings.fleet.job_timeout, None);
    }

    #[test_case(true, "", "here"; "nobody is named")]
    #[test_case(true, "[node.a]", "a"; "somebody is")]
    #[test_case(true, "nodes.allowed = [\"a\"]", "a"; "somebody is, in the list")]
    #[test_case(false, "", ""; "the fleet of a machine")]
    fn a_user_without_a_configuration_has_the_node_of_this_machine(
        is_user: bool,
        text: &str,
        nodes: &str,
    ) {
        let test = format!("user-{is_user}-{}", text.len());
        let path = file(&test, text);
        let scope = Scope::of(is_user).expect("valid");
        let loaded = load(&Sources::file(&path, &scope), |root| prove(root, "here"));
        fs::remove_file(&path).expect("removed");
        let allowed = loaded.expect("valid").settings.fleet.nodes;
        assert_eq!(
            allowed.keys().map(NodeName::as_str).collect::<String>(),
            nodes
        );
    }

    #[test]
    fn a_node_is_named_in_the_list_or_by_its_table() {
        let settings = read_text(
            "nodes",
            r#"
            [listen]
            unix = ""
            tcp = ["[::]:842"]
            [nodes]
            allowed = ["a", "b"]
            [claims]
            loss_grace = "3s"
            [node.b]
            allow_dependencies_on = ["a"]
            labels = ["front"]
            claims = { on_loss = "keep" }
            [node.c]
            allow_dependencies_on = ["*"]
            "#,
        )
        .expect("valid");
        assert_eq!(settings.listen.len(), 1);
        let nodes = &settings.fleet.nodes;
        assert_eq!(
            nodes.keys().map(NodeName::as_str).collect::<String>(),
            "abc"
        );
        assert!(settings.fleet.allows(&name("b"), &name("a")));
        assert!(!settings.fleet.allows(&name("a"), &name("b")));
        assert!(settings.fleet.allows(&name("c"), &name("b")));
        let policy = settings.fleet.policy(&name("b")).expect("there");
        assert_eq!(policy.on_loss, OnLoss::Keep);
        assert_eq!(policy.loss_grace, Duration::from_secs(3));
    }

    #[test]
    fn a_policy_is_that_of_the_strongest_table_key_by_key() {
        let settings = read_text(
            "policies",
            r#"
            [claims]
            loss_grace = "1s"
            [claims.unit."lidar*"]
            loss_grace = "2s"
            on_loss = "keep"
            [claims.unit."lidar1.service"]
            source_grace = "7s"
            loss_grace = "3s"
            start_timeout = "5min"
            [node.a]
            claims = { loss_grace = "4s" }
            [node.b.claims.unit."*"]
            on_loss = "stop"
            "#,
        )
        .expect("valid");
        let policy = |node, unit: &str| {
            let unit = unit.parse().expect("unit");
            let policy = settings.fleet.policy_on(&name(node), &unit).expect("there");
            (policy.loss_grace.as_secs(), policy.on_loss)
        };
        let source_grace = |unit: &str| {
            let unit = unit.parse().expect("unit");
            let policy = settings.fleet.policy_on(&name("a"), &unit).expect("there");
            policy.source_grace.as_secs()
        };
        assert_eq!(source_grace("lidar1.service"), 7);
        assert_eq!(source_grace("lidar.service"), 15);
        let timeouts = settings.fleet.start_timeouts(&name("a"));
        let timeout = |unit: &str| timeouts.of(&unit.parse().expect("unit")).as_secs();
        assert_eq!(timeout("lidar.service"), 90);
        assert_eq!(timeout("lidar1.service"), 300);
        assert_eq!(timeout("against@lidar1.service"), 300);
        assert_eq!(policy("a", "radar.service"), (4, OnLoss::Stop));
        assert_eq!(policy("a", "lidar.socket"), (2, OnLoss::Keep));
        assert_eq!(policy("a", "lidar1.service"), (3, OnLoss::Keep));
        assert_eq!(policy("b", "radar.service"), (1, OnLoss::Stop));
        assert_eq!(policy("b", "lidar1.service"), (3, OnLoss::Stop));
    }

    #[test_case("[claims.unit.lidar]", "1:14: claims.unit.lidar: found \"lidar\", expected the name of a unit with its type"; "unit pattern")]
    #[test_case("[claims.unit.\"a.service\"]\non_loss = \"stay\"", "2:11: claims.unit.\"a.service\".on_loss"; "policy of a unit")]
    #[test_case("[claims.unit.\"a.service\"]\nsource_grace = 15", "claims.unit.\"a.service\".source_grace"; "grace of a unit")]
    #[test_case("[node.a]\nallow_dependencies_on = [\"x\"]", "expected a node that nodes.allowed"; "unknown node")]
    #[test_case("[heartbeat]\ninterval = \"5s\"\nthreshold = \"6s\"", "heartbeat.threshold"; "threshold")]
    #[test_case("[listen]\ntcp = [\"842\"]", "not an IP address and a port"; "address")]
    #[test_case("[nodes]\nallowed = [\"a/b\"]", "nodes.allowed[0]"; "node name")]
    #[test_case("[claims]\non_los = \"keep\"", "on_loss"; "unknown key")]
    fn what_is_wrong_is_said_with_its_key(text: &str, expected: &str) {
        let error =
            read_text(&expected.replace(['/', ' ', '[', ']'], "_"), text).expect_err("wrong");
        assert!(error.contains(expected), "{error}");
    }
}
