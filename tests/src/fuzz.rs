//! What a fuzzer drives: each function takes any bytes, and panics where a rule is broken that any
//! bytes keep. `tests/fuzz` makes targets of them, and `tests/fuzz/replay.rs` tries again what was
//! found. Whole worlds are in `tests/sim`.

mod config;
mod lines;
mod link;
mod names;
mod wire;

pub use config::config;
pub use lines::lines;
pub use link::link;
pub use names::names;
pub use wire::wire;

/// Parts of the programs that can be reached without their processes.
#[path = "../../agent/src"]
#[allow(dead_code, unused_imports, reason = "not all of it is driven")]
mod agent {
    #[path = "local/line.rs"]
    pub(crate) mod line;
    pub(crate) mod settings;
}

#[path = "../../controller/src"]
#[allow(dead_code, unused_imports, reason = "not all of it is driven")]
mod controller {
    pub(crate) mod settings;
}

#[path = "../../proxy/src"]
#[allow(dead_code, unused_imports, reason = "not all of it is driven")]
mod proxy {
    pub(crate) mod answer;
    pub(crate) mod limits;
    pub(crate) mod outcome;
}
