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

mod check;
mod generate;
mod run;
mod scenario;
mod systemd;
mod walk;
mod world;
