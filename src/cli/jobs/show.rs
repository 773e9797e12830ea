//! `callboard jobs show`.

use std::{process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::api::{AttemptView, JobDetail, JobEdit, JobProgress},
};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::output::{Failure, Printer, clean, clean_lines, line, percent},
    signal::state_of,
};

/// Width of the names before the values.
const NAMES: usize = 11;

/// Which job is shown.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The job's id, in full.
    id: Uuid,
    /// Show the backtraces of attempts that panicked.
    #[arg(long)]
    backtrace: bool,
    /// Show it with its secrets. For the role admin alone, and kept in the audit trail.
    #[arg(long)]
    reveal: bool,
}

pub(super) async fn run(client: &Client, args: &ShowArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let job = if args.reveal { client.reveal_job(args.id).await? } else { client.job(args.id).await? };
    if printer.json {
        printer.document(&job);
    } else {
        view(&job, args.backtrace, printer).iter().for_each(|text| line(text));
    }
    Ok(ExitCode::SUCCESS)
}

fn view(job: &JobDetail, backtrace: bool, printer: Printer) -> Vec<String> {
    let summary = &job.summary;
    let mut lines = vec![format!("{}  {}  {}", summary.id, summary.job_type, printer.state(summary.state))];
    let mut add = |name: &str, value: &str| lines.push(format!("{name:<NAMES$}{}", clean(value)));
    add("queue", &summary.queue);
    if summary.priority != 0 {
        add("priority", &summary.priority.to_string());
    }
    if !summary.tags.is_empty() {
        add("tags", &summary.tags.join(" "));
    }
    if let Some(key) = &summary.partition_key {
        add("key", key);
    }
    add("attempt", &format!("{} of {}", summary.attempt, summary.max_attempts));
    add("timeout", &format!("{:?} an attempt", Duration::from_millis(job.timeout_ms)));
    let times = [
        ("created", Some(summary.created_at)),
        ("scheduled", Some(summary.scheduled_at).filter(|at| *at != summary.created_at)),
        ("started", summary.started_at),
        ("finished", summary.finished_at),
        ("called off", job.cancel_requested_at),
    ];
    for (name, at) in times {
        if let Some(at) = at {
            add(name, &at.to_string());
        }
    }
    if let Some(reason) = job.waits_for.as_ref().or(summary.wait_reason.as_ref()) {
        add("waits for", reason);
    }
    if let Some(progress) = &job.progress {
        add("progress", &progress_of(progress, summary.attempt));
    }
    if let Some(published) = &job.published {
        add("state", &state_of(published, summary.attempt));
    }
    if let Some(trace) = &job.trace_id {
        add("trace", trace);
    }
    if let Some(original) = job.replay_of {
        add("replay of", &original.to_string());
    }
    if let Some(cause) = &summary.cause {
        add("cause", cause);
    }
    for edit in &job.edits {
        add("edited", &edit_of(edit, summary.id));
    }
    add("payload", &Value::Object(job.payload.clone()).to_string());
    if let Some(metadata) = &job.metadata {
        add("metadata", &Value::Object(metadata.clone()).to_string());
    }
    if let Some(result) = &job.result {
        add("result", &result.to_string());
    }
    for attempt in &job.attempts {
        lines.extend(attempt_view(attempt, backtrace));
    }
    lines
}

/// What was changed when this job was made of another one, or another one of it.
fn edit_of(edit: &JobEdit, job: Uuid) -> String {
    let JobEdit { original, replay, patch, reason, by, at } = edit;
    let which = if *replay == job { format!("from {original}") } else { format!("as {replay}") };
    let what = match patch {
        Some(patch) => Value::Object(patch.clone()).to_string(),
        None => "with a payload of its own".to_owned(),
    };
    let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{which} by {by} at {at}{why}  {what}")
}

/// How far the job is, in percent, and which attempt says so if that is not the last one.
fn progress_of(progress: &JobProgress, attempt: u32) -> String {
    let mut text = percent(progress.fraction);
    if let Some(message) = &progress.message {
        text.push_str(&format!("  {message}"));
    }
    if progress.attempt != attempt {
        text.push_str(&format!("  (attempt {})", progress.attempt));
    }
    text
}

