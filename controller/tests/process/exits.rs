//! With which code it ends where it cannot start.

use std::process::{Command, Stdio};

use test_case::test_case;

use crate::daemon::Folder;

const GOOD: &str = "listen.unix = \"\"\n";

#[test_case(GOOD, &["--no-such-option"], 64, "--no-such-option"; "options that are none")]
#[test_case(GOOD, &["--print-config", "nonsense"], 64, "nonsense"; "a section that is none")]
#[test_case("listen.unix = \"/nonexistent/c.sock\"\n", &[], 69, "/nonexistent/c.sock"; "an address that is not available")]
#[test_case("x = 1\n", &[], 78, "controller.toml:1:1: x: "; "a configuration that is not valid")]
#[test_case(GOOD, &["--check"], 0, ""; "a configuration that is valid")]
fn it_ends_at_the_start_and_says_why(config: &str, options: &[&str], code: i32, why: &str) {
    let folder = Folder::new("exits");
    let file = folder.path("controller.toml");
    std::fs::write(&file, config).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_unitlink-controller"))
        .args(["--user", "--config"])
        .arg(&file)
        .args(options)
        .env("XDG_RUNTIME_DIR", folder.path(""))
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}
