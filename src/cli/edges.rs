//! `callboard edges`.

use std::{process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::api::{EdgeView, PutEdge},
};
use clap::{Args, Subcommand};

use super::{
    output::{Failure, Printer},
    table::{Cell, Table},
    values::duration,
};

/// What is done with the edges.
#[derive(Debug, Subcommand)]
pub(super) enum EdgesCommand {
    /// Show the edges and how they are; also without a word.
    List,
    /// Let the jobs that need an edge wait, on any node. What runs goes on, and no attempt is spent.
    Trip(TripArgs),
    /// Let the jobs that need an edge run again.
    Reset(EdgeName),
}

/// How an edge is tripped.
#[derive(Debug, Args)]
pub(super) struct TripArgs {
    /// The edge's name.
    name: String,
    /// Why, for whoever asks what a job waits for.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// After this time it is ready again by itself.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasting: Option<Duration>,
}

/// Which edge.
#[derive(Debug, Args)]
pub(super) struct EdgeName {
    /// The edge's name.
    name: String,
}

pub(super) async fn run(
    client: &Client,
    command: EdgesCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let edges = match command {
        EdgesCommand::List => client.edges().await?,
        EdgesCommand::Trip(TripArgs { name, reason, lasting }) => {
            let for_ms = lasting.map(|lasting| u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX));
            vec![client.put_edge(&name, &PutEdge { reason, for_ms, ..PutEdge::tripped() }).await?]
        }
        EdgesCommand::Reset(edge) => vec![client.put_edge(&edge.name, &PutEdge::ready()).await?],
    };
    if printer.json {
        printer.document(&edges);
    } else {
        table(printer).print(&rows(&edges));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(printer: Printer) -> Table {
    Table::new(printer, &["EDGE", "STATE", "PARKED", "NEEDED BY", "SINCE", "UNTIL", "SET BY", "REASON"])
}

fn rows(edges: &[EdgeView]) -> Vec<Vec<Cell>> {
    let row = |edge: &EdgeView| {
        let time =
            |at: Option<callboard::contracts::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            edge.name.as_str().into(),
            edge.state.as_str().into(),
            Cell::number(edge.parked),
            edge.needed_by.join(",").into(),
            time(edge.since).into(),
            time(edge.until).into(),
            edge.set_by.clone().unwrap_or_default().into(),
            edge.reason.clone().unwrap_or_default().into(),
        ]
    };
    edges.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use callboard::contracts::{Timestamp, api::EdgeCondition};

    use super::*;

    #[test]
    fn edges_stand_in_a_table() {
        let at = Some(Timestamp::from_micros(0));
        let smtp = EdgeView {
            name: "smtp".to_owned(),
            state: EdgeCondition::Tripped,
            since: at,
            until: None,
            reason: Some("maintenance".to_owned()),
            set_by: Some("ci".to_owned()),
            set_at: at,
            parked: 12,
            needed_by: vec!["letter".to_owned(), "mail".to_owned()],
        };
        let db = EdgeView {
            name: "db".to_owned(),
            state: EdgeCondition::Ready,
            since: None,
            reason: None,
            set_by: None,
            parked: 0,
            ..smtp.clone()
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[db, smtp])),
            [
                "EDGE  STATE    PARKED  NEEDED BY    SINCE                        UNTIL  SET BY  REASON",
                "db    ready         0  letter,mail",
                "smtp  tripped      12  letter,mail  1970-01-01T00:00:00.000000Z         ci      maintenance",
            ]
        );
    }
}
