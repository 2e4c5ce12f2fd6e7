//! Verbs that are no jobs, on one node: what is asked, what is said, and how it ends.

use test_case::test_case;

use super::{Bus, Controller, ctl, said};

/// Runs it, and gives what the controller was asked to do, without questions.
fn asked(line: &str) -> Vec<String> {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let said = ctl(&bus, line);
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)), "{line}");
    controller.calls()
}

#[test_case("freeze worker1 target", &["worker1 FreezeUnit \"target.service\""])]
#[test_case("thaw worker1 target", &["worker1 ThawUnit \"target.service\""])]
#[test_case("kill worker1 target", &["worker1 KillUnit \"target.service\" \"all\" 15"])]
#[test_case("kill -s HUP --kill-whom main worker1 target", &["worker1 KillUnit \"target.service\" \"main\" 1"])]
#[test_case("reset-failed worker1", &["worker1 ResetFailed"])]
#[test_case("reset-failed worker1 target", &["worker1 ResetFailedUnit \"target.service\""])]
#[test_case("daemon-reload worker1", &["worker1 Reload"])]
#[test_case("set-loglevel worker1 debug", &["worker1 SetLogLevel \"DEBUG\""])]
#[test_case("set-loglevel controller WARN", &["SetLogLevel \"WARN\""])]
#[test_case("enable worker1 target", &["worker1 EnableUnitFiles [\"target.service\"] false false", "worker1 Reload"])]
#[test_case("enable --force --runtime --no-reload worker1 target", &["worker1 EnableUnitFiles [\"target.service\"] true true"])]
#[test_case("disable worker1 a@.service", &["worker1 DisableUnitFiles [\"a@.service\"] false", "worker1 Reload"])]
#[test_case("set-default worker1 rescue --force", &["worker1 SetDefaultTarget \"rescue.target\" true", "worker1 Reload"])]
#[test_case("set-loglevel info", &["SetLogLevel \"INFO\""]; "without a name the controller is meant")]
#[test_case("enable --now worker1 target", &["worker1 EnableUnitFiles [\"target.service\"] false false", "worker1 Reload", "worker1 Enqueue \"start\" \"target.service\" \"replace\" COOKIE 0"])]
#[test_case("disable --now --no-reload worker1 target", &["worker1 DisableUnitFiles [\"target.service\"] false", "worker1 Enqueue \"stop\" \"target.service\" \"replace\" COOKIE 0"])]
#[test_case("cancel 7", &["Cancel"])]
#[test_case("start worker1 target", &["worker1 Enqueue \"start\" \"target.service\" \"replace\" COOKIE 0"]; "one plain node costs one call")]
#[test_case("status worker1 target -o plain", &["worker1 UnitStatus [\"target.service\"]"]; "one plain node costs one question")]
fn what_is_done_is_one_call(line: &str, calls: &[&str]) {
    assert_eq!(asked(line), calls);
}

#[test]
fn what_has_no_word_to_say_is_silent() {
    let said = said("freeze worker1 target");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
}

#[test]
fn links_are_told_as_systemctl_does() {
    let enabled = said("enable worker1 target");
    assert_eq!(
        enabled.out,
        "Created symlink /etc/systemd/system/multi-user.target.wants/target.service \
         \u{2192} /lib/systemd/system/target.service.\n"
    );
    let disabled = said("disable worker1 target");
    assert_eq!(
        disabled.out,
        "Removed /etc/systemd/system/multi-user.target.wants/target.service.\n"
    );
    let bare = said("enable worker1 bare");
    assert_eq!(bare.code, Some(0));
    assert!(
        bare.err
            .contains("bare.service on worker1 has no [Install] section"),
        "{}",
        bare.err
    );
}

#[test_case("freeze worker1 hot", 1, "failed to freeze hot.service on worker1: Unit 'hot.service' does not support"; "what the manager will not do")]
#[test_case("kill worker1 gone", 4, "there is no unit gone.service on worker1")]
#[test_case("freeze worker2 target", 6, "node worker2 is offline since 3min 5s")]
#[test_case("daemon-reload woker1", 5, "did you mean worker1?")]
#[test_case("get-default worker2", 6, "node worker2 is offline")]
#[test_case("show worker2 target", 6, "node worker2 is offline")]
#[test_case("is-active worker2 target", 6, "node worker2 is offline")]
#[test_case("list-unit-files worker2", 6, "node worker2 is offline")]
#[test_case("is-online node woker1", 5, "did you mean worker1?")]
#[test_case("cancel 8", 10, "there is no job 8; it may have ended")]
#[test_case("unescape target.service", 2, "'target.service' is no proxy")]
#[test_case("stop worker1 nosuch*", 4, "no unit on worker1 fits 'nosuch*'")]
fn failures_say_what_and_how_on(line: &str, code: i32, text: &str) {
    let said = said(line);
    assert_eq!(said.code, Some(code), "{}", said.err);
    assert!(said.err.contains(text), "{}", said.err);
    assert_eq!(said.out, "");
}

