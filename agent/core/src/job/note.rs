//! What a restarted agent must know of a job: one short text for each, kept in `/run` while the job
//! is under way and until its end has been acknowledged.
//!
//! ```text
//! unitlink job 1
//! 7 restart web.service replace open 1234
//! ```
//!
//! The last word is systemd's number of the job, `-` until it is known. One that has ended reads `ended`
//! instead, with the result, the cause (or `-`) and a sentence.

use std::{fmt, str::FromStr};

use proto::{
    model::{JobId, JobKind, JobMode, JobResult, Reason},
    name::UnitName,
};

use crate::{reason::one_line, unit::ManagerJob};

const HEADER: &str = "unitlink job 1";

/// What is remembered of a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobNote {
    /// The job.
    pub job: JobId,
    /// What is done.
    pub kind: JobKind,
    /// The unit.
    pub unit: UnitName,
    /// How it deals with jobs that are queued already.
    pub mode: JobMode,
    /// How far it was.
    pub stage: NoteStage,
}

/// How far a job was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NoteStage {
    /// systemd was asked for it, and may have answered with this number.
    Open(Option<ManagerJob>),
    /// It has ended, and nobody has acknowledged that.
    Ended(JobResult, Option<Reason>),
}

impl fmt::Display for JobNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            job,
            kind,
            unit,
            mode,
            stage,
        } = self;
        write!(f, "{HEADER}\n{job} {kind} {unit} {mode} ")?;
        match stage {
            NoteStage::Open(None) => writeln!(f, "open -"),
            NoteStage::Open(Some(number)) => writeln!(f, "open {number}"),
            NoteStage::Ended(result, None) => writeln!(f, "ended {result} -"),
            NoteStage::Ended(result, Some(reason)) => {
                let text = one_line(&reason.text);
                writeln!(f, "ended {result} {} {text}", reason.cause)
            }
        }
    }
}

impl FromStr for JobNote {
    /// A fragment that says what is wrong.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let line = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or_else(|| format!("the first line is not '{HEADER}'"))?;
        let line = line.strip_suffix('\n').ok_or("the text is cut off")?;
        let mut words = line.splitn(8, ' ');
        let mut word = |what: &str| words.next().ok_or_else(|| format!("there is no {what}"));
        let fail = |what: &str| format!("the {what} is not valid");
        let job = word("number")?.parse().map_err(|_| fail("number"))?;
        let kind = word("kind")?.parse().map_err(|_| fail("kind"))?;
        let unit = word("unit")?.parse().map_err(|_| fail("unit"))?;
        let mode = word("mode")?.parse().map_err(|_| fail("mode"))?;
        let stage = match word("stage")? {
            "open" => NoteStage::Open(match word("number of systemd")? {
                "-" => None,
                number => Some(ManagerJob(number.parse().map_err(|_| fail("number"))?)),
            }),
            "ended" => {
                let result = word("result")?.parse().map_err(|_| fail("result"))?;
                let reason = match word("cause")? {
                    "-" => None,
                    cause => {
                        let cause = cause.parse().map_err(|_| fail("cause"))?;
                        Some(Reason::new(cause, word("reason")?))
                    }
                };
                NoteStage::Ended(result, reason)
            }
            _ => return Err(fail("stage")),
        };
        Ok(Self {
            job: JobId(job),
            kind,
            unit,
            mode,
            stage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::model::Cause;
    use test_case::test_case;

    fn note(stage: NoteStage) -> JobNote {
        JobNote {
            job: JobId(7),
            kind: JobKind::Restart,
            unit: "web.service".parse().expect("unit"),
            mode: JobMode::Replace,
            stage,
        }
    }

    #[test_case(NoteStage::Open(None); "asked for")]
    #[test_case(NoteStage::Open(Some(ManagerJob(1234))); "queued")]
    #[test_case(NoteStage::Ended(JobResult::Done, None); "done")]
    #[test_case(NoteStage::Ended(JobResult::Failed, Some(Reason::new(Cause::UnitFailed, "exit-code (status 3)"))); "failed")]
    fn a_note_is_read_as_it_is_written(stage: NoteStage) {
        let note = note(stage);
        assert_eq!(note.to_string().parse(), Ok(note));
    }

    #[test_case("", "the first line is not 'unitlink job 1'"; "nothing")]
    #[test_case("unitlink job 1\n7 restart web.service replace open 12", "the text is cut off"; "cut off")]
    #[test_case("unitlink job 1\n7 restart web replace open -\n", "the unit is not valid"; "no unit")]
    #[test_case("unitlink job 1\n7 restart web.service replace\n", "there is no stage"; "no stage")]
    fn a_damaged_note_says_what_is_wrong(text: &str, why: &str) {
        assert_eq!(text.parse::<JobNote>(), Err(why.to_owned()));
    }
}
