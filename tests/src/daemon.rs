//! A daemon as a process where there is no systemd: in a folder of its own, and ended with its owner.

#![allow(
    clippy::expect_used,
    reason = "it is for tests alone, in which a panic is a report"
)]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// For what has no limit of its own; far more than anything takes.
pub const SOON: Duration = Duration::from_secs(20);

/// A folder that goes away with its owner.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("unitlink-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Where something of this name is in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A daemon of a user, whose only configuration is this text in the file `name`, whose runtime folder this
    /// is, and which has neither a bus nor a service manager.
    pub fn command(&self, program: &str, name: &str, config: &str) -> Command {
        let file = self.path(name);
        fs::write(&file, config).expect("configuration");
        let mut command = Command::new(program);
        command
            .args(["--user", "--config"])
            .arg(&file)
            .env("XDG_RUNTIME_DIR", &self.0)
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM");
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Has a shell run this, with `script` before it: for what only a process can do to itself.
pub fn after(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{script} exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// A daemon that runs. It is killed with its owner.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts one; what it says goes into the file `log` of the folder.
    pub fn spawn(folder: &Folder, mut command: Command) -> Self {
        let log = folder.path("log");
        let said = File::create(&log).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("it starts");
        Self { child, log }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let number = i32::try_from(self.child.id()).expect("a pid");
        // A signal to 0 or 1 would be one to ourselves, or to the machine.
        assert!(number > 1);
        let pid = Pid::from_raw(number).expect("a pid");
        kill_process(pid, signal).expect("the process is there");
    }

    /// A field of `/proc/PID/status`; nothing once the process has ended.
    fn status(&self, field: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    }

    /// Whether this signal is in such a field, `SigBlk` or `SigIgn`.
    pub fn has(&self, field: &str, signal: Signal) -> bool {
        // Bits begin with signal 1, proc(5).
        let bit = 1 << (signal.as_raw() - 1);
        let mask = self.status(field);
        let mask = mask.and_then(|it| u64::from_str_radix(&it, 16).ok());
        mask.is_some_and(|mask| mask & bit != 0)
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> ExitStatus {
        self.end_within(SOON)
    }

    /// The same, where that takes longer.
    pub fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let mut ended = None;
        wait_within(limit, "it has ended", || {
            ended = self.child.try_wait().expect("a child");
            ended.is_some()
        });
        ended.expect("ended")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.log());
        }
    }
}

/// Waits until something is so.
///
/// # Panics
///
/// Where it is not within [`SOON`].
#[track_caller]
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(SOON, what, is_so);
}

/// Waits until something is so.
///
/// # Panics
///
/// Where it is not within this time.
#[track_caller]
pub fn wait_within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Holds the lease of a file, fcntl(2): whoever opens it waits, as on a file system that does not answer, for as
/// long as this is there, and no longer than `/proc/sys/fs/lease-break-time`, 45 seconds.
#[derive(Debug)]
pub struct Hung(Child);

/// `F_SETLEASE` with `F_WRLCK`. The signal that somebody waits would end the process.
const HOLD: &str = r#"$SIG{IO} = "IGNORE"; $| = 1; open(my $file, "+<", $ARGV[0]) or die $!;
    fcntl($file, 1024, 1) or die $!; print "held\n"; sleep;"#;

impl Hung {
    /// From now on.
    pub fn file(path: &Path) -> Self {
        let mut child = Command::new("perl")
            .args(["-e", HOLD])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("perl is installed");
        let out = child.stdout.take().expect("piped");
        let held = Self(child);
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        assert!(read.is_ok() && line == "held\n", "no lease: {line}");
        held
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
