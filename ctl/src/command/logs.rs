//! `logs`: journals of units on nodes. Lines are pulled a part at a time, and the next part is asked
//! for when there is room for it: whoever reads slowly holds up nobody but himself.

mod follow;
mod source;

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use zbus::Message;

use super::{
    choose::{self, Known},
    each::Done,
};
use crate::{
    bus::{self, Bus},
    cli::{Logs, Options},
    exit::Exit,
    fault::Fault,
    journal::{Answer, Line, Merge, Part, Wanted},
    pager::Pager,
    view::{
        Look, Page, detail,
        logs::{NOTHING, Writer},
        look,
        message::{self, Message as Said},
    },
};
use source::Sources;

/// What fails if it does.
const VERB: &str = "read the journal of";

/// Prints lines.
pub(crate) async fn run(options: &Options, with: &Logs, look: &Look) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
    let mut chosen = choose::nodes(&mut bus, &with.of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &with.of.units).await?;
    let mut failed = expanded.faults;
    let sources = Sources::new(expanded.targets, with.count())?;
    let writer = Writer::new(with.format, chosen.several, detail::zone(), look);
    if with.follow {
        drop(bus);
        return follow::run(options, with.wanted(), sources, failed, writer, look).await;
    }
    let nodes: Vec<NodeName> = sources.names().cloned().collect();
    let mut reading = Reading {
        wanted: with.wanted(),
        merge: Merge::new(nodes, with.wanted().reverse),
        sources,
        known: chosen.known,
        failed: Vec::new(),
        has_printed: false,
    };
    let mut out = Out::open(!options.no_pager && writer.is_for_people(), options.quiet);
    reading.all(&mut bus, writer, &mut out).await?;
    failed.append(&mut reading.failed);
    out.close();
    let messages: Vec<Said> = failed.iter().filter_map(message::of_done).collect();
    let exits = failed.iter().filter_map(|done| {
        let fault = done.answer.as_ref().err()?;
        Some((done.node.clone(), fault.exit()))
    });
    Ok(Page {
        data: String::new(),
        messages,
        exit: Exit::of_nodes(exits),
    })
}

/// Reads what is there.
struct Reading {
    wanted: Wanted,
    merge: Merge,
    sources: Sources,
    known: Known,
    failed: Vec<Done<()>>,
    has_printed: bool,
}

impl Reading {
    /// Prints all lines, in the order of time.
    async fn all(&mut self, bus: &mut Bus, mut writer: Writer, out: &mut Out) -> Result<(), Fault> {
        loop {
            while let Some((node, line)) = self.merge.next() {
                self.has_printed = true;
                if !out.print(&writer.line(&node, &line)) {
                    return Ok(());
                }
            }
            let lacking: Vec<NodeName> = self.merge.lacking().cloned().collect();
            if lacking.is_empty() {
                break;
            }
            bus.renew();
            self.more(bus, &lacking).await?;
        }
        bus.renew();
        self.find_missing(bus).await?;
        if !self.has_printed && self.failed.is_empty() && writer.is_for_people() {
            out.print(NOTHING);
        }
        Ok(())
    }

    /// Asks these nodes for more.
    async fn more(&mut self, bus: &mut Bus, nodes: &[NodeName]) -> Result<(), Fault> {
        let calls = nodes.iter().filter_map(|node| {
            let source = self.sources.get(node)?;
            Some(source.call(node, &self.wanted, None))
        });
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let answers = bus.ask_each(&calls).await;
        for (node, answer) in nodes.iter().zip(answers) {
            let fault = match answer {
                Ok(Ok(answer)) => match lines(&answer) {
                    Ok((lines, cursor, more)) => {
                        if let Some(source) = self.sources.get_mut(node) {
                            let more = source.heard(lines.len(), cursor, more);
                            self.merge.add(node, lines, more);
                        }
                        continue;
                    }
                    Err(fault) => fault,
                },
                Ok(Err(refusal)) => self.known.explain(bus, node, "", refusal).await,
                Err(fault) => fault,
            };
            self.merge.end(node);
            self.fail(node, String::new(), fault);
        }
        Ok(())
    }

    fn fail(&mut self, node: &NodeName, unit: String, fault: Fault) {
        self.failed.push(Done {
            verb: VERB,
            node: node.clone(),
            unit,
            answer: Err(fault),
        });
    }

