//! `callboard nodes`.

use std::{process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::api::{CommandState, CommandView, NodeAction, NodeView, OrderNode},
};
use clap::{Args, Subcommand};
use tokio::time::{Instant, sleep};

use super::{
    output::{Failure, Printer, SOME_FAILED},
    table::{Cell, Table},
    values::duration,
};

/// How often it is asked what became of a command.
const LOOK: Duration = Duration::from_millis(100);

/// What is done with the nodes.
#[derive(Debug, Subcommand)]
pub(super) enum NodesCommand {
    /// Show the nodes and how they are; also without a word.
    List,
    /// Let a node claim no more jobs. What runs goes on.
    Pause(NodeArgs),
    /// Let a paused node claim jobs again.
    Resume(NodeArgs),
    /// Let a node end what it runs, hand the rest back, and exit.
    Drain(NodeArgs),
    /// Restart an actor of a node, or a supervisor with all below it.
    Restart {
        #[command(flatten)]
        node: NodeArgs,
        /// Its path in the node's tree, such as observers/metrics.
        actor: String,
    },
    /// Let an actor of a node, or all below a supervisor, handle no messages until it is resumed.
    SuspendActor {
        #[command(flatten)]
        node: NodeArgs,
        /// Its path in the node's tree, such as observers/metrics.
        actor: String,
    },
    /// Let a suspended actor of a node handle messages again.
    ResumeActor {
        #[command(flatten)]
        node: NodeArgs,
        /// Its path in the node's tree, such as observers/metrics.
        actor: String,
    },
    /// Stop an actor of a node, or a supervisor with all below it; it is there again when what is above it is restarted.
    StopActor {
        #[command(flatten)]
        node: NodeArgs,
        /// Its path in the node's tree, such as observers/metrics.
        actor: String,
    },
    /// Let a node write another part of its log, until it ends.
    LogLevel {
        #[command(flatten)]
        node: NodeArgs,
        /// Filter directives, such as info,callboard_actors=debug.
        level: String,
    },
    /// Show what nodes were told, newest first.
    Commands {
        /// Commands at most.
        #[arg(long, default_value_t = 50, value_name = "COMMANDS", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

/// Which node is told, and how long it may take.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// The node's name.
    node: String,
    /// A node that has not begun with it after this time is not to do it any more.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    valid_for: Duration,
    /// How long to wait for the node's word; 0s: not at all.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    wait: Duration,
}

pub(super) async fn run(
    client: &Client,
    command: NodesCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let (node, action) = match command {
        NodesCommand::List => {
            let nodes = client.nodes().await?;
            if printer.json {
                printer.document(&nodes);
            } else {
                nodes_table(printer).print(&nodes.iter().map(node_row).collect::<Vec<_>>());
            }
            return Ok(ExitCode::SUCCESS);
        }
        NodesCommand::Commands { limit } => {
            show(&client.commands(limit).await?, printer);
            return Ok(ExitCode::SUCCESS);
        }
        NodesCommand::Pause(node) => (node, NodeAction::Pause),
        NodesCommand::Resume(node) => (node, NodeAction::Resume),
        NodesCommand::Drain(node) => (node, NodeAction::Drain),
        NodesCommand::Restart { node, actor } => (node, NodeAction::RestartActor { actor }),
        NodesCommand::SuspendActor { node, actor } => (node, NodeAction::SuspendActor { actor }),
        NodesCommand::ResumeActor { node, actor } => (node, NodeAction::ResumeActor { actor }),
        NodesCommand::StopActor { node, actor } => (node, NodeAction::StopActor { actor }),
        NodesCommand::LogLevel { node, level } => (node, NodeAction::LogLevel { level }),
    };
    tell(client, &node.node, action, Some(node.valid_for), node.wait, printer).await
}

/// Tells a node to do something, and waits for its word.
pub(super) async fn tell(
    client: &Client,
    node: &str,
    action: NodeAction,
    valid_for: Option<Duration>,
    wait: Duration,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let valid_for_ms = valid_for.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let mut command = client.order_node(node, &OrderNode { action, valid_for_ms }).await?;
    let deadline = Instant::now() + wait;
    while command.state == CommandState::Waiting && Instant::now() < deadline {
        sleep(LOOK).await;
        command = client.command(command.id).await?;
    }
    show(std::slice::from_ref(&command), printer);
    Ok(match command.state {
        CommandState::Done | CommandState::Waiting => ExitCode::SUCCESS,
        CommandState::Failed | CommandState::Expired => ExitCode::from(SOME_FAILED),
    })
}

fn show(commands: &[CommandView], printer: Printer) {
    if printer.json {
        return printer.document(&commands);
    }
    let headings = ["NODE", "ACTION", "OF", "STATE", "OUTCOME", "BY", "ORDERED AT"];
    let row = |command: &CommandView| -> Vec<Cell> {
        vec![
            command.node.as_str().into(),
            command.action.as_str().into(),
            command.action.object().unwrap_or_default().into_owned().into(),
            command.state.as_str().into(),
            command.outcome.clone().unwrap_or_default().into(),
            command.by.as_str().into(),
            command.ordered_at.to_string().into(),
        ]
    };
    Table::new(printer, &headings).print(&commands.iter().map(row).collect::<Vec<_>>());
}

fn nodes_table(printer: Printer) -> Table {
    let headings =
        ["NODE", "STATE", "LEADS", "RUNNING", "VERSION", "ROLES", "QUEUES", "LABELS", "SINCE", "LAST SEEN"];
    Table::new(printer, &headings)
}

fn node_row(node: &NodeView) -> Vec<Cell> {
    let queues: Vec<String> =
        node.queues.iter().map(|queue| format!("{}={}", queue.name, queue.concurrency)).collect();
    vec![
        node.name.as_str().into(),
        node.state.as_str().into(),
        if node.leads { "leads" } else { "" }.into(),
        format!("{}/{}", node.running, node.capacity).into(),
        node.version.as_str().into(),
        node.roles.join(",").into(),
        queues.join(",").into(),
        node.labels.to_string().into(),
        node.since.to_string().into(),
        node.last_seen.to_string().into(),
    ]
}

#[cfg(test)]
mod tests {
    use callboard::contracts::{
        Timestamp,
        api::{NodeQueue, NodeState},
    };

    use super::*;

    #[test]
    fn nodes_stand_in_a_table() {
        let at = Timestamp::from_micros(0);
        let worker = NodeView {
            name: "w1".to_owned(),
            session: Default::default(),
            state: NodeState::Paused,
            leads: true,
            version: "0.3.0".to_owned(),
            reads: 1,
            process: 7,
            since: at,
            last_seen: at,
            roles: vec!["processor".to_owned(), "leader".to_owned()],
            queues: vec![NodeQueue { name: "mail".to_owned(), concurrency: 5 }],
            labels: "gpu=yes".parse().unwrap(),
            capacity: 5,
            running: 2,
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            nodes_table(printer).lines(&[node_row(&worker)]),
            [
                "NODE  STATE   LEADS  RUNNING  VERSION  ROLES             QUEUES  LABELS   SINCE                        LAST SEEN",
                "w1    paused  leads  2/5      0.3.0    processor,leader  mail=5  gpu=yes  1970-01-01T00:00:00.000000Z  1970-01-01T00:00:00.000000Z",
            ]
        );
    }
}
