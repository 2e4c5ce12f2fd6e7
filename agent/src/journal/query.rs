//! What is asked of the journal.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use node::ManagerError;
use proto::{dbus::error, name::UnitName};
use zbus::wire::OwnedVariant;

use super::export::{FIELDS, Line};
use crate::limits::{
    JOURNAL_CURSOR_BYTES_MAX, JOURNAL_LINES_MAX, JOURNAL_PATTERN_BYTES_MAX, JOURNAL_UNITS_MAX,
    JOURNAL_WAIT_MAX,
};

/// What is asked of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// Whether the units are those of a user's manager.
    pub(super) is_user: bool,
    /// Lines about any of these.
    pub(super) units: BTreeSet<UnitName>,
    /// Behind this place; otherwise from one end.
    pub(super) cursor: Option<String>,
    /// So many at most; without a cursor, the last ones.
    lines: Option<u32>,
    /// Not before this moment, in microseconds since 1970.
    since_us: Option<u64>,
    /// Not after it.
    until_us: Option<u64>,
    /// Only what is as important as this, 0 to 7, or more so.
    priority: Option<u8>,
    /// The newest first.
    pub(super) reverse: bool,
    /// Only what matches this, pcre2pattern(3).
    grep: Option<String>,
    /// Only of this boot.
    pub(super) this_boot: bool,
    /// How long to wait for a line where there is none.
    pub(super) wait: Option<Duration>,
}

/// What was found out about the journal before it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// What the machine is called in it; only what follows needs that.
    pub(super) machine: &'a str,
    /// The boot to keep to, if it is to be this one. What `--boot` takes for this one is that of the
    /// machine where the agent runs in a container, because `ProtectProc=` hides the file that the
    /// container has in the place of the kernel's.
    pub(super) boot: Option<&'a str>,
    /// The first of the last lines, where [`Query::counts_back`].
    pub(super) beginning: Option<&'a str>,
}

impl Query {
    /// Reads the arguments of a call.
    ///
    /// # Errors
    ///
    /// Says which is not valid, and what would be.
    pub(crate) fn read(
        units: &[String],
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Self, ManagerError> {
        if units.len() > JOURNAL_UNITS_MAX {
            return Err(ManagerError {
                name: error::LIMITS_EXCEEDED.to_owned(),
                text: format!(
                    "{} units were asked for, at most {JOURNAL_UNITS_MAX}",
                    units.len()
                ),
            });
        }
        let units: Result<BTreeSet<UnitName>, _> = units.iter().map(|name| name.parse()).collect();
        let mut query = Self {
            units: units.map_err(|error: proto::name::UnitNameError| invalid(error.to_string()))?,
            ..Self::default()
        };
        if query.units.is_empty() {
            return Err(invalid("expected at least one unit"));
        }
        for (key, value) in options {
            query.option(&key, value)?;
        }
        if query.reverse && query.wait.is_some_and(|wait| !wait.is_zero()) {
            return Err(invalid(
                "'Reverse' and 'WaitUSec' together: what is yet to come is never the oldest",
            ));
        }
        Ok(query)
    }

    fn option(&mut self, key: &str, value: OwnedVariant) -> Result<(), ManagerError> {
        fn take<T: TryFrom<OwnedVariant>>(
            key: &str,
            value: OwnedVariant,
            signature: &str,
        ) -> Result<T, ManagerError> {
            let found = value.value_signature().to_string();
            T::try_from(value).map_err(|_| {
                invalid(format!(
                    "'{key}' is of the type '{found}'; expected '{signature}'"
                ))
            })
        }
        match key {
            "Cursor" => {
                let cursor: String = take(key, value, "s")?;
                // As sd_journal_get_cursor(3) makes them; anything else is not for journalctl to see.
                let is_cursor = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ';' | '-');
                if cursor.len() > JOURNAL_CURSOR_BYTES_MAX || !cursor.chars().all(is_cursor) {
                    return Err(invalid("'Cursor' is none that was answered here"));
                }
                self.cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
            }
            "Lines" => self.lines = Some(take(key, value, "u")?),
            "SinceUSec" => self.since_us = Some(take(key, value, "t")?),
            "UntilUSec" => self.until_us = Some(take(key, value, "t")?),
            "Priority" => {
                let priority: u8 = take(key, value, "y")?;
                if priority > 7 {
                    return Err(invalid(format!(
                        "'Priority' is {priority}; expected 0 to 7, as in syslog(3)"
                    )));
                }
                self.priority = Some(priority);
            }
            "Grep" => {
                let pattern: String = take(key, value, "s")?;
                if pattern.len() > JOURNAL_PATTERN_BYTES_MAX {
                    return Err(invalid(format!(
                        "'Grep' has {} bytes, at most {JOURNAL_PATTERN_BYTES_MAX}",
                        pattern.len()
                    )));
                }
                self.grep = Some(pattern).filter(|pattern| !pattern.is_empty());
            }
            "Reverse" => self.reverse = take(key, value, "b")?,
            "ThisBoot" => self.this_boot = take(key, value, "b")?,
            "WaitUSec" => {
                let wait = Duration::from_micros(take(key, value, "t")?);
                self.wait = Some(wait.min(JOURNAL_WAIT_MAX));
            }
            _ => {
                return Err(invalid(format!(
                    "there is no option '{key}'; expected Cursor, Grep, Lines, Priority, \
                     Reverse, SinceUSec, ThisBoot, UntilUSec or WaitUSec"
                )));
            }
        }
        Ok(())
    }

