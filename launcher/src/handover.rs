//! A launcher that replaces its own program: the state goes into memory that outlives execve(2), the
//! workers stay children of the same process, and no signal is lost, since the mask is kept.

use std::{
    collections::BTreeMap,
    env,
    ffi::{CString, OsString},
    io::{self, Read as _, Seek as _, Write as _},
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use generations::{GenerationId, Launcher, ProcessId, ReloadNumber};
use serde::{Deserialize, Serialize};

use crate::{limits::HANDOVER_CHECK_TIME, plan::Plan, settings::Fixed, spawn};

/// Which descriptor the state is in.
pub(crate) const VARIABLE: &str = "UNITLINK_LAUNCHER_STATE";

/// What the state means; another number is not understood.
pub(crate) const FORMAT: u32 = 1;

/// Everything that the next program must know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) format: u32,
    pub(crate) core: Launcher,
    pub(crate) fixed: Fixed,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) plans: BTreeMap<GenerationId, Plan>,
    pub(crate) children: Vec<Child>,
    pub(crate) probing: Vec<ProcessId>,
    pub(crate) sockets: Vec<(String, RawFd)>,
    pub(crate) inbox: (String, RawFd),
    pub(crate) control: Option<RawFd>,
    pub(crate) waiting: Vec<(ReloadNumber, RawFd)>,
}

/// A worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Child {
    pub(crate) process: ProcessId,
    pub(crate) generation: GenerationId,
    pub(crate) worker: u32,
    pub(crate) pid: i32,
    pub(crate) report: Option<RawFd>,
    /// Whether it was left by a launcher before.
    pub(crate) is_adopted: bool,
}

/// The program that takes over, looked up anew: an upgrade may have put another one in its place.
#[derive(Debug)]
pub(crate) struct Successor {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Successor {
    /// To be called at the start, while names mean what they meant to whoever started us.
    pub(crate) fn new() -> Self {
        let arguments: Vec<_> = env::args_os().collect();
        let called = arguments.first().map(PathBuf::from).unwrap_or_default();
        let by_path = || {
            let path = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&path)
                .map(|it| it.join(&called))
                .find(|it| it.is_file())
        };
        let program = if called.components().count() > 1 {
            std::path::absolute(&called).ok()
        } else {
            by_path()
        };
        Self {
            program: program
                .or_else(|| env::current_exe().ok())
                .unwrap_or(called),
            arguments,
        }
    }

    /// Whether it understands what it would be given. It is asked before there is no way back.
    pub(crate) fn understands(&self) -> Result<(), String> {
        let format = FORMAT.to_string();
        let mut check = Command::new(&self.program)
            .args(["handover", &format])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", self.program.display()))?;
        let begun = Instant::now();
        while begun.elapsed() < HANDOVER_CHECK_TIME {
            match check.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(_)) => {
                    return Err(format!(
                        "{} does not understand a state of format {FORMAT}",
                        self.program.display()
                    ));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(error.to_string()),
            }
        }
        let _ = check.kill();
        let _ = check.wait();
        Err(format!("{} does not answer", self.program.display()))
    }

    /// Hands over; it returns only if that fails.
    pub(crate) fn take_over(&self, state: &State) -> io::Error {
        match self.prepare(state) {
            Ok((program, arguments, environment)) => {
                spawn::replace(&program, &arguments, &environment)
            }
            Err(error) => error,
        }
    }

    fn prepare(&self, state: &State) -> io::Result<(CString, Vec<CString>, Vec<CString>)> {
        let memory = rustix::fs::memfd_create(c"launcher-state", rustix::fs::MemfdFlags::empty())?;
        let mut file = std::fs::File::from(memory);
        file.write_all(&serde_json::to_vec(state)?)?;
        file.rewind()?;
        let fd = crate::sockets::away(file.into())?;
        let number = spawn::keep_over_exec(&fd)?;
        // It must be open when this function has returned, and until the program is another one.
        std::mem::forget(fd);
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::other);
        let mut environment = Vec::new();
        for (name, value) in env::vars_os().filter(|(name, _)| name != VARIABLE) {
            environment.push(string([name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        environment.push(string(format!("{VARIABLE}={number}").into_bytes())?);
        let arguments = self
            .arguments
            .iter()
            .map(|it| string(it.clone().into_vec()));
        let program = string(self.program.clone().into_os_string().into_vec())?;
        Ok((program, arguments.collect::<io::Result<_>>()?, environment))
    }
}

/// The state that was handed to this program, if any was.
pub(crate) fn received() -> Result<Option<State>, String> {
    let Some(number) = env::var(VARIABLE).ok() else {
        return Ok(None);
    };
    let read = || -> io::Result<State> {
        let fd = spawn::inherited(number.parse().map_err(io::Error::other)?)?;
        let mut bytes = Vec::new();
        std::fs::File::from(fd).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let state =
        read().map_err(|error| format!("failed to take over from the launcher before: {error}"))?;
    match state.format {
        FORMAT => Ok(Some(state)),
        other => Err(format!(
            "found a state of format {other}, expected {FORMAT}"
        )),
    }
}

/// Keeps a descriptor open for the next program.
pub(crate) fn keep(fd: &std::os::fd::OwnedFd) -> RawFd {
    spawn::keep_over_exec(fd).unwrap_or_else(|_| fd.as_raw_fd())
}
