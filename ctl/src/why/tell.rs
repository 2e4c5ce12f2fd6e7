//! The sentences about a unit: how it is and the nearest reason, who needs it, what stands in its way.

use proto::name::HoldName;

use super::{
    About, Case, Journal, Sentence, Told, need,
    past::{ago, lasting},
    setting,
};
use crate::{
    fleet::Target,
    graph::{self, Relation, Sight},
    span,
};

/// Signals of the kernel, signal(7), by which a service ends often.
const SIGNALS: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (6, "SIGABRT"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (15, "SIGTERM"),
];

/// `CLD_EXITED`, waitid(2).
const EXITED: i32 = 1;

/// Why a unit is as it is, the most important first.
pub(crate) fn explain(case: &Case, unit: &Target) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    if let Some(held) = HoldName::parse(&unit.unit) {
        let held = Target {
            node: unit.node.clone(),
            unit: held.unit().clone(),
        };
        let text = format!("{} holds {} for other nodes.", unit.unit, held.unit);
        sentences.push(about(About::State, text, Some(&held)));
        sentences.extend(of_unit(case, &held));
        return sentences;
    }
    of_unit(case, unit)
}

fn of_unit(case: &Case, unit: &Target) -> Vec<Sentence> {
    let told = match case.units.get(unit) {
        Some(Ok(told)) => told,
        Some(Err(sight)) => return unseen(case, unit, sight),
        None => return Vec::new(),
    };
    let mut sentences = vec![state(case, unit, told)];
    let is_up = told.is_active();
    if let Some((_, target)) = graph::step(&unit.unit) {
        sentences.extend(stands_for(case, unit, told, &target));
    }
    if is_up || told.active == "deactivating" {
        sentences.extend(need::who(case, unit, told));
        sentences.extend(need::lost(case, told));
        sentences.extend(need::missed(case, told));
        sentences.extend(outlook(case, unit, told));
    } else {
        sentences.extend(need::kept_off(case, unit));
        sentences.extend(need::in_the_way(case, unit, told));
        sentences.extend(need::who(case, unit, told));
        sentences.extend(need::before(case, unit, told));
        sentences.extend(hint(case, unit, told));
    }
    sentences
}

/// A unit whose node did not say how it is.
fn unseen(case: &Case, unit: &Target, sight: &Sight) -> Vec<Sentence> {
    let Target { node, unit: name } = unit;
    let text = match sight {
        Sight::Offline => {
            let ago = case.node(node).and_then(|node| node.last_seen_ago);
            let away = match ago {
                Some(_) => format!("has been offline{}", lasting(ago)),
                None => "has not been online since the controller started".to_owned(),
            };
            format!("{node} {away}, so it is not known how {name} is.")
        }
        Sight::NoNode => format!("There is no node {node}."),
        Sight::Unread(why) => format!("It is not known how {name} on {node} is: {why}."),
        Sight::Seen(_) => return Vec::new(),
    };
    let mut sentences = vec![about(About::State, text, Some(unit))];
    sentences.extend(need::claimed(case, unit));
    sentences
}

