//! Where a peer is reached, and where a daemon listens.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use thiserror::Error;

/// The longest path of a Unix socket in bytes: `sun_path` holds 108 with its ending NUL, unix(7).
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// Where a peer is reached: a server address of the D-Bus specification, of the transports `unix`
/// (with `path`) and `tcp`.
///
/// It is parsed by [`FromStr`] and written back by [`fmt::Display`] in the same form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `unix:path=/run/unitlink/controller.sock`.
    Unix(PathBuf),
    /// `tcp:host=10.0.0.1,port=842`.
    Tcp {
        /// A host name or an IP address, without brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
        /// Which kind of IP address a host name may resolve to; both when it is not given.
        family: Option<Family>,
    },
}

/// The `family` of a `tcp` address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `ipv4`
    V4,
    /// `ipv6`
    V6,
}

/// Why a text is not an address that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nothing is there.
    #[error("the address is empty, expected one like 'tcp:host=10.0.0.1,port=842'")]
    Empty,
    /// Several addresses in one text.
    #[error("several addresses in one text, write a list: [{0}]")]
    List(String),
    /// There is no `transport:` in front.
    #[error("no transport in front, expected 'unix:path=…' or 'tcp:host=…,port=…'")]
    NoTransport,
    /// Another transport.
    #[error("transport '{0}' is not supported, expected 'unix' or 'tcp'")]
    Transport(String),
    /// Something between commas that has no `=`.
    #[error("'{0}' is not of the form key=value")]
    NotKeyValue(String),
    /// A key that the transport does not have.
    #[error("'{transport}' has no key '{key}', expected {expected}")]
    Key {
        /// The transport.
        transport: &'static str,
        /// The key that was there.
        key: String,
        /// The keys that may be there.
        expected: &'static str,
    },
    /// A key is given twice.
    #[error("'{0}' is given twice")]
    Twice(String),
    /// A key that must be there is not.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// A value has nothing in it.
    #[error("'{0}' is empty")]
    EmptyValue(&'static str),
    /// A character that must be escaped, or an escape that is none.
    #[error("'{0}' is not escaped as an address must be: % and two hexadecimal digits")]
    Escape(String),
    /// A port that is no number from 1 to 65535.
    #[error("port '{0}' is not a number from 1 to 65535")]
    Port(String),
    /// A family that is neither `ipv4` nor `ipv6`.
    #[error("family '{0}' is not known, expected 'ipv4' or 'ipv6'")]
    Family(String),
    /// A host that is neither a name nor an IP address.
    #[error("host '{0}' is neither a host name nor an IP address")]
    Host(String),
    /// An IP address that is not of the given family.
    #[error("host '{host}' is not of family '{family}'")]
    HostFamily {
        /// The IP address.
        host: String,
        /// The family.
        family: Family,
    },
    /// A path that is relative, too long, or has a NUL in it.
    #[error(transparent)]
    Path(#[from] UnixPathError),
    /// Not an IP address with a port.
    #[error(
        "'{0}' is not an IP address and a port, expected one like '10.0.0.1:842' or '[::]:842'"
    )]
    Socket(String),
}

/// Why a path cannot be that of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnixPathError {
    /// It depends on the working directory.
    #[error("path '{}' is not absolute", .0.display())]
    Relative(PathBuf),
    /// It does not fit into `sun_path`.
    #[error("path '{}' has {} bytes, a Unix socket can have {UNIX_PATH_BYTES_MAX}", .0.display(), .0.as_os_str().len())]
    TooLong(PathBuf),
    /// It has a NUL in it.
    #[error("path {0:?} has a NUL in it")]
    Nul(PathBuf),
}

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenAddress {
    /// A Unix socket, from a path.
    Unix(PathBuf),
    /// A TCP port, from a text like `[::]:842`. An unspecified IPv6 address takes IPv4 as well.
    Tcp(SocketAddr),
}

impl ListenAddress {
    /// A Unix socket at a path.
    ///
    /// # Errors
    ///
    /// Fails when the path is relative, too long, or has a NUL in it.
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, UnixPathError> {
        unix_path(path.into()).map(Self::Unix)
    }