fn attempt_view(attempt: &AttemptView, backtrace: bool) -> Vec<String> {
    let number = attempt.attempt;
    let outcome = name(&attempt.outcome);
    let node = clean(&attempt.node);
    let mut lines = vec![format!("attempt {number}  {outcome} at {} on {node}", attempt.finished_at)];
    let mut below = |text: &str| lines.extend(clean_lines(text).lines().map(|line| format!("  {line}")));
    if let Some(error) = &attempt.error {
        let last = if error.is_final { ", for good" } else { "" };
        below(&format!("{}{last}: {}", name(&error.kind), error.message));
        match &error.backtrace {
            Some(text) if backtrace => below(text),
            Some(_) => below("(--backtrace shows where)"),
            None => {}
        }
    }
    lines
}

/// The name that a value has in JSON.
fn name(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use callboard::contracts::JobState;
    use serde_json::json;

    use super::*;

    /// A job that has failed for good.
    pub(in super::super) fn detail() -> JobDetail {
        let at = "2026-01-01T00:00:00Z";
        serde_json::from_value(json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057",
            "type": "command", "queue": "reports", "state": "discarded", "status": "FAILED",
            "attempt": 2, "max_attempts": 2,
            "created_at": at, "scheduled_at": "2026-01-01T00:00:01Z", "started_at": "2026-01-01T00:00:02Z",
            "finished_at": "2026-01-01T00:00:03Z",
            "last_error": "exit code 1: no such file: a.txt\nand more",
            "payload": { "program": "cat", "args": ["a.txt"] },
            "timeout_ms": 600_000,
            "correlation_id": "01890a5d-ac96-774b-bcce-b302099a8058",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "replay_of": "01890a5d-ac96-774b-bcce-b302099a8059",
            "attempts": [
                {
                    "attempt": 1, "outcome": "failed", "node": "here", "claimed_at": at, "finished_at": at,
                    "error": { "kind": "panicked", "message": "it\u{1b}[2J broke", "backtrace": "0: main\n1: start" },
                },
                {
                    "attempt": 2, "outcome": "failed", "node": "here", "claimed_at": at, "finished_at": at,
                    "error": {
                        "kind": "failed", "message": "exit code 1: no such file: a.txt\nand more", "is_final": true,
                    },
                },
            ],
        }))
        .unwrap()
    }

    const PLAIN: Printer = Printer { json: false, quiet: false, colours: false };

    #[test]
    fn everything_about_a_dead_job_is_there() {
        let expected = "\
01890a5d-ac96-774b-bcce-b302099a8057  command  discarded
queue      reports
attempt    2 of 2
timeout    600s an attempt
created    2026-01-01T00:00:00.000000Z
scheduled  2026-01-01T00:00:01.000000Z
started    2026-01-01T00:00:02.000000Z
finished   2026-01-01T00:00:03.000000Z
trace      4bf92f3577b34da6a3ce929d0e0e4736
replay of  01890a5d-ac96-774b-bcce-b302099a8059
payload    {\"args\":[\"a.txt\"],\"program\":\"cat\"}
attempt 1  failed at 2026-01-01T00:00:00.000000Z on here
  panicked: it\u{fffd}[2J broke
  (--backtrace shows where)
attempt 2  failed at 2026-01-01T00:00:00.000000Z on here
  failed, for good: exit code 1: no such file: a.txt
  and more";
        assert_eq!(view(&detail(), false, PLAIN).join("\n"), expected);
        let with_backtrace = expected.replace("  (--backtrace shows where)", "  0: main\n  1: start");
        assert_eq!(view(&detail(), true, PLAIN).join("\n"), with_backtrace);
    }

    #[test]
    fn how_far_a_job_is_is_there() {
        let mut job = detail();
        let at = job.summary.created_at;
        job.progress =
            Some(JobProgress { fraction: 0.999, message: Some("a\nb".to_owned()), at, attempt: 2 });
        let progress =
            |job: &JobDetail| view(job, false, PLAIN).into_iter().find(|line| line.starts_with("progress"));
        assert_eq!(progress(&job).as_deref(), Some("progress   99%  a\u{fffd}b"));
        job.summary.attempt = 1;
        assert_eq!(progress(&job).as_deref(), Some("progress   99%  a\u{fffd}b  (attempt 2)"));
    }

    #[test]
    fn what_a_completed_job_gave_is_there() {
        let mut job = detail();
        job.summary.state = JobState::Completed;
        job.attempts.clear();
        job.result = Some(json!({ "exit_code": 0 }));
        let lines = view(&job, false, PLAIN);
        assert_eq!(lines[0], "01890a5d-ac96-774b-bcce-b302099a8057  command  completed");
        assert_eq!(lines.last().map(String::as_str), Some("result     {\"exit_code\":0}"));
    }
}
