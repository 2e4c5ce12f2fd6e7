//! A run: rounds of faults, and after each of them a quiet point at which everything is looked at.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ::tests::fleet::{Fleet, FleetBuilder};
use anyhow::{Result, bail};

use crate::cause::{GRACE, Inquest};
use crate::drive::{Driver, Wish, now};
use crate::history::{History, Micros};
use crate::layout::{Layout, NODES, PROXIES, Role};
use crate::options::{Goal, Options};
use crate::plan::Planner;
use crate::quiet::{self, View};
use crate::report::{self, Summary};

/// How long the fleet may take until all is as it must be, once nothing fails any more: twice what the
/// graces, thresholds and waits of the agents come to.
const QUIET: Duration = Duration::from_secs(90);

/// What the controller was asked to start may be on its way for so long: over a link that loses packets, TCP
/// tries again ever more seldom.
const BY_CTL: Micros = 60_000_000;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

const HEARTBEAT: &str = "[heartbeat]\ninterval = \"500ms\"\nthreshold = \"2s\"\n";

/// Runs until the goal is reached or something is found.
pub(crate) fn run(options: &Options) -> Result<Summary> {
    let layout = Layout::of(options.seed);
    report::say(&format!(
        "chaos: seed {}; {} nodes, {} units, {PROXIES} proxies",
        options.seed,
        NODES.len(),
        layout.units.len()
    ));
    let fleet = boot(&layout)?;
    let mut run = Run {
        options,
        driver: Driver::new(&fleet, &layout),
        layout: &layout,
        history: History::default(),
        before: None,
        summary: Summary {
            seed: options.seed,
            nodes: NODES.len(),
            units: layout.units.len(),
            proxies: PROXIES,
            elapsed: Duration::ZERO,
            restarts: 0,
            quiet_points: 0,
            slowest_quiet: Duration::ZERO,
            ends: 0,
            counts: Default::default(),
            violations: Vec::new(),
        },
    };
    let outcome = run.rounds();
    report::end_progress();
    if outcome.is_err() || !run.summary.violations.is_empty() {
        run.save()?;
    }
    outcome?;
    let account = run.driver.account();
    run.summary.counts = account.counts.clone();
    run.summary.restarts = account.restarts();
    drop(account);
    Ok(run.summary)
}

fn boot(layout: &Layout) -> Result<Fleet> {
    let mut builder: FleetBuilder = Fleet::builder("chaos");
    for node in NODES {
        builder = builder.node(node);
    }
    let seconds = GRACE.as_secs();
    builder = builder.daemons(NODES[0]).file(
        NODES[0],
        "/etc/unitlink/controller.toml.d/chaos.toml",
        &format!(
            "{HEARTBEAT}\n[claims]\nsource_grace = \"{seconds}s\"\nloss_grace = \"{seconds}s\"\n"
        ),
    );
    for node in NODES {
        builder = builder.file(node, "/etc/unitlink/agent.toml.d/chaos.toml", HEARTBEAT);
    }
    layout.write(builder).boot()
}

struct Run<'a> {
    options: &'a Options,
    driver: Driver<'a>,
    layout: &'a Layout,
    history: History,
    /// The last quiet point.
    before: Option<(Micros, View)>,
    summary: Summary,
}

