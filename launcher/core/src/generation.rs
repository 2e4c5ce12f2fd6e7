use std::collections::BTreeMap;

use proto::time::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    input::{GenerationId, ProcessId, WorkerNumber},
    output::Reason,
    settings::Settings,
};

/// Workers that were started with the same settings.
///
/// | role | what is true | what ends it |
/// |---|---|---|
/// | candidate | it is being tried, at a start or beside the one in service | all workers are ready and confirmed; or one fails |
/// | serving | it is the one in service, and is kept at its strength | another one is confirmed; a stop |
/// | old | it was replaced, and drains | its last process ends |
/// | failed | it was tried in vain, and goes | its last process ends |
///
/// At most one is a candidate, and at most one is serving.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Generation {
    pub(crate) settings: Settings,
    pub(crate) role: Role,
    pub(crate) slots: BTreeMap<WorkerNumber, Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Role {
    Candidate,
    Serving,
    Old,
    Failed,
}

/// The place of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Slot {
    /// It is started as soon as there is room.
    Due {
        reason: Reason,
        /// How many workers in a row have ended here.
        crashes: u32,
    },
    /// This process is, or was told to be no more.
    Running(ProcessId),
    /// It has ended, and is started again after a while.
    Waiting { crashes: u32 },
    /// It has made room for a worker of a generation that is being tried.
    Retired {
        /// How many workers in a row had ended here, if the next was still to be started.
        crashes: u32,
    },
    /// It has done its work.
    Finished,
}

/// A process, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) generation: GenerationId,
    pub(crate) worker: WorkerNumber,
    pub(crate) phase: Phase,
    /// How many before it in the same place have ended, one soon after the other.
    pub(crate) crashes: u32,
}

/// Signals are sent when a phase is entered, so none is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// It runs, and is not ready.
    Starting,
    /// It serves.
    Ready {
        since: Moment,
        /// Whether it has been ready for long enough.
        confirmed: bool,
        /// Whether it has said that it lives since the service manager was told so.
        alive: bool,
    },
    /// It was sent TERM.
    Draining {
        since: Moment,
        /// Whether it served nobody yet. A launcher before this one did not say.
        #[serde(default)]
        is_idle: bool,
    },
    /// It was sent ABRT for its silence.
    Aborted,
    /// It was sent KILL.
    Killed,
}

impl Generation {
    pub(crate) fn candidate(settings: Settings, reason: Reason) -> Self {
        let due = Slot::Due { reason, crashes: 0 };
        let slots = (1..=settings.workers.max(1)).map(|number| (WorkerNumber(number), due));
        Self {
            role: Role::Candidate,
            slots: slots.collect(),
            settings,
        }
    }

    /// Whether this process has its place, and was not told to go.
    pub(crate) fn has(&self, worker: WorkerNumber, process: ProcessId) -> bool {
        self.slots.get(&worker) == Some(&Slot::Running(process))
    }

    /// The processes that have their places.
    pub(crate) fn running(&self) -> impl Iterator<Item = (WorkerNumber, ProcessId)> {
        self.slots.iter().filter_map(|(number, slot)| match slot {
            Slot::Running(process) => Some((*number, *process)),
            Slot::Due { .. } | Slot::Waiting { .. } | Slot::Retired { .. } | Slot::Finished => None,
        })
    }
}

impl Slot {
    /// This place when it makes room.
    pub(crate) fn retired(self) -> Self {
        match self {
            Self::Due { crashes, .. } | Self::Waiting { crashes } => Self::Retired { crashes },
            Self::Running(_) => Self::Retired { crashes: 0 },
            Self::Retired { .. } | Self::Finished => self,
        }
    }

    /// Whether what was here has crashed, and its successor has not been started.
    pub(crate) fn has_crashed(self) -> bool {
        match self {
            Self::Due { crashes, .. } => crashes > 0,
            Self::Waiting { .. } => true,
            Self::Running(_) | Self::Retired { .. } | Self::Finished => false,
        }
    }

    pub(crate) fn is_retired(self) -> bool {
        match self {
            Self::Retired { .. } => true,
            Self::Due { .. } | Self::Running(_) | Self::Waiting { .. } | Self::Finished => false,
        }
    }

    /// Whether it holds, or will hold, a worker that serves.
    pub(crate) fn is_active(self) -> bool {
        match self {
            Self::Due { .. } | Self::Running(_) | Self::Waiting { .. } => true,
            Self::Retired { .. } | Self::Finished => false,
        }
    }
}
