//! The launcher as a process, without systemd: real sockets, signals, workers and losses. Nothing of
//! the machine is touched but loopback and a folder for each case.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests: a panic there is a report"
)]

mod failures;
mod languages;
mod load;
mod reloads;
mod replace;
mod settings;
mod stops;
mod workers;
mod world;
