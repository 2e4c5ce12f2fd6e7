//! Processes: the only module with unsafe code. What the standard library has is not enough:
//!
//! - `LISTEN_PID` and `WATCHDOG_PID` are the worker's own pid, which is known between fork(2) and
//!   execve(2) and nowhere else.
//! - `Command::exec` clears the signal mask before execve(2). A signal of that moment kills the new
//!   program before it can block it. So a launcher that replaces itself keeps the mask.
//! - It has no fork(2) without execve(2), which is how the settings are read ([`aside`]).
//! - It has no time of day; the C library does ([`calendar`]).
//!
//! The launcher has one thread, so that what fork(2) copies is whole, and the child may do what any
//! program may. A second thread would also end the workers when it ends, since `PR_SET_PDEATHSIG` is
//! about the thread that has forked.

#![expect(
    unsafe_code,
    reason = "fork(2), execve(2), what is between them, and the time of day, see above"
)]

use std::{
    ffi::{CStr, CString},
    io::{self, Write as _},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
    ptr,
};

use rustix::{
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::Pid,
};

/// A program that is ready to be run.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    /// `NAME=VALUE`, without those that are the pid.
    pub(crate) environment: Vec<CString>,
    /// Names of variables that are the pid.
    pub(crate) pid_variables: Vec<String>,
    pub(crate) directory: Option<CString>,
    /// What it has at 3 and up.
    pub(crate) sockets: Vec<RawFd>,
    /// Where it writes itself to be in the cgroup of its generation.
    pub(crate) cgroup: Option<OwnedFd>,
    /// Whether it is killed when the launcher dies.
    pub(crate) dies_with_parent: bool,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Holds what the child could not do, if it could not become the program; [`why`] reads it.
    pub(crate) report: OwnedFd,
}

/// What the child could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Prepare = 0,
    Directory = 1,
    Sockets = 2,
    Program = 3,
}

/// Starts a process in a process group of its own, with no signal blocked or ignored.
pub(crate) fn start(image: &Image) -> io::Result<Child> {
    let (report, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Above where the sockets will be laid.
    let (report, write) = (crate::sockets::away(report)?, crate::sockets::away(write)?);
    let parent = rustix::process::getpid();
    // SAFETY: this process has one thread, so the child has all that it needs and no lock is held by
    // somebody who is not there.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let (stage, errno) = become_program(image, parent);
            let bytes = [stage as u8]
                .into_iter()
                .chain(errno.raw_os_error().to_ne_bytes());
            let _ = rustix::io::write(&write, &bytes.collect::<Vec<_>>());
            // SAFETY: it ends this process, and nothing of the parent's is run at its end.
            unsafe { libc::_exit(if errno == Errno::NOENT { 127 } else { 126 }) }
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork gave no pid"))?;
            // The child does the same; whoever is first, it is done when either goes on.
            let _ = rustix::process::setpgid(Some(pid), Some(pid));
            Ok(Child { pid, report })
        }
    }
}

/// Has a copy of this process do something that may take for ever, such as to read a file, and write
/// what came of it. The copy has nothing of this process open and dies with it.
pub(crate) fn aside(work: impl FnOnce() -> Vec<u8>) -> io::Result<(Pid, OwnedFd)> {
    let (answer, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (answer, write) = (crate::sockets::away(answer)?, crate::sockets::away(write)?);
    rustix::io::ioctl_fionbio(&answer, true)?;
    let parent = rustix::process::getpid();
    // SAFETY: this process has one thread, so the child has all that it needs and no lock is held by
    // somebody who is not there.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let work = std::panic::AssertUnwindSafe(|| {
                let kill = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(kill)?;
                if rustix::process::getppid() != Some(parent) {
                    return Ok(());
                }
                let write = alone_with(write)?;
                std::fs::File::from(write).write_all(&work())?;
                Ok::<(), io::Error>(())
            });
            // A panic must not come out into what the parent was doing.
            let done = std::panic::catch_unwind(work);
            // SAFETY: it ends this process, and nothing of the parent's is run at its end.
            unsafe { libc::_exit(i32::from(!matches!(done, Ok(Ok(()))))) }
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork gave no pid"))?;
            Ok((pid, answer))
        }
    }
}

/// Closes everything but the standard streams and this one: a copy that hangs must not keep a socket
/// open that the launcher has closed.
fn alone_with(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: this is a child that ends by `_exit`, so no owner of what is closed here is ever used or
    // dropped but `fd`, whose place is taken by the copy at 3.
    unsafe {
        if libc::dup2(fd.as_raw_fd(), 3) < 0 {
            return Err(io::Error::last_os_error());
        }
        std::mem::forget(fd);
        // By its number: the C library has a name for it since 2.34 only.
        if libc::syscall(libc::SYS_close_range, 4, libc::c_uint::MAX, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(3))
    }
}

