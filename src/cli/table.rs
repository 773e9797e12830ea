//! Tables for people.

use clap::builder::styling::Style;

use super::{
    output::{Printer, clean, line},
    style,
};

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    to_the_right: bool,
}

impl Cell {
    pub(crate) fn number(number: impl Into<u64>) -> Self {
        Cell::right(number.into().to_string())
    }

    /// Text that stands at the right of its column, as numbers do.
    pub(crate) fn right(text: impl Into<String>) -> Self {
        Cell { to_the_right: true, ..Cell::from(text) }
    }

    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Cell { text: clean(&text.into()).into_owned(), style, to_the_right: false }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::styled(text, Style::new())
    }
}

/// Rows under headings, each column as wide as its widest cell so far.
#[derive(Debug)]
pub(crate) struct Table {
    printer: Printer,
    headings: Vec<&'static str>,
    widths: Vec<usize>,
    headed: bool,
}

impl Table {
    pub(crate) fn new(printer: Printer, headings: &[&'static str]) -> Self {
        let widths = headings.iter().map(|heading| heading.chars().count()).collect();
        Table { printer, headings: headings.to_vec(), widths, headed: false }
    }

    /// Prints rows, below the headings if they are the first ones.
    pub(crate) fn print(&mut self, rows: &[Vec<Cell>]) {
        self.lines(rows).iter().for_each(|row| line(row));
    }

    pub(crate) fn lines(&mut self, rows: &[Vec<Cell>]) -> Vec<String> {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let right: Vec<bool> = match rows.first() {
            Some(row) => row.iter().map(|cell| cell.to_the_right).collect(),
            None => vec![false; self.headings.len()],
        };
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.headed, true) {
            let cell = |(heading, to_the_right): (&&str, &bool)| Cell {
                text: (*heading).to_owned(),
                style: style::HEADING,
                to_the_right: *to_the_right,
            };
            lines.push(self.row(&self.headings.iter().zip(&right).map(cell).collect::<Vec<_>>()));
        }
        lines.extend(rows.iter().map(|row| self.row(row)));
        lines
    }

    fn row(&self, cells: &[Cell]) -> String {
        let mut text = String::new();
        // Blanks are added when something follows them, so that no line ends in blanks.
        let mut blanks = 0;
        for (cell, width) in cells.iter().zip(&self.widths) {
            let missing = width - cell.text.chars().count();
            if !cell.text.is_empty() {
                let before = if cell.to_the_right { missing } else { 0 };
                text.push_str(&" ".repeat(blanks + before));
                text.push_str(&self.printer.paint(cell.style, &cell.text));
                blanks = missing - before + 2;
            } else {
                blanks += missing + 2;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use callboard::contracts::JobState;

    use super::*;

    const PLAIN: Printer = Printer { json: false, quiet: false, colours: false };

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            vec![Cell::from("a"), Cell::number(1_u32), "long cell".into()],
            vec!["bbbb".into(), Cell::number(1000_u32), "".into()],
        ];
        let mut table = Table::new(PLAIN, &["ID", "N", "TEXT"]);
        assert_eq!(table.lines(&rows), ["ID       N  TEXT", "a        1  long cell", "bbbb  1000"]);
        assert_eq!(table.lines(&rows[..1]), ["a        1  long cell"], "as wide as before, and headed once");
        assert_eq!(Table::new(PLAIN, &["ID", "N"]).lines(&[]), ["ID  N"]);
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let coloured = Printer { colours: true, ..PLAIN };
        let mut table = Table::new(coloured, &["A", "B"]);
        let lines = table.lines(&[vec![Cell::styled("x", style::of_state(JobState::Completed)), "y".into()]]);
        assert_eq!(lines, ["\u{1b}[1mA\u{1b}[0m  \u{1b}[1mB\u{1b}[0m", "\u{1b}[32mx\u{1b}[0m  y"]);
    }
}
