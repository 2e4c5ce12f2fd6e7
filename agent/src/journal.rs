//! `ReadJournal`: what the journal of this node has about some units. It is read by journalctl(1),
//! because its files are systemd's own affair: one process for each answer, which is ended when the
//! answer is full or its time is over. Whoever wants more asks again, from the cursor of the answer on.
//! So nothing is kept here between two answers, and nobody who reads slowly is waited for.

mod export;
mod query;

use std::{collections::HashMap, io, process::Stdio};

use host::{
    bus::object::{Facts, facts, variant},
    link,
};
use node::ManagerError;
use proto::dbus::error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::{Instant, timeout, timeout_at},
};
use zbus::{Message, wire::OwnedVariant};

use crate::limits::{
    JOURNAL_BYTES_MAX, JOURNAL_COMPLAINT_BYTES_MAX, JOURNAL_LINGER, JOURNAL_PATIENCE,
};
use export::{Line, Parser};
use query::{Found, Query};

/// The body of an answer: lines, the cursor to go on from, and whether there are more lines already.
type Answer = (Vec<Facts>, String, bool);

/// What is read at once from journalctl: what a pipe has.
const PIECE_BYTES: usize = 64 * 1024;

/// Lines that were found.
#[derive(Debug)]
struct Page {
    keep: Keep,
    lines: Vec<Line>,
    /// Of all that were found, kept or not.
    count: usize,
    bytes: usize,
    /// How many there may be.
    max: usize,
    /// Whether there is no room for another line.
    is_full: bool,
}

/// Which of the lines that were found are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    All,
    /// Only the one that was found last.
    Last,
}

/// Reads the journal for the controller, and writes the reply to its call. `is_user` is whether the units
/// are those of a user's manager.
///
/// # Errors
///
/// Fails with what is wrong with the call, or when journalctl is not there or says why it cannot.
pub(crate) async fn answer(call: &Message, is_user: bool) -> Result<Message, ManagerError> {
    let body = call.body();
    let (units, options): (Vec<String>, HashMap<String, OwnedVariant>) = body
        .deserialize()
        .map_err(|error| failed(error::INVALID_ARGS, error.to_string()))?;
    let mut query = Query::read(&units, options)?;
    query.is_user = is_user;
    let answer = read(&query).await?;
    link::reply(call, &answer).map_err(|error| failed(error::FAILED, error.to_string()))
}

async fn read(query: &Query) -> Result<Answer, ManagerError> {
    // Together, because the controller does not wait longer for all of it.
    let until = Instant::now() + JOURNAL_PATIENCE;
    let mut cursor = query.cursor.clone().unwrap_or_default();
    let mut newest = Line::default();
    let is_slow = query.is_slow_to_follow();
    if query.this_boot || is_slow || cursor.is_empty() && query.wait.is_some() {
        newest = newest_line(until).await?;
    }
    if cursor.is_empty() && query.wait.is_some() {
        // Where there is no line yet, what follows is behind this one. It was asked for first, so that
        // nothing is lost in between.
        cursor.clone_from(&newest.cursor);
    }
    let boot = Some(newest.boot.as_str()).filter(|_| query.this_boot);
    if boot.is_some_and(str::is_empty) {
        // There is nothing at all.
        return Ok((Vec::new(), cursor, false));
    }
    let mut page = if is_slow {
        lines(&query.at_once(), boot, &newest, until).await?
    } else {
        lines(query, boot, &newest, until).await?
    };
    if is_slow && page.lines.is_empty() {
        // All that was there when the newest line was asked for was read.
        cursor.clone_from(&newest.cursor);
        page = lines(&query.behind(&newest.cursor), boot, &newest, until).await?;
    }
    if let Some(last) = page.lines.last() {
        cursor.clone_from(&last.cursor);
    }
    let lines = page.lines.into_iter().map(Line::facts).collect();
    Ok((lines, cursor, page.is_full))
}

/// The newest line of the whole journal, as far as where it is and of which boot; empty where there is
/// none.
async fn newest_line(until: Instant) -> Result<Line, ManagerError> {
    let arguments = ["--lines=1", "--output-fields=_BOOT_ID"].map(str::to_owned);
    let mut child = start(&arguments)?;
    let mut page = Page::of(Keep::Last, 1);
    collect(&mut child, &mut page, until, &Query::default()).await?;
    Ok(page.lines.pop().unwrap_or_default())
}

