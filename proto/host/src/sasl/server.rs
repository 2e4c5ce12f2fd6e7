use std::fmt;

use super::{Lines, SaslError, Step, hex, unhex};

const REJECTED: &str = "REJECTED EXTERNAL ANONYMOUS\r\n";

/// The identity of a server, as `OK` tells it: 128 bits that nobody here compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid(u128);

impl Guid {
    /// From random bits.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0.to_be_bytes()))
    }
}

/// What the machine knows of the client before it has said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine. What counts is what the kernel says, whatever it claims.
    Local {
        /// Its user, by `SO_PEERCRED`.
        uid: u32,
        /// Whether this user may connect at all: the caller's decision.
        allowed: bool,
    },
    /// Somebody without credentials. Whom to believe is decided above.
    Remote,
}

/// How a client authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// As a user, by credentials of the socket.
    External,
    /// As nobody in particular.
    Anonymous,
}

/// How the handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// By what.
    pub mechanism: Mechanism,
    /// What followed `BEGIN`: the beginning of the first message.
    pub rest: Vec<u8>,
}

/// The accepting side.
#[derive(Clone, Debug)]
pub struct Server {
    guid: Guid,
    peer: Peer,
    lines: Lines,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Nul,
    Auth,
    Data(Mechanism),
    Begin(Mechanism),
    /// It is over; nothing is read any more.
    Done,
}

impl Server {
    /// Waits for a client.
    pub fn new(guid: Guid, peer: Peer) -> Self {
        Self {
            guid,
            peer,
            lines: Lines::default(),
            state: State::Nul,
        }
    }

    /// Takes bytes of the client. It ends with an error when the client breaks the protocol or
    /// exceeds a bound.
    pub fn feed(&mut self, bytes: &[u8]) -> Step<Authenticated> {
        let mut write = String::new();
        let done = self.answer(bytes, &mut write).transpose();
        if done.is_some() {
            self.state = State::Done;
        }
        let write = write.into_bytes();
        Step { write, done }
    }

    fn answer(
        &mut self,
        mut bytes: &[u8],
        write: &mut String,
    ) -> Result<Option<Authenticated>, SaslError> {
        if let State::Nul = self.state
            && let Some((first, rest)) = bytes.split_first()
        {
            if *first != 0 {
                return Err(SaslError::NoNul(*first));
            }
            self.state = State::Auth;
            bytes = rest;
        }
        self.lines.push(bytes);
        while !matches!(self.state, State::Nul | State::Done)
            && let Some(line) = self.lines.next()?
        {
            let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match (command, self.state) {
                ("BEGIN", State::Begin(mechanism)) => {
                    let rest = self.lines.rest();
                    return Ok(Some(Authenticated { mechanism, rest }));
                }
                ("BEGIN", _) => return Err(SaslError::NotAuthenticated),
                ("AUTH", State::Auth) => write.push_str(&self.auth(argument)),
                ("DATA", State::Data(mechanism)) => {
                    write.push_str(&self.response(mechanism, argument));
                }
                ("CANCEL", State::Data(_) | State::Begin(_)) | ("ERROR", _) => {
                    self.state = State::Auth;
                    write.push_str(REJECTED);
                }
                ("NEGOTIATE_UNIX_FD", State::Begin(_)) => {
                    write.push_str("ERROR \"no descriptors are passed\"\r\n");
                }
                (_, _) => write.push_str("ERROR \"not expected\"\r\n"),
            }
        }
        Ok(None)
    }

    fn auth(&mut self, argument: &str) -> String {
        let (mechanism, response) = match argument.split_once(' ') {
            Some((mechanism, response)) => (mechanism, Some(response)),
            None => (argument, None),
        };
        let mechanism = match mechanism {
            "EXTERNAL" => Mechanism::External,
            "ANONYMOUS" => Mechanism::Anonymous,
            _ => return REJECTED.to_owned(),
        };
        match response {
            Some(response) => self.response(mechanism, response),
            None => {
                self.state = State::Data(mechanism);
                "DATA\r\n".to_owned()
            }
        }
    }

    fn response(&mut self, mechanism: Mechanism, response: &str) -> String {
        let Some(claim) = unhex(response) else {
            self.state = State::Auth;
            return REJECTED.to_owned();
        };
        if self.accepts(mechanism, &claim) {
            self.state = State::Begin(mechanism);
            format!("OK {}\r\n", self.guid)
        } else {
            self.state = State::Auth;
            REJECTED.to_owned()
        }
    }