/// The time of day of a moment in seconds since 1970, here and in UTC.
pub(crate) fn calendar(seconds: i64) -> (libc::tm, libc::tm) {
    // SAFETY: plain values, for which zero is valid; both functions write to what is given to them and
    // to nothing else, and this process has one thread that changes its environment.
    unsafe {
        let (mut here, mut utc) = (std::mem::zeroed(), std::mem::zeroed());
        libc::localtime_r(&seconds, &mut here);
        libc::gmtime_r(&seconds, &mut utc);
        (here, utc)
    }
}

/// Replaces this process by another program, which has the signals blocked that this one has. It
/// returns only if that fails.
pub(crate) fn replace(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    execute(program, arguments, environment).into()
}

/// What a child could not do, if it could not become the program.
pub(crate) fn why(report: &OwnedFd) -> Option<(Stage, io::Error)> {
    let mut bytes = [0; 5];
    if rustix::io::read(report, &mut bytes) != Ok(5) {
        return None;
    }
    let [stage, errno @ ..] = bytes;
    let stage = match stage {
        1 => Stage::Directory,
        2 => Stage::Sockets,
        3 => Stage::Program,
        _ => Stage::Prepare,
    };
    Some((
        stage,
        io::Error::from_raw_os_error(i32::from_ne_bytes(errno)),
    ))
}

/// A descriptor that was given to this process by its number: by the launcher that it replaces, or in a
/// message.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asking about a descriptor that is not open does no harm.
    if number < 3 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::from(Errno::BADF));
    }
    // SAFETY: it is open, and nobody owns it: what is in a message is new, and the state of a launcher
    // before this one is read once, before anything else has opened one at a number that it names.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// All that is between fork(2) and the program; it returns only if something fails.
fn become_program(image: &Image, parent: Pid) -> (Stage, Errno) {
    match prepare(image, parent) {
        Ok(()) => {}
        Err(failed) => return failed,
    }
    let pid = rustix::process::getpid().as_raw_nonzero();
    let own = image
        .pid_variables
        .iter()
        .filter_map(|name| CString::new(format!("{name}={pid}")).ok());
    let environment: Vec<_> = image.environment.iter().cloned().chain(own).collect();
    let errno = execute(&image.program, &image.arguments, &environment);
    (Stage::Program, errno)
}

fn prepare(image: &Image, parent: Pid) -> Result<(), (Stage, Errno)> {
    let first = |errno| (Stage::Prepare, errno);
    rustix::process::setpgid(None, None).map_err(first)?;
    if let Some(cgroup) = &image.cgroup {
        // One that is counted with the launcher serves as well.
        let _ = rustix::io::write(cgroup, b"0");
    }
    if image.dies_with_parent {
        let kill = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(kill).map_err(first)?;
        // It may have died before that was set.
        if rustix::process::getppid() != Some(parent) {
            return Err(first(Errno::CHILD));
        }
    }
    if let Some(directory) = &image.directory {
        rustix::process::chdir(directory.as_c_str()).map_err(|errno| (Stage::Directory, errno))?;
    }
    for (at, fd) in (3..).zip(&image.sockets) {
        // SAFETY: `at` is below every descriptor that is in use, so nobody's is closed by it, and
        // the copy is not closed at execve(2), which is what it is for.
        if unsafe { libc::dup2(*fd, at) } < 0 {
            let errno = Errno::from_io_error(&io::Error::last_os_error());
            return Err((Stage::Sockets, errno.unwrap_or(Errno::BADF)));
        }
    }
    // SAFETY: plain values; the set is made before it is used. What is ignored stays so over
    // execve(2), and Rust ignores SIGPIPE; the mask stays as well.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        for signal in [
            libc::SIGPIPE,
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTERM,
        ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
    Ok(())
}

fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let list = |strings: &[CString]| {
        let pointers = strings.iter().map(|it| it.as_ptr());
        pointers.chain([ptr::null()]).collect::<Vec<_>>()
    };
    let (arguments, environment) = (list(arguments), list(environment));
    // SAFETY: both lists end with a null pointer, and all they point to is there until the call
    // returns.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The descriptors that a replaced launcher hands on must be open in the next one.
pub(crate) fn keep_over_exec(fd: &OwnedFd) -> io::Result<RawFd> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    Ok(fd.as_raw_fd())
}
