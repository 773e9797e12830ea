//! Every route.

use actix_web::HttpRequest;
use callboard_contracts::{name::JOB_TYPE_PATTERN, tag::TAG_PATTERN};
use serde_json::{Value, json};

use crate::{
    api, bulk, contract,
    correlation::TRACEPARENT,
    cron, dead_jobs, edges, encryption, job_log,
    live_routes::watching,
    nodes,
    observatory::routes_at,
    openapi,
    problem::Kind,
    route::{Route, Schema::*},
    session,
    settings::Role,
    settings_of_node,
    signals::signals,
    sse, stream, terminal,
    workflow_routes::workflows,
};

/// Every route, in the order in which they are described.
pub(crate) fn routes() -> Vec<Route> {
    [
        submitting(),
        jobs(),
        signals(),
        dead_jobs(),
        encryption::routes(),
        workflows(),
        events(),
        cron_table(),
        seeing(),
        watching(),
        fleet(),
        terminal::routes(),
        session::routes(),
        contract_routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn part<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or("")
}

pub(crate) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn log_position() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+-[0-9]+$" })
}

pub(crate) const TRACE_SAYS: &str =
    "The span in which the request is made (W3C Trace Context); it is kept with the jobs.";

pub(crate) fn traceparent() -> Value {
    json!({ "type": "string", "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" })
}

/// What can be wrong with a job.
const JOB_PROBLEMS: [Kind; 4] = [Kind::Invalid, Kind::UnknownType, Kind::Conflict, Kind::BacklogFull];

fn example_job() -> Value {
    json!({
        "type": "sleep", "payload": { "ms": 250 }, "id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "scheduled_at": "2030-01-01T07:00:00Z", "priority": 10, "tags": ["customer:42"],
        "partition_key": "customer 42", "metadata": { "order": 17 },
    })
}

fn submitting() -> Vec<Route> {
    vec![
        Route::post("/api/v1/jobs", "submitJob", |state, request, payload| {
            Box::pin(async move { api::submit(&state, &request, payload).await })
        })
        .says(
            "Submit a job",
            "Once this is answered the job is stored durably. The same job under the same id again changes nothing and \
             is answered with `duplicate`.",
        )
        .body(Named("SubmitJob"), example_job())
        .answer(202, "It is stored. `Location` says where it is.", Named("Submitted"))
        .problems(&JOB_PROBLEMS)
        .keyed(),
        Route::post("/api/v1/jobs/batch", "submitJobs", |state, request, payload| {
            Box::pin(async move { api::submit_many(&state, &request, payload).await })
        })
        .says(
            "Submit many jobs",
            "Each is accepted or refused by itself, and the answer has one item for each, in the order of the request. \
             As NDJSON, a line that cannot be read refuses no other. `web.max_batch` jobs at most.",
        )
        .body_or_lines(Named("SubmitMany"), json!({ "jobs": [example_job()] }), Named("SubmitJob"))
        .answer(200, "What became of each.", Named("SubmitAnswer"))
        .keyed(),
        Route::post("/api/v1/jobs/stream", "streamJobs", |state, request, payload| {
            Box::pin(async move { stream::submit(&state, &request, payload) })
        })
        .says(
            "Submit jobs line by line",
            "One job a line in, one `SubmittedItem` a line out, in the same order, each once its job is stored durably or \
             refused. There may be any number of lines, of `web.max_body` bytes each; one that cannot be read, or is too \
             long, costs itself alone. A client that does not read the answers is not read from. The stream ends when the \
             body does, or with a last line for what was not read: 408 if nothing came within `web.request_timeout`, 503 \
             if the server stops. Lines without an answer may or may not be stored: send them again under the same ids.",
        )
        .lines(Named("SubmitJob"))
        .answer_as(200, "What became of each, line by line.", "application/x-ndjson", Named("SubmittedItem")),
    ]
    .into_iter()
    .map(|route| route.tag("Submitting").parameter("header", TRACEPARENT, TRACE_SAYS, traceparent()))
    .collect()
}

