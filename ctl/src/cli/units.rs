//! Which units of which nodes are meant, as they are typed: `NODE UNIT…`, or `--all UNIT…`.

use clap::{
    ArgMatches, Args, Command, Error, FromArgMatches,
    error::{ErrorKind, Result},
};
use proto::name::UnitName;

use super::nodes::Nodes;
use crate::glob;

/// A unit, or a pattern for the names of units that the node has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitArg {
    /// One unit.
    Name(UnitName),
    /// All that fit.
    Pattern(String),
}

impl std::str::FromStr for UnitArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if glob::is_pattern(text) {
            return Ok(Self::Pattern(text.to_owned()));
        }
        let name = UnitName::from_operator(text);
        name.map(Self::Name).map_err(|error| error.to_string())
    }
}

/// The name of a unit file, which may be a template; `.service` may be left out.
pub(crate) fn unit_file(text: &str) -> std::result::Result<String, String> {
    // A template is right where some instance of it is.
    let instance = match text.split_once('@') {
        Some((template, rest)) if rest.is_empty() || rest.starts_with('.') => {
            format!("{template}@i{rest}")
        }
        Some(_) | None => text.to_owned(),
    };
    let name = UnitName::from_operator(&instance).map_err(|error| error.to_string())?;
    if instance == text {
        return Ok(name.to_string());
    }
    let suffix = name.unit_type().suffix();
    let dotted = format!(".{suffix}");
    let stem = text.strip_suffix(&dotted).unwrap_or(text);
    Ok(format!("{stem}{dotted}"))
}

/// At least one unit.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    pub(crate) nodes: Nodes,
    pub(crate) units: Vec<UnitArg>,
}

/// Units, or all of the nodes.
#[derive(Clone, Debug)]
pub(crate) struct SomeUnits {
    pub(crate) nodes: Nodes,
    /// All if there are none.
    pub(crate) units: Vec<UnitArg>,
}

/// Nodes, and units of them, or neither.
#[derive(Clone, Debug)]
pub(crate) struct AnyUnits {
    /// `None` if there is neither a node nor `--all`.
    pub(crate) nodes: Option<Nodes>,
    pub(crate) units: Vec<UnitArg>,
}

/// At least one unit file.
#[derive(Clone, Debug)]
pub(crate) struct UnitFiles {
    pub(crate) nodes: Nodes,
    pub(crate) files: Vec<String>,
}

/// One more word.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) nodes: Nodes,
    pub(crate) unit: UnitName,
}

/// Nothing more.
#[derive(Clone, Debug)]
pub(crate) struct JustNodes {
    pub(crate) nodes: Nodes,
}

#[derive(Debug, Args)]
struct RawUnits {
    /// The node; or several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE", required_unless_present = "every")]
    node: Option<String>,
    /// Its units, or patterns; '.service' may be left out
    #[arg(value_name = "UNIT", required_unless_present = "every")]
    units: Vec<String>,
    /// On all nodes; NODE is left out
    #[arg(long = "all")]
    every: bool,
}

#[derive(Debug, Args)]
struct RawSomeUnits {
    /// The node; or several, as in 'a,b', 'cam*' or '@label'; all if there is none
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Its units, or patterns; '.service' may be left out
    #[arg(value_name = "UNIT")]
    units: Vec<String>,
    /// On all nodes; NODE is left out
    #[arg(long = "all")]
    every: bool,
}

#[derive(Debug, Args)]
struct RawAnyUnits {
    /// The node; or several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Its units, or patterns; '.service' may be left out
    #[arg(value_name = "UNIT")]
    units: Vec<String>,
    /// On all nodes; NODE is left out
    #[arg(long = "all")]
    every: bool,
}

#[derive(Debug, Args)]
struct RawTarget {
    /// The node; or several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE", required_unless_present = "every")]
    node: Option<String>,
    /// The target; '.target' may be left out
    #[arg(value_name = "TARGET", required_unless_present = "every")]
    unit: Option<String>,
    /// On all nodes; NODE is left out
    #[arg(long = "all")]
    every: bool,
}

#[derive(Debug, Args)]
struct RawNodes {
    /// The node; or several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE", required_unless_present = "every")]
    node: Option<String>,
    /// On all nodes; NODE is left out
    #[arg(long = "all", conflicts_with = "node")]
    every: bool,
}

/// Takes the words apart: with `--all` the first is no node.
fn split(
    every: bool,
    node: Option<String>,
    rest: impl IntoIterator<Item = String>,
) -> Result<(Option<Nodes>, Vec<String>)> {
    if every {
        return Ok((Some(Nodes::all()), node.into_iter().chain(rest).collect()));
    }
    let nodes = node
        .map(|text| parse("NODE", &text, text.parse()))
        .transpose()?;
    Ok((nodes, rest.into_iter().collect()))
}

/// Reads a word, or says which it is that is not valid.
fn parse<T>(what: &str, text: &str, read: std::result::Result<T, String>) -> Result<T> {
    read.map_err(|why| {
        let text = format!("invalid value '{text}' for '<{what}>': {why}\n");
        Error::raw(ErrorKind::ValueValidation, text)
    })
}

