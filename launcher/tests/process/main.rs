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
mod manager;
mod own_port;
mod reading;
mod reloads;
mod replace;
mod runit;
mod servers;
mod settings;
mod stops;
mod workers;
mod world;
