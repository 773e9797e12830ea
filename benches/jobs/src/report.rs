//! Rounds, and the table of what they gave.

use anyhow::Result;

use crate::{
    Compare,
    contenders::{CONTENDERS, Contender},
    figures::{COLUMNS, Column, Figures},
};

/// Measures all systems by turns and prints the table.
pub(crate) async fn compare(compare: &Compare) -> Result<()> {
    let named =
        |contender: &&Contender| compare.only.as_ref().is_none_or(|word| contender.name.contains(&**word));
    let mut all: Vec<(&Contender, Vec<Figures>)> =
        CONTENDERS.iter().filter(named).map(|contender| (contender, Vec::new())).collect();
    for round in 1..=compare.rounds {
        for (contender, rounds) in &mut all {
            eprintln!("round {round} of {}: {}", compare.rounds, contender.name);
            rounds.push(contender.run(compare).await?);
        }
    }
    let heading = ["figure", "unit", "system", "durability", "median", "lowest", "highest", "times ours"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for column in &COLUMNS {
        rows.extend(all.iter().map(|(contender, rounds)| row(column, contender, rounds, &all)));
    }
    print(&rows, compare.markdown);
    println!();
    println!(
        "times ours: ours on the same server (PostgreSQL's for Redis) is so many times as good, median of the rounds"
    );
    Ok(())
}

fn row(
    column: &Column,
    contender: &Contender,
    rounds: &[Figures],
    all: &[(&Contender, Vec<Figures>)],
) -> Vec<String> {
    let mut values: Vec<f64> = rounds.iter().filter_map(column.of).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ours = all.iter().find(|(other, _)| other.is_ours_beside(contender));
    let ratio = ours.map(|(_, ours)| {
        let of_round = |(ours, theirs)| {
            let (ours, theirs) = ((column.of)(ours)?, (column.of)(theirs)?);
            Some(if column.rate { ours / theirs } else { theirs / ours })
        };
        let mut ratios: Vec<f64> = ours.iter().zip(rounds).filter_map(of_round).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        median(&ratios)
    });
    let figure = |value: Option<f64>| value.map(|value| format!("{value:.0}")).unwrap_or_default();
    vec![
        column.name.to_owned(),
        column.unit.to_owned(),
        contender.name.to_owned(),
        contender.durability.to_owned(),
        figure(median(&values)),
        figure(values.first().copied()),
        figure(values.last().copied()),
        ratio.flatten().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    ]
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

fn print(rows: &[Vec<String>], markdown: bool) {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        if markdown {
            println!("| {} |", cells.join(" | "));
            if number == 0 {
                println!(
                    "|{}",
                    widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect::<String>()
                );
            }
        } else {
            println!("{}", cells.join("  ").trim_end());
        }
    }
}
