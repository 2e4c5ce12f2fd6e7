//! Many seeds, or one that is to be looked at.

use std::{
    env,
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    check::{Rule, check_able, check_quiet},
    generate::{Story, story},
    world::World,
};

/// How many seeds are run where nothing else is asked for: some seconds' worth, optimised or not.
const SEEDS: u64 = if cfg!(debug_assertions) { 100 } else { 3000 };

/// From one word about how far it is to the next, where somebody looks on.
const WORD: Duration = Duration::from_secs(5);

/// For how long nothing may have changed at the end: longer than any wait between two attempts.
const STILL: Duration = Duration::from_secs(60);

/// How many milliseconds a message may take where what is started must be up soon.
const QUICK: u64 = 5;

/// How long that may take, also where circles have to be found and refused.
const SOON: Duration = Duration::from_secs(10);

/// Lines of the trace that are shown of a seed that failed.
const TAIL: usize = 150;

/// Runs the world of a seed, and says what went wrong in it.
pub(crate) fn run(seed: u64, traced: bool) -> (World, Result<(), String>) {
    play(story(seed), traced)
}

/// Runs a story: whatever befalls the world, then everything is healed and it becomes quiet, then
/// everything is started.
pub(crate) fn play(story: Story, traced: bool) -> (World, Result<(), String>) {
    let mut world = World::new(story.plan, traced);
    for (when, action) in story.script {
        world.plan_action(when, action);
    }
    world.run_for(story.heals);
    world.heal();
    world.run_for(story.settles);
    let mut result = quiet(&world);
    if result.is_ok() {
        world.start_all();
        let (_, slowest) = world.plan.latency;
        let soon = slowest <= QUICK;
        world.run_for(if soon { SOON } else { story.settles });
        result = quiet_but_for(&world, Duration::ZERO);
        if result.is_ok() {
            result = said(check_able(&world, soon));
        }
    }
    (world, result)
}

fn quiet(world: &World) -> Result<(), String> {
    quiet_but_for(world, STILL)
}

/// Whether a world is quiet, and was so for this time.
fn quiet_but_for(world: &World, still: Duration) -> Result<(), String> {
    if let Some(violation) = world.violation.clone() {
        return Err(violation);
    }
    let mut wrong = check_quiet(world);
    if world.now.since(world.changed) < still {
        wrong.push(format!("{}: something still changes", Rule::Still));
    }
    said(wrong)
}

fn said(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n    "))
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Runs one seed and shows how it went.
fn replay(seed: u64) {
    for machine in story(seed).plan.machines.iter().filter(|m| !m.twin) {
        for (unit, spec) in &machine.files {
            println!("{} {unit}:{spec}", machine.name);
        }
    }
    let (world, result) = run(seed, true);
    for line in world.trace.iter().flatten() {
        println!("{line}");
    }
    if let Err(wrong) = result {
        panic!("seed {seed}: {wrong}");
    }
}

fn explain(seed: u64, wrong: &str) -> String {
    let (world, _) = run(seed, true);
    let trace = world.trace.unwrap_or_default();
    let tail = trace
        .get(trace.len().saturating_sub(TAIL)..)
        .unwrap_or_default();
    format!(
        "{}\nseed {seed}: {wrong}\nthe whole story: SIM_SEED={seed} cargo test -p tests --test sim seeds -- --nocapture",
        tail.join("\n")
    )
}

#[test]
fn seeds_are_safe_and_converge() {
    if let Some(seed) = number("SIM_SEED") {
        return replay(seed);
    }
    let first = number("SIM_FIRST").unwrap_or(1);
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let all = env::var_os("SIM_ALL").is_some();
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let done = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut failed = Vec::new();
                let mut events = 0;
                let mut word = Instant::now();
                for seed in (first..first + seeds)
                    .skip(thread as usize)
                    .step_by(threads as usize)
                {
                    let (world, result) = run(seed, false);
                    events += world.events;
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if thread == 0 && word.elapsed() >= WORD && std::io::stderr().is_terminal() {
                        word = Instant::now();
                        eprintln!("{done} of {seeds} seeds");
                    }
                    if let Err(wrong) = result {
                        failed.push((seed, wrong));
                        if !all {
                            break;
                        }
                    }
                }
                (failed, events)
            })
        })
        .collect();
    let mut failed = Vec::new();
    let mut events = 0;
    for worker in workers {
        let (its, count) = worker
            .join()
            .expect("a world panicked; SIM_SEED= finds out which");
        failed.extend(its);
        events += count;
    }
    failed.sort();
    println!("{seeds} seeds, {events} events, {} failed", failed.len());
    if all {
        for (seed, wrong) in &failed {
            println!("seed {seed}: {wrong}");
        }
    }
    if let Some((seed, wrong)) = failed.first() {
        panic!("{}", explain(*seed, wrong));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let trace = |seed| run(seed, true).0.trace;
    assert_eq!(trace(7), trace(7));
}
