//! Why a unit is as it is: sentences, one in each line.

use serde::Serialize;

use super::{Look, Page, clean, fit, json, plain, usec};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::Target,
    graph::Sight,
    why::{self, About, Case, Sentence},
};

/// The sentences about a unit; `asked` is what is explained, which for a hold is what it holds.
pub(crate) fn page(case: &Case, unit: &Target, asked: &Target, look: &Look) -> Page {
    let sentences = why::explain(case, unit);
    let data = match look.output {
        Output::Table => {
            let lines = sentences.iter().map(|sentence| {
                let before = match sentence.about {
                    About::State => "",
                    About::Need | About::Cause | About::Outlook | About::Hint => "  ",
                };
                let text = format!("{before}{}", clean(&sentence.text));
                fit::wrapped(&text, "    ", look.width) + "\n"
            });
            lines.collect()
        }
        Output::Json => json(&WhyJson {
            node: unit.node.as_str(),
            unit: unit.unit.as_str(),
            sentences: sentences.iter().map(SentenceJson::of).collect(),
        }),
        Output::Plain => plain(
            sentences
                .iter()
                .map(|sentence| [sentence.about.as_str().to_owned(), sentence.text.clone()]),
        ),
    };
    Page::data(data, exit(case, asked))
}

/// Whether it could be found out.
fn exit(case: &Case, asked: &Target) -> Exit {
    match case.units.get(asked) {
        Some(Ok(_)) if case.is_not_found(asked) => Exit::NoSuchUnit,
        Some(Ok(_)) => Exit::Done,
        Some(Err(Sight::Offline)) => Exit::NodeOffline,
        Some(Err(Sight::NoNode)) => Exit::NoSuchNode,
        Some(Err(Sight::Seen(_) | Sight::Unread(_))) | None => Exit::Other,
    }
}

#[derive(Serialize)]
struct WhyJson<'a> {
    node: &'a str,
    unit: &'a str,
    sentences: Vec<SentenceJson<'a>>,
}

#[derive(Serialize)]
struct SentenceJson<'a> {
    about: &'static str,
    text: &'a str,
    node: Option<&'a str>,
    unit: Option<&'a str>,
    since_usec_ago: Option<u64>,
    left_usec: Option<u64>,
}

impl<'a> SentenceJson<'a> {
    fn of(sentence: &'a Sentence) -> Self {
        let unit = sentence.unit.as_ref();
        Self {
            about: sentence.about.as_str(),
            text: &sentence.text,
            node: unit.map(|unit| unit.node.as_str()),
            unit: unit.map(|unit| unit.unit.as_str()),
            since_usec_ago: sentence.since.map(usec),
            left_usec: sentence.left.map(usec),
        }
    }
}
