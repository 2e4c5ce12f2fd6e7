use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use proto::name::NodeName;
use test_case::test_case;

use super::*;
use crate::{
    address::ListenAddress,
    limits::CONFIG_FILES_MAX,
    scope::{Scope, User},
};

/// A settings type with one of each kind.
#[derive(Debug, Default, PartialEq)]
struct Settings {
    unix: Option<String>,
    tcp: Vec<String>,
    interval: Option<Duration>,
    on_loss: Option<bool>,
    verbose: Option<bool>,
    port: Option<i64>,
    nodes: Vec<(String, Vec<String>)>,
}

fn prove(root: &Section<'_>) -> Settings {
    let mut settings = Settings::default();
    root.section("listen", |listen| {
        settings.unix = listen.string("unix").map(|it| it.value);
        let tcp = listen.list("tcp", ListenAddress::tcp).map(|it| it.value);
        settings.tcp = tcp
            .into_iter()
            .flatten()
            .map(|it| it.value.to_string())
            .collect();
    });
    root.section("heartbeat", |heartbeat| {
        let times = Duration::from_millis(100)..=Duration::from_secs(3600);
        let interval = heartbeat.duration("interval", times.clone());
        let threshold = heartbeat.duration("threshold", times);
        if let (Some(interval), Some(threshold)) = (&interval, &threshold)
            && threshold.value <= interval.value
        {
            heartbeat.refuse(threshold, "expected more than heartbeat.interval");
        }
        settings.interval = interval.map(|it| it.value);
    });
    settings.on_loss = root
        .word("on_loss", &[("stop", true), ("keep", false)])
        .map(|it| it.value);
    settings.verbose = root.boolean("verbose").map(|it| it.value);
    settings.port = root.integer("port", 1..=65535).map(|it| it.value);
    let nodes = root.each("node", str::parse::<NodeName>, |_, node| {
        let labels = node.list("labels", |text| {
            text.parse::<NodeName>().map(|it| it.to_string())
        });
        labels
            .into_iter()
            .flat_map(|it| it.value)
            .map(|it| it.value)
            .collect()
    });
    settings.nodes = nodes
        .into_iter()
        .map(|(name, labels)| (name.value.to_string(), labels))
        .collect();
    settings
}

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("host-config-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("etc/unitlink/c.toml.d")).expect("created");
        fs::create_dir_all(path.join("usr/lib/unitlink/c.toml.d")).expect("created");
        Self(path)
    }

    fn main(&self) -> PathBuf {
        self.0.join("etc/unitlink/c.toml")
    }

    fn local(&self, name: &str) -> PathBuf {
        self.0.join("etc/unitlink/c.toml.d").join(name)
    }

    fn vendor(&self, name: &str) -> PathBuf {
        self.0.join("usr/lib/unitlink/c.toml.d").join(name)
    }

    fn load(&self) -> Result<Loaded<Settings>, ConfigErrors> {
        load(&Sources::under(&self.0, "c", &Scope::System), prove)
    }

    /// The messages, without the way to this folder.
    fn errors(&self) -> String {
        let errors = self.load().expect_err("wrong").to_string();
        errors.replace(&format!("{}/", self.0.display()), "/")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).expect("written");
}

