//! The sentences in which a node says why something is not as it should be.

use std::time::Duration;

use proto::{
    model::{Cause, JobResult, Reason},
    name::{NodeName, UnitName, rivalled_by},
};

use crate::input::{Description, ManagerError};

/// `ExecMainCode` of a process that ended by itself (`CLD_EXITED`, sigaction(2)).
const CLD_EXITED: i32 = 1;

/// Characters of a service's own words that a reason repeats: enough for a sentence about a reload, and
/// little beside what a reason may have.
const STATUS_CHARS_MAX: usize = 300;

/// What ended an attempt to start a unit, or its being up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    /// systemd refused the call.
    Call(ManagerError),
    /// The job has ended.
    Job(JobResult),
    /// The unit is not active any more.
    Stopped,
}

/// Why a unit of this node is not up, from what systemd says about it. `need` is why a proxy that it
/// requires could not be started last.
pub(crate) fn of_unit(
    node: &NodeName,
    unit: &UnitName,
    ending: &Ending,
    description: Option<&Description>,
    need: Option<&Reason>,
) -> Reason {
    let what = what(node, unit);
    let described = description.and_then(|d| of_description(&what, d));
    if let (None, Ending::Job(JobResult::Failed), Some(description)) =
        (&described, ending, description)
        && is_reload_failed(description)
    {
        return not_reloaded(&what, description);
    }
    match (described, ending, need) {
        (Some(reason), _, _) => reason,
        (None, Ending::Job(JobResult::Dependency), Some(need)) => {
            Reason::new(need.cause, format!("{what} was not started: {}", need.text))
        }
        (None, Ending::Call(error), _) => Reason::new(
            Cause::Manager,
            format!("{what} could not be started: {}", one_line(&error.text)),
        ),
        (None, Ending::Job(result), _) => of_result(&what, *result),
        (None, Ending::Stopped, _) => stopped(node, unit),
    }
}

/// That a unit is not up any more because of a job. A rival stops when the unit is started that it
/// is against.
pub(crate) fn stopped(node: &NodeName, unit: &UnitName) -> Reason {
    let text = match rivalled_by(unit) {
        Some(rivalled) => format!("{} was started", what(node, &rivalled)),
        None => format!("{} was stopped", what(node, unit)),
    };
    Reason::new(Cause::UnitStopped, text)
}

/// The unit in a sentence.
pub(crate) fn what(node: &NodeName, unit: &UnitName) -> String {
    format!("unit {unit} on node {node}")
}

/// Why a unit that was up is not, where no job of its own has brought it down. What a job is about
/// to do to it is told by `description`; without one it has ended by itself. That is no stop:
/// systemd stops what is bound to such a unit, and leaves what only requires it as it is.
pub(crate) fn by_itself(why: Reason, what: &str, description: &Description) -> Reason {
    let failed = description.active == "failed"
        || !matches!(
            description.result.as_str(),
            "" | "success" | "exec-condition"
        );
    let text = if why.cause == Cause::UnitStopped {
        format!("{what} has ended")
    } else {
        why.text.clone()
    };
    match (description.active.as_str(), description.job) {
        // It is being stopped, or will be; or it is to be started by a job that came meanwhile.
        ("active" | "reloading" | "refreshing" | "deactivating" | "inactive" | "failed", true) => {
            why
        }
        ("inactive" | "failed" | "deactivating" | "maintenance", false) if failed => {
            Reason::new(Cause::UnitDied, text)
        }
        ("inactive" | "failed" | "deactivating" | "maintenance", false) => {
            Reason::new(Cause::UnitEnded, text)
        }
        // It is about to be started again, or has been.
        _ => Reason::new(
            Cause::UnitRestarts,
            format!("{text}, and is started again by its systemd"),
        ),
    }
}

/// What the unit's own properties say, where they say that something is wrong.
fn of_description(what: &str, description: &Description) -> Option<Reason> {
    let not_found = |text: String| Some(Reason::new(Cause::UnitNotFound, text));
    match description.load.as_str() {
        "not-found" => return not_found(format!("{what} not found")),
        "masked" => return not_found(format!("{what} is masked")),
        "bad-setting" | "error" => {
            let error = one_line(&description.load_error);
            return not_found(format!("{what} could not be loaded: {error}"));
        }
        _ => {}
    }
    let failed = |text: String| Some(Reason::new(Cause::UnitFailed, text));
    match (description.result.as_str(), description.active.as_str()) {
        ("" | "success", "failed") => failed(format!("{what} failed")),
        ("" | "success", _) if description.condition_failed => {
            failed(format!("{what} was skipped: a condition is not met"))
        }
        ("" | "success", _) => None,
        ("exit-code", _) if description.exec_code == CLD_EXITED => failed(format!(
            "{what} failed: exit-code (status {})",
            description.exec_status
        )),
        ("signal" | "core-dump", _) if description.exec_status > 0 => failed(format!(
            "{what} failed: {} (signal {})",
            description.result, description.exec_status
        )),
        (result, _) => failed(format!("{what} failed: {}", one_line(result))),
    }
}

/// Whether it is up, and only its last reload has failed.
fn is_reload_failed(description: &Description) -> bool {
    description.active == "active" && !matches!(description.reload.as_str(), "" | "success")
}

/// A service that says what its reload has failed of says it in its status.
fn not_reloaded(what: &str, description: &Description) -> Reason {
    let result = one_line(&description.reload);
    let mut text = format!("{what} was not reloaded: {result}");
    let status = one_line(&description.status);
    if !status.is_empty() {
        let status: String = status.chars().take(STATUS_CHARS_MAX).collect();
        text.push_str(&format!("; it says: {status}"));
    }
    Reason::new(Cause::UnitFailed, text)
}

