//! The routes of workflows.

use serde_json::{Value, json};

use crate::{
    problem::Kind,
    route::{Route, Schema::*},
    routes::{TRACE_SAYS, part, traceparent, uuid},
    workflows,
};

fn example() -> Value {
    json!({
        "name": "word count",
        "steps": [
            { "name": "split", "type": "sleep", "payload": { "ms": 100 } },
            { "name": "left", "type": "sleep", "payload": { "ms": 250 }, "after": ["split"], "on_failure": "continue" },
            { "name": "right", "type": "sleep", "payload": { "ms": 250 }, "after": ["split"] },
            { "name": "collect", "type": "noop", "after": ["left", "right"] },
        ],
        "on_end": { "type": "noop" },
    })
}

pub(crate) fn workflows() -> Vec<Route> {
    let id = "The workflow's id.";
    let limit = |most: u32, default: u32| json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    vec![
        Route::post("/api/v1/workflows", "submitWorkflow", |state, request, payload| {
            Box::pin(async move { workflows::submit(&state, &request, payload).await })
        })
        .says(
            "Submit a workflow, or a batch",
            "Once this is answered, all of its steps are stored durably; if one of them cannot be, nothing is. A step's job \
             runs when the steps named in `after` have ended. A workflow whose steps wait for nothing is a batch; `on_end` \
             runs when all has ended, whichever way. The same workflow under the same id again changes nothing and is answered \
             with `duplicate`. 10000 steps at most, in a body of 16 times `web.max_body`.",
        )
        .parameter("header", crate::correlation::TRACEPARENT, TRACE_SAYS, traceparent())
        .body(Named("SubmitWorkflow"), example())
        .answer(202, "It is stored. `Location` says where it is.", Named("WorkflowSubmitted"))
        .problems(&[Kind::Invalid, Kind::WorkflowConflict, Kind::BacklogFull]),
        Route::get("/api/v1/workflows", "listWorkflows", |state, request, _| {
            Box::pin(async move { workflows::list(&state, &request).await })
        })
        .says("List workflows", "Newest first, page by page: give `next_cursor` as `cursor` for the next one.")
        .parameter("query", "state", "Only those in this state.", json!({ "$ref": "#/components/schemas/WorkflowState" }))
        .parameter("query", "name", "Only those that are called so.", json!({ "type": "string" }))
        .parameter("query", "limit", "Workflows of one page at most.", limit(1000, 50))
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of workflows.", Named("WorkflowList"))
        .problems(&[Kind::Malformed]),
        Route::get("/api/v1/workflows/{id}", "getWorkflow", |state, request, _| {
            Box::pin(async move { workflows::one(&state, part(&request, "id")).await })
        })
        .says("A workflow, and how many of its steps are where", "")
        .parameter("path", "id", id, uuid())
        .answer(200, "The workflow.", Named("WorkflowView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/workflows/{id}/steps", "listSteps", |state, request, _| {
            Box::pin(async move { workflows::steps(&state, &request, part(&request, "id")).await })
        })
        .says("The steps of a workflow", "In their order, page by page: give `next_cursor` as `cursor` for the next one.")
        .parameter("path", "id", id, uuid())
        .parameter("query", "state", "Only those in this state.", json!({ "$ref": "#/components/schemas/StepState" }))
        .parameter("query", "limit", "Steps of one page at most.", limit(1000, 50))
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of steps.", Named("StepList"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/workflows/{id}/graph", "getWorkflowGraph", |state, request, _| {
            Box::pin(async move { workflows::graph(&state, &request, part(&request, "id")).await })
        })
        .says(
            "A workflow as a graph",
            "As JSON, or as a Mermaid flowchart: by `format`, or by `Accept: text/vnd.mermaid`. Of a large one the first steps, \
             and `truncated`.",
        )
        .parameter("path", "id", id, uuid())
        .parameter("query", "format", "In which form.", json!({ "type": "string", "enum": ["json", "mermaid"] }))
        .parameter("query", "limit", "Steps at most.", limit(10_000, 1000))
        .answer(200, "The graph.", Named("WorkflowGraph"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::post("/api/v1/workflows/{id}/cancel", "cancelWorkflow", |state, request, _| {
            Box::pin(async move { workflows::cancel(&state, &request, part(&request, "id")).await })
        })
        .says(
            "Cancel a workflow",
            "What waits is cancelled at once; what runs is told to end, and the workflow is `cancelling` until it has. It can be \
             asked for again.",
        )
        .parameter("path", "id", id, uuid())
        .answer(200, "Its state now.", Named("WorkflowCancelled"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::WorkflowState]),
        Route::post("/api/v1/workflows/{id}/resume", "resumeWorkflow", |state, request, _| {
            Box::pin(async move { workflows::resume(&state, &request, part(&request, "id")).await })
        })
        .says(
            "Resume a workflow after a repair",
            "The jobs of steps that failed, or were cancelled, and that keep others from running, run again as new jobs; then \
             the workflow goes on from there.",
        )
        .parameter("path", "id", id, uuid())
        .answer(200, "How many steps run again.", Named("WorkflowResumed"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::WorkflowState]),
        Route::get("/api/v1/jobs/{id}/inputs", "getJobInputs", |state, request, _| {
            Box::pin(async move { workflows::inputs(&state, &request, part(&request, "id")).await })
        })
        .says(
            "What the steps before a job have come to",
            "For the job of a workflow's step: the steps that it waits for, with their results, page by page. For the job that \
             runs at a workflow's end: the workflow. A page ends after about 4 MiB of results.",
        )
        .parameter("path", "id", "The job's id.", uuid())
        .parameter("query", "limit", "Steps of one page at most.", limit(1000, 50))
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page of results.", Named("JobInputs"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
    ]
    .into_iter()
    .map(|route| route.tag("Workflows"))
    .collect()
}
