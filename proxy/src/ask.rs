//! The conversation with the agent, over as many connections as it takes.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use proto::model::Cause;

use crate::{
    answer::Answer,
    limits,
    options::{Options, Verb},
    outcome::{Failure, Outcome},
};

/// Asks for the unit until there is an answer or the time is up; a connection that ends without an
/// answer is made again, and the token makes the repeated request harmless. `waiting` is told what
/// is waited for, whenever it changes.
pub(crate) fn until_answered(options: &Options, waiting: &mut dyn FnMut(&str)) -> Outcome {
    let first_word = match options.verb {
        Verb::Up | Verb::Reload | Verb::Stop => options.timeout,
        Verb::Reloaded => options.timeout.min(limits::LAST_WORD),
    };
    let mut patience = Patience::new(Instant::now(), first_word);
    let mut attempt = 0;
    loop {
        let pause = limits::RECONNECT.wait(attempt, jitter(options, attempt));
        thread::sleep(pause.min(patience.left(Instant::now())));
        match ask_once(options, &mut patience, waiting) {
            Ok(outcome) => return outcome,
            Err(Lost { heard, error }) => {
                if patience.left(Instant::now()).is_zero() {
                    return patience.over(options, &error);
                }
                // An agent that was there comes back soon: it is being restarted.
                attempt = if heard { 1 } else { attempt.saturating_add(1) };
                patience.note(
                    &format!("the agent is not running (unitlink-agent.service): {error}"),
                    waiting,
                );
            }
        }
    }
}

/// A connection that ended without an answer.
struct Lost {
    /// Whether the agent said anything on it.
    heard: bool,
    error: io::Error,
}

fn ask_once(
    options: &Options,
    patience: &mut Patience,
    waiting: &mut dyn FnMut(&str),
) -> Result<Outcome, Lost> {
    let mut heard = false;
    let mut garbage = 0;
    let mut lines = connect(options, patience).map_err(|error| Lost { heard, error })?;
    loop {
        let line = lines
            .next(patience)
            .map_err(|error| Lost { heard, error })?;
        match Answer::parse(line) {
            Some(Answer::Up) => return Ok(Outcome::Up),
            Some(Answer::Failed { failure, text }) => {
                return Ok(Outcome::Failed { failure, text });
            }
            Some(Answer::Wait { limit, text }) => {
                heard = true;
                patience.extend(Instant::now(), limit);
                patience.note(&text, waiting);
            }
            None => {
                garbage += 1;
                if garbage > limits::GARBAGE_LINES_MAX {
                    let error = io::Error::other("its lines are not those of an agent");
                    return Err(Lost { heard, error });
                }
            }
        }
    }
}

fn connect(options: &Options, patience: &Patience) -> io::Result<Lines> {
    let mut stream = UnixStream::connect(&options.socket)?;
    stream.set_write_timeout(Some(patience.left_at_least_a_moment()))?;
    let (subject, token) = (&options.subject, options.token);
    let request = match options.verb {
        Verb::Up => format!("need {subject} {token}\n"),
        Verb::Reload => format!("reload {subject}\n"),
        Verb::Stop => format!("stop {subject}\n"),
        Verb::Reloaded => format!("reloaded {subject}\n"),
    };
    stream.write_all(request.as_bytes())?;
    Ok(Lines {
        stream,
        held: [0; limits::LINE_BYTES_MAX + 1],
        filled: 0,
        taken: 0,
        skipping: false,
    })
}

/// How long it may still take, and what is waited for.
struct Patience {
    began: Instant,
    /// When the agent said its first word, and the longest time that it named since.
    agent: Option<(Instant, Duration)>,
    deadline: Instant,
    waiting_for: String,
}

impl Patience {
    fn new(now: Instant, first_word: Duration) -> Self {
        Self {
            began: now,
            agent: None,
            deadline: now + first_word,
            waiting_for: String::new(),
        }
    }

    /// The agent named a time. It counts from the agent's first word, so that an agent that is
    /// restarted again and again, and begins to count each time, does not make a start wait forever.
    fn extend(&mut self, now: Instant, limit: Duration) {
        let (first, longest) = self.agent.unwrap_or((now, limit));
        let longest = longest.max(limit);
        self.agent = Some((first, longest));
        // Bounded by WAIT_MAX, which no clock overflows.
        self.deadline = first + longest + limits::RESERVE;
    }

    fn left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// A socket's timeout may not be zero, which would mean none.
    fn left_at_least_a_moment(&self) -> Duration {
        self.left(Instant::now()).max(Duration::from_millis(1))
    }

    fn note(&mut self, text: &str, waiting: &mut dyn FnMut(&str)) {
        if self.waiting_for != text {
            self.waiting_for = text.to_owned();
            waiting(text);
        }
    }