    fn accepts(&self, mechanism: Mechanism, claim: &[u8]) -> bool {
        match (self.peer, mechanism) {
            (Peer::Remote, Mechanism::External | Mechanism::Anonymous) => true,
            // The response to ANONYMOUS is a trace for logs, RFC 4505.
            (Peer::Local { allowed, .. }, Mechanism::Anonymous) => allowed,
            (Peer::Local { uid, allowed }, Mechanism::External) => {
                allowed && (claim.is_empty() || claim == uid.to_string().as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    const GUID: &str = "00000000000000000000000000000001";
    const LOCAL: Peer = Peer::Local {
        uid: 1000,
        allowed: true,
    };
    const SD_BUS: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";

    fn server(peer: Peer) -> Server {
        Server::new(Guid::from_bits(1), peer)
    }

    /// What the server wrote, with the guid shortened, and how it ended.
    fn say(server: &mut Server, bytes: &[u8]) -> (String, Option<Authenticated>) {
        let step = server.feed(bytes);
        let text = String::from_utf8(step.write).expect("text");
        let text = text.replace(GUID, "1").replace("\r\n", "|");
        (
            text.replace(" \"no descriptors are passed\"", " fd")
                .replace(" \"not expected\"", ""),
            step.done.transpose().expect("keeps the protocol"),
        )
    }

    #[test_case(LOCAL, SD_BUS, "DATA|OK 1|ERROR fd|"; "sd-bus, all in one write")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n", "OK 1|"; "ours")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL \r\nBEGIN\r\n", "OK 1|"; "an empty initial response")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL\r\nDATA 31303030\r\nBEGIN\r\n", "DATA|OK 1|"; "the user in DATA")]
    #[test_case(LOCAL, b"\0AUTH\r\nAUTH EXTERNAL 31303030\r\nBEGIN\r\n", "REJECTED EXTERNAL ANONYMOUS|OK 1|"; "asking for mechanisms first")]
    #[test_case(LOCAL, b"\0AUTH DBUS_COOKIE_SHA1 31\r\nAUTH ANONYMOUS 61\r\nBEGIN\r\n", "REJECTED EXTERNAL ANONYMOUS|OK 1|"; "another mechanism first")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL 30\r\nAUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", "REJECTED EXTERNAL ANONYMOUS|DATA|OK 1|"; "another user claimed first")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL\r\nCANCEL\r\nAUTH ANONYMOUS\r\nDATA\r\nBEGIN\r\n", "DATA|REJECTED EXTERNAL ANONYMOUS|DATA|OK 1|"; "cancelled")]
    #[test_case(LOCAL, b"\0HELLO\r\nAUTH EXTERNAL 31303030\r\nBEGIN\r\n", "ERROR|OK 1|"; "an unknown command")]
    #[test_case(Peer::Remote, b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n", "OK 1|"; "any user over the network")]
    #[test_case(Peer::Remote, b"\0AUTH ANONYMOUS\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", "DATA|OK 1|ERROR fd|"; "sd-bus anonymous")]
    fn clients_are_let_in_however_they_are_cut(peer: Peer, bytes: &[u8], expected: &str) {
        let message = b"l\x01\0\x01";
        for cut in 0..=bytes.len() {
            let mut server = server(peer);
            let (first, second) = bytes.split_at(cut);
            let (mut written, mut done) = say(&mut server, first);
            if done.is_none() {
                let (more, end) = say(&mut server, &[second, message].concat());
                written.push_str(&more);
                done = end;
                assert_eq!(done.as_ref().map(|done| &done.rest[..]), Some(&message[..]));
            }
            assert_eq!(written, expected, "cut at {cut}");
            assert!(done.is_some(), "cut at {cut}");
        }
    }

    #[test_case(LOCAL, b"\0AUTH EXTERNAL 30\r\n"; "another user")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL 3\r\n"; "half a byte")]
    #[test_case(LOCAL, b"\0AUTH EXTERNAL zz\r\n"; "not hexadecimal")]
    #[test_case(Peer::Local { uid: 0, allowed: false }, b"\0AUTH EXTERNAL 30\r\n"; "a user who may not")]
    #[test_case(Peer::Local { uid: 0, allowed: false }, b"\0AUTH ANONYMOUS 30\r\n"; "a user who may not and hides")]
    fn who_may_not_is_rejected(peer: Peer, bytes: &[u8]) {
        let mut server = server(peer);
        assert_eq!(
            say(&mut server, bytes),
            ("REJECTED EXTERNAL ANONYMOUS|".to_owned(), None)
        );
        assert_eq!(
            server.feed(b"BEGIN\r\n").done,
            Some(Err(SaslError::NotAuthenticated))
        );
    }

    #[test_case(b"GET / HTTP/1.1\r\n", SaslError::NoNul(b'G'))]
    #[test_case(b"\0BEGIN\r\n", SaslError::NotAuthenticated)]
    #[test_case(b"\0AUTH \xff\r\n", SaslError::NotText("AUTH \u{fffd}".to_owned()))]
    #[test_case(b"\0AUTH EXTERNAL\nBEGIN\r\n", SaslError::NotText("AUTH EXTERNAL\nBEGIN".to_owned()))]
    #[test_case(&[0; 5000], SaslError::TooLong)]
    fn who_breaks_the_protocol_is_dropped(bytes: &[u8], error: SaslError) {
        assert_eq!(server(LOCAL).feed(bytes).done, Some(Err(error)));
    }

    #[test]
    fn who_is_rejected_is_told_so_though_it_began_already() {
        let step = server(LOCAL).feed(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n");
        assert_eq!(step.write, REJECTED.as_bytes());
        assert_eq!(step.done, Some(Err(SaslError::NotAuthenticated)));
    }

    #[test]
    fn who_never_begins_is_dropped() {
        let mut server = server(LOCAL);
        assert_eq!(server.feed(b"\0").done, None);
        let error = (0..20).find_map(|_| server.feed(b"AUTH\r\n").done);
        assert_eq!(error, Some(Err(SaslError::TooManyLines)));
    }

    #[test]
    fn a_first_message_may_be_longer_than_a_handshake() {
        let mut server = server(LOCAL);
        let (_, done) = say(&mut server, &[SD_BUS, &[7; 10_000]].concat());
        assert_eq!(done.expect("let in").rest.len(), 10_000);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(pieces: Vec<Vec<u8>>, words in "(AUTH|DATA|BEGIN|CANCEL|ERROR| |EXTERNAL|ANONYMOUS|3|0|\r\n){0,40}") {
            let mut server = server(Peer::Remote);
            let _ = server.feed(b"\0");
            let _ = server.feed(words.as_bytes());
            for piece in pieces {
                let _ = server.feed(&piece);
            }
        }
    }
}
