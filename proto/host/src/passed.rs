//! Descriptors passed by systemd, sd_listen_fds(3).
//!
//! The one module with unsafe code. What systemd passes are bare numbers, and only an unsafe function
//! makes an owner of a number; and the variables must be taken out of the environment, which is
//! unsafe while other threads may read it. Both are made safe by checks: the protocol says that
//! the descriptors are ours (`LISTEN_PID`), they are taken once, and only while there is one thread.
//!
//! The variables must go: `LISTEN_PID` stays right across execve(2), and whoever reads them a second
//! time owns every descriptor twice.

#![expect(
    unsafe_code,
    reason = "an owner of a bare descriptor, and a change of the environment, see above"
)]

use std::{
    env, fs, io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering},
};

use thiserror::Error;

use crate::limits::PASSED_FDS_MAX;

/// A descriptor with its name, `FileDescriptorName=` in systemd.socket(5).
#[derive(Debug)]
pub struct Passed {
    /// Its name; `unknown` when systemd gave none.
    pub name: String,
    /// The descriptor, closed on execve(2).
    pub fd: OwnedFd,
}

/// Why descriptors could not be taken.
#[derive(Debug, Error)]
pub enum PassedError {
    /// It is too late.
    #[error("descriptors must be taken before any thread is started")]
    Threads,
    /// The variables are not as sd_listen_fds(3) says, or the descriptors are not open.
    #[error("failed to take descriptors passed by the service manager")]
    Broken(#[source] io::Error),
    /// More than anybody passes.
    #[error("service manager passed {0} descriptors, at most {PASSED_FDS_MAX} are taken")]
    TooMany(usize),
}

/// Takes what systemd passed to this process; nothing on a second call. It belongs at the beginning
/// of `main`, before any thread (hence before a runtime that has some).
///
/// # Errors
///
/// Fails when there is more than one thread, and when what was passed is not as it should be.
pub fn take() -> Result<Vec<Passed>, PassedError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let threads = fs::read_dir("/proc/self/task").map_err(PassedError::Broken)?;
    if threads.count() != 1 {
        return Err(PassedError::Threads);
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    // SAFETY: there is one thread, this one, so nobody reads the environment at the same time.
    let taken = unsafe {
        env::remove_var("LISTEN_PIDFDID");
        sd_notify::listen_fds_with_names_and_unset_env()
    };
    let taken = taken.map_err(PassedError::Broken)?;
    if u32::try_from(taken.len()).is_ok_and(|count| count > PASSED_FDS_MAX) {
        return Err(PassedError::TooMany(taken.len()));
    }
    let own = |(fd, name): (RawFd, String)| {
        // SAFETY: `LISTEN_PID` is this process, so systemd opened this descriptor for it to own; it
        // is open, since it could be marked to be closed on execve; and nobody owns it yet, since
        // this code runs once and the variables are gone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Passed { name, fd }
    };
    Ok(taken.map(own).collect())
}
