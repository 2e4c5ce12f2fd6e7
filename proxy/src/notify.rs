//! The status text of the unit, sd_notify(3).

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Sets the status text that `systemctl status` shows. Without a service manager, or if it does not
/// listen, nothing happens: the text is a courtesy.
pub(crate) fn status(text: &str) {
    if let Some(socket) = env::var_os("NOTIFY_SOCKET") {
        let line = text.replace('\n', " ");
        let _ = send(&socket, &format!("STATUS={line}"));
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    // `@` stands for the NUL with which an abstract address begins, unix(7).
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // A service manager that does not read must not hold up a start.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("unitlink-proxy-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("address");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        send(OsStr::new(&format!("@{name}")), "STATUS=x").expect("sent");
        let mut got = [0; 16];
        assert_eq!(manager.recv(&mut got).expect("received"), 8);
        assert_eq!(&got[..8], b"STATUS=x");
    }
}
