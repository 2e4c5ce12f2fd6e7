//! The export format of the journal, <https://systemd.io/JOURNAL_EXPORT_FORMATS/>: fields of an entry
//! one after the other, an empty line after each entry. A field is `NAME=value` in one line, or, if
//! its value may be anything, the name alone in a line, eight bytes with its length, and the value.
//!
//! Pure, and bounded: a value that is longer than it may be is passed over as it comes, and counted.

use std::collections::BTreeSet;

use proto::name::UnitName;

use crate::limits::{JOURNAL_FIELD_BYTES_MAX, JOURNAL_MESSAGE_BYTES_MAX, JOURNAL_NAME_BYTES_MAX};

/// The fields that are asked for, systemd.journal-fields(7). The cursor, the two times and the boot
/// come in any case.
pub(super) const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM,_PID,SYSLOG_PID,\
    _SYSTEMD_UNIT,UNIT,OBJECT_SYSTEMD_UNIT,COREDUMP_UNIT,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,\
    _SYSTEMD_USER_UNIT,USER_UNIT,OBJECT_SYSTEMD_USER_UNIT,COREDUMP_USER_UNIT,USER_INVOCATION_ID";

/// An entry of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it is in the journal, as only journald reads it.
    pub(crate) cursor: String,
    /// When journald took it in, in microseconds since 1970.
    pub(crate) realtime_us: u64,
    /// The same on the monotonic clock of its boot.
    pub(crate) monotonic_us: u64,
    /// In which boot.
    pub(crate) boot: String,
    /// 0 to 7, syslog(3).
    pub(crate) priority: Option<u8>,
    /// Who says it, as it calls itself.
    pub(crate) identifier: String,
    pub(crate) pid: Option<u32>,
    /// The unit that it is about.
    pub(crate) unit: String,
    /// Which life of the unit, if it says so.
    pub(crate) invocation: String,
    /// What it says. What is no UTF-8 in it is replaced.
    pub(crate) message: String,
    /// Bytes of the message that are left out at its end.
    pub(crate) cut_bytes: u64,
}

/// The format is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output of journalctl is not in the export format")]
pub(super) struct Malformed;

/// Reads the format piece by piece.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// Whether lines are about units of a user's manager.
    is_user: bool,
    at: At,
    /// The name of the field, or the eight bytes of its length.
    name: Vec<u8>,
    value: Vec<u8>,
    /// Bytes of the value that were passed over.
    cut: u64,
    fields: Fields,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// A name, or the empty line after an entry.
    #[default]
    Name,
    /// A value that ends with the line.
    Text,
    /// The length of a value; so many of its bytes are there, the least first.
    Length { bytes: u32, length: u64 },
    /// So much of a value.
    Data(u64),
    /// The line end after it.
    End,
}

/// What is known of an entry so far.
#[derive(Debug, Default)]
struct Fields {
    line: Line,
    has_message: bool,
    comm: String,
    syslog_pid: Option<u32>,
    /// `UNIT=`, `COREDUMP_UNIT=`, `OBJECT_SYSTEMD_UNIT=` and `_SYSTEMD_UNIT=`.
    units: [String; 4],
    own_invocation: String,
}

impl Parser {
    /// For lines about units of a user's manager, or of the system's.
    pub(super) fn of(is_user: bool) -> Self {
        Self {
            is_user,
            ..Self::default()
        }
    }

