use super::{Lines, SaslError, Step, hex};

/// The connecting side. It writes everything at once, `BEGIN` included, as sd-bus does: whatever
/// speaks D-Bus accepts that, and it saves a round trip.
#[derive(Clone, Debug)]
pub struct Client {
    lines: Lines,
    first: Vec<u8>,
}

impl Client {
    /// Authenticates as a user of this machine (`EXTERNAL`), which is what systemd, the system bus
    /// and the controller expect. Over TCP nobody can check it.
    pub fn external(uid: u32) -> Self {
        let uid = hex(uid.to_string().as_bytes());
        Self {
            lines: Lines::default(),
            first: format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").into_bytes(),
        }
    }

    /// What is to be written before anything is read.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// Takes bytes of the server. Once the handshake has ended, the result is what followed it:
    /// the beginning of the first message. It fails when the server rejects us, answers with
    /// something else, or exceeds a bound.
    pub fn feed(&mut self, bytes: &[u8]) -> Step<Vec<u8>> {
        self.lines.push(bytes);
        let done = self.answer().transpose();
        let write = Vec::new();
        Step { write, done }
    }

    fn answer(&mut self) -> Result<Option<Vec<u8>>, SaslError> {
        let Some(line) = self.lines.next()? else {
            return Ok(None);
        };
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("OK", _) => Ok(Some(self.lines.rest())),
            ("REJECTED", mechanisms) => {
                Err(SaslError::Rejected(mechanisms.chars().take(64).collect()))
            }
            _ => Err(SaslError::Answer(line.chars().take(64).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn everything_is_written_at_once() {
        assert_eq!(
            Client::external(1000).first(),
            b"\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n"
        );
    }

    #[test]
    fn an_answer_may_be_cut_anywhere() {
        let answer = b"OK 0123456789abcdef0123456789abcdef\r\nl\x01\x02";
        for cut in 0..=answer.len() {
            let mut client = Client::external(0);
            let (first, second) = answer.split_at(cut);
            let mut rest = client.feed(first).done.transpose().expect("fits");
            match &mut rest {
                Some(rest) => rest.extend_from_slice(second),
                None => rest = client.feed(second).done.transpose().expect("fits"),
            }
            assert_eq!(rest.as_deref(), Some(&b"l\x01\x02"[..]), "cut at {cut}");
        }
    }

    #[test_case(
        b"REJECTED EXTERNAL ANONYMOUS\r\n",
        "peer rejected us, it accepts: EXTERNAL ANONYMOUS"
    )]
    #[test_case(b"DATA\r\n", "peer answered \"DATA\" instead of OK")]
    #[test_case(
        b"HTTP/1.1 400 Bad Request\r\n",
        "peer answered \"HTTP/1.1 400 Bad Request\" instead of OK"
    )]
    #[test_case(
        b"\x16\x03\x01\r\n",
        "handshake has a line that is not text: \"\\u{16}\\u{3}\\u{1}\""
    )]
    fn another_answer_is_an_error(answer: &[u8], message: &str) {
        let error = Client::external(0)
            .feed(answer)
            .done
            .expect("ends")
            .expect_err("wrong");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn an_answer_without_an_end_is_bounded() {
        let mut client = Client::external(0);
        let error = (0..100).find_map(|_| client.feed(&[b'a'; 100]).done);
        assert_eq!(error, Some(Err(SaslError::TooLong)));
    }
}
