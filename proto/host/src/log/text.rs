//! The text of a line: the message, then `name=value` for its fields.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// What the names of fields begin with that are there to select lines by, and are in the message
/// already.
pub(super) const SELECT: &str = "at.";

/// Writes the fields of a line, but those to select by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text;

impl<'w> FormatFields<'w> for Text {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            begun: false,
            result: Ok(()),
        };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    begun: bool,
    result: fmt::Result,
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if name.starts_with(SELECT) || self.result.is_err() {
            return;
        }
        let space = if self.begun { " " } else { "" };
        self.begun = true;
        self.result = match name {
            "message" => write!(self.writer, "{space}{value:?}"),
            name => write!(
                self.writer,
                "{space}{}={value:?}",
                name.trim_start_matches("r#")
            ),
        };
    }
}
