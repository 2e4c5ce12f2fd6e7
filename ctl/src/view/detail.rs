//! What the columns do not say about a single unit, in the manner of systemctl(1).

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use proto::name::{HoldName, NodeName, ProxyName, UnitName};

use super::{Look, Mood, clean, fit, logs, process};
use crate::{
    details::{Ended, Process},
    fleet::{Claim, Unit},
    journal::Log,
    span,
};

/// The time zone of this machine.
pub(crate) fn zone() -> TimeZone {
    TimeZone::system()
}

/// The details, below an empty line; nothing for a unit that does not exist.
pub(super) fn block(node: &NodeName, unit: &Unit, zone: &TimeZone, look: &Look) -> String {
    if unit.is_missing() {
        return String::new();
    }
    let details = &unit.details;
    let mut lines: Vec<(&str, String)> = Vec::new();
    let mut line = |name, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push((name, value));
        }
    };
    line("Stands for", stands_for(unit.own_name()));
    line("Holds", holds(node, unit.own_name()));
    line("Loaded", Some(loaded(node, unit)));
    let drop_ins: Vec<String> = details.drop_ins.iter().map(|path| clean(path)).collect();
    line("Drop-In", Some(drop_ins.join("\n")));
    line("Active", Some(active(unit, zone, look)));
    line("Triggered By", Some(list(&details.triggered_by)));
    line("Triggers", Some(list(&details.triggers)));
    line("Where", Some(clean(&details.mount_point)));
    line("What", Some(clean(&details.mounted)));
    line("Listen", Some(list(&details.listens)));
    line("Docs", Some(list(&details.documentation)));
    for process in &details.processes {
        line("Process", Some(command(process, look)));
    }
    line("Main PID", main(unit, look));
    let restarts = details.restarts.filter(|count| *count > 0);
    line(
        "Restarts",
        restarts.map(|count| format!("{count}, by systemd itself")),
    );
    line("Status", Some(quoted(&unit.status_text)));
    line(
        "Tasks",
        details.tasks.map(|tasks| match details.tasks_max {
            Some(max) => format!("{tasks} (limit: {max})"),
            None => tasks.to_string(),
        }),
    );
    let memory = details.memory.map(|now| match details.memory_peak {
        Some(peak) => format!("{} (peak: {})", bytes(now), bytes(peak)),
        None => bytes(now),
    });
    line("Memory", memory);
    line("CPU", details.cpu.map(cpu));
    line("CGroup", Some(clean(&details.cgroup)));
    let is_proxy = ProxyName::parse(unit.own_name()).is_ok();
    if is_proxy {
        line("Claim", Some(claims(unit, true, look)));
        line("Needed by", Some(list(&details.needed_by)));
    } else {
        line("Claimed by", Some(claims(unit, false, look)));
    }
    let longest = lines.iter().map(|(name, _)| name.len()).max();
    let width = longest.unwrap_or(0).max(WIDTH);
    let mut text = format!("\n{}\n", shortened(&title(node, unit, look), look));
    for (name, value) in lines {
        for (at, value) in value.lines().enumerate() {
            let name = if at == 0 {
                format!("{name}:")
            } else {
                String::new()
            };
            let line = format!("{name:>0$} {value}", width + 1);
            text.push_str(&shortened(&line, look));
            text.push('\n');
        }
    }
    text.push_str(&log(node, &details.log, zone, look));
    text
}

/// A line that fits onto the terminal.
fn shortened(line: &str, look: &Look) -> String {
    match look.width {
        Some(width) => fit::cell(line, width, true),
        None => line.to_owned(),
    }
}

/// How wide the names at least are: as those of systemctl(1).
const WIDTH: usize = 11;

/// The name after a dot in the colour of its state, as systemctl(1) has it.
fn title(node: &NodeName, unit: &Unit, look: &Look) -> String {
    let dot = look.paint.mood(Mood::of(&unit.active), dot(&unit.active));
    let description = clean(&unit.description);
    let name = clean(unit.own_name());
    if description.is_empty() || description == name {
        return format!("{dot} {name} on {node}");
    }
    format!("{dot} {name} on {node} - {description}")
}

/// The dot of an active state.
pub(super) fn dot(active: &str) -> &'static str {
    match active {
        "inactive" | "maintenance" => "\u{25cb}",
        "failed" => "\u{d7}",
        "reloading" | "refreshing" => "\u{21bb}",
        _ => "\u{25cf}",
    }
}

/// One in each line.
fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| clean(text)).collect();
    texts.join("\n")
}

fn command(process: &Process, look: &Look) -> String {
    let Process {
        setting,
        words,
        ended,
    } = process;
    let how = coloured(ended, look);
    format!(
        "{} {setting}={} ({how})",
        ended.pid,
        clean(&words.join(" "))
    )
}

/// The main process, while it runs or as it ended.
fn main(unit: &Unit, look: &Look) -> Option<String> {
    let details = &unit.details;
    match (unit.main_pid, &details.main) {
        (Some(pid), _) if details.program.is_empty() => Some(pid.to_string()),
        (Some(pid), _) => Some(format!("{pid} ({})", clean(&details.program))),
        (None, Some(ended)) => Some(format!("{} ({})", ended.pid, coloured(ended, look))),
        (None, None) => None,
    }
}

fn coloured(ended: &Ended, look: &Look) -> String {
    let mood = if process::is_good(ended) {
        Mood::Neutral
    } else {
        Mood::Bad
    };
    look.paint.mood(mood, &process::how(ended))
}

