//! What the version before speaks, frozen: a peer that is held to it fails over each member, argument, type and
//! word that did not exist then, whatever the code of today makes of it.
//!
//! `before/protocol4.xml` has the members, [`word`] the words, and `before/public4.xml` what clients find on the bus. All is as it was, and
//! nothing here is taken from the crate `proto`.

mod between;
mod document;
mod word;

use std::collections::BTreeMap;

use zbus::{
    Message, OwnedVariant,
    message::{Flags, Type},
};

pub use between::{Between, between};
use document::{Document, Kind, Member};

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The agent.
    Agent,
    /// The controller.
    Controller,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Agent => Self::Controller,
            Self::Controller => Self::Agent,
        }
    }
}

/// What is said on one connection, by both sides.
#[derive(Debug)]
pub struct Conversation {
    document: Document,
    /// Calls that are not answered, by who made them and their serial.
    asked: BTreeMap<(Side, u32), Member>,
}

impl Default for Conversation {
    /// One that has not begun.
    fn default() -> Self {
        Self {
            document: Document::protocol4(),
            asked: BTreeMap::new(),
        }
    }
}

impl Conversation {
    /// One side says something.
    ///
    /// # Errors
    ///
    /// Says what it is that protocol 4 does not know.
    pub fn say(&mut self, side: Side, message: &Message) -> Result<(), String> {
        self.check(side, message)
            .map_err(|why| format!("the {side:?} says {message}: {why}"))
    }

    fn check(&mut self, side: Side, message: &Message) -> Result<(), String> {
        let header = message.header();
        let kind = match message.message_type() {
            Type::MethodCall => Kind::Method,
            Type::Signal => Kind::Signal,
            Type::MethodReturn => return self.check_answer(side, message),
            // Their names are for whoever asked, and pass through.
            Type::Error => return self.answered(side, message).map(drop),
        };
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let interface = text(header.interface().map(|it| it.as_str()));
        let name = text(header.member().map(|it| it.as_str()));
        // Everybody has it, whatever they speak.
        if interface == "org.freedesktop.DBus.Peer" {
            return Ok(());
        }
        let member = self.document.find(&interface, &name, kind);
        let member = member.ok_or("there is no such member")?.clone();
        let path = text(header.path().map(|it| it.as_str()));
        if path != member.path {
            return Err(format!("it is on {}", member.path));
        }
        if member.speaker() != side {
            return Err("it is for the other side to say".to_owned());
        }
        is_type(message, &member.takes)?;
        word::check(&member.name, message)?;
        if name == "Hello" {
            let (_, facts): (String, Facts) = body(message)?;
            are_there(&facts, HELLO)?;
        }
        if kind == Kind::Method
            && !message
                .primary_header()
                .flags()
                .contains(Flags::NO_REPLY_EXPECTED)
        {
            let serial = message.primary_header().serial_num().get();
            self.asked.insert((side, serial), member);
        }
        Ok(())
    }

    fn check_answer(&mut self, side: Side, message: &Message) -> Result<(), String> {
        let Some(member) = self.answered(side, message)? else {
            return Ok(());
        };
        is_type(message, &member.gives)?;
        match member.name.as_str() {
            "Hello" => are_there(&body(message)?, WELCOME),
            "Order" => {
                let (cause, _): (String, String) = body(message)?;
                word::is_cause_or_none(&cause)
            }
            _ => Ok(()),
        }
    }

    /// The call that is answered; nothing where it is one that everybody has.
    fn answered(&mut self, side: Side, message: &Message) -> Result<Option<Member>, String> {
        let serial = message.header().reply_serial();
        let serial = serial.ok_or("it answers nothing")?.get();
        Ok(self.asked.remove(&(side.other(), serial)))
    }
}

/// `a{sv}`. What is not known in it is ignored, by the rule of every version.
type Facts = std::collections::HashMap<String, OwnedVariant>;

/// The facts of a hello that have to be there, and their types.
const HELLO: &[(&str, &str)] = &[
    ("protocol", "u"),
    ("version", "s"),
    ("boot_id", "s"),
    ("incarnation", "t"),
];

/// Those of a welcome.
const WELCOME: &[(&str, &str)] = &[
    ("protocol", "u"),
    ("version", "s"),
    ("start_timeout_us", "t"),
];

fn are_there(facts: &Facts, wanted: &[(&str, &str)]) -> Result<(), String> {
    for (name, kind) in wanted {
        let fact = facts.get(*name).ok_or(format!("no fact '{name}'"))?;
        let found = fact.value_signature().to_string();
        if found != *kind {
            return Err(format!("the fact '{name}' is of type {found}, not {kind}"));
        }
    }
    Ok(())
}

fn is_type(message: &Message, wanted: &str) -> Result<(), String> {
    let header = message.header();
    let found = header.signature().to_string_no_parens();
    if found == wanted {
        Ok(())
    } else {
        Err(format!("its arguments are '{found}', not '{wanted}'"))
    }
}

fn body<T>(message: &Message) -> Result<T, String>
where
    T: for<'m> zbus::wire::DynamicDeserialize<'m>,
{
    let body = message.body();
    body.deserialize().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
