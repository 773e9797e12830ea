//! Callboard's jobs beside apalis, graphile-worker and BullMQ, on the same servers, by turns.
//!
//! Each turn is a process of its own. What each figure's durability is stands beside it in the table.

mod apalis;
mod contenders;
mod figures;
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::apalis::Amounts;

#[derive(Debug, Parser)]
#[command(about = "Measures job systems on the same servers, interleaved, and prints ratios")]
struct Arguments {
    #[command(subcommand)]
    turn: Option<Turn>,
    #[command(flatten)]
    compare: Compare,
}

/// What is compared, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Rounds, in each of which every system has a turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    amounts: Amounts,
    /// Only systems whose name has this word.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Callboard's program.
    #[arg(long, default_value = "target/release/callboard", value_name = "PROGRAM")]
    callboard: PathBuf,
    /// A PostgreSQL server's maintenance database; each turn makes a database of its own and drops it.
    #[arg(
        long,
        env = "CALLBOARD_TEST_POSTGRES",
        default_value = "postgres://root@127.0.0.1:5432/root",
        value_name = "URL"
    )]
    postgres: String,
    /// A Redis server's database; each turn uses keys of its own and removes them.
    #[arg(
        long,
        env = "CALLBOARD_TEST_REDIS",
        default_value = "redis://127.0.0.1:6379/0",
        value_name = "URL"
    )]
    redis: String,
    /// Where SQLite's files are made; its disk is measured.
    #[arg(long, default_value = "target", value_name = "FOLDER")]
    place: PathBuf,
    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// One turn, in a process of its own.
#[derive(Debug, Subcommand)]
enum Turn {
    #[command(hide = true)]
    ApalisPostgres {
        url: String,
        #[command(flatten)]
        amounts: Amounts,
    },
    #[command(hide = true)]
    ApalisSqlite {
        folder: PathBuf,
        #[command(flatten)]
        amounts: Amounts,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let figures = match arguments.turn {
        Some(Turn::ApalisPostgres { url, amounts }) => apalis::postgres(&url, amounts).await?,
        Some(Turn::ApalisSqlite { folder, amounts }) => apalis::sqlite(&folder, amounts).await?,
        None => return report::compare(&arguments.compare).await,
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
