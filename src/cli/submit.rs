//! `callboard submit`.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use callboard::{
    client::{Client, ClientError},
    contracts::{
        JobState,
        api::{ItemOutcome, JobSummary, SubmitMany},
    },
};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::output::{Failure, Printer, line};

/// Jobs in one request.
const BATCH: usize = 500;
/// Jobs that one question names.
const LOOKUP: usize = 1000;
/// How long a server that is away, or a full queue, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first and the longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of one file of a JSON array, which must be read as a whole.
const MAX_ARRAY: u64 = 256 * 1024 * 1024;

/// What is submitted.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The job type, or `-` to read jobs from standard input.
    #[arg(required_unless_present = "file")]
    job_type: Option<String>,
    /// The payload, a JSON object.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    payload: Option<String>,
    /// The queue.
    #[arg(long, conflicts_with = "file")]
    queue: Option<String>,
    /// The job's id, a UUID.
    #[arg(long, conflicts_with = "file")]
    id: Option<Uuid>,
    /// How many attempts it may take.
    #[arg(long, conflicts_with = "file")]
    max_attempts: Option<u32>,
    /// How many of this job.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["file", "id"])]
    count: usize,
    /// Jobs from a file: one JSON object a line, or a JSON array.
    #[arg(long, value_name = "FILE", conflicts_with = "job_type")]
    file: Option<PathBuf>,
    /// Wait until all jobs are finished; the exit code says whether all were completed.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    wait_timeout: Duration,
    /// For the type `command`: the program and its arguments.
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().map_err(|_| format!("{text:?}: a number with a unit is needed, such as 30s"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        unit => Err(format!("{unit:?} is no unit: there are ms, s, m and h")),
    }
}

/// What has been submitted so far.
struct Submission<'c> {
    client: &'c Client,
    printer: Printer,
    quiet: bool,
    accepted: Vec<Uuid>,
    refused: usize,
    bar: ProgressBar,
}

pub(super) async fn run(client: &Client, args: SubmitArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let bar = if io::stderr().is_terminal() && !printer.json {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
    };
    let quiet = args.wait;
    let mut submission = Submission { client, printer, quiet, accepted: Vec::new(), refused: 0, bar };
    match (&args.file, args.job_type.as_deref()) {
        (Some(path), _) => {
            let file = File::open(path);
            let file = file.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            submission.read(BufReader::new(file)).await?;
        }
        (None, Some("-")) => submission.read(io::stdin().lock()).await?,
        (None, job_type) => {
            let job = one(job_type.unwrap_or(""), &args)?;
            let mut left = args.count;
            while left > 0 {
                let next = left.min(BATCH);
                submission.send((0..next).map(|_| (0, job.clone())).collect()).await?;
                left -= next;
            }
        }
    }
    submission.bar.finish_and_clear();
    if args.wait {
        return wait(client, &submission.accepted, submission.refused, args.wait_timeout, printer).await;
    }
    Ok(ExitCode::from(u8::from(submission.refused > 0)))
}

/// The job that the flags describe.
fn one(job_type: &str, args: &SubmitArgs) -> Result<Map<String, Value>, Failure> {
    let mut payload = match &args.payload {
        Some(text) => serde_json::from_str::<Map<String, Value>>(text)
            .map_err(|error| Failure::usage(format!("--payload: a JSON object is needed: {error}")))?,
        None => Map::new(),
    };
    if let Some((program, arguments)) = args.program.split_first() {
        if job_type != "command" {
            return Err(Failure::usage("a program after `--` is only for the job type command"));
        }
        payload.insert("program".to_owned(), json!(program));
        payload.insert("args".to_owned(), json!(arguments));
    }
    let mut job = Map::new();
    job.insert("type".to_owned(), json!(job_type));
    job.insert("payload".to_owned(), Value::Object(payload));
    let optional = [
        ("queue", args.queue.as_ref().map(|queue| json!(queue))),
        ("id", args.id.map(|id| json!(id))),
        ("max_attempts", args.max_attempts.map(|attempts| json!(attempts))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            job.insert(name.to_owned(), value);
        }
    }
    Ok(job)
}

