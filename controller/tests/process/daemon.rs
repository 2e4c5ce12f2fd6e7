//! A controller of its own, in a folder of its own.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

pub(crate) use tests::daemon::{Daemon, Folder, SOON, wait_until};

/// The file of its configuration, in the folder.
pub(crate) const FILE: &str = "controller.toml";

/// A controller with this configuration and nobody's bus: agents are served without one.
pub(crate) fn command(folder: &Folder, config: &str) -> Command {
    folder.command(env!("CARGO_BIN_EXE_unitlink-controller"), FILE, config)
}

/// Starts it.
pub(crate) fn controller(folder: &Folder, config: &str) -> Daemon {
    Daemon::spawn(folder, command(folder, config))
}

/// The same, on the session bus at this address.
pub(crate) fn controller_on_bus(folder: &Folder, config: &str, address: &str) -> Daemon {
    let mut command = command(folder, config);
    command.env("DBUS_SESSION_BUS_ADDRESS", address);
    Daemon::spawn(folder, command)
}

/// The same, which tells a service manager that listens at `notify` in the folder.
pub(crate) fn controller_told_to(folder: &Folder, config: &str, address: &str) -> Daemon {
    let mut command = command(folder, config);
    command
        .env("DBUS_SESSION_BUS_ADDRESS", address)
        .env("NOTIFY_SOCKET", folder.path("notify"));
    Daemon::spawn(folder, command)
}

/// Whether a controller answers at this socket.
pub(crate) fn answers(socket: &Path) -> bool {
    let greet = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(SOON))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        write!(stream, "\0AUTH EXTERNAL {uid}\r\n")?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    greet().is_ok_and(|answer| answer == "OK ")
}
