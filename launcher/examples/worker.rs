//! A worker to copy: what a server must do so that not even a kept connection loses a request when
//! `unitlink-launcher` replaces it. It speaks a little HTTP.
//!
//! 1. It accepts from the socket that is passed to it, descriptor 3, and from nothing else.
//! 2. It says `READY=1` when it can answer.
//! 3. At SIGTERM it stops accepting: what waits in the socket is for its successor.
//! 4. It answers everything that it has accepted, and on a kept connection the one request more that
//!    the client may be sending right now, with `Connection: close`. A connection on which nothing
//!    comes is closed after a while.
//! 5. Then it ends with 0.
//!
//! The variables `WORKER_*` are for tests: they make it fail in every way in which workers do.

use std::{
    env,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::{
            net::{SocketAddr, UnixDatagram},
            process::CommandExt as _,
        },
    },
    process::{Command, exit},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::event::{PollFd, PollFlags, poll};

/// How long a kept connection may be idle while we drain.
const IDLE: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    // Before anything else: a TERM that comes early must not be an end without an answer.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1]
        .into_iter()
        .collect();
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    fail_as_told();
    let listener = passed_socket()?;
    // Others accept from the same socket, and may be faster.
    listener.set_nonblocking(true)?;
    // Everybody who waits for a request sees the end of this pipe.
    let (draining, drain) = rustix::pipe::pipe()?;
    let (draining, open) = (Arc::new(draining), Arc::new(AtomicUsize::new(0)));

    notify("READY=1\nSTATUS=serving");
    let mut note = String::new();
    loop {
        let mut ready = [
            PollFd::new(&signals, PollFlags::IN),
            PollFd::new(&listener, PollFlags::IN),
        ];
        poll(&mut ready, None)?;
        if !ready[0].revents().is_empty()
            && let Some(signal) = signals.read_signal()?
        {
            match i32::try_from(signal.ssi_signo) {
                Ok(libc::SIGTERM) if env::var_os("WORKER_IGNORES_TERM").is_none() => break,
                Ok(libc::SIGHUP) => note = read_note(),
                _ => {}
            }
        }
        // As many as there are, but for the test of a signal in between.
        while let Ok((stream, _)) = listener.accept() {
            let (draining, open) = (Arc::clone(&draining), Arc::clone(&open));
            let note = note.clone();
            open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                // A client that breaks its connection has lost nothing that we could save.
                let _ = serve(stream, draining.as_fd(), &note);
                open.fetch_sub(1, Ordering::SeqCst);
            });
            if !pending(signals.as_fd()).is_empty() {
                break;
            }
        }
    }
    drop(listener);
    drop(drain);
    while open.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// One connection, until it is closed.
fn serve(mut stream: TcpStream, draining: BorrowedFd<'_>, note: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let is_last = loop {
            if let Some(end) = end_of_request(&bytes) {
                let request = String::from_utf8_lossy(&bytes[..end]).into_owned();
                bytes.drain(..end);
                break answer(&mut stream, &request, draining, note)?;
            }
            if !wait_for_more(&stream, draining)? {
                return Ok(());
            }
            let mut more = [0; 4096];
            match stream.read(&mut more)? {
                0 => return Ok(()),
                count => bytes.extend_from_slice(&more[..count]),
            }
        };
        if is_last {
            return Ok(());
        }
    }
}

