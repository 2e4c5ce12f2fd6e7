//! What must hold, as a user would say it, in one place. `docs/reference/faults.md` lists the same
//! sentences, which a test compares. The rules are looked at from outside the cores: what the
//! service managers run, what they are asked, what people and programs are told.

use std::fmt;

/// A rule that a world has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    NeededStays,
    UpStays,
    UpIsTrue,
    Answered,
    Orderly,
    Named,
    Online,
    Ended,
    Agree,
    Held,
    Files,
    Still,
    Startable,
    Circle,
}

impl Rule {
    pub(crate) const ALL: [Self; 14] = [
        Self::NeededStays,
        Self::UpStays,
        Self::UpIsTrue,
        Self::Answered,
        Self::Orderly,
        Self::Named,
        Self::Online,
        Self::Ended,
        Self::Agree,
        Self::Held,
        Self::Files,
        Self::Still,
        Self::Startable,
        Self::Circle,
    ];

    /// A short name, and the rule itself.
    pub(crate) fn sentence(self) -> (&'static str, &'static str) {
        match self {
            Self::NeededStays => (
                "I1",
                "No unit is released while an active unit of another node needs it, unless that node was out of sight for its grace, or the unit's own machine died.",
            ),
            Self::UpStays => (
                "I2",
                "Nothing that depends on a unit of another node is stopped or restarted for it while that unit stays up, unless a rule forbids the dependency or the other node was out of sight for the loss grace.",
            ),
            Self::UpIsTrue => (
                "I3",
                "No start goes on before the unit that it waits for was up, or has run, since it began to wait.",
            ),
            Self::Answered => (
                "I4",
                "A call is answered once; a job is announced once, and ends once; a request that is repeated has one job, and no other request has it.",
            ),
            Self::Orderly => (
                "I5",
                "Controller and agents contradict neither themselves nor each other, lose no record and reach no bound.",
            ),
            Self::Named => (
                "I6",
                "A start that waits says for what and until when, and that is not later than the start timeout.",
            ),
            Self::Online => ("I7", "Every node that runs is online."),
            Self::Ended => (
                "I8",
                "No start waits, no job is open, no call is unanswered.",
            ),
            Self::Agree => (
                "I9",
                "What the service managers of the sources run, what the agents claim, what the controller knows and what the targets hold is the same, attempt by attempt.",
            ),
            Self::Held => (
                "I10",
                "A unit is held where and only where an active unit of another node needs it.",
            ),
            Self::Files => (
                "I11",
                "Whatever is active has what its unit file requires, and nothing that stops when unneeded is active and unneeded.",
            ),
            Self::Still => ("I12", "Nothing changes any more."),
            Self::Startable => (
                "I13",
                "Whatever can be started is active soon after it was asked for, and what cannot has failed by then.",
            ),
            Self::Circle => (
                "I14",
                "A unit that requires itself around a circle is never active.",
            ),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence().0)
    }
}

#[test]
fn every_rule_is_in_the_reference() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/faults.md");
    let page = std::fs::read_to_string(page).expect("the reference of faults");
    for rule in Rule::ALL {
        let (name, sentence) = rule.sentence();
        let row = format!("| {name} | {sentence} |");
        assert!(page.contains(&row), "docs/reference/faults.md lacks\n{row}");
    }
}
