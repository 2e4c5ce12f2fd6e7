//! What is typed, and what is made of it.

use clap::CommandFactory as _;
use test_case::test_case;

use super::*;

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["ctl"].into_iter().chain(line.split(' ')))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "any other verb")]
fn job(cli: &Cli) -> (JobKind, &Units) {
    match &cli.verb {
        Verb::Job(job) => job.parts(),
        verb => panic!("another verb: {verb:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
    Quick::command().debug_assert();
}

#[test_case("start worker1 a", true)]
#[test_case("reload --all a -o json --timeout 5s", true)]
#[test_case("version", true)]
#[test_case("start worker1", false; "what is wrong")]
#[test_case("start --help", false; "a wish for help")]
#[test_case("-q start worker1 a", true; "an option first")]
#[test_case("--timeout 5s -o json --no-pager stop --all a", true; "options with values first")]
#[test_case("--output start start worker1 a", false; "a value that is a verb, and wrong")]
#[test_case("freeze worker1 a", false; "another verb")]
#[test_case("-q freeze start reload", false; "names that are verbs")]
fn what_is_used_most_is_read_quickly_and_to_the_same(line: &str, is_quick: bool) {
    let words: Vec<OsString> = ["ctl"]
        .into_iter()
        .chain(line.split(' '))
        .map(Into::into)
        .collect();
    let quick = Cli::quick(&words);
    assert_eq!(quick.is_some(), is_quick);
    if let Some(quick) = quick {
        let full = parsed(line).expect("valid");
        assert_eq!(format!("{quick:?}"), format!("{full:?}"));
    }
}

#[test]
fn a_unit_without_a_type_is_a_service() {
    let cli = parsed("start worker1 source").expect("valid");
    let (kind, of) = job(&cli);
    assert_eq!(kind, JobKind::Start);
    let source = UnitArg::Name("source.service".parse().expect("valid"));
    assert_eq!(of.units, [source]);
    assert_eq!(of.nodes, Nodes::One("worker1".parse().expect("valid")));
}

#[test]
fn with_all_there_is_no_node_to_name() {
    let cli = parsed("start --all a b").expect("valid");
    let (_, of) = job(&cli);
    assert_eq!((&of.nodes, of.units.len()), (&Nodes::all(), 2));
    let cli = parsed("set-default --all rescue").expect("valid");
    let Verb::SetDefault(with) = cli.verb else {
        panic!("another verb");
    };
    assert_eq!(with.to.unit.as_str(), "rescue.target");
}

#[test_case("start worker1"; "no unit")]
#[test_case("start --all"; "no unit on all nodes")]
#[test_case("start -x worker1 a"; "no such option")]
#[test_case("start work/er1 a"; "no name of a node")]
#[test_case("start a, b"; "an empty name in a list")]
#[test_case("start worker1 a@.service"; "a template")]
#[test_case("--timeout infinity start worker1 a"; "forever")]
#[test_case("--timeout 0 start worker1 a"; "no time")]
#[test_case("kill -s NOSUCH worker1 a"; "no signal")]
#[test_case("kill --kill-whom some worker1 a"; "no processes")]
#[test_case("daemon-reload"; "no node")]
#[test_case("daemon-reload --all worker1"; "all nodes and one")]
#[test_case("set-default worker1"; "no target")]
#[test_case("set-default --all a b"; "two targets")]
#[test_case("cancel x"; "no number of a job")]
#[test_case("set-loglevel controller loud"; "no level")]
#[test_case("is-online node"; "no node to be online")]
#[test_case("is-online system --wait=0"; "no time to wait")]
fn what_is_not_valid_ends_with_code_2(line: &str) {
    assert_eq!(parsed(line).expect_err("refused").exit_code(), 2);
}

#[test_case("kill -s HUP --kill-whom main a b")]
#[test_case("kill a b.socket --signal 9")]
#[test_case("enable --runtime --force --no-reload a b@.service")]
#[test_case("show a b -p ActiveState,SubState -p Id --value")]
#[test_case("list-units @front *.socket --filter a*,b*")]
#[test_case("set-loglevel CONTROLLER.example.org DEBUG")]
#[test_case("is-online --wait node a")]
#[test_case("is-online node a --wait=30s -q")]
#[test_case("reset-failed --all")]
#[test_case("-q --no-pager status a,b,cam* x*")]
fn what_is_valid_is_read(line: &str) {
    assert!(
        parsed(line).is_ok(),
        "{}",
        parsed(line).expect_err("refused")
    );
}

#[test_case("10.0.0.1:842", Some("tcp:host=10.0.0.1,port=842"); "as people write it")]
#[test_case("[fd00::1]:842", Some("tcp:host=fd00::1,port=842"); "an address in brackets")]
#[test_case("unix:path=/run/a", Some("unix:path=/run/a"); "of a bus")]
#[test_case("nowhere", None; "no port")]
#[test_case("a:99999", None; "no such port")]
fn addresses_of_controllers_are_read(typed: &str, address: Option<&str>) {
    assert_eq!(controller_address(typed).ok().as_deref(), address);
}

#[test]
fn help_has_the_exit_codes_of_the_reference() {
    let reference = include_str!("../../../docs/reference/exit-codes.md").replace('`', "");
    for line in EXIT_CODES.lines().filter(|line| line.starts_with("  ")) {
        let (code, text) = line.trim().split_once("  ").expect("code and text");
        let row = format!("| {code} | {text} |");
        assert!(reference.contains(&row), "{row}");
    }
}
