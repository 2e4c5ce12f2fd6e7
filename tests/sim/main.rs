//! A deterministic simulation of whole fleets: the real cores of controller and agents, with
//! simulated service managers, links and clocks. `docs/design/simulation.md` says what is modelled,
//! what is checked, and how to replay a seed:
//!
//! ```text
//! SIM_SEED=4711 cargo test -p tests --test sim seeds -- --nocapture
//! SIM_SEEDS=100000 cargo test -p tests --release --test sim seeds
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]
// The same worlds as the target of a fuzzer, tests/fuzz.
#![cfg_attr(
    fuzzing,
    no_main,
    allow(dead_code, unused_imports, reason = "the tests are not there")
)]

mod check;
#[cfg(not(fuzzing))]
mod corpus;
#[cfg(fuzzing)]
mod fuzz;
mod generate;
mod run;
#[cfg(not(fuzzing))]
mod scenario;
mod systemd;
#[cfg(not(fuzzing))]
mod walk;
mod world;