/// Who needs the unit, and how that stands; of a proxy only how it stands.
fn claims(unit: &Unit, is_proxy: bool, look: &Look) -> String {
    let claim = |claim: &Claim| {
        let state = look
            .paint
            .mood(Mood::of(&claim.state), &clean(&claim.state));
        let state = match clean(&claim.reason) {
            reason if reason.is_empty() => state,
            reason => format!("{state}: {reason}"),
        };
        if is_proxy {
            return state;
        }
        format!("{} ({state})", clean(&claim.source))
    };
    let all: Vec<String> = unit.details.claims.iter().map(claim).collect();
    all.join("\n")
}

/// The last lines of the journal below an empty line, as far as they are known.
fn log(node: &NodeName, log: &Log, zone: &TimeZone, look: &Look) -> String {
    match log {
        Log::Lines(lines) if !lines.is_empty() => {
            format!("\n{}", logs::block(node, lines, zone, look))
        }
        Log::NotAsked | Log::Lines(_) | Log::Unknown(_) => String::new(),
    }
}

/// The unit of another node that a proxy stands for.
fn stands_for(name: &str) -> Option<String> {
    let proxy = ProxyName::parse(name).ok()?;
    Some(format!("{} on {}", proxy.unit(), proxy.node()))
}

/// The unit that a hold keeps up.
fn holds(node: &NodeName, name: &str) -> Option<String> {
    let name: UnitName = name.strip_prefix("bluechi-").unwrap_or(name).parse().ok()?;
    let hold = HoldName::parse(&name)?;
    Some(format!("{} on {node}, for other nodes", hold.unit()))
}

fn loaded(node: &NodeName, unit: &Unit) -> String {
    let more = [&unit.path, &unit.enabled].map(|text| clean(text));
    let more: Vec<String> = more.into_iter().filter(|text| !text.is_empty()).collect();
    let mut text = clean(&unit.load);
    if !more.is_empty() {
        text.push_str(&format!(" ({})", more.join("; ")));
    }
    if unit.details.needs_reload {
        text.push_str(&format!(
            "; the file has changed since: ctl daemon-reload {node}"
        ));
    }
    text
}

fn active(unit: &Unit, zone: &TimeZone, look: &Look) -> String {
    let how = match unit.result.as_str() {
        result if unit.active == "failed" && !matches!(result, "" | "success") => {
            format!("Result: {}", clean(result))
        }
        _ => clean(&unit.sub),
    };
    let state = format!("{} ({how})", clean(&unit.active));
    let mut text = look.paint.mood(Mood::of(&unit.active), &state);
    if let Some(since) = unit.details.since.and_then(|since| date(since, zone)) {
        text.push_str(&format!(" since {since}"));
    }
    if let Some(age) = unit.state_age {
        text.push_str(&format!("; {} ago", span::display(age)));
    }
    text
}

/// A moment as systemd writes it; nothing for one that no calendar has.
pub(super) fn date(since: Duration, zone: &TimeZone) -> Option<String> {
    let usec = i64::try_from(since.as_micros()).ok()?;
    let moment = Timestamp::from_microsecond(usec).ok()?;
    let local = moment.to_zoned(zone.clone());
    Some(local.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string())
}

fn quoted(text: &str) -> String {
    match clean(text) {
        text if text.is_empty() => text,
        text => format!("\"{text}\""),
    }
}

/// A number of bytes with at most one digit after the point: `1.5M`.
fn bytes(count: u64) -> String {
    let mut scale = 1;
    let mut unit = "B";
    for (next, name) in [(10, "K"), (20, "M"), (30, "G"), (40, "T")] {
        if count >= 1 << next {
            (scale, unit) = (1u64 << next, name);
        }
    }
    let tenth = (count % scale).saturating_mul(10) / scale;
    match tenth {
        0 => format!("{}{unit}", count / scale),
        _ => format!("{}.{tenth}{unit}", count / scale),
    }
}

/// Time of a processor: in milliseconds while it is short, as it mostly is.
fn cpu(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        1..=59 => format!("{}.{:03}s", time.as_secs(), time.subsec_millis()),
        _ => span::display(time),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(0, "0B")]
    #[test_case(1023, "1023B")]
    #[test_case(1536, "1.5K")]
    #[test_case(2_097_152, "2M")]
    #[test_case(u64::MAX, "16777215.9T")]
    fn bytes_are_short(count: u64, text: &str) {
        assert_eq!(bytes(count), text);
    }

    #[test_case(12, "12ms")]
    #[test_case(1_512, "1.512s")]
    #[test_case(61_512, "1min 1s")]
    fn processor_time_is_short(ms: u64, text: &str) {
        assert_eq!(cpu(Duration::from_millis(ms)), text);
    }

    #[test_case(
        "proxy@worker2_target.service",
        Some("target.service on worker2"),
        None
    )]
    #[test_case("bluechi-proxy@a_b.service", Some("b.service on a"), None)]
    #[test_case(
        "dep@target.service",
        None,
        Some("target.service on main, for other nodes")
    )]
    #[test_case(
        "bluechi-dep@target.service",
        None,
        Some("target.service on main, for other nodes")
    )]
    #[test_case(
        "dep-unit@data.mount.service",
        None,
        Some("data.mount on main, for other nodes")
    )]
    #[test_case("target.service", None, None)]
    fn units_that_stand_for_others_say_so(name: &str, proxy: Option<&str>, hold: Option<&str>) {
        let node = "main".parse().expect("valid");
        assert_eq!(stands_for(name).as_deref(), proxy);
        assert_eq!(holds(&node, name).as_deref(), hold);
    }
}
