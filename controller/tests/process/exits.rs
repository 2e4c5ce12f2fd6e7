//! With which code it ends where it cannot start.

use test_case::test_case;
use tests::daemon::{Hung, after};

use crate::daemon::{Daemon, FILE, Folder, SOON, command};

const GOOD: &str = "listen.unix = \"\"\n";

#[test_case(GOOD, &["--no-such-option"], 64, "--no-such-option"; "options that are none")]
#[test_case(GOOD, &["--print-config", "nonsense"], 64, "nonsense"; "a section that is none")]
#[test_case("listen.unix = \"/nonexistent/c.sock\"\n", &[], 69, "/nonexistent/c.sock"; "an address that is not available")]
#[test_case("x = 1\n", &[], 78, "controller.toml:1:1: x: "; "a configuration that is not valid")]
#[test_case(GOOD, &["--check"], 0, ""; "a configuration that is valid")]
fn it_ends_at_the_start_and_says_why(config: &str, options: &[&str], code: i32, why: &str) {
    let folder = Folder::new("exits");
    let mut command = command(&folder, config);
    command.args(options);
    let mut daemon = Daemon::spawn(&folder, command);
    assert_eq!(daemon.end().code(), Some(code));
    assert!(daemon.log().contains(why), "{}", daemon.log());
}

#[test_case("LISTEN_PID=$$ LISTEN_FDS=1 3>&-", "passed by the service manager"; "sockets that it was promised are not there")]
#[test_case("ulimit -n 4;", "event loop"; "the kernel gives it nothing to wait with")]
fn where_the_machine_does_what_it_never_should_it_says_so(script: &str, why: &str) {
    let folder = Folder::new("broken");
    let command = after(script, &command(&folder, GOOD));
    let mut daemon = Daemon::spawn(&folder, command);
    assert_eq!(daemon.end().code(), Some(70));
    assert!(daemon.log().contains(why), "{}", daemon.log());
}

#[test]
fn a_configuration_that_cannot_be_read_in_time_keeps_it_from_starting() {
    let folder = Folder::new("late");
    let command = command(&folder, GOOD);
    let _hung = Hung::file(&folder.path(FILE));
    let mut daemon = Daemon::spawn(&folder, command);
    assert_eq!(daemon.end_within(2 * SOON).code(), Some(75));
    let why = "not ready in time: the configuration cannot be read within 20s";
    assert!(daemon.log().contains(why), "{}", daemon.log());
}