    /// Takes in what came next. Entries that are complete go to `lines`, with the one of `units` that
    /// each is about.
    ///
    /// # Errors
    ///
    /// Fails when it is not in the format; nothing after that makes sense.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        units: &BTreeSet<UnitName>,
        lines: &mut Vec<Line>,
    ) -> Result<(), Malformed> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.at {
                At::Name => {
                    bytes = rest;
                    self.name(*first, units, lines)?;
                }
                At::Text => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (value, after) = bytes.split_at(end.unwrap_or(bytes.len()));
                    self.keep(value);
                    bytes = after.get(1..).unwrap_or_default();
                    if end.is_some() {
                        self.end_field();
                    }
                }
                At::Length { bytes: 7, length } => {
                    bytes = rest;
                    let length = length | u64::from(*first) << 56;
                    self.at = if length == 0 {
                        At::End
                    } else {
                        At::Data(length)
                    };
                }
                At::Length {
                    bytes: count,
                    length,
                } => {
                    bytes = rest;
                    self.at = At::Length {
                        bytes: count + 1,
                        length: length | u64::from(*first) << (8 * count),
                    };
                }
                At::Data(left) => {
                    let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(left);
                    let count = usize::try_from(there).unwrap_or(bytes.len());
                    let (value, after) = bytes.split_at(count);
                    self.keep(value);
                    bytes = after;
                    self.at = match left - there {
                        0 => At::End,
                        left => At::Data(left),
                    };
                }
                At::End => {
                    if *first != b'\n' {
                        return Err(Malformed);
                    }
                    bytes = rest;
                    self.end_field();
                }
            }
        }
        Ok(())
    }

    fn name(
        &mut self,
        byte: u8,
        units: &BTreeSet<UnitName>,
        lines: &mut Vec<Line>,
    ) -> Result<(), Malformed> {
        match byte {
            b'\n' if self.name.is_empty() => {
                let fields = std::mem::take(&mut self.fields);
                if !fields.line.cursor.is_empty() {
                    lines.push(fields.complete(units));
                }
            }
            b'\n' => {
                self.at = At::Length {
                    bytes: 0,
                    length: 0,
                };
            }
            b'=' => self.at = At::Text,
            _ if self.name.len() >= JOURNAL_NAME_BYTES_MAX => return Err(Malformed),
            _ => self.name.push(byte),
        }
        Ok(())
    }

    /// Takes in a part of a value, as much as there may be of it.
    fn keep(&mut self, part: &[u8]) {
        let max = match self.name.as_slice() {
            b"MESSAGE" => JOURNAL_MESSAGE_BYTES_MAX,
            _ => JOURNAL_FIELD_BYTES_MAX,
        };
        let room = max.saturating_sub(self.value.len()).min(part.len());
        let (kept, cut) = part.split_at(room);
        self.value.extend_from_slice(kept);
        let cut = u64::try_from(cut.len()).unwrap_or(u64::MAX);
        self.cut = self.cut.saturating_add(cut);
    }

    fn end_field(&mut self) {
        let name = if self.is_user {
            as_of_system(&self.name)
        } else {
            &self.name
        };
        self.fields.take(name, &self.value, self.cut);
        self.at = At::Name;
        self.name.clear();
        self.value.clear();
        // A long message leaves its memory behind; the next ones are short.
        self.value.shrink_to(JOURNAL_FIELD_BYTES_MAX);
        self.cut = 0;
    }
}

impl Fields {
    /// Takes in a field. Of one that comes again, as fields may, the first counts.
    fn take(&mut self, name: &[u8], value: &[u8], cut: u64) {
        let text = || String::from_utf8_lossy(value).into_owned();
        let number = || str::from_utf8(value).ok()?.parse::<u64>().ok();
        let small = || number().and_then(|it| u32::try_from(it).ok());
        let set = |field: &mut String| {
            if field.is_empty() {
                *field = text();
            }
        };
        let [unit, dumped, object, own] = &mut self.units;
        let line = &mut self.line;
        match name {
            b"__CURSOR" => set(&mut line.cursor),
            b"__REALTIME_TIMESTAMP" => line.realtime_us = number().unwrap_or(0),
            b"__MONOTONIC_TIMESTAMP" => line.monotonic_us = number().unwrap_or(0),
            b"_BOOT_ID" => set(&mut line.boot),
            b"PRIORITY" => {
                let priority = small().and_then(|it| u8::try_from(it).ok());
                line.priority = line.priority.or(priority.filter(|it| *it <= 7));
            }
            b"SYSLOG_IDENTIFIER" => set(&mut line.identifier),
            b"_COMM" => set(&mut self.comm),
            b"_PID" => line.pid = line.pid.or(small()),
            b"SYSLOG_PID" => self.syslog_pid = self.syslog_pid.or(small()),
            b"UNIT" => set(unit),
            b"COREDUMP_UNIT" => set(dumped),
            b"OBJECT_SYSTEMD_UNIT" => set(object),
            b"_SYSTEMD_UNIT" => set(own),
            // What systemd says about a unit has it without the underscore.
            b"INVOCATION_ID" => set(&mut line.invocation),
            b"_SYSTEMD_INVOCATION_ID" => set(&mut self.own_invocation),
            b"MESSAGE" if !self.has_message => {
                self.has_message = true;
                let (whole, cut) = whole_characters(value, cut);
                line.message = String::from_utf8_lossy(whole).into_owned();
                line.cut_bytes = cut;
            }
            _ => {}
        }
    }

