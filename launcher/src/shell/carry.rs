//! What the state machine asks for, done.

use std::{ffi::CString, os::fd::AsRawFd as _, path::Path};

use generations::{Exit, GenerationId, Input, Output, ProcessId, Signal, Spawn};

use super::Shell;
use crate::{
    children::{Kind, Running},
    drive::Poller,
    environment, log, publish,
    settings::AtExit,
    spawn::{self, Image},
};

impl Shell {
    pub(super) fn carry_out(&mut self, poller: &Poller) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::ReadSettings => self.read_settings(poller),
                Output::Open(generation) => {
                    if let Some(plan) = self.read.take() {
                        self.plans.insert(generation, plan);
                    }
                }
                Output::Spawn(spawn) => self.spawn(spawn),
                Output::Probe(process) => self.begin_probe(process),
                Output::Signal(process, signal) => self.send(process, signal),
                Output::Kill(process) => self.children.kill(process),
                Output::Publish(generation) => self.publish(generation),
                Output::Close(generation) => self.close(generation),
                Output::Ready => self.upstream.say("READY=1"),
                Output::Stopping => self.upstream.say("STOPPING=1"),
                Output::Alive => {
                    if self.core.is_spoken_for() {
                        self.upstream.say("WATCHDOG=1");
                    }
                }
                Output::Extend(by) => self.upstream.extend(by),
                Output::Reloaded(number, outcome) => {
                    self.told(&outcome);
                    self.concluded.push((number, outcome));
                }
                Output::Note(note) => log::line(note.level(), &note.to_string()),
                Output::End(code) => self.ended = Some(code),
            }
        }
    }

    fn send(&self, process: ProcessId, signal: Signal) {
        use rustix::process::Signal as Number;
        let number = match signal {
            Signal::Term => Some(Number::TERM),
            Signal::Abort => Some(Number::ABORT),
            Signal::Number(number) => Number::from_named_raw(number),
        };
        if let Some(number) = number {
            self.children.signal(process, number);
        }
    }

    fn spawn(&mut self, spawn: Spawn) {
        let process = spawn.process;
        let started = self.image(&spawn).and_then(|image| spawn::start(&image));
        match started {
            Ok(child) => self.children.insert(Running {
                spawn,
                pid: child.pid,
                kind: Kind::Own(Some(child.report)),
            }),
            Err(error) => {
                let why = format!("its process cannot be made: {error}");
                let exit = Exit::NeverRan {
                    missing: false,
                    why,
                };
                self.inputs.push_back(Input::Exited(process, exit));
            }
        }
    }

    /// All that a worker is made of.
    fn image(&self, spawn: &Spawn) -> std::io::Result<Image> {
        let plan = self.plans.get(&spawn.generation);
        let plan = plan.ok_or_else(|| std::io::Error::other("its generation has no settings"))?;
        let mut variables = plan.environment.clone();
        environment::of_worker(&mut variables, spawn);
        let mut pid_variables = Vec::new();
        let mut set = |name: &str, value: String| drop(variables.insert(name.to_owned(), value));
        set("NOTIFY_SOCKET", self.wiring.inbox.name.clone());
        if let Some(folder) = &self.wiring.folder {
            set("LAUNCHER_RUNTIME_DIRECTORY", folder.display().to_string());
        }
        if plan.chdir.is_some() {
            let path = plan.chdir.as_deref().unwrap_or(Path::new("/"));
            set("PWD", path.display().to_string());
        }
        let sockets = &self.wiring.sockets;
        if !sockets.is_empty() {
            let names: Vec<_> = sockets.iter().map(|it| it.name.as_str()).collect();
            set("LISTEN_FDS", sockets.len().to_string());
            set("LISTEN_FDNAMES", names.join(":"));
            pid_variables.push("LISTEN_PID".to_owned());
        }
        if let Some(micros) = plan.watchdog_micros {
            set("WATCHDOG_USEC", micros.to_string());
            pid_variables.push("WATCHDOG_PID".to_owned());
        }
        let string = |text: String| CString::new(text).map_err(std::io::Error::other);
        let expand = |text: &String| plan.expand(text, spawn.generation);
        let path = |path: &Path| string(path.display().to_string());
        let arguments = plan.arguments.iter().map(|it| string(expand(it)));
        let environment = variables
            .iter()
            .map(|(name, value)| string(format!("{name}={}", expand(value))));
        let cgroups = self.wiring.cgroups.as_ref();
        Ok(Image {
            program: path(&plan.program)?,
            arguments: arguments.collect::<std::io::Result<_>>()?,
            environment: environment.collect::<std::io::Result<_>>()?,
            pid_variables,
            directory: plan.chdir.as_deref().map(path).transpose()?,
            sockets: sockets.iter().map(|it| it.fd.as_raw_fd()).collect(),
            cgroup: cgroups.and_then(|it| it.entrance(spawn.generation)),
            dies_with_parent: self.wiring.fixed.at_exit == AtExit::Kill,
        })
    }

    fn publish(&self, generation: GenerationId) {
        if let Some(plan) = self.plans.get(&generation)
            && let Some((link, path)) = &plan.publish
            && let Err(error) = publish::switch(link, &plan.expand(path, generation))
        {
            log::error(&format!(
                "{} cannot be switched to {generation}: {error}",
                link.display()
            ));
        }
    }

    /// Nothing of a generation is left, and its path is nobody's.
    fn close(&mut self, generation: GenerationId) {
        if let Some(plan) = self.plans.remove(&generation)
            && let Some((_, path)) = &plan.publish
        {
            let _ = std::fs::remove_file(plan.expand(path, generation));
        }
        if let Some(cgroups) = &mut self.wiring.cgroups {
            cgroups.close(generation);
        }
    }
}
