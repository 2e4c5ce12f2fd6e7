//! Real systemd nodes for tests, the demonstration and the benchmarks.
//!
//! A [`fleet::Fleet`] is a few nodes on one network. Each [`node::Node`] is a systemd that was
//! booted by `systemd-nspawn` with the host's `/usr`, or that of another tree, over which the installed [`stage::Stage`] is
//! laid, and with an empty `/etc` and `/var`; it takes a fraction of a second. Nothing of a fleet
//! touches the host's own network, files or services, and nothing of it outlives the process that
//! made it. `tests/README.md` shows how a case is written.
//!
//! [`fuzz`] is what a fuzzer drives. [`fake`] are agents without a machine, for as many nodes as one likes.
//! [`daemon`] is one of our daemons without systemd. [`before`] is what the version before speaks.

mod base;
pub mod beat;
pub mod before;
mod boot;
mod builder;
pub mod bus;
pub mod case;
mod cgroup;
mod command;
pub mod daemon;
pub mod fake;
pub mod fleet;
// Its parts of the programs have tests of their own, which look for the rest of the programs.
#[cfg(not(test))]
pub mod fuzz;
mod island;
pub mod load;
mod network;
pub mod node;
mod process;
pub mod rng;
pub mod stage;
mod tree;
mod watch;
