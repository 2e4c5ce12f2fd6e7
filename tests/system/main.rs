//! Cases on real systemd nodes. Each is a module, with the units it needs in the folder of the
//! same name; `tests/README.md` says how to add one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]

mod harness;
mod leftover;