    fn complete(self, units: &BTreeSet<UnitName>) -> Line {
        let mut line = self.line;
        if line.identifier.is_empty() {
            line.identifier = self.comm;
        }
        line.pid = line.pid.or(self.syslog_pid);
        if line.invocation.is_empty() {
            line.invocation = self.own_invocation;
        }
        let asked = |unit: &&String| units.iter().any(|asked| asked.as_str() == unit.as_str());
        let about = self.units.iter().find(asked).or(self.units.last());
        line.unit = about.cloned().unwrap_or_default();
        line
    }
}

/// What a field of a line about a unit of a user's manager is for one of the system's. Fields of that
/// name are about the unit in which the manager itself is.
fn as_of_system(name: &[u8]) -> &[u8] {
    match name {
        b"USER_UNIT" => b"UNIT",
        b"COREDUMP_USER_UNIT" => b"COREDUMP_UNIT",
        b"OBJECT_SYSTEMD_USER_UNIT" => b"OBJECT_SYSTEMD_UNIT",
        b"_SYSTEMD_USER_UNIT" => b"_SYSTEMD_UNIT",
        b"USER_INVOCATION_ID" => b"INVOCATION_ID",
        b"UNIT"
        | b"COREDUMP_UNIT"
        | b"OBJECT_SYSTEMD_UNIT"
        | b"_SYSTEMD_UNIT"
        | b"INVOCATION_ID" => b"",
        other => other,
    }
}