/// How it is, in one sentence with the nearest reason.
fn state(case: &Case, unit: &Target, told: &Told) -> Sentence {
    let (lasting, ago) = (lasting(told.age), ago(told.age));
    let what = format!("{} on {}", unit.unit, unit.node);
    let text = match (told.load.as_str(), told.active.as_str()) {
        ("not-found", "inactive" | "failed") => {
            format!("{} has no unit {}.", unit.node, unit.unit)
        }
        ("masked", "inactive" | "failed") => {
            format!("{what} does not run: it is masked, so nothing can start it.")
        }
        ("bad-setting" | "error", "inactive" | "failed") => format!(
            "{what} cannot be started: its unit file is broken ({}).",
            told.load_error.trim_end_matches('.')
        ),
        (_, "active" | "reloading" | "refreshing") => match told.sub.as_str() {
            "" | "running" => format!("{what} has been running{lasting}."),
            sub => format!("{what} has been active ({sub}){lasting}."),
        },
        (_, "failed") => format!("{what} failed{ago}: {}.", ended(unit, told)),
        (_, "activating") if told.sub.starts_with("auto-restart") => format!(
            "{what} ended{ago} and is about to be started again (Restart=): {}.",
            ended(unit, told)
        ),
        (_, "activating") => format!("{what} has been starting{lasting}."),
        (_, "deactivating") => format!("{what} has been stopping{lasting}."),
        (_, "inactive") => match (&told.unmet, told.has_job, told.has_run) {
            (Some(unmet), false, _) => {
                format!("{what} was not started{ago}, because {unmet} did not hold.")
            }
            (_, true, _) => format!("{what} does not run yet: its start is queued."),
            (_, false, true) if told.result.is_empty() || told.result == "success" => {
                format!("{what} does not run: it was stopped, or ended by itself,{ago}.")
            }
            (_, false, true) => {
                format!("{what} does not run: it ended{ago}, {}.", ended(unit, told))
            }
            (_, false, false) => forgotten(case, unit),
        },
        (load, active) => format!("{what} has been {active}{lasting} ({load})."),
    };
    let is_failed = told.active == "failed" || told.sub.starts_with("auto-restart");
    let journal = case.journals.get(unit).filter(|_| is_failed);
    let text = match journal.and_then(|journal| journal.own.as_ref()) {
        _ if is_failed && is_too_often(case, unit) && told.result != "start-limit-hit" => {
            let (burst, interval) = told.start_limit;
            format!(
                "{text} It was started {burst} times within {}, which is its limit (StartLimitBurst=, StartLimitIntervalSec=), so it is not started again.{}",
                span::display(interval),
                last_words(journal)
            )
        }
        Some(_) => format!("{text}{}", last_words(journal)),
        None => text,
    };
    let mut sentence = about(About::State, text, Some(unit));
    sentence.since = told.age;
    sentence
}

/// What a unit has written last, as a sentence.
fn last_words(journal: Option<&Journal>) -> String {
    let own = journal.and_then(|journal| journal.own.as_ref());
    own.map_or_else(String::new, |line| {
        format!(" It last said: \u{201c}{}\u{201d}", line.text)
    })
}

/// A unit that does not run, and of which its systemd knows no more; the journal may.
fn forgotten(case: &Case, unit: &Target) -> String {
    let what = format!("{} on {}", unit.unit, unit.node);
    let Some(journal) = case.journals.get(unit) else {
        return format!("{what} does not run.");
    };
    match (&journal.manager, &journal.own) {
        (Some(line), _) if line.text.starts_with("Stopped ") => {
            format!("{what} does not run: it was stopped.")
        }
        (Some(line), _) if line.text.contains("failed with result 'dependency'") => {
            format!("{what} was not started, because something that it needs failed.")
        }
        (Some(line), _) => format!(
            "{what} does not run. The last that its systemd said about it: \u{201c}{}\u{201d}",
            line.text
        ),
        (None, Some(_)) => format!("{what} does not run.{}", last_words(Some(journal))),
        (None, None) => format!(
            "{what} does not run, and its journal knows of no run since {} was booted.",
            unit.node
        ),
    }
}

/// How a service ended, as a fragment.
pub(super) fn ended(unit: &Target, told: &Told) -> String {
    let (code, status) = told.exit;
    // A helper of ours says itself why it failed.
    if graph::step(&unit.unit).is_some() && !told.status_text.is_empty() {
        return told.status_text.clone();
    }
    match told.result.as_str() {
        "exit-code" if code == EXITED => format!("it exited with status {status}"),
        "exit-code" => "a command of it failed".into(),
        "signal" | "core-dump" => {
            let name = SIGNALS.iter().find(|(number, _)| *number == status);
            let dumped = if told.result == "core-dump" {
                ", and dumped its memory"
            } else {
                ""
            };
            match name {
                Some((_, name)) => format!("it was killed by {name}{dumped}"),
                None => format!("it was killed by signal {status}{dumped}"),
            }
        }
        "timeout" => "it did not start or stop in time".into(),
        "watchdog" => "it did not answer its watchdog in time".into(),
        "start-limit-hit" => {
            let (burst, interval) = told.start_limit;
            format!(
                "it was started more than {burst} times within {}, which is its limit (StartLimitBurst=, StartLimitIntervalSec=)",
                span::display(interval)
            )
        }
        "oom-kill" => "it was killed because memory ran out".into(),
        "protocol" => "it did not say that it is ready in the way that its Type= asks for".into(),
        "resources" => "the service manager could not do what it takes to run it".into(),
        "exec-condition" => "its ExecCondition= did not hold".into(),
        "" | "success" => "its result is not known".into(),
        other => format!("its result is {other}"),
    }
}

