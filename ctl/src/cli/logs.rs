//! Which lines of journals, and how they are printed.

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use jiff::Zoned;

use super::{Output, units::Units};
use crate::{journal::Wanted, moment};

/// How to print: what every verb knows, and what only a journal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As any verb.
    Of(Output),
    /// A graph for Graphviz, of the verbs that have one.
    Dot,
    /// As journalctl(1) would.
    Log(LogStyle),
}

/// Formats of journalctl(1), `--output=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStyle {
    /// As syslog has always written it.
    Short,
    /// The same with microseconds.
    ShortPrecise,
    /// The same with moments of ISO 8601.
    ShortIso,
    /// Only messages.
    Cat,
}

/// Words of all verbs.
const OUTPUTS: [(&str, &str, Format); 4] = [
    ("table", "For people", Format::Of(Output::Table)),
    (
        "json",
        "For programs: one object, see docs/reference/json.md",
        Format::Of(Output::Json),
    ),
    (
        "plain",
        "For awk(1): one line each, columns separated by a space, no header",
        Format::Of(Output::Plain),
    ),
    (
        "dot",
        "For dot(1) of Graphviz: deps and list-dependencies",
        Format::Dot,
    ),
];

/// Words of `logs`.
const STYLES: [(&str, &str, Format); 4] = [
    (
        "short",
        "As syslog has always written it, with the node in the place of the host",
        Format::Log(LogStyle::Short),
    ),
    (
        "short-precise",
        "The same with microseconds",
        Format::Log(LogStyle::ShortPrecise),
    ),
    (
        "short-iso",
        "The same with moments as in ISO 8601",
        Format::Log(LogStyle::ShortIso),
    ),
    (
        "cat",
        "Only messages; of several nodes each with its node",
        Format::Log(LogStyle::Cat),
    ),
];

impl Format {
    /// As any verb prints.
    pub(crate) fn output(self) -> Output {
        match self {
            Self::Of(output) => output,
            Self::Dot | Self::Log(_) => Output::Table,
        }
    }

    /// As a journal is printed for people.
    pub(crate) fn style(self) -> LogStyle {
        match self {
            Self::Of(_) | Self::Dot => LogStyle::Short,
            Self::Log(style) => style,
        }
    }

    /// Reads words of all verbs. Those of `logs` are known too, because an option may come before the
    /// verb; whether they fit is looked at when that is known.
    pub(super) fn parser() -> impl TypedValueParser<Value = Self> {
        let hidden = STYLES.map(|(word, help, _)| PossibleValue::new(word).help(help).hide(true));
        let shown = OUTPUTS.map(|(word, help, _)| PossibleValue::new(word).help(help));
        Self::of_words(shown.into_iter().chain(hidden))
    }

    fn parser_of_logs() -> impl TypedValueParser<Value = Self> {
        let shown = STYLES.map(|(word, help, _)| PossibleValue::new(word).help(help));
        let others = OUTPUTS.map(|(word, help, _)| {
            let help = match word {
                "json" => "For programs: one object in each line, see docs/reference/json.md",
                _ => help,
            };
            // The first is what other verbs begin with, and here the same as short; the last is not of
            // a journal.
            let hide = ["table", "dot"].contains(&word);
            PossibleValue::new(word).help(help).hide(hide)
        });
        Self::of_words(shown.into_iter().chain(others))
    }

    fn of_words(
        words: impl IntoIterator<Item = PossibleValue>,
    ) -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(words).map(|word| {
            let all = OUTPUTS.iter().chain(&STYLES);
            let mut all = all.filter(|(known, ..)| *known == word);
            all.next()
                .map_or(Self::Of(Output::Table), |(_, _, format)| *format)
        })
    }
}

/// How many lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// All that there are.
    All,
    /// The last ones of each node.
    Last(u32),
}

/// Which lines of the journals of nodes.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) of: Units,
    /// Go on with new lines as they come, until Ctrl-C
    #[arg(short, long, conflicts_with_all = ["reverse", "until"])]
    pub(crate) follow: bool,
    /// The last lines of each node, or 'all' [default: 10 with --follow, otherwise all]
    #[arg(short = 'n', long, value_name = "LINES", value_parser = count)]
    lines: Option<Count>,
    /// From this moment on, as in '2026-11-20 18:00', '18:00', 'yesterday', '-1h' or '1h ago'
    #[arg(short = 'S', long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<u64>,
    /// Up to this moment
    #[arg(short = 'U', long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<u64>,
    /// Only lines as important as this or more: 0 to 7, or a name such as 'err' or 'warning'
    #[arg(short, long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<u8>,
    /// Only messages that match this regular expression (PCRE2); if it is all in lower case, capitals match too
    #[arg(short, long, value_name = "PATTERN", allow_hyphen_values = true)]
    grep: Option<String>,
    /// The newest line first
    #[arg(short, long)]
    reverse: bool,
    /// Only of the present boot of each node
    #[arg(short = 'b', long = "boot")]
    this_boot: bool,
    /// How to print
    #[arg(id = "output", short, long, value_parser = Format::parser_of_logs(), default_value = "short")]
    pub(crate) format: Format,
}

impl Logs {
    /// Which lines.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            since: self.since,
            until: self.until,
            priority: self.priority,
            grep: self.grep.clone(),
            reverse: self.reverse,
            this_boot: self.this_boot,
        }
    }

    /// How many, of those that are there already. As journalctl(1): what follows begins with the last
    /// ten, unless it is said where it begins.
    pub(crate) fn count(&self) -> Count {
        match self.lines {
            Some(count) => count,
            None if self.follow && self.since.is_none() => Count::Last(10),
            None => Count::All,
        }
    }
}

/// Reads a number of lines.
pub(super) fn count(text: &str) -> Result<Count, String> {
    match text {
        "all" => Ok(Count::All),
        number => number
            .parse()
            .map(Count::Last)
            .map_err(|_| format!("'{text}' is no number of lines; it looks like '100' or 'all'")),
    }
}

fn moment(text: &str) -> Result<u64, String> {
    moment::parse(text, &Zoned::now())
}

/// The priorities of syslog(3), the most important first, with the names that journalctl(1) knows.
const PRIORITIES: [&[&str]; 8] = [
    &["emerg", "panic"],
    &["alert"],
    &["crit"],
    &["err", "error"],
    &["warning", "warn"],
    &["notice"],
    &["info"],
    &["debug"],
];

fn priority(text: &str) -> Result<u8, String> {
    let lower = text.to_ascii_lowercase();
    let named = PRIORITIES.iter().zip(0u8..);
    let mut named = named
        .filter(|(names, number)| names.contains(&lower.as_str()) || *text == number.to_string());
    named.next().map(|(_, number)| number).ok_or_else(|| {
        let names = PRIORITIES.map(|names| names.first().copied().unwrap_or_default());
        format!(
            "'{text}' is no priority; expected one of {} or 0 to 7",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("err", Some(3))]
    #[test_case("ERROR", Some(3))]
    #[test_case("4", Some(4))]
    #[test_case("8", None)]
    #[test_case("loud", None)]
    fn priorities_are_those_of_syslog(text: &str, number: Option<u8>) {
        assert_eq!(priority(text).ok(), number);
    }

    #[test_case("all", Some(Count::All))]
    #[test_case("0", Some(Count::Last(0)))]
    #[test_case("-1", None; "less than nothing")]
    #[test_case("many", None)]
    fn lines_are_counted(text: &str, counted: Option<Count>) {
        assert_eq!(count(text).ok(), counted);
    }
}
