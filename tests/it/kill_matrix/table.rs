//! The matrix as a table.

use std::{fs, path::Path};

use callboard_actors::FAILPOINTS;

use super::{node::Fault, play::Backend, verdict::Row};

const BEGIN: &str = "<!-- kill matrix: begin (scripts/kill-matrix --update) -->";
const END: &str = "<!-- kill matrix: end -->";
const COLUMNS: [(Backend, Fault, &str); 4] = [
    (Backend::Sqlite, Fault::Kill, "SQLite: killed"),
    (Backend::Sqlite, Fault::Stop, "SQLite: stopped"),
    (Backend::Postgres, Fault::Kill, "PostgreSQL: killed"),
    (Backend::Postgres, Fault::Stop, "PostgreSQL: stopped"),
];

/// A line a failpoint, and the sums.
pub(super) fn markdown(rows: &[Row]) -> String {
    let of = |column: (Backend, Fault)| {
        rows.iter().filter(move |row| (row.case.backend, row.case.fault) == column)
    };
    let mut text = "| the moment | failpoint |".to_owned();
    let mut columns = Vec::new();
    for (backend, fault, title) in COLUMNS {
        if of((backend, fault)).next().is_some() {
            columns.push((backend, fault));
            text.push_str(&format!(" {title} |"));
        }
    }
    text.push_str(&format!("\n|---|---|{}\n", "--:|".repeat(columns.len())));
    for failpoint in FAILPOINTS {
        let cells: Vec<Option<&Row>> =
            columns.iter().map(|column| of(*column).find(|row| row.case.failpoint == *failpoint)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        text.push_str(&format!("| {} | `{}` |", failpoint.moment, failpoint.name));
        text.extend(cells.into_iter().map(|row| format!(" {} |", row.map_or("–".to_owned(), cell))));
        text.push('\n');
    }
    let mut sums = |title: &str, sum: fn(&Row) -> u64| {
        text.push_str(&format!("| **{title}** | |"));
        text.extend(columns.iter().map(|column| format!(" {} |", of(*column).map(sum).sum::<u64>())));
        text.push('\n');
    };
    sums("cases, each hit", |_| 1);
    sums("jobs", |row| row.jobs as u64);
    sums("processes of the server", |row| row.lives);
    sums("requests without an answer", |row| row.asked);
    sums("attempts", |row| row.attempts as u64);
    sums("repeated runs of a program", |row| row.repeated as u64);
    sums("stale writes refused", |row| row.stale);
    sums("processes that outlived their server", |row| row.orphans as u64);
    sums("jobs lost", |row| row.lost as u64);
    sums("recorded effects doubled", |row| row.doubled as u64);
    text
}

fn cell(row: &Row) -> String {
    let Row { attempts, repeated, stale, .. } = row;
    let broken = if row.holds() { "" } else { " **broken**" };
    format!("{attempts} / {repeated} / {stale}{broken}")
}

/// Writes the matrix.
pub(super) fn update(rows: &[Row]) {
    write("docs/job-semantics.md", BEGIN, &markdown(rows), END);
}

/// Writes a table between its marks in a page.
pub(crate) fn write(page: &str, begin: &str, table: &str, end: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let page = fs::read_to_string(&path).expect("a page");
    let (before, rest) = page.split_once(begin).expect("a mark where the table begins");
    let (_, after) = rest.split_once(end).expect("a mark where it ends");
    fs::write(path, format!("{before}{begin}\n\n{table}\n{end}{after}")).expect("written");
}
