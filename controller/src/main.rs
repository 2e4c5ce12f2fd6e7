//! The controller of a fleet: knows the nodes, runs jobs on them, settles which node needs which unit
//! of which other, and serves the public D-Bus interface.
//!
//! What is decided is in the crate `fleet`. This is what does it: [`peers`] are the links to agents,
//! [`public`] is the interface on the bus, [`drive`] is the loop between them. How it ends is [`Exit`].

mod cli;
mod drive;
mod events;
mod limits;
mod listening;
mod peers;
mod public;
mod quota;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    fmt::Display,
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use fleet::Fleet;
use host::{
    address::ListenAddress,
    alarm::Alarm,
    bus::{self, Service},
    clock::{self, Clock},
    config::{self, Loaded, Sources},
    exit::Exit,
    log, owner,
    passed::{self, Passed},
    reload::{Reload, Rules},
    scope::Scope,
    signal::{self, Blocked},
    watchdog::Watchdog,
};
use proto::{dbus::public as api, model::JobId};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use zbus::Message;

use cli::Cli;
use drive::{Drive, End, Waits};
use limits::{BUS_BYTES_MAX, BUS_MESSAGES_MAX, CLIENT_CALLS_MAX, PEER_EVENTS_MAX};
use listening::Listening;
use peers::Doors;
use settings::{OPTIONS, Settings};

/// What ends the program.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

/// What is needed of the machine is not there.
fn unavailable(error: anyhow::Error) -> Failure {
    Failure {
        exit: Exit::Unavailable,
        error,
    }
}

/// What the machine never should refuse.
fn internal(error: anyhow::Error) -> Failure {
    Failure {
        exit: Exit::Internal,
        error,
    }
}

fn main() -> ExitCode {
    // Before all else: a signal that comes now waits.
    let blocked = signal::block();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // It fails when nobody reads it.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return exit.into();
        }
    };
    let result = match blocked {
        Ok(blocked) => start(&cli, &blocked),
        Err(error) => Err(internal(error.into())),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(Failure { exit, error }) => {
            complain(format_args!("unitlink-controller: {error:#}"));
            exit.into()
        }
    }
}

fn start(cli: &Cli, signals: &Blocked) -> Result<Exit, Failure> {
    let scope = Scope::of(cli.user).map_err(|error| unavailable(error.into()))?;
    if let Some(sections) = &cli.print_config {
        return match OPTIONS.sample(sections, &scope) {
            Ok(sample) => Ok(print(&sample)),
            Err(text) => Err(Failure {
                exit: Exit::Usage,
                error: anyhow::Error::msg(text),
            }),
        };
    }
    let passed = passed::take().context("sockets passed by the service manager");
    let passed = passed.map_err(internal)?;
    let files = match &cli.config {
        Some(path) => Sources::file(path, &scope),
        None => Sources::standard("controller", &scope),
    };
    let Loaded {
        settings,
        files: files_read,
        entries,
        ..
    } = match config::load_in_time(&files, settings::prove_here) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return Ok(error.exit());
        }
    };
    if cli.show_config {
        return Ok(print(&OPTIONS.listing(&entries, &scope)));
    }
    if cli.check {
        return Ok(Exit::Done);
    }
    let address = bus::address(&scope);
    let address = address.map_err(|text| unavailable(anyhow::Error::msg(text)))?;
    let log = log::init(
        "unitlink-controller",
        settings.log.level,
        settings.log.target,
        settings.log.format,
    );
    let log = log.context("logging").map_err(unavailable)?;
    for file in &files_read {
        debug!(file = %file.display(), "configuration read");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("event loop").map_err(internal)?;
    let end = runtime.block_on(async {
        let signals = signals.listen().context("signals").map_err(internal)?;
        raise_descriptors();
        let (peer_events, peers) = mpsc::channel(PEER_EVENTS_MAX);
        let (bus_events, bus_queue) = mpsc::channel(CLIENT_CALLS_MAX);
        let guid = clock::random_guid()
            .context("randomness")
            .map_err(internal)?;
        let uid = rustix::process::geteuid().as_raw();
        make_folder(&settings, &scope.runtime());
        let doors = Doors::new(peer_events, guid, uid);
        let listening = listen(&settings, doors, passed)?;
        let service = Service {
            names: &[api::BUS_NAME_OWN, api::BUS_NAME],
            matches: &[bus::LEAVING],
            send_messages_max: BUS_MESSAGES_MAX,
            send_bytes_max: BUS_BYTES_MAX,
        };
        tokio::spawn(bus::run(address, service, bus_events));
        let reload = Reload::new(
            Rules {
                sources: files,
                options: &OPTIONS,
                prove: settings::prove_here,
            },
            entries,
        );
        let drive = drive(settings, reload, listening, log).map_err(internal)?;
        let waits = Waits {
            signals,
            peers,
            bus: bus_queue,
            alarm: Alarm::new(),
        };
        let end = owner::run(drive.run(waits)).await;
        end.context("loop").map_err(internal)
    });
    // A thread that still reads files is not waited for.
    runtime.shutdown_background();
    let end = end?;
    Ok(match end {
        End::Stopped => Exit::Done,
        End::Interrupted => Exit::Interrupted,
    })
}

