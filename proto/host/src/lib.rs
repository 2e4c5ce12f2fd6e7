//! What every daemon needs of its machine.
//!
//! | module | holds |
//! |---|---|
//! | [`alarm`] | when a loop wakes by itself |
//! | [`address`] | D-Bus addresses and listen addresses, parsed once |
//! | [`stream`] | listeners and connections, over which TLS can be laid later; who the peer is |
//! | [`passed`] | descriptors passed by systemd, sd_listen_fds(3) |
//! | [`sasl`] | the D-Bus handshake of both sides, pure |
//! | [`link`](mod@link) | D-Bus messages over a stream: framing, bounds, tasks, serials |
//! | [`bus`] | a service on a bus: its connection, and what every object of it has |
//! | [`config`] | drop-in configuration: fragments, layers, proofs, and their error messages |
//! | [`log`] | where log lines go, and a level that can be changed live |
//! | [`notify`] | sd_notify(3) |
//! | [`owner`] | the loop of a daemon, as a task |
//! | [`scope`] | for whom a daemon runs, and every place that follows from it |
//! | [`signal`] | signals as a stream of values |
//! | [`clock`] | the clock, boot id, host name, randomness |
//! | [`reload`] | reloads of the configuration as transactions |
//! | [`rate`] | keeps repeating log lines from flooding the journal |
//! | [`limits`] | every bound of this crate, with its reason |

pub mod address;
pub mod alarm;
pub mod bus;
pub mod clock;
pub mod config;
pub mod exit;
pub mod limits;
pub mod link;
pub mod log;
pub mod notify;
pub mod owner;
pub mod passed;
pub mod rate;
pub mod reload;
pub mod sasl;
pub mod scope;
pub mod signal;
pub mod stream;
pub mod watchdog;
