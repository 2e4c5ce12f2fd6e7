//! The lines between helper and agent, docs/design/claims.md.

use node::{FromHelper, HelperAnswer};
use proto::model::JobKind;
use thiserror::Error;

/// A line that is no request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LineError {
    /// It is no text.
    #[error("a line is not UTF-8")]
    NotText,
    /// It is something else.
    #[error(
        "a line is '{0}', expected 'need PROXY TOKEN', 'stop PROXY', 'reload PROXY' or 'reloaded HOLD'"
    )]
    NoRequest(String),
}

/// Reads a line, without its end.
pub(crate) fn parse(line: &[u8]) -> Result<FromHelper, LineError> {
    let text = str::from_utf8(line).map_err(|_| LineError::NotText)?;
    let mut words = text.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("need"), Some(proxy), Some(token), None) => Ok(FromHelper::Asks {
            proxy: proxy.to_owned(),
            token: token.to_owned(),
        }),
        (Some("reloaded"), Some(hold), None, None) => Ok(FromHelper::Reloaded {
            hold: hold.to_owned(),
        }),
        (Some(verb @ ("stop" | "reload")), Some(proxy), None, None) => Ok(FromHelper::Orders {
            kind: match verb {
                "stop" => JobKind::Stop,
                _ => JobKind::Reload,
            },
            proxy: proxy.to_owned(),
        }),
        _ => {
            let shown = text.chars().take(64).collect::<String>();
            Err(LineError::NoRequest(shown.escape_debug().to_string()))
        }
    }
}

/// Writes an answer, with its end.
pub(crate) fn write(answer: &HelperAnswer) -> String {
    match answer {
        HelperAnswer::Wait { left, what } => {
            format!("wait {} {}\n", left.as_millis(), one_line(&what.text))
        }
        HelperAnswer::Up => "up\n".to_owned(),
        HelperAnswer::Done => "done\n".to_owned(),
        HelperAnswer::Failed(reason) => {
            format!("failed {} {}\n", reason.cause, one_line(&reason.text))
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proto::model::{Cause, Reason};
    use test_case::test_case;

    #[test]
    fn a_need_is_read() {
        let need = FromHelper::Asks {
            proxy: "proxy@a\\x5f1_b.service".into(),
            token: "00ff".into(),
        };
        assert_eq!(parse(b"need proxy@a\\x5f1_b.service 00ff"), Ok(need));
    }

    #[test_case("stop", JobKind::Stop)]
    #[test_case("reload", JobKind::Reload)]
    fn an_order_is_read(verb: &str, kind: JobKind) {
        let proxy = "proxy@b_t.service".to_owned();
        let line = format!("{verb} {proxy}");
        assert_eq!(
            parse(line.as_bytes()),
            Ok(FromHelper::Orders { kind, proxy })
        );
    }

    #[test_case(b""; "nothing")]
    #[test_case(b"start a"; "an order that nobody may give")]
    #[test_case(b"stop a b"; "an order with a token")]
    #[test_case(b"need a"; "no token")]
    #[test_case(b"need a b c"; "too much")]
    #[test_case(b"want a b"; "another word")]
    #[test_case(b"need \xff b"; "no text")]
    fn anything_else_is_refused(line: &[u8]) {
        assert!(parse(line).is_err());
    }

    #[test]
    fn answers_are_lines() {
        let reason = Reason::new(Cause::NodeOffline, "node b\nis offline");
        let left = Duration::from_secs(90);
        let wait = HelperAnswer::Wait {
            left,
            what: reason.clone(),
        };
        assert_eq!(write(&wait), "wait 90000 node b is offline\n");
        assert_eq!(write(&HelperAnswer::Up), "up\n");
        assert_eq!(write(&HelperAnswer::Done), "done\n");
        let failed = HelperAnswer::Failed(reason);
        assert_eq!(write(&failed), "failed node-offline node b is offline\n");
    }
}