#[test_case("port", "1:5: broken TOML: key with no value, expected `=`"; "broken TOML")]
#[test_case("port = 1\nport = 2", "2:1: broken TOML: duplicate key"; "a key twice")]
#[test_case("[listen]\nunix = \"/a", "2:11: broken TOML: invalid basic string, expected `\"`"; "a string without an end")]
#[test_case("[heartbeat]\nintervall = \"2s\"", "2:1: heartbeat.intervall: unknown key, did you mean 'interval'?"; "a key with a slip")]
#[test_case("[heartbeat]\nfrequency = 1", "2:1: heartbeat.frequency: unknown key, expected 'interval' or 'threshold'"; "another key")]
#[test_case("[haertbeat]\ninterval = \"2s\"", "1:2: haertbeat: unknown table, did you mean 'heartbeat'?"; "a table with a slip")]
#[test_case("[heartbeat.interval]\nseconds = 2", "1:1: heartbeat.interval: found a table, expected a time such as \"2s\" or \"1min 30s\""; "a table for a value")]
#[test_case("heartbeat = 5", "1:13: heartbeat: found 5, expected a table, write [heartbeat]"; "a value for a table")]
#[test_case("listen.unix = 5", "1:15: listen.unix: found 5, expected a string"; "a wrong type")]
#[test_case("listen.unix = \"\"", "1:15: listen.unix: found \"\", expected a string that is not empty"; "empty")]
#[test_case("listen.tcp = \"[::]:842\"", "1:14: listen.tcp: found \"[::]:842\", expected an array of strings"; "a value for a list")]
#[test_case("listen.tcp = [\"[::]:842\", 842]", "1:27: listen.tcp[1]: found 842, expected a string"; "a wrong type in a list")]
#[test_case("listen.tcp = [\"10.0.0.1\"]", "1:15: listen.tcp[0]: found \"10.0.0.1\", '10.0.0.1' is not an IP address and a port, expected one like '10.0.0.1:842' or '[::]:842'"; "a bad address")]
#[test_case("\"ä\" = 1\nheartbeat = {interval = 2}", "1:1: \"ä\": unknown key, expected 'heartbeat', 'listen', 'node', 'on_loss', 'port' or 'verbose'\n/etc/unitlink/c.toml:2:25: heartbeat.interval: found 2, expected a time with its unit, write \"2s\""; "two errors and a time without unit")]
#[test_case("heartbeat.interval = \"-2s\"", "1:22: heartbeat.interval: found \"-2s\", expected a time such as \"2s\" or \"1min 30s\""; "a negative time")]
#[test_case("heartbeat.interval = \"2 weeks\"", "1:22: heartbeat.interval: found \"2 weeks\", unit 'weeks' is not known, expected 'us', 'ms', 's', 'min', 'h' or 'd'"; "an unknown unit")]
#[test_case("heartbeat.interval = \"1ms\"", "1:22: heartbeat.interval: found \"1ms\", expected a time from \"100ms\" to \"1h\""; "a time out of range")]
#[test_case("[heartbeat]\ninterval = \"6s\"\nthreshold = \"2s\"", "3:13: heartbeat.threshold: found \"2s\", expected more than heartbeat.interval"; "values that do not go together")]
#[test_case("port = -1", "1:8: port: found -1, expected an integer from 1 to 65535"; "negative")]
#[test_case("port = 99999999999999999999", "1:8: port: found 99999999999999999999, expected an integer from 1 to 65535"; "out of any range")]
#[test_case("port = 1.5", "1:8: port: found 1.5, expected an integer from 1 to 65535"; "a fraction")]
#[test_case("on_loss = \"kepp\"", "1:11: on_loss: found \"kepp\", expected \"stop\" or \"keep\""; "another word")]
#[test_case("/* ü */ verbose = yes", "1:4: broken TOML: key with no value, expected `=`"; "a comment of another language")]
#[test_case("verbose = \"yes\"", "1:11: verbose: found \"yes\", expected true or false"; "a word for a boolean")]
#[test_case("[node.\"a b\"]", "1:7: node.\"a b\": found \"a b\", a node name has ' '; only letters, digits, '-', '_' and '.' are allowed"; "a bad name")]
#[test_case("[node.a]\nlabel = [\"x\"]", "2:1: node.a.label: unknown key, did you mean 'labels'?"; "an unknown key of a node")]
#[test_case("node.a = 1", "1:10: node.a: found 1, expected a table, write [node.a]"; "a value for a node")]
fn each_error_says_where_what_and_what_would_be_right(text: &str, message: &str) {
    let folder = Folder::new();
    write(&folder.main(), text);
    assert_eq!(folder.errors(), format!("/etc/unitlink/c.toml:{message}"));
}

#[test]
fn a_long_value_is_not_repeated_in_full() {
    let folder = Folder::new();
    write(&folder.main(), format!("on_loss = \"{}\"", "é".repeat(100)));
    let expected = format!("found \"{}\"…, expected", "é".repeat(60));
    assert!(folder.errors().contains(&expected));
}

#[test_case("0x10" => Some(16))]
#[test_case("1_000" => Some(1000))]
#[test_case("+5" => Some(5))]
fn integers_are_read_however_they_are_written(text: &str) -> Option<i64> {
    let folder = Folder::new();
    write(&folder.main(), format!("port = {text}"));
    folder.load().expect("valid").settings.port
}

