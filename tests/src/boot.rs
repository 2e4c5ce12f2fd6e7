//! Bringing up one node with `systemd-nspawn(1)`.

use std::fs::{self, File};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::base::Base;
use crate::cgroup::Cgroup;
use crate::command::child_pid;
use crate::island::Island;
use crate::stage::Stage;
use crate::tree::Tree;

/// Units of the host's distribution that a node has no use for: terminals, log-ins, hardware.
const MASKED: &[&str] = &[
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "sys-fs-fuse-connections.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-initctl.socket",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-random-seed.service",
    "systemd-resolved.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
];

/// Messages are never dropped, and they outlive the node.
const JOURNALD: &str = "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSystemMaxUse=256M\n";

/// Where the root directory of a node is on the island.
pub(crate) fn root_path(node: &str) -> String {
    format!("/run/nodes/{node}/root")
}

fn console_path(node: &str) -> String {
    format!("/run/nodes/{node}/console")
}

/// Makes the root directory of a node: an `/etc` that says who it is, empty mount points, and
/// nothing else, since programs and units come from `/usr`.
pub(crate) fn make_root(
    island: &Island,
    node: &str,
    hosts: &str,
    base: &Base,
    stage: Option<&Stage>,
) -> Result<Tree> {
    let root = island.path(&root_path(node));
    fs::create_dir_all(&root)?;
    let tree = Tree::open(&root)?;
    for dir in [
        "/etc",
        "/usr",
        "/var/log/journal",
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/tmp",
        "/root",
    ] {
        tree.create_dir_all(dir)?;
    }
    // As the system has them, whether it has merged them into /usr or not is not ours to decide.
    for dir in ["bin", "sbin", "lib", "lib32", "lib64"] {
        if let Ok(target) = fs::read_link(base.root().join(dir)) {
            let target = target.to_str().context("a link that is not UTF-8")?;
            tree.symlink(target, &format!("/{dir}"))?;
        }
    }
    if let Some(stage) = stage {
        let etc = stage.path().join("etc");
        if etc.is_dir() {
            tree.copy_in(&etc, "/etc")?;
        }
    }
    // A machine id that is known from the start means: not the first boot, no presets to apply.
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    tree.write("/etc/machine-id", id.as_bytes())?;
    tree.write("/etc/hostname", format!("{node}\n").as_bytes())?;
    tree.write("/etc/hosts", hosts.as_bytes())?;
    // nspawn looks for it before it mounts /usr, so the usual link into /usr would not do.
    let release = fs::read(base.root().join("etc/os-release"))?;
    tree.write("/etc/os-release", &release)?;
    tree.write(
        "/etc/systemd/journald.conf.d/test.conf",
        JOURNALD.as_bytes(),
    )?;
    if let Ok(cache) = fs::read(base.root().join("etc/ld.so.cache")) {
        tree.write("/etc/ld.so.cache", &cache)?;
    }
    for unit in MASKED {
        tree.symlink("/dev/null", &format!("/etc/systemd/system/{unit}"))?;
    }
    Ok(tree)
}

/// A node that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) nspawn: Child,
    /// The node's first process, as the host knows it.
    pub(crate) leader: Pid,
    _notifications: Notifications,
}

/// What systemd and nspawn notify of is read to the end of the node: a queue that is full makes nspawn
/// wait, and after it the node's first process.
#[derive(Debug)]
struct Notifications(UnixDatagram);

