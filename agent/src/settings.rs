//! What the files say, proved. What the keys mean is in [`options`].

mod options;

use std::{ops::RangeInclusive, time::Duration};

use host::{
    address::Address,
    clock,
    config::{Located, Section},
    log,
    stream::TcpOptions,
};
use node::{Live, limits::RECONNECT};
use proto::{backoff::Backoff, name::NodeName};
use tracing::Level;

pub(crate) use options::OPTIONS;

/// What the agent is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The name of this node; `None` where the host name is none and nothing else was said.
    pub(crate) node: Option<NodeName>,
    /// Where the controller may be, in this order.
    pub(crate) controllers: Vec<Address>,
    pub(crate) heartbeat: Heartbeat,
    /// Waits between attempts to reach the controller.
    pub(crate) reconnect: Backoff,
    /// How long a stop waits for jobs; `None` is without a limit.
    pub(crate) graceful_shutdown: Option<Duration>,
    pub(crate) tcp: TcpOptions,
    pub(crate) log: Log,
}

/// Signs of life, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) interval: Duration,
    pub(crate) threshold: Duration,
}

/// Where log lines go, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) target: log::Target,
    pub(crate) format: log::Format,
}

/// Where the controller is when nothing is said about it, in the folder of our sockets.
const CONTROLLER_DEFAULT: &str = "controller.sock";

/// How long a stop waits for jobs when nothing is said about it.
const GRACEFUL_SHUTDOWN: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Times that something is waited for. Nothing sensible is shorter, or longer than a day.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;

/// Pauses between attempts. One millisecond keeps a mistake from becoming a hot loop.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

/// What makes settings of the files on this machine.
pub(crate) fn prove_here(root: &Section<'_>) -> Settings {
    prove(root, &clock::host_name())
}

fn prove(root: &Section<'_>, host_name: &str) -> Settings {
    let node = root
        .text("node_name", str::parse::<NodeName>)
        .map(|it| it.value);
    if node.is_none() && host_name.parse::<NodeName>().is_err() {
        let expected =
            format!("expected \"NAME\": the host name {host_name:?} is no name of a node");
        root.missing("node_name", expected);
    }
    let controllers = root.list("controller", str::parse::<Address>);
    if let Some(list) = &controllers
        && list.value.is_empty()
        // Wrong entries are left out, and have been refused already.
        && list.found == "an empty array"
    {
        root.refuse(list, "expected at least one address of the controller");
    }
    let controllers = match controllers {
        Some(list) => list.value.into_iter().map(|it| it.value).collect(),
        None => vec![Address::Unix(
            root.scope().runtime().join(CONTROLLER_DEFAULT),
        )],
    };
    let tcp = TcpOptions::default();
    let graceful = root.duration("graceful_shutdown_timeout", Duration::ZERO..=DAY);
    let graceful = graceful.map_or(GRACEFUL_SHUTDOWN, |it| it.value);
    Settings {
        node: node.or_else(|| host_name.parse().ok()),
        controllers,
        graceful_shutdown: (!graceful.is_zero()).then_some(graceful),
        heartbeat: root.section("heartbeat", prove_heartbeat),
        reconnect: root.section("reconnect", prove_reconnect),
        tcp: root.section("tcp", |section| TcpOptions {
            keepalive_idle: wait(section, "keepalive", tcp.keepalive_idle),
            user_timeout: wait(section, "user_timeout", tcp.user_timeout),
            ..tcp
        }),
        log: root.section("log", |section| Log {
            level: section
                .word("level", &log::LEVELS)
                .map_or(Level::INFO, |it| it.value),
            target: section
                .word("target", &log::TARGETS)
                .map_or(log::Target::Auto, |it| it.value),
            format: section
                .word("format", &log::FORMATS)
                .map_or(log::Format::Text, |it| it.value),
        }),
    }
}

fn prove_heartbeat(section: &Section<'_>) -> Heartbeat {
    let interval = section.duration("interval", WAITS);
    let threshold = section.duration("threshold", WAITS);
    let interval = interval.map_or(Duration::from_secs(2), |it| it.value);
    // One heartbeat that is late by as much as the interval must not end a connection.
    let least = interval.saturating_mul(2);
    if let Some(threshold) = &threshold
        && threshold.value < least
    {
        section.refuse(
            threshold,
            "expected at least twice heartbeat.interval, so that one late heartbeat does no harm",
        );
    }
    let threshold = threshold.map_or(Duration::from_secs(6), |it: Located<Duration>| it.value);
    Heartbeat {
        interval,
        threshold: threshold.max(least),
    }
}

fn prove_reconnect(section: &Section<'_>) -> Backoff {
    let first = section.duration("first", PAUSES);
    let max = section.duration("max", PAUSES);
    let first = first.map_or(RECONNECT.first, |it| it.value);
    if let Some(max) = &max
        && max.value < first
    {
        section.refuse(max, "expected at least reconnect.first");
    }
    let max = max.map_or(RECONNECT.max, |it: Located<Duration>| it.value);
    Backoff {
        first,
        max: max.max(first),
    }
}

fn wait(section: &Section<'_>, key: &str, default: Duration) -> Duration {
    section
        .duration(key, SECOND..=DAY)
        .map_or(default, |it| it.value)
}

