//! Who needs a unit, and what of that which it needs stands in its way.

use std::time::Duration;

use super::{
    About, Case, Ended, Sentence, Told,
    past::{ago, lasting},
    proxy_of, rival, setting,
    tell::{about, ended, named, other_side},
};
use crate::{
    fleet::{Claim, Target},
    graph::{self, Relation},
    span,
};

/// Two things that happened within this time on two nodes happened together: a stop is felt on the
/// other node within a second, and the nodes were asked one after the other.
const TOGETHER: Duration = Duration::from_secs(3);

/// Whether a unit is up, as far as that is known.
pub(super) fn is_up(case: &Case, unit: &Target) -> bool {
    case.told(unit).is_some_and(Told::is_active)
}

/// Who needs it: units of other nodes, then those of its own.
pub(super) fn who(case: &Case, unit: &Target, told: &Told) -> Vec<Sentence> {
    let mut sentences = claimed(case, unit);
    let up: Vec<_> = told
        .users
        .iter()
        .filter(|(_, user)| is_up(case, user))
        .cloned()
        .collect();
    let up: Vec<_> = up
        .into_iter()
        .filter(|(_, user)| proto::name::HoldName::parse(&user.unit).is_none())
        .collect();
    if !up.is_empty() && told.is_active() {
        let text = format!("On {}, {} {} it.", unit.node, named(&up), needs(&up));
        sentences.push(about(About::Need, text, up.first().map(|(_, user)| user)));
    }
    sentences
}

/// `needs` or `need`, for so many units.
fn needs(users: &[(Relation, Target)]) -> &'static str {
    let first = users.first().map(|(_, user)| user);
    if users.iter().all(|(_, user)| Some(user) == first) {
        "needs"
    } else {
        "need"
    }
}

/// Who needs it on other nodes.
pub(super) fn claimed(case: &Case, unit: &Target) -> Vec<Sentence> {
    let mut sentences: Vec<Sentence> = case
        .claims_on(unit)
        .map(|claim| of(case, unit, claim))
        .collect();
    for (source, _, left) in case.adopted.iter().filter(|(_, of, _)| of == unit) {
        if case.claims_on(unit).any(|claim| claim.source == *source) {
            continue;
        }
        let ends = left.map_or_else(
            || "while it comes back".to_owned(),
            |left| format!("for {} more", span::display(left)),
        );
        let text = format!(
            "{source} needed it before the controller was started, and has not been heard since; \
             its need is kept {ends} (source_grace)."
        );
        let mut sentence = about(About::Need, text, None);
        sentence.left = *left;
        sentences.push(sentence);
    }
    sentences
}

fn of(case: &Case, unit: &Target, claim: &Claim) -> Sentence {
    let source = &claim.source;
    let proxy = proxy_of(claim);
    let users = proxy.as_ref().and_then(|proxy| case.told(proxy));
    let users = users.map(|told| told.users.as_slice()).unwrap_or_default();
    let up: Vec<_> = users
        .iter()
        .filter(|(_, user)| case.told(user).is_none_or(|told| told.active != "inactive"))
        .cloned()
        .collect();
    let with = match named(&up) {
        names if names.is_empty() => String::new(),
        names => format!(", for its {names}"),
    };
    let since = lasting(claim.state_age);
    let node = case.nodes.iter().find(|node| node.name == *source);
    let is_away = node.is_some_and(|node| !node.is_online());
    let left = claim.gives_up_in.map(span::display);
    let text = match claim.state.as_str() {
        _ if is_away => {
            let away = lasting(node.and_then(|node| node.last_seen_ago));
            let ends = left.map_or_else(
                || "its need is kept for a while (source_grace)".to_owned(),
                |left| {
                    format!("its need is kept for {left} more (source_grace), and then given up")
                },
            );
            format!("{source} needs it{with}, but has been offline{away}: {ends}.")
        }
        "up" => format!("{source} has needed it{since}{with}."),
        "starting" => format!("{source} has waited for its start{since}{with}."),
        "waiting" => format!("{source} has wanted it{since}{with}: {}.", claim.reason),
        "lost" => {
            // What is not to be given up has no time at which it is.
            let ends = left.map_or_else(
                || "keeps what needs it as it is (on_loss = \"keep\")".to_owned(),
                |left| {
                    format!(
                        "gives it up in {left} if {} is not back (loss_grace)",
                        unit.node
                    )
                },
            );
            format!("{source} needs it{with}, and {ends}.")
        }
        "refused" | "down" => format!(
            "{source} asked for it{with}, without success{}: {}.",
            ago(claim.state_age),
            claim.reason
        ),
        other => format!("{source} needs it{with}; that has been {other}{since}."),
    };
    let mut sentence = about(About::Need, text, proxy.as_ref());
    (sentence.since, sentence.left) = (claim.state_age, claim.gives_up_in);
    sentence
}