    /// Lines that one answer may have.
    pub(super) fn lines_max(&self) -> usize {
        self.lines().min(JOURNAL_LINES_MAX)
    }

    /// Lines that are asked for.
    pub(super) fn lines(&self) -> usize {
        let asked = self.lines.and_then(|lines| usize::try_from(lines).ok());
        asked.unwrap_or(usize::MAX)
    }

    /// Whether to wait for lines that are yet to come.
    pub(super) fn follows(&self) -> bool {
        self.wait.is_some_and(|wait| !wait.is_zero())
    }

    /// Whether the first of the last lines has to be looked for, from the end on. journalctl(1) takes the
    /// last ones of all for `--lines=`, and drops of them what is too late or does not match.
    pub(super) fn counts_back(&self) -> bool {
        let is_filtered = self.until_us.is_some() || self.grep.is_some();
        is_filtered && self.is_tail()
    }

    /// The same, from the newest line on.
    pub(super) fn backwards(&self) -> Self {
        Self {
            reverse: true,
            ..self.at_once()
        }
    }

    /// The same of what is there already.
    pub(super) fn at_once(&self) -> Self {
        Self {
            wait: None,
            ..self.clone()
        }
    }

    /// The same behind this place.
    pub(super) fn behind(&self, cursor: &str) -> Self {
        Self {
            cursor: Some(cursor.to_owned()),
            ..self.clone()
        }
    }

    /// Whether lines that are not asked for are only told apart by reading them: how far they were read
    /// must be remembered, or all of them are read again each time that nothing was found.
    pub(super) fn is_slow_to_follow(&self) -> bool {
        self.follows() && self.grep.is_some() && self.cursor.is_some()
    }

    /// Whether the last lines are asked for, the oldest of them first.
    fn is_tail(&self) -> bool {
        self.lines.is_some() && self.cursor.is_none() && !self.reverse
    }