#[test_case("is-active worker1 target", "active", 0)]
#[test_case("is-active worker1 broken", "failed", 3)]
#[test_case("is-active worker1 gone", "inactive", 4)]
#[test_case("is-failed worker1 broken", "failed", 0)]
#[test_case("is-failed worker1 target", "active", 1)]
#[test_case("is-enabled worker1 target", "enabled", 0)]
#[test_case("is-enabled worker1 off", "disabled", 1)]
#[test_case("is-enabled worker1 gone", "not-found", 4)]
#[test_case("get-default worker1", "multi-user.target", 0)]
#[test_case("escape worker2 target", "proxy@worker2_target.service", 0)]
#[test_case("unescape proxy@worker2_target.service", "worker2 target.service", 0)]
fn questions_have_one_word(line: &str, word: &str, code: i32) {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let said = ctl(&bus, line);
    assert_eq!(
        (said.out.trim_end(), said.code),
        (word, Some(code)),
        "{}",
        said.err
    );
    let quiet = ctl(&bus, &format!("--quiet {line}"));
    assert_eq!((quiet.out.as_str(), quiet.code), ("", Some(code)));
}

#[test]
fn properties_are_lines() {
    let said = said("show worker1 target -p ActiveState,SubState -p LoadState");
    assert_eq!(
        said.out,
        "ActiveState=active\nSubState=running\nLoadState=loaded\n"
    );
    let said = super::said("show worker1 target -p ActiveState --value");
    assert_eq!(said.out, "active\n");
}

#[test]
fn unit_files_are_filtered() {
    let said = said("list-unit-files worker1 --state disabled -o plain");
    assert_eq!(said.out, "worker1 old@.service disabled\n");
    let said = super::said("list-unit-files --filter target -o plain");
    assert_eq!(
        said.out,
        "main target.service enabled\nworker1 target.service enabled\n"
    );
    assert!(
        said.err.starts_with(
            "error: the unit files of worker2 are missing: node worker2 is offline since 3min 5s"
        ),
        "{}",
        said.err
    );
    assert_eq!(said.code, Some(6));
}

#[test]
fn jobs_are_those_that_have_an_object() {
    let said = said("list-jobs -o plain");
    assert_eq!(said.out, "worker1 late.service 7 start running\n");
    assert_eq!(super::said("list-jobs main -o plain").out, "");
}

#[test]
fn units_are_listed_by_patterns() {
    let said = said("list-units --all --filter *et* -o plain");
    assert_eq!(said.out, "worker1 target.service loaded active running\n");
    let said = super::said("list-units worker1 --all old -o plain");
    assert_eq!(said.out, "worker1 old.service loaded inactive dead\n");
}

#[test]
fn one_unit_has_details() {
    let said = said("status worker1 target");
    assert!(
        said.out
            .contains("\n\u{25cf} target.service on worker1 - Target service\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("Active: active (running) since "),
        "{}",
        said.out
    );
}

#[test_case("daemon reload", 0, "configuration 2 is in force"; "it is in force")]
#[test_case("daemon reload worker1", 5, "not read in time"; "its files were not read in time")]
#[test_case("daemon reload worker2", 6, "offline"; "a node that is offline")]
#[test_case("daemon reload nobody", 6, "nobody"; "a node that is none")]
#[test_case("daemon reload agent", 6, "unitlink-agent"; "an agent that is not there")]
fn a_reload_has_codes_of_its_own(line: &str, code: i32, text: &str) {
    let said = said(line);
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    assert!(
        (said.out.clone() + &said.err).contains(text),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn a_reload_without_a_controller_or_a_bus_has_the_same_code() {
    for bus in [Bus::start(), Bus::absent()] {
        let said = ctl(&bus, "daemon reload");
        assert_eq!(said.code, Some(6), "{}", said.err);
    }
}
