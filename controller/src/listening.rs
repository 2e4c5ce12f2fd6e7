//! Where agents connect, and how that changes while they are connected.

use std::sync::Arc;

use host::{
    address::ListenAddress,
    config::Entry,
    passed::Passed,
    reload::Problem,
    stream::{ListenError, Listener, TcpOptions, TcpTuning, UnixOptions},
};
use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use crate::{
    peers::{Doors, with_source},
    settings::Settings,
};

/// The sockets on which agents connect. Each is accepted from by a task of its own.
#[derive(Debug)]
pub(crate) struct Listening {
    doors: Doors,
    tcp: watch::Sender<TcpOptions>,
    tuning: TcpTuning,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    /// Nothing for a socket of systemd that no configuration can name.
    address: Option<ListenAddress>,
    /// It is systemd's: it stays, whatever the configuration says.
    passed: bool,
    listener: Arc<Listener>,
    task: JoinHandle<()>,
}

/// Sockets that listen already and are not accepted from yet. They are closed when they are dropped.
#[derive(Debug)]
pub(crate) struct Prepared {
    added: Vec<(ListenAddress, Listener)>,
}

impl Listening {
    /// Nothing is open yet. Connections come in through `doors`.
    pub(crate) fn new(doors: Doors, tcp: TcpOptions) -> Self {
        let (tcp, tuning) = TcpTuning::live(tcp);
        Self {
            doors,
            tcp,
            tuning,
            open: Vec::new(),
        }
    }

    /// Takes the sockets that systemd passed.
    ///
    /// # Errors
    ///
    /// Fails when one is not for connections.
    pub(crate) fn take(&mut self, passed: Vec<Passed>) -> Result<(), (String, ListenError)> {
        for Passed { name, fd } in passed {
            match Listener::passed(fd, &self.tuning) {
                Ok(listener) => self.add(listener.address(), true, listener),
                Err(error) => return Err((name, error)),
            }
        }
        Ok(())
    }

    /// Listens on every address of the settings that is not open yet.
    ///
    /// # Errors
    ///
    /// Fails with everything that cannot be; nothing is different then.
    pub(crate) fn prepare(
        &self,
        settings: &Settings,
    ) -> Result<Prepared, Vec<(ListenAddress, ListenError)>> {
        let mut added = Vec::new();
        let mut errors = Vec::new();
        let new = |address: &&ListenAddress| !self.open.iter().any(|open| open.is(address));
        for address in settings.listen.iter().filter(new) {
            let unix = UnixOptions::default();
            match Listener::bind(address, unix, settings.backlog, &self.tuning) {
                Ok(listener) => added.push((address.clone(), listener)),
                Err(error) => errors.push((address.clone(), error)),
            }
        }
        if errors.is_empty() {
            Ok(Prepared { added })
        } else {
            Err(errors)
        }
    }

    /// Puts settings into force: accepts from what was prepared, then closes what is not named any
    /// more. Connections stay.
    pub(crate) fn commit(&mut self, settings: &Settings, prepared: Prepared) {
        self.tcp.send_if_modified(|tcp| {
            let changed = *tcp != settings.tcp_options();
            *tcp = settings.tcp_options();
            changed
        });
        for (address, listener) in prepared.added {
            info!(%address, "listening for agents");
            self.add(Some(address), false, listener);
        }
        self.open.retain(|open| {
            let named = open
                .address
                .as_ref()
                .is_some_and(|it| settings.listen.contains(it));
            let stays = open.passed || named;
            if !stays {
                open.task.abort();
                if let Some(address) = &open.address {
                    info!(%address, "not listening for agents any more");
                }
            } else if !open.passed
                && let Err(error) = open.listener.set_backlog(settings.backlog)
            {
                warn!(%error, "backlog cannot be changed, ignoring");
            }
            stays
        });
    }

    /// Accepts nobody any more. The sockets stay open: where they are systemd's, whoever connects waits for the
    /// next controller instead of being taken in by one that is about to go.
    pub(crate) fn deafen(&self) {
        for open in &self.open {
            open.task.abort();
        }
    }

    /// Where agents can connect, as people write it.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        self.open.iter().map(|open| {
            let address = open.address.as_ref().map(ToString::to_string);
            let address = address.unwrap_or_else(|| "a socket of systemd's".to_owned());
            if open.passed {
                format!("{address} (systemd's)")
            } else {
                address
            }
        })
    }

    /// What an operator should know of these sockets.
    pub(crate) fn warnings(&self) -> Vec<String> {
        if self.open.is_empty() {
            let text = "no agent can connect: [listen] names no address and no socket was passed";
            return vec![text.to_owned()];
        }
        let open = self
            .open
            .iter()
            .filter_map(|open| open.listener.tcp_address());
        open.map(|address| {
            format!(
                "agents may connect over TCP on {address}: the link is neither encrypted nor authenticated"
            )
        })
        .collect()
    }

    fn add(&mut self, address: Option<ListenAddress>, passed: bool, listener: Listener) {
        let listener = Arc::new(listener);
        let task = tokio::spawn(self.doors.clone().accept(Arc::clone(&listener)));
        self.open.push(Open {
            address,
            passed,
            listener,
            task,
        });
    }
}

impl Open {
    fn is(&self, address: &ListenAddress) -> bool {
        self.address.as_ref() == Some(address)
    }
}

/// What could not be listened on, with the place that names it.
pub(crate) fn problem(address: &ListenAddress, error: &ListenError, entries: &[Entry]) -> Problem {
    let key = match address {
        ListenAddress::Unix(_) => "listen.unix",
        ListenAddress::Tcp(_) => "listen.tcp",
    };
    let reason = with_source(error);
    let reason = reason
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    Problem::about(key, entries, reason)
}