    /// What journalctl(1) is told.
    pub(super) fn arguments(&self, found: Found<'_>) -> Vec<String> {
        let mut arguments = vec![format!("--output-fields={FIELDS}")];
        let mut add = |argument: String| arguments.push(argument);
        let unit_option = if self.is_user {
            "--user-unit"
        } else {
            "--unit"
        };
        for unit in &self.units {
            add(format!("{unit_option}={unit}"));
        }
        let cursor = self.cursor.as_deref().or(found.beginning);
        match (cursor, self.lines) {
            // The line of the cursor itself comes too, and is dropped by `wants` if it is not asked for:
            // `--after-cursor=` drops the first line whichever it is, also where that of the cursor is
            // not there any more.
            (Some(cursor), _) => add(format!("--cursor={cursor}")),
            // The newest come first, and the answer is over when there are enough.
            (None, Some(_)) if self.reverse => {}
            (None, Some(lines)) => add(format!("--lines={lines}")),
            (None, None) => {}
        }
        // With both it would begin with the first lines since then, and `wants` drops older ones.
        if let (Some(since), None, false) = (self.since_us, cursor, self.is_tail()) {
            add(format!("--since={}", moment(since)));
        }
        if let Some(until) = self.until_us {
            // It seeks the first line from this moment on and goes back from there.
            add(format!("--until={}", moment(until.saturating_add(1))));
        }
        if let Some(priority) = self.priority {
            add(format!("--priority={priority}"));
        }
        if let Some(pattern) = &self.grep {
            add(format!("--grep={pattern}"));
        }
        if self.reverse {
            add("--reverse".into());
        }
        if self.follows() {
            add("--follow".into());
            // It would otherwise keep to this boot, for the same reason to the wrong one. Journals of
            // other machines, which are then read too, are left out by this.
            add("--merge".into());
            add(format!("_MACHINE_ID={}", found.machine));
            // Otherwise it begins with the last ten.
            if cursor.is_some() || self.lines.is_none() {
                add("--no-tail".into());
            }
        }
        if let Some(boot) = found.boot {
            add(format!("_BOOT_ID={boot}"));
        }
        arguments
    }

    /// Whether a line that journalctl has printed is asked for: its last lines may be older than
    /// `--since=`, and those at a cursor include that of the cursor.
    pub(super) fn wants(&self, line: &Line) -> bool {
        let at = line.realtime_us;
        self.since_us.is_none_or(|since| since <= at)
            && self.until_us.is_none_or(|until| at <= until)
            && !self
                .cursor
                .as_deref()
                .is_some_and(|cursor| is_same(cursor, &line.cursor))
    }
}

