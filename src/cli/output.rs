//! What is printed: for people, or as JSON for programs.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::json;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure { code: 1, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { code: 2, message: message.into() }
    }
}

/// How things are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
}

impl Printer {
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        if self.json {
            eprintln!("{}", json!({ "error": failure.message }));
        } else {
            eprintln!("callboard: {}", failure.message);
        }
        ExitCode::from(failure.code)
    }

    /// A whole answer.
    pub(crate) fn document(self, value: &impl Serialize) {
        line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// One of many answers.
    pub(crate) fn record(self, value: &impl Serialize) {
        line(&serde_json::to_string(value).unwrap_or_default());
    }
}

/// Prints a line. Whoever read it may have gone away, as `head` does; then there is nobody to tell.
pub(crate) fn line(text: &str) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints rows under headings, each column as wide as it must be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    table_lines(headings, rows).iter().for_each(|row| line(row));
}

fn table_lines(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let format = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| format(row.iter().map(String::as_str).collect()));
    std::iter::once(format(headings.to_vec())).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows =
            vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bbbb".to_owned(), "c".to_owned()]];
        assert_eq!(table_lines(&["ID", "B"], &rows), ["ID    B", "a     long cell", "bbbb  c"]);
    }
}
