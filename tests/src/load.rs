//! A client that hides nothing: it never tries again, counts each request that was not answered by
//! what it was doing at that moment, and measures from when a request was due. Usual clients connect
//! again and send once more, which is what a reload that loses requests is hidden by.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Whom to ask.
#[derive(Clone, Debug)]
pub enum Target {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a socket in the file system.
    Unix(PathBuf),
}

/// How requests are made.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whom to ask.
    pub target: Target,
    /// Which page.
    pub page: String,
    /// How many at once.
    pub clients: u32,
    /// Whether a connection is used again.
    pub is_kept: bool,
    /// When the next request is made.
    pub pace: Pace,
}

/// When the next request is made.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So long after the answer to the one before.
    Closed(Duration),
    /// So many each second by all clients together, whether answers come or not.
    Open(u32),
}

/// What a request was at when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connecting.
    Connect,
    /// Sending the request.
    Write,
    /// Waiting for the answer, on a connection that was made for it.
    ReadFresh,
    /// Waiting for the answer, on a connection on which there had been one before.
    ReadReused,
    /// It was answered with another status than 200.
    Status,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many requests were answered.
    pub answered: u64,
    /// How many were not, by what they were at.
    pub lost: BTreeMap<Phase, u64>,
    /// The first few of them, with when and why.
    pub examples: Vec<String>,
    /// How many connections were made.
    pub connections: u64,
    /// Times of the answered ones, in microseconds, sorted.
    micros: Vec<u32>,
    /// The longest time in which nothing was answered.
    pub gap: Duration,
}

/// A load that runs.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    pulse: Arc<Mutex<Pulse>>,
    threads: Vec<JoinHandle<Report>>,
}

/// What all clients together have come to.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    /// When one of them was answered last.
    last: Instant,
    /// The longest time between two answers.
    gap: Duration,
    answered: u64,
}

const TIMEOUT: Duration = Duration::from_secs(30);
const EXAMPLES_MAX: usize = 10;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Load {
    /// New connections, one after the other.
    pub fn new(target: Target, clients: u32) -> Self {
        Self {
            target,
            page: "/".to_owned(),
            clients,
            is_kept: false,
            pace: Pace::Closed(Duration::ZERO),
        }
    }

    /// Kept connections, with a while between two requests.
    #[must_use]
    pub fn kept(self, think: Duration) -> Self {
        Self {
            is_kept: true,
            pace: Pace::Closed(think),
            ..self
        }
    }

    /// So many requests each second.
    #[must_use]
    pub fn open(self, per_second: u32) -> Self {
        Self {
            pace: Pace::Open(per_second),
            ..self
        }
    }

    /// Begins.
    pub fn start(self) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let pulse = Arc::new(Mutex::new(Pulse {
            last: begun,
            gap: Duration::ZERO,
            answered: 0,
        }));
        let client = |number: u32| {
            let (load, stop, pulse) = (self.clone(), Arc::clone(&stop), Arc::clone(&pulse));
            thread::spawn(move || Client::new(load, number, begun, pulse).run(&stop))
        };
        let threads = (0..self.clients).map(client).collect();
        Running {
            stop,
            pulse,
            threads,
        }
    }
}

impl Running {
    /// How many requests have been answered so far.
    pub fn answered(&self) -> u64 {
        let pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.answered
    }

    /// Ends it, and says what came of it.
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        for thread in self.threads {
            // A client that panics is a mistake of this file.
            let Ok(report) = thread.join() else {
                *all.lost.entry(Phase::Status).or_default() += 1;
                all.examples.push("a client panicked".to_owned());
                continue;
            };
            all.answered += report.answered;
            all.connections += report.connections;
            for (phase, count) in report.lost {
                *all.lost.entry(phase).or_default() += count;
            }
            all.micros.extend(report.micros);
            all.examples.extend(report.examples);
            all.gap = all.gap.max(report.gap);
        }
        all.examples.truncate(EXAMPLES_MAX);
        all.micros.sort_unstable();
        all
    }
}

impl Report {
    /// How many requests were not answered.
    pub fn losses(&self) -> u64 {
        self.lost.values().sum()
    }

    /// So many of a thousand answers took no longer than this.
    pub fn permille(&self, share: usize) -> Duration {
        let last = self.micros.len().saturating_sub(1);
        let at = self.micros.len() * share / 1000;
        let micros = self.micros.get(at.min(last)).copied().unwrap_or(0);
        Duration::from_micros(u64::from(micros))
    }

    /// The slowest answer.
    pub fn slowest(&self) -> Duration {
        self.permille(1000)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "{} answered over {} connections, {} lost, median {:.1} ms, p99 {:.1} ms, max {:.1} ms, longest gap {:.1} ms",
            self.answered,
            self.connections,
            self.losses(),
            millis(self.permille(500)),
            millis(self.permille(990)),
            millis(self.slowest()),
            millis(self.gap),
        )?;
        for (phase, count) in &self.lost {
            write!(f, "; {phase:?} {count}")?;
        }
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        Ok(())
    }
}

struct Client {
    load: Load,
    number: u32,
    begun: Instant,
    report: Report,
    stream: Option<Stream>,
    pulse: Arc<Mutex<Pulse>>,
}

impl Client {
    fn new(load: Load, number: u32, begun: Instant, pulse: Arc<Mutex<Pulse>>) -> Self {
        Self {
            load,
            number,
            begun,
            report: Report::default(),
            stream: None,
            pulse,
        }
    }

