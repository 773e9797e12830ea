//! `callboard submit`.

mod fields;
mod input;
mod ledger;
mod sender;
mod streaming;
mod wait;

use std::{fs::File, io, path::PathBuf, process::ExitCode, time::Duration};

use callboard::{
    client::{ClientError, RetryPolicy},
    contracts::{Timestamp, api::UniquePolicy},
};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    connection::Connection,
    output::{Failure, INTERRUPTED, Printer, SOME_FAILED, USAGE},
    progress::Progress,
    values,
};
use input::{Input, Source};
use sender::Sender;

/// What stands for standard input.
const STDIN: &str = "-";
/// How a server that was there, and is away for a moment, is waited for: about a minute.
const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 80,
    min_backoff: Duration::from_millis(50),
    max_backoff: Duration::from_secs(1),
    jitter: 0.5,
    max_retry_after: Duration::from_secs(60),
    unreachable: true,
};

/// What is submitted.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The job type, or `-` to read jobs from standard input.
    #[arg(required_unless_present = "file")]
    job_type: Option<String>,
    /// The payload, a JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    payload: Option<String>,
    /// A field of the payload, such as url=https://example.com or /to/name=Ada; may be given more than once. What fields there
    /// are `callboard jobs types JOB_TYPE` says; of one that takes several texts each flag adds one.
    #[arg(long = "field", value_name = "NAME=VALUE", conflicts_with_all = ["file", "payload", "program"], value_parser = fields::parse)]
    fields: Vec<(String, String)>,
    /// The earliest time at which it may run, such as 2030-01-01T07:00:00Z [default: now].
    #[arg(long, value_name = "TIME", conflicts_with_all = ["file", "after"])]
    at: Option<Timestamp>,
    /// Let it run after this time, and not before.
    #[arg(long = "in", id = "after", value_name = "DURATION", conflicts_with = "file", value_parser = values::duration)]
    after: Option<Duration>,
    /// Among the jobs of its queue that are ready the highest runs first, -1000 to 1000 [default: 0].
    #[arg(long, value_name = "NUMBER", conflicts_with = "file", allow_negative_numbers = true)]
    priority: Option<i16>,
    /// A word by which it is found again. May be given more than once.
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "file")]
    tags: Vec<String>,
    /// Whom or what it is for: jobs take turns by their keys, and can be limited by them.
    #[arg(long, value_name = "KEY", conflicts_with = "file")]
    partition_key: Option<String>,
    /// Be the only unfinished job of its type with its payload. What becomes of one whose place is taken: it is refused
    /// (reject), the other stands for it (keep) or is cancelled (replace), it runs a period after the last of its kind
    /// (debounce), or once in a period (throttle).
    #[arg(long, value_name = "POLICY", conflicts_with = "file", num_args = 0..=1, require_equals = true,
          default_missing_value = "reject", value_parser = UniquePolicy::ALL.map(UniquePolicy::as_str))]
    unique: Option<String>,
    /// With --unique: a value of the payload that makes the kind, such as /customer/id; may be given more than once
    /// [default: the whole payload].
    #[arg(long = "unique-field", value_name = "POINTER", requires = "unique")]
    unique_fields: Vec<String>,
    /// With --unique: for how long the first job has the place at most [default: until it has ended].
    #[arg(long, value_name = "DURATION", requires = "unique", value_parser = values::duration)]
    unique_period: Option<Duration>,
    /// What is to be remembered about the job, a JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    metadata: Option<String>,
    /// The queue [default: the job type's own].
    #[arg(long, conflicts_with = "file")]
    queue: Option<String>,
    /// The job's id, a UUID; the same job with the same id is never stored twice [default: a new one].
    #[arg(long, conflicts_with = "file")]
    id: Option<Uuid>,
    /// Submit the job once for this key, however often this command is run with it; the first answer is given again.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["file", "count"])]
    idempotency_key: Option<String>,
    /// How many attempts it may take [default: the job type's own].
    #[arg(long, value_name = "NUMBER", conflicts_with = "file")]
    max_attempts: Option<u32>,
    /// How long an attempt may take [default: the job type's own].
    #[arg(long, value_name = "DURATION", conflicts_with = "file", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// How many of this job [default: 1].
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["file", "id"], value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Jobs from a file, `-` for standard input: one JSON object a line, or one JSON array.
    #[arg(long, short, value_name = "FILE", conflicts_with = "job_type")]
    file: Option<PathBuf>,
    /// Wait until all jobs are finished, and show how each ended; the exit code is 0 if all were completed.
    #[arg(long, short)]
    wait: bool,
    /// How long to wait at most, once all are submitted.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::duration, requires = "wait")]
    wait_timeout: Duration,
    /// For the type `command`: the program and its arguments.
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

