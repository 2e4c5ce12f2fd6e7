//! What becomes of a single worker: it is started, gets ready, drains, and ends.
//!
//! | phase | is entered by | what is sent | leaves by |
//! |---|---|---|---|
//! | starting | a place that is due, with room for it | | a word, a probe or a time: ready; a limit: killed, or its generation has failed |
//! | ready | | | a generation that takes over, or a stop: draining; silence: aborted |
//! | draining | | TERM | its limit: killed |
//! | aborted | | ABRT | its limit: killed |
//! | killed | | KILL | |
//!
//! From each of them it may end by itself; what follows is a matter of its generation's role.

mod end;
mod number;
mod ready;
mod start;

use crate::{
    Launcher,
    generation::{Phase, Process, Role},
    input::ProcessId,
    settings::Settings,
};

impl Launcher {
    /// A process with the role of its generation, and something of its settings.
    fn look<T>(
        &self,
        process: ProcessId,
        of: impl Fn(&Settings) -> T,
    ) -> Option<(Process, Role, T)> {
        let it = self.processes.get(&process)?;
        let generation = self.generations.get(&it.generation)?;
        Some((it.clone(), generation.role, of(&generation.settings)))
    }

    fn phase(&mut self, process: ProcessId, phase: Phase) {
        if let Some(it) = self.processes.get_mut(&process) {
            it.phase = phase;
        }
    }
}
