//! Names for shells that complete command lines.

use std::process::Command;

use test_case::test_case;

use super::{Bus, Controller, ctl, said};

#[test_case("nodes", "@front\n@rear\nmain\nworker1\nworker2\n")]
#[test_case("units worker1", "old.service\ntarget.service\n")]
#[test_case("units @front", "old.service\ntarget.service\n"; "of one that is online")]
#[test_case("files main", "old@.service\ntarget.service\n")]
#[test_case("jobs", "7\n9\n")]
#[test_case("units worker2", ""; "a node that is offline")]
#[test_case("units nosuch", ""; "a node that does not exist")]
#[test_case("units a/b", ""; "no name")]
fn names_are_lines(what: &str, names: &str) {
    let said = said(&format!("__complete {what}"));
    assert_eq!(
        (said.out.as_str(), said.err.as_str(), said.code),
        (names, "", Some(0))
    );
}

#[test]
fn without_a_controller_or_a_bus_there_are_no_names() {
    for bus in [Bus::start(), Bus::absent()] {
        let said = ctl(&bus, "__complete nodes");
        assert_eq!(
            (said.out.as_str(), said.err.as_str(), said.code),
            ("", "", Some(0))
        );
    }
}

/// What bash would offer for a line that ends where the cursor is.
fn offered(line: &str) -> Vec<String> {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    // What bash counts as words: split at spaces and at the characters of COMP_WORDBREAKS.
    let script = r#"
        source <("$CTL" completion bash) || exit 3
        COMP_LINE="$LINE"; COMP_POINT=${#LINE}
        read -ra COMP_WORDS < <(sed 's/[@:=]/ & /g' <<<"$LINE")
        [[ "$LINE" == *" " || "$LINE" == *[@:=] ]] && COMP_WORDS+=("")
        COMP_WORDS[0]="$CTL"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _ctl_live "$CTL" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env("CTL", env!("CARGO_BIN_EXE_unitlinkctl"))
        .env("LINE", line)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .output()
        .expect("bash is installed");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    out.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
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
#[test_case("ctl daemon-reload worker1 ", &[]; "nothing more")]
#[test_case("ctl start worker1 --no-b", &["--no-block"]; "options")]
fn bash_offers(line: &str, names: &[&str]) {
    assert_eq!(offered(line), names);
}
