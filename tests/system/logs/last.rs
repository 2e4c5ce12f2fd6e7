//! The last lines, and those that match.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{follow::Following, messages, said, say, taken_in, told};
use crate::world::{ctl_says, scene, three};

fn at(line: &Value) -> Result<u64> {
    line["time_usec"].as_u64().context("no time")
}

/// A moment for the command line.
fn moment(usec: u64) -> String {
    format!("@{}.{:06}", usec / 1_000_000, usec % 1_000_000)
}

#[test]
fn the_last_lines_until_a_moment_are_those_before_it() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.shell("systemd-run --wait -u many seq 1 1700")?;
        taken_in(worker1)?;
        let all = told(fleet, "logs worker1 many")?;
        ensure!(all.len() > 1700, "{} lines", all.len());
        let (from, to) = (at(&all[300])?, at(&all[1200])?);
        let mut within = all;
        within.retain(|line| at(line).is_ok_and(|at| at <= to));
        let until = format!("logs worker1 many --until {}", moment(to));
        for count in [1, 7, 700] {
            let mut expected = within[within.len() - count..].to_vec();
            let lines = told(fleet, &format!("{until} -n {count}"))?;
            ensure!(lines == expected, "-n {count}: {:?}", messages(&lines));
            expected.reverse();
            let lines = told(fleet, &format!("{until} -r -n {count}"))?;
            ensure!(lines == expected, "-r -n {count}: {:?}", messages(&lines));
        }
        // There are fewer than are asked for.
        let lines = told(fleet, &format!("{until} -n 5000"))?;
        ensure!(lines == within, "{} lines", lines.len());
        within.retain(|line| at(line).is_ok_and(|at| at >= from));
        let both = format!("{until} --since {}", moment(from));
        for count in [600, 5000] {
            let first = within.len().saturating_sub(count);
            let lines = told(fleet, &format!("{both} -n {count}"))?;
            ensure!(lines == within[first..], "{:?}", messages(&lines));
        }
        // Before there was any.
        let none = told(fleet, "logs worker1 many -n 5 --until 2001-01-01")?;
        ensure!(none.is_empty(), "{none:?}");
        Ok(())
    });
}

#[test]
fn lines_that_match_are_counted() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.shell("systemd-run --wait -u many seq 1 1700")?;
        taken_in(worker1)?;
        let matching = |line: &str| said(fleet, &format!("logs worker1 many {line}"));
        let lines = matching("-g ^.*00$")?;
        let hundreds: Vec<String> = (1..=17).map(|n| format!("{n}00")).collect();
        ensure!(messages(&lines) == hundreds, "{lines:?}");
        let lines = matching("-g 00$ -n 2")?;
        ensure!(messages(&lines) == ["1600", "1700"], "{lines:?}");
        let lines = matching("-g 00$ -n 2 -r")?;
        ensure!(messages(&lines) == ["1700", "1600"], "{lines:?}");
        ctl_says(fleet, "logs worker1 many -g nothing", 0, &["No entries"])?;
        ctl_says(fleet, "logs worker1 many -g (", 10, &["journalctl says"])?;

        let units = "say@no-a say@yes-b say@no-c say@yes-d";
        let line = format!("logs -f -o cat worker1 {units} -g ^yes");
        say(worker1, "no-a")?;
        say(worker1, "yes-b")?;
        let following = Following::start(fleet, &line)?;
        following.hears(&["yes/b"])?;
        say(worker1, "no-c")?;
        say(worker1, "yes-d")?;
        following.hears(&["yes/d"])?;
        let said = following.end()?;
        ensure!(said.is_empty(), "{said}");
        Ok(())
    });
}
