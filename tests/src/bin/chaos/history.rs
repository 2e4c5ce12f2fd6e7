//! When which unit ran, as the systemd of its node has written it to its journal.
//!
//! A state that is asked for can be missed; the journal of the service manager has every start and
//! every end, with the time at which it was written. All nodes run on one kernel, so their times can be
//! compared.

use std::collections::BTreeMap;

use ::tests::node::Node;
use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::layout::NodeId;

/// Microseconds of the wall clock.
pub(crate) type Micros = u64;

/// One run of a unit, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) begun: Micros,
    /// When its start was done.
    pub(crate) up: Option<Micros>,
    pub(crate) ended: Option<Micros>,
    /// Whether its node died under it.
    pub(crate) has_died: bool,
}

impl Run {
    /// Whether it had begun and not ended at this time.
    pub(crate) fn is_open(&self, at: Micros) -> bool {
        self.begun <= at && self.ended.is_none_or(|ended| ended > at)
    }

    /// Whether its start was done, and it had not ended.
    pub(crate) fn is_up(&self, at: Micros) -> bool {
        self.is_open(at) && self.up.is_some_and(|up| up <= at)
    }

    /// Whether it ended from one time to another.
    pub(crate) fn has_ended(&self, from: Micros, to: Micros) -> bool {
        self.ended.is_some_and(|ended| (from..=to).contains(&ended))
    }
}

/// What the manager of a node said about a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Starting,
    Started,
    /// It is being stopped, has stopped, failed, or lost its process.
    Ends,
    /// Its start did not succeed.
    StartFailed,
}

/// systemd's sd-messages.h.
const WORDS: [(&str, Word); 7] = [
    ("7d4958e842da4a758f6c1cdc7b36dcc5", Word::Starting),
    ("39f53479d3a045ac8e11786248231fbf", Word::Started),
    // SD_MESSAGE_UNIT_STOPPING, _STOPPED, _FAILURE_RESULT, _PROCESS_EXIT
    ("de5b426a63be47a7b6ac3eaac82e2f6f", Word::Ends),
    ("9d1aaa27d60140bd96365438aad20286", Word::Ends),
    ("d9b373ed55a64feb8242e02dbe79a49c", Word::Ends),
    ("98e322203f7a4ed290d09fe03c09fe15", Word::Ends),
    // SD_MESSAGE_UNIT_FAILED: a start job that ended badly.
    ("be02cf6855d2428ba40df7e9d022f03d", Word::StartFailed),
];

/// The runs of all units of all nodes.
#[derive(Debug, Default)]
pub(crate) struct History {
    runs: BTreeMap<(NodeId, String), Vec<Run>>,
    cursors: BTreeMap<NodeId, String>,
    /// From when to when the processes of a node were killed, if that was not taken in yet.
    deaths: Vec<(NodeId, Micros, Micros)>,
}