/// The cursor of the first of the last lines that are asked for, if there are any.
async fn beginning(
    query: &Query,
    boot: Option<&str>,
    until: Instant,
) -> Result<Option<String>, ManagerError> {
    let backwards = query.backwards();
    let found = Found {
        boot,
        ..Found::default()
    };
    let mut child = start(&backwards.arguments(found))?;
    let mut page = Page::of(Keep::Last, query.lines());
    let is_whole = collect(&mut child, &mut page, until, &backwards).await?;
    if !is_whole && !page.is_full {
        let text = format!(
            "journalctl has found {} of the last lines after {JOURNAL_PATIENCE:?}; fewer of them, or \
             only those since a moment, take less time",
            page.count
        );
        return Err(failed(error::TIMEOUT, text));
    }
    Ok(page.lines.pop().map(|line| line.cursor))
}

async fn lines(
    query: &Query,
    boot: Option<&str>,
    newest: &Line,
    until: Instant,
) -> Result<Page, ManagerError> {
    let mut page = Page::of(Keep::All, query.lines_max());
    if page.max == 0 {
        return Ok(page);
    }
    let beginning = if query.counts_back() {
        beginning(query, boot, until).await?
    } else {
        None
    };
    let machine = if query.follows() {
        machine_id()?
    } else {
        String::new()
    };
    let mut found = Found {
        machine: &machine,
        boot,
        beginning: beginning.as_deref(),
    };
    if query.counts_back() && beginning.is_none() {
        if !query.follows() {
            return Ok(page);
        }
        found.beginning = Some(newest.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    }
    let mut child = start(&query.arguments(found))?;
    let wait = query.wait.filter(|_| query.follows());
    let until = wait.map_or(until, |wait| Instant::now() + wait);
    let is_whole = collect(&mut child, &mut page, until, query).await?;
    if !is_whole && wait.is_none() && !page.is_full {
        if page.lines.is_empty() {
            let text = format!("journalctl has found nothing after {JOURNAL_PATIENCE:?}");
            return Err(failed(error::TIMEOUT, text));
        }
        page.is_full = true;
    }
    Ok(page)
}

/// What this machine is called in the journal, machine-id(5).
fn machine_id() -> Result<String, ManagerError> {
    let read = std::fs::read_to_string("/etc/machine-id");
    let read = read.map(|id| id.trim_ascii().to_owned());
    read.map_err(|why| {
        let text = format!("/etc/machine-id cannot be read: {why}");
        failed(error::FAILED, text)
    })
}

/// Takes in what journalctl prints until it ends, the page is full, or it is time. Returns whether
/// it has ended.
async fn collect(
    child: &mut Child,
    page: &mut Page,
    until: Instant,
    query: &Query,
) -> Result<bool, ManagerError> {
    let (Some(mut out), Some(mut complaint)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(error::FAILED, "journalctl has no output"));
    };
    let mut parser = Parser::of(query.is_user);
    let mut piece = vec![0; PIECE_BYTES];
    let mut until = until;
    loop {
        let read = match timeout_at(until, out.read(&mut piece)).await {
            Err(_) => return Ok(false),
            Ok(Err(why)) => return Err(unreadable(&why)),
            Ok(Ok(0)) => break,
            Ok(Ok(count)) => piece.get(..count).unwrap_or_default(),
        };
        let was_empty = page.lines.is_empty();
        page.take(&mut parser, read, query)?;
        if page.is_full {
            return Ok(false);
        }
        if was_empty && !page.lines.is_empty() && query.follows() {
            until = until.min(Instant::now() + JOURNAL_LINGER);
        }
    }
    let complaint = first_line(&mut complaint).await;
    let status = timeout(JOURNAL_PATIENCE, child.wait()).await;
    match status {
        Ok(Ok(status)) if status.success() || !page.lines.is_empty() => Ok(true),
        // Without a word: there is no journal, or nothing in it.
        Ok(Ok(_)) if complaint.is_empty() => Ok(true),
        Ok(Ok(status)) => Err(failed(
            error::FAILED,
            format!("journalctl says: {complaint} ({status})"),
        )),
        Ok(Err(why)) => Err(unreadable(&why)),
        Err(_) => Err(failed(error::TIMEOUT, "journalctl does not end")),
    }
}

