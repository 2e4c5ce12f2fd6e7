//! Whether a worker is ready, asked from outside. Each question is a process of its own, so that the
//! launcher itself never waits for a network.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
};

use crate::limits::CONNECT_TIME;

/// What is connected to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Tcp(&'a str),
    Unix(&'a str),
    /// The address, and the path of the page.
    Http(&'a str, &'a str),
}

impl<'a> Target<'a> {
    /// Reads `tcp:HOST:PORT`, `unix:PATH` or `http://HOST:PORT/PATH`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let has_port = |it: &str| {
            let port = it
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            port.is_some_and(|(host, port)| !host.is_empty() && port > 0)
        };
        match text.split_once(':')? {
            ("tcp", address) if has_port(address) => Some(Self::Tcp(address)),
            ("unix", path) if path.starts_with('/') => Some(Self::Unix(path)),
            ("http", rest) => {
                let rest = rest.strip_prefix("//")?;
                let at = rest.find('/').unwrap_or(rest.len());
                let (address, page) = rest.split_at(at);
                let page = if page.is_empty() { "/" } else { page };
                has_port(address).then_some(Self::Http(address, page))
            }
            _ => None,
        }
    }

    /// Asks once.
    pub(crate) fn ask(&self) -> io::Result<()> {
        match self {
            Self::Tcp(address) => connect(address).map(drop),
            Self::Unix(path) => UnixStream::connect(path).map(drop),
            Self::Http(address, page) => http(address, page),
        }
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A page that is there, in any of the ways in which a server says so.
fn http(address: &str, page: &str) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(CONNECT_TIME))?;
    stream.set_write_timeout(Some(CONNECT_TIME))?;
    let request = format!(
        "GET {page} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: unitlink-launcher\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    match (answer.get(..7), answer.get(9)) {
        (Some(b"HTTP/1."), Some(b'2' | b'3')) => Ok(()),
        _ => Err(io::Error::other(format!(
            "the answer begins with {:?}",
            String::from_utf8_lossy(&answer)
        ))),
    }
}

/// How a probe that is under way, or waits for its turn, stands.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The process that asks, and since when; or when the next one does.
    pub(crate) state: AskingState,
    /// How many in a row have succeeded.
    pub(crate) succeeded: u32,
    pub(crate) wanted: u32,
}

#[derive(Debug)]
pub(crate) enum AskingState {
    Running {
        pid: rustix::process::Pid,
        until: proto::time::Moment,
    },
    Waiting {
        at: proto::time::Moment,
    },
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("tcp:localhost:80" => Some(Target::Tcp("localhost:80")))]
    #[test_case("tcp:[::1]:80" => Some(Target::Tcp("[::1]:80")); "of ipv6")]
    #[test_case("unix:/run/x" => Some(Target::Unix("/run/x")))]
    #[test_case("http://h:8080/a/b" => Some(Target::Http("h:8080", "/a/b")))]
    #[test_case("http://h:8080" => Some(Target::Http("h:8080", "/")); "without a page")]
    #[test_case("http://h/" => None; "no port")]
    #[test_case("tcp:80" => None; "only a port")]
    #[test_case("unix:x" => None; "no absolute path")]
    #[test_case("udp:h:1" => None)]
    fn targets(text: &str) -> Option<Target<'_>> {
        Target::parse(text)
    }

    #[test]
    fn pages_are_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address").to_string();
        let server = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 No\r\n\r\n"] {
                let (mut stream, _) = listener.accept().expect("accepted");
                let mut request = [0; 512];
                let read = stream.read(&mut request).expect("read");
                assert!(request[..read].starts_with(b"GET /ready HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        let text = format!("http://{address}/ready");
        let target = Target::parse(&text).expect("parsed");
        assert!(target.ask().is_ok());
        assert!(target.ask().is_err());
        server.join().expect("served");
        assert!(target.ask().is_err(), "nobody listens");
    }
}
