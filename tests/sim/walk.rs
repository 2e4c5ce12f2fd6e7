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
    Choice,
    Fault::{
        self, AgentTime, ControllerTime, Cut, Reexec, Reload, RestartAgent, RestartController,
    },
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
    /// Whether nothing is left.
    is_whole: bool,
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
    walked.is_whole = seen.len() < states_max;
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

/// How many states a plan that has no end in sight may take where nothing else is asked for.
const STATES: usize = if cfg!(debug_assertions) {
    1_000
} else {
    10_000
};

/// More states than any plan has that is said to end.
const WHOLE: usize = if cfg!(debug_assertions) {
    1_000
} else {
    6_000_000
};

/// How many states a plan may take; `SIM_STATES` is for those who have more time.
fn states_max(usual: usize) -> usize {
    let asked = env::var("SIM_STATES").ok();
    asked.map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("SIM_STATES={text} is no number"))
    })
}

fn shown(what: &str, plan: &Plan, most: usize) -> Walked {
    let walked = walk(plan, most);
    println!(
        "{what}: {} states, {} steps, {} ends, {} deep{}",
        walked.states,
        walked.steps,
        walked.ends,
        walked.deepest,
        if walked.is_whole {
            ""
        } else {
            ", more are left"
        }
    );
    walked
}

/// All orders. A plan of which fewer than `at_least` states are found has become one in which nothing
/// happens.
fn ends(what: &str, plan: Plan, at_least: usize) {
    let walked = shown(what, &plan, WHOLE);
    assert!(walked.states >= at_least.min(WHOLE), "{walked:?}");
    let is_long = cfg!(debug_assertions);
    assert!(walked.is_whole && walked.ends > 0 || is_long, "{walked:?}");
}

/// As many orders as there is time for.
fn is_cut(what: &str, plan: Plan, at_least: usize) {
    let most = states_max(STATES);
    let walked = shown(what, &plan, most);
    assert!(walked.states >= at_least.min(most), "{walked:?}");
    assert!(walked.ends > 0 || !walked.is_whole, "{walked:?}");
}

/// One source and one target: all that is done to them, and nothing that breaks.
#[test_case("start, stop", &[Start(0), Stop(0)], 5_000)]
#[test_case("start, the target is stopped", &[Start(0), StopTarget(1)], 15_000)]
#[test_case("start, the target dies", &[Start(0), KillTarget(1)], 5_000)]
#[test_case("start, the target is restarted", &[Start(0), RestartTarget(1)], 30_000)]
fn pair(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, Plan::pair(operators, 0), at_least);
}

#[test_case("start, forbidden", &[Start(0), Deny(0)], 60_000)]
#[test_case("start, stop, start", &[Start(0), Stop(0), Start(0)], 100_000)]
#[ignore = "takes a minute: make walk"]
fn pair_for_longer(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, Plan::pair(operators, 0), at_least);
}

/// One source and one target, and one fault of one kind at any moment.
#[test_case("the link of the source breaks", Cut(0), 6_000)]
#[test_case("the link of the target breaks", Cut(1), 10_000)]
#[test_case("the agent of the source restarts", RestartAgent(0), 15_000)]
#[test_case("the agent of the target restarts", RestartAgent(1), 30_000)]
#[test_case("the controller restarts", RestartController, 7_000)]
#[test_case("systemd of the source reads its files", Reload(0), 3_000)]
#[test_case("systemd of the target reads its files", Reload(1), 2_500)]
#[test_case("systemd of the source executes itself", Reexec(0), 5_000)]
#[test_case("systemd of the target executes itself", Reexec(1), 4_000)]
#[test_case("a wait of the source is over early", AgentTime(0), 3_000)]
#[test_case("a wait of the target is over early", AgentTime(1), 3_000)]
#[test_case("a grace is over early", ControllerTime, 5_000)]
fn pair_with_a_fault(what: &str, fault: Fault, at_least: usize) {
    let plan = Plan::pair(&[Start(0)], 1).only(&[fault]);
    ends(&format!("start, {what}"), plan, at_least);
}

