use test_case::test_case;

use super::*;
use crate::{
    key::{KEYS, Kind},
    options::{Command, parse},
};

fn read_line(line: &str) -> Result<Settings, String> {
    let Ok(Command::Run(run)) = parse(line.split_whitespace().map(OsString::from)) else {
        panic!("{line}");
    };
    read(&run, None).map_err(|errors| errors.to_string())
}

#[test]
fn without_anything_but_a_command_everything_has_its_default() {
    let settings = read_line("-- a b").expect("right");
    assert_eq!(settings.command, ["a", "b"]);
    assert_eq!(settings.core, generations::Settings::default());
    assert_eq!(settings.fixed.at_exit, AtExit::Kill);
    assert!(settings.fixed.adapt && !settings.fixed.reuse_port && !settings.fdstore);
}

/// A value for each key that is right, and what `prove` must not call unknown.
#[test]
fn every_key_of_the_table_is_known_and_no_other() {
    let value = |name: &str| match name {
        "mode" => "rolling",
        "ready" => "notify",
        "environment" => "A=1",
        "on_reload_failure" => "retry",
        "max_crashes" => "5/60s",
        "forward_signals" | "mutable_signal" => "WINCH",
        "publish" => "/run/x:/run/x.%G",
        "at_exit" => "leave",
        "listen" => "web=127.0.0.1:80",
        "chdir" | "environment_file" | "mutable_files" => "/x",
        "workers" => "1",
        _ => "3s",
    };
    let mut line = String::new();
    for key in KEYS {
        match key.kind {
            Kind::Flag => line.push_str(&format!("{} ", key.option())),
            Kind::Number => line.push_str(&format!("{} 1 ", key.option())),
            Kind::Text | Kind::List => {
                line.push_str(&format!("{} {} ", key.option(), value(key.name)));
            }
        }
    }
    line.push_str("-- a");
    assert_eq!(read_line(&line).map(drop), Ok(()));
    // What is known is what is in the table: an unknown key is told with all that are.
    let run = Run {
        toml: "nonsense_that_is_near_nothing = 1\ncommand = [\"a\"]".into(),
        ..Run::default()
    };
    let said = read(&run, None).expect_err("refused").to_string();
    let known: Vec<_> = KEYS.iter().map(|key| key.name).chain(["command"]).collect();
    for key in &known {
        assert!(said.contains(&format!("'{key}'")), "{key} is not in {said}");
    }
    assert_eq!(said.matches('\'').count(), 2 * known.len(), "{said}");
}

#[test_case("", "command: missing, expected a program and its arguments, here or after '--'"; "no command")]
#[test_case("--", "command: found an empty array, expected a program and its arguments"; "an empty command")]
#[test_case(
    "--workers 0 -- a",
    "workers: found 0, expected an integer from 1 to 1024"
)]
#[test_case("--workers x -- a", "workers: found \"x\", expected an integer from 1 to 1024"; "no number")]
#[test_case(
    "--confirm 2 -- a",
    "confirm: found \"2\", expected a time with its unit, write \"2s\""
)]
#[test_case(
    "--mode fast -- a",
    "mode: found \"fast\", expected \"overlap\", \"rolling\" or \"replace\""
)]
#[test_case(
    "--ready soon -- a",
    "ready: found \"soon\", expected \"auto\", \"notify\", \"time:TIME\", \"exec:COMMAND\", \"tcp:HOST:PORT\", \"unix:PATH\" or \"http://HOST:PORT/PATH\""
)]
#[test_case(
    "--ready time:5 -- a",
    "ready: found \"time:5\", expected a time with its unit, write \"5s\""
)]
#[test_case(
    "--max-crashes 5 -- a",
    "max_crashes: found \"5\", expected \"off\", or a number and a time such as \"5/60s\""
)]
#[test_case(
    "--environment A -- a",
    "environment[0]: found \"A\", expected NAME=VALUE"
)]
#[test_case(
    "--listen 80.1.1.1 -- a",
    "listen[0]: found \"80.1.1.1\", expected [NAME=]HOST:PORT, [NAME=]PORT or [NAME=]PATH"
)]
#[test_case(
    "--publish /a:/b -- a",
    "publish: found \"/a:/b\", expected LINK:PATH, two absolute paths, the second with %G in it"
)]
#[test_case(
    "--publish /a:/b%G --workers 2 -- a",
    "workers: found 2, expected 1, since with publish each generation has one socket"
)]
#[test_case(
    "--forward-signals KILL -- a",
    "forward_signals[0]: found \"KILL\", expected a signal that workers can act on"
)]
#[test_case(
    "--mutable-signal FOO -- a",
    "mutable_signal: found \"FOO\", expected the name of a signal such as \"WINCH\""
)]
#[test_case(
    "--respawn-delay 1min -- a",
    "respawn_delay: found \"1min\", expected respawn_delay_max to be no less than respawn_delay"
)]
#[test_case(
    "--success-exit 256 -- a",
    "success_exit: found 256, expected an integer from 0 to 255"
)]
#[test_case(
    "--fdstore=maybe -- a",
    "fdstore: found \"maybe\", expected true or false"
)]
fn what_is_wrong_says_what_would_be_right(line: &str, text: &str) {
    let said = read_line(line).expect_err("refused");
    assert_eq!(said, format!("command line: {text}"));
}

#[test_case("http=127.0.0.1:80", "http", "127.0.0.1:80")]
#[test_case("80", "listen", "[::]:80")]
#[test_case("[::1]:80", "listen", "[::1]:80")]
#[test_case("a=/run/x.sock", "a", "/run/x.sock")]
fn addresses(text: &str, name: &str, address: &str) {
    let listen = listen(text).expect("right");
    assert_eq!(
        (listen.name.as_str(), listen.address.to_string().as_str()),
        (name, address)
    );
}

#[test]
fn the_manual_pages_have_every_setting() {
    let (one, five) = (
        include_str!("../../../docs/man/unitlink-launcher.1"),
        include_str!("../../../docs/man/unitlink-launcher.toml.5"),
    );
    for key in KEYS {
        let option = key.option().replace('-', "\\-");
        assert!(one.contains(&option), "{option}");
        assert!(
            five.contains(&format!(".BR \"{}\"", key.name)),
            "{}",
            key.name
        );
    }
}