impl History {
    /// The runs of a unit, in their order.
    pub(crate) fn runs(&self, node: NodeId, unit: &str) -> &[Run] {
        self.runs
            .get(&(node, unit.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Notes that a node was killed.
    pub(crate) fn died(&mut self, node: NodeId, from: Micros, to: Micros) {
        self.deaths.push((node, from, to));
    }

    /// Reads what is new in the journal of a node.
    pub(crate) fn read(&mut self, id: NodeId, node: &Node) -> Result<()> {
        let mut args = vec![
            "--output=json".to_owned(),
            "--output-fields=MESSAGE_ID,UNIT,_SOURCE_REALTIME_TIMESTAMP".to_owned(),
            "_PID=1".to_owned(),
        ];
        args.extend(WORDS.map(|(id, _)| format!("MESSAGE_ID={id}")));
        if let Some(cursor) = self.cursors.get(&id) {
            args.push(format!("--after-cursor={cursor}"));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let text = node.journalctl(&args)?;

        let mut deaths: Vec<_> = self.deaths.extract_if(.., |it| it.0 == id).collect();
        deaths.sort_by_key(|(_, from, _)| *from);
        let mut deaths = deaths.into_iter().peekable();
        for line in text.lines() {
            let entry = Entry::parse(line).with_context(|| format!("in a journal: {line}"))?;
            while let Some((_, from, _)) = deaths.next_if(|(_, _, to)| entry.at > *to) {
                self.end_all(id, from);
            }
            self.cursors.insert(id, entry.cursor);
            self.take(id, &entry.unit, entry.word, entry.at);
        }
        for (_, from, _) in deaths {
            self.end_all(id, from);
        }
        Ok(())
    }

    /// Takes in one word of the manager of a node.
    pub(crate) fn take(&mut self, node: NodeId, unit: &str, word: Word, at: Micros) {
        let runs = self.runs.entry((node, unit.to_owned())).or_default();
        let open = runs.last_mut().filter(|run| run.ended.is_none());
        let run = Run {
            begun: at,
            up: None,
            ended: None,
            has_died: false,
        };
        match (word, open) {
            (Word::Starting, None) => runs.push(run),
            (Word::Started, None) => runs.push(Run {
                up: Some(at),
                ..run
            }),
            (Word::Started, Some(open)) => {
                open.up.get_or_insert(at);
            }
            (Word::Ends | Word::StartFailed, Some(open)) => open.ended = Some(at),
            // It could not even begin.
            (Word::StartFailed, None) => runs.push(Run {
                ended: Some(at),
                ..run
            }),
            (Word::Starting, Some(_)) | (Word::Ends, None) => {}
        }
    }

    /// The node died.
    pub(crate) fn end_all(&mut self, node: NodeId, at: Micros) {
        for ((of, _), runs) in &mut self.runs {
            if let Some(run) = runs.last_mut().filter(|_| *of == node)
                && run.ended.is_none_or(|ended| ended >= at)
            {
                run.ended = Some(at);
                run.has_died = true;
            }
        }
    }
}

/// One line of a journal.
struct Entry {
    at: Micros,
    unit: String,
    word: Word,
    cursor: String,
}

impl Entry {
    fn parse(line: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(line)?;
        let text = |key: &str| json[key].as_str().with_context(|| key.to_owned());
        let message = text("MESSAGE_ID")?;
        let Some((_, word)) = WORDS.iter().find(|(id, _)| *id == message) else {
            bail!("a message that was not asked for: {message}");
        };
        Ok(Self {
            at: text("_SOURCE_REALTIME_TIMESTAMP")?.parse()?,
            unit: text("UNIT").unwrap_or_default().to_owned(),
            word: *word,
            cursor: text("__CURSOR")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_from_its_first_word_to_its_last() {
        let mut history = History::default();
        for (at, word) in [
            (1, Word::Starting),
            (2, Word::Started),
            (5, Word::Ends),
            (6, Word::Ends),
            (7, Word::Starting),
            (8, Word::StartFailed),
            (9, Word::StartFailed),
        ] {
            history.take(0, "a.service", word, at);
        }
        let seen: Vec<_> = history
            .runs(0, "a.service")
            .iter()
            .map(|run| (run.begun, run.up, run.ended))
            .collect();
        assert_eq!(
            seen,
            [
                (1, Some(2), Some(5)),
                (7, None, Some(8)),
                (9, None, Some(9))
            ]
        );
    }

    #[test]
    fn the_end_of_a_node_is_that_of_all_of_its_runs() {
        let mut history = History::default();
        history.take(0, "a.service", Word::Started, 1);
        history.take(1, "b.service", Word::Started, 1);
        history.end_all(0, 4);
        assert!(history.runs(0, "a.service")[0].has_died);
        assert!(history.runs(1, "b.service")[0].is_up(4));
    }

    #[test]
    fn a_line_of_the_journal_is_read() {
        let line = r#"{"__CURSOR":"c","UNIT":"a.service","_SOURCE_REALTIME_TIMESTAMP":"17",
            "MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf"}"#;
        let entry = Entry::parse(line).unwrap();
        assert_eq!((entry.at, entry.word), (17, Word::Started));
        assert_eq!(entry.unit, "a.service");
    }
}
