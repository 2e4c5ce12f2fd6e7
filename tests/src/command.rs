//! Running a command to its end with a deadline, its output captured.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with exit status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The exit status; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output without trailing white space.
    ///
    /// # Errors
    ///
    /// When the command failed; the error holds its exit status and all of its output.
    pub fn ok(self) -> Result<String> {
        if !self.success() {
            bail!("{}\n{}{}", self.status, self.stdout, self.stderr);
        }
        Ok(self.stdout.trim_end().to_owned())
    }
}

/// Runs `command` to its end, without standard input.
///
/// The output goes to memory files instead of pipes, so that a process which the command leaves in
/// the background cannot hold the caller up.
///
/// # Errors
///
/// When it cannot be started, and when it has not ended after `timeout`; it is killed then.
pub(crate) fn capture(command: &mut Command, timeout: Duration) -> Result<Output> {
    let mut stdout = memory_file()?;
    let mut stderr = memory_file()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let ended = await_child(&mut child, timeout)?;
    if ended.is_none() {
        child
            .kill()
            .context("cannot kill a command that timed out")?;
        child.wait()?;
    }
    let stdout = contents(&mut stdout)?;
    let stderr = contents(&mut stderr)?;
    match ended {
        Some(status) => Ok(Output {
            status,
            stdout,
            stderr,
        }),
        None => bail!("{command:?} did not end within {timeout:?}\n{stdout}{stderr}"),
    }
}

/// Waits for the end of `child`; `None` when it still runs after `timeout`.
///
/// # Errors
///
/// When the process cannot be waited for.
pub(crate) fn await_child(child: &mut Child, timeout: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    // Our own child that is not reaped: its pid cannot belong to another process.
    let pidfd = pidfd_open(child_pid(child)?, PidfdFlags::empty())?;
    if readable(&pidfd, PollFlags::IN, timeout)? {
        return Ok(Some(child.wait()?));
    }
    Ok(None)
}

/// The pid of `child` as rustix wants it.
pub(crate) fn child_pid(child: &Child) -> Result<Pid> {
    let raw = i32::try_from(child.id())?;
    Pid::from_raw(raw).context("a child with pid 0")
}

/// Waits until one of `flags` is true of `fd`; false when it is not after `timeout`.
pub(crate) fn readable(fd: &impl AsFd, flags: PollFlags, timeout: Duration) -> Result<bool> {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(fd, flags)];
        match poll(&mut fds, Some(&Timespec::try_from(left)?)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn memory_file() -> Result<File> {
    Ok(File::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}

fn contents(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_captured_with_its_exit_status() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let output = capture(&mut command, Duration::from_secs(10)).unwrap();
        assert_eq!(
            (
                output.code(),
                output.stdout.as_str(),
                output.stderr.as_str()
            ),
            (Some(3), "out\n", "err\n")
        );
    }

    #[test]
    fn a_command_past_its_deadline_is_killed_and_reported_with_its_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; exec sleep 1000"]);
        let error = capture(&mut command, Duration::from_millis(300)).unwrap_err();
        assert!(error.to_string().contains("begun"), "{error}");
    }

    #[test]
    fn a_background_process_does_not_hold_up_the_caller() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 2 & echo done"]);
        let begun = Instant::now();
        capture(&mut command, Duration::from_secs(10)).unwrap();
        assert!(begun.elapsed() < Duration::from_millis(1500));
    }
}
