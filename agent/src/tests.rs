//! The whole agent, with a controller and a systemd that are played, by a clock that moves only when everybody
//! waits.

mod before;
mod rhythm;
mod world;
