use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::daemon::{Daemon, Folder, answers, controller, wait_until};

/// Kinds of bad configuration, each below a first line that is right, with what is said about it after
/// the name of the file.
const BAD: [(&str, &[&str]); 24] = [
    (
        "[heartbeat]\nintervall = \"1s\"",
        &[":3:1: heartbeat.intervall: unknown key, did you mean 'interval'?"],
    ),
    (
        "[heartbeet]",
        &[":2:2: heartbeet: unknown table, did you mean 'heartbeat'?"],
    ),
    (
        "[heartbeat]\ninterval = \"1s\"\ninterval = \"2s\"",
        &[":4:1: broken TOML: duplicate key"],
    ),
    (
        "[heartbeat]\n[heartbeat]",
        &[":3:2: broken TOML: duplicate key"],
    ),
    (
        "[heartbeat",
        &[":2:11: broken TOML: unclosed table, expected `]`"],
    ),
    (
        "heartbeat = 3",
        &[":2:13: heartbeat: found 3, expected a table, write [heartbeat]"],
    ),
    (
        "[heartbeat]\ninterval = 2",
        &[":3:12: heartbeat.interval: found 2, expected a time with its unit, write \"2s\""],
    ),
    (
        "[heartbeat]\ninterval = \"2 parsecs\"",
        &[
            ":3:12: heartbeat.interval: found \"2 parsecs\", unit 'parsecs' is not known, expected 'us', 'ms', 's', 'min', 'h' or 'd'",
        ],
    ),
    (
        "[heartbeat]\ninterval = \"1us\"",
        &[":3:12: heartbeat.interval: found \"1us\", expected a time from \"100ms\" to \"1d\""],
    ),
    (
        "[heartbeat]\ninterval = \"4s\"\nthreshold = \"6s\"",
        &[
            ":4:13: heartbeat.threshold: found \"6s\", expected at least twice heartbeat.interval, so that one late heartbeat does no harm",
        ],
    ),
    (
        "[log]\nlevel = \"loud\"",
        &[
            ":3:9: log.level: found \"loud\", expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    ),
    (
        "[log]\ntarget = true",
        &[":3:10: log.target: found true, expected \"journal\", \"stderr\" or \"auto\""],
    ),
    (
        "listen.tcp = \"[::]:842\"",
        &[":2:14: listen.tcp: found \"[::]:842\", expected an array of strings"],
    ),
    (
        "listen.tcp = [842]",
        &[":2:15: listen.tcp[0]: found 842, expected a string"],
    ),
    (
        "listen.tcp = [\"localhost:842\"]",
        &[":2:15: listen.tcp[0]: found \"localhost:842\", "],
    ),
    (
        "listen.backlog = 0",
        &[":2:18: listen.backlog: found 0, expected an integer from 1 to 65535"],
    ),
    (
        "[nodes]\nallowed = [\"a\", \"b/c\"]",
        &[
            ":3:17: nodes.allowed[1]: found \"b/c\", a node name has '/'; only letters, digits, '-', '_' and '.' are allowed",
        ],
    ),
    (
        "[node.\"b c\"]",
        &[
            ":2:7: node.\"b c\": found \"b c\", a node name has ' '; only letters, digits, '-', '_' and '.' are allowed",
        ],
    ),
    (
        "[node.a]\nallow_dependencies_on = [\"nobody\"]",
        &[
            ":3:26: node.a.allow_dependencies_on[0]: found \"nobody\", expected a node that nodes.allowed or a table [node.NAME] names",
        ],
    ),
    (
        "[node.a]\nlabels = [\"\"]",
        &[
            ":3:11: node.a.labels[0]: found \"\", expected a label of 1 to 64 bytes without control characters",
        ],
    ),
    (
        "[claims]\non_loss = \"panic\"",
        &[":3:11: claims.on_loss: found \"panic\", expected \"stop\" or \"keep\""],
    ),
    (
        "[limits]\njob_timeout = \"-1s\"",
        &[
            ":3:15: limits.job_timeout: found \"-1s\", expected a time such as \"2s\" or \"1min 30s\"",
        ],
    ),
    ("x = \"\\u0000\\q\"", &[":2:13: broken TOML: "]),
    (
        "[tcp]\nkeepalive = \"10s\"\nkeepalife = \"9s\"\n[log]\nlevel = 3",
        &[
            ":4:1: tcp.keepalife: unknown key, did you mean 'keepalive'?",
            ":6:9: log.level: found 3, expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    ),
];

struct Stage {
    folder: Folder,
    file: PathBuf,
    good: String,
}

impl Stage {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let good = format!("listen.unix = {:?}\n", folder.path("socket"));
        let file = folder.path("controller.toml");
        Self { folder, file, good }
    }

    fn start(&self) -> Daemon {
        let daemon = controller(&self.folder, &self.good);
        wait_until("it answers", || answers(&self.folder.path("socket")));
        daemon
    }

    fn write(&self, more: &str) {
        fs::write(&self.file, format!("{}{more}\n", self.good)).expect("written");
    }

    fn said(&self, of: &str) -> String {
        format!("{}{of}", self.file.display())
    }
}

/// The digest and the generation of what is in force.
fn in_force(daemon: &Daemon) -> String {
    let before = daemon.log().len();
    daemon.signal(Signal::USR1);
    let mut state = None;
    wait_until("the state is told", || {
        let log = daemon.log();
        let new = log.get(before..).unwrap_or_default().to_owned();
        state = new.split_once("configuration ").and_then(|(_, rest)| {
            let words: Vec<_> = rest.split([' ', ',']).take(3).map(str::to_owned).collect();
            rest.contains(',').then(|| words.join(" "))
        });
        state.is_some()
    });
    state.expect("told")
}

#[test]
fn a_bad_configuration_is_told_with_its_place_and_changes_nothing() {
    let stage = Stage::new("bad");
    let mut daemon = stage.start();
    let before = in_force(&daemon);
    for (text, errors) in BAD {
        let told = daemon.log().len();
        stage.write(text);
        daemon.signal(Signal::HUP);
        let new = || daemon.log().get(told..).unwrap_or_default().to_owned();
        wait_until("it is rejected", || new().contains("reload rejected ("));
        let new = new();
        for error in errors {
            assert!(new.contains(&stage.said(error)), "{text}\n{error}\n{new}");
        }
        let count = match errors.len() {
            1 => "(1 error)".to_owned(),
            count => format!("({count} errors)"),
        };
        assert!(new.contains(&count), "{text}\n{new}");
        assert!(daemon.is_alive() && answers(&stage.folder.path("socket")));
    }
    assert_eq!(in_force(&daemon), before);
}

#[test]
fn a_controller_does_not_start_with_a_bad_configuration_and_says_the_same() {
    let stage = Stage::new("start");
    for (text, errors) in BAD {
        stage.write(text);
        let output = Command::new(env!("CARGO_BIN_EXE_unitlink-controller"))
            .arg("--config")
            .arg(&stage.file)
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{text}: {said}");
        for error in errors {
            assert!(said.contains(&stage.said(error)), "{text}\n{error}\n{said}");
        }
    }
}

#[test]
fn files_that_cannot_be_read_change_nothing() {
    let stage = Stage::new("files");
    let daemon = stage.start();
    let before = in_force(&daemon);
    type Spoil = fn(&Path);
    let spoils: [(Spoil, &str); 5] = [
        (
            |file| fs::remove_file(file).expect("removed"),
            ": cannot be read: there is no such file",
        ),
        (
            |file| {
                let _ = fs::remove_file(file);
                fs::create_dir(file).expect("a folder");
            },
            ": found a directory, expected a file",
        ),
        (
            |file| {
                fs::remove_dir(file).expect("removed");
                fs::write(file, b"# \xff\n").expect("written");
            },
            ":1:3: found byte 0xff, expected UTF-8 text",
        ),
        (
            |file| fs::write(file, "#".repeat(2 * 1024 * 1024)).expect("written"),
            ": found more than 1048576 bytes, which is the most for a configuration file",
        ),
        (
            |file| {
                fs::remove_file(file).expect("removed");
                std::os::unix::net::UnixListener::bind(file).expect("a socket");
            },
            ": found a socket, FIFO or device, expected a file",
        ),
    ];
    for (spoil, error) in spoils {
        let told = daemon.log().len();
        spoil(&stage.file);
        daemon.signal(Signal::HUP);
        let expected = stage.said(error);
        wait_until(&expected, || {
            daemon
                .log()
                .get(told..)
                .unwrap_or_default()
                .contains(&expected)
        });
    }
    fs::remove_file(&stage.file).expect("removed");
    stage.write("");
    assert_eq!(in_force(&daemon), before);
}

#[test]
fn an_address_that_is_taken_rejects_all_of_a_reload() {
    let stage = Stage::new("taken");
    let daemon = stage.start();
    let before = in_force(&daemon);
    let busy = TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = busy.local_addr().expect("an address").port();
    let other = stage.folder.path("other");
    fs::write(
        &stage.file,
        format!(
            "[listen]\nunix = {other:?}\ntcp = [\"127.0.0.1:{taken}\"]\n[log]\nlevel = \"trace\"\n"
        ),
    )
    .expect("written");
    daemon.signal(Signal::HUP);
    let expected = stage.said(&format!(
        ":3:7: listen.tcp: failed to listen on 127.0.0.1:{taken}: Address already in use"
    ));
    wait_until(&expected, || daemon.log().contains(&expected));
    wait_until("it is rejected", || daemon.log().contains("(1 error)"));
    assert!(!other.exists(), "a socket was left behind");
    assert!(answers(&stage.folder.path("socket")));
    assert_eq!(in_force(&daemon), before);

    // The same once more with the port free: everything of it.
    drop(busy);
    daemon.signal(Signal::HUP);
    wait_until("it listens there", || answers(&other));
    wait_until("the old one is gone", || {
        !stage.folder.path("socket").exists()
    });
    assert_ne!(in_force(&daemon), before);
    let mode = fs::metadata(&other).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_hundred_hups_end_with_the_last_content_in_at_most_two_steps() {
    let stage = Stage::new("storm");
    let daemon = stage.start();
    for round in 0..100 {
        stage.write(&format!("[claims]\nloss_grace = \"{}s\"", round + 1));
        daemon.signal(Signal::HUP);
    }
    let last = "[claims]\nloss_grace = \"1h\"";
    stage.write(last);
    daemon.signal(Signal::HUP);
    let reference = Stage::new("reference");
    let same = format!("{}{last}\n", stage.good);
    fs::write(&reference.file, same).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_unitlink-controller"))
        .args(["--show-config", "--config"])
        .arg(&reference.file)
        .output()
        .expect("run");
    let digest = String::from_utf8_lossy(&output.stdout);
    let digest = digest.get(..12).expect("a digest").to_owned();
    wait_until("the last content is in force", || {
        in_force(&daemon).starts_with(&digest)
    });
}