/// What it needs of nodes that are out of sight, while it still runs.
pub(super) fn lost(case: &Case, told: &Told) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for (relation, proxy) in &told.needs {
        let Some((_, target)) = graph::step(&proxy.unit) else {
            continue;
        };
        let Some(claim) = case.claim_of(proxy).filter(|claim| claim.state == "lost") else {
            continue;
        };
        let since = lasting(claim.state_age);
        let ends = match (claim.gives_up_in, relation) {
            (Some(left), Relation::Requires | Relation::BindsTo) => format!(
                "if that is not back within {}, this unit is stopped (loss_grace)",
                span::display(left)
            ),
            (Some(left), _) => format!(
                "if that is not back within {}, it is not waited for any more (loss_grace)",
                span::display(left)
            ),
            (None, _) => "this unit runs on all the same (on_loss = \"keep\")".to_owned(),
        };
        let text = format!(
            "It needs {} on {} ({}), which has been out of sight{since}: {ends}.",
            target.unit,
            target.node,
            setting(*relation)
        );
        let mut sentence = about(About::Outlook, text, Some(&target));
        (sentence.since, sentence.left) = (claim.state_age, claim.gives_up_in);
        sentences.push(sentence);
    }
    sentences
}

/// What it ran on without: a unit of another node that has ended by itself, which stops only what is bound to it.
pub(super) fn missed(case: &Case, told: &Told) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for (relation, proxy) in &told.needs {
        let Some((Relation::Proxy, target)) = graph::step(&proxy.unit) else {
            continue;
        };
        let ended = case.ended_of(proxy).filter(|ended| {
            matches!(ended.cause.as_str(), "unit-died" | "unit-ended") && ended.is_final()
        });
        let is_gone = case.told(proxy).is_some_and(|told| !told.is_active());
        if let (Some(ended), true) = (ended, is_gone) {
            let text = format!(
                "It runs on without {} on {} ({}), which {}; it needs that again when it is started again.",
                target.unit,
                target.node,
                setting(*relation),
                ended.fate()
            );
            let mut sentence = about(About::Outlook, text, Some(&target));
            sentence.since = ended.age;
            sentences.push(sentence);
        }
    }
    sentences
}

/// Who needs that it does not run, on other nodes.
pub(super) fn kept_off(case: &Case, unit: &Target) -> Vec<Sentence> {
    let Some(rival) = rival(unit) else {
        return Vec::new();
    };
    let up = case.claims_on(&rival).filter(|claim| claim.state == "up");
    let sentences = up.map(|claim| {
        let proxy = proxy_of(claim);
        let users = proxy.as_ref().and_then(|proxy| case.told(proxy));
        let with = match named(users.map_or(&[], |told| told.users.as_slice())) {
            names if names.is_empty() => String::new(),
            names => format!(", for its {names}"),
        };
        let since = lasting(claim.state_age);
        let text = format!(
            "{} has needed{since} that it does not run{with}; a start of it stops that.",
            claim.source
        );
        let mut sentence = about(About::Cause, text, proxy.as_ref());
        sentence.since = claim.state_age;
        sentence
    });
    sentences.collect()
}