/// A moment as systemd.time(7) reads it in any time zone.
fn moment(us: u64) -> String {
    format!("@{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// Whether two cursors are of one entry. The file that it was read from, which is in a cursor too,
/// may be another one after a rotation.
fn is_same(one: &str, other: &str) -> bool {
    let entry = |cursor: &str| {
        let parts = cursor.split(';').map(str::to_owned);
        parts
            .filter(|part| !part.starts_with("s=") && !part.starts_with("i="))
            .collect::<Vec<_>>()
    };
    one == other || (entry(one) == entry(other) && !entry(one).is_empty())
}

fn invalid(text: impl Into<String>) -> ManagerError {
    ManagerError {
        name: error::INVALID_ARGS.to_owned(),
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;
    use zbus::wire::Variant;

    fn query(options: &[(&str, Variant<'static>)]) -> Result<Query, String> {
        let owned = |value: &Variant<'static>| value.try_to_owned().expect("owned");
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), owned(value)));
        Query::read(&["a.service".into()], options.collect()).map_err(|error| error.text)
    }

    const FOUND: Found<'_> = Found {
        machine: "m00",
        boot: Some("b00"),
        beginning: None,
    };

    fn told(query: &Query, found: Found<'_>) -> String {
        query.arguments(found)[1..].join(" ")
    }

    fn arguments(options: &[(&str, Variant<'static>)]) -> String {
        told(&query(options).expect("valid"), FOUND)
    }

    #[test_case(&[], "--unit=a.service _BOOT_ID=b00"; "all")]
    #[test_case(&[("Lines", Variant::from(3u32))], "--unit=a.service --lines=3 _BOOT_ID=b00"; "the last")]
    #[test_case(&[("Cursor", Variant::from("s=1;i=2")), ("Lines", Variant::from(3u32)), ("SinceUSec", Variant::from(5u64))],
        "--unit=a.service --cursor=s=1;i=2 _BOOT_ID=b00"; "from a cursor on")]
    #[test_case(&[("SinceUSec", Variant::from(1_500_000u64)), ("UntilUSec", Variant::from(2_000_007u64))],
        "--unit=a.service --since=@1.500000 --until=@2.000008 _BOOT_ID=b00"; "between moments")]
    #[test_case(&[("Lines", Variant::from(3u32)), ("SinceUSec", Variant::from(5u64))],
        "--unit=a.service --lines=3 _BOOT_ID=b00"; "the last since a moment")]
    #[test_case(&[("Lines", Variant::from(3u32)), ("SinceUSec", Variant::from(5u64)), ("Reverse", Variant::from(true))],
        "--unit=a.service --since=@0.000005 --reverse _BOOT_ID=b00"; "the newest since a moment")]
    #[test_case(&[("Priority", Variant::from(3u8)), ("Reverse", Variant::from(true)), ("ThisBoot", Variant::from(true))],
        "--unit=a.service --priority=3 --reverse _BOOT_ID=b00"; "filters")]
    #[test_case(&[("WaitUSec", Variant::from(9u64)), ("Lines", Variant::from(3u32))],
        "--unit=a.service --lines=3 --follow --merge _MACHINE_ID=m00 _BOOT_ID=b00"; "the last and what follows")]
    #[test_case(&[("WaitUSec", Variant::from(9u64)), ("Cursor", Variant::from("s=1"))],
        "--unit=a.service --cursor=s=1 --follow --merge _MACHINE_ID=m00 --no-tail _BOOT_ID=b00"; "what follows a cursor")]
    #[test_case(&[("WaitUSec", Variant::from(0u64))], "--unit=a.service _BOOT_ID=b00"; "no waiting")]
    fn options_are_those_of_journalctl(options: &[(&str, Variant<'static>)], told: &str) {
        assert_eq!(arguments(options), told);
    }

    #[test_case(&[("Lines", Variant::from(3u32)), ("UntilUSec", Variant::from(5u64))],
        "--unit=a.service --until=@0.000006 --reverse _BOOT_ID=b00",
        "--unit=a.service --cursor=s=7 --until=@0.000006 _BOOT_ID=b00"; "the last until a moment")]
    #[test_case(&[("Lines", Variant::from(3u32)), ("SinceUSec", Variant::from(2u64)), ("UntilUSec", Variant::from(5u64))],
        "--unit=a.service --since=@0.000002 --until=@0.000006 --reverse _BOOT_ID=b00",
        "--unit=a.service --cursor=s=7 --until=@0.000006 _BOOT_ID=b00"; "the last between moments")]
    #[test_case(&[("Lines", Variant::from(3u32)), ("Grep", Variant::from("-x y")), ("WaitUSec", Variant::from(9u64))],
        "--unit=a.service --grep=-x y --reverse _BOOT_ID=b00",
        "--unit=a.service --cursor=s=7 --grep=-x y --follow --merge _MACHINE_ID=m00 --no-tail _BOOT_ID=b00"; "the last that match, and what follows")]
    fn last_lines_that_are_filtered_are_counted_from_the_end_on(
        options: &[(&str, Variant<'static>)],
        backwards: &str,
        forwards: &str,
    ) {
        let query = query(options).expect("valid");
        assert!(query.counts_back());
        assert_eq!(told(&query.backwards(), FOUND), backwards);
        let found = Found {
            beginning: Some("s=7"),
            ..FOUND
        };
        assert_eq!(told(&query, found), forwards);
    }

    #[test_case(&[("Lines", Variant::from(3u32)), ("SinceUSec", Variant::from(5u64))]; "journalctl counts them")]
    #[test_case(&[("UntilUSec", Variant::from(5u64))]; "all of them")]
    #[test_case(&[("UntilUSec", Variant::from(5u64)), ("Lines", Variant::from(3u32)), ("Reverse", Variant::from(true))]; "the newest first")]
    #[test_case(&[("UntilUSec", Variant::from(5u64)), ("Lines", Variant::from(3u32)), ("Cursor", Variant::from("s=1"))]; "from a cursor on")]
    fn other_lines_are_not_looked_for_first(options: &[(&str, Variant<'static>)]) {
        assert!(!query(options).expect("valid").counts_back());
    }

    #[test_case(&[("Lines", Variant::from("3"))], "'Lines' is of the type 's'; expected 'u'"; "of another type")]
    #[test_case(&[("Priority", Variant::from(8u8))], "'Priority' is 8; expected 0 to 7, as in syslog(3)"; "no priority")]
    #[test_case(&[("Cursor", Variant::from("s=1 --file=/x"))], "'Cursor' is none that was answered here"; "no cursor")]
    #[test_case(&[("Grep", Variant::from("x".repeat(1_025)))], "'Grep' has 1025 bytes, at most 1024"; "a long pattern")]
    #[test_case(&[("Colour", Variant::from("x"))], "there is no option 'Colour'; expected Cursor, Grep, Lines, Priority, Reverse, SinceUSec, ThisBoot, UntilUSec or WaitUSec"; "unknown")]
    #[test_case(&[("Reverse", Variant::from(true)), ("WaitUSec", Variant::from(1u64))], "'Reverse' and 'WaitUSec' together: what is yet to come is never the oldest"; "contrary")]
    fn what_is_not_valid_is_refused(options: &[(&str, Variant<'static>)], why: &str) {
        assert_eq!(query(options), Err(why.to_owned()));
    }

    #[test]
    fn units_of_a_user_are_asked_for_as_such() {
        let query = Query {
            is_user: true,
            ..query(&[]).expect("valid")
        };
        assert_eq!(told(&query, FOUND), "--user-unit=a.service _BOOT_ID=b00");
    }

    #[test]
    fn units_have_to_be_named_and_are_bounded() {
        let read = |units: &[String]| Query::read(units, HashMap::new()).map_err(|it| it.name);
        assert_eq!(read(&[]), Err(error::INVALID_ARGS.to_owned()));
        assert_eq!(read(&["a b".into()]), Err(error::INVALID_ARGS.to_owned()));
        let many = vec!["a.service".to_owned(); JOURNAL_UNITS_MAX + 1];
        assert_eq!(read(&many), Err(error::LIMITS_EXCEEDED.to_owned()));
    }

    #[test]
    fn waiting_is_bounded() {
        let query = query(&[("WaitUSec", Variant::from(u64::MAX))]).expect("valid");
        assert_eq!(query.wait, Some(JOURNAL_WAIT_MAX));
        assert_eq!(query.lines_max(), JOURNAL_LINES_MAX);
    }

    #[test_case("s=1;i=2;b=3;m=4;t=5;x=6", 5, false; "the line of the cursor")]
    #[test_case("s=9;i=1;b=3;m=4;t=5;x=6", 5, false; "the same line in another file")]
    #[test_case("s=1;i=3;b=3;m=5;t=6;x=7", 6, true; "the line after it")]
    #[test_case("s=1;i=3;b=3;m=5;t=1;x=7", 1, false; "too early")]
    #[test_case("s=1;i=3;b=3;m=5;t=9;x=7", 9, false; "too late")]
    fn lines_beyond_what_is_asked_for_are_dropped(cursor: &str, at: u64, wanted: bool) {
        let query = query(&[
            ("Cursor", Variant::from("s=1;i=2;b=3;m=4;t=5;x=6")),
            ("SinceUSec", Variant::from(2u64)),
            ("UntilUSec", Variant::from(8u64)),
        ])
        .expect("valid");
        let line = Line {
            cursor: cursor.into(),
            realtime_us: at,
            ..Line::default()
        };
        assert_eq!(query.wants(&line), wanted);
    }
}
