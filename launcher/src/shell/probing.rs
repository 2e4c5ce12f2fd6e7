//! Probes: each question is a process, asked again until the answer is yes often enough.

use std::process::{Command, Stdio};

use generations::{Herald, Input, ProcessId};
use proto::time::Moment;
use rustix::process::{Pid, Signal, kill_process};

use super::Shell;
use crate::{
    environment,
    limits::{PROBE_EVERY, PROBE_TIME},
    plan::{self, Plan},
    probe::{Asking, AskingState},
};

impl Shell {
    pub(super) fn begin_probe(&mut self, process: ProcessId) {
        let generation = self.children.get(process).map(|it| it.spawn.generation);
        let plan = generation.and_then(|it| self.plans.get(&it));
        let wanted = match plan.and_then(|it| it.probe.as_ref()) {
            Some(plan::Probe::Exec { times, .. } | plan::Probe::Connect { times, .. }) => *times,
            None => return,
        };
        let asking = Asking {
            state: AskingState::Waiting {
                at: Moment::default(),
            },
            succeeded: 0,
            wanted,
        };
        self.probes.insert(process, asking);
    }

    pub(super) fn next_probe(&self) -> Option<Moment> {
        let all = self.probes.values().map(|it| match it.state {
            AskingState::Running { until, .. } => until,
            AskingState::Waiting { at } => at,
        });
        all.min()
    }

    /// Asks where it is time to, and ends questions that hang.
    pub(super) fn probe(&mut self, now: Moment) {
        for process in self.probes.keys().copied().collect::<Vec<_>>() {
            let Some(asking) = self.probes.get_mut(&process) else {
                continue;
            };
            match asking.state {
                AskingState::Running { pid, until } if until <= now => {
                    let _ = kill_process(pid, Signal::KILL);
                    // Its end is seen as that of any other; until then it is left alone.
                    let until = now.plus(PROBE_TIME);
                    asking.state = AskingState::Running { pid, until };
                }
                AskingState::Waiting { at } if at <= now => {
                    let started = self.ask(process);
                    let state = match started {
                        Some(pid) => AskingState::Running {
                            pid,
                            until: now.plus(PROBE_TIME),
                        },
                        None => AskingState::Waiting {
                            at: now.plus(PROBE_EVERY),
                        },
                    };
                    if let Some(asking) = self.probes.get_mut(&process) {
                        asking.state = state;
                    }
                }
                AskingState::Running { .. } | AskingState::Waiting { .. } => {}
            }
        }
    }

    fn ask(&self, process: ProcessId) -> Option<Pid> {
        let running = self.children.get(process)?;
        let generation = running.spawn.generation;
        let plan = self.plans.get(&generation)?;
        let mut command = match plan.probe.as_ref()? {
            plan::Probe::Exec { command, .. } => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &plan.expand(command, generation)]);
                shell
            }
            plan::Probe::Connect { target, .. } => {
                let mut own = Command::new("/proc/self/exe");
                own.args(["probe", &plan.expand(target, generation)]);
                own
            }
        };
        let variables = of_probe(plan, &running.spawn, running.pid);
        let command = command
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(folder) = &plan.chdir {
            command.current_dir(folder);
        }
        let child = command.spawn().ok()?;
        // It is waited for with all others.
        Pid::from_raw(i32::try_from(child.id()).ok()?)
    }

    /// A child has ended that is no worker.
    pub(super) fn probe_ended(&mut self, ended: Pid, is_well: bool) {
        let now = crate::drive::now();
        let is_it = |asking: &Asking| match asking.state {
            AskingState::Running { pid, .. } => pid == ended,
            AskingState::Waiting { .. } => false,
        };
        let Some((process, asking)) = self.probes.iter_mut().find(|(_, it)| is_it(it)) else {
            return;
        };
        let process = *process;
        asking.succeeded = if is_well { asking.succeeded + 1 } else { 0 };
        asking.state = AskingState::Waiting {
            at: now.plus(PROBE_EVERY),
        };
        if asking.succeeded >= asking.wanted {
            self.probes.remove(&process);
            self.inputs.push_back(Input::Ready(process, Herald::Probe));
        }
    }

    pub(super) fn end_probe(&mut self, process: ProcessId) {
        if let Some(asking) = self.probes.remove(&process)
            && let AskingState::Running { pid, .. } = asking.state
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A probe knows whom it asks about.
fn of_probe(plan: &Plan, spawn: &generations::Spawn, pid: Pid) -> environment::Variables {
    let mut variables = plan.environment.clone();
    environment::of_worker(&mut variables, spawn);
    // It is no part of the worker.
    variables.remove(environment::PROCESS);
    variables.insert("LAUNCHER_PID".to_owned(), pid.as_raw_nonzero().to_string());
    variables
}