#[test_case("start, stop, the link of the source breaks", Stop(0), Cut(0), 30_000)]
#[test_case("start, stop, the link of the target breaks", Stop(0), Cut(1), 45_000)]
#[test_case(
    "start, stop, the agent of the source restarts",
    Stop(0),
    RestartAgent(0),
    100_000
)]
#[test_case(
    "start, stop, the agent of the target restarts",
    Stop(0),
    RestartAgent(1),
    180_000
)]
#[test_case(
    "start, stop, the controller restarts",
    Stop(0),
    RestartController,
    25_000
)]
#[test_case(
    "start, death, the link of the source breaks",
    KillTarget(1),
    Cut(0),
    30_000
)]
#[test_case(
    "start, death, the link of the target breaks",
    KillTarget(1),
    Cut(1),
    35_000
)]
#[test_case(
    "start, death, the controller restarts",
    KillTarget(1),
    RestartController,
    20_000
)]
#[ignore = "takes a minute: make walk"]
fn pair_with_a_fault_for_longer(what: &str, second: Operator, fault: Fault, at_least: usize) {
    let plan = Plan::pair(&[Start(0), second], 1).only(&[fault]);
    ends(what, plan, at_least);
}

/// Two sources on two nodes of one target on a third: `a` and `c` need `b`.
fn two(operators: &[Operator], faults: usize) -> Plan {
    Plan::of(&["a", "b", "c"], &[(0, 1), (2, 1)], operators, faults)
}

#[test_case("two sources, both start", &[Start(0), Start(2)], 2_500)]
#[test_case("two sources, one stops", &[Start(0), Start(2), Stop(0)], 15_000)]
fn two_sources(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, two(operators, 0).of_machines(), at_least);
}

#[test_case("two sources, both stop", &[Start(0), Start(2), Stop(0), Stop(2)], 90_000)]
#[ignore = "takes a minute: make walk"]
fn two_sources_for_longer(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, two(operators, 0).of_machines(), at_least);
}

/// A source on `a` of a target on `b`, which itself is a source of a target on `c`.
#[test_case("a chain, start, stop", &[Start(0), Stop(0)], 1_500)]
#[test_case("a chain, the last dies", &[Start(0), KillTarget(2)], 15_000)]
#[test_case("a chain, the middle dies", &[Start(0), KillTarget(1)], 9_000)]
fn chain(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, Plan::chain(operators, 0).of_machines(), at_least);
}

/// Two nodes that need each other's target.
fn both(operators: &[Operator]) -> Plan {
    Plan::of(&["a", "b"], &[(0, 1), (1, 0)], operators, 0)
}

#[test_case("both ways, both start", &[Start(0), Start(1)], 2_500)]
#[test_case("both ways, one stops", &[Start(0), Start(1), Stop(0)], 40_000)]
#[test_case("both ways, a target dies", &[Start(0), Start(1), KillTarget(1)], 30_000)]
fn both_ways(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, both(operators).of_machines(), at_least);
}

#[test_case("both ways, both stop", &[Start(0), Start(1), Stop(0), Stop(1)], 500_000)]
#[ignore = "takes a minute: make walk"]
fn both_ways_for_longer(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, both(operators).of_machines(), at_least);
}

/// One source and one target, and one fault of any kind, or one wait that is over early, at any moment.
#[test_case("start, one fault", &[Start(0)], 70_000)]
#[test_case("start, stop, one fault", &[Start(0), Stop(0)], 400_000)]
#[test_case("start, the target is stopped, one fault", &[Start(0), StopTarget(1)], 1_500_000)]
#[ignore = "takes minutes: make walk"]
fn pair_with_any_fault(what: &str, operators: &[Operator], at_least: usize) {
    ends(what, Plan::pair(operators, 1), at_least);
}

/// Two sources of one target, and one fault of one kind at any moment.
#[test_case("two sources, the controller restarts", RestartController, 600_000)]
#[test_case("two sources, the link of the target breaks", Cut(1), 300_000)]
#[test_case("two sources, the link of a source breaks", Cut(0), 70_000)]
#[test_case(
    "two sources, the agent of the target restarts",
    RestartAgent(1),
    1_500_000
)]
#[test_case(
    "two sources, the agent of a source restarts",
    RestartAgent(0),
    200_000
)]
#[ignore = "takes minutes: make walk"]
fn two_sources_with_a_fault(what: &str, fault: Fault, at_least: usize) {
    let plan = two(&[Start(0), Start(2), Stop(0)], 1).only(&[fault]);
    ends(what, plan.of_machines(), at_least);
}

/// Plans that have more orders than there is time for.
#[test_case("two sources, every grain", two(&[Start(0), Start(2), Stop(0)], 0), 5_000)]
#[test_case("both ways, every grain", both(&[Start(0), Start(1), Stop(0)]), 5_000)]
fn without_an_end(what: &str, plan: Plan, at_least: usize) {
    is_cut(what, plan, at_least);
}
