//! Servers that are known to take passed sockets, and to be started with an address instead. The
//! launcher listens on that address for them, and passes the socket: the same command line then loses
//! nothing at a reload, where two of the servers at once would take the path from each other.

use std::{net::ToSocketAddrs as _, path::Path};

use crate::settings::{Address, Listen};

/// Where a command of gunicorn is told to bind; nothing if it is another command, or if one of the
/// addresses is not understood. gunicorn leaves `--bind` alone when it is passed sockets.
pub(crate) fn gunicorn(command: &[String]) -> Option<Vec<Listen>> {
    let file = |it: &String| Path::new(it).file_name()?.to_str().map(str::to_owned);
    let name = file(command.first()?)?;
    let is_module = name.starts_with("python")
        && command.get(1).map(String::as_str) == Some("-m")
        && command.get(2).map(String::as_str) == Some("gunicorn");
    let rest = match (name.as_str(), is_module) {
        ("gunicorn", _) => command.get(1..)?,
        (_, true) => command.get(3..)?,
        // A script of an environment, called by its interpreter.
        _ if name.starts_with("python") && file(command.get(1)?)? == "gunicorn" => {
            command.get(2..)?
        }
        _ => return None,
    };
    let mut addresses = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let value = match word.as_str() {
            "-b" | "--bind" => words.next()?.as_str(),
            other => match other.strip_prefix("--bind=") {
                Some(value) => value,
                None => continue,
            },
        };
        addresses.push(Listen {
            name: "gunicorn".to_owned(),
            address: address(value)?,
        });
    }
    (!addresses.is_empty()).then_some(addresses)
}

fn address(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(Address::Unix(path.into()));
    }
    let with_port = if text.contains(':') {
        text.to_owned()
    } else {
        // gunicorn's own default.
        format!("{text}:8000")
    };
    let with_host = if with_port.starts_with(':') {
        format!("0.0.0.0{with_port}")
    } else {
        with_port
    };
    with_host.to_socket_addrs().ok()?.next().map(Address::Tcp)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn of(line: &str) -> Option<Vec<String>> {
        let command: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let listen = gunicorn(&command)?;
        Some(listen.iter().map(|it| it.address.to_string()).collect())
    }

    #[test_case("gunicorn myapp:application --bind unix:/tmp/myapp.sock", &["/tmp/myapp.sock"])]
    #[test_case("/srv/venv/bin/gunicorn -b 127.0.0.1:80 --bind=[::1]:81 a:b", &["127.0.0.1:80", "[::1]:81"])]
    #[test_case("python3 -m gunicorn -b :80 a:b", &["0.0.0.0:80"])]
    #[test_case("python /x/gunicorn -b 127.0.0.1 a:b", &["127.0.0.1:8000"])]
    fn addresses_of_gunicorn(line: &str, addresses: &[&str]) {
        assert_eq!(of(line).expect("understood"), addresses);
    }

    #[test_case("gunicorn a:b"; "none is given")]
    #[test_case("gunicorn -b fd://3 a:b"; "a descriptor")]
    #[test_case("uvicorn --bind 127.0.0.1:80"; "another server")]
    fn left_alone(line: &str) {
        assert_eq!(of(line), None);
    }
}
