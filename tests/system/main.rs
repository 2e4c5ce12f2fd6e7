//! Cases on real systemd nodes. Each is a module, with the units it needs in the folder of the
//! same name; `tests/README.md` says how to add one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]

mod api;
mod around;
mod bindings;
mod binds_to;
mod bluechi;
mod bluechi_names;
mod config;
mod conflict;
mod crowd;
mod ctl;
mod cycle;
mod daemon;
mod deps;
mod drain;
mod examples;
mod flood;
mod harness;
mod held;
mod install;
mod introspection;
mod kinds;
mod launcher;
mod leftover;
mod logs;
mod loss;
mod many;
mod missing_unit;
mod mistakes;
mod names;
mod needless;
mod neighbours;
mod offline;
mod once;
mod order;
mod pair;
mod peer;
mod policy;
mod quiet;
mod refused;
mod reload;
mod repeat;
mod requires;
mod requisite;
mod rest;
mod same;
mod shared;
mod survive;
mod types;
mod unloaded;
mod upholds;
mod user;
mod verify;
mod wants;
mod why;
mod withstand;
mod world;
