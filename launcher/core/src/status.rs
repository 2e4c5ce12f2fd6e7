use std::fmt::Write as _;

use proto::time::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    Launcher,
    generation::{self, Phase, Slot},
    input::{GenerationId, ReloadNumber},
    output::Outcome,
    stop::Life,
    timer::Timer,
};

/// How things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// In a word: `starting`, `running`, `reloading` or `stopping`.
    pub state: &'static str,
    /// Every generation of which there is something, the newest first.
    pub generations: Vec<GenerationView>,
    /// The reload that ended last.
    pub last: Option<LastReload>,
}

/// A generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationView {
    /// Its number.
    pub generation: GenerationId,
    /// What it is there for.
    pub role: Role,
    /// How many workers it should have.
    pub workers: u32,
    /// How many are ready.
    pub ready: u32,
    /// How many are not ready yet.
    pub starting: u32,
    /// How many drain, or were killed and are not gone yet.
    pub draining: u32,
    /// How many wait to be started again.
    pub waiting: u32,
    /// When the last of those that drain will be killed; nothing if there is no limit.
    pub until: Option<Moment>,
}

/// What a generation is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is being tried.
    Candidate,
    /// It is the one in service.
    Serving,
    /// It was replaced.
    Old,
    /// It was tried in vain.
    Failed,
}

/// A reload that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LastReload {
    /// Its number.
    pub number: ReloadNumber,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub at: Moment,
}

impl Launcher {
    /// How things are now.
    pub fn status(&self) -> Status {
        let is_trying = self.candidate().is_some();
        let state = match self.life {
            Life::Beginning => "starting",
            Life::Running if is_trying => "reloading",
            Life::Running => "running",
            Life::Ending { .. } | Life::Over(_) => "stopping",
        };
        let generations = self.generations.iter().rev();
        Status {
            state,
            generations: generations.map(|(id, it)| self.view(*id, it)).collect(),
            last: self.last.clone(),
        }
    }

    fn view(&self, id: GenerationId, of: &generation::Generation) -> GenerationView {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let phases =
            |is: fn(&Phase) -> bool| number(self.of(id).filter(|(_, it)| is(&it.phase)).count());
        let slots = |is: fn(&Slot) -> bool| number(of.slots.values().filter(|it| is(it)).count());
        let ends = self.of(id).map(|(process, it)| match it.phase {
            Phase::Draining { .. } => self.timers.at(Timer::Limit(process)),
            Phase::Starting | Phase::Ready { .. } | Phase::Aborted | Phase::Killed => {
                Some(Moment::default())
            }
        });
        let role = match of.role {
            generation::Role::Candidate => Role::Candidate,
            generation::Role::Serving => Role::Serving,
            generation::Role::Old => Role::Old,
            generation::Role::Failed => Role::Failed,
        };
        GenerationView {
            generation: id,
            role,
            workers: slots(|it| it.is_active()),
            ready: phases(|it| matches!(it, Phase::Ready { .. })),
            starting: phases(|it| matches!(it, Phase::Starting)),
            draining: phases(|it| {
                matches!(it, Phase::Draining { .. } | Phase::Aborted | Phase::Killed)
            }),
            waiting: slots(|it| matches!(it, Slot::Waiting { .. })),
            until: ends
                .collect::<Option<Vec<_>>>()
                .and_then(|it| it.into_iter().max()),
        }
    }
}

impl Status {
    /// One line, for `systemctl status`. `clock` writes a moment as a time of day. It is true until
    /// something happens, so there are no times in it that run.
    pub fn line(&self, clock: impl Fn(Moment) -> String) -> String {
        let mut text = String::new();
        for it in &self.generations {
            if !text.is_empty() {
                text.push_str("; ");
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{}: {}", it.generation, it.line(&clock));
        }
        let (verb, after) = match &self.last {
            None => return text,
            Some(last) => match &last.outcome {
                Outcome::Done { ready_in, .. } => {
                    ("ok", format!("{:.1} ms", ready_in.as_secs_f64() * 1000.0))
                }
                Outcome::Told { workers } => ("ok", format!("{workers} workers told")),
                Outcome::Rejected(_) | Outcome::Failed(_) => {
                    ("FAILED", format!("({})", last.outcome))
                }
                Outcome::Stopped => return text,
            },
        };
        let at = self
            .last
            .as_ref()
            .map(|last| clock(last.at))
            .unwrap_or_default();
        if !text.is_empty() {
            text.push_str("; ");
        }
        let _ = write!(text, "last reload {verb} {after} at {at}");
        text
    }
}

impl GenerationView {
    fn line(&self, clock: impl Fn(Moment) -> String) -> String {
        let mut parts = Vec::new();
        match self.role {
            Role::Serving => parts.push(format!("{}/{} ready", self.ready, self.workers)),
            Role::Candidate => parts.push(format!("trying, {}/{} ready", self.ready, self.workers)),
            Role::Old if self.ready > 0 => parts.push(format!("{} left from before", self.ready)),
            Role::Old => {}
            Role::Failed => parts.push("failed".to_owned()),
        }
        if self.waiting > 0 {
            parts.push(format!("{} to be started again", self.waiting));
        }
        if self.draining > 0 {
            let until = self.until.map(|at| format!(" until {}", clock(at)));
            parts.push(format!(
                "{} draining{}",
                self.draining,
                until.unwrap_or_default()
            ));
        }
        parts.join(", ")
    }
}

impl Role {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Serving => "serving",
            Self::Old => "old",
            Self::Failed => "failed",
        }
    }
}
