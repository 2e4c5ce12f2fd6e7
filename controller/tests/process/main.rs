//! The controller as a process: signals, exit codes, configuration. No bus and no systemd are needed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]

mod before;
mod bus;
mod client;
mod daemon;
mod exits;
mod fakes;
mod notify;
mod reload;
mod session;
mod signals;
