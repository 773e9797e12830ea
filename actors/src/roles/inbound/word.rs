//! What workers outside say of attempts.

use callboard_contracts::{
    EventEnvelope, EventType, JobState, Timestamp, WorkerAttempt,
    api::{AttemptError, ErrorKind},
    outside::METADATA,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{decided::Decided, job::event_of};
use crate::{
    edges::{
        bus::Inbound as From,
        store::{
            Operation, Outcome,
            outside::{OutsideWord, Said},
            record::Lease,
            report::{Report, ReportedProgress},
        },
    },
    encryption::envelope::{self, Part},
    jobs::{Fraction, registry::bounded},
    roles::{
        node::Node,
        queue::{MAX_MESSAGE_BYTES, cut},
    },
};

/// Bytes that are kept of what a worker says with its progress.
const MAX_PROGRESS_BYTES: usize = 1024;

/// Hears what an event says of an attempt.
pub(super) async fn hear(node: &Node, from: From, envelope: EventEnvelope) -> Decided {
    let progress = progress(&envelope, node.store.now());
    let word = match word(node, from, envelope) {
        Ok(word) => match sealed(node, word).await {
            Ok(word) => word,
            Err(problem) => return Decided::Later("store", problem),
        },
        Err(problem) => return Decided::Invalid("outcome", problem),
    };
    let (job, token) = (word.job, word.token);
    let heard = node.store.write(Operation::Hear(Box::new(word))).await;
    // What is told to us alone should be about our jobs. What old services tell is for others, too.
    let to_us_alone = from == From::Outcome;
    match heard {
        Ok(Outcome::Heard { state: JobState::Executing, .. }) => {
            if let Some(report) = progress
                && let Err(error) = node.store.write(Operation::Report(Box::new(report))).await
            {
                // The next word says how far it is then.
                tracing::debug!(%error, jobId = %job, "the progress of an attempt outside is not written");
            }
            Decided::Done("alive")
        }
        Ok(Outcome::Heard { queue, job_type, state, retry_at }) => {
            node.metrics.outside_ended(&queue, &job_type, state);
            if let Some(at) = retry_at {
                node.due.note(at);
            }
            // There is room for another one.
            node.wake([&queue]);
            if let Some(queue) = node.queues.get(&queue) {
                queue.left(1);
            }
            Decided::Done("ended")
        }
        Ok(Outcome::Seen) => Decided::Done("seen"),
        Ok(Outcome::Stale) => {
            tracing::info!(jobId = %job, token, "the word of a worker outside came too late: its lease had ended");
            Decided::Done("stale")
        }
        Ok(Outcome::NotFound) if to_us_alone => {
            Decided::Invalid("unknown_job", format!("/payload/id: there is no job {job}"))
        }
        Ok(Outcome::NotFound) => Decided::Done("unknown_job"),
        Ok(Outcome::NotServed { queue }) if to_us_alone => {
            let problem =
                format!("/payload/id: the job {job} is of queue {queue:?}, which is not served by the bus");
            Decided::Invalid("not_served", problem)
        }
        Ok(Outcome::NotServed { .. }) => Decided::Done("not_served"),
        Ok(other) => Decided::Later("store", format!("the store answered with {other:?}")),
        Err(error) => Decided::Later("store", error.to_string()),
    }
}

/// The word with what is secret in a result encrypted: which values are is known by the job's type.
async fn sealed(node: &Node, mut word: OutsideWord) -> Result<OutsideWord, String> {
    if let Said::Completed { result: Some(result) } = &mut word.said
        && node.secrets.any_results()
        && let Some(found) = node.store.job(word.job).await.map_err(|error| error.to_string())?
    {
        let sealed = node.vault().seal_text(&found.job.job_type, Part::Result, std::mem::take(result));
        *result = sealed.map_err(|error| error.to_string())?;
    }
    Ok(word)
}

/// How far an attempt is, if an event says so: `payload.progress`, with a `fraction` and perhaps a `message`. What cannot be read
/// of it is left out, since it still says that the attempt goes on.
fn progress(envelope: &EventEnvelope, now: Timestamp) -> Option<Report> {
    if envelope.event_type != EventType::Progressed {
        return None;
    }
    let id = envelope.payload.get("id").and_then(Value::as_str)?.parse().ok()?;
    let token = attempt(&envelope.payload).ok()??.token;
    let said = envelope.payload.get("progress")?;
    let fraction = Fraction::from(said.get("fraction")?.as_f64()?).value();
    let message = said.get("message").and_then(Value::as_str);
    let message = message.map(|message| cut(message.to_owned(), MAX_PROGRESS_BYTES));
    Some(Report {
        lease: Lease { id, token },
        started_at: None,
        first: true,
        // Of two words the later one counts: by our clock, as those of the nodes are.
        progress: Some(ReportedProgress { fraction, message, at: now }),
        published: None,
        taken: Vec::new(),
        lines: Vec::new(),
        forget: None,
    })
}

/// What an event says of an attempt.
fn word(node: &Node, from: From, mut envelope: EventEnvelope) -> Result<OutsideWord, String> {
    let event = event_of(&envelope);
    let id = envelope.payload.get("id").and_then(Value::as_str);
    let id = id.ok_or("/payload/id: the job's id is missing")?;
    let job: Uuid = id.parse().map_err(|_| bounded(format!("/payload/id: {id:?} is no UUID")))?;
    let attempt = attempt(&envelope.payload)?;
    if attempt.is_none() && from == From::Outcome {
        return Err(format!("/payload/metadata/{METADATA}: attempt and token are missing"));
    }
    let began = matches!(envelope.event_type, EventType::Executed | EventType::AttemptStarted);
    let said_at: Option<Timestamp> = began.then_some(envelope.occurred_at);
    let started_at = attempt.as_ref().and_then(|attempt| attempt.started_at).or(said_at);
    let said = match envelope.event_type {
        EventType::Completed => completed(node, envelope.payload.remove("result")),
        EventType::Failed => {
            let is_final = attempt.as_ref().is_some_and(|attempt| attempt.is_final == Some(true));
            Said::Failed {
                error: error(reason(envelope.payload.remove("error")), is_final),
                retry: node.outside.retry_plan(node.tuned().defaults.retry),
            }
        }
        EventType::Executed | EventType::AttemptStarted | EventType::Progressed if attempt.is_some() => {
            Said::Alive
        }
        other => return Err(format!("/eventType: {other} says nothing of the end of an attempt")),
    };
    Ok(OutsideWord {
        event,
        job,
        token: attempt.map(|attempt| attempt.token),
        started_at,
        said,
        served: node.outside.served.clone(),
    })
}

fn attempt(payload: &Map<String, Value>) -> Result<Option<WorkerAttempt>, String> {
    let Some(found) = payload.get("metadata").and_then(|metadata| metadata.get(METADATA)) else {
        return Ok(None);
    };
    let problem = |error| bounded(format!("/payload/metadata/{METADATA}: {error}"));
    serde_json::from_value(found.clone()).map(Some).map_err(problem)
}

/// A completion with this result. One that is too large, or has fields that only the server's own values have, cannot be kept, and
/// another attempt would not make it another one.
fn completed(node: &Node, result: Option<Value>) -> Said {
    let result = result.map(|result| result.to_string());
    let (size, limit) = (result.as_ref().map_or(0, String::len), node.tuned().max_result);
    let message = match result.as_deref().and_then(envelope::forged) {
        _ if size > limit => format!("its result has {size} bytes, and {limit} are allowed"),
        Some(problem) => bounded(format!("its result: {problem}")),
        None => return Said::Completed { result },
    };
    Said::Failed { error: error(message, true), retry: node.outside.retry_plan(node.tuned().defaults.retry) }
}

/// What a worker says went wrong: text, or something with a `message`.
fn reason(said: Option<Value>) -> String {
    match said {
        Some(Value::String(text)) => text,
        Some(Value::Object(mut object)) if object.get("message").is_some_and(Value::is_string) => {
            reason(object.remove("message"))
        }
        None | Some(Value::Null) => "the worker outside did not say why".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn error(message: String, is_final: bool) -> AttemptError {
    AttemptError {
        kind: ErrorKind::Failed,
        message: cut(message, MAX_MESSAGE_BYTES),
        backtrace: None,
        is_final,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_come_in_several_forms() {
        assert_eq!(reason(Some(json!("no luck"))), "no luck");
        assert_eq!(reason(Some(json!({"message": "no luck", "code": 7}))), "no luck");
        assert_eq!(reason(Some(json!({"code": 7}))), r#"{"code":7}"#);
        assert_eq!(reason(Some(Value::Null)), "the worker outside did not say why");
        assert_eq!(reason(None), "the worker outside did not say why");
    }

    #[test]
    fn which_attempt_it_is_stands_in_the_metadata() {
        let of = |payload: Value| attempt(payload.as_object().unwrap());
        assert_eq!(of(json!({})).unwrap(), None);
        assert_eq!(of(json!({"metadata": null})).unwrap(), None);
        assert_eq!(of(json!({"metadata": {"other": 1}})).unwrap(), None);
        let found = of(json!({"metadata": {"callboard": {"attempt": 2, "token": 9, "final": true}}}));
        let found = found.unwrap().unwrap();
        assert_eq!((found.attempt, found.token, found.is_final), (2, 9, Some(true)));
        for wrong in [json!(null), json!({"attempt": 1}), json!({"attempt": 1, "token": -1}), json!("1")] {
            let found = of(json!({"metadata": {"callboard": wrong}})).unwrap_err();
            assert!(found.starts_with("/payload/metadata/callboard: "), "{found}");
        }
    }
}