/// What a proxy that is being started waits for, and for how long.
pub(super) fn wait(case: &Case, proxy: &Target, told: &Told, who: &str) -> Option<Sentence> {
    if told.active != "activating" {
        return None;
    }
    let what = told.status_text.strip_prefix("waiting: ");
    let what = what.unwrap_or("it has not said yet what for");
    let of_unit = case.claim_of(proxy).and_then(|claim| claim.start_timeout);
    let of_node = || case.node(&proxy.node)?.start_timeout;
    let limit = of_unit.or_else(of_node);
    let left = limit
        .zip(told.age)
        .map(|(limit, age)| limit.saturating_sub(age));
    let most = left.map_or_else(String::new, |left| {
        format!(", for at most {} more (start_timeout)", span::display(left))
    });
    let text = format!("{who} waits{most}: {what}.");
    let mut sentence = about(About::Cause, text, Some(proxy));
    (sentence.since, sentence.left) = (told.age, left);
    Some(sentence)
}

/// What it needs that is not as it has to be, for a unit that does not run.
pub(super) fn in_the_way(case: &Case, unit: &Target, told: &Told) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut seen = vec![unit.clone()];
    follow(case, (unit, unit), told, &mut seen, &mut sentences);
    sentences
}

/// Begins with the needs of a unit and goes on with theirs: what is in the way may be behind
/// another unit that only fails with it.
fn follow(
    case: &Case,
    (root, unit): (&Target, &Target),
    told: &Told,
    seen: &mut Vec<Target>,
    sentences: &mut Vec<Sentence>,
) {
    for (relation, need) in &told.needs {
        let Some(of_need) = case.told(need) else {
            continue;
        };
        if seen.contains(need) || (of_need.is_active() && case.claim_of(need).is_none()) {
            continue;
        }
        let is_waited_for = told.active == "activating" || told.has_job;
        let is_must = matches!(
            relation,
            Relation::Requires | Relation::BindsTo | Relation::Requisite
        );
        let stopped_together = stopped_together(case, (unit, told), (need, of_need)) && *relation != Relation::Wants
            // The need was given up on this side, so it did not bring the unit down.
            && case.ended_of(need).is_none_or(Ended::is_final);
        let is_said = match of_need.active.as_str() {
            "failed" => is_must || is_waited_for,
            "activating" => is_waited_for || told.active == "inactive",
            "inactive" => {
                is_must
                    && (stopped_together
                        || case.ended_of(need).is_some_and(Ended::is_final)
                        || of_need.unmet.is_some()
                        || of_need.load != "loaded"
                        || is_blocked(case, of_need))
            }
            _ => false,
        };
        if !is_said {
            continue;
        }
        seen.push(need.clone());
        sentences.push(one(
            case,
            (root, unit),
            *relation,
            need,
            of_need,
            stopped_together,
        ));
        if let Some((_, target)) = graph::step(&need.unit) {
            sentences.extend(wait(case, need, of_need, "That"));
            // What became of it is said already, unless it has more to say itself.
            let is_said = matches!(of_need.active.as_str(), "failed" | "inactive")
                && case.told(&target).is_some_and(|told| {
                    !matches!(told.active.as_str(), "failed" | "active")
                        && told.load == "loaded"
                        && told.unmet.is_none()
                        && !case.journals.contains_key(&target)
                });
            if !is_said {
                sentences.extend(other_side(case, &target));
            }
        }
        follow(case, (root, need), of_need, seen, sentences);
    }
}