#[test]
fn later_files_replace_earlier_ones_key_by_key() {
    let folder = Folder::new();
    write(
        &folder.vendor("50-b.toml"),
        "port = 1\nverbose = true\n[listen]\nunix = \"/a\"",
    );
    write(&folder.vendor("10-a.toml"), "port = 9");
    write(
        &folder.main(),
        "[listen]\ntcp = [\"[::]:1\", \"[::]:2\"]\n[node.a]\nlabels = [\"x\"]",
    );
    write(
        &folder.local("10-a.toml"),
        "port = 2\n[listen]\ntcp = [\"[::]:3\"]\n[node.b]",
    );
    write(&folder.local(".hidden.toml"), "wrong");
    write(&folder.local("README"), "wrong");
    let loaded = folder.load().expect("valid");
    let settings = Settings {
        unix: Some("/a".to_owned()),
        tcp: vec!["[::]:3".to_owned()],
        verbose: Some(true),
        port: Some(2),
        nodes: vec![
            ("a".to_owned(), vec!["x".to_owned()]),
            ("b".to_owned(), vec![]),
        ],
        ..Settings::default()
    };
    assert_eq!(loaded.settings, settings);
    assert_eq!(
        loaded.files,
        [
            folder.vendor("10-a.toml"),
            folder.vendor("50-b.toml"),
            folder.main(),
            folder.local("10-a.toml")
        ]
    );
}

#[test]
fn a_value_that_is_replaced_is_checked_all_the_same() {
    let folder = Folder::new();
    write(&folder.vendor("a.toml"), "port = 0");
    write(&folder.main(), "port = 1");
    assert_eq!(
        folder.errors(),
        "/usr/lib/unitlink/c.toml.d/a.toml:1:8: port: found 0, expected an integer from 1 to 65535"
    );
}

#[test]
fn errors_of_all_files_are_told_in_their_order() {
    let folder = Folder::new();
    write(&folder.vendor("a.toml"), "b = 1");
    write(&folder.main(), "[");
    write(&folder.local("z.toml"), "\nport = 0\nverbos = true");
    let errors = folder.errors();
    let places: Vec<_> = errors
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "/usr/lib/unitlink/c.toml.d/a.toml:1:1",
            "/etc/unitlink/c.toml:1:2",
            "/etc/unitlink/c.toml.d/z.toml:2:8",
            "/etc/unitlink/c.toml.d/z.toml:3:1",
        ]
    );
}

#[test]
fn a_flood_of_errors_is_counted() {
    let folder = Folder::new();
    let keys: String = (0..100).map(|i| format!("unknown{i} = 1\n")).collect();
    write(&folder.main(), keys);
    let errors = folder.load().expect_err("wrong");
    assert_eq!((errors.iter().count(), errors.count()), (64, 100));
    assert!(errors.to_string().ends_with("\nand 36 more"));
}

#[test]
fn a_link_to_dev_null_hides_a_file_of_the_same_name() {
    let folder = Folder::new();
    write(&folder.vendor("a.toml"), "port = 1");
    write(&folder.vendor("b.toml"), "verbose = true");
    std::os::unix::fs::symlink("/dev/null", folder.local("a.toml")).expect("linked");
    let settings = folder.load().expect("valid").settings;
    assert_eq!((settings.port, settings.verbose), (None, Some(true)));
}

#[test]
fn a_user_has_files_of_the_own_and_may_hide_those_for_all_users() {
    let folder = Folder::new();
    let user = Scope::User(User::with("/run/user/7", Path::new("/home/a/.config")));
    let for_all = folder.0.join("etc/unitlink/user/c.toml.d");
    let own = folder.0.join("home/a/.config/unitlink/c.toml.d");
    for path in [&for_all, &own] {
        fs::create_dir_all(path).expect("made");
    }
    write(&folder.main(), "verbose = true");
    write(&for_all.join("a.toml"), "port = 1");
    write(&for_all.join("b.toml"), "port = 2\non_loss = \"keep\"");
    write(&own.with_extension(""), "port = 3");
    std::os::unix::fs::symlink("/dev/null", own.join("a.toml")).expect("linked");
    std::os::unix::fs::symlink("/dev/null", own.join("c.toml")).expect("linked");
    let loaded = load(&Sources::under(&folder.0, "c", &user), prove).expect("valid");
    let settings = loaded.settings;
    assert_eq!((settings.port, settings.on_loss), (Some(3), Some(false)));
    assert_eq!(settings.verbose, None);
    assert_eq!(
        loaded.files,
        [for_all.join("b.toml"), own.with_extension("")]
    );
}

