//! The controller under test and what is around it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tests::{
    fake::{self, Counts, Plan},
    stage::Stage,
};
use tokio::sync::watch;

/// For what has no limit of its own; far more than anything takes.
const SOON: Duration = Duration::from_secs(60);

/// How many connections may wait while there is no controller, as in unitlink-controller.socket.
const BACKLOG: i32 = 4096;

/// Moves what was passed as standard input to where systemd passes sockets, and says for whom.
const PASS: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";

/// The programs, and the bus that they use.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    ctl: PathBuf,
    bus: String,
}

impl Commands {
    /// Runs `ctl` to its end.
    pub(crate) fn ctl(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).output()?)
    }

    /// `ctl`, not begun.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.ctl);
        command
            .arg("--user")
            .args(args)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A fleet without machines.
pub(crate) struct World {
    folder: PathBuf,
    program: PathBuf,
    bus: Child,
    listener: OwnedFd,
    pub(crate) commands: Commands,
    controller: Option<Child>,
    agents: Option<thread::JoinHandle<()>>,
    count: usize,
    online: watch::Receiver<usize>,
    pub(crate) counts: Arc<Counts>,
    broken: watch::Sender<bool>,
}

impl World {
    /// A controller with so many agents, all of which are online, whose jobs take so long.
    pub(crate) fn new(count: usize, job_time: Duration) -> Result<Self> {
        let mut world = Self::without_agents(count, job_time, "")?;
        world.start()?;
        world.await_online()?;
        Ok(world)
    }

    /// The same, with more configuration, before the controller is started; agents try to connect already.
    pub(crate) fn without_agents(count: usize, job_time: Duration, more: &str) -> Result<Self> {
        let stage = Stage::find()?;
        let random = host::clock::random_u64()?;
        let folder = std::env::temp_dir().join(format!("unitlink-accept-{random:x}"));
        fs::create_dir_all(&folder)?;
        let socket = folder.join("controller.sock");
        let listener = OwnedFd::from(UnixListener::bind(&socket)?);
        rustix::net::listen(&listener, BACKLOG)?;
        let (bus, address) = bus()?;
        let path = format!("unix:path={}", socket.display());
        let (breaker, broken) = watch::channel(false);
        let plan = Plan {
            job_time,
            broken,
            ..Plan::new(path.parse()?, count)
        };
        let configuration = format!(
            "{more}\n[listen]\nunix = \"\"\n[log]\ntarget = \"stderr\"\n{}",
            plan.configuration()
        );
        fs::write(folder.join("controller.toml"), configuration)?;
        let counts = Arc::clone(&plan.counts);
        let (sender, online) = watch::channel(0);
        let agents = (count > 0).then(|| {
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                // It ends when nobody counts any more.
                if let Ok(runtime) = runtime {
                    let _ = runtime.block_on(async {
                        let closed = sender.clone();
                        tokio::select! {
                            ended = fake::run(plan, sender) => ended,
                            () = closed.closed() => Ok(()),
                        }
                    });
                }
            })
        });
        Ok(Self {
            program: stage.path().join("usr/libexec/unitlink-controller"),
            commands: Commands {
                ctl: stage.path().join("usr/bin/unitlinkctl"),
                bus: address,
            },
            folder,
            bus,
            listener,
            controller: None,
            agents,
            count,
            online,
            counts,
            broken: breaker,
        })
    }

    /// Starts the controller.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = self.folder.join("log");
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new("sh")
            .args(["-c", PASS])
            .arg(&self.program)
            .arg("--user")
            .arg("--config")
            .arg(self.folder.join("controller.toml"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.commands.bus)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "agents")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::from(self.listener.try_clone()?))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.controller = Some(child);
        Ok(())
    }

    /// Sends a signal to the controller, and to nothing else.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.controller.as_ref().context("no controller")?;
        let number = i32::try_from(child.id())?;
        ensure!(number > 1, "{number} is no controller");
        let pid = Pid::from_raw(number).context("no pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until the controller has ended.
    pub(crate) fn await_end(&mut self) -> Result<ExitStatus> {
        let child = self.controller.as_mut().context("no controller")?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < SOON, "the controller does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until all agents are online; how long that took.
    pub(crate) fn await_online(&self) -> Result<Duration> {
        let began = Instant::now();
        while *self.online.borrow() < self.count {
            if began.elapsed() > SOON {
                let online = *self.online.borrow();
                bail!(
                    "{online} of {} agents are online\n{}",
                    self.count,
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// Waits until `ctl` has an answer, whatever it is.
    pub(crate) fn await_answer(&self) -> Result<()> {
        let began = Instant::now();
        while !self.commands.ctl(&["list-jobs"])?.status.success() {
            ensure!(began.elapsed() < SOON, "no answer\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Breaks the links of all agents, or lets them be made again.
    pub(crate) fn break_links(&self, broken: bool) {
        self.broken.send_replace(broken);
    }

    /// How many jobs agents have carried out.
    pub(crate) fn jobs(&self) -> u64 {
        self.counts.jobs.load(Ordering::Relaxed)
    }

    /// How many connections were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Waits until agents have carried out more jobs than this.
    pub(crate) fn await_jobs(&self, than: u64) -> Result<()> {
        let began = Instant::now();
        while self.jobs() <= than {
            ensure!(began.elapsed() < SOON, "no job is begun\n{}", self.log());
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What the controller has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Replaces the whole configuration but for the nodes and the socket.
    pub(crate) fn configure(&self, more: &str) -> Result<()> {
        let file = self.folder.join("controller.toml");
        let text = fs::read_to_string(&file)?;
        let rest = text.find("\n[listen]").and_then(|at| text.get(at..));
        let new = self.folder.join("controller.toml.new");
        fs::write(&new, format!("{more}{}", rest.unwrap_or_default()))?;
        Ok(fs::rename(&new, &file)?)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.controller.iter_mut().chain([&mut self.bus]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.online = watch::channel(0).1;
        if let Some(agents) = self.agents.take() {
            let _ = agents.join();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A bus of our own, and its address.
fn bus() -> Result<(Child, String)> {
    let mut bus = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--print-address=1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("dbus-daemon is not installed")?;
    let out = bus.stdout.take().context("no output")?;
    let mut address = String::new();
    BufReader::new(out).read_line(&mut address)?;
    Ok((bus, address.trim().to_owned()))
}
