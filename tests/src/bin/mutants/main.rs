//! `make mutants`: breaks one rule of the cores at a time, in a copy of the tree, and runs the tests that
//! have to fail then. A rule that can be broken without a test that fails is not tested.
//!
//! The rules are in `tests/mutants/*.toml`: where the text is, what it becomes, which rule that breaks in
//! words, and which layer of tests must notice. `tests/README.md` tells how one is added.

mod report;
mod scratch;
mod table;
mod trial;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use report::{Line, say};
use scratch::Scratch;
use table::{Layer, Mutant};
use trial::{Runner, Verdict};

/// Breaks one rule of the cores at a time and looks which tests fail.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Options {
    /// Only mutants whose name, file or fault holds this text.
    only: Option<String>,
    /// Seeds of the simulation for each mutant that the layer `seeds` must catch.
    #[arg(long, default_value_t = 300)]
    seeds: u32,
    /// Only this layer of tests.
    #[arg(long, value_enum)]
    layer: Option<Layer>,
    /// Only list them.
    #[arg(long)]
    list: bool,
    /// Where the copy of the tree and its builds are kept.
    #[arg(long, default_value = "target/mutants")]
    scratch: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("mutants: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether every mutant was caught by all that must catch it.
fn run(options: &Options) -> Result<bool> {
    let root = root()?;
    let mut mutants = table::read(&root)?;
    mutants.retain_mut(|mutant| {
        mutant.leave(options.layer);
        options.only.as_deref().is_none_or(|text| mutant.is(text)) && !mutant.caught_by.is_empty()
    });
    ensure!(!mutants.is_empty(), "there is no such mutant");
    if options.list {
        report::list(&mutants);
        return Ok(true);
    }
    let scratch = Scratch::copy(&root, &options.scratch)?;
    let runner = Runner::new(&scratch, options.seeds);
    check_unbroken(&runner, &mutants)?;
    let mut lines = Vec::new();
    for mutant in &mutants {
        let line = try_one(&runner, &scratch, mutant)?;
        say(&line.as_word());
        lines.push(line);
    }
    report::print(&lines);
    Ok(lines.iter().all(Line::is_caught))
}

/// What fails by itself says nothing of a mutant.
fn check_unbroken(runner: &Runner<'_>, mutants: &[Mutant]) -> Result<()> {
    let mut suites: Vec<_> = mutants.iter().flat_map(Mutant::suites).collect();
    suites.sort();
    suites.dedup();
    for suite in suites {
        say(&format!("unbroken: {suite}"));
        let verdict = runner.run(suite)?;
        ensure!(
            verdict == Verdict::Passed,
            "{suite} fails without a mutant: {verdict}"
        );
    }
    Ok(())
}

fn try_one(runner: &Runner<'_>, scratch: &Scratch, mutant: &Mutant) -> Result<Line> {
    let broken = scratch.break_rule(mutant)?;
    let mut verdicts: Vec<(Layer, Verdict)> = Vec::new();
    for suite in mutant.suites() {
        let verdict = runner
            .run(suite)
            .with_context(|| format!("mutant '{}'", mutant.name))?;
        verdicts.push((suite.layer, verdict));
    }
    broken.mend()?;
    Ok(Line::new(mutant, verdicts))
}

/// The top of the tree.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("the package is in no folder")?;
    Ok(root.to_owned())
}
