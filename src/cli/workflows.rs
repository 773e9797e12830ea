//! `callboard workflows`.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use callboard::{
    client::{Client, WorkflowQuery},
    contracts::api::{StepView, SubmitWorkflow, WorkflowState, WorkflowView},
};
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    output::{Failure, Printer, clean_lines, line},
    table::{Cell, Table},
};

/// Bytes of a workflow that is read at most; what a server accepts is below it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How often a workflow that is waited for is looked at: first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(2);

/// What is done with workflows.
#[derive(Debug, Subcommand)]
pub(super) enum WorkflowsCommand {
    /// Submit a workflow, a JSON object, from a file or standard input.
    Submit(SubmitArgs),
    /// List workflows, newest first.
    List(ListArgs),
    /// Show a workflow and its steps.
    Show(ShowArgs),
    /// Print a workflow as a graph: as a Mermaid flowchart, or as JSON.
    Graph(GraphArgs),
    /// Cancel all of a workflow that has not ended.
    Cancel(WorkflowId),
    /// Run the jobs of steps again that failed, or were cancelled, and keep others from running.
    Resume(WorkflowId),
}

/// Which workflow is submitted.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The file; `-` reads standard input.
    file: PathBuf,
    /// Wait until it has ended; the exit code is 1 unless it is completed.
    #[arg(long)]
    wait: bool,
}

/// Which workflows are listed.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this state.
    #[arg(long, value_parser = state())]
    state: Option<WorkflowState>,
    /// Only those that are called so.
    #[arg(long)]
    name: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "WORKFLOWS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on where a list before this one ended: its `next_cursor`.
    #[arg(long)]
    cursor: Option<String>,
}

fn state() -> impl TypedValueParser<Value = WorkflowState> {
    let names = PossibleValuesParser::new(WorkflowState::ALL.map(WorkflowState::as_str));
    names.try_map(|name| name.parse::<WorkflowState>())
}

/// Which workflow.
#[derive(Debug, Args)]
pub(super) struct WorkflowId {
    /// The workflow's id.
    id: Uuid,
}

/// What is shown of a workflow.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The workflow's id.
    id: Uuid,
    /// Steps that are shown at most.
    #[arg(long, value_name = "STEPS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
}

/// How a graph is printed.
#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// The workflow's id.
    id: Uuid,
    /// In which form.
    #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
    format: GraphFormat,
    /// Steps of it at most.
    #[arg(long, value_name = "STEPS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    Mermaid,
    Json,
}

pub(super) async fn run(
    client: &Client,
    command: WorkflowsCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        WorkflowsCommand::Submit(args) => return submit(client, &args, printer).await,
        WorkflowsCommand::List(ListArgs { state, name, limit, cursor }) => {
            let query = WorkflowQuery { state, name, limit: Some(limit), cursor };
            let list = client.workflows(&query).await?;
            if printer.json {
                printer.document(&list);
            } else {
                table(printer).print(&list.workflows.iter().map(row).collect::<Vec<_>>());
                if let Some(cursor) = &list.next_cursor {
                    printer.note(&format!("there are more: --cursor {cursor}"));
                }
            }
        }
        WorkflowsCommand::Show(ShowArgs { id, steps }) => {
            let graph = client.workflow_graph(id, steps).await?;
            if printer.json {
                printer.document(&graph);
            } else {
                table(printer).print(&[row(&graph.workflow)]);
                line("");
                step_table(printer).print(&graph.steps.iter().map(step_row).collect::<Vec<_>>());
                if graph.truncated {
                    line(&format!("and more: {} steps in all", graph.workflow.steps));
                }
            }
        }
        WorkflowsCommand::Graph(GraphArgs { id, format, steps }) => {
            let graph = client.workflow_graph(id, steps).await?;
            if printer.json || format == GraphFormat::Json {
                printer.document(&graph);
            } else {
                line(&clean_lines(&graph.mermaid()));
            }
        }
        WorkflowsCommand::Cancel(WorkflowId { id }) => {
            let cancelled = client.cancel_workflow(id).await?;
            if printer.json {
                printer.document(&cancelled);
            } else if cancelled.running > 0 {
                line(&format!("{id} {}: {} jobs were told to end", cancelled.state, cancelled.running));
            } else {
                line(&format!("{id} {}", cancelled.state));
            }
        }
        WorkflowsCommand::Resume(WorkflowId { id }) => {
            let resumed = client.resume_workflow(id).await?;
            if printer.json {
                printer.document(&resumed);
            } else {
                line(&format!("{id}: {} steps run again", resumed.steps));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn submit(client: &Client, args: &SubmitArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let text =
        read(&args.file).map_err(|error| Failure::usage(format!("{}: {error}", args.file.display())))?;
    let workflow: SubmitWorkflow = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("{} is no workflow: {error}", args.file.display())))?;
    let submitted = client.submit_workflow(workflow).await?;
    if !args.wait {
        if printer.json {
            printer.document(&submitted);
        } else {
            let before = if submitted.duplicate { ", submitted before" } else { "" };
            line(&format!("{}: {} steps{before}", submitted.id, submitted.steps));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut pause = FIRST_LOOK;
    let ended = loop {
        let now = client.workflow(submitted.id).await?;
        if now.state.has_ended() {
            break now;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_LOOK);
    };
    if printer.json {
        printer.document(&ended);
    } else {
        table(printer).print(&[row(&ended)]);
    }
    let done = ended.state == WorkflowState::Completed;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut text)?
    } else {
        fs::File::open(file)?.take(MAX_BYTES + 1).read_to_end(&mut text)?
    };
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

fn table(printer: Printer) -> Table {
    let headings = [
        "WORKFLOW",
        "NAME",
        "STATE",
        "STEPS",
        "WAITING",
        "ACTIVE",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "CREATED",
    ];
    Table::new(printer, &headings)
}

fn row(workflow: &WorkflowView) -> Vec<Cell> {
    let numbers = [
        workflow.steps,
        workflow.waiting,
        workflow.active,
        workflow.completed,
        workflow.failed,
        workflow.cancelled,
    ];
    let first: [Cell; 3] = [
        workflow.id.to_string().into(),
        workflow.name.clone().unwrap_or_default().into(),
        workflow.state.as_str().into(),
    ];
    let created: Cell = workflow.created_at.to_string().into();
    let numbers = numbers.map(|number| Cell::number(u64::from(number)));
    first.into_iter().chain(numbers).chain([created]).collect()
}

fn step_table(printer: Printer) -> Table {
    Table::new(printer, &["STEP", "NAME", "TYPE", "STATE", "JOB STATE", "OPEN", "JOB"])
}

fn step_row(step: &StepView) -> Vec<Cell> {
    vec![
        Cell::number(u64::from(step.number)),
        step.name.clone().into(),
        step.job_type.clone().into(),
        step.state.as_str().into(),
        step.job_state.as_str().into(),
        Cell::number(u64::from(step.open)),
        step.job.to_string().into(),
    ]
}
