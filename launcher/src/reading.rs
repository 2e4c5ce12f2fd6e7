//! The settings are read by a copy of this process: a file system that hangs then keeps nobody waiting
//! but whoever wants the reload, and the memory that reading takes is gone when it is done.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use proto::time::Moment;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::{
    adapt,
    limits::{ANSWER_BYTES_MAX, READING_TIME},
    options::Run,
    plan::Plan,
    settings::{self, Fixed, Listen},
    spawn,
};

/// Settings, and what they come to as the machine is now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) plan: Plan,
    pub(crate) core: generations::Settings,
    pub(crate) fixed: Fixed,
    pub(crate) mutable_signal: i32,
    /// Where the command would listen by itself, if it takes a passed socket instead.
    pub(crate) adapted: Option<Vec<Listen>>,
}

/// Settings, or what is wrong with them, for people.
pub(crate) type Answer = Result<Found, String>;

/// What settings are read for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) run: &'a Run,
    /// The directory that the launcher was started in, by its name.
    pub(crate) directory: Option<&'a Path>,
    /// What they were at the start; nothing at the start.
    pub(crate) fixed: Option<&'a Fixed>,
}

/// Somebody who reads.
#[derive(Debug)]
pub(crate) struct Reading {
    pid: Pid,
    pub(crate) answer: OwnedFd,
    bytes: Vec<u8>,
    /// When it is given up.
    pub(crate) until: Moment,
}

impl Question<'_> {
    /// Reads the settings, and looks up all that they name.
    pub(crate) fn read(self) -> Answer {
        let read = settings::read(self.run, self.fixed).map_err(|errors| errors.to_string())?;
        let directory = self.directory.map(PathBuf::from);
        Ok(Found {
            plan: Plan::resolve(&read, directory)?,
            adapted: if read.fixed.adapt {
                adapt::gunicorn(&read.command)
            } else {
                None
            },
            core: read.core,
            fixed: read.fixed,
            mutable_signal: read.mutable_signal as i32,
        })
    }

    /// Has a copy of this process read them.
    pub(crate) fn ask(self, now: Moment) -> io::Result<Reading> {
        let answer = || serde_json::to_vec(&self.read()).unwrap_or_default();
        let (pid, answer) = spawn::aside(answer)?;
        Ok(Reading {
            pid,
            answer,
            bytes: Vec::new(),
            until: now.plus(READING_TIME),
        })
    }
}

impl Reading {
    /// Takes what is there of the answer; something once all of it is.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        let mut more = [0; 4096];
        loop {
            match rustix::io::read(&self.answer, &mut more) {
                Ok(0) => break,
                Ok(count) => self.bytes.extend(more.iter().take(count)),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return None,
                Err(_) => break,
            }
            if self.bytes.len() > ANSWER_BYTES_MAX {
                return Some(Err("expected less of them".to_owned()));
            }
        }
        let answer = serde_json::from_slice(&self.bytes);
        Some(answer.unwrap_or_else(|_| Err("whoever read them was killed".to_owned())))
    }

    /// Gives it up. One that hangs in the kernel ends when its file system does.
    pub(crate) fn give_up(self) -> Answer {
        let _ = kill_process(self.pid, Signal::KILL);
        Err(format!(
            "they could not be read within {READING_TIME:?}; does a file system hang?"
        ))
    }

    /// Waits for the answer, at the start, where there is nothing else to do.
    pub(crate) fn wait(mut self) -> Answer {
        loop {
            let now = crate::drive::now();
            if now >= self.until {
                return self.give_up();
            }
            let wait = crate::drive::timespec(self.until.since(now));
            let mut one = [rustix::event::PollFd::new(
                &self.answer,
                rustix::event::PollFlags::IN,
            )];
            // An interruption is as good as a time that has passed.
            let _ = rustix::event::poll(&mut one, Some(&wait));
            if let Some(answer) = self.take() {
                let _ =
                    rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::empty());
                return answer;
            }
        }
    }
}