    fn over(&self, options: &Options, error: &io::Error) -> Outcome {
        let waited = self.began.elapsed().as_secs();
        let asked = options.subject.what();
        let text = match self.agent {
            None => format!(
                "cannot ask for {asked}: the agent does not answer on {} after {waited} s ({}); \
                 is it running? systemctl{} status unitlink-agent.service",
                options.socket.display(),
                reason(error),
                if options.is_user { " --user" } else { "" },
            ),
            Some(_) => format!(
                "{asked} was not {} after {waited} s; waited for: {}",
                match options.verb {
                    Verb::Up => "up",
                    Verb::Reload | Verb::Reloaded => "reloaded",
                    Verb::Stop => "stopped",
                },
                self.waiting_for
            ),
        };
        let failure = match self.agent {
            None => Failure::NoAgent,
            Some(_) => Failure::Said(Cause::Timeout),
        };
        Outcome::Failed { failure, text }
    }
}

fn reason(error: &io::Error) -> String {
    if is_timeout(error) {
        "it is silent".into()
    } else {
        error.to_string()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The lines of a connection. Memory is bounded: a line that is too long is cut, which makes it one
/// that no agent says, and its rest is skipped.
struct Lines {
    stream: UnixStream,
    held: [u8; limits::LINE_BYTES_MAX + 1],
    filled: usize,
    taken: usize,
    skipping: bool,
}

impl Lines {
    /// The next line, without its end.
    fn next(&mut self, patience: &Patience) -> io::Result<&[u8]> {
        self.held.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        loop {
            let held = self.held.get(..self.filled).unwrap_or_default();
            if let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                self.taken = end + 1;
                if !std::mem::take(&mut self.skipping) {
                    return Ok(self.held.get(..end).unwrap_or_default());
                }
                self.held.copy_within(self.taken..self.filled, 0);
                self.filled -= self.taken;
                self.taken = 0;
            } else if self.filled == self.held.len() {
                let was_skipping = std::mem::replace(&mut self.skipping, true);
                self.filled = 0;
                if !was_skipping {
                    return Ok(&self.held);
                }
            } else {
                self.fill(patience)?;
            }
        }
    }

    fn fill(&mut self, patience: &Patience) -> io::Result<()> {
        if patience.left(Instant::now()).is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream
            .set_read_timeout(Some(patience.left_at_least_a_moment()))?;
        let free = self.held.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(free) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it closed the connection without an answer",
            )),
            Ok(read) => {
                self.filled += read;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Something that differs between the helpers of a machine: their tokens do.
fn jitter(options: &Options, attempt: u32) -> u64 {
    let [a, b, ..] = options.token.0;
    (u64::from(a) << 8 | u64::from(b)).wrapping_mul(u64::from(attempt) | 1)
}

#[cfg(test)]
mod tests {
    use proto::{model::Token, name::ProxyName};

    use super::*;
    use crate::options::Subject;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_agent_names_the_time_after_its_first_word() {
        let began = Instant::now();
        let mut patience = Patience::new(began, 90 * SECOND);
        patience.extend(began + 10 * SECOND, 20 * SECOND);
        assert_eq!(patience.left(began), 30 * SECOND + limits::RESERVE);
    }

    #[test]
    fn who_gives_up_says_who_did_not_answer() {
        let options = Options {
            verb: Verb::Up,
            subject: Subject::Proxy(ProxyName::parse("proxy@b_t.service").expect("valid")),
            token: Token([0; 16]),
            socket: "/run/agent.sock".into(),
            is_user: false,
            timeout: SECOND,
        };
        let ended = |patience: &Patience| {
            let Outcome::Failed { failure, text } =
                patience.over(&options, &io::ErrorKind::WouldBlock.into())
            else {
                panic!("it is not up");
            };
            (failure, text)
        };
        let mut patience = Patience::new(Instant::now(), SECOND);
        let (failure, text) = ended(&patience);
        assert_eq!(failure, Failure::NoAgent);
        assert!(
            text.contains("does not answer on /run/agent.sock"),
            "{text}"
        );
        patience.extend(Instant::now(), SECOND);
        patience.note("node b is offline", &mut |_| {});
        let (failure, text) = ended(&patience);
        assert_eq!(failure, Failure::Said(Cause::Timeout));
        assert!(text.ends_with("waited for: node b is offline"), "{text}");
    }

    #[test]
    fn an_agent_that_begins_to_count_again_does_not_prolong_the_wait() {
        let began = Instant::now();
        let mut patience = Patience::new(began, 90 * SECOND);
        for restart in 0..10 {
            patience.extend(began + restart * SECOND, 20 * SECOND);
        }
        assert_eq!(patience.left(began), 20 * SECOND + limits::RESERVE);
    }
}