impl Run<'_> {
    fn rounds(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut planner = Planner::new(self.options.seed, self.options.kind(), self.layout);
        self.quiet(0)?;
        while self.summary.violations.is_empty() {
            self.summary.elapsed = begun.elapsed();
            let restarts = self.driver.account().restarts();
            let (is_done, goal) = match self.options.goal {
                Goal::Time(time) => {
                    let minutes = time.as_secs_f64() / 60.0;
                    (begun.elapsed() >= time, format!("{minutes} min"))
                }
                Goal::Restarts(count) => (restarts >= count, format!("{count} restarts")),
            };
            let deeds = self.driver.account().deeds();
            let quiet_points = self.summary.quiet_points;
            report::progress(begun.elapsed(), &goal, quiet_points, deeds, restarts);
            if is_done {
                break;
            }
            let from = now();
            self.forget();
            let round = planner.round();
            self.driver.run(&round);
            self.quiet(from)?;
        }
        if self.summary.violations.is_empty() {
            self.end()?;
        }
        self.summary.elapsed = begun.elapsed();
        Ok(())
    }

    /// Nothing is asked for any more, so nothing may be left.
    fn end(&mut self) -> Result<()> {
        let from = now();
        self.forget();
        self.driver.stop_all();
        self.quiet(from)?;
        let Some((_, view)) = &self.before else {
            bail!("there was no quiet point");
        };
        for (node, units) in NODES.iter().zip(view) {
            for (name, seen) in units.iter().filter(|(_, seen)| seen.is_active()) {
                let left = format!("{name} on {node} is left over: {seen:?}");
                self.summary.violations.push(left);
            }
        }
        Ok(())
    }

    /// What is known of the round before is not of interest in the next one.
    fn forget(&self) {
        for node in self.driver.fleet.nodes() {
            // That it cannot be done now is found at the next quiet point.
            let _ = node.systemctl(&["reset-failed"]);
        }
    }

    /// Heals everything, waits until all is as it must be, and looks at what has happened since.
    fn quiet(&mut self, from: Micros) -> Result<()> {
        self.driver.heal()?;
        let begun = Instant::now();
        let view = loop {
            let (view, problems) = self.look();
            match view {
                // Twice, so that it is no moment of something that is still under way.
                Some(first) if problems.is_empty() => {
                    thread::sleep(LOOK_AGAIN);
                    let (second, problems) = self.look();
                    if problems.is_empty() && second.as_ref() == Some(&first) {
                        break first;
                    }
                }
                Some(_) | None if begun.elapsed() > QUIET => {
                    for problem in problems {
                        self.summary
                            .violations
                            .push(format!("{QUIET:?} after the last fault: {problem}"));
                    }
                    return Ok(());
                }
                Some(_) | None => {}
            }
            thread::sleep(LOOK_AGAIN);
        };
        self.summary.slowest_quiet = self.summary.slowest_quiet.max(begun.elapsed());
        self.summary.quiet_points += 1;
        self.judge(from, view)
    }

    fn look(&self) -> (Option<View>, Vec<String>) {
        let looking = || -> Result<(View, Vec<String>)> {
            let view = quiet::look(self.driver.fleet, self.layout)?;
            let mut problems = quiet::problems(self.layout, &view);
            if problems.is_empty() {
                problems = quiet::disagreements(self.driver.fleet, self.layout, &view)?;
            }
            Ok((view, problems))
        };
        match looking() {
            Ok((view, problems)) => (Some(view), problems),
            Err(error) => (None, vec![format!("{error:#}")]),
        }
    }

    /// Looks into everything that has happened since the last quiet point.
    fn judge(&mut self, from: Micros, view: View) -> Result<()> {
        let at = now();
        let deaths = std::mem::take(&mut self.driver.account().deaths);
        for (node, begin, end) in deaths {
            self.history.died(node, begin, end);
        }
        for (id, name) in NODES.iter().enumerate() {
            self.history.read(id, self.driver.fleet.node(name))?;
        }
        let account = self.driver.account();
        let inquest = Inquest {
            layout: self.layout,
            history: &self.history,
            orders: &account.orders,
            outages: &account.outages,
        };
        let findings = inquest.since(from);
        self.summary.ends += findings.ends;
        let violations = &mut self.summary.violations;
        for (at, what) in findings.without_cause {
            violations.push(format!("{at}: {what}"));
        }

        for (unit, (wish, since)) in &account.wishes {
            let unit = &self.layout.units[*unit];
            let runs = self.history.runs(unit.node, &unit.name);
            let is_active = view[unit.node]
                .get(&unit.name)
                .is_some_and(|it| it.is_active());
            let on = NODES[unit.node];
            match wish {
                Wish::Run => {
                    // The end of what it needs calls a start off that waits, without a word.
                    let is_called_off = unit.needs.iter().any(|need| {
                        let proxy = self.layout.units[need.of].proxy();
                        let runs = self.history.runs(unit.node, &proxy);
                        need.tie.is_strict() && runs.iter().any(|run| run.has_ended(*since, at))
                    });
                    let has_run = runs.iter().any(|run| run.has_ended(*since, at));
                    if !is_active && !has_run && !is_called_off {
                        violations.push(format!("{} on {on} was started and never ran", unit.name));
                    }
                }
                Wish::Rest => {
                    let index = self
                        .layout
                        .units
                        .iter()
                        .position(|it| std::ptr::eq(it, unit));
                    let started = index.and_then(|it| account.by_ctl.get(&it));
                    let is_by_ctl = started.is_some_and(|begun| at < begun + BY_CTL);
                    if is_active && !is_by_ctl {
                        violations.push(format!("{} on {on} was stopped and runs", unit.name));
                    }
                }
            }
        }

        for (node, units) in view.iter().enumerate() {
            let on = NODES[node];
            for (name, seen) in units {
                let runs = self.history.runs(node, name);
                let is_open = runs.last().is_some_and(|run| run.ended.is_none());
                if is_open != seen.is_active() {
                    violations.push(format!(
                        "{name} on {on} is {}; its journal says otherwise: {:?}",
                        seen.active,
                        runs.last()
                    ));
                }
                if seen.active == "failed" {
                    let unit = self
                        .layout
                        .units
                        .iter()
                        .position(|it| it.node == node && it.name == *name);
                    let has_reason = match unit {
                        Some(id) => account
                            .orders
                            .iter()
                            .any(|it| it.unit == id && it.at >= from),
                        None => !seen.status.is_empty(),
                    };
                    if !has_reason {
                        violations.push(format!("{name} on {on} has failed without a reason"));
                    }
                }
            }
        }

        if let Some((since, before)) = &self.before {
            for (node, (before, after)) in before.iter().zip(&view).enumerate() {
                for (name, before) in before.iter().filter(|(_, it)| it.is_active()) {
                    let is_same = after.get(name).is_some_and(|after| {
                        after.invocation == before.invocation && after.main_pid == before.main_pid
                    });
                    let runs = self.history.runs(node, name);
                    if !is_same && !runs.iter().any(|run| run.has_ended(*since, at)) {
                        violations.push(format!(
                            "{name} on {} was {before:?} and is {:?}, without an end in between",
                            NODES[node],
                            after.get(name)
                        ));
                    }
                }
            }
        }
        drop(account);
        self.before = Some((at, view));
        Ok(())
    }

    /// Keeps what is needed to find out what went wrong.
    fn save(&self) -> Result<()> {
        let path: PathBuf =
            std::env::temp_dir().join(format!("unitlink-chaos-{}", self.options.seed));
        fs::create_dir_all(&path)?;
        for node in self.driver.fleet.nodes() {
            let journal = node
                .journalctl(&["--output=short-unix"])
                .unwrap_or_default();
            fs::write(path.join(format!("{}.log", node.name())), journal)?;
        }
        let mut log = self.driver.account().log.clone();
        log.sort();
        let log: Vec<_> = log
            .iter()
            .map(|(at, what)| format!("{}.{:06} {what}\n", at / 1_000_000, at % 1_000_000))
            .collect();
        fs::write(path.join("actions.log"), log.concat())?;
        let units: Vec<_> = self.layout.units.iter().map(describe).collect();
        fs::write(path.join("units.txt"), units.concat())?;
        report::say(&format!(
            "chaos: the journals, all actions and the units are in {}",
            path.display()
        ));
        Ok(())
    }
}

fn describe(unit: &crate::layout::Unit) -> String {
    let role = match unit.role {
        Role::Source | Role::Enabled => "source",
        Role::Target => "target",
    };
    format!(
        "{} {} {role} {:?} {:?}\n",
        NODES[unit.node], unit.name, unit.shape, unit.needs
    )
}
