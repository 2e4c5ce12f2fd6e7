//! Every order. A seed finds what is likely; this walks through all orders in which the messages,
//! signals and faults of a small fleet can come, each state once.
//!
//! A state is what the real cores, the simulated service managers and everything on its way between
//! them are. From each, whatever could happen next happens, one thing at a time: a message arrives,
//! a service manager says something or goes on, a helper asks, an operator does the next thing on his
//! list, a fault befalls somebody while there are faults left. Time does not pass by itself, so
//! there are no heartbeats; a wait between two attempts ends when its turn comes, and so does a
//! grace. A state from which nothing more can happen has to be quiet in the sense of the rules.

mod check;
mod small;
mod step;
mod work;

use std::{
    collections::HashSet,
    env,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use test_case::test_case;

use small::{
    Choice, Fault,
    Operator::{self, Deny, KillTarget, RestartTarget, Start, Stop, StopTarget},
    Plan, Small,
};

/// What was walked through.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    states: usize,
    steps: usize,
    /// States from which nothing more happens.
    ends: usize,
    deepest: usize,
}

/// Walks through everything that can happen, or through as many states as are allowed.
fn walk(plan: &Plan, states_max: usize) -> Walked {
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let mut walked = Walked::default();
    let mut seen = HashSet::new();
    let first = Small::new(plan);
    seen.insert(hasher.hash_one(&first));
    let choices = first.choices();
    let mut stack = vec![(first, choices)];
    while let Some((state, choices)) = stack.last_mut() {
        let Some(choice) = choices.pop() else {
            stack.pop();
            continue;
        };
        let mut next = state.clone();
        next.take(choice);
        walked.steps += 1;
        if let Some(wrong) = next.wrong() {
            replay(plan, &stack, choice, &wrong);
        }
        if !seen.insert(hasher.hash_one(&next)) {
            continue;
        }
        let choices = next.choices();
        if choices.iter().all(Choice::is_fault) {
            walked.ends += 1;
            let wrong = check::quiet(&next);
            if !wrong.is_empty() {
                replay(plan, &stack, choice, &wrong.join("\n"));
            }
        }
        walked.deepest = walked.deepest.max(stack.len());
        if seen.len() >= states_max {
            break;
        }
        stack.push((next, choices));
    }
    walked.states = seen.len();
    walked
}

/// Shows how a state was reached, and fails.
fn replay(plan: &Plan, stack: &[(Small, Vec<Choice>)], last: Choice, wrong: &str) -> ! {
    let mut state = Small::new(plan);
    state.trace = Some(Vec::new());
    let path = stack.iter().skip(1).filter_map(|(state, _)| state.came_by);
    for choice in path.chain([last]) {
        state.take(choice);
    }
    let trace = state.trace.unwrap_or_default();
    panic!("{}\n{wrong}", trace.join("\n"));
}

/// How many states a plan may take where nothing else is asked for: a second's worth, optimised or
/// not.
const STATES: usize = if cfg!(debug_assertions) {
    2_000
} else {
    40_000
};

/// How many states a plan may take; `SIM_STATES` is for those who have more time.
fn states_max(usual: usize) -> usize {
    let asked = env::var("SIM_STATES").ok();
    asked.map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("SIM_STATES={text} is no number"))
    })
}

fn walks(what: &str, plan: Plan, at_least: usize) {
    let most = states_max(STATES);
    let walked = walk(&plan, most);
    println!(
        "{what}: {} states, {} steps, {} ends, {} deep{}",
        walked.states,
        walked.steps,
        walked.ends,
        walked.deepest,
        if walked.states < most {
            ""
        } else {
            ", more are left"
        }
    );
    assert!(walked.states >= at_least.min(most), "{walked:?}");
    assert!(walked.ends > 0 || walked.states >= most, "{walked:?}");
}

/// One source and one target, with every order of what is done to them.
#[test_case("start, stop", &[Start(0), Stop(0)], 0, 5_000)]
#[test_case("start, the target is stopped", &[Start(0), StopTarget(1)], 0, 20_000)]
#[test_case("start, the target dies", &[Start(0), KillTarget(1)], 0, 5_000)]
#[test_case("start, the target is restarted", &[Start(0), RestartTarget(1)], 0, 20_000)]
#[test_case("start, forbidden", &[Start(0), Deny(0)], 0, 20_000)]
#[test_case("start, stop, start", &[Start(0), Stop(0), Start(0)], 0, 20_000)]
#[test_case("start, one fault", &[Start(0)], 1, 20_000)]
#[test_case("start, stop, one fault", &[Start(0), Stop(0)], 1, 20_000)]
#[test_case("start, the target is stopped, one fault", &[Start(0), StopTarget(1)], 1, 20_000)]
fn pair(what: &str, operators: &[Operator], faults: usize, at_least: usize) {
    walks(what, Plan::pair(operators, faults), at_least);
}

/// Two sources of one target, and two nodes that need each other.
#[test_case("two sources", &["a", "b", "c"], &[(0, 1), (2, 1)], &[Start(0), Start(2), Stop(0)])]
#[test_case("both ways", &["a", "b"], &[(0, 1), (1, 0)], &[Start(0), Start(1), Stop(0)])]
fn several(what: &str, names: &[&str], needs: &[(usize, usize)], operators: &[Operator]) {
    walks(what, Plan::of(names, needs, operators, 0), 20_000);
}

#[test_case("the service manager of a source", &[Fault::Reload(0), Fault::Reexec(0)])]
#[test_case("the service manager of a target", &[Fault::Reload(1), Fault::Reexec(1)])]
fn managers(what: &str, kinds: &[Fault]) {
    let plan = Plan::pair(&[Start(0), Stop(0)], 1).only(kinds);
    walks(what, plan, 20_000);
}
