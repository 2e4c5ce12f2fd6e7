//! The controller under test and what is around it.

use std::{
    fs::{self, File},
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

/// What a fleet is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) agents: usize,
    /// How long a job takes.
    pub(crate) job: Duration,
    /// How often each agent asks the controller something; never, if zero.
    pub(crate) ping: Duration,
    /// Of how many others each node needs something.
    pub(crate) neighbours: usize,
    /// More configuration, before the rest of the file.
    pub(crate) more: &'a str,
}

impl Setup<'_> {
    /// So many agents whose jobs take so long, and which do nothing else.
    pub(crate) fn of(agents: usize, job: Duration) -> Self {
        Self {
            agents,
            job,
            ping: Duration::ZERO,
            neighbours: 0,
            more: "",
        }
    }
}

/// How all agents came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back {
    /// How long it took.
    pub(crate) took: Duration,
    /// How much of it the controller was on a processor, which another load of the machine changes little.
    pub(crate) worked: Duration,
}

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
    frozen: watch::Sender<usize>,
    nodes: String,
}

impl World {
    /// A controller with its agents, all of which are online.
    pub(crate) fn new(setup: &Setup<'_>) -> Result<Self> {
        let mut world = Self::without_controller(setup)?;
        world.start()?;
        world.await_online()?;
        Ok(world)
    }

    /// The same, before the controller is started; agents try to connect already.
    pub(crate) fn without_controller(setup: &Setup<'_>) -> Result<Self> {
        let count = setup.agents;
        let stage = Stage::find()?;
        let random = host::clock::random_u64()?;
        let folder = std::env::temp_dir().join(format!("unitlink-accept-{random:x}"));
        fs::create_dir_all(&folder)?;
        let socket = folder.join("controller.sock");
        let listener = OwnedFd::from(UnixListener::bind(&socket)?);
        rustix::net::listen(&listener, BACKLOG)?;
        let (bus, address) = tests::bus::start()?;
        let path = format!("unix:path={}", socket.display());
        let (breaker, broken) = watch::channel(false);
        let (freezer, frozen) = watch::channel(0);
        let plan = Plan {
            job_time: setup.job,
            ping: setup.ping,
            neighbours: setup.neighbours,
            broken,
            frozen,
            ..Plan::new(path.parse()?, count)
        };
        let nodes = plan.configuration();
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
        let world = Self {
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
            frozen: freezer,
            nodes,
        };
        world.configure(setup.more)?;
        Ok(world)
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
            .arg(self.file())
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

    /// Starts it; how long it took until all agents were registered with it.
    pub(crate) fn start_and_await_all(&mut self) -> Result<Back> {
        // Those that have not noticed yet that the last one is gone do not count as online. In this
        // order: whoever loses a connection is first not online, then counted.
        let lost = self.lost();
        let unaware = u64::try_from(*self.online.borrow())?;
        let began = Instant::now();
        self.start()?;
        self.await_lost(lost + unaware)?;
        self.await_online()?;
        Ok(Back {
            took: began.elapsed(),
            worked: self.worked()?,
        })
    }

    /// How long the controller has been on a processor, without its short-lived threads.
    fn worked(&self) -> Result<Duration> {
        let child = self.controller.as_ref().context("no controller")?;
        // The first number, in nanoseconds: sched-stats.rst of the kernel.
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", child.id()))?;
        let nanos = stat.split(' ').next().unwrap_or_default().parse()?;
        Ok(Duration::from_nanos(nanos))
    }

    /// Waits until the controller that was just started keeps signals for later.
    pub(crate) fn await_exec(&self) -> Result<()> {
        let child = self.controller.as_ref().context("no controller")?;
        let status = format!("/proc/{}/status", child.id());
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&status)?;
            let blocked = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let mask = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            if mask.context("no mask of signals")? & 1 != 0 {
                return Ok(());
            }
            ensure!(began.elapsed() < SOON, "signals are not blocked");
            thread::sleep(Duration::from_millis(1));
        }
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

    /// The first so many agents stand still, all others go on.
    pub(crate) fn freeze(&self, agents: usize) {
        self.frozen.send_replace(agents);
    }

    /// Waits until so many connections were lost.
    pub(crate) fn await_lost(&self, count: u64) -> Result<()> {
        self.await_that("agents do not notice", || Ok(self.lost() >= count))
    }

    /// Waits until what is needed is held, and by the same attempts.
    pub(crate) fn await_equal(&self) -> Result<()> {
        let differences = || self.counts.ledger().differences();
        self.await_that("claims and holds differ", || Ok(differences().is_empty()))
            .with_context(|| differences().join("\n"))
    }

    /// How many nodes `ctl` shows as offline.
    pub(crate) fn offline_nodes(&self) -> Result<usize> {
        let output = self.commands.ctl(&["--output", "plain", "status"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter(|line| line.contains("offline")).count())
    }

    /// Waits until `ctl` shows all nodes as online.
    pub(crate) fn await_none_offline(&self) -> Result<()> {
        self.await_that("nodes are offline", || Ok(self.offline_nodes()? == 0))
    }

    fn await_that(&self, not: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !holds()? {
            ensure!(began.elapsed() < SOON, "{not}\n{}", self.log());
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
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
        self.await_that("no job is begun", || Ok(self.jobs() > than))
    }

    /// What the controller has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Its configuration.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("controller.toml")
    }

    /// Replaces the whole configuration but for the nodes and the socket, whose place is taken by what
    /// begins with `listen.`.
    pub(crate) fn configure(&self, more: &str) -> Result<()> {
        let listen = if more.starts_with("listen.") {
            ""
        } else {
            "[listen]\nunix = \"\"\n"
        };
        let log = if more.contains("[log]") {
            ""
        } else {
            "[log]\ntarget = \"stderr\"\n"
        };
        let new = self.folder.join("controller.toml.new");
        fs::write(&new, format!("{more}\n{listen}{log}{}", self.nodes))?;
        Ok(fs::rename(&new, self.file())?)
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
