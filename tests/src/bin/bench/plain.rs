//! A controller as a plain process, on a bus of its own, with simulated agents in another process:
//! neither root nor nodes, and each process can be measured alone.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tests::stage::Stage;
use zbus::wire::OwnedObjectPath;

use crate::{client::Client, process::Process};

/// For what has no limit of its own.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A controller and its agents.
pub(crate) struct Plain {
    folder: PathBuf,
    program: PathBuf,
    /// It ends with this.
    _bus: Ended,
    pub(crate) address: String,
    controller: Option<Ended>,
    agents: Option<Ended>,
    count: usize,
    /// Of how many others each needs a unit.
    neighbours: usize,
}

/// A child that is ended with us.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How agents are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agents {
    pub(crate) count: usize,
    /// Units of each.
    pub(crate) services: usize,
    /// Whether they know only BlueChi's protocol.
    pub(crate) of_bluechi: bool,
}

impl Plain {
    /// A controller that runs and lets so many agents in, none of which is there.
    pub(crate) fn new(count: usize) -> Result<Self> {
        Self::with_needs(count, 0)
    }

    /// The same, where each will need a unit of so many others.
    pub(crate) fn with_needs(count: usize, neighbours: usize) -> Result<Self> {
        let random = host::clock::random_u64()?;
        let folder = std::env::temp_dir().join(format!("unitlink-bench-{random:x}"));
        fs::create_dir_all(&folder)?;
        let (bus, address) = tests::bus::start()?;
        let mut plain = Self {
            program: Stage::find()?
                .path()
                .join("usr/libexec/unitlink-controller"),
            folder,
            _bus: Ended(bus),
            address,
            controller: None,
            agents: None,
            count,
            neighbours,
        };
        let nodes = plain.fake(count).arg("--configuration").output()?;
        ensure!(
            nodes.status.success(),
            "{}",
            String::from_utf8_lossy(&nodes.stderr)
        );
        let text = format!(
            "[listen]\nunix = \"{}\"\n[log]\ntarget = \"stderr\"\n{}",
            plain.socket().display(),
            String::from_utf8_lossy(&nodes.stdout)
        );
        fs::write(plain.folder.join("controller.toml"), text)?;
        plain.start()?;
        Ok(plain)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("controller.sock")
    }

    fn fake(&self, count: usize) -> Command {
        // It is built with us.
        let own = std::env::current_exe().unwrap_or_default();
        let mut command = Command::new(own.with_file_name("fake-agents"));
        command
            .arg(format!("unix:path={}", self.socket().display()))
            .arg(count.to_string())
            .args(["--neighbours", &self.neighbours.to_string()]);
        command
    }

    /// Starts the controller, and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let began = Instant::now();
        let child = Command::new(&self.program)
            .arg("--user")
            .arg("--config")
            .arg(self.folder.join("controller.toml"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.controller = Some(Ended(child));
        let mut client = Client::connect(&self.address)?;
        while client.list_nodes().is_err() {
            ensure!(began.elapsed() < SOON, "no answer\n{}", self.log());
            thread::sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// Starts a controller after another: how long until it answers, and until all agents are online.
    pub(crate) fn recover(&mut self) -> Result<(Duration, Duration)> {
        let began = Instant::now();
        let answered = self.start()?;
        let mut client = Client::connect(&self.address)?;
        loop {
            let nodes: Vec<(String, OwnedObjectPath, String, String)> =
                client.list_nodes()?.body().deserialize()?;
            let online = nodes.iter().filter(|node| node.2 == "online").count();
            if online == self.count {
                return Ok((answered, began.elapsed()));
            }
            ensure!(
                began.elapsed() < SOON,
                "{online} are online\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the controller as a crash would.
    pub(crate) fn kill(&mut self) {
        self.controller = None;
    }

    /// Starts agents; how long it took until all were online.
    pub(crate) fn connect(&mut self, agents: Agents) -> Result<Duration> {
        ensure!(agents.count <= self.count, "more agents than are let in");
        let began = Instant::now();
        let mut child = self
            .fake(agents.count)
            .args(["--services", &agents.services.to_string()])
            .args(["--job-time", "0"])
            .args(agents.of_bluechi.then_some("--protocol=0"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("fake-agents")?;
        let out = child.stdout.take().context("no output")?;
        self.agents = Some(Ended(child));
        first_line(out).with_context(|| self.log())?;
        Ok(began.elapsed())
    }

    /// The process of the controller.
    pub(crate) fn process(&self) -> Result<Process> {
        let controller = self.controller.as_ref().context("no controller")?;
        Ok(Process::new(controller.0.id()))
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        (self.agents, self.controller) = (None, None);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn first_line(out: ChildStdout) -> Result<String> {
    let mut line = String::new();
    if BufReader::new(out).read_line(&mut line)? == 0 {
        bail!("it ended without a word");
    }
    Ok(line.trim().to_owned())
}