impl Notifications {
    fn drain(socket: UnixDatagram) -> Result<Self> {
        let reader = socket.try_clone()?;
        thread::spawn(move || {
            let mut message = [0; 4096];
            // Nothing is what there is to read after the end.
            while reader.recv(&mut message).is_ok_and(|length| length > 0) {}
        });
        Ok(Self(socket))
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        // It is open, so this ends the reader.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Starts nspawn and waits until it has started the first process of the node.
///
/// # Errors
///
/// When that has not happened after `timeout`, with what nspawn said.
pub(crate) fn start(
    island: &Island,
    node: &str,
    cgroup: &Cgroup,
    system: (&Base, Option<&Stage>),
    timeout: Duration,
) -> Result<Running> {
    let inside = format!("/run/nodes/{node}/notify");
    let socket = island.path(&inside);
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    let notifications =
        UnixDatagram::bind(&socket).context("cannot bind the notification socket")?;
    let console = File::create(island.path(&console_path(node)))?;
    let mut child = nspawn(island, node, cgroup, system)
        .env("NOTIFY_SOCKET", inside)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("cannot start nspawn")?;
    let started = leader(&notifications, &child, timeout)
        .and_then(|leader| Ok((leader, Notifications::drain(notifications)?)));
    match started {
        Ok((leader, notifications)) => Ok(Running {
            nspawn: child,
            leader,
            _notifications: notifications,
        }),
        Err(error) => {
            let _ = cgroup.destroy(timeout);
            let _ = child.wait();
            Err(error.context(console_output(island, node)))
        }
    }
}

/// What nspawn and the node wrote to the console.
pub(crate) fn console_output(island: &Island, node: &str) -> String {
    fs::read_to_string(island.path(&console_path(node))).unwrap_or_default()
}

/// Where the nodes of a fleet find the stage.
const STAGE_USR: &str = "/run/stage/usr";

/// Shows the stage to the nodes, at a place of the fleet's own: nspawn leaves a directory beside the
/// one that it lays over another.
pub(crate) fn show_stage(island: &Island, stage: &Stage) -> Result<()> {
    let usr = stage.path().join("usr");
    let usr = usr.to_str().context("the path of the stage is not UTF-8")?;
    for args in [
        &["mkdir", "-p", STAGE_USR][..],
        &["mount", "--bind", usr, STAGE_USR][..],
    ] {
        island.run(args, MOUNT_TIMEOUT)?.ok()?;
    }
    Ok(())
}

/// Nothing is waited for in it but the kernel.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(10);

fn nspawn(
    island: &Island,
    node: &str,
    cgroup: &Cgroup,
    (base, stage): (&Base, Option<&Stage>),
) -> Command {
    let place = base.place();
    let mut command = island.command(cgroup, "systemd-nspawn");
    command
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .args([
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
        ])
        .args(["--resolv-conf=off", "--timezone=off", "--console=pipe"])
        // Realtime scheduling and the like are refused as in any container; what a node may do with
        // its own network it may do.
        .arg("--capability=CAP_NET_ADMIN")
        .arg(format!("--machine={node}"))
        .arg(format!("--directory={}", root_path(node)))
        .arg(format!("--network-namespace-path=/run/netns/{node}"));
    match stage {
        Some(_) => command.arg(format!("--overlay-ro={place}/usr:{STAGE_USR}:/usr")),
        None => command.arg(format!("--bind-ro={place}/usr:/usr")),
    };
    let alternatives = "etc/alternatives";
    if fs::exists(base.root().join(alternatives)).unwrap_or(false) {
        command.arg(format!("--bind-ro={place}/{alternatives}:/{alternatives}"));
    }
    command.args([
        "--boot",
        "systemd.unit=multi-user.target",
        "systemd.firstboot=off",
    ]);
    command
}

/// The pid of the node's first process, from nspawn's own notification.
fn leader(notifications: &UnixDatagram, child: &Child, timeout: Duration) -> Result<Pid> {
    let pidfd = pidfd_open(child_pid(child)?, PidfdFlags::empty())?;
    let until = Instant::now() + timeout;
    let mut message = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [
            PollFd::from_borrowed_fd(notifications.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&Timespec::try_from(left)?)) {
            Ok(0) => bail!("nspawn has started nothing within {timeout:?}"),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [notified, _] = &fds;
        if notified.revents().is_empty() {
            bail!("nspawn ended");
        }
        let length = notifications.recv(&mut message)?;
        let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
        if let Some(pid) = leader_in(&text) {
            return Ok(pid);
        }
    }
}

/// `X_NSPAWN_LEADER_PID=` of a notification (systemd-nspawn(1), `--notify-ready=`).
fn leader_in(message: &str) -> Option<Pid> {
    let value = message
        .lines()
        .find_map(|line| line.strip_prefix("X_NSPAWN_LEADER_PID="))?;
    Pid::from_raw(value.parse().ok().filter(|pid| *pid > 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_found_among_other_assignments() {
        let message = "STATUS=Container running.\nX_NSPAWN_LEADER_PID=4711\n";
        assert_eq!(leader_in(message), Pid::from_raw(4711));
    }

    #[test]
    fn the_first_process_of_the_host_is_nobodys_leader() {
        assert_eq!(leader_in("X_NSPAWN_LEADER_PID=1"), None);
        assert_eq!(leader_in("X_NSPAWN_LEADER_PID=-5"), None);
        assert_eq!(leader_in("READY=1"), None);
    }
}