/// Starts journalctl; it ends with the value.
fn start(arguments: &[String]) -> Result<Child, ManagerError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let started = Command::new("journalctl")
        .args(["--output=export", "--quiet", "--no-pager"])
        .args(arguments)
        // Nothing of ours is its affair, such as the socket on which systemd hears of our state.
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    started.map_err(|why| {
        if why.kind() == io::ErrorKind::NotFound {
            let text = "there is no journalctl on this node, which reads the journal";
            return failed(error::NOT_SUPPORTED, text);
        }
        let text = format!("journalctl cannot be started: {why}");
        failed(error::FAILED, text)
    })
}

/// The first line of what journalctl complains about.
async fn first_line(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let max = u64::try_from(JOURNAL_COMPLAINT_BYTES_MAX).unwrap_or(u64::MAX);
    // It has ended, so nothing is waited for; what cannot be read is not said.
    let _ = from.take(max).read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

impl Page {
    /// With room for so many lines.
    fn of(keep: Keep, max: usize) -> Self {
        Self {
            keep,
            lines: Vec::new(),
            count: 0,
            bytes: 0,
            max,
            is_full: false,
        }
    }

    /// Takes in a piece of output.
    fn take(
        &mut self,
        parser: &mut Parser,
        piece: &[u8],
        query: &Query,
    ) -> Result<(), ManagerError> {
        let mut found = Vec::new();
        parser
            .feed(piece, &query.units, &mut found)
            .map_err(|error| failed(error::FAILED, error.to_string()))?;
        for line in found {
            if self.is_full || !query.wants(&line) {
                continue;
            }
            self.count += 1;
            let is_large = match self.keep {
                Keep::All => {
                    self.bytes = self.bytes.saturating_add(line.message.len());
                    self.bytes >= JOURNAL_BYTES_MAX
                }
                Keep::Last => {
                    self.lines.clear();
                    false
                }
            };
            self.lines.push(line);
            self.is_full = is_large || self.count >= self.max;
        }
        Ok(())
    }
}

impl Line {
    /// As it goes over the wire.
    fn facts(self) -> Facts {
        let mut all = facts([
            ("Cursor", variant(self.cursor)),
            ("RealtimeUSec", variant(self.realtime_us)),
            ("MonotonicUSec", variant(self.monotonic_us)),
            ("BootID", variant(self.boot)),
            ("Unit", variant(self.unit)),
            ("InvocationID", variant(self.invocation)),
            ("Identifier", variant(self.identifier)),
            ("Message", variant(self.message)),
        ]);
        // What is not known is not there.
        let maybe = [
            ("Priority", self.priority.and_then(variant)),
            ("PID", self.pid.and_then(variant)),
            (
                "CutBytes",
                Some(self.cut_bytes)
                    .filter(|cut| *cut > 0)
                    .and_then(variant),
            ),
        ];
        all.extend(maybe.into_iter().filter_map(|(key, it)| Some((key, it?))));
        all
    }
}

fn unreadable(why: &io::Error) -> ManagerError {
    failed(
        error::FAILED,
        format!("the output of journalctl cannot be read: {why}"),
    )
}

fn failed(name: &str, text: impl Into<String>) -> ManagerError {
    ManagerError {
        name: name.to_owned(),
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nMESSAGE=x\n\n";

    /// A journalctl that does this.
    fn played(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell")
    }

    fn query(wait_us: u64) -> Query {
        let wait = OwnedVariant::from(wait_us);
        let options = HashMap::from([("WaitUSec".to_owned(), wait)]);
        Query::read(&["a.service".into()], options).expect("valid")
    }

    async fn collected(script: &str, wait_us: u64) -> (Result<bool, String>, usize) {
        let mut page = Page::of(Keep::All, 500);
        let until = Instant::now() + std::time::Duration::from_secs(20);
        let read = collect(&mut played(script), &mut page, until, &query(wait_us)).await;
        (read.map_err(|error| error.text), page.lines.len())
    }

    #[tokio::test]
    async fn who_waits_for_a_line_is_answered_soon_after_the_first() {
        let begun = Instant::now();
        let script = format!("printf '{ENTRY}{ENTRY}'; sleep 60");
        assert_eq!(collected(&script, 1).await, (Ok(false), 2));
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }
}
