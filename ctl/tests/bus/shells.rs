//! What shells complete: each of them is run, with the script that it gets and a controller that answers.

use std::process::{Command, Stdio};

use test_case::test_case;

use super::{Bus, Controller};

/// Names for a line that ends where the cursor is, as a shell asks for them.
fn names(bus: &Bus, line: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_unitlinkctl"))
        .args(["__complete", "--"])
        .args(line.split(' '))
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .output()
        .expect("started");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test_case("start ", "@front\n@rear\nmain\nworker1\nworker2\n"; "nodes and labels")]
#[test_case("start a,w", "a,@front\na,@rear\na,main\na,worker1\na,worker2\n"; "the next of a list")]
#[test_case("set-loglevel ", "@front\n@rear\ncontroller\nmain\nworker1\nworker2\n"; "the controller too")]
#[test_case("set-loglevel main ", "debug\ninfo\nwarn\nerror\n"; "levels")]
#[test_case("why ", "main\nworker1\nworker2\n"; "one node")]
#[test_case("start worker1 ", "old.service\ntarget.service\n"; "units")]
#[test_case("start @front ", "old.service\ntarget.service\n"; "units of one that is online")]
#[test_case("enable main ", "old@.service\ntarget.service\n"; "unit files")]
#[test_case("set-default main ", ""; "no targets")]
#[test_case("cancel ", "7\n9\n"; "jobs")]
#[test_case("start worker2 ", ""; "a node that is offline")]
#[test_case("start nosuch ", ""; "a node that does not exist")]
#[test_case("start a/b ", ""; "no name")]
#[test_case("--user start ", ""; "another bus, which is not there")]
fn names_are_lines(line: &str, expected: &str) {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    assert_eq!(names(&bus, line), expected);
}

#[test]
fn without_a_controller_or_a_bus_there_are_no_names() {
    for bus in [Bus::start(), Bus::absent()] {
        assert_eq!(names(&bus, "start "), "");
    }
}

/// What bash offers for a line that ends where the cursor is.
const BASH: &str = include_str!("shells/offered.bash");

/// The same of fish, which can be asked; descriptions come behind a tab.
const FISH: &str = include_str!("shells/offered.fish");

/// The same of zsh, which completes only where somebody types: a shell in a terminal of its own, whose
/// widget writes the line as it has become, or what it offers.
const ZSH: &str = include_str!("shells/offered.zsh");

/// Runs a shell, if it is here.
#[expect(clippy::print_stderr, reason = "says why nothing was tried")]
fn offered(shell: &str, script: &str, line: &str) -> Option<Vec<String>> {
    let is_here = Command::new(shell)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if is_here.is_err() {
        eprintln!("skipped: {shell} is not installed");
        return None;
    }
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let folder = std::env::temp_dir().join(format!("ctl-{shell}-{}", bus.name()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let options: &[&str] = match shell {
        "bash" => &["--norc"],
        "fish" => &["--no-config"],
        _ => &["-f"],
    };
    let output = Command::new(shell)
        .args(options)
        .args(["-c", script])
        .env("CTL", env!("CARGO_BIN_EXE_unitlinkctl"))
        .env("LINE", line)
        .env("DIR", &folder)
        .env("HOME", &folder)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .stdin(Stdio::null())
        .output()
        .expect("started");
    std::fs::remove_dir_all(&folder).expect("removed");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let out = String::from_utf8_lossy(&output.stdout);
    let lines = out.lines().filter(|line| !line.is_empty());
    Some(lines.map(str::to_owned).collect())
}

#[test_case("ctl list-unit", &["list-units", "list-unit-files"]; "verbs")]
#[test_case("ctl start w", &["worker1", "worker2"]; "nodes")]
#[test_case("ctl --timeout 30s start w", &["worker1", "worker2"]; "the value of an option is no verb")]
#[test_case("ctl start @f", &["front"]; "labels, of which bash has cut the at sign off")]
#[test_case("ctl start main,w", &["main,worker1", "main,worker2"]; "the last of a list")]
#[test_case("ctl start worker1 ta", &["target.service"]; "units of the node")]
#[test_case("ctl start --all so", &["source.service"]; "units of a node of all")]
#[test_case("ctl enable worker1 ol", &["old@.service"]; "unit files of the node")]
#[test_case("ctl cancel ", &["7", "9"]; "jobs")]
#[test_case("ctl is-online node ma", &["main"]; "the node that is to be online")]
#[test_case("ctl set-loglevel co", &["controller"]; "the controller")]
#[test_case("ctl set-loglevel main de", &["debug"]; "a level")]
#[test_case("ctl daemon-reload worker1 ", &[]; "nothing more")]
#[test_case("ctl start worker1 --no-b", &["--no-block"]; "options")]
#[test_case("ctl completion ba", &["bash"]; "words that are known without asking")]
fn bash_offers(line: &str, names: &[&str]) {
    if let Some(offered) = offered("bash", BASH, line) {
        assert_eq!(offered, names);
    }
}

#[test_case("ctl list-unit", &["list-unit-files", "list-units"]; "verbs")]
#[test_case("ctl start w", &["worker1", "worker2"]; "nodes")]
#[test_case("ctl --timeout 30s start w", &["worker1", "worker2"]; "the value of an option is no verb")]
#[test_case("ctl start @f", &["@front"]; "labels")]
#[test_case("ctl start main,w", &["main,worker1", "main,worker2"]; "the last of a list")]
#[test_case("ctl start worker1 ta", &["target.service"]; "units of the node")]
#[test_case("ctl start --all so", &["source.service"]; "units of a node of all")]
#[test_case("ctl enable worker1 ol", &["old@.service"]; "unit files of the node")]
#[test_case("ctl cancel ", &["7", "9"]; "jobs")]
#[test_case("ctl is-online node ma", &["main"]; "the node that is to be online")]
#[test_case("ctl set-loglevel co", &["controller"]; "the controller")]
#[test_case("ctl daemon-reload worker1 ", &[]; "nothing more")]
#[test_case("ctl start worker1 --no-b", &["--no-block"]; "options")]
fn fish_offers(line: &str, names: &[&str]) {
    if let Some(mut offered) = offered("fish", FISH, line) {
        offered.sort();
        assert_eq!(offered, names);
    }
}

#[test_case("ctl list-unit", &["list-unit-files", "list-units"]; "verbs")]
#[test_case("ctl start w", &["worker1", "worker2"]; "nodes")]
#[test_case("ctl --timeout 30s start w", &["worker1", "worker2"]; "the value of an option is no verb")]
#[test_case("ctl start @f", &["@front"]; "labels")]
#[test_case("ctl start main,w", &["worker1", "worker2"]; "the last of a list")]
#[test_case("ctl start worker1 ta", &["target.service"]; "units of the node")]
#[test_case("ctl start --all so", &["source.service"]; "units of a node of all")]
#[test_case("ctl enable worker1 ol", &["old@.service"]; "unit files of the node")]
#[test_case("ctl cancel ", &["7", "9"]; "jobs")]
#[test_case("ctl is-online node ma", &["main"]; "the node that is to be online")]
#[test_case("ctl set-loglevel co", &["controller"]; "the controller")]
fn zsh_offers(line: &str, names: &[&str]) {
    if let Some(mut offered) = offered("zsh", ZSH, line) {
        offered.sort();
        offered.dedup();
        assert_eq!(offered, names);
    }
}
