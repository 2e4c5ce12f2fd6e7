//! How a launcher begins: by itself, beside what one before it has left, or in its place.

use std::fs;

use generations::{GenerationId, Launcher, Spawn, WorkerNumber};
use nix::sys::signal::SigSet;
use rustix::process::Pid;

use crate::{
    EXIT_CONFIG, EXIT_SOFTWARE, EXIT_UNAVAILABLE, adopt,
    cgroups::Cgroups,
    children::{Children, Kind, Running},
    control::{self, Client},
    drive::{self, Poller, now},
    handover::{self, State, Successor},
    log,
    notify::Inbox,
    options::Run,
    plan,
    reading::{Found, Question},
    settings::{Address, AtExit, Fixed, Listen},
    shell::{Shell, Wiring},
    sockets::{self, Socket},
    spawn,
};

/// Why it cannot begin, and with which code it ends.
struct Refused(u8, String);

/// Runs until the end, and says with which code.
pub(crate) fn run(run: Run, signals: &SigSet) -> u8 {
    match prepare(run, signals) {
        Ok((mut shell, poller)) => drive::drive(&mut shell, &poller),
        Err(Refused(code, text)) => {
            log::error(&text);
            code
        }
    }
}

/// `unitlink-launcher check`.
pub(crate) fn check(run: &Run) -> u8 {
    let directory = plan::logical_directory();
    let question = Question {
        run,
        directory: directory.as_deref(),
        fixed: None,
    };
    match question.read() {
        Ok(_) => 0,
        Err(text) => {
            log::error(&text);
            EXIT_CONFIG
        }
    }
}

fn prepare(run: Run, signals: &SigSet) -> Result<(Shell, Poller), Refused> {
    let software = |what: &str, error: &dyn std::fmt::Display| {
        Refused(EXIT_SOFTWARE, format!("{what}: {error}"))
    };
    let successor = Successor::new();
    let state = handover::received().map_err(|text| Refused(EXIT_SOFTWARE, text))?;
    let passed = sockets::passed().map_err(|text| Refused(EXIT_SOFTWARE, text))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| software("failed to become a subreaper", &error))?;
    let poller =
        Poller::new(signals).map_err(|error| software("failed to wait for events", &error))?;
    let folder = control::folder(run.folder.as_ref());

    if let Some(state) = state {
        let shell = resume(run, state, successor, folder)
            .map_err(|error| software("failed to take over", &error))?;
        return Ok((shell, poller));
    }
    let directory = plan::logical_directory();
    let question = Question {
        run: &run,
        directory: directory.as_deref(),
        fixed: None,
    };
    let reading = question.ask(now());
    let found = reading.map_err(|error| software("failed to read the settings", &error))?;
    let found = found.wait().map_err(|text| Refused(EXIT_CONFIG, text))?;
    refuse_lossy(&found.fixed, run.force)?;
    let sockets = all_sockets(&found, passed)?;
    let control = folder.as_deref().map(control::listen).transpose();
    let control = control.map_err(|text| Refused(EXIT_UNAVAILABLE, text))?;
    let inbox = Inbox::open().map_err(|error| software("failed to listen to workers", &error))?;
    let mut children = Children::default();
    let adopted = match found.fixed.at_exit {
        AtExit::Leave => take_over(&mut children, folder.as_deref()),
        AtExit::Kill => Vec::new(),
    };
    let mut random = [0; 8];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    let core = Launcher::new(found.core, &adopted, u64::from_ne_bytes(random), now());
    let wiring = Wiring {
        run,
        cgroups: Cgroups::take(found.fixed.at_exit == AtExit::Leave),
        fixed: found.fixed,
        directory,
        sockets,
        inbox,
        control,
        folder,
        successor,
    };
    let shell = Shell::new(core, Some(found.plan), children, wiring);
    Ok((shell, poller))
}

