//! A controller of its own, in a folder of its own.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// For what has no limit of its own; far more than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A folder that goes away with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("unitlink-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A controller that runs. It is killed with its owner.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a controller with this configuration; what it says goes into a file.
    pub(crate) fn start(folder: &Folder, config: &str) -> Self {
        // Nobody's bus: agents are served without one.
        Self::on_bus(folder, config, "unix:path=/nonexistent/bus")
    }

    /// The same, on the session bus at this address.
    pub(crate) fn on_bus(folder: &Folder, config: &str, address: &str) -> Self {
        Self::spawn(folder, config, address, None)
    }

    /// The same, which tells a service manager that listens at `notify` in the folder.
    pub(crate) fn told_to(folder: &Folder, config: &str, address: &str) -> Self {
        Self::spawn(folder, config, address, Some(&folder.path("notify")))
    }

    fn spawn(folder: &Folder, config: &str, address: &str, notify: Option<&Path>) -> Self {
        let file = folder.path("controller.toml");
        fs::write(&file, config).expect("configuration");
        let log = folder.path("log");
        let said = fs::File::create(&log).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_unitlink-controller"));
        command
            .env_remove("NOTIFY_SOCKET")
            .envs(notify.map(|path| ("NOTIFY_SOCKET", path)));
        let child = command
            .arg("--user")
            .arg("--config")
            .arg(&file)
            .env("DBUS_SESSION_BUS_ADDRESS", address)
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("the controller starts");
        Self { child, log }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let number = i32::try_from(self.child.id()).expect("a pid");
        // A signal to 0 or 1 would be one to ourselves, or to the machine.
        assert!(number > 1);
        let pid = Pid::from_raw(number).expect("a pid");
        kill_process(pid, signal).expect("the process is there");
    }

    /// A field of `/proc/PID/status`; nothing once the process has ended.
    pub(crate) fn status(&self, field: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("the controller has ended", || {
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

/// Whether a controller answers at this socket.
pub(crate) fn answers(socket: &Path) -> bool {
    let greet = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(SOON))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        write!(stream, "\0AUTH EXTERNAL {uid}\r\n")?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    greet().is_ok_and(|answer| answer == "OK ")
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
