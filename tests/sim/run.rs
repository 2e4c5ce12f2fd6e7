//! Many seeds, or one that is to be looked at.

use std::{env, thread, time::Duration};

use crate::{check::check_quiet, generate::story, world::World};

/// How many seeds are run where nothing else is asked for: what a minute has room for, with a lot
/// of room left.
const SEEDS: u64 = 250;

/// For how long nothing may have changed at the end: longer than any wait between two attempts.
const STILL: Duration = Duration::from_secs(60);

/// Lines of the trace that are shown of a seed that failed.
const TAIL: usize = 150;

/// Runs the world of a seed, and says what went wrong in it.
pub(crate) fn run(seed: u64, traced: bool) -> (World, Result<(), String>) {
    let story = story(seed);
    let mut world = World::new(story.plan, traced);
    for (when, action) in story.script {
        world.plan_action(when, action);
    }
    world.run_for(story.heals);
    world.heal();
    world.run_for(story.settles);
    let result = match world.violation.clone() {
        Some(violation) => Err(violation),
        None => {
            let mut wrong = check_quiet(&world);
            if world.now.since(world.changed) < STILL {
                wrong.push("something still changes".to_owned());
            }
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(wrong.join("\n    "))
            }
        }
    };
    (world, result)
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
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            thread::spawn(move || {
                let mut failed = Vec::new();
                let mut events = 0;
                for seed in (first..first + seeds)
                    .skip(thread as usize)
                    .step_by(threads as usize)
                {
                    let (world, result) = run(seed, false);
                    events += world.events;
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
