//! `unitlink-agent`: the agent of one systemd node. What it decides is in the crate `node`; here is
//! what it does: D-Bus to systemd, a link to the controller, a socket for helpers.

mod cli;
mod drive;
mod journal;
mod limits;
mod link;
mod local;
mod notes;
mod public;
mod reasons;
mod records;
mod replace;
mod report;
mod settings;
mod systemd;
#[cfg(test)]
mod tests;
mod unit_file;

use std::{io::Write, path::Path, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use host::{
    address::ListenAddress,
    alarm::Alarm,
    bus::Service,
    clock::{self, Clock},
    config::{self, Loaded},
    exit::Exit,
    limits::LISTEN_BACKLOG,
    log::LogControl,
    owner,
    passed::{self, Passed},
    reload::{Reload, Rules},
    scope::Scope,
    signal::{self, Blocked},
    stream::{Listener, TcpOptions, TcpTuning, UnixOptions},
    watchdog::Watchdog,
};
use node::Node;
use proto::{dbus::agent, name::NodeName};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use cli::Cli;
use drive::{Agent, Dial, End, Parts, Sources};
use limits::{
    BUS_BYTES_MAX, BUS_CALLS_MAX, BUS_MESSAGES_MAX, HELPER_EVENTS_MAX, LINK_EVENTS_MAX,
    MANAGER_EVENTS_MAX, READY_TIME,
};
use link::Surroundings;
use notes::JobNotes;
use public::Public;
use reasons::Reasons;
use records::RecordFile;
use settings::{OPTIONS, Settings};
use systemd::{Manager, Ways};

/// Where helpers connect, in the folder of our sockets.
const HELPER_SOCKET: &str = "agent.sock";
/// The name of that socket among those that systemd passes (`FileDescriptorName=`).
const HELPER_SOCKET_NAME: &str = "helpers";

/// What the agent is on the bus of its node.
const SERVICE: Service = Service {
    names: &[agent::BUS_NAME],
    matches: &[host::bus::LEAVING],
    send_messages_max: BUS_MESSAGES_MAX,
    send_bytes_max: BUS_BYTES_MAX,
};

fn main() -> ExitCode {
    // Before all else: a signal that comes now waits.
    let blocked = match signal::block() {
        Ok(blocked) => blocked,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Internal.into();
        }
    };
    // Before anything that may start a thread.
    let passed = passed::take();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let scope = match Scope::of(cli.user) {
        Ok(scope) => scope,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Unavailable.into();
        }
    };
    if let Some(sections) = &cli.print_config {
        return match OPTIONS.sample(sections, &scope) {
            Ok(sample) => print(&sample),
            Err(text) => {
                complain(&text);
                Exit::Usage.into()
            }
        };
    }
    let sources = match &cli.config {
        Some(file) => config::Sources::file(file, &scope),
        None => config::Sources::standard("agent", &scope),
    };
    let loaded = match config::load_in_time(&sources, settings::prove_here) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error.to_string());
            return error.exit().into();
        }
    };
    let Some(name) = loaded.settings.node.clone() else {
        complain("the host name is no node name, write node_name = \"NAME\" into agent.toml");
        return Exit::Config.into();
    };
    if cli.show_config {
        return print(&OPTIONS.listing(&loaded.entries, &scope));
    }
    if cli.check {
        return ExitCode::SUCCESS;
    }
    let settings::Log {
        level,
        target,
        format,
    } = loaded.settings.log;
    let log = match host::log::init("unitlink-agent", level, target, format) {
        Ok(log) => log,
        Err(error) => {
            complain(&systemd::chain(&error));
            return Exit::Unavailable.into();
        }
    };
    for file in &loaded.files {
        debug!(file = %file.display(), "configuration is read");
    }
    let passed = match passed {
        Ok(passed) => passed,
        Err(error) => {
            error!(
                error = systemd::chain(&error),
                "failed to take the sockets that were passed"
            );
            return Exit::Internal.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "failed to start the event loop");
            return Exit::Internal.into();
        }
    };
    let end = runtime.block_on(run(loaded, name, passed, log, sources, &blocked));
    // A thread that still reads files is not waited for.
    runtime.shutdown_background();
    match end {
        Ok(End::Stopped) => Exit::Done.into(),
        Ok(End::Quit) => Exit::Interrupted.into(),
        Ok(End::Late) => {
            error!("not ready in time: systemd of this node was not reached within {READY_TIME:?}");
            Exit::NotReady.into()
        }
        Ok(End::Broken) => {
            error!("a task of the agent has ended that never should");
            Exit::Internal.into()
        }
        Err(Failure { exit, error }) => {
            error!(error = format!("{error:#}"), "failed to start");
            exit.into()
        }
    }
}

/// Why it does not come into service.
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Failure {
    /// What is needed of the machine is not there, unless more is known.
    fn from(error: anyhow::Error) -> Self {
        Self {
            exit: Exit::Unavailable,
            error,
        }
    }
}