fn missing(what: &str) -> Error {
    let text = format!("the following required arguments were not provided:\n  <{what}>\n");
    Error::raw(ErrorKind::MissingRequiredArgument, text)
}

fn unit_args(words: &[String]) -> Result<Vec<UnitArg>> {
    let unit = |text: &String| parse("UNIT", text, text.parse());
    words.iter().map(unit).collect()
}

impl Units {
    fn of(raw: RawUnits) -> Result<Self> {
        let (nodes, words) = split(raw.every, raw.node, raw.units)?;
        if words.is_empty() {
            return Err(missing("UNIT"));
        }
        Ok(Self {
            nodes: nodes.ok_or_else(|| missing("NODE"))?,
            units: unit_args(&words)?,
        })
    }
}

impl SomeUnits {
    fn of(raw: RawSomeUnits) -> Result<Self> {
        let (nodes, words) = split(raw.every, raw.node, raw.units)?;
        Ok(Self {
            nodes: nodes.unwrap_or_else(Nodes::all),
            units: unit_args(&words)?,
        })
    }
}

impl AnyUnits {
    fn of(raw: RawAnyUnits) -> Result<Self> {
        let (nodes, words) = split(raw.every, raw.node, raw.units)?;
        Ok(Self {
            nodes,
            units: unit_args(&words)?,
        })
    }
}

impl UnitFiles {
    fn of(raw: RawUnits) -> Result<Self> {
        let (nodes, words) = split(raw.every, raw.node, raw.units)?;
        if words.is_empty() {
            return Err(missing("UNIT"));
        }
        let file = |text: &String| parse("UNIT", text, unit_file(text));
        Ok(Self {
            nodes: nodes.ok_or_else(|| missing("NODE"))?,
            files: words.iter().map(file).collect::<Result<_>>()?,
        })
    }
}

impl Target {
    fn of(raw: RawTarget) -> Result<Self> {
        let (nodes, mut words) = split(raw.every, raw.node, raw.unit)?;
        let (Some(word), true) = (words.pop(), words.is_empty()) else {
            return Err(missing("TARGET"));
        };
        let name = if word.ends_with(".target") {
            word.clone()
        } else {
            format!("{word}.target")
        };
        let unit = name
            .parse()
            .map_err(|error: proto::name::UnitNameError| error.to_string());
        Ok(Self {
            nodes: nodes.ok_or_else(|| missing("NODE"))?,
            unit: parse("TARGET", &word, unit)?,
        })
    }
}

impl JustNodes {
    fn of(raw: RawNodes) -> Result<Self> {
        let (nodes, _) = split(raw.every, raw.node, None)?;
        let nodes = nodes.ok_or_else(|| missing("NODE"))?;
        Ok(Self { nodes })
    }
}

/// What is typed is described by the raw arguments, and read from them. What is required depends on
/// `--all`, which a usage that is made of the arguments does not say.
macro_rules! read_from {
    ($($typed:ty: $raw:ty, $usage:expr);+) => {$(
        impl Args for $typed {
            fn augment_args(command: Command) -> Command {
                let name = command.get_name();
                let forms: [&str; 2] = $usage;
                let forms = forms.map(|form| format!("ctl {name} [OPTIONS] {form}"));
                let usage = forms.join("\n       ");
                <$raw>::augment_args(command).override_usage(usage)
            }

            fn augment_args_for_update(command: Command) -> Command {
                <$raw>::augment_args_for_update(command)
            }
        }

        impl FromArgMatches for $typed {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self> {
                Self::of(<$raw>::from_arg_matches(matches)?)
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<()> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    )+};
}

read_from!(
    Units: RawUnits, ["<NODE> <UNIT>...", "--all <UNIT>..."];
    SomeUnits: RawSomeUnits, ["[NODE] [UNIT]...", "--all [UNIT]..."];
    AnyUnits: RawAnyUnits, ["[NODE] [UNIT]...", "--all [UNIT]..."];
    UnitFiles: RawUnits, ["<NODE> <UNIT>...", "--all <UNIT>..."];
    Target: RawTarget, ["<NODE> <TARGET>", "--all <TARGET>"];
    JustNodes: RawNodes, ["<NODE>", "--all"]
);

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("a", "a.service")]
    #[test_case("a.socket", "a.socket")]
    #[test_case("a@.service", "a@.service"; "a template")]
    #[test_case("a@", "a@.service"; "a template without its type")]
    #[test_case("a@b", "a@b.service"; "an instance")]
    fn unit_files_may_be_templates(typed: &str, file: &str) {
        assert_eq!(unit_file(typed).as_deref(), Ok(file));
    }

    #[test_case("@.service"; "nothing before the at sign")]
    #[test_case("a/b.service"; "a path")]
    fn what_is_no_unit_file_is_refused(typed: &str) {
        assert!(unit_file(typed).is_err());
    }
}
