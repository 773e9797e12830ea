//! `callboard encryption`.

use std::{collections::BTreeMap, process::ExitCode};

use callboard::{
    client::Client,
    contracts::api::{EncryptionRotated, EncryptionStatus, KeyUse},
};
use clap::{Args, Subcommand};

use super::{
    output::{Failure, Printer, line},
    table::{Cell, Table},
};

/// What is done with the keys of payloads.
#[derive(Debug, Subcommand)]
pub(super) enum EncryptionCommand {
    /// Show the keys that the server has, and how much is encrypted with which; also without a word. It looks at every job.
    Status,
    /// Encrypt everything that is stored with the server's current key. Jobs run meanwhile; it can be ended and begun again.
    Rotate(RotateArgs),
}

/// How far it goes.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Go on from here, as a rotation that was ended has said.
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn run(
    client: &Client,
    command: EncryptionCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        EncryptionCommand::Status => {
            let whole = status(client).await?;
            if printer.json {
                printer.document(&whole);
            } else {
                show(&whole, printer);
            }
            Ok(ExitCode::SUCCESS)
        }
        EncryptionCommand::Rotate(args) => {
            let whole = rotate(client, args.cursor, printer).await?;
            if printer.json {
                printer.document(&whole);
            } else {
                words(&whole).iter().for_each(|text| line(text));
            }
            // What could not be decrypted still needs its old key.
            Ok(if whole.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

async fn status(client: &Client) -> Result<EncryptionStatus, Failure> {
    let mut whole = client.encryption(None).await?;
    while let Some(cursor) = whole.next_cursor.take() {
        let page = client.encryption(Some(&cursor)).await?;
        for (key, of) in &page.uses {
            whole.uses.entry(key.clone()).or_default().add(of);
        }
        whole.looked_at += page.looked_at;
        whole.next_cursor = page.next_cursor;
    }
    Ok(whole)
}

async fn rotate(
    client: &Client,
    mut cursor: Option<String>,
    printer: Printer,
) -> Result<EncryptionRotated, Failure> {
    let mut whole = EncryptionRotated::default();
    loop {
        let step = client.rotate_encryption(cursor.as_deref()).await?;
        whole.current = step.current;
        whole.looked_at += step.looked_at;
        whole.rotated += step.rotated;
        whole.passed_over += step.passed_over;
        for (problem, count) in step.unreadable {
            *whole.unreadable.entry(problem).or_default() += count;
        }
        match step.next_cursor {
            None => return Ok(whole),
            next => cursor = next,
        }
        if !printer.json && !printer.quiet {
            let at = cursor.as_deref().unwrap_or_default();
            eprintln!(
                "{} jobs looked at, {} texts encrypted anew (--cursor {at})",
                whole.looked_at, whole.rotated
            );
        }
    }
}

fn words(rotated: &EncryptionRotated) -> Vec<String> {
    let EncryptionRotated { current, looked_at, rotated: done, passed_over, unreadable, .. } = rotated;
    let mut lines =
        vec![format!("{looked_at} jobs looked at; {done} texts are encrypted with the key {current} now")];
    if *passed_over > 0 {
        lines.push(format!("{passed_over} were changed by others meanwhile: run it once more"));
    }
    lines.extend(unreadable.iter().map(|(problem, count)| format!("{count} cannot be decrypted: {problem}")));
    lines
}

fn show(status: &EncryptionStatus, printer: Printer) {
    let current = status.current.as_deref();
    line(&match current {
        Some(current) => format!("node {} encrypts with the key {current}", status.node),
        None => format!("node {} has no key: nothing is encrypted", status.node),
    });
    let on_node: BTreeMap<&str, KeyUse> =
        status.keys.iter().map(|name| (name.as_str(), KeyUse::default())).collect();
    let mut all = on_node.clone();
    all.extend(status.uses.iter().map(|(name, of)| (name.as_str(), *of)));
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .map(|(name, of)| {
            let role = match on_node.contains_key(name) {
                true if Some(*name) == current => "current",
                true => "decrypts",
                false => "missing",
            };
            vec![
                (*name).into(),
                role.into(),
                Cell::number(of.payloads),
                Cell::number(of.waiting),
                Cell::number(of.results),
                Cell::number(of.cron),
                Cell::number(of.patches),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let names = &["KEY", "HERE", "PAYLOADS", "WAITING", "RESULTS", "CRON", "PATCHES"];
        Table::new(printer, names).print(&rows);
    }
}
