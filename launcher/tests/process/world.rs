use std::{
    fs,
    io::{BufRead as _, BufReader, IoSliceMut, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    process::{Pid, Signal, kill_process},
};

/// How long anything may take before the case fails. Generous: it is only waited for in vain.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const LAUNCHER: &str = env!("CARGO_BIN_EXE_unitlink-launcher");

/// The example worker.
pub(crate) fn worker() -> PathBuf {
    let folder = Path::new(LAUNCHER).parent().expect("in a folder");
    let worker = folder.join("examples/worker");
    assert!(worker.exists(), "{} is not built", worker.display());
    worker
}

/// A worker in Python that says things to the service manager: `say(text, *descriptors)`.
pub(crate) fn speaker(script: &str) -> String {
    format!(
        "import array,os,signal,socket,time\n\
         def say(text,*fds):\n \
          s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n \
          s.connect('\\0'+os.environ['NOTIFY_SOCKET'][1:])\n \
          s.sendmsg([text.encode()],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',fds))] if fds else [])\n\
         {script}\nsignal.pause()"
    )
}

/// A folder of one case, with everything that belongs to it; removed at its end.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) address: SocketAddr,
}

/// A launcher that runs.
pub(crate) struct Launcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    manager: UnixDatagram,
    told: Vec<String>,
    /// What it was given to keep, with what was said about it.
    stored: Vec<(String, OwnedFd)>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Case {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("launcher-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("run")).expect("made");
        // A port that is free now; nobody else on this machine is given it soon.
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        Self { folder, address }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn settings(&self, text: &str) {
        fs::write(self.path("settings.toml"), text).expect("written");
    }

    /// A launcher with this file of settings, which listens on the address of the case.
    pub(crate) fn start_with(&self, text: &str) -> Launcher {
        self.settings(text);
        let file = self.path("settings.toml");
        let worker = worker();
        self.start(&["--settings", text_of(&file), "--", text_of(&worker)])
    }

    /// A launcher with these arguments, which listens on the address of the case.
    pub(crate) fn start(&self, arguments: &[&str]) -> Launcher {
        let address = format!("http={}", self.address);
        let mut all = vec!["--listen", &address];
        all.extend(arguments);
        self.launch(&all, &[])
    }

    pub(crate) fn launch(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Launcher {
        let mut command = Command::new(LAUNCHER);
        command.args(arguments).envs(variables.iter().copied());
        self.begin(command)
    }

    /// A launcher that is started by another command.
    pub(crate) fn launch_by(&self, by: &[&str], arguments: &[&str]) -> Launcher {
        let mut command = Command::new(by[0]);
        command.args(&by[1..]).args(arguments);
        self.begin(command)
    }

    fn begin(&self, mut command: Command) -> Launcher {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("launcher-test-{}-{number}", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).expect("address");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        manager.set_nonblocking(true).expect("set");
        let mut child = command
            .env("RUNTIME_DIRECTORY", self.path("run"))
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .env_remove("JOURNAL_STREAM")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (kept, errors) = (Arc::clone(&lines), child.stderr.take().expect("piped"));
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                kept.lock().expect("whole").push(line);
            }
        });
        Launcher {
            child,
            lines,
            manager,
            told: Vec::new(),
            stored: Vec::new(),
            folder: self.folder.clone(),
            address: self.address,
        }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Launcher {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("sent");
    }

    /// Everything in the journal so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().expect("whole").join("\n")
    }

    /// Waits until the journal has this so many times.
    pub(crate) fn wait_log(&self, text: &str, times: usize) {
        self.wait(&format!("{text:?} {times} times"), || {
            let lines = self.lines.lock().expect("whole");
            (lines.iter().filter(|it| it.contains(text)).count() >= times).then_some(())
        });
    }

    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begun.elapsed() < SOON,
                "never {what}; journal:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that the service manager was told so far.
    pub(crate) fn told(&mut self) -> &[String] {
        let mut bytes = [0; 4096];
        loop {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let Ok(message) = recvmsg(&self.manager, &mut parts, &mut control, flags) else {
                return &self.told;
            };
            let count = message.bytes;
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = part {
                    self.stored.extend(fds.map(|it| (text.clone(), it)));
                }
            }
            self.told.push(text);
        }
    }

    /// What the service manager was given to keep so far.
    pub(crate) fn stored(&mut self) -> &[(String, OwnedFd)] {
        self.told();
        &self.stored
    }

    /// Waits until the service manager was told this.
    pub(crate) fn wait_told(&mut self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.told().iter().filter(|it| it.contains(text)).count() < times {
            assert!(
                begun.elapsed() < SOON,
                "never told {text:?}: {:?}; journal:\n{}",
                self.told,
                self.log()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the service is up.
    pub(crate) fn ready(mut self) -> Self {
        let begun = Instant::now();
        while !self.told().iter().any(|it| it == "READY=1") {
            assert!(
                begun.elapsed() < SOON,
                "never ready; journal:\n{}",
                self.log()
            );
            if let Some(status) = self.child.try_wait().expect("asked") {
                panic!("ended with {status}; journal:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(1));
        }
        self
    }

    /// Waits for the end, and says how it was.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                return status;
            }
            assert!(
                begun.elapsed() < SOON,
                "never ends; journal:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn code(&mut self) -> i32 {
        self.end().code().expect("by itself")
    }

    /// `unitlink-launcher VERB …` for this one.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(LAUNCHER)
            .args(arguments)
            .env("RUNTIME_DIRECTORY", self.folder.join("run"))
            .env_remove("JOURNAL_STREAM")
            .output()
            .expect("ran")
    }

    /// A reload that is waited for: the exit code, and what was said.
    pub(crate) fn reload(&self) -> (i32, String) {
        let output = self.ask(&["reload", "--wait"]);
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        (output.status.code().expect("by itself"), text)
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let output = self.ask(&["status", "--output", "json"]);
        // Nothing, before it listens.
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The pids of the workers, by generation.
    pub(crate) fn workers(&self) -> Vec<(u64, Pid)> {
        let status = self.status();
        let Some(workers) = status["workers"].as_array() else {
            return Vec::new();
        };
        let number = |it: &serde_json::Value, key: &str| it[key].as_i64().expect("a number");
        let pid =
            |it| Pid::from_raw(i32::try_from(number(it, "pid")).expect("small")).expect("a pid");
        workers
            .iter()
            .map(|it| (number(it, "generation") as u64, pid(it)))
            .collect()
    }

    /// One answer of a worker.
    pub(crate) fn get(&self, page: &str) -> String {
        get(self.address, page).unwrap_or_else(|error| panic!("{error}; journal:\n{}", self.log()))
    }

    /// A part of what a worker says about itself.
    pub(crate) fn who(&self, key: &str) -> String {
        let text = self.get("/who");
        let found = text
            .split_whitespace()
            .find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|it| it.is_none()) {
            let _ = kill_process(self.pid(), Signal::INT);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(2) {
                if self.child.try_wait().is_ok_and(|it| it.is_some()) {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn get(address: SocketAddr, page: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((_, body)) if !body.is_empty() => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!("no answer: {text:?}"))),
    }
}

/// Whether a process runs (one that has ended and was not waited for does not).
pub(crate) fn runs(pid: Pid) -> bool {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|it| it != 'Z' && it != 'X')
}

pub(crate) fn text_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Workers that are ready when they say so, without a probation.
pub(crate) const PLAIN: &str = "ready = \"notify\"\nconfirm = \"0s\"\n";