/// A server that binds its port itself loses what waits in the old socket's queue when that closes,
/// unless the kernel moves it to the new one.
fn refuse_lossy(fixed: &Fixed, force: bool) -> Result<(), Refused> {
    if !fixed.reuse_port || force {
        return Ok(());
    }
    let path = "/proc/sys/net/ipv4/tcp_migrate_req";
    if fs::read_to_string(path).is_ok_and(|it| it.trim() == "1") {
        return Ok(());
    }
    Err(Refused(
        EXIT_CONFIG,
        "reuse_port: each reload would reset the connections that wait in the socket of the old \
         workers; expected net.ipv4.tcp_migrate_req = 1 (sysctl), or a passed socket instead, or --force"
            .to_owned(),
    ))
}

fn all_sockets(found: &Found, passed: Vec<Socket>) -> Result<Vec<Socket>, Refused> {
    let unavailable = |text| Refused(EXIT_UNAVAILABLE, text);
    let mut all = passed;
    all.extend(sockets::bind_all(&found.fixed.listen).map_err(unavailable)?);
    if all.is_empty()
        && let Some(listen) = &found.adapted
    {
        let shown: Vec<_> = listen.iter().map(|it| it.address.to_string()).collect();
        log::info(&format!(
            "listening on {} for gunicorn, which takes a passed socket instead of its --bind",
            shown.join(" and ")
        ));
        all.extend(sockets::bind_all(listen).map_err(unavailable)?);
        open_to_all(listen);
    }
    Ok(all)
}

/// Whoever may connect to a path that gunicorn binds may connect to this one as well.
fn open_to_all(listen: &[Listen]) {
    use std::os::unix::fs::PermissionsExt as _;
    for it in listen {
        match &it.address {
            Address::Unix(path) => {
                let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o777));
            }
            Address::Tcp(_) => {}
        }
    }
}

fn take_over(children: &mut Children, folder: Option<&std::path::Path>) -> Vec<GenerationId> {
    let mut generations = Vec::new();
    for (number, leftover) in (1..).zip(adopt::find(folder)) {
        generations.push(leftover.generation);
        children.insert(Running {
            spawn: Spawn {
                process: generations::ProcessId(number),
                generation: leftover.generation,
                worker: WorkerNumber(0),
                workers: 0,
                reason: generations::Reason::Start,
            },
            pid: leftover.pid,
            kind: Kind::Adopted(leftover.pidfd),
        });
    }
    if !generations.is_empty() {
        log::info(&format!(
            "{} workers were left by a launcher before",
            generations.len()
        ));
    }
    generations
}

/// In the place of the launcher that this process was until now.
fn resume(
    run: Run,
    state: State,
    successor: Successor,
    folder: Option<std::path::PathBuf>,
) -> std::io::Result<Shell> {
    let mut children = Children::default();
    for child in state.children {
        let Some(pid) = Pid::from_raw(child.pid) else {
            continue;
        };
        let report = child.report.map(spawn::inherited).transpose()?;
        let kind = match (child.is_adopted, report) {
            (true, Some(pidfd)) => Kind::Adopted(pidfd),
            (_, report) => Kind::Own(report),
        };
        children.insert(Running {
            spawn: Spawn {
                process: child.process,
                generation: child.generation,
                worker: WorkerNumber(child.worker),
                workers: 0,
                reason: generations::Reason::Start,
            },
            pid,
            kind,
        });
    }
    let sockets = state.sockets.into_iter().map(|(name, fd)| {
        Ok(Socket {
            name,
            fd: spawn::inherited(fd)?,
        })
    });
    let (name, fd) = state.inbox;
    let wiring = Wiring {
        run,
        cgroups: Cgroups::take(state.fixed.at_exit == AtExit::Leave),
        fixed: state.fixed,
        directory: state.directory,
        sockets: sockets.collect::<std::io::Result<_>>()?,
        inbox: Inbox::over(spawn::inherited(fd)?, name)?,
        control: state.control.map(spawn::inherited).transpose()?,
        folder,
        successor,
    };
    let mut shell = Shell::new(state.core, None, children, wiring);
    let mut clients = Vec::new();
    for (number, fd) in state.waiting {
        clients.push(Client::over(spawn::inherited(fd)?, Some(number)));
    }
    shell.resume(state.plans, &state.probing, clients);
    log::info("the launcher's program was replaced; workers have not noticed");
    Ok(shell)
}
