//! The table.

use std::fmt::Write;

use crate::harness::{Aim, Entry, OURS, Scenario};

const HEAD: [&str; 8] = ["scenario", "unit", "library", "median", "lowest", "highest", "times ours", "aim"];

const NOTES: &[&str] = &[
    "`times ours`: this library's figure divided by callboard's of the same round; the median of all rounds.",
    "ractor has no bounded mailboxes, and is left out where one is needed.",
    "A bare tokio task has no supervisor, no address that outlives it, and no handlers.",
    "Bare actix and ractor do not bring a crashed actor back under its address, and are left out there.",
    "callboard counts every message and supervises every actor in all scenarios; neither can be switched off.",
];

/// Sorted.
struct Spread(Vec<f64>);

impl Spread {
    fn new(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        Spread(sorted)
    }

    fn median(&self) -> f64 {
        let (low, high) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        (self.0[low] + self.0[high]) / 2.0
    }

    fn lowest(&self) -> f64 {
        self.0[0]
    }

    fn highest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

fn spread(entry: &Entry, figure: usize) -> Spread {
    Spread::new(entry.rounds.iter().map(|figures| figures[figure]))
}

/// By round, so that what disturbed one round disturbs both sides of it.
fn compared(entry: &Entry, other: &Entry, figure: usize, with: fn(f64, f64) -> f64) -> f64 {
    let rounds = entry.rounds.iter().zip(&other.rounds);
    Spread::new(rounds.map(|(figures, others)| with(figures[figure], others[figure]))).median()
}

fn number(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn reached(so: bool) -> &'static str {
    if so { "reached" } else { "MISSED" }
}

fn row(scenario: &Scenario, entry: &Entry, figure: usize) -> [String; 8] {
    let named = |library| scenario.entries.iter().find(|other| other.library == library);
    let seen = spread(entry, figure);
    let times = named(OURS)
        .filter(|ours| ours.library != entry.library)
        .map(|ours| compared(entry, ours, figure, |figure, ours| figure / ours));
    let aim = match (entry.aims[figure], times) {
        (Some(Aim::Times(least)), Some(times)) => format!("at least {least:.2}: {}", reached(times >= least)),
        (Some(Aim::Below(limit)), _) => {
            format!("below {}: {}", number(limit), reached(seen.median() < limit))
        }
        (Some(Aim::Above(limit, base)), _) => named(base)
            .map(|base| compared(entry, base, figure, |figure, base| figure - base))
            .map_or_else(String::new, |over| {
                format!("less than {} over `{base}`: {over:.1}, {}", number(limit), reached(over < limit))
            }),
        _ => String::new(),
    };
    let Some(what) = scenario.figures.get(figure) else { return Default::default() };
    let name =
        if what.name.is_empty() { scenario.name.into() } else { format!("{}: {}", scenario.name, what.name) };
    [
        name,
        what.unit.into(),
        entry.library.into(),
        number(seen.median()),
        number(seen.lowest()),
        number(seen.highest()),
        times.map_or_else(String::new, |times| format!("{times:.2}")),
        aim,
    ]
}

/// All figures of all libraries.
pub(crate) fn table(scenarios: &[Scenario], markdown: bool) -> String {
    let mut rows = vec![HEAD.map(String::from)];
    for scenario in scenarios {
        for figure in 0..scenario.figures.len() {
            rows.extend(scenario.entries.iter().map(|entry| row(scenario, entry, figure)));
        }
    }
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(n, (cell, width))| {
            if (3..=6).contains(&n) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        let cells: Vec<_> = cells.collect();
        // Writing to a String does not fail.
        let _ = if markdown {
            writeln!(text, "| {} |", cells.join(" | "))
        } else {
            writeln!(text, "{}", cells.join("  ").trim_end())
        };
        if n == 0 && markdown {
            text.push_str("|---|---|---|---:|---:|---:|---:|---|\n");
        }
    }
    text.push('\n');
    for note in NOTES {
        let _ = writeln!(text, "{}{note}", if markdown { "- " } else { "" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (figures, median) in [(vec![3.0], 3.0), (vec![4.0, 1.0], 2.5), (vec![9.0, 1.0, 2.0], 2.0)] {
            let seen = Spread::new(figures.into_iter());
            assert!((seen.median() - median).abs() < 1e-9);
        }
    }
}