/// Where a text was cut, the half of a character that is left at its end goes too.
fn whole_characters(value: &[u8], cut: u64) -> (&[u8], u64) {
    if cut == 0 {
        return (value, 0);
    }
    match str::from_utf8(value) {
        Err(error) if error.error_len().is_none() => {
            let (whole, half) = value.split_at(error.valid_up_to());
            let half = u64::try_from(half.len()).unwrap_or(0);
            (whole, cut.saturating_add(half))
        }
        Ok(_) | Err(_) => (value, cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn units() -> BTreeSet<UnitName> {
        ["a.service", "b.service"]
            .map(|name| name.parse().expect("name"))
            .into()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Line>, Malformed> {
        let mut lines = Vec::new();
        Parser::default().feed(bytes, &units(), &mut lines)?;
        Ok(lines)
    }

    fn entry(fields: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=7\n".to_vec();
        for field in fields {
            bytes.extend_from_slice(field);
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = u64::try_from(value.len()).expect("length");
        [name.as_bytes(), b"\n", &length.to_le_bytes(), value].concat()
    }

    fn one(fields: &[&[u8]]) -> Line {
        let mut lines = read(&entry(fields)).expect("valid");
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    #[test_case(&[b"_SYSTEMD_USER_UNIT=a.service", b"_SYSTEMD_UNIT=user@7.service"], ("a.service", ""); "a unit of the user")]
    #[test_case(&[b"USER_UNIT=a.service", b"USER_INVOCATION_ID=1nv", b"_SYSTEMD_USER_UNIT=init.scope"], ("a.service", "1nv"); "the manager of the user tells of a unit")]
    #[test_case(&[b"UNIT=a.service", b"_SYSTEMD_UNIT=a.service", b"_SYSTEMD_USER_UNIT=x.service"], ("x.service", ""); "a unit of the system of the same name")]
    fn a_line_is_about_a_unit_of_the_user(fields: &[&[u8]], about: (&str, &str)) {
        let mut lines = Vec::new();
        let parsed = Parser::of(true).feed(&entry(fields), &units(), &mut lines);
        parsed.expect("valid");
        let line = lines.first().expect("a line");
        assert_eq!((line.unit.as_str(), line.invocation.as_str()), about);
    }

    #[test]
    fn an_entry_is_a_line() {
        let line = one(&[
            b"__MONOTONIC_TIMESTAMP=5",
            b"_BOOT_ID=b00",
            b"PRIORITY=3",
            b"SYSLOG_IDENTIFIER=x",
            b"_PID=12",
            b"_SYSTEMD_UNIT=a.service",
            b"MESSAGE=1 = 1",
            b"_SYSTEMD_INVOCATION_ID=1nv",
        ]);
        let expected = Line {
            cursor: "s=1;i=2".into(),
            realtime_us: 7,
            monotonic_us: 5,
            boot: "b00".into(),
            priority: Some(3),
            identifier: "x".into(),
            pid: Some(12),
            unit: "a.service".into(),
            invocation: "1nv".into(),
            message: "1 = 1".into(),
            cut_bytes: 0,
        };
        assert_eq!(line, expected);
    }

    #[test_case(&[b"UNIT=a.service", b"_SYSTEMD_UNIT=init.scope"], "a.service"; "systemd tells of a unit")]
    #[test_case(&[b"UNIT=c.service", b"_SYSTEMD_UNIT=b.service"], "b.service"; "a field of that name means nothing by itself")]
    #[test_case(&[b"COREDUMP_UNIT=a.service", b"_SYSTEMD_UNIT=systemd-coredump@1.service"], "a.service"; "a dump of core")]
    #[test_case(&[b"_SYSTEMD_UNIT=c.service"], "c.service"; "a unit of a slice that was asked for")]
    #[test_case(&[], ""; "none")]
    fn a_line_is_about_the_unit_that_was_asked_for(fields: &[&[u8]], unit: &str) {
        assert_eq!(one(fields).unit, unit);
    }

    #[test]
    fn what_is_missing_is_taken_from_what_is_similar() {
        let line = one(&[b"_COMM=y", b"SYSLOG_PID=9", b"PRIORITY=77"]);
        assert_eq!((line.identifier.as_str(), line.pid), ("y", Some(9)));
        assert_eq!(line.priority, None);
    }

    #[test]
    fn values_may_hold_anything() {
        let message = b"a\nb=c\n\n\xff\x00d";
        let line = one(&[&binary("MESSAGE", message), &binary("UNIT", b"")]);
        assert_eq!(line.message, "a\nb=c\n\n\u{fffd}\0d");
        assert_eq!(line.cut_bytes, 0);
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_between_characters() {
        let message = "ä".repeat(JOURNAL_MESSAGE_BYTES_MAX);
        let odd = format!("x{message}");
        for text in [
            &binary("MESSAGE", odd.as_bytes()),
            format!("MESSAGE={odd}").as_bytes(),
        ] {
            let line = one(&[text]);
            assert!(line.message.ends_with('ä'), "no half characters");
            let kept = u64::try_from(line.message.len()).expect("length");
            assert_eq!(kept + line.cut_bytes, 1 + 2 * 49_152);
            assert!(line.message.len() <= JOURNAL_MESSAGE_BYTES_MAX);
        }
    }

    #[test]
    fn it_may_come_in_any_pieces() {
        let mut bytes = entry(&[b"MESSAGE=one", b"PRIORITY=6"]);
        bytes.extend(entry(&[&binary("MESSAGE", b"t\nwo"), b"_PID=1"]));
        let whole = read(&bytes).expect("valid");
        assert_eq!(whole.len(), 2);
        for size in 1..bytes.len() {
            let (mut parser, mut lines) = (Parser::default(), Vec::new());
            for piece in bytes.chunks(size) {
                parser.feed(piece, &units(), &mut lines).expect("valid");
            }
            assert_eq!(lines, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_in_another_format_is_refused() {
        assert_eq!(read(&[b'x'; 1_000]), Err(Malformed));
        let mut bytes = binary("MESSAGE", b"abc");
        bytes.push(b'x');
        assert_eq!(read(&bytes), Err(Malformed));
        // An entry without a cursor is none.
        assert_eq!(read(b"MESSAGE=x\n\n\n\n"), Ok(vec![]));
    }
}