pub(super) async fn run(
    connection: &Connection,
    mut args: SubmitArgs,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let (mut jobs, total) = source(&args)?;
    let progress = Progress::new(printer, total);
    let bar = progress.handle();
    let client =
        connection.builder()?.on_retry(move |notice| bar.set_message(waiting_for(notice.error))).build()?;
    // Somebody who is not there is told of before anything is read. Whether it is ready, the jobs will show.
    client.clone().with_retry(RetryPolicy::never()).ready().await?;
    let client = client.with_retry(PATIENT);
    if !args.fields.is_empty() {
        let job_type = args.job_type.as_deref().unwrap_or_default();
        args.payload = Some(fields::payload(&client, job_type, &args.fields).await?);
        (jobs, _) = source(&args)?;
    }

    // Without a bound, for it carries no more than the ids that must be kept to the end anyway.
    let (tell, told) = mpsc::unbounded_channel();
    let mut sender = Sender::new(client.clone(), printer, &progress, args.wait.then_some(tell));
    sender.key = args.idempotency_key;
    let mut watch = wait::Watch::new(client, printer, &progress, args.wait_timeout);
    let done = tokio::select! {
        done = async {
            if args.wait {
                watch.open().await;
                tokio::try_join!(sender.send_all(jobs), watch.until_all_are_finished(told)).map(drop)
            } else {
                sender.send_all(jobs).await
            }
        } => Some(done),
        _ = tokio::signal::ctrl_c() => None,
    };
    progress.clear();
    match done {
        Some(Ok(())) => {
            sender.summary(args.wait.then(|| watch.summary()));
            let failed = sender.refused > 0 || watch.failed() > 0;
            Ok(ExitCode::from(if sender.unreadable > 0 { USAGE } else { u8::from(failed) * SOME_FAILED }))
        }
        Some(Err(failure)) => Err(Failure { message: sender.with_account(&failure.message), ..failure }),
        None => {
            let mut message = sender.with_account("interrupted");
            if args.wait {
                message = format!("{message}; {}; they go on without this command", watch.summary());
            }
            Err(Failure { code: INTERRUPTED, message })
        }
    }
}

fn waiting_for(error: &ClientError) -> String {
    match error {
        ClientError::Refused { problem, .. } => format!("the server waits: {}", problem.title),
        _ => "the server is away, and waited for".to_owned(),
    }
}

/// Where the jobs come from, and how many jobs, or bytes of them, there are.
fn source(args: &SubmitArgs) -> Result<(Source, Option<u64>), Failure> {
    let from_stdin = args.job_type.as_deref() == Some(STDIN);
    let one_job = args.payload.is_some()
        || !args.fields.is_empty()
        || args.metadata.is_some()
        || args.queue.is_some()
        || args.id.is_some()
        || args.idempotency_key.is_some()
        || args.max_attempts.is_some()
        || args.timeout.is_some()
        || args.at.is_some()
        || args.after.is_some()
        || args.priority.is_some()
        || !args.tags.is_empty()
        || args.partition_key.is_some()
        || args.unique.is_some()
        || args.count.is_some()
        || !args.program.is_empty();
    if (from_stdin || args.file.is_some()) && one_job {
        return Err(Failure::usage(
            "flags that describe one job cannot be used for jobs that are read; write them into each job",
        ));
    }
    match &args.file {
        Some(path) if path.as_os_str() != STDIN => {
            let place = path.display().to_string();
            let failed = |error: io::Error| Failure::usage(format!("{place}: {error}"));
            let file = File::open(path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if about.is_dir() {
                return Err(Failure::usage(format!("{place} is a folder; a file of jobs is needed")));
            }
            let total = about.is_file().then_some(about.len());
            Ok((Source::Read(input::read(file, place.clone())), total))
        }
        Some(_) => Ok((Source::Read(input::read(io::stdin(), "standard input".to_owned())), None)),
        None if from_stdin => Ok((Source::Read(input::read(io::stdin(), "standard input".to_owned())), None)),
        None => {
            let job = one(args.job_type.as_deref().unwrap_or_default(), args)?;
            let size = Value::Object(job.clone()).to_string().len();
            let count = args.count.unwrap_or(1);
            let input = Input { place: None, job, size, position: 0 };
            Ok((Source::Repeat { input, left: count, done: 0 }, Some(count)))
        }
    }
}

/// The job that the flags describe.
fn one(job_type: &str, args: &SubmitArgs) -> Result<Map<String, Value>, Failure> {
    let object = |flag: &str, text: &Option<String>| match text {
        Some(text) => serde_json::from_str::<Map<String, Value>>(text).map(Some).map_err(|error| {
            Failure::usage(format!("{flag}: a JSON object such as {{\"ms\": 250}} is needed: {error}"))
        }),
        None => Ok(None),
    };
    let mut payload = object("--payload", &args.payload)?.unwrap_or_default();
    if let Some((program, arguments)) = args.program.split_first() {
        if job_type != "command" {
            return Err(Failure::usage(format!(
                "a program after `--` is only for the job type command; this one is {job_type:?}"
            )));
        }
        payload.insert("program".to_owned(), json!(program));
        payload.insert("args".to_owned(), json!(arguments));
    }
    let mut job = Map::new();
    job.insert("type".to_owned(), json!(job_type));
    job.insert("payload".to_owned(), Value::Object(payload));
    let timeout = args.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let at = args.at.or_else(|| args.after.map(|after| Timestamp::now().saturating_add(after)));
    let optional = [
        ("queue", args.queue.as_ref().map(|queue| json!(queue))),
        ("id", args.id.map(|id| json!(id))),
        ("max_attempts", args.max_attempts.map(|attempts| json!(attempts))),
        ("timeout_ms", timeout.map(|timeout| json!(timeout))),
        ("scheduled_at", at.map(|at| json!(at))),
        ("priority", args.priority.map(|priority| json!(priority))),
        ("tags", (!args.tags.is_empty()).then(|| json!(args.tags))),
        ("unique", unique(args)),
        ("partition_key", args.partition_key.as_ref().map(|key| json!(key))),
        ("metadata", object("--metadata", &args.metadata)?.map(Value::Object)),
    ];
    job.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(job)
}

/// The place of its kind that the flags ask for.
fn unique(args: &SubmitArgs) -> Option<Value> {
    let mut unique = Map::from_iter([("policy".to_owned(), json!(args.unique.as_ref()?))]);
    if !args.unique_fields.is_empty() {
        unique.insert("payload".to_owned(), json!(args.unique_fields));
    }
    if let Some(period) = args.unique_period {
        unique.insert("period_ms".to_owned(), json!(u64::try_from(period.as_millis()).unwrap_or(u64::MAX)));
    }
    Some(Value::Object(unique))
}
