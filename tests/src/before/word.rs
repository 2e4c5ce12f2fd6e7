//! The words of protocol 4. A peer of that version closes the connection over a cause or a state of a claim that
//! it does not know.

use zbus::Message;

use super::body;

const KINDS: &[&str] = &["start", "stop", "restart", "reload"];

const ORDERS: &[&str] = &["stop", "reload"];

const MODES: &[&str] = &[
    "replace",
    "fail",
    "replace-irreversibly",
    "isolate",
    "ignore-dependencies",
    "ignore-requirements",
    "flush",
    "triggering",
    "restart-dependencies",
];

const JOB_STATES: &[&str] = &["waiting", "running"];

const RESULTS: &[&str] = &[
    "done",
    "canceled",
    "timeout",
    "failed",
    "dependency",
    "skipped",
    "invalid",
    "assert",
    "unsupported",
    "collected",
    "once",
    "frozen",
];

const CAUSES: &[&str] = &[
    "controller-unreachable",
    "node-unknown",
    "not-allowed",
    "node-offline",
    "node-lost",
    "unit-not-found",
    "unit-failed",
    "unit-stopped",
    "unit-ended",
    "unit-died",
    "unit-restarts",
    "cycle",
    "timeout",
    "invalid-name",
    "canceled",
    "limit",
    "manager",
];

/// States of a claim or a hold without a reason, and those with one.
const PLAIN: &[&str] = &["starting", "up", "restarted"];
const REASONED: &[&str] = &["waiting", "down", "refused", "lost"];

/// `(s, s, s token, s state, s cause, s text)`.
type State = (String, String, String, String, String, String);

/// `(u job, s kind, s unit, s mode, t age, s state, s result, s cause, s text)`.
type Job = (
    u32,
    String,
    String,
    String,
    u64,
    String,
    String,
    String,
    String,
);

/// Checks the words in what a member says.
///
/// # Errors
///
/// Names the one that did not exist.
pub(super) fn check(member: &str, message: &Message) -> Result<(), String> {
    match member {
        "ClaimStates" | "HoldStates" => {
            let (_, _, put, _): (u64, bool, Vec<State>, Vec<(String, String)>) = body(message)?;
            put.iter().try_for_each(|(_, _, _, state, cause, _)| {
                if PLAIN.contains(&state.as_str()) && cause.is_empty() {
                    return Ok(());
                }
                is_one(state, "state of a claim with a reason", REASONED)?;
                is_one(cause, "cause", CAUSES)
            })
        }
        "Jobs" => {
            let jobs: Vec<Job> = body(message)?;
            jobs.iter().try_for_each(is_job)
        }
        "JobDone" => {
            let (_, result, cause, _): (u32, String, String, String) = body(message)?;
            is_one(&result, "result", RESULTS)?;
            is_cause_or_none(&cause)
        }
        "JobStateChanged" => {
            let (_, state): (u32, String) = body(message)?;
            is_one(&state, "state of a job", JOB_STATES)
        }
        "StartUnit" | "StopUnit" | "RestartUnit" | "ReloadUnit" => {
            let (_, mode, _): (String, String, u32) = body(message)?;
            is_one(&mode, "mode", MODES)
        }
        "Order" => {
            let (kind, _, _): (String, String, String) = body(message)?;
            is_one(&kind, "kind of an order", ORDERS)
        }
        _ => Ok(()),
    }
}

fn is_job((_, kind, _, mode, _, state, result, cause, _): &Job) -> Result<(), String> {
    is_one(kind, "kind of a job", KINDS)?;
    is_one(mode, "mode", MODES)?;
    if state.is_empty() {
        is_one(result, "result", RESULTS)?;
    } else {
        is_one(state, "state of a job", JOB_STATES)?;
    }
    is_cause_or_none(cause)
}

/// A cause may be left out where there is no more to say.
///
/// # Errors
///
/// When it is one that did not exist.
pub(super) fn is_cause_or_none(cause: &str) -> Result<(), String> {
    if cause.is_empty() {
        return Ok(());
    }
    is_one(cause, "cause", CAUSES)
}

fn is_one(word: &str, what: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&word) {
        Ok(())
    } else {
        Err(format!("'{word}' is no {what}"))
    }
}