/// A proxy, and the unit of the other node.
fn stands_for(case: &Case, proxy: &Target, told: &Told, target: &Target) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let relation = graph::step(&proxy.unit).map(|(relation, _)| relation);
    let verb = if relation == Some(Relation::Stop) {
        "stops"
    } else {
        "stands for"
    };
    let text = format!("It {verb} {} on {}.", target.unit, target.node);
    sentences.push(about(About::Cause, text, Some(target)));
    if let Some(wait) = need::wait(case, proxy, told, "It") {
        sentences.push(wait);
    }
    if told.active != "failed" || !case.claims_on(target).any(|it| it.state == "refused") {
        sentences.extend(other_side(case, target));
    }
    sentences
}

/// How the unit of the other node is.
pub(super) fn other_side(case: &Case, target: &Target) -> Option<Sentence> {
    match case.units.get(target)? {
        Ok(told) => {
            let mut sentence = state(case, target, told);
            sentence.about = About::Cause;
            Some(sentence)
        }
        Err(sight) => unseen(case, target, sight)
            .into_iter()
            .next()
            .map(|sentence| Sentence {
                about: About::Cause,
                ..sentence
            }),
    }
}

/// What comes of it when nobody needs it.
fn outlook(case: &Case, unit: &Target, told: &Told) -> Option<Sentence> {
    let users = told
        .users
        .iter()
        .filter(|(_, user)| need::is_up(case, user))
        .count();
    let is_adopted = case.adopted.iter().any(|(_, of, _)| of == unit);
    let is_needed = users > 0 || is_adopted || case.claims_on(unit).next().is_some();
    let text = match (told.stops_when_unneeded, is_needed) {
        (true, true) => "It stops as soon as nothing needs it any more (StopWhenUnneeded=yes).",
        (true, false) => "Nothing needs it, and it has StopWhenUnneeded=yes: it is about to stop.",
        (false, true) => {
            "It keeps running when nothing needs it any more, because it does not have StopWhenUnneeded=yes."
        }
        (false, false) => {
            "Nothing that runs needs it. It keeps running, because it does not have StopWhenUnneeded=yes."
        }
    };
    Some(about(About::Outlook, text.into(), None))
}

/// What can be done.
fn hint(case: &Case, unit: &Target, told: &Told) -> Option<Sentence> {
    let Target { node, unit: name } = unit;
    let text = match told.load.as_str() {
        "not-found" => match case.nearest(unit) {
            Some(near) => format!("Did you mean {near}?"),
            None => format!(
                "'ctl list-unit-files {node}' lists what there is; after a new unit file, 'ctl daemon-reload {node}'."
            ),
        },
        "masked" => format!("On {node}, 'systemctl unmask {name}' allows it again."),
        "bad-setting" | "error" => {
            format!("'systemd-analyze verify {name}' on {node} says what is wrong.")
        }
        _ if told.active == "failed"
            && (told.result == "start-limit-hit" || is_too_often(case, unit)) =>
        {
            format!(
                "After the cause is removed, 'ctl reset-failed {node} {name}' allows new starts."
            )
        }
        _ if told.active == "failed" && graph::step(name).is_none() => {
            format!("'ctl logs {node} {name}' shows what it said before.")
        }
        _ => {
            let is_alone = told.active == "inactive" && told.triggered_by.len() == 1;
            let trigger = told.triggered_by.first().filter(|_| is_alone)?;
            format!("{} starts it when its time comes.", trigger.unit)
        }
    };
    Some(about(About::Hint, text, None))
}

/// Whether it is not started any more because it was started too often.
fn is_too_often(case: &Case, unit: &Target) -> bool {
    case.journals
        .get(unit)
        .is_some_and(|journal| journal.too_often)
}

pub(super) fn about(about: About, text: String, unit: Option<&Target>) -> Sentence {
    Sentence {
        about,
        text,
        unit: unit.cloned(),
        since: None,
        left: None,
    }
}

/// Units with the settings by which they need another one: `a.service (BindsTo=)`.
pub(super) fn named(users: &[(Relation, Target)]) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some((_, user)) = users.get(at) {
        let same = users.iter().filter(|(_, other)| other == user);
        let settings: Vec<String> = same.map(|(relation, _)| setting(*relation)).collect();
        let name = format!("{} ({})", user.unit, settings.join(", "));
        if !names.contains(&name) {
            names.push(name);
        }
        at += 1;
    }
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
