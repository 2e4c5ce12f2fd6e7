//! What the agent says, line by line; pure.

use std::time::Duration;

use proto::model::{Cause, Reason};

use super::{limits, outcome::Failure};

/// One line of the agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It will give up after `limit`; the text says what it waits for.
    Wait { limit: Duration, text: String },
    /// The unit is up, or what was ordered is done.
    Up,
    /// It is not.
    Failed { failure: Failure, text: String },
}

impl Answer {
    /// Reads a line, without its end. `None` for what no agent says. Control characters become
    /// spaces, because the text is shown.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > limits::LINE_BYTES_MAX {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "up" | "done" if rest.is_empty() => Some(Self::Up),
            "wait" => {
                let (ms, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let limit = Duration::from_millis(ms.parse().ok()?).min(limits::WAIT_MAX);
                let text = shown(text, "the remote unit");
                Some(Self::Wait { limit, text })
            }
            "failed" => {
                let (cause, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let failure = match cause.parse::<Cause>() {
                    Ok(cause) => Failure::Said(cause),
                    Err(_) if cause.is_empty() => return None,
                    Err(_) => Failure::SaidOtherwise,
                };
                let text = shown(text, cause);
                Some(Self::Failed { failure, text })
            }
            _ => None,
        }
    }
}

/// A text as it is shown, which is never empty and never longer than a reason may be.
fn shown(text: &str, otherwise: &str) -> String {
    let text = text.trim();
    let text = if text.is_empty() { otherwise } else { text };
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // The cause does not matter here; the rule by which a long text is cut does.
    Reason::new(Cause::UnitFailed, clean).text
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn wait(ms: u64, text: &str) -> Answer {
        Answer::Wait {
            limit: Duration::from_millis(ms),
            text: text.into(),
        }
    }

    fn failed(failure: Failure, text: &str) -> Answer {
        Answer::Failed {
            failure,
            text: text.into(),
        }
    }

    #[test_case("up", Answer::Up; "up")]
    #[test_case("done", Answer::Up; "done")]
    #[test_case("up\r", Answer::Up; "with the line end of a terminal")]
    #[test_case("wait 90000 node b is offline", wait(90_000, "node b is offline"); "wait")]
    #[test_case("wait 5", wait(5, "the remote unit"); "wait without a text")]
    #[test_case("wait 18446744073709551615 x", wait(86_400_000, "x"); "a wait without end is cut")]
    #[test_case(
        "failed unit-failed t.service on b failed: exit-code (status 1)",
        failed(Failure::Said(Cause::UnitFailed), "t.service on b failed: exit-code (status 1)");
        "failed"
    )]
    #[test_case("failed cycle", failed(Failure::Said(Cause::Cycle), "cycle"); "failed without a text")]
    #[test_case(
        "failed moon-full no luck",
        failed(Failure::SaidOtherwise, "no luck");
        "failed for a reason of a newer agent"
    )]
    #[test_case(
        "failed limit a\x1b[31mb",
        failed(Failure::Said(Cause::Limit), "a [31mb");
        "control characters are not shown"
    )]
    fn lines_of_an_agent(line: &str, answer: Answer) {
        assert_eq!(Answer::parse(line.as_bytes()), Some(answer));
    }

    #[test_case(b""; "nothing")]
    #[test_case(b"UP"; "another case")]
    #[test_case(b"up now"; "more than up")]
    #[test_case(b"wait"; "wait without a time")]
    #[test_case(b"wait -1 x"; "a time that is no number")]
    #[test_case(b"failed"; "failed without a cause")]
    #[test_case(b"\xff\xfe"; "not UTF-8")]
    #[test_case(&[b'a'; 1025]; "too long")]
    fn lines_of_no_agent(line: &[u8]) {
        assert_eq!(Answer::parse(line), None);
    }
}