/// Waits until there is something to read; false when we drain and nothing comes.
fn wait_for_more(stream: &TcpStream, draining: BorrowedFd<'_>) -> io::Result<bool> {
    let mut both = [
        PollFd::new(stream, PollFlags::IN),
        PollFd::from_borrowed_fd(draining, PollFlags::IN),
    ];
    poll(&mut both, None)?;
    if !both[0].revents().is_empty() {
        return Ok(true);
    }
    let begun = Instant::now();
    while begun.elapsed() < IDLE {
        let mut one = [PollFd::new(stream, PollFlags::IN)];
        let wait = IDLE.saturating_sub(begun.elapsed());
        if poll(&mut one, Some(&wait.try_into().map_err(io::Error::other)?))? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Answers a request; true when the connection is to be closed.
fn answer(
    stream: &mut TcpStream,
    request: &str,
    draining: BorrowedFd<'_>,
    note: &str,
) -> io::Result<bool> {
    let path = request.split(' ').nth(1).unwrap_or("/");
    if let Some(millis) = path.strip_prefix("/sleep/").and_then(|it| it.parse().ok()) {
        thread::sleep(Duration::from_millis(millis));
    }
    let of = |name: &str| env::var(name).unwrap_or_default();
    let body = match path {
        "/who" => format!(
            "generation={} worker={} workers={} reason={} pid={} program={} cwd={} names={} pid_told={} note={note} secret={}\n",
            of("LAUNCHER_GENERATION"),
            of("LAUNCHER_WORKER"),
            of("LAUNCHER_WORKERS"),
            of("LAUNCHER_REASON"),
            std::process::id(),
            env::args().next().unwrap_or_default(),
            env::current_dir()?.display(),
            of("LISTEN_FDNAMES"),
            of("LISTEN_PID"),
            of("SECRET"),
        ),
        _ => format!("{} {}\n", of("LAUNCHER_GENERATION"), std::process::id()),
    };
    let wants_close = request.to_ascii_lowercase().contains("connection: close");
    let is_last = wants_close || !pending(draining).is_empty();
    let connection = if is_last { "close" } else { "keep-alive" };
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes())?;
    Ok(is_last)
}

fn end_of_request(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
    Some(at + 4)
}

fn pending(fd: BorrowedFd<'_>) -> PollFlags {
    let mut one = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = rustix::time::Timespec::default();
    match poll(&mut one, Some(&now)) {
        Ok(1..) => one[0].revents(),
        _ => PollFlags::empty(),
    }
}

/// The first passed socket, sd_listen_fds(3).
#[expect(unsafe_code, reason = "a passed descriptor is a bare number")]
fn passed_socket() -> io::Result<TcpListener> {
    let is_ours = env::var("LISTEN_PID").is_ok_and(|it| it == std::process::id().to_string());
    if !is_ours {
        return Err(io::Error::other(
            "no socket was passed: LISTEN_PID is not this process",
        ));
    }
    // SAFETY: the variables say that descriptor 3 is a socket for this process, and nothing else has
    // taken it.
    let fd = unsafe { OwnedFd::from_raw_fd(3) };
    Ok(fd.into())
}

/// Tells the launcher something, sd_notify(3).
fn notify(text: &str) {
    if env::var_os("WORKER_SAYS_NOTHING").is_some() {
        return;
    }
    let Ok(name) = env::var("NOTIFY_SOCKET") else {
        return;
    };
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(text.as_bytes(), &address);
    }
}

/// What a test wants to go wrong.
fn fail_as_told() {
    let told = |name: &str| env::var(name).ok().filter(|it| !it.is_empty());
    if let Some(code) = told("WORKER_EXITS") {
        exit(code.parse().unwrap_or(1));
    }
    if told("WORKER_ABORTS").is_some() {
        std::process::abort();
    }
    if told("WORKER_HANGS").is_some() {
        loop {
            thread::park();
        }
    }
    if told("WORKER_FORKS_AWAY").is_some() {
        // It has left our group before we end, and does not end by itself.
        let started = Command::new("sleep").arg("60").process_group(0).spawn();
        exit(i32::from(started.is_err()));
    }
    if let Some(millis) = told("WORKER_DIES_AFTER").and_then(|it| it.parse().ok()) {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(millis));
            exit(9);
        });
    }
    if let Some(millis) = told("WORKER_IS_SLOW").and_then(|it| it.parse().ok()) {
        thread::sleep(Duration::from_millis(millis));
    }
    if let Some(every) = told("WORKER_LIVES").and_then(|it| it.parse().ok()) {
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(every));
                notify("WATCHDOG=1");
            }
        });
    }
}

fn read_note() -> String {
    let path = env::var("WORKER_NOTE").unwrap_or_default();
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
