//! `why`: asks for all that explains a unit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::{dbus::public, name::HoldName};
use zbus::wire::Variant;

use super::explore::Explorer;
use crate::{
    bus,
    cli::{OneUnit, Options},
    facts::Facts,
    fault::{self, Fault},
    fleet::Target,
    journal::Answer,
    limits,
    view::{Look, Page, why},
    why::{Case, Ended, Journal, Line, Told},
};

/// Explains a unit.
pub(crate) async fn run(options: &Options, of: &OneUnit, look: &Look) -> Result<Page, Fault> {
    let mut bus = super::connect(options).await?;
    let mut explorer = Explorer::new(&mut bus).await?;
    explorer.known(&of.node)?;
    let unit = of.target();
    let asked = match HoldName::parse(&unit.unit) {
        Some(hold) => Target {
            node: unit.node.clone(),
            unit: hold.unit().clone(),
        },
        None => unit.clone(),
    };
    let mut case = Case {
        claims: explorer.claims().await?,
        adopted: explorer.adopted().await?,
        ended: explorer.ended().await?,
        nodes: explorer.nodes.clone(),
        ..Case::default()
    };
    // Each round asks for what the one before has named; a chain of units that need each other is
    // rarely longer.
    for _ in 0..limits::WHY_ROUNDS_MAX {
        let missing: BTreeSet<Target> = case.missing(&asked);
        if missing.is_empty() {
            break;
        }
        for (unit, read) in explorer.status(&missing).await? {
            let told = read.map(|facts| Told::from_facts(&unit.node, &facts));
            case.units.insert(unit, told);
        }
    }
    for unit in case.unread_journals(&asked) {
        if let Some(journal) = explorer.journal(&unit).await? {
            case.journals.insert(unit, journal);
        }
    }
    if case.is_not_found(&asked) {
        case.files = explorer.unit_files(&asked.node).await?;
    }
    Ok(why::page(&case, &unit, &asked, look))
}

impl Explorer<'_> {
    /// What the controller lists; nothing, if it is one that does not.
    async fn listed(&mut self, what: &'static str) -> Result<Vec<Facts>, Fault> {
        let call = bus::fleet_call(public::FLEET, what, &())?;
        let [answer] = self.bus.ask([call]).await?;
        match answer {
            Ok(answer) => super::dictionaries(&answer, what),
            Err(refusal) if fault::is_not_there(&refusal) => Ok(Vec::new()),
            Err(refusal) => Err(Fault::refused(refusal, self.bus.name())),
        }
    }

    /// How claims have ended.
    async fn ended(&mut self) -> Result<Vec<Ended>, Fault> {
        let ended = self.listed("ListEndedClaims").await?;
        Ok(ended.iter().filter_map(Ended::from_facts).collect())
    }

    /// Holds for sources that have not been heard since the controller started.
    async fn adopted(&mut self) -> Result<Vec<(String, Target, Option<Duration>)>, Fault> {
        let holds = self.listed("ListHolds").await?;
        let adopted = holds
            .iter()
            .filter(|hold| hold.flag("Adopted") == Some(true));
        let read = |hold: &Facts| {
            let node = hold.text("Node").parse().ok()?;
            let unit = hold.text("Unit").parse().ok()?;
            Some((
                hold.text("Source"),
                Target { node, unit },
                hold.span("GivesUpInUSec"),
            ))
        };
        Ok(adopted.filter_map(read).collect())
    }

    /// The end of the journal of a unit; nothing, if it cannot be read, which is no reason not to say
    /// the rest.
    async fn journal(&mut self, unit: &Target) -> Result<Option<Journal>, Fault> {
        let options = BTreeMap::from([
            ("Lines", Variant::from(limits::LAST_LINES)),
            ("Reverse", Variant::from(true)),
            ("ThisBoot", Variant::from(true)),
        ]);
        let body = (vec![unit.unit.as_str()], options);
        let call = bus::node_call(&unit.node, public::NODE_OWN, "ReadJournal", &body)?;
        let [answer] = self.bus.ask([call]).await?;
        let Ok(answer) = answer else {
            return Ok(None);
        };
        let (lines, _, _): Answer = bus::read(&answer, "ReadJournal")?;
        let mut journal = Journal::default();
        for line in lines.into_iter().map(Facts) {
            let at = line.span("MonotonicUSec").unwrap_or_default();
            let text = line.text("Message");
            journal.older(&line.text("Identifier"), Line { text, at });
        }
        Ok(Some(journal))
    }

    /// The names of the unit files of a node; none, if it does not say.
    pub(super) async fn unit_files(
        &mut self,
        node: &proto::name::NodeName,
    ) -> Result<Vec<String>, Fault> {
        let call = bus::node_call(node, public::NODE, "ListUnitFiles", &())?;
        let [answer] = self.bus.ask([call]).await?;
        let Ok(answer) = answer else {
            return Ok(Vec::new());
        };
        let files: Vec<(String, String)> = bus::read(&answer, "ListUnitFiles")?;
        let name = |(path, _): (String, String)| path.rsplit('/').next().map(str::to_owned);
        Ok(files.into_iter().filter_map(name).collect())
    }
}
