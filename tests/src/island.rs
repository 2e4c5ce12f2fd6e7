//! The private piece of the host on which one fleet lives: cgroups, mounts and a network with a
//! bridge. It is held by a supervisor process (`island.sh`) that gives everything back when its
//! owner lets go of it or dies, even by SIGKILL.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::event::PollFlags;
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cgroup::{Cgroup, Hierarchies, destroy_stale, fresh_name};
use crate::command::{Output, await_child, capture, readable};

/// How long the namespaces may take to be set up or given back; it takes about 20 ms.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a connection may take to be accepted, by a node that may be busy booting.
const CONNECT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Island {
    supervisor: Child,
    holder: Pid,
    cgroup: Cgroup,
}

impl Island {
    /// Makes one, and first removes what a killed predecessor may have left.
    ///
    /// # Errors
    ///
    /// When the host does not allow it; the error holds what the failing command said.
    pub(crate) fn create() -> Result<Self> {
        let hierarchies = Hierarchies::find()?;
        destroy_stale(&hierarchies)?;
        let name = fresh_name()?;
        let mut supervisor = Command::new("sh")
            .args([
                "-c",
                include_str!("island.sh"),
                "unitlink-test-island",
                &name,
            ])
            .arg(&hierarchies.v2)
            .arg(
                hierarchies
                    .v1
                    .as_deref()
                    .map_or("".as_ref(), |v1| v1.as_os_str()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the tests; the supervisor sees their end.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let holder = match first_line(&mut supervisor) {
            Ok(line) => line,
            Err(error) => {
                supervisor.stdin.take();
                let mut said = String::new();
                if let Some(mut stderr) = supervisor.stderr.take() {
                    let _ = stderr.read_to_string(&mut said);
                }
                let _ = await_child(&mut supervisor, PATIENCE);
                return Err(error.context(format!("cannot make the namespaces of a fleet: {said}")));
            }
        };
        let holder = holder
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .context("no pid of the holder")?;
        Ok(Self {
            supervisor,
            holder,
            cgroup: Cgroup::top(&hierarchies, &name),
        })
    }

    /// The cgroup of everything on it.
    pub(crate) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// A path as it is seen on the island, named from outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.holder))
    }

    /// A command that will run in the namespaces of the island and in the cgroup given.
    pub(crate) fn command(&self, cgroup: &Cgroup, program: &str) -> Command {
        let mut command = within(cgroup, "nsenter");
        command.arg(format!("--target={}", self.holder));
        command.args(["--mount", "--net", "--wd=/", "--", program]);
        command
    }

    /// Runs a shell script in the namespaces of the island.
    ///
    /// # Errors
    ///
    /// When it cannot be run, takes longer than 15 s, or fails.
    pub(crate) fn script(&self, script: &str) -> Result<String> {
        self.run(&["sh", "-euc", script], PATIENCE)?
            .ok()
            .with_context(|| script.to_owned())
    }

    /// Runs a command in the namespaces of the island.
    ///
    /// # Errors
    ///
    /// When it cannot be run or does not end in time.
    pub(crate) fn run(&self, args: &[&str], timeout: Duration) -> Result<Output> {
        let (program, args) = args.split_first().context("an empty command")?;
        let cgroup = self.cgroup.child("island");
        capture(self.command(&cgroup, program).args(args), timeout)
    }

    /// Opens a TCP connection in the network of the island. A socket stays where it was made, so
    /// only a thread has to go there.
    ///
    /// # Errors
    ///
    /// When it cannot be opened within 10 s.
    pub(crate) fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        let network = File::open(format!("/proc/{}/ns/net", self.holder))?;
        let connecting = thread::spawn(move || -> Result<TcpStream> {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(TcpStream::connect_timeout(&address, CONNECT)?)
        });
        connecting
            .join()
            .map_err(|_| anyhow!("a thread that connects panicked"))?
            .with_context(|| format!("cannot connect to {address}"))
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // The end of its input is the supervisor's sign to clean up.
        self.supervisor.stdin.take();
        let _ = await_child(&mut self.supervisor, PATIENCE);
    }
}

/// A command that moves itself into a cgroup before it becomes `program`.
pub(crate) fn within(cgroup: &Cgroup, program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args([
        "-euc",
        "for f in $1; do echo 0 >\"$f\"; done; shift; exec \"$@\"",
        "sh",
    ]);
    let procs: Vec<_> = cgroup
        .procs()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    // Split at white space, of which our cgroups' names have none.
    command.arg(procs.join(" ")).arg(program);
    command
}

fn first_line(supervisor: &mut Child) -> Result<String> {
    let stdout = supervisor.stdout.take().context("no standard output")?;
    if !readable(&stdout, PollFlags::IN, PATIENCE)? {
        bail!("nothing happened within {PATIENCE:?}");
    }
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.is_empty() {
        bail!("a step failed");
    }
    Ok(line)
}