fn jobs() -> Vec<Route> {
    let id = "The job's id.";
    vec![
        Route::get("/api/v1/jobs", "listJobs", |state, request, _| {
            Box::pin(async move { api::list(&state, &request).await })
        })
        .says("List jobs", "Newest first, page by page: give `next_cursor` as `cursor` for the next one.")
        .parameter("query", "state", "Only jobs in these states, with commas between them.", json!({
            "type": "array", "items": { "$ref": "#/components/schemas/JobState" },
        }))
        .parameter("query", "queue", "Only jobs of this queue.", json!({ "type": "string" }))
        .parameter("query", "type", "Only jobs of this type.", json!({ "type": "string" }))
        .parameter("query", "tag", "Only jobs with this tag.", json!({ "type": "string", "pattern": TAG_PATTERN }))
        .parameter("query", "cause", "Only dead jobs that died of this cause.", json!({ "type": "string" }))
        .parameter("query", "limit", "Jobs of one page at most.", json!({
            "type": "integer", "minimum": 1, "maximum": 1000, "default": 50,
        }))
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of jobs.", Named("JobList"))
        .problems(&[Kind::Malformed]),
        Route::post("/api/v1/jobs/lookup", "lookUpJobs", |state, request, payload| {
            Box::pin(async move { api::lookup(&state, &request, payload).await })
        })
        .needs(Role::Viewer)
        .says("Look jobs up by their ids", "Up to 1000; those that are not there are missing from the answer.")
        .body(Named("LookUp"), json!({ "ids": ["01890a5d-ac96-774b-bcce-b302099a8057"] }))
        .answer(200, "Those that are there, in no order.", Named("JobList")),
        Route::get("/api/v1/jobs/{id}", "getJob", |state, request, _| {
            Box::pin(async move { api::job(&state, &request, part(&request, "id")).await })
        })
        .says(
            "A job with its attempts",
            "Secret values of its payload and result are `{\"$redacted\": true}`.",
        )
        .parameter("path", "id", id, uuid())
        .parameter(
            "query",
            "reveal",
            "Whether it is shown with its secrets: for the role admin alone, where tokens are configured, and kept in the audit trail.",
            json!({ "type": "boolean", "default": false }),
        )
        .answer(200, "The job.", Named("JobDetail"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::Forbidden]),
        Route::get("/api/v1/jobs/{id}/logs", "getJobLog", |state, request, _| {
            Box::pin(async move { job_log::page(&state, &request, part(&request, "id")).await })
        })
        .says(
            "What the runs of a job have said",
            "Line by line, run by run, also while they run: give `next` as `after` for what follows. Of a log that is too \
             long its beginning and its end are kept; `dropped_before` says how many lines are missing.",
        )
        .parameter("path", "id", id, uuid())
        .parameter("query", "attempt", "Only lines of this attempt.", json!({ "type": "integer", "minimum": 1 }))
        .parameter("query", "after", "Only lines behind this place.", log_position())
        .parameter("query", "limit", "Lines of one page at most.", json!({
            "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
        }))
        .answer(200, "A page of lines.", Named("JobLogPage"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/jobs/{id}/logs/stream", "followJobLog", |state, request, _| {
            Box::pin(async move { job_log::stream(&state, &request, part(&request, "id")).await })
        })
        .says(
            "Follow what the runs of a job say",
            "Server-sent events: what is there, then what comes, about a second after it was said. `event: line` has the \
             line's place as `id` and a `JobLogLine` as `data`; `event: end` with a `JobLogEnd` comes when the job, or the \
             attempt that was asked for, has ended, and is the last. A lost stream is resumed by `Last-Event-ID`.",
        )
        .parameter("path", "id", id, uuid())
        .parameter("header", "Last-Event-ID", "Begin behind this place.", log_position())
        .parameter("query", "attempt", "Only lines of this attempt.", json!({ "type": "integer", "minimum": 1 }))
        .parameter("query", "after", "The same as the header; the later of both counts.", log_position())
        .answer_as(200, "The stream.", "text/event-stream", Text)
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::post("/api/v1/jobs/{id}/cancel", "cancelJob", |state, request, _| {
            Box::pin(async move { api::cancel(&state, &request, part(&request, "id")).await })
        })
        .says(
            "Call a job off",
            "A waiting job is cancelled at once. A running one is told to end; its state is still `executing` then.",
        )
        .parameter("path", "id", id, uuid())
        .answer(200, "Its state now.", Named("Cancelled"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::WrongState]),
        Route::post("/api/v1/jobs/{id}/retry", "retryJob", |state, request, payload| {
            Box::pin(async move { dead_jobs::retry(&state, &request, payload, part(&request, "id")).await })
        })
        .says(
            "Run a job again",
            "A job that waits for its time runs now; a finished one runs again as a new job. With `payload` or `patch` the new \
             job of a finished one has another payload, which must fit its type; the finished one stays as it is, and both say \
             what was changed, by whom, when and why.",
        )
        .parameter("path", "id", id, uuid())
        .optional_body(
            Named("RetryEdit"),
            json!({ "patch": { "old_name": null }, "reason": "it has another name now" }),
        )
        .answer(200, "The job that will run.", Named("Retried"))
        .problems(&[
            Kind::NotFound, Kind::WrongState, Kind::BacklogFull, Kind::Invalid, Kind::UnknownType,
        ]),
    ]
    .into_iter()
    .map(|route| route.tag("Jobs"))
    .collect()
}

