//! `daemon`: reloads, configurations and state of the daemons themselves.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use proto::dbus::{agent, error, public};
use serde::de::DeserializeOwned;
use zbus::{Message, wire::Type};

use crate::{
    bus::{self, Bus},
    cli::{DaemonDo, Options, Which},
    exit::Exit,
    facts::Facts,
    fault::{Daemon, Fault},
    fleet::{Key, Reloaded},
    limits,
    view::{self, Look, Page},
};

/// `s` and `a(ssss)`: the digest, and each key with its value, source and effect.
type Listing = (String, Vec<(String, String, String, String)>);

/// Does it.
pub(crate) async fn run(options: &Options, what: &DaemonDo, look: &Look) -> Result<Page, Fault> {
    match what {
        DaemonDo::Reload { of, wait: _ } => Ok(reload(options, of, look).await),
        DaemonDo::Config { of } => {
            let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
            let (digest, keys) = in_force(&mut bus, of).await?;
            Ok(view::daemon::config(&digest, &keys, look))
        }
        DaemonDo::CheckConfig { file, agent } => {
            check(options, file.as_deref(), *agent, look).await
        }
        DaemonDo::Debug { of } => {
            let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
            if let Which::Node(node) = of {
                let text = format!(
                    "the state of an agent is told on its own machine only: on {node}, 'ctl daemon debug agent'"
                );
                return Err(Fault::Usage(text));
            }
            let text: String = ask(&mut bus, of, "Dump").await?;
            Ok(view::daemon::state(&text, look))
        }
    }
}

/// Has a daemon reload. The exit codes are those of the verb, also where nobody can be asked.
async fn reload(options: &Options, of: &Which, look: &Look) -> Page {
    let limit = options.timeout_or(limits::RELOAD);
    let outcome = async {
        let mut bus = Bus::connect(options.user, limit).await?;
        if options.no_block {
            bus.send(&[call(of, "Reload")?]).await?;
            return Ok(None);
        }
        let facts: Facts = Facts(ask(&mut bus, of, "Reload").await?);
        Ok(Some(Reloaded::from_facts(&facts)))
    };
    match outcome.await {
        Ok(Some(reloaded)) => {
            let mut page = view::daemon::reloaded(of, &reloaded, look);
            if options.quiet {
                // The journal of the daemon has the reasons, and systemctl(1) shows it together with what is
                // said here; but only the last ten lines, of which systemd writes three itself.
                let last = page.messages.pop();
                page.messages = last
                    .into_iter()
                    .map(view::message::Message::without_hint)
                    .collect();
            }
            page
        }
        Ok(None) => view::act::of_daemon("daemon reload", look),
        Err(fault) => {
            let exit = exit_of(&fault);
            let mut page = Page::fault(&fault);
            page.exit = exit;
            page
        }
    }
}

fn exit_of(fault: &Fault) -> Exit {
    match fault {
        Fault::Timeout { .. } => Exit::RELOAD_LATE,
        Fault::Refused { name, .. } if name == error::STOPPING => Exit::DAEMON_GONE,
        Fault::NoBus { .. }
        | Fault::BusLost { .. }
        | Fault::Absent { .. }
        | Fault::ControllerLost(_)
        | Fault::NoNode { .. }
        | Fault::Unread(_)
        | Fault::Offline { .. } => Exit::DAEMON_GONE,
        Fault::Usage(_)
        | Fault::NoLabel { .. }
        | Fault::NoJob(_)
        | Fault::NoFit { .. }
        | Fault::NoUnit { .. }
        | Fault::NotAble { .. }
        | Fault::AccessDenied(_)
        | Fault::Interrupted { .. }
        | Fault::Refused { .. }
        | Fault::Answer { .. } => fault.exit(),
    }
}

async fn in_force(bus: &mut Bus, of: &Which) -> Result<(String, Vec<Key>), Fault> {
    let (digest, keys): Listing = ask(bus, of, "Configuration").await?;
    let keys = keys.into_iter().map(|(key, value, source, effect)| Key {
        key,
        value,
        source,
        effect,
    });
    Ok((digest, keys.collect()))
}