    fn run(mut self, stop: &AtomicBool) -> Report {
        let mut turn = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = match self.load.pace {
                Pace::Closed(think) => {
                    if turn > 0 {
                        thread::sleep(think);
                    }
                    Instant::now()
                }
                Pace::Open(per_second) => {
                    let number = u64::from(self.number) + turn * u64::from(self.load.clients);
                    let due = self.begun + Duration::from_secs(number) / per_second.max(1);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    due
                }
            };
            turn += 1;
            match self.request() {
                Ok(()) => self.answered(due),
                Err((phase, error)) => {
                    self.stream = None;
                    *self.report.lost.entry(phase).or_default() += 1;
                    if self.report.examples.len() < EXAMPLES_MAX {
                        let at = self.begun.elapsed().as_secs_f64();
                        self.report
                            .examples
                            .push(format!("{at:.3} s: {phase:?}: {error}"));
                    }
                }
            }
        }
        let pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        self.report.gap = pulse.gap;
        drop(pulse);
        self.report
    }

    fn answered(&mut self, due: Instant) {
        self.report.answered += 1;
        let micros = due.elapsed().as_micros();
        self.report
            .micros
            .push(u32::try_from(micros).unwrap_or(u32::MAX));
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        pulse.gap = pulse.gap.max(now.saturating_duration_since(pulse.last));
        pulse.last = now;
        pulse.answered += 1;
    }

    fn request(&mut self) -> Result<(), (Phase, io::Error)> {
        let is_reused = self.stream.is_some();
        let read = if is_reused {
            Phase::ReadReused
        } else {
            Phase::ReadFresh
        };
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.report.connections += 1;
                connect(&self.load.target).map_err(|error| (Phase::Connect, error))?
            }
        };
        let connection = if self.load.is_kept {
            "keep-alive"
        } else {
            "close"
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: load\r\nConnection: {connection}\r\n\r\n",
            self.load.page
        );
        stream
            .write_all(request.as_bytes())
            .map_err(|error| (Phase::Write, error))?;
        let (is_well, closes) = answer(&mut stream).map_err(|error| (read, error))?;
        if !is_well {
            return Err((Phase::Status, io::Error::other("another status than 200")));
        }
        if self.load.is_kept && !closes {
            self.stream = Some(stream);
        }
        Ok(())
    }
}

/// Reads one answer: whether it is 200, and whether the server closes the connection.
fn answer(stream: &mut Stream) -> io::Result<(bool, bool)> {
    let mut bytes = Vec::new();
    let mut more = [0; 4096];
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut more)? {
            0 => {
                let text = format!("closed after {} bytes", bytes.len());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            count => bytes.extend(more.iter().take(count)),
        }
    };
    let text = String::from_utf8_lossy(bytes.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let header = |name: &str| {
        let line = text.lines().find_map(|it| it.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    let is_well = text.split(' ').nth(1) == Some("200");
    let length = header("content-length:").and_then(|it| it.parse::<usize>().ok());
    let closes =
        header("connection:").is_some_and(|it| it == "close") || text.starts_with("http/1.0");
    let mut left = match length {
        Some(length) => (head + length).saturating_sub(bytes.len()),
        // Without a length it ends with the connection, or, where it comes in chunks, with the last.
        None => {
            while !closes && !bytes.ends_with(b"0\r\n\r\n") {
                match stream.read(&mut more)? {
                    0 => break,
                    count => bytes.extend(more.iter().take(count)),
                }
            }
            0
        }
    };
    while left > 0 {
        match stream.read(&mut more)? {
            0 => {
                let text = format!("closed {left} bytes before the end");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            count => left = left.saturating_sub(count),
        }
    }
    Ok((is_well, closes))
}

fn connect(target: &Target) -> io::Result<Stream> {
    match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(Stream::Tcp(stream))
        }
        Target::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(Stream::Unix(stream))
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that loses one request in each way must be seen to, and no more.
    #[test]
    fn every_loss_is_counted_by_what_it_was_at() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        let server = thread::spawn(move || {
            let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let mut request = [0; 512];
            // Answered, and then closed when the next request comes.
            let (mut stream, _) = listener.accept().expect("accepted");
            for answer in [ok, ""] {
                let _ = stream.read(&mut request).expect("read");
                stream.write_all(answer.as_bytes()).expect("written");
            }
            drop(stream);
            // Closed without an answer, cut in the middle of one, and with another status.
            let (stream, _) = listener.accept().expect("accepted");
            drop(stream);
            for answer in [
                &ok[..ok.len() - 1],
                "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ] {
                let (mut stream, _) = listener.accept().expect("accepted");
                let _ = stream.read(&mut request).expect("read");
                stream.write_all(answer.as_bytes()).expect("written");
            }
            // From now on nobody listens.
        });
        let load = Load::new(Target::Tcp(address), 1).kept(Duration::from_millis(20));
        let running = load.start();
        server.join().expect("served");
        thread::sleep(Duration::from_millis(100));
        let report = running.stop();
        assert_eq!(report.answered, 1, "{report}");
        assert_eq!(report.lost.get(&Phase::ReadReused), Some(&1), "{report}");
        assert_eq!(report.lost.get(&Phase::Status), Some(&1), "{report}");
        let fresh = report.lost.get(&Phase::ReadFresh).copied().unwrap_or(0);
        let written = report.lost.get(&Phase::Write).copied().unwrap_or(0);
        assert_eq!(fresh + written, 2, "{report}");
        assert!(report.lost.contains_key(&Phase::Connect), "{report}");
    }
}
