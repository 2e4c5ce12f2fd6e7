//! What a restarted agent must know of a job: one short text for each, kept in `/run` while the job
//! is under way and until its end has been acknowledged.
//!
//! ```text
//! unitlink job 1
//! 7 restart web.service replace open 1234
//! ```
//!
//! The last word is systemd's number of the job, `-` until it is known. One that has ended reads `ended`
//! instead, or `heard` where that was acknowledged, with the result, the cause (or `-`) and a sentence. One that was
//! asked for with a cookie has it in a line of its own:
//!
//! ```text
//! unitlink job 2
//! 7 restart web.service replace ended done -
//! 0123456789abcdef0123456789abcdef
//! ```

use std::{fmt, str::FromStr};

use proto::{
    model::{Cookie, JobId, JobKind, JobMode, JobResult, Reason},
    name::UnitName,
};

use crate::{reason::one_line, unit::ManagerJob};

const HEADER: &str = "unitlink job 1";
/// The first line of one with a cookie, which an agent before protocol 5 does not know.
const HEADER_COOKIE: &str = "unitlink job 2";

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
    /// The request, where it has a name.
    pub cookie: Option<Cookie>,
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
    /// It has ended, and a controller has acknowledged that.
    Heard(JobResult, Option<Reason>),
}

impl fmt::Display for JobNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            job,
            kind,
            unit,
            mode,
            cookie,
            stage,
        } = self;
        let header = match cookie {
            Some(_) => HEADER_COOKIE,
            None => HEADER,
        };
        write!(f, "{header}\n{job} {kind} {unit} {mode} ")?;
        match stage {
            NoteStage::Open(None) => writeln!(f, "open -"),
            NoteStage::Open(Some(number)) => writeln!(f, "open {number}"),
            NoteStage::Ended(result, reason) => write_end(f, "ended", *result, reason.as_ref()),
            NoteStage::Heard(result, reason) => write_end(f, "heard", *result, reason.as_ref()),
        }?;
        cookie.map_or(Ok(()), |cookie| writeln!(f, "{cookie}"))
    }
}

fn write_end(
    f: &mut fmt::Formatter<'_>,
    stage: &str,
    result: JobResult,
    reason: Option<&Reason>,
) -> fmt::Result {
    match reason {
        None => writeln!(f, "{stage} {result} -"),
        Some(reason) => {
            let text = one_line(&reason.text);
            writeln!(f, "{stage} {result} {} {text}", reason.cause)
        }
    }
}

impl FromStr for JobNote {
    /// A fragment that says what is wrong.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (header, rest) = text.split_once('\n').unwrap_or_default();
        let rest = rest.strip_suffix('\n').ok_or("the text is cut off");
        let (line, cookie) = match header {
            HEADER => (rest?, None),
            HEADER_COOKIE => {
                let (line, cookie) = rest?.split_once('\n').ok_or("the text is cut off")?;
                let cookie: Cookie = cookie.parse().map_err(|_| "the cookie is not valid")?;
                (line, Some(cookie))
            }
            _ => {
                return Err(format!(
                    "the first line is not '{HEADER}' or '{HEADER_COOKIE}'"
                ));
            }
        };
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
            ended @ ("ended" | "heard") => {
                let result = word("result")?.parse().map_err(|_| fail("result"))?;
                let reason = match word("cause")? {
                    "-" => None,
                    cause => {
                        let cause = cause.parse().map_err(|_| fail("cause"))?;
                        Some(Reason::new(cause, word("reason")?))
                    }
                };
                match ended {
                    "heard" => NoteStage::Heard(result, reason),
                    _ => NoteStage::Ended(result, reason),
                }
            }
            _ => return Err(fail("stage")),
        };
        Ok(Self {
            job: JobId(job),
            kind,
            unit,
            mode,
            cookie,
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
            cookie: None,
            stage,
        }
    }

    #[test_case(NoteStage::Open(None); "asked for")]
    #[test_case(NoteStage::Open(Some(ManagerJob(1234))); "queued")]
    #[test_case(NoteStage::Ended(JobResult::Done, None); "done")]
    #[test_case(NoteStage::Ended(JobResult::Failed, Some(Reason::new(Cause::UnitFailed, "exit-code (status 3)"))); "failed")]
    #[test_case(NoteStage::Heard(JobResult::Done, None); "acknowledged")]
    fn a_note_is_read_as_it_is_written(stage: NoteStage) {
        let plain = note(stage);
        let named = JobNote {
            cookie: Some(Cookie([7; 16])),
            ..plain.clone()
        };
        for note in [plain, named] {
            assert_eq!(note.to_string().parse(), Ok(note));
        }
    }

    /// An agent that is upgraded goes on with the jobs of the one before.
    #[test]
    fn a_note_without_a_cookie_is_what_it_was_before_there_were_cookies() {
        let text = "unitlink job 1\n7 restart web.service replace open 1234\n";
        assert_eq!(
            note(NoteStage::Open(Some(ManagerJob(1234)))).to_string(),
            text
        );
    }

    #[test_case("", "the first line is not 'unitlink job 1' or 'unitlink job 2'"; "nothing")]
    #[test_case("unitlink job 2\n7 restart web.service replace open 12\n", "the text is cut off"; "cut off before the cookie")]
    #[test_case("unitlink job 2\n7 restart web.service replace open 12\nabc\n", "the cookie is not valid"; "no cookie")]
    #[test_case("unitlink job 1\n7 restart web.service replace open 12", "the text is cut off"; "cut off")]
    #[test_case("unitlink job 1\n7 restart web replace open -\n", "the unit is not valid"; "no unit")]
    #[test_case("unitlink job 1\n7 restart web.service replace\n", "there is no stage"; "no stage")]
    fn a_damaged_note_says_what_is_wrong(text: &str, why: &str) {
        assert_eq!(text.parse::<JobNote>(), Err(why.to_owned()));
    }
}
