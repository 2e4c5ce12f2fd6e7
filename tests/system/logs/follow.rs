//! `ctl logs --follow`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tests::fleet::Fleet;

use super::say;
use crate::world::{SOON, await_status, scene, three};

/// A command that goes on, and what it prints.
pub(super) struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    pub(super) fn start(fleet: &Fleet, line: &str) -> Result<Self> {
        let mut args = vec!["ctl"];
        args.extend(line.split(' '));
        let mut command = fleet.node("main").command(&args)?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Waits for lines with these ends, in this order; others may be between them, but none twice.
    pub(super) fn hears(&self, ends: &[&str]) -> Result<()> {
        let until = Instant::now() + SOON;
        let mut heard = Vec::new();
        let mut ends_left = ends.iter();
        let mut end = ends_left.next();
        while let Some(next) = end {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("'{next}' was not heard, but {heard:?}");
            };
            if line.ends_with(*next) {
                end = ends_left.next();
            } else if ends.iter().any(|end| line.ends_with(*end)) {
                bail!("'{line}' was heard instead of '{next}', after {heard:?}");
            }
            heard.push(line);
        }
        Ok(())
    }

    /// Ends it; what it has said on standard error.
    pub(super) fn end(mut self) -> Result<String> {
        self.child.kill()?;
        let mut said = String::new();
        let err = self.child.stderr.take();
        err.context("no messages")?.read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said)
    }
}

const UNITS: &str = "say@1 say@2 say@3 say@4 say@5 say@6";

#[test]
fn new_lines_of_all_nodes_are_printed_as_they_come() {
    scene(three("logs"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        say(worker1, "1")?;
        let following = Following::start(fleet, &format!("logs -f worker1,worker2 {UNITS}"))?;
        following.hears(&["]: 1"])?;
        say(worker2, "2")?;
        following.hears(&["]: 2"])?;
        say(worker1, "3")?;
        say(worker1, "4")?;
        following.hears(&["]: 3", "]: 4"])?;
        ensure!(following.end()?.is_empty());
        Ok(())
    });
}

#[test]
fn nothing_is_lost_or_repeated_over_a_restart_of_the_controller() {
    scene(three("logs"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let following = Following::start(fleet, &format!("logs -f -n 0 -o cat worker1 {UNITS}"))?;
        // It has begun when it hears something.
        thread::sleep(Duration::from_millis(500));
        say(worker1, "1")?;
        following.hears(&["1"])?;
        main.systemctl(&["stop", "unitlink-controller.service"])?;
        say(worker1, "2")?;
        say(worker1, "3")?;
        main.systemctl(&["start", "unitlink-controller.service"])?;
        say(worker1, "4")?;
        following.hears(&["2", "3", "4"])?;
        main.kill_service("unitlink-controller.service", "SIGKILL")?;
        say(worker1, "5")?;
        following.hears(&["5"])?;
        let said = following.end()?;
        ensure!(
            said.contains("waiting for it to come back") && said.contains("is back, it was away"),
            "{said}"
        );
        Ok(())
    });
}

#[test]
fn nothing_is_lost_or_repeated_over_a_loss_of_the_node() {
    scene(three("logs"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        say(worker1, "1")?;
        let following =
            Following::start(fleet, &format!("logs -f -o cat worker1,worker2 {UNITS}"))?;
        following.hears(&[": 1"])?;
        worker1.freeze("unitlink-agent.service")?;
        await_status(fleet, "worker1", "offline", SOON)?;
        say(worker1, "2")?;
        say(worker2, "3")?;
        following.hears(&["worker2: 3"])?;
        worker1.thaw("unitlink-agent.service")?;
        following.hears(&["worker1: 2"])?;
        say(worker1, "4")?;
        following.hears(&["worker1: 4"])?;
        worker1.cut_link()?;
        await_status(fleet, "worker1", "offline", SOON)?;
        say(worker1, "5")?;
        worker1.heal_link()?;
        following.hears(&["worker1: 5"])?;
        let said = following.end()?;
        ensure!(
            said.contains("worker1 is offline") && said.contains("worker1 is back"),
            "{said}"
        );
        Ok(())
    });
}
