//! The last lines of a unit's journal, below its status. They are asked for beside the status, on a
//! connection of their own, and are not waited for for long.

use std::time::Duration;

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use tokio::time::timeout;

use crate::{
    bus::{self, Bus},
    cli::{Options, Output, Status},
    command::{choose::Known, logs},
    fault::Fault,
    journal::{Line, Log, Part, Wanted},
    limits, span,
    view::Look,
};

/// Whether and how many lines are wanted below the status of a single unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    session: bool,
    lines: u32,
    patience: Duration,
}

impl Tail {
    /// Nobody wants to see any.
    pub(crate) const NONE: Self = Self {
        session: false,
        lines: 0,
        patience: Duration::ZERO,
    };

    /// For people some, otherwise as many as are asked for.
    pub(crate) fn of(options: &Options, with: &Status, look: &Look) -> Self {
        let lines = match look.output {
            Output::Table if look.legend => with.lines.or(Some(limits::LOG_OF_STATUS)),
            Output::Json => with.lines,
            Output::Table | Output::Plain => None,
        };
        Self {
            session: options.user,
            lines: lines.unwrap_or(0),
            // Who asks for lines waits for them as for any answer.
            patience: match with.lines {
                Some(_) => options.question_timeout(),
                None => limits::LOG_OF_STATUS_PATIENCE,
            },
        }
    }

    /// The lines, or why they are not known.
    pub(super) async fn read(self, node: &NodeName, unit: &UnitName) -> Log {
        if self.lines == 0 {
            return Log::NotAsked;
        }
        match timeout(self.patience, self.lines(node, unit)).await {
            Ok(Ok(lines)) => Log::Lines(lines),
            Ok(Err(fault)) => Log::Unknown(fault.to_string()),
            Err(_) => Log::Unknown(format!("no answer after {}", span::display(self.patience))),
        }
    }

    /// From the newest on, because one answer may not have room for all: those that matter least are
    /// the oldest.
    async fn lines(self, node: &NodeName, unit: &UnitName) -> Result<Vec<Line>, Fault> {
        let mut bus = Bus::connect(self.session, self.patience).await?;
        let wanted = Wanted {
            this_boot: true,
            reverse: true,
            ..Wanted::default()
        };
        let units = [unit.clone()];
        let (mut all, mut cursor, mut left) = (Vec::new(), String::new(), self.lines);
        while left > 0 {
            let part = Part {
                cursor: &cursor,
                lines: Some(left),
                wait: None,
            };
            let body = wanted.body(&units, part);
            let call = bus::node_call(node, public::NODE_OWN, "ReadJournal", &body)?;
            let [answer] = bus.ask([call]).await?;
            let (lines, next, more) = match answer {
                Ok(answer) => logs::lines(&answer)?,
                Err(refusal) => {
                    let mut known = Known::default();
                    return Err(known.explain(&mut bus, node, "", refusal).await);
                }
            };
            let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
            left = left.saturating_sub(count);
            all.extend(lines);
            if !more || count == 0 {
                break;
            }
            cursor = next;
        }
        all.reverse();
        Ok(all)
    }
}