fn drive(
    settings: Settings,
    reload: Reload<Settings, Message>,
    listening: Listening,
    log: log::LogControl,
) -> anyhow::Result<Drive> {
    let clock = Clock::start();
    // Numbers of jobs differ from start to start, so that nobody takes a new job for an old one.
    let random = clock::random_u64().context("randomness")?;
    let first_job = JobId(u32::try_from(random & 0x3fff_ffff).unwrap_or(1));
    let fleet = Fleet::new(settings.fleet.clone(), clock.now(), first_job);
    let nodes = settings.fleet.nodes.len();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        nodes, "controller starts"
    );
    let watchdog = Watchdog::of_service(clock.now());
    Ok(Drive::new(
        clock, fleet, settings, reload, listening, log, watchdog,
    ))
}

/// Makes the folder of our sockets where it is needed and systemd has not made it for the unit.
fn make_folder(settings: &Settings, folder: &Path) {
    let is_below = |address: &ListenAddress| matches!(address, ListenAddress::Unix(path) if path.starts_with(folder));
    if settings.listen.iter().any(is_below) {
        // Whoever listens in vain says why.
        let _ = fs::create_dir_all(folder);
    }
}

/// Listens. A socket that systemd passed stands for the same address in the configuration.
fn listen(settings: &Settings, doors: Doors, passed: Vec<Passed>) -> Result<Listening, Failure> {
    let mut listening = Listening::new(doors, settings.tcp_options());
    listening.take(passed).map_err(|(name, error)| {
        let error = anyhow::Error::from(error);
        unavailable(error.context(format!("socket '{name}' passed by the service manager")))
    })?;
    let prepared = listening.prepare(settings).map_err(|errors| {
        let texts = errors.iter().map(|(_, error)| peers::with_source(error));
        unavailable(anyhow::Error::msg(texts.collect::<Vec<_>>().join("; ")))
    })?;
    listening.commit(settings, prepared);
    for warning in listening.warnings() {
        warn!("{warning}");
    }
    Ok(listening)
}

/// Each agent costs a descriptor. The soft limit is 1024 for the sake of select(2), which we do
/// not use, systemd.exec(5).
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "limit of descriptors cannot be raised, ignoring");
    }
}

/// Writes what was asked for to stdout.
fn print(text: &str) -> Exit {
    // It fails when nobody reads it.
    let _ = io::stdout().write_all(text.as_bytes());
    Exit::Done
}

/// Writes to stderr, where there is no log yet.
fn complain(text: impl Display) {
    // It fails when nobody reads it.
    let _ = writeln!(io::stderr(), "{text}");
}
