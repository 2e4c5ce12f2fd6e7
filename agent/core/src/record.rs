//! The records of the holds on this node's units, as they are kept in `/run`: what systemd cannot
//! say, which is the attempt that a hold belongs to.
//!
//! The text has one line for each record, after a line that names the format:
//!
//! ```text
//! unitlink holds 1
//! hold target.service worker1 0011…eeff up 8899…6677
//! hold target.service worker3 2233…0011 down - unit-failed unit target.service on node … failed
//! hold target.service worker4 4455…9900 restarted - after worker2/other.service
//! ```
//!
//! A line that cannot be read costs that record and no other: the controller then tells the hold as
//! a token that is not known here, for which there are rules.

use std::collections::BTreeMap;

use proto::{
    message::HoldKey,
    model::{ClaimState, Reason, Token},
    wave::Wave,
};

use crate::{
    limits::{HOLDS_MAX, RECORDS_BYTES_MAX},
    reason::one_line,
};

const HEADER: &str = "unitlink holds 1";

/// What is remembered of one node's hold on a unit here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The attempt.
    pub token: Token,
    /// How it stands: starting, up, or an end.
    pub state: RecordState,
}

/// How a hold stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// The unit is being started for it.
    Starting,
    /// It is up, under this run of the hold unit.
    Up {
        /// The invocation id of the hold unit.
        witness: Token,
    },
    /// It has run to its end, which is all that it does (`Type=oneshot` without `RemainAfterExit=yes`):
    /// nothing is active, and nothing can stop any more.
    Ran,
    /// The unit was started anew, because of these.
    Restarted(Wave),
    /// It could not be started, or is not up any more.
    Down(Reason),
    /// There can be no hold on it.
    Refused(Reason),
}

impl RecordState {
    /// What is reported.
    pub fn claim_state(&self) -> ClaimState {
        match self {
            Self::Starting => ClaimState::Starting,
            Self::Up { .. } | Self::Ran => ClaimState::Up,
            Self::Restarted(wave) => ClaimState::Restarted(wave.clone()),
            Self::Down(reason) => ClaimState::Down(reason.clone()),
            Self::Refused(reason) => ClaimState::Refused(reason.clone()),
        }
    }
}

/// All records, and what was wrong with their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// What could be read.
    pub entries: BTreeMap<HoldKey, Record>,
    /// What could not.
    pub damages: Vec<Damage>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Records {
    /// Reads the text that [`encode`] wrote. No text is no records.
    pub fn parse(text: &str) -> Self {
        let mut records = Self::default();
        if text.len() > RECORDS_BYTES_MAX {
            records.damage(
                1,
                format!("the file has more than {RECORDS_BYTES_MAX} bytes"),
            );
            return records;
        }
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            match line {
                HEADER if at == 0 => {}
                _ if at == 0 => {
                    records.damage(number, format!("the first line is not '{HEADER}'"));
                    return records;
                }
                _ => match parse_line(line) {
                    Ok(_) if records.entries.len() >= HOLDS_MAX => {
                        records.damage(number, format!("there are more than {HOLDS_MAX} records"));
                        return records;
                    }
                    Ok((key, record)) => {
                        records.entries.insert(key, record);
                    }
                    Err(why) => records.damage(number, why),
                },
            }
        }
        records
    }

    fn damage(&mut self, line: usize, why: String) {
        self.damages.push(Damage { line, why });
    }
}

/// Writes records as text.
pub fn encode<'a>(records: impl Iterator<Item = (HoldKey, &'a Record)>) -> String {
    let mut text = format!("{HEADER}\n");
    for (HoldKey { unit, source }, Record { token, state }) in records {
        let claim_state = state.claim_state();
        let word = match state {
            RecordState::Ran => "ran",
            RecordState::Starting
            | RecordState::Up { .. }
            | RecordState::Restarted(_)
            | RecordState::Down(_)
            | RecordState::Refused(_) => claim_state.as_str(),
        };
        text.push_str(&format!("hold {unit} {source} {token} {word} "));
        match state {
            RecordState::Up { witness } => text.push_str(&witness.to_string()),
            RecordState::Restarted(wave) if !wave.is_empty() => {
                text.push_str(&format!("- after {wave}"));
            }
            RecordState::Starting
            | RecordState::Ran
            | RecordState::Restarted(_)
            | RecordState::Down(_)
            | RecordState::Refused(_) => text.push('-'),
        }
        if let Some(reason) = claim_state.reason() {
            text.push_str(&format!(" {} {}", reason.cause, one_line(&reason.text)));
        }
        text.push('\n');
    }
    text
}