impl Settings {
    /// What may change while the agent runs.
    pub(crate) fn live(&self) -> Live {
        Live {
            controllers: self.controllers.iter().map(Address::to_string).collect(),
            heartbeat_interval: self.heartbeat.interval,
            heartbeat_threshold: self.heartbeat.threshold,
            reconnect: self.reconnect,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use host::{
        config::{Loaded, Sources, load},
        scope::Scope,
    };
    use test_case::test_case;

    /// What is made of a file with this text.
    pub(crate) fn load_text(text: &str) -> Result<Loaded<Settings>, String> {
        let folder = Folder::new(text);
        let file = folder.0.join("agent.toml");
        load(&Sources::file(file, &Scope::System), |root| {
            prove(root, "worker1")
        })
        .map_err(|errors| errors.to_string())
    }

    fn from(text: &str) -> Result<Settings, String> {
        load_text(text).map(|loaded| loaded.settings)
    }

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(text: &str) -> Self {
            let name = format!("unitlink-settings-{}", clock::random_u64().expect("random"));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir(&folder).expect("folder");
            std::fs::write(folder.join("agent.toml"), text).expect("file");
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn nothing_needs_to_be_said() {
        let settings = from("").expect("valid");
        assert_eq!(settings.node, Some("worker1".parse().expect("name")));
        let controller = "unix:path=/run/unitlink/controller.sock";
        assert_eq!(settings.live().controllers, [controller]);
        assert_eq!(settings.heartbeat.threshold, Duration::from_secs(6));
    }

    #[test]
    fn the_committed_file_is_valid() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../units/config/agent.toml");
        load(&Sources::file(file, &Scope::System), prove_here).expect("valid");
    }

    #[test_case("node_name = \"a b\"", "only letters"; "name")]
    #[test_case("controller = []", "at least one address"; "no address")]
    #[test_case("controller = [\"10.0.0.1\"]", "no transport"; "bare address")]
    #[test_case("[heartbeat]\ninterval = \"5s\"\nthreshold = \"6s\"", "at least twice"; "threshold")]
    #[test_case("[reconnect]\nfirst = \"2s\"\nmax = \"1s\"", "at least reconnect.first"; "back-off")]
    #[test_case("[reconnect]\nfirst = \"0s\"", "\"1ms\" to \"1d\""; "no pause")]
    #[test_case("[heartbeats]", "did you mean 'heartbeat'?"; "unknown table")]
    #[test_case("[log]\nlevel = \"loud\"", "expected"; "level")]
    fn what_is_wrong_says_what_would_be_right(text: &str, why: &str) {
        let error = from(text).expect_err("invalid");
        assert!(error.contains(why), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    /// Kinds of bad configuration, each below a first line, with all that is said about it after the name
    /// of the file.
    const BAD: [(&str, &str); 20] = [
        (
            "[heartbeat]\nintervall = \"1s\"",
            ":3:1: heartbeat.intervall: unknown key, did you mean 'interval'?",
        ),
        (
            "[heartbeet]",
            ":2:2: heartbeet: unknown table, did you mean 'heartbeat'?",
        ),
        (
            "[log]\nlevel = \"info\"\nlevel = \"warn\"",
            ":4:1: broken TOML: duplicate key",
        ),
        ("[log", ":2:5: broken TOML: unclosed table, expected `]`"),
        (
            "log = 3",
            ":2:7: log: found 3, expected a table, write [log]",
        ),
        (
            "[heartbeat]\ninterval = 2",
            ":3:12: heartbeat.interval: found 2, expected a time with its unit, write \"2s\"",
        ),
        (
            "[heartbeat]\ninterval = \"1us\"",
            ":3:12: heartbeat.interval: found \"1us\", expected a time from \"100ms\" to \"1d\"",
        ),
        (
            "[log]\nlevel = \"loud\"",
            ":3:9: log.level: found \"loud\", expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ),
        (
            "[log]\ntarget = true",
            ":3:10: log.target: found true, expected \"journal\", \"stderr\" or \"auto\"",
        ),
        (
            "[log]\nformat = \"xml\"",
            ":3:10: log.format: found \"xml\", expected \"text\" or \"json\"",
        ),
        (
            "controller = \"tcp:host=a,port=1\"",
            ":2:14: controller: found \"tcp:host=a,port=1\", expected an array of strings",
        ),
        (
            "controller = [1]",
            ":2:15: controller[0]: found 1, expected a string",
        ),
        (
            "controller = []",
            ":2:14: controller: found an empty array, expected at least one address of the controller",
        ),
        (
            "controller = [\"10.0.0.1\"]",
            ":2:15: controller[0]: found \"10.0.0.1\", no transport in front, expected 'unix:path=…' or 'tcp:host=…,port=…'",
        ),
        (
            "controller = [\"tcp:port=842\"]",
            ":2:15: controller[0]: found \"tcp:port=842\", 'host' is missing",
        ),
        (
            "node_name = \"a b\"",
            ":2:13: node_name: found \"a b\", a node name has ' '; only letters, digits, '-', '_' and '.' are allowed",
        ),
        (
            "node_name = \"\"",
            ":2:13: node_name: found \"\", a node name is empty; it has 1 to 64 letters, digits, '-', '_' or '.'",
        ),
        (
            "node_name = 3",
            ":2:13: node_name: found 3, expected a string",
        ),
        (
            "[tcp]\nkeepalive = \"0s\"",
            ":3:13: tcp.keepalive: found \"0s\", expected a time from \"1s\" to \"1d\"",
        ),
        (
            "graceful_shutdown_timeout = 60",
            ":2:29: graceful_shutdown_timeout: found 60, expected a time with its unit, write \"60s\"",
        ),
    ];

    #[test]
    fn each_mistake_is_told_with_its_place_and_what_would_be_right() {
        for (text, error) in BAD {
            let folder = Folder::new(&format!("# one\n{text}\n"));
            let file = folder.0.join("agent.toml");
            let errors = load(&Sources::file(&file, &Scope::System), |root| {
                prove(root, "worker1")
            });
            let said = errors.expect_err(text).to_string();
            assert_eq!(said, format!("{}{error}", file.display()), "{text}");
        }
    }
}