/// Asks a daemon about itself.
async fn ask<T>(bus: &mut Bus, of: &Which, method: &'static str) -> Result<T, Fault>
where
    T: DeserializeOwned + Type,
{
    let [answer] = bus.ask([call(of, method)?]).await?;
    match answer {
        Ok(answer) => bus::read(&answer, method),
        Err(refusal) => Err(match of {
            Which::Agent => Fault::refused_by(Daemon::Agent, refusal, bus.name()),
            Which::Node(node)
                if refusal.name == error::OFFLINE || crate::fault::is_not_there(&refusal) =>
            {
                let node = node.to_string();
                match refusal.name.as_str() {
                    error::OFFLINE => Fault::Offline {
                        node,
                        last_seen_ago: None,
                        address: String::new(),
                    },
                    _ => Fault::Unread(format!("there is no node '{node}'")),
                }
            }
            Which::Controller | Which::Node(_) => Fault::refused(refusal, bus.name()),
        }),
    }
}

fn call(of: &Which, method: &str) -> Result<Message, Fault> {
    match of {
        Which::Controller => bus::fleet_call(public::FLEET, method, &()),
        Which::Agent => bus::agent_call(agent::AGENT_OWN, method, &()),
        Which::Node(node) => {
            let method = match method {
                "Reload" => "ReloadAgent",
                _ => "AgentConfiguration",
            };
            bus::node_call(node, public::NODE_OWN, method, &())
        }
    }
}

/// Has the program of the daemon look at the files: it is what will read them, so nobody knows better
/// what it takes. Where the daemon runs, what would change is said as well.
async fn check(
    options: &Options,
    file: Option<&Path>,
    is_agent: bool,
    look: &Look,
) -> Result<Page, Fault> {
    let of = if is_agent || file.is_some_and(is_of_agent) {
        (Which::Agent, Daemon::Agent)
    } else {
        (Which::Controller, Daemon::Controller)
    };
    let (which, daemon) = of;
    let program = program(daemon.program())?;
    let mut command = Command::new(&program);
    command.arg("--show-config");
    if options.user {
        command.arg("--user");
    }
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let output = command
        .output()
        .map_err(|error| Fault::Unread(format!("{} cannot be run: {error}", program.display())))?;
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        return Ok(view::daemon::invalid(&complaint));
    }
    let mut lines = said.lines();
    let digest = lines.next().unwrap_or_default().to_owned();
    let keys: Vec<Key> = lines.filter_map(Key::read).collect();
    let connected = Bus::connect(options.user, options.question_timeout()).await;
    let running = match connected {
        Ok(mut bus) => in_force(&mut bus, &which).await.ok(),
        Err(_) => None,
    };
    Ok(view::daemon::checked(
        &which,
        &digest,
        &keys,
        running.as_ref(),
        look,
    ))
}

/// Whether a file is one of the agent's, by where it is.
fn is_of_agent(file: &Path) -> bool {
    let named = |path: Option<&OsStr>, name: &str| path == Some(OsStr::new(name));
    let folder = file.parent().and_then(Path::file_name);
    named(file.file_name(), "agent.toml") || named(folder, "agent.toml.d")
}

/// Where the program of a daemon is: beside this one where it was built, else where both are installed.
fn program(name: &str) -> Result<PathBuf, Fault> {
    let own = env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent);
    let places = folder
        .into_iter()
        .flat_map(|folder| [folder.join("../libexec").join(name), folder.join(name)]);
    let mut places = places.filter(|place| place.is_file());
    places.next().ok_or_else(|| {
        let text =
            format!("{name} is not installed on this machine, and it is what reads the files");
        Fault::Unread(text)
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("/etc/unitlink/agent.toml", true)]
    #[test_case("agent.toml.d/fleet.toml", true; "a drop-in")]
    #[test_case("/etc/unitlink/controller.toml", false)]
    #[test_case("new.toml", false)]
    fn a_file_of_the_agent_is_known_by_its_place(file: &str, is_agent: bool) {
        assert_eq!(is_of_agent(Path::new(file)), is_agent);
    }
}