fn parse_line(line: &str) -> Result<(HoldKey, Record), String> {
    let mut words = line.splitn(8, ' ');
    let mut word = |name: &str| words.next().ok_or_else(|| format!("there is no {name}"));
    match word("keyword")? {
        "hold" => {}
        other => return Err(format!("'{}' is no record", other.escape_debug())),
    }
    let key = HoldKey {
        unit: word("unit")?.parse().map_err(text_of)?,
        source: word("source")?.parse().map_err(text_of)?,
    };
    let token: Token = word("token")?.parse().map_err(text_of)?;
    let state = word("state")?;
    let witness = word("witness")?;
    let mut reason = || {
        let cause = word("cause")?.parse().map_err(text_of)?;
        Ok::<_, String>(Reason::new(cause, word("text").unwrap_or_default()))
    };
    let state = match state {
        "starting" => RecordState::Starting,
        "ran" => RecordState::Ran,
        "up" => RecordState::Up {
            witness: witness.parse().map_err(text_of)?,
        },
        "restarted" => RecordState::Restarted(match words.next() {
            // The word is "after".
            Some(_) => words.next().unwrap_or_default().parse().map_err(text_of)?,
            None => Wave::default(),
        }),
        "down" => RecordState::Down(reason()?),
        "refused" => RecordState::Refused(reason()?),
        other => return Err(format!("'{}' is no state", other.escape_debug())),
    };
    Ok((key, Record { token, state }))
}

fn text_of(error: impl std::error::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::model::Cause;
    use test_case::test_case;

    fn key(source: &str) -> HoldKey {
        HoldKey {
            unit: "srv-a\\x2db.mount".parse().expect("name"),
            source: source.parse().expect("name"),
        }
    }

    fn every_state() -> BTreeMap<HoldKey, Record> {
        let reason = || Reason::new(Cause::UnitFailed, "unit t.service failed: exit-code");
        [
            ("a", RecordState::Starting),
            (
                "b",
                RecordState::Up {
                    witness: Token([7; 16]),
                },
            ),
            ("c", RecordState::Restarted(Wave::default())),
            (
                "h",
                RecordState::Restarted("a/t.service b/u.mount".parse().expect("wave")),
            ),
            ("g", RecordState::Ran),
            ("d", RecordState::Down(reason())),
            ("e", RecordState::Refused(reason())),
            ("f", RecordState::Down(Reason::new(Cause::UnitStopped, ""))),
        ]
        .into_iter()
        .map(|(source, state)| {
            (
                key(source),
                Record {
                    token: Token([1; 16]),
                    state,
                },
            )
        })
        .collect()
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let entries = every_state();
        let text = encode(entries.iter().map(|(k, r)| (k.clone(), r)));
        assert_eq!(
            Records::parse(&text),
            Records {
                entries,
                damages: vec![]
            }
        );
    }

    #[test]
    fn a_reason_of_several_lines_stays_one_record() {
        let record = Record {
            token: Token([1; 16]),
            state: RecordState::Down(Reason::new(Cause::Manager, "first\nhold second")),
        };
        let text = encode([(key("a"), &record)].into_iter());
        assert_eq!(text.lines().count(), 2);
        assert_eq!(Records::parse(&text).damages, []);
    }

    #[test_case("hold t.service a 0 up -"; "bad token")]
    #[test_case("hold t.service a"; "cut")]
    #[test_case("hold t.service a 01010101010101010101010101010101 up -"; "up without witness")]
    #[test_case("hold t.service a 01010101010101010101010101010101 down -"; "down without reason")]
    #[test_case("hold t.service a 01010101010101010101010101010101 asleep -"; "unknown state")]
    #[test_case("\u{0}\u{0}\u{0}"; "zeroes")]
    #[test_case(""; "empty line")]
    fn a_damaged_line_costs_no_other(line: &str) {
        let entries = every_state();
        let good = encode(entries.iter().map(|(k, r)| (k.clone(), r)));
        let records = Records::parse(&format!("{good}{line}\n"));
        assert_eq!(records.entries, entries);
        assert_eq!(records.damages.len(), 1);
    }

    #[test]
    fn another_format_is_not_read() {
        let records = Records::parse("unitlink holds 2\n");
        assert_eq!((records.entries.len(), records.damages.len()), (0, 1));
        assert_eq!(Records::parse(""), Records::default());
    }
}