    /// A TCP port, as `ADDRESS:PORT`; IPv6 addresses are in brackets.
    ///
    /// # Errors
    ///
    /// Fails when the text is not an IP address and a port, or the port is 0.
    pub fn tcp(text: &str) -> Result<Self, AddressError> {
        let address: SocketAddr = text
            .parse()
            .map_err(|_| AddressError::Socket(text.to_owned()))?;
        match address.port() {
            0 => Err(AddressError::Port("0".to_owned())),
            _ => Ok(Self::Tcp(address)),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.contains(';') {
            let parts: Vec<_> = text.split(';').filter(|part| !part.is_empty()).collect();
            let quoted: Vec<_> = parts.iter().map(|part| format!("{part:?}")).collect();
            return Err(AddressError::List(quoted.join(", ")));
        }
        let (transport, rest) = text.split_once(':').ok_or(AddressError::NoTransport)?;
        match transport {
            "unix" => {
                let [path] = values("unix", rest, ["path"], "'path'")?;
                Ok(Self::Unix(unix_path(required("path", path)?.into())?))
            }
            "tcp" => {
                let keys = ["host", "port", "family"];
                let [host, port, family] = values("tcp", rest, keys, "'host', 'port' or 'family'")?;
                tcp(required("host", host)?, required("port", port)?, family)
            }
            other => Err(AddressError::Transport(other.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => {
                f.write_str("unix:path=")?;
                escape(f, path.as_os_str().as_encoded_bytes())
            }
            Self::Tcp { host, port, family } => {
                f.write_str("tcp:host=")?;
                escape(f, host.as_bytes())?;
                write!(f, ",port={port}")?;
                match family {
                    Some(family) => write!(f, ",family={family}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn tcp(host: String, port: String, family: Option<String>) -> Result<Address, AddressError> {
    let family = match family.as_deref() {
        None => None,
        Some("ipv4") => Some(Family::V4),
        Some("ipv6") => Some(Family::V6),
        Some(_) => return Err(AddressError::Family(family.unwrap_or_default())),
    };
    let port = match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => number,
        Ok(_) | Err(_) => return Err(AddressError::Port(port)),
    };
    match (host.parse::<std::net::IpAddr>(), family) {
        (Ok(ip), Some(family)) if ip.is_ipv4() != (family == Family::V4) => {
            return Err(AddressError::HostFamily { host, family });
        }
        (Ok(_), _) => {}
        // An IPv6 address with a zone is left to the resolver, getaddrinfo(3).
        (Err(_), _) if is_host_name(&host) || host.contains("%") && host.contains(':') => {}
        (Err(_), _) => return Err(AddressError::Host(host)),
    }
    Ok(Address::Tcp { host, port, family })
}

/// What hostname(7) allows, and `_`, which real names have.
fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host
            .strip_suffix('.')
            .unwrap_or(host)
            .split('.')
            .all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
}

fn unix_path(path: PathBuf) -> Result<PathBuf, UnixPathError> {
    if !path.is_absolute() {
        return Err(UnixPathError::Relative(path));
    }
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.contains(&0) {
        return Err(UnixPathError::Nul(path));
    }
    if bytes.len() > UNIX_PATH_BYTES_MAX {
        return Err(UnixPathError::TooLong(path));
    }
    Ok(path)
}

fn required(key: &'static str, value: Option<String>) -> Result<String, AddressError> {
    match value {
        None => Err(AddressError::Missing(key)),
        Some(value) if value.is_empty() => Err(AddressError::EmptyValue(key)),
        Some(value) => Ok(value),
    }
}

/// The values of `keys` in `key=value,key=value`, in the order of `keys`.
fn values<const N: usize>(
    transport: &'static str,
    text: &str,
    keys: [&'static str; N],
    expected: &'static str,
) -> Result<[Option<String>; N], AddressError> {
    let mut found = [const { None }; N];
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| AddressError::NotKeyValue(pair.to_owned()))?;
        let slot = keys
            .iter()
            .zip(&mut found)
            .find(|(known, _)| **known == key);
        let Some((_, slot)) = slot else {
            // Every address may say the identity of its server; nobody here asks for it.
            if key == "guid" {
                continue;
            }
            let key = key.to_owned();
            return Err(AddressError::Key {
                transport,
                key,
                expected,
            });
        };
        if slot.is_some() {
            return Err(AddressError::Twice(key.to_owned()));
        }
        *slot = Some(unescape(value)?);
    }
    Ok(found)
}

/// The bytes that stand for themselves in a value, D-Bus specification, "Server Addresses". Colons
/// must be escaped by the letter of it, but `host=::1` is what people write and what sd-bus takes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_/.\\*:".contains(&byte)
}

fn unescape(value: &str) -> Result<String, AddressError> {
    let wrong = || AddressError::Escape(value.to_owned());
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
        } else if is_plain(byte) {
            bytes.push(byte);
        } else {
            return Err(wrong());
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for &byte in bytes {
        if is_plain(byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