/// What the machine never should refuse.
fn internal(error: anyhow::Error) -> Failure {
    Failure {
        exit: Exit::Internal,
        error,
    }
}

async fn run(
    loaded: Loaded<Settings>,
    name: NodeName,
    passed: Vec<Passed>,
    log: LogControl,
    sources: config::Sources,
    blocked: &Blocked,
) -> Result<End, Failure> {
    let Loaded {
        settings, entries, ..
    } = loaded;
    let signals = blocked.listen().context("failed to set up signals");
    let signals = signals.map_err(internal)?;
    let boot_id = clock::boot_id().context("failed to find out the boot id");
    let incarnation = clock::random_u64().context("failed to get random bits");
    let clock = Clock::start();
    let uid = rustix::process::geteuid();
    let scope = sources.scope();
    let is_user = scope.is_user();
    let listener = helper_listener(passed, &scope.runtime())?;
    let folder = scope.runtime().join(records::FOLDER);
    let records = RecordFile::in_folder(&folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    let remembered = records.read().unwrap_or_else(|error| {
        warn!(%error, "failed to read the records of holds, going on without");
        node::Records::default()
    });
    let jobs = JobNotes::in_folder(&folder)
        .with_context(|| format!("failed to make a folder in {}", folder.display()))?;
    let noted = jobs.read().unwrap_or_else(|error| {
        warn!(%error, "failed to read the notes of jobs, going on without");
        Vec::new()
    });
    let reasons = Reasons::in_folder(&scope.runtime())
        .with_context(|| format!("failed to make a folder in {}", folder.display()))?;
    let node_settings = node::Settings {
        node: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id.map_err(internal)?,
        incarnation: incarnation.map_err(internal)?,
        live: settings.live(),
    };
    let seed = node_settings.incarnation.rotate_left(32);
    let now = clock.now();
    let since = now.before(jobs.age());
    let node = Node::new(node_settings, remembered, now, seed).with_jobs(noted, since, now);

    let (manager_events, manager) = mpsc::channel(MANAGER_EVENTS_MAX);
    let (link_events, link) = mpsc::channel(LINK_EVENTS_MAX);
    let (helper_events, helpers) = mpsc::channel(HELPER_EVENTS_MAX);
    let (bus_events, bus) = mpsc::channel(BUS_CALLS_MAX);
    let public = Public::new(clock.now(), helper_events.clone());
    let edge = Manager::start(Ways::of(scope, uid.is_root()), manager_events);
    tokio::spawn(local::accept(listener, uid.as_raw(), helper_events));
    match host::bus::address(scope) {
        Ok(address) => drop(tokio::spawn(host::bus::run(address, SERVICE, bus_events))),
        Err(why) => warn!(why, "no interface on the bus"),
    }
    info!(node = %name, version = env!("CARGO_PKG_VERSION"), "starting");

    let (tcp, tuning) = TcpTuning::live(settings.tcp);
    let dial = Dial {
        addresses: settings.controllers.clone(),
        tcp: tuning,
        events: link_events,
    };
    let rules = Rules {
        sources,
        options: &OPTIONS,
        prove: settings::prove_here,
    };
    let mut agent = Agent::new(Parts {
        node,
        clock,
        name: name.to_string(),
        records,
        jobs,
        reasons,
        around: Surroundings::new(edge, Some(log), is_user),
        dial,
        tcp,
        settings,
        reload: Reload::new(rules, entries),
        public,
        watchdog: Watchdog::of_service(clock.now()),
    });
    let sources_of_events = Sources {
        manager,
        link,
        helpers,
        bus,
        signals,
        alarm: Alarm::new(),
    };
    let end = owner::run(async move { agent.run(sources_of_events).await }).await;
    // It has panicked, of which the log says more.
    Ok(end.unwrap_or(End::Broken))
}

/// The socket for helpers: systemd's, or our own where there is none.
fn helper_listener(passed: Vec<Passed>, folder: &Path) -> anyhow::Result<Listener> {
    let mut listener = None;
    for Passed { name, fd } in passed {
        if name == HELPER_SOCKET_NAME && listener.is_none() {
            let passed = Listener::passed(fd, TcpOptions::default());
            listener = Some(passed.context("failed to take the socket for helpers")?);
        } else {
            warn!(name, "a socket was passed that is not known, ignoring it");
        }
    }
    match listener {
        Some(listener) => Ok(listener),
        None => {
            let address = ListenAddress::unix(folder.join(HELPER_SOCKET))?;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
            Listener::bind(
                &address,
                UnixOptions::default(),
                LISTEN_BACKLOG,
                TcpOptions::default(),
            )
            .context("failed to listen for helpers")
        }
    }
}

/// Writes what was asked for to stdout.
fn print(text: &str) -> ExitCode {
    // It fails when nobody reads it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Writes a line to stderr, before there is a log.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "unitlink-agent: {text}");
}