fn one(
    case: &Case,
    (root, unit): (&Target, &Target),
    relation: Relation,
    need: &Target,
    told: &Told,
    stopped_together: bool,
) -> Sentence {
    let who = if root == unit {
        "It"
    } else {
        unit.unit.as_str()
    };
    let setting = setting(relation);
    let (what, how) = match graph::step(&need.unit) {
        Some((Relation::Stop, target)) if stopped_together => {
            let text = format!(
                "{who} was stopped because it needs that {} on {} does not run ({setting}{}).",
                target.unit, target.node, need.unit
            );
            return about(About::Cause, text, Some(need));
        }
        Some((Relation::Proxy, target)) => (
            format!("{} on {}", target.unit, target.node),
            format!("{setting}{}", need.unit),
        ),
        Some(_) | None => (need.unit.to_string(), setting),
    };
    let since = ago(told.age);
    // The unit of the other node tells its own story, where there is one.
    let other = graph::step(&need.unit).and_then(|(_, target)| case.told(&target));
    let is_told = other.is_some_and(|other| other.active == "failed" || other.load == "not-found");
    let past = case.ended_of(need).filter(|ended| ended.is_final());
    let text = match (told.active.as_str(), past) {
        ("failed", Some(past)) if past.cause == "node-lost" => {
            format!("{who} needs {what} ({how}), which {}.", past.fate())
        }
        ("failed", _) if is_told => format!("{who} needs {what} ({how}), which failed{since}."),
        ("failed", _) => {
            format!(
                "{who} needs {what} ({how}), which failed{since}: {}.",
                ended(need, told)
            )
        }
        ("activating", _) => format!("{who} needs {what} ({how}), which is being started."),
        (_, Some(past)) if stopped_together => format!(
            "{who} was stopped because it needs {what} ({how}), which {}.",
            past.fate()
        ),
        (_, None) if stopped_together => {
            format!("{who} stopped together with {what}, which it needs ({how}).")
        }
        (_, Some(past)) => format!("{who} needs {what} ({how}), which {}.", past.fate()),
        (_, None) => match (told.load.as_str(), &told.unmet) {
            ("loaded", Some(unmet)) => format!(
                "{who} needs {what} ({how}), which was not started because {unmet} did not hold."
            ),
            ("loaded", None) => format!("{who} needs {what} ({how}), which does not run."),
            (load, _) => format!("{who} needs {what} ({how}), which is {load}."),
        },
    };
    let mut sentence = about(About::Cause, text, Some(need));
    sentence.since = told.age;
    sentence
}

/// Whether both stopped at the same time, well or not, on the same node.
fn stopped_together(case: &Case, one: (&Target, &Told), other: (&Target, &Told)) -> bool {
    let is_down = |(_, told): (_, &Told)| told.active == "inactive" && !told.has_job;
    if !is_down(one) || other.1.is_active() {
        return false;
    }
    let known = |(_, told): (_, &Told)| told.age.filter(|_| told.has_run);
    if let (Some(one), Some(other)) = (known(one), known(other)) {
        return one.abs_diff(other) < TOGETHER;
    }
    let written = |(unit, _): (&Target, _)| {
        let line = case.journals.get(unit)?.manager.as_ref()?;
        line.text.starts_with("Stopped ").then_some(line.at)
    };
    match (written(one), written(other)) {
        (Some(one), Some(other)) => one.abs_diff(other) < TOGETHER,
        (_, _) => false,
    }
}

/// Who needed a unit that does not run, as far as the controller remembers.
pub(super) fn before(case: &Case, unit: &Target, told: &Told) -> Vec<Sentence> {
    if !matches!(told.active.as_str(), "inactive" | "failed")
        || told.has_job
        || case.claims_on(unit).next().is_some()
    {
        return Vec::new();
    }
    let ended = case.ended_on(unit);
    let is_last = |ended: &Ended| {
        let near = |age: Duration| told.age.is_none_or(|since| age < since + TOGETHER);
        ended.age.is_none_or(near)
    };
    let mut sentences = Vec::new();
    for (at, ended) in ended.into_iter().filter(|it| is_last(it)).enumerate() {
        let (source, when) = (&ended.source, ago(ended.age));
        let text = match ended.state.as_str() {
            // Of a failure the unit itself tells more.
            "down" if matches!(ended.cause.as_str(), "unit-failed" | "unit-died") => {
                format!("{source} needed it when it failed{when}.")
            }
            "down" | "restarted" => format!("{source} needed it when it {}.", ended.fate()),
            "refused" => format!("{source} asked for it, which {}.", ended.fate()),
            _ if ended.expired => format!(
                "{source} needed it, and was given up{when}: it had been away for too long (source_grace)."
            ),
            "up" | "lost" if at == 0 && told.stops_when_unneeded => format!(
                "{source} needed it last, until{when}; with StopWhenUnneeded=yes it stops when nothing needs it."
            ),
            "up" | "lost" => format!("{source} needed it until{when}."),
            _ => format!("{source} wanted it until{when}."),
        };
        let mut sentence = about(About::Need, text, None);
        sentence.since = ended.age;
        sentences.push(sentence);
    }
    sentences
}

/// Whether something that it needs has failed, or is behind such a one.
fn is_blocked(case: &Case, told: &Told) -> bool {
    told.needs.iter().any(|(relation, need)| {
        *relation != Relation::Wants
            && case
                .told(need)
                .is_some_and(|told| told.active == "failed" || told.load == "not-found")
    })
}