/// What the end of a job says, where its unit says nothing.
fn of_result(what: &str, result: JobResult) -> Reason {
    let (cause, text) = match result {
        JobResult::Done | JobResult::Once | JobResult::Collected => {
            (Cause::UnitStopped, "ended right after its start")
        }
        JobResult::Dependency => (
            Cause::UnitFailed,
            "did not become active: a condition is not met, it ended at once, or a unit that it needs failed",
        ),
        JobResult::Canceled => (Cause::Canceled, "was not started: its job was cancelled"),
        JobResult::Timeout => (Cause::Timeout, "was not started: its job timed out"),
        JobResult::Skipped => (Cause::UnitFailed, "was skipped: a condition is not met"),
        JobResult::Assert => (
            Cause::UnitFailed,
            "was not started: an assertion is not met",
        ),
        JobResult::Unsupported => (Cause::UnitFailed, "cannot be started on this node"),
        JobResult::Frozen => (Cause::UnitFailed, "was not started: it is frozen"),
        JobResult::Failed | JobResult::Invalid => (Cause::UnitFailed, "could not be started"),
    };
    Reason::new(cause, format!("{what} {text}"))
}

/// The reason with how long it was waited for.
pub(crate) fn waited(reason: &Reason, waited: Duration) -> Reason {
    Reason::new(reason.cause, format!("{} (waited {waited:?})", reason.text))
}

/// A text of somebody else's, as part of a line.
pub(crate) fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn described(load: &str, result: &str, code: i32, status: i32) -> Description {
        Description {
            load: load.into(),
            load_error: "Unit has a bad unit file setting.".into(),
            active: "inactive".into(),
            result: result.into(),
            reload: String::new(),
            status: String::new(),
            exec_code: code,
            restarts: false,
            job: false,
            exec_status: status,
            condition_failed: false,
            once: false,
            proxies: Vec::new(),
        }
    }

    #[test_case("", "was not reloaded: exit-code"; "without a word")]
    #[test_case("last reload\nFAILED", "was not reloaded: exit-code; it says: last reload FAILED"; "in its own words")]
    fn a_reload_that_failed_is_no_failed_start(status: &str, text: &str) {
        let description = Description {
            active: "active".into(),
            reload: "exit-code".into(),
            status: status.into(),
            ..described("loaded", "success", 0, 0)
        };
        let (node, unit) = (
            "b".parse().expect("valid"),
            "t.service".parse().expect("valid"),
        );
        let of = |ending| of_unit(&node, &unit, &ending, Some(&description), None).text;
        assert_eq!(
            of(Ending::Job(JobResult::Failed)),
            format!("unit t.service on node b {text}")
        );
        // It is about the last reload, and about nothing else.
        assert!(!of(Ending::Stopped).contains("reloaded"));
    }

    #[test_case("not-found", "", 0, 0, Cause::UnitNotFound, "not found")]
    #[test_case("masked", "", 0, 0, Cause::UnitNotFound, "is masked")]
    #[test_case(
        "bad-setting",
        "",
        0,
        0,
        Cause::UnitNotFound,
        "could not be loaded: Unit has a bad unit file setting."
    )]
    #[test_case(
        "loaded",
        "exit-code",
        1,
        1,
        Cause::UnitFailed,
        "failed: exit-code (status 1)"
    )]
    #[test_case(
        "loaded",
        "signal",
        2,
        9,
        Cause::UnitFailed,
        "failed: signal (signal 9)"
    )]
    #[test_case("loaded", "timeout", 0, 0, Cause::UnitFailed, "failed: timeout")]
    #[test_case(
        "loaded",
        "success",
        1,
        0,
        Cause::UnitFailed,
        "did not become active: a condition is not met, it ended at once, or a unit that it needs failed"
    )]
    fn the_reason_is_the_units_own(
        load: &str,
        result: &str,
        code: i32,
        status: i32,
        cause: Cause,
        text: &str,
    ) {
        let reason = of_unit(
            &"b".parse().expect("name"),
            &"t.service".parse().expect("name"),
            &Ending::Job(JobResult::Dependency),
            Some(&described(load, result, code, status)),
            None,
        );
        assert_eq!(
            reason,
            Reason::new(cause, format!("unit t.service on node b {text}"))
        );
    }

    #[test]
    fn what_a_proxy_was_told_is_passed_on_to_what_needs_it() {
        let need = Reason::new(Cause::NodeOffline, "node c is offline (waited 10s)");
        let reason = |ending| {
            of_unit(
                &"b".parse().expect("name"),
                &"t.service".parse().expect("name"),
                &ending,
                Some(&described("loaded", "success", 0, 0)),
                Some(&need),
            )
        };
        let dependency = reason(Ending::Job(JobResult::Dependency));
        assert_eq!(dependency.cause, Cause::NodeOffline);
        assert_eq!(
            dependency.text,
            "unit t.service on node b was not started: node c is offline (waited 10s)"
        );
        // Another end has nothing to do with what is needed.
        let timeout = reason(Ending::Job(JobResult::Timeout));
        assert_eq!(timeout.cause, Cause::Timeout);
    }

    #[test]
    fn a_refused_call_says_what_systemd_said() {
        let error = ManagerError {
            name: "org.example.Error".into(),
            text: "Transaction is\ndestructive.".into(),
        };
        let reason = of_unit(
            &"b".parse().expect("name"),
            &"t.service".parse().expect("name"),
            &Ending::Call(error),
            Some(&described("loaded", "success", 0, 0)),
            None,
        );
        assert_eq!(reason.cause, Cause::Manager);
        assert_eq!(
            reason.text,
            "unit t.service on node b could not be started: Transaction is destructive."
        );
    }
}
