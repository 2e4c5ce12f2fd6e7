use std::time::Duration;

use node::HelperAnswer;
use proto::model::{Cause, Reason};

use super::{
    agent::line,
    proxy::{answer::Answer, limits::LINE_BYTES_MAX},
};

/// Whatever comes over the socket of the helpers is a request or an error, and whatever the agent
/// answers is one line that its helper understands.
pub fn lines(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Err(error) = line::parse(line) {
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control), "{shown:?}");
        }
        if let Some(Answer::Wait { text, .. } | Answer::Failed { text, .. }) = Answer::parse(line) {
            assert!(
                !text.is_empty() && !text.contains(char::is_control),
                "{text:?}"
            );
        }
    }
    let (first, text) = bytes.split_first().unwrap_or((&0, &[]));
    let cause = Cause::ALL
        .iter()
        .cycle()
        .nth(usize::from(*first))
        .copied()
        .unwrap_or(Cause::Limit);
    let reason = Reason::new(cause, String::from_utf8_lossy(text));
    let left = Duration::from_millis(u64::from(*first));
    let what = reason.clone();
    for answer in [
        HelperAnswer::Failed(reason),
        HelperAnswer::Wait { left, what },
    ] {
        let written = line::write(&answer);
        let line = written.strip_suffix('\n').unwrap_or(&written);
        assert!(!line.contains('\n') && line.len() <= LINE_BYTES_MAX);
        assert!(Answer::parse(line.as_bytes()).is_some(), "{line:?}");
    }
}
