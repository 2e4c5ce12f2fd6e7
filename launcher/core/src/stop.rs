//! The end, and with which code.

use proto::time::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    EXIT_GAVE_UP, EXIT_INTERRUPTED, Launcher,
    generation::{Phase, Role, Slot},
    input::{ReloadNumber, Stop},
    limits,
    output::{Failure, Note, Outcome, Output},
    settings::{Limit, MaxCrashes},
    timer::Timer,
    trial::Reload,
};

/// From the first start to the exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Life {
    /// The first generation is being tried.
    Beginning,
    /// A generation serves.
    Running,
    /// Everything goes.
    Ending { why: Why, code: u8 },
    /// Everything is gone, or left behind.
    Over(u8),
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Why {
    Term,
    Quit,
    Interrupt,
    GaveUp,
    StartFailed,
    Finished,
}

impl Launcher {
    /// Whether it is over: the last output was the exit code.
    pub fn is_over(&self) -> bool {
        matches!(self.life, Life::Over(_))
    }

    /// Whether everything goes.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.life, Life::Ending { .. })
    }

    pub(crate) fn stop(&mut self, stop: Stop, now: Moment) {
        let before = match self.life {
            Life::Beginning | Life::Running => None,
            Life::Ending { why, .. } => Some(why),
            Life::Over(_) => return,
        };
        match (stop, before) {
            (_, Some(Why::Interrupt)) => {}
            (Stop::Interrupt, _) => {
                self.begin_end(Why::Interrupt, EXIT_INTERRUPTED, "interrupted", now);
                for process in self.processes.keys().copied().collect::<Vec<_>>() {
                    self.kill(process);
                }
                self.timers.set(Timer::Quit, now.plus(limits::QUIT_TIME));
            }
            (Stop::Term, None) => {
                self.begin_end(Why::Term, 0, "terminated", now);
                self.drain_all(false, now);
            }
            (Stop::Quit, None) => {
                self.begin_end(Why::Quit, 0, "asked to quit, without a limit", now);
                self.drain_all(true, now);
            }
            // Now there is a limit, or there is none any more; nobody is told a second time.
            (Stop::Term, Some(Why::Quit)) => {
                self.life = Life::Ending {
                    why: Why::Term,
                    code: 0,
                };
                self.note(Note::Stopping("terminated, with a limit from now on"));
                self.drain_all(false, now);
            }
            (Stop::Quit, Some(Why::Term)) => {
                self.life = Life::Ending {
                    why: Why::Quit,
                    code: 0,
                };
                self.note(Note::Stopping("asked to quit, without a limit from now on"));
                self.drain_all(true, now);
            }
            (Stop::Term, Some(Why::Term))
            | (Stop::Quit, Some(Why::Quit))
            | (Stop::Term | Stop::Quit, Some(Why::GaveUp | Why::StartFailed | Why::Finished)) => {
                self.note(Note::Ignored("a stop was asked for while the service ends"));
            }
        }
    }

    pub(crate) fn give_up(&mut self, max: MaxCrashes, now: Moment) {
        self.note(Note::GaveUp(max.count, max.within));
        self.begin_end(Why::GaveUp, EXIT_GAVE_UP, "too many crashes", now);
        self.drain_all(false, now);
    }

    pub(crate) fn start_failed(&mut self, failure: Failure, now: Moment) {
        let code = failure.code();
        self.note(Note::StartFailed(failure));
        self.begin_end(Why::StartFailed, code, "the start failed", now);
    }

    fn begin_end(&mut self, why: Why, code: u8, text: &'static str, now: Moment) {
        self.life = Life::Ending { why, code };
        self.note(Note::Stopping(text));
        self.outputs.push_back(Output::Stopping);
        self.timers.cancel(Timer::Retry);
        let under_way = match self.reload {
            Reload::Reading { number, .. } | Reload::Trying { number, .. } => Some(number),
            Reload::Idle | Reload::Waiting => None,
        };
        self.reload = Reload::Idle;
        if let Some(number) = under_way {
            self.conclude(number, Outcome::Stopped, now);
        }
        if std::mem::take(&mut self.again) {
            self.reloads = self.reloads.saturating_add(1);
            self.conclude(ReloadNumber(self.reloads), Outcome::Stopped, now);
        }
        for id in self.generations.keys().copied().collect::<Vec<_>>() {
            self.vacate(id);
            self.timers.cancel(Timer::Settle(id));
        }
        self.timers.set(Timer::Extend, now);
    }

    fn drain_all(&mut self, is_unlimited: bool, now: Moment) {
        for process in self.processes.keys().copied().collect::<Vec<_>>() {
            let Some(it) = self.processes.get(&process) else {
                continue;
            };
            let limit = if is_unlimited {
                if matches!(it.phase, Phase::Draining { is_idle: false, .. }) {
                    self.timers.cancel(Timer::Limit(process));
                }
                Limit::Unlimited
            } else {
                self.limit_of(it, |settings| settings.graceful)
            };
            self.drain(process, limit, now);
        }
    }

    /// Ends when nothing is left to wait for.
    pub(crate) fn finish_life(&mut self, now: Moment) {
        match self.life {
            Life::Running => {
                let serving = self.serving().and_then(|id| self.generations.get(&id));
                let is_done =
                    serving.is_some_and(|it| it.slots.values().all(|slot| *slot == Slot::Finished));
                if is_done && self.candidate().is_none() && self.reload == Reload::Idle {
                    let text = "all workers have done their work";
                    self.begin_end(Why::Finished, 0, text, now);
                    self.drain_all(false, now);
                    self.finish_life(now);
                }
            }
            Life::Ending { why, code } => {
                // Whom a launcher before this one has left serves on if this one cannot start.
                let is_left = |generation| {
                    why == Why::StartFailed
                        && self
                            .generations
                            .get(&generation)
                            .is_some_and(|it| it.role == Role::Old)
                };
                if self.processes.values().all(|it| is_left(it.generation)) {
                    self.end(code);
                }
            }
            Life::Beginning | Life::Over(_) => {}
        }
    }

    pub(crate) fn end(&mut self, code: u8) {
        self.life = Life::Over(code);
        self.outputs.push_back(Output::End(code));
    }
}
