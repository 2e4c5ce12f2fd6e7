//! How services of this machine are, which makes clear why a daemon or a bus is not there.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{fault::Fault, limits};

/// A service of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Without its type, as people write it.
    name: String,
    load: String,
    active: String,
    result: String,
    user: bool,
}

impl Service {
    /// What it is, and what to do next.
    pub(crate) fn next(&self) -> String {
        let Self { name, result, .. } = self;
        let user = if self.user { " --user" } else { "" };
        let status = format!("systemctl{user} status {name}");
        match (self.load.as_str(), self.active.as_str()) {
            ("not-found", _) => format!("{name}.service does not exist on this machine ({status})"),
            ("masked", _) => format!("{name}.service is masked ({status})"),
            (_, "failed") => format!("{name}.service has failed, {result}: {status}"),
            (_, "inactive") => {
                format!("{name}.service is not running: systemctl{user} start {name} ({status})")
            }
            (_, active) => format!("{name}.service is {active}, so it should be there: {status}"),
        }
    }

    /// Reads what systemctl(1) `show` prints.
    fn read(name: &str, user: bool, shown: &str) -> Option<Self> {
        let of = |key: &str| {
            let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
            shown.lines().find_map(value)
        };
        Some(Self {
            name: name.to_owned(),
            load: of("LoadState")?,
            active: of("ActiveState")?,
            result: of("Result").unwrap_or_default(),
            user,
        })
    }
}

/// The same fault, with how the service is that would have to be there.
pub(crate) fn clarify(mut fault: Fault) -> Fault {
    if let Fault::Absent {
        daemon,
        bus,
        service: known @ None,
    } = &mut fault
    {
        *known = service(daemon.program(), *bus == "session").map(Box::new);
    }
    // A session bus is no service that could be named.
    if let Fault::NoBus {
        bus: "system",
        service: known @ None,
        ..
    } = &mut fault
    {
        *known = service("dbus", false).map(Box::new);
    }
    fault
}

/// Asks systemctl(1), which also works where there is no bus; nothing if it does not say it soon.
fn service(name: &str, user: bool) -> Option<Service> {
    let mut command = Command::new("systemctl");
    if user {
        // Without a service manager of the user, the bus would try to start one.
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")?;
        if !Path::new(&runtime).join("systemd/private").exists() {
            return None;
        }
        command.arg("--user");
    }
    let unit = format!("{name}.service");
    command
        .args(["show", "--property=LoadState,ActiveState,Result", &unit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let began = Instant::now();
    // Three short lines fit into the pipe, so it need not be read meanwhile.
    while child.try_wait().ok()?.is_none() {
        if began.elapsed() > limits::PROBE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut shown = String::new();
    child.stdout.take()?.read_to_string(&mut shown).ok()?;
    Service::read(name, user, &shown)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(
        "LoadState=loaded\nActiveState=inactive\nResult=success\n",
        "unitlink-agent.service is not running: systemctl start unitlink-agent (systemctl status unitlink-agent)"
    )]
    #[test_case(
        "Result=exit-code\nLoadState=loaded\nActiveState=failed\n",
        "unitlink-agent.service has failed, exit-code: systemctl status unitlink-agent"
    )]
    #[test_case(
        "LoadState=not-found\nActiveState=inactive\n",
        "unitlink-agent.service does not exist on this machine (systemctl status unitlink-agent)"
    )]
    #[test_case(
        "LoadState=loaded\nActiveState=activating\n",
        "unitlink-agent.service is activating, so it should be there: systemctl status unitlink-agent"
    )]
    fn a_service_that_is_missing_is_told_as_it_is(shown: &str, next: &str) {
        let service = Service::read("unitlink-agent", false, shown).expect("read");
        assert_eq!(service.next(), next);
    }

    #[test]
    fn what_systemctl_does_not_say_is_not_known() {
        assert_eq!(Service::read("unitlink-agent", false, ""), None);
    }
}