#[test]
fn nothing_need_be_there_but_what_was_named() {
    let folder = Folder::new();
    assert_eq!(folder.load().expect("valid").settings, Settings::default());
    let path = folder.0.join("mine.toml");
    let error = load(&Sources::file(&path, &Scope::System), prove).expect_err("missing");
    assert_eq!(
        error.to_string(),
        format!("{}: cannot be read: there is no such file", path.display())
    );
}

#[test]
fn a_missing_key_is_told_unless_it_may_be_in_a_file_that_is_broken() {
    let folder = Folder::new();
    let needs = |root: &Section<'_>| {
        root.section("agent", |agent| {
            if agent.string("name").is_none() {
                agent.missing("name", "expected the name of this node");
            }
        });
    };
    write(&folder.main(), "");
    let errors = load(&Sources::file(folder.main(), &Scope::System), needs).expect_err("missing");
    assert!(
        errors
            .to_string()
            .ends_with("agent.name: missing, expected the name of this node")
    );
    write(&folder.main(), "[");
    let errors = load(&Sources::file(folder.main(), &Scope::System), needs).expect_err("broken");
    assert_eq!(errors.count(), 1);
}

#[test]
fn what_is_no_file_is_not_read() {
    let folder = Folder::new();
    fs::create_dir(folder.local("a.toml")).expect("created");
    write(
        &folder.local("b.toml"),
        "# \u{e4}\nport = 1 # \u{e4}"
            .chars()
            .map(|c| c as u8)
            .collect::<Vec<_>>(),
    );
    write(&folder.local("c.toml"), vec![b'#'; 1024 * 1024 + 1]);
    write(&folder.local("d.toml"), vec![b'#'; 1024 * 1024]);
    let socket = std::os::unix::net::UnixListener::bind(folder.local("e.toml")).expect("bound");
    let errors = "\
/etc/unitlink/c.toml.d/a.toml: found a directory, expected a file
/etc/unitlink/c.toml.d/b.toml:1:3: found byte 0xe4, expected UTF-8 text
/etc/unitlink/c.toml.d/c.toml: found more than 1048576 bytes, which is the most for a configuration file
/etc/unitlink/c.toml.d/e.toml: found a socket, FIFO or device, expected a file";
    assert_eq!(folder.errors(), errors);
    drop(socket);
}

#[test]
fn a_loop_of_links_cannot_be_read() {
    let folder = Folder::new();
    std::os::unix::fs::symlink(folder.local("a.toml"), folder.local("a.toml")).expect("linked");
    let message =
        "/etc/unitlink/c.toml.d/a.toml: cannot be read: too many levels of symbolic links";
    assert_eq!(folder.errors(), message);
}

#[test]
fn a_folder_with_too_many_files_is_refused() {
    let folder = Folder::new();
    for number in 0..CONFIG_FILES_MAX {
        write(&folder.local(&format!("{number}.toml")), "");
    }
    assert_eq!(
        folder.errors(),
        "/etc/unitlink/c.toml.d: found 1025 configuration files, expected at most 1024"
    );
}

#[test]
fn a_start_waits_for_files_that_do_not_come_only_for_a_while() {
    let sources = Sources::under(Path::new("/nowhere"), "x", &Scope::System);
    let hangs = |_: &Section<'_>| {
        loop {
            thread::park();
        }
    };
    let limit = Duration::from_millis(20);
    let loaded: Result<Loaded<()>, _> = load_within(limit, &sources, hangs);
    let error = loaded.expect_err("late");
    assert_eq!(error.exit(), Exit::NotReady);
    let text = "not ready in time: the configuration cannot be read within 20ms";
    assert_eq!(error.to_string(), text);
    assert!(load_in_time(&sources, |_| ()).is_ok());
}
