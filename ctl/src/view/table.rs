//! A table: a header, a line, and columns between `|`.

use tabled::{
    builder::Builder,
    settings::{Padding, Style, Width, object::Columns, peaker::Priority, style::HorizontalLine},
};

use super::Look;

/// Writes a table. Cells may have colours.
pub(super) fn write<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    look: &Look,
) -> String {
    records(&header, rows.into_iter().map(Vec::from), look)
}

fn records(header: &[&str], rows: impl Iterator<Item = Vec<String>>, look: &Look) -> String {
    let mut builder = Builder::default();
    if look.legend {
        builder.push_record(header.iter().copied());
    }
    for row in rows {
        builder.push_record(row);
    }
    if builder.count_records() == 0 {
        return String::new();
    }
    let mut table = builder.build();
    if look.legend {
        let line = HorizontalLine::new('-').intersection('-');
        table.with(Style::empty().vertical('|').horizontals([(1, line)]));
    } else {
        table.with(Style::empty().vertical('|'));
    }
    table.modify(Columns::first(), Padding::new(0, 1, 0, 0));
    if let Some(width) = look.width {
        // The widest column gives way first.
        let cut = Width::truncate(width).suffix("\u{2026}");
        table.with(cut.priority(Priority::max(true)));
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes a table whose first column is the node, which is left out where it is always the same
/// because one node was asked for.
pub(super) fn write_nodes<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    several: bool,
    look: &Look,
) -> String {
    if several {
        return write(header, rows, look);
    }
    let without = |row: [String; N]| row.into_iter().skip(1).collect::<Vec<_>>();
    records(
        header.get(1..).unwrap_or_default(),
        rows.into_iter().map(without),
        look,
    )
}