fn dead_jobs() -> Vec<Route> {
    let bulk_id = "The bulk operation's id.";
    vec![
        Route::get("/api/v1/dead-jobs/causes", "listDeadCauses", |state, request, _| {
            Box::pin(async move { dead_jobs::causes(&state, &request).await })
        })
        .says(
            "What dead jobs died of",
            "Dead jobs by type, queue and cause: errors that differ only in numbers, ids, paths, times and quoted words have one \
             cause. `GET /api/v1/jobs?cause=` lists the jobs of one.",
        )
        .parameter("query", "queue", "Only jobs of this queue.", json!({ "type": "string" }))
        .parameter("query", "type", "Only jobs of this type.", json!({ "type": "string" }))
        .parameter("query", "limit", "Causes of one page at most.", json!({
            "type": "integer", "minimum": 1, "maximum": 200, "default": 50,
        }))
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of causes.", Named("DeadCauseList"))
        .problems(&[Kind::Malformed]),
        Route::get("/api/v1/jobs/{id}/compare", "compareJob", |state, request, _| {
            Box::pin(async move { dead_jobs::compare(&state, part(&request, "id")).await })
        })
        .says(
            "A job beside the last success",
            "The newest completed job of its type and queue, and where the two payloads differ. It is looked for among the newest \
             5,000 jobs of the type and, if none of these is one, among the 5,000 before the first that died of the same cause.",
        )
        .parameter("path", "id", "The job's id.", uuid())
        .answer(200, "Both, and their differences.", Named("JobComparison"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::post("/api/v1/bulk", "startBulk", |state, request, payload| {
            Box::pin(async move { bulk::start(&state, &request, payload).await })
        })
        .says(
            "Run many jobs again, or call them off",
            "The jobs that the filter names now, one after the other, newest first; jobs that come or change later are left alone. It is \
             kept in the store: the leader goes on with it over crashes and restarts, does each job once, and waits while \
             a queue has no room. With `dry_run` the jobs are only counted.",
        )
        .body(
            Named("StartBulk"),
            json!({
                "action": "retry", "filter": { "cause": "9d3c1f0a52b7e846", "queue": "mail" },
                "patch": { "host": "smtp.example" }, "reason": "the old host is gone", "dry_run": true,
            }),
        )
        .answer(200, "With `dry_run`: what it would do.", Named("BulkPreview"))
        .answer(202, "It goes on. `Location` says where it is.", Named("BulkView"))
        .problems(&[Kind::Invalid, Kind::OtherBulk, Kind::TooManyBulks]),
        Route::get("/api/v1/bulk", "listBulks", |state, request, _| {
            Box::pin(async move { bulk::list(&state, &request).await })
        })
        .says("Bulk operations and how far they are", "Newest first.")
        .parameter("query", "limit", "Operations at most.", json!({
            "type": "integer", "minimum": 1, "maximum": 1000, "default": 50,
        }))
        .answer(200, "The operations.", ListOf("BulkView"))
        .problems(&[Kind::Malformed]),
        Route::get("/api/v1/bulk/{id}", "getBulk", |state, request, _| {
            Box::pin(async move { bulk::one(&state, part(&request, "id")).await })
        })
        .says("A bulk operation and how far it is", "")
        .parameter("path", "id", bulk_id, uuid())
        .answer(200, "The operation.", Named("BulkView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::post("/api/v1/bulk/{id}/stop", "stopBulk", |state, request, _| {
            Box::pin(async move { bulk::stop(&state, &request, part(&request, "id")).await })
        })
        .says("Stop a bulk operation", "It ends where it is; what is done stays done. One that has ended stays as it is.")
        .parameter("path", "id", bulk_id, uuid())
        .answer(200, "The operation.", Named("BulkView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
    ]
    .into_iter()
    .map(|route| route.tag("Dead jobs and bulk"))
    .collect()
}

fn events() -> Vec<Route> {
    vec![
        Route::get("/api/v1/events", "followEvents", |state, request, _| {
            Box::pin(async move { sse::events(&state, &request) })
        })
        .tag("Events")
        .says(
            "Follow the events",
            "Server-sent events. Each has its place in the log as `id`, its type as `event` and an `EventRecord` as \
             `data`; `event: reset` says that events between the given place and the next one are not there any more. \
             A lost stream is resumed by `Last-Event-ID`, without loss and without doubling.",
        )
        .parameter("header", "Last-Event-ID", "Begin after this place of the log.", json!({ "type": "string" }))
        .parameter("query", "cursor", "The same; stands above the header. Default: now.", json!({
            "type": "string", "pattern": "^[0-9]+-[0-9]+$",
        }))
        .parameter("query", "job", "Only events of this job.", uuid())
        .answer_as(200, "The stream. It has no end.", "text/event-stream", Text)
        .problems(&[Kind::Malformed]),
    ]
}

fn seeing() -> Vec<Route> {
    vec![
        Route::get("/api/v1/queues", "listQueues", |state, _, _| {
            Box::pin(async move { api::queues(&state).await })
        })
        .says("The queues and what they hold", "")
        .answer(200, "The queues.", ListOf("QueueView")),
        Route::get("/api/v1/queues/{name}", "getQueue", |state, request, _| {
            Box::pin(async move { api::queue(&state, part(&request, "name")).await })
        })
        .says("A queue and what it holds", "")
        .parameter("path", "name", "The queue's name.", json!({ "type": "string" }))
        .answer(200, "The queue.", Named("QueueView"))
        .problems(&[Kind::NotFound]),
        Route::post("/api/v1/queues/{name}/pause", "pauseQueue", |state, request, payload| {
            Box::pin(async move { api::pause(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Pause a queue",
            "None of its jobs are started any more, on any node, within about a second; what runs goes on. It stays \
             paused over restarts. The queue shows the reason, if one is given, until it is let go on; one that is paused already \
             keeps its own. A queue whose jobs or actors crash too often is paused by a node in the same way.",
        )
        .parameter("path", "name", "The queue's name.", json!({ "type": "string" }))
        .optional_body(Named("PauseRequest"), json!({ "reason": "the mail server moves" }))
        .answer(200, "The queue.", Named("QueueView"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::Invalid]),
        Route::post("/api/v1/queues/{name}/resume", "resumeQueue", |state, request, _| {
            Box::pin(async move { api::resume(&state, &request, part(&request, "name")).await })
        })
        .says(
            "Let a paused queue go on",
            "Whoever has paused it. What has crashed before counts no more: only further crashes can pause it again.",
        )
        .parameter("path", "name", "The queue's name.", json!({ "type": "string" }))
        .answer(200, "The queue.", Named("QueueView"))
        .problems(&[Kind::NotFound]),
        Route::post("/api/v1/queues/{name}/limit", "limitQueue", |state, request, payload| {
            Box::pin(async move { api::limit(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Limit a queue",
            "At most so many of its jobs, and of those with the same key, are with all nodes together, and are claimed in a \
             time. What is missing stays as it is, `null` takes a limit away. What is claimed already goes on.",
        )
        .parameter("path", "name", "The queue's name.", json!({ "type": "string" }))
        .body(Named("QueueLimits"), json!({ "max_running": 5, "rate": "100/1m", "max_running_per_key": null }))
        .answer(200, "The queue.", Named("QueueView"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::Invalid]),
        Route::post("/api/v1/queues/{name}/labels", "labelQueue", |state, request, payload| {
            Box::pin(async move { api::label(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Say what a node must have for a queue",
            "Its jobs are claimed only by nodes that have all of these labels, with these values; none: by any. What is \
             claimed already goes on.",
        )
        .parameter("path", "name", "The queue's name.", json!({ "type": "string" }))
        .body(Named("QueueLabels"), json!({ "labels": { "gpu": "yes" } }))
        .answer(200, "The queue.", Named("QueueView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/edges", "listEdges", |state, _, _| {
            Box::pin(async move { edges::list(&state).await })
        })
        .says(
            "The edges and how they are",
            "Services outside that jobs need: those that were ever tripped, and those that job types need which are \
             handled here.",
        )
        .answer(200, "The edges.", ListOf("EdgeView")),
        Route::put("/api/v1/edges/{name}", "putEdge", |state, request, payload| {
            Box::pin(async move { edges::put(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Trip an edge, or make it ready",
            "While it is tripped, no job that needs it is started, on any node; attempts are not spent. What runs goes on. \
             With `for_ms` it counts as ready by itself after that time.",
        )
        .parameter("path", "name", "The edge's name.", json!({ "type": "string", "pattern": JOB_TYPE_PATTERN }))
        .body(Named("PutEdge"), json!({ "state": "tripped", "reason": "maintenance", "for_ms": 600_000 }))
        .answer(200, "The edge.", Named("EdgeView"))
        .problems(&[Kind::Invalid]),
        Route::get("/api/v1/job-types", "listJobTypes", |state, _, _| {
            Box::pin(async move { api::job_types(&state).await })
        })
        .says("The job types that are handled here", "With the schemas of their payloads and results.")
        .answer(200, "The job types.", ListOf("JobTypeView")),
        Route::get("/api/v1/tree", "getTree", |state, _, _| Box::pin(async move { api::tree(&state).await }))
            .says("The supervision tree", "As it is now: states, restarts, mailboxes, last crashes.")
            .answer(200, "Its root.", Named("TreeNode")),
        Route::get("/api/v1/stats", "getTotals", |state, _, _| {
            Box::pin(async move { api::stats(&state).await })
        })
        .says("Totals of finished jobs", "")
        .answer(200, "The totals.", Named("Totals")),
        Route::get("/api/v1/live", "isLive", |state, _, _| Box::pin(async move { Ok(api::live(&state)) }))
            .open()
            .says("Whether the process lives", "Asked without a token.")
            .answer(200, "It does.", Object),
        Route::get("/api/v1/ready", "isReady", |state, _, _| Box::pin(async move { Ok(api::ready(&state)) }))
            .open()
            .says("Whether everything works", "Asked without a token.")
            .answer(200, "It does.", Named("Readiness"))
            .answer(503, "It does not, and why.", Named("Readiness")),
    ]
    .into_iter()
    .map(|route| route.tag("Seeing"))
    .collect()
}

fn cron_table() -> Vec<Route> {
    let name = || json!({ "type": "string", "pattern": JOB_TYPE_PATTERN });
    vec![
        Route::get("/api/v1/cron", "listCron", |state, _, _| {
            Box::pin(async move { cron::list(&state).await })
        })
        .says(
            "The cron table",
            "Its entries by name: when each stores a job, in words and with its next times, and what became of its last ones.",
        )
        .answer(200, "The entries.", ListOf("CronView")),
        Route::get("/api/v1/cron/preview", "previewCron", |state, request, _| {
            Box::pin(async move { cron::preview(&state, &request).await })
        })
        .says("What a cron expression means", "In words, and by its next times. Nothing is stored.")
        .parameter("query", "expression", "The expression.", json!({ "type": "string", "example": "30 2 * * MON-FRI" }))
        .required()
        .parameter("query", "time_zone", "The IANA name of its time zone.", json!({
            "type": "string", "default": "UTC", "example": "Europe/Berlin",
        }))
        .parameter("query", "count", "Next times that are given.", json!({
            "type": "integer", "minimum": 1, "maximum": 100, "default": 5,
        }))
        .answer(200, "What it means.", Named("CronPreview"))
        .problems(&[Kind::Malformed, Kind::Invalid]),
        Route::get("/api/v1/cron/{name}", "getCron", |state, request, _| {
            Box::pin(async move { cron::find(&state, part(&request, "name")).await })
        })
        .says("An entry of the cron table", "")
        .parameter("path", "name", "The entry's name.", name())
        .answer(200, "The entry.", Named("CronView"))
        .problems(&[Kind::NotFound]),
        Route::put("/api/v1/cron/{name}", "putCron", |state, request, payload| {
            Box::pin(async move { cron::put(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Make or change an entry of the cron table",
            "From now on it stores a job at its times, one for each, whichever node leads. Changed, it waits on for the time \
             that it was waiting for, unless its times are others. An entry of the configuration is not changed.",
        )
        .parameter("path", "name", "The entry's name.", name())
        .body(
            Named("CronDefinition"),
            json!({
                "expression": "30 2 * * MON-FRI", "time_zone": "Europe/Berlin",
                "job": { "type": "sleep", "payload": { "ms": 250 } }, "overlap": "skip", "backfill": "last",
            }),
        )
        .answer(200, "The entry.", Named("CronView"))
        .problems(&[Kind::Malformed, Kind::Invalid, Kind::UnknownType, Kind::Held]),
        Route::delete("/api/v1/cron/{name}", "deleteCron", |state, request, _| {
            Box::pin(async move { cron::delete(&state, &request, part(&request, "name")).await })
        })
        .says("Take an entry out of the cron table", "Its jobs stay. An entry of the configuration stays, too.")
        .parameter("path", "name", "The entry's name.", name())
        .answer(200, "It is gone.", Object)
        .problems(&[Kind::NotFound, Kind::Held]),
        Route::post("/api/v1/cron/{name}/pause", "pauseCron", |state, request, _| {
            Box::pin(async move { cron::pause(&state, &request, part(&request, "name"), true).await })
        })
        .says(
            "Pause an entry of the cron table",
            "It stores no jobs until somebody lets it go on, also over restarts. Times that pass meanwhile are not made up for.",
        )
        .parameter("path", "name", "The entry's name.", name())
        .answer(200, "The entry.", Named("CronView"))
        .problems(&[Kind::NotFound]),
        Route::post("/api/v1/cron/{name}/resume", "resumeCron", |state, request, _| {
            Box::pin(async move { cron::pause(&state, &request, part(&request, "name"), false).await })
        })
        .says("Let a paused entry go on", "With its next time from now on.")
        .parameter("path", "name", "The entry's name.", name())
        .answer(200, "The entry.", Named("CronView"))
        .problems(&[Kind::NotFound, Kind::Held]),
        Route::post("/api/v1/cron/{name}/run", "runCron", |state, request, _| {
            Box::pin(async move { cron::run(&state, &request, part(&request, "name")).await })
        })
        .says(
            "Store a job of an entry now",
            "Whatever its times are, also while it is paused and while the job before runs. It goes on waiting for its next time.",
        )
        .parameter("path", "name", "The entry's name.", name())
        .answer(202, "The job is stored.", Named("CronRun"))
        .problems(&[Kind::NotFound, Kind::Invalid, Kind::BacklogFull, Kind::Held]),
    ]
    .into_iter()
    .map(|route| route.tag("Cron"))
    .collect()
}

fn fleet() -> Vec<Route> {
    let page = |most: &'static str| {
        (most, json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 }))
    };
    let (commands, entries) = (page("Commands at most."), page("Entries of one page at most."));
    vec![
        Route::get("/api/v1/nodes", "listNodes", |state, _, _| {
            Box::pin(async move { nodes::list(&state).await })
        })
        .says("The nodes and how they are", "Every process with an open session on the store.")
        .answer(200, "The nodes, by name.", ListOf("NodeView")),
        Route::get("/api/v1/nodes/{name}/tree", "getNodeTree", |state, request, _| {
            Box::pin(async move { nodes::tree(&state, &request, part(&request, "name")).await })
        })
        .says(
            "The supervision tree of a node",
            "The node is asked over the bus, at most once, and the answer is what it has then, without backtraces. The node that is \
             asked for its own tree needs no bus.",
        )
        .parameter("path", "name", "The node's name.", json!({ "type": "string" }))
        .parameter("query", "timeout_ms", "How long to wait for the node.", json!({
            "type": "integer", "minimum": 1, "maximum": 60_000, "default": 5_000,
        }))
        .answer(200, "Its root.", Named("TreeNode"))
        .problems(&[
            Kind::Malformed, Kind::NotFound, Kind::NodeRefused, Kind::NoBus, Kind::NodeAway, Kind::NodeTimeout,
        ]),
        Route::post("/api/v1/nodes/{name}/commands", "orderNode", |state, request, payload| {
            Box::pin(async move { nodes::order(&state, &request, payload, part(&request, "name")).await })
        })
        .says(
            "Tell a node to do something",
            "The command is kept in the store, and the node is woken. It carries it out once or, should it lose the word on \
             it, again; `GET /api/v1/commands/{id}` says what came of it. One that the node has not begun with while it was \
             valid is void. For `drain` and for restarts of what carries commands out, the outcome is said before it is done.",
        )
        .parameter("path", "name", "The node's name.", json!({ "type": "string" }))
        .body(Named("OrderNode"), json!({ "action": "restart_actor", "actor": "observers/metrics" }))
        .answer(202, "The command. `Location` says where it is.", Named("CommandView"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::Invalid]),
        Route::get("/api/v1/commands", "listCommands", |state, request, _| {
            Box::pin(async move { nodes::commands(&state, &request).await })
        })
        .says("What nodes were told", "Newest first.")
        .parameter("query", "limit", commands.0, commands.1)
        .answer(200, "The commands.", ListOf("CommandView"))
        .problems(&[Kind::Malformed]),
        Route::get("/api/v1/commands/{id}", "getCommand", |state, request, _| {
            Box::pin(async move { nodes::command(&state, part(&request, "id")).await })
        })
        .says("What a node was told, and what came of it", "")
        .parameter("path", "id", "The command's id.", uuid())
        .answer(200, "The command.", Named("CommandView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/settings", "getSettings", |state, _, _| {
            Box::pin(async move { settings_of_node::show(&state).await })
        })
        .says(
            "The settings of this node",
            "Every setting that it runs with and where it is set, with secrets masked; what its sources say now and needs a \
             restart; and what is wrong with them, if it could not take them when it read them last. Every node answers this, \
             for itself.",
        )
        .answer(200, "The settings.", Named("SettingsView")),
        Route::patch("/api/v1/settings", "changeSettings", |state, request, payload| {
            Box::pin(async move { settings_of_node::change(&state, &request, payload).await })
        })
        .says(
            "Change settings of this node while it runs",
            "An object of keys and values; `null` takes back what was set so. All of it is done, or nothing, and the whole \
             configuration is checked with it. It stands above the file and the environment until the node ends, and is \
             written nowhere. What needs a restart is refused. For another node there is the command `set`.",
        )
        .body(Named("SettingsPatch"), json!({ "retention.completed": "3d", "queues.default.concurrency": 5, "retention.events": null }))
        .answer(200, "What the node runs with from now on, and what waits for a restart.", Named("SettingsChanged"))
        .problems(&[Kind::Malformed, Kind::Invalid]),
        Route::get("/api/v1/audit", "listAudit", |state, request, _| {
            Box::pin(async move { nodes::audit(&state, &request).await })
        })
        .says(
            "Who has changed what",
            "Newest first, page by page: give `next_cursor` as `cursor` for the next one. Kept as long as \
             `retention.audit` says.",
        )
        .parameter("query", "limit", entries.0, entries.1)
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of the trail.", Named("AuditPage"))
        .problems(&[Kind::Malformed]),
    ]
    .into_iter()
    .map(|route| route.tag("Fleet"))
    .collect()
}

fn contract_routes() -> Vec<Route> {
    vec![
        Route::post("/jobs", "submitContractJob", |state, request, payload| {
            Box::pin(async move { contract::submit(&state, &request, payload).await })
        })
        .says("Submit a job, as contract job 1.0.0", "Once this is answered the job is stored durably.")
        .body(
            Named("ContractJob"),
            json!({
                "id": "01890a5d-ac96-774b-bcce-b302099a8057", "type": "noop", "status": "PENDING",
                "createdAt": "2026-01-01T00:00:00Z",
            }),
        )
        .answer(202, "It is stored.", Named("JobAccepted"))
        .problems(&JOB_PROBLEMS)
        .keyed(),
        Route::get("/jobs/recent", "recentJobs", |state, _, _| {
            Box::pin(async move { contract::recent_jobs(&state).await })
        })
        .says("The 10 newest jobs", "")
        .answer(200, "Newest first.", ListOf("RecentJob")),
        Route::get("/stats", "getContractTotals", |state, _, _| {
            Box::pin(async move { contract::stats(&state).await })
        })
        .says("Totals of finished jobs", "")
        .answer(200, "The totals.", Named("Totals")),
        Route::get("/events", "recentEvents", |state, request, _| {
            Box::pin(async move { contract::recent_events(&state, &request).await })
        })
        .says("The 50 newest events", "Those of event contract 1.0.0.")
        .parameter("query", "jobId", "Only those of this job.", json!({ "type": "string" }))
        .answer(200, "Newest first.", ListOf("EventEnvelope")),
        Route::get("/health", "health", |state, _, _| Box::pin(async move { Ok(contract::alive(&state)) }))
            .open()
            .says("Whether the process lives", "")
            .answer(200, "It does.", Object),
        Route::get("/readyz", "readyz", |state, _, _| Box::pin(async move { Ok(contract::alive(&state)) }))
            .open()
            .says("Whether the process lives", "")
            .answer(200, "It does.", Object),
        Route::get("/healthz", "healthz", |state, _, _| {
            Box::pin(async move { Ok(contract::healthz(&state)) })
        })
        .open()
        .says("Whether the store works", "")
        .answer(200, "It does.", Object)
        .answer(503, "It does not, and why.", Object),
        Route::get("/metrics", "metrics", |state, _, _| {
            Box::pin(async move { Ok(contract::metrics(&state)) })
        })
        .says("Numbers for Prometheus", "")
        .answer(200, "In its text format.", Text),
        Route::get("/proxy/alerts", "proxyAlerts", |state, _, _| {
            Box::pin(async move { Ok(state.proxy.alerts().await) })
        })
        .says("The Alertmanager's alerts", "Its answer to `/api/v2/alerts` is passed on, with its status.")
        .answer(200, "As the Alertmanager has them.", Anything)
        .answer(502, "It cannot be asked, and why.", Object)
        .answer(504, "It did not answer in time.", Object),
        Route::get("/proxy/targets", "proxyTargets", |state, _, _| {
            Box::pin(async move { Ok(state.proxy.targets().await) })
        })
        .says("Prometheus' targets", "Its answer to `/api/v1/targets` is passed on, with its status.")
        .answer(200, "As Prometheus has them.", Anything)
        .answer(502, "It cannot be asked, and why.", Object)
        .answer(504, "It did not answer in time.", Object),
        Route::get("/openapi.json", "openapi", |state, _, _| {
            Box::pin(async move { openapi::document(&state, &routes_at(state.port)).await })
        })
        .says("This document", "With the payloads of the job types that are handled here.")
        .answer(200, "OpenAPI 3.1.", Object),
    ]
    .into_iter()
    .map(|route| route.tag("Old contract"))
    .collect()
}
