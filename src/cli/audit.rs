//! `callboard audit`.

use std::process::ExitCode;

use callboard::{client::Client, contracts::api::AuditView};
use clap::Args;

use super::{
    output::{Failure, Printer},
    table::{Cell, Table},
};

/// Which part of the audit trail.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Entries at most.
    #[arg(long, default_value_t = 50, value_name = "ENTRIES", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Where to go on: what was said below the page before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

pub(super) async fn run(client: &Client, args: &AuditArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let page = client.audit(args.limit, args.cursor.as_deref()).await?;
    if printer.json {
        printer.document(&page);
        return Ok(ExitCode::SUCCESS);
    }
    let headings = ["AT", "WHO", "ROLE", "WHAT", "TARGET", "DETAIL", "OUTCOME", "VIA"];
    Table::new(printer, &headings).print(&page.entries.iter().map(row).collect::<Vec<_>>());
    if let Some(cursor) = &page.next_cursor {
        printer.note(&format!("There is more: --cursor {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &AuditView) -> Vec<Cell> {
    vec![
        entry.at.to_string().into(),
        entry.by.as_str().into(),
        entry.role.clone().unwrap_or_default().into(),
        entry.action.as_str().into(),
        entry.target.as_str().into(),
        entry.detail.as_ref().map(ToString::to_string).unwrap_or_default().into(),
        entry.outcome.as_str().into(),
        entry.node.as_str().into(),
    ]
}
