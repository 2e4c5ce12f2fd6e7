//! A peer of the controller, byte by byte as sd-bus writes it, and not by the code that is tested.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tests::fleet::Fleet;

const CONTROLLER_PATH: &str = "/org/eclipse/bluechi/internal";
const CONTROLLER: &str = "org.eclipse.bluechi.internal.Controller";
const AGENT_PATH: &str = "/org/eclipse/bluechi/internal/agent";
const AGENT: &str = "org.eclipse.bluechi.internal.Agent";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A TCP connection to the controller on `main`.
pub(crate) struct Peer {
    stream: TcpStream,
    serial: u32,
    /// Whether a thread says that it lives.
    kept_alive: bool,
}

/// A message that came, as far as these tests look at it.
#[derive(Debug)]
pub(crate) struct Message {
    /// 1 a call, 2 a return, 3 an error, 4 a signal.
    pub(crate) kind: u8,
    pub(crate) serial: u32,
    /// The header's fields: path, names, signature, as text.
    pub(crate) header: String,
    pub(crate) body: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(fleet: &Fleet) -> Result<Self> {
        let address = fleet.node("main").address();
        let stream = fleet.connect((address, 842).into())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            serial: 0,
            kept_alive: false,
        })
    }

    /// Where it connects from, as the controller sees it.
    pub(crate) fn address(&self) -> Result<String> {
        Ok(self.stream.local_addr()?.to_string())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("cannot write")
    }

    /// The handshake and the registration in one segment, before anything was read.
    pub(crate) fn register(&mut self, name: &str) -> Result<()> {
        let mut segment = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".to_vec();
        let mut body = Vec::new();
        put_string(&mut body, name);
        segment.extend(self.call(CONTROLLER_PATH, CONTROLLER, "Register", "s", &body));
        self.write(&segment)
    }

    /// Reads what the controller says before the first message.
    pub(crate) fn read_handshake(&mut self) -> Result<()> {
        let mut said = Vec::new();
        // "DATA\r\nOK <32 digits>\r\n": two lines.
        while said.iter().filter(|byte| **byte == b'\n').count() < 2 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            said.extend(byte);
            ensure!(said.len() < 1000, "no end of the handshake");
        }
        let said = String::from_utf8_lossy(&said);
        ensure!(
            said.starts_with("DATA\r\nOK ") && said.len() == "DATA\r\nOK \r\n".len() + 32,
            "{said:?}"
        );
        Ok(())
    }

    /// Reads one message.
    pub(crate) fn read(&mut self) -> Result<Message> {
        let mut fixed = [0; 16];
        self.stream.read_exact(&mut fixed).context("no message")?;
        let [order, kind, _, version, rest @ ..] = fixed;
        ensure!((order, version) == (b'l', 1), "{fixed:?}");
        let (body, serial, fields) = (number(&rest, 0)?, number(&rest, 4)?, number(&rest, 8)?);
        let mut header = vec![0; usize::try_from(fields.next_multiple_of(8))?];
        self.stream.read_exact(&mut header)?;
        let mut text = vec![0; usize::try_from(body)?];
        self.stream.read_exact(&mut text)?;
        Ok(Message {
            kind,
            serial,
            header: String::from_utf8_lossy(&header).into_owned(),
            body: text,
        })
    }

    /// Reads messages until one is of this kind, and has this word in its header.
    pub(crate) fn read_until(&mut self, kind: u8, word: &str) -> Result<Message> {
        for _ in 0..100 {
            let message = self.read()?;
            if message.kind == kind && message.header.contains(word) {
                return Ok(message);
            }
        }
        bail!("no message of kind {kind} with {word}")
    }

    /// Waits for the controller to close the connection; what it says until then is dropped.
    pub(crate) fn read_to_end(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error).context("the connection was not closed"),
            }
        }
    }

    /// Answers a call without a result.
    pub(crate) fn answer(&mut self, call: &Message) -> Result<()> {
        let mut fields = Vec::new();
        put_field(&mut fields, 5, "u", |out| {
            out.extend(call.serial.to_le_bytes())
        });
        let bytes = self.message(2, &fields, &[]);
        self.write(&bytes)
    }

    /// Emits a signal as an agent.
    pub(crate) fn emit(&mut self, member: &str, signature: &str, body: &[u8]) -> Result<()> {
        let fields = address(AGENT_PATH, AGENT, member, signature);
        let bytes = self.message(4, &fields, body);
        self.write(&bytes)
    }

    /// Says that it lives from now on, whatever else it does, until it is dropped.
    pub(crate) fn keep_alive(&mut self) -> Result<()> {
        let fields = address(AGENT_PATH, AGENT, "Heartbeat", "");
        let bytes = self.message(4, &fields, &[]);
        let mut stream = self.stream.try_clone()?;
        self.kept_alive = true;
        std::thread::spawn(move || {
            // Short writes to a socket are not torn by those of another thread.
            while stream.write_all(&bytes).is_ok() {
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        Ok(())
    }

    /// The bytes of a call.
    fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: &[u8],
    ) -> Vec<u8> {
        let mut fields = address(path, interface, member, signature);
        put_field(&mut fields, 6, "s", |out| {
            put_string(out, "org.eclipse.bluechi")
        });
        self.message(1, &fields, body)
    }

    fn message(&mut self, kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
        self.serial += 1;
        let mut bytes = vec![b'l', kind, 0, 1];
        bytes.extend(u32::try_from(body.len()).expect("short").to_le_bytes());
        bytes.extend(self.serial.to_le_bytes());
        bytes.extend(u32::try_from(fields.len()).expect("short").to_le_bytes());
        bytes.extend(fields);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        bytes
    }
}

/// The header of a message that announces a body of so many bytes.
pub(crate) fn announcement(body: u32) -> Vec<u8> {
    let fields = address(CONTROLLER_PATH, CONTROLLER, "Register", "s");
    let mut bytes = vec![b'l', 1, 0, 1];
    bytes.extend(body.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(u32::try_from(fields.len()).expect("short").to_le_bytes());
    bytes.extend(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// The texts and the number of the body of `StartUnit` and its likes: unit, mode, job.
pub(crate) fn job_of(call: &Message) -> Result<(String, u32)> {
    let unit_length = usize::try_from(number(&call.body, 0)?)?;
    let unit = call.body.get(4..4 + unit_length).context("no unit")?;
    let mode_at = (4 + unit_length + 1).next_multiple_of(4);
    let mode_length = usize::try_from(number(&call.body, mode_at)?)?;
    let job_at = (mode_at + 4 + mode_length + 1).next_multiple_of(4);
    Ok((
        String::from_utf8(unit.to_vec())?,
        number(&call.body, job_at)?,
    ))
}

/// The body of `JobDone`.
pub(crate) fn job_done(job: u32, result: &str) -> Vec<u8> {
    let mut body = job.to_le_bytes().to_vec();
    put_string(&mut body, result);
    body
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.kept_alive {
            // It fails when the other side has closed it.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// The body of a signal or a call of strings and object paths, which are written alike.
pub(crate) fn texts(texts: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in texts {
        put_string(&mut body, text);
    }
    body
}

/// The strings in the body of a call of strings only.
pub(crate) fn texts_of(message: &Message) -> Result<Vec<String>> {
    let (mut texts, mut at) = (Vec::new(), 0);
    while at < message.body.len() {
        let begin = at + 4;
        let end = begin + usize::try_from(number(&message.body, at)?)?;
        let text = message.body.get(begin..end).context("no text")?;
        texts.push(String::from_utf8(text.to_vec())?);
        at = (end + 1).next_multiple_of(4);
    }
    Ok(texts)
}

fn address(path: &str, interface: &str, member: &str, signature: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    put_field(&mut fields, 1, "o", |out| put_string(out, path));
    put_field(&mut fields, 2, "s", |out| put_string(out, interface));
    put_field(&mut fields, 3, "s", |out| put_string(out, member));
    if !signature.is_empty() {
        put_field(&mut fields, 8, "g", |out| put_signature(out, signature));
    }
    fields
}

fn put_field(out: &mut Vec<u8>, code: u8, signature: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.resize(out.len().next_multiple_of(8), 0);
    out.push(code);
    put_signature(out, signature);
    out.resize(
        out.len()
            .next_multiple_of(if signature == "g" { 1 } else { 4 }),
        0,
    );
    value(out);
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
    out.extend(text.as_bytes());
    out.push(0);
}

fn put_signature(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("short"));
    out.extend(text.as_bytes());
    out.push(0);
}

fn number(bytes: &[u8], at: usize) -> Result<u32> {
    let four = bytes.get(at..at + 4).context("too short for a number")?;
    Ok(u32::from_le_bytes(four.try_into()?))
}