    /// A unit of which nothing is in the journal, because there is no such unit, is rather mistyped.
    async fn find_missing(&mut self, bus: &mut Bus) -> Result<(), Fault> {
        if self.has_printed {
            // It is there, if not on all of the nodes.
            return Ok(());
        }
        let is_failed = |node: &NodeName| self.failed.iter().any(|done| done.node == *node);
        let silent = self.sources.silent();
        let silent: Vec<(NodeName, Vec<String>)> =
            silent.filter(|(node, _)| !is_failed(node)).collect();
        let calls = silent.iter().map(|(node, units)| {
            let body = (units, vec!["LoadState"]);
            bus::node_call(node, public::NODE_OWN, "ReadProperties", &body)
        });
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let mut missing: Vec<(NodeName, UnitName)> = Vec::new();
        for ((node, _), answer) in silent.iter().zip(bus.ask_each(&calls).await) {
            // Whoever cannot tell has said that there are no lines, and that is enough.
            let Ok(Ok(answer)) = answer else {
                continue;
            };
            let units = not_found(&answer).unwrap_or_default().into_iter();
            missing.extend(units.map(|unit| (node.clone(), unit)));
        }
        if self.wanted.is_narrow() {
            self.drop_former(bus, &mut missing).await?;
        }
        for (node, unit) in missing {
            let fault = Fault::NoUnit {
                node: node.to_string(),
                unit: unit.to_string(),
            };
            self.fail(&node, unit.to_string(), fault);
        }
        Ok(())
    }

    /// Leaves out units that there were once: they have lines, if not such as are wanted.
    async fn drop_former(
        &self,
        bus: &mut Bus,
        missing: &mut Vec<(NodeName, UnitName)>,
    ) -> Result<(), Fault> {
        let any = Wanted::default();
        let part = Part {
            lines: Some(1),
            ..Part::default()
        };
        let calls = missing.iter().map(|(node, unit)| {
            let units = std::slice::from_ref(unit);
            bus::node_call(
                node,
                public::NODE_OWN,
                "ReadJournal",
                &any.body(units, part),
            )
        });
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let mut answers = bus.ask_each(&calls).await.into_iter();
        missing.retain(|_| match answers.next() {
            Some(Ok(Ok(answer))) => lines(&answer).is_ok_and(|(lines, ..)| lines.is_empty()),
            _ => true,
        });
        Ok(())
    }
}

/// Units that do not exist.
fn not_found(answer: &Message) -> Result<Vec<UnitName>, Fault> {
    type Told = Vec<(
        String,
        std::collections::BTreeMap<String, zbus::wire::OwnedVariant>,
    )>;
    let told: Told = bus::read(answer, "ReadProperties")?;
    let missing = told.into_iter().filter_map(|(unit, facts)| {
        let load = crate::facts::Facts(facts).text("LoadState");
        (load == "not-found").then(|| unit.parse().ok())?
    });
    Ok(missing.collect())
}

/// Reads an answer.
pub(super) fn lines(answer: &Message) -> Result<(Vec<Line>, String, bool), Fault> {
    let (lines, cursor, more): Answer = bus::read(answer, "ReadJournal")?;
    let line = |facts| Line::from_facts(&crate::facts::Facts(facts));
    Ok((lines.into_iter().map(line).collect(), cursor, more))
}

/// Where lines go: a pager, or standard output.
enum Out {
    Pager(Pager),
    Plain,
    /// Nobody wants to see them.
    Nowhere,
}

impl Out {
    fn open(is_paged: bool, is_quiet: bool) -> Self {
        let terminal = look::terminal().filter(|_| is_paged);
        match terminal.and_then(|_| Pager::open()) {
            _ if is_quiet => Self::Nowhere,
            Some(pager) => Self::Pager(pager),
            None => Self::Plain,
        }
    }

    /// `false` if nobody reads any more.
    fn print(&mut self, text: &str) -> bool {
        use std::io::Write as _;
        match self {
            Self::Pager(pager) => pager.write(text),
            Self::Plain => std::io::stdout().lock().write_all(text.as_bytes()).is_ok(),
            Self::Nowhere => true,
        }
    }

    fn close(self) {
        if let Self::Pager(pager) = self {
            pager.close();
        }
    }
}