impl Submission<'_> {
    /// One job a line, read as they are sent; or one array.
    async fn read(&mut self, mut reader: impl BufRead) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::usage(format!("the jobs cannot be read: {error}"));
        let start = reader.fill_buf().map_err(failed)?;
        if start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            let mut text = Vec::new();
            reader.take(MAX_ARRAY).read_to_end(&mut text).map_err(failed)?;
            let jobs: Vec<Map<String, Value>> = serde_json::from_slice(&text)
                .map_err(|error| Failure::usage(format!("an array of jobs is needed: {error}")))?;
            let mut numbered = jobs.into_iter().enumerate().map(|(index, job)| (index + 1, job));
            loop {
                let batch: Vec<_> = numbered.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    return Ok(());
                }
                self.send(batch).await?;
            }
        }
        let mut batch = Vec::new();
        for (index, text) in reader.lines().enumerate() {
            let text = text.map_err(failed)?;
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&text) {
                Ok(job) => batch.push((index + 1, job)),
                Err(error) => self.refuse(index + 1, &format!("a JSON object is needed: {error}")),
            }
            if batch.len() == BATCH {
                self.send(std::mem::take(&mut batch)).await?;
            }
        }
        self.send(batch).await
    }

    /// Sends a batch until it is answered. Every job has an id, so that sending it again is harmless.
    async fn send(&mut self, mut batch: Vec<(usize, Map<String, Value>)>) -> Result<(), Failure> {
        for (_, job) in &mut batch {
            job.entry("id").or_insert_with(|| json!(Uuid::now_v7()));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        while !batch.is_empty() {
            let jobs = batch.iter().map(|(_, job)| Value::Object(job.clone())).collect();
            let answer = match self.client.submit_many(SubmitMany { jobs }).await {
                Ok(answer) => answer,
                Err(error) if worth_waiting(&error, deadline) => {
                    wait_a_little(&mut pause, &error).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut again = Vec::new();
            for item in answer.items {
                let Some((number, job)) = batch.get(item.index) else { continue };
                match item.outcome {
                    ItemOutcome::Accepted(submitted) => {
                        self.accepted.push(submitted.id);
                        if self.printer.json && !self.quiet {
                            self.printer.record(&submitted);
                        } else if !self.quiet {
                            line(&submitted.id.to_string());
                        }
                    }
                    ItemOutcome::Refused(problem)
                        if matches!(problem.status, 429 | 503) && Instant::now() < deadline =>
                    {
                        again.push((*number, job.clone()));
                    }
                    ItemOutcome::Refused(problem) => {
                        let detail = format!("{}: {}", problem.title, problem.detail);
                        self.refuse(*number, &detail);
                    }
                }
            }
            self.bar.set_message(format!("{} jobs submitted", self.accepted.len()));
            self.bar.tick();
            if !again.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            batch = again;
        }
        Ok(())
    }

    fn refuse(&mut self, number: usize, problem: &str) {
        self.refused += 1;
        let place = if number == 0 { String::new() } else { format!("job {number}: ") };
        self.printer.failure(&Failure::failed(format!("{place}{problem}")));
    }
}

/// A server that never was there is not waited for.
fn worth_waiting(error: &ClientError, deadline: Instant) -> bool {
    error.is_passing() && !matches!(error, ClientError::Unreachable { .. }) && Instant::now() < deadline
}

async fn wait_a_little(pause: &mut Duration, error: &ClientError) {
    let told = match error {
        ClientError::Refused { retry_after, .. } => *retry_after,
        _ => None,
    };
    sleep(told.unwrap_or(*pause)).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

/// Waits for the jobs and says what became of them.
async fn wait(
    client: &Client,
    ids: &[Uuid],
    refused: usize,
    limit: Duration,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let deadline = Instant::now() + limit;
    let mut open: Vec<Uuid> = ids.to_vec();
    let mut counts: HashMap<JobState, usize> = HashMap::new();
    let mut pause = FIRST_PAUSE;
    let mut away_since: Option<Instant> = None;
    while !open.is_empty() {
        let asked: Vec<Uuid> = open.iter().take(LOOKUP).copied().collect();
        match client.lookup(&asked).await {
            Ok(list) => {
                away_since = None;
                let finished: HashMap<Uuid, JobSummary> = list
                    .jobs
                    .into_iter()
                    .filter(|job| job.state.is_final())
                    .map(|job| (job.id, job))
                    .collect();
                pause = if finished.is_empty() { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                for id in asked.iter().filter(|id| finished.contains_key(id)) {
                    outcome(&finished[id], printer);
                    *counts.entry(finished[id].state).or_default() += 1;
                }
                open.retain(|id| !finished.contains_key(id));
                // Those that take long do not hide the others.
                let shown = asked.len().min(open.len());
                open.rotate_left(shown);
            }
            Err(error) if error.is_passing() => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        if open.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            let message = format!("{} of {} jobs are not finished after {limit:?}", open.len(), ids.len());
            return Err(Failure { code: 3, message });
        }
        sleep(pause).await;
    }
    let completed = counts.get(&JobState::Completed).copied().unwrap_or(0);
    Ok(ExitCode::from(u8::from(refused > 0 || completed < ids.len())))
}

fn outcome(job: &JobSummary, printer: Printer) {
    if printer.json {
        printer.record(job);
        return;
    }
    let error = job.last_error.as_deref().filter(|_| job.state != JobState::Completed).unwrap_or("");
    let error = error.lines().next().unwrap_or("");
    line(format!("{}  {}  attempt {}  {error}", job.id, job.state, job.attempt).trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "m", "5x", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
