//! The OpenAPI 3.1 document, made from the types.

use actix_web::HttpResponse;
use callboard_contracts::{
    ContractJob, EventEnvelope, JobAccepted,
    api::{
        Cancelled, JobDetail, JobList, JobTypeView, Problem, QueueView, Readiness, Retried, SubmitAnswer,
        SubmitJob, SubmitMany, Submitted, Totals, TreeNode,
    },
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::api::State;

#[derive(OpenApi)]
#[openapi(components(schemas(
    Cancelled,
    ContractJob,
    EventEnvelope,
    JobAccepted,
    JobDetail,
    JobList,
    JobTypeView,
    Problem,
    QueueView,
    Readiness,
    Retried,
    SubmitAnswer,
    SubmitJob,
    SubmitMany,
    Submitted,
    Totals,
    TreeNode
)))]
struct Schemas;

/// An operation: method, path, what it does, the schema of its body, the status and the schema of its answer.
type Operation = (&'static str, &'static str, &'static str, Option<&'static str>, u16, Option<&'static str>);

const OPERATIONS: [Operation; 24] = [
    ("post", "/jobs", "Submit a job (contract job 1.0.0).", Some("ContractJob"), 202, Some("JobAccepted")),
    ("get", "/jobs/recent", "The 10 newest jobs.", None, 200, None),
    ("get", "/stats", "Totals of finished jobs.", None, 200, Some("Totals")),
    ("get", "/events", "The 50 newest events, of all jobs or of `jobId`.", None, 200, None),
    ("get", "/health", "Whether the process lives.", None, 200, None),
    ("get", "/readyz", "Whether the process lives.", None, 200, None),
    ("get", "/healthz", "Whether the store works.", None, 200, None),
    ("get", "/metrics", "Numbers for Prometheus.", None, 200, None),
    ("get", "/openapi.json", "This document.", None, 200, None),
    ("post", "/api/v1/jobs", "Submit a job.", Some("SubmitJob"), 202, Some("Submitted")),
    (
        "get",
        "/api/v1/jobs",
        "List jobs, newest first (state, queue, type, limit, cursor).",
        None,
        200,
        Some("JobList"),
    ),
    (
        "post",
        "/api/v1/jobs/batch",
        "Submit many jobs, each by itself.",
        Some("SubmitMany"),
        200,
        Some("SubmitAnswer"),
    ),
    ("post", "/api/v1/jobs/lookup", "Look up to 1000 jobs up by `ids`.", None, 200, Some("JobList")),
    ("get", "/api/v1/jobs/{id}", "A job with its attempts.", None, 200, Some("JobDetail")),
    ("post", "/api/v1/jobs/{id}/cancel", "Call a job off.", None, 200, Some("Cancelled")),
    (
        "post",
        "/api/v1/jobs/{id}/retry",
        "Run a waiting job now, or a finished one again.",
        None,
        200,
        Some("Retried"),
    ),
    ("get", "/api/v1/queues", "The queues and what they hold.", None, 200, None),
    ("get", "/api/v1/queues/{name}", "A queue and what it holds.", None, 200, Some("QueueView")),
    ("get", "/api/v1/job-types", "The job types that are handled here.", None, 200, None),
    ("get", "/api/v1/tree", "The supervision tree.", None, 200, Some("TreeNode")),
    ("get", "/api/v1/stats", "Totals of finished jobs.", None, 200, Some("Totals")),
    ("get", "/api/v1/live", "Whether the process lives.", None, 200, None),
    (
        "get",
        "/api/v1/ready",
        "Whether everything works; 503 with the reasons if not.",
        None,
        200,
        Some("Readiness"),
    ),
    ("get", "/api/v1/events", "Follow the events (server-sent; resume with Last-Event-ID).", None, 200, None),
];

pub(crate) fn document(state: &State) -> HttpResponse {
    HttpResponse::Ok().json(build(state.roles.version))
}

fn build(version: &str) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, summary, body, status, answer) in OPERATIONS {
        let media = if path.ends_with("/events") && path.starts_with("/api") {
            "text/event-stream"
        } else if path == "/metrics" {
            "text/plain"
        } else {
            "application/json"
        };
        let schema = answer.map_or_else(|| json!({}), reference);
        let mut responses = Map::new();
        responses.insert(
            status.to_string(),
            json!({ "description": summary, "content": { media: { "schema": schema } } }),
        );
        if path.starts_with("/api/") {
            responses.insert(
                "default".to_owned(),
                json!({
                    "description": "Why it was not done.",
                    "content": { "application/problem+json": { "schema": reference("Problem") } },
                }),
            );
        }
        let mut operation = json!({ "summary": summary, "responses": responses });
        if let Some(body) = body {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } });
        }
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        operation["parameters"] = Value::Array(parameters);
        paths.entry(path).or_insert_with(|| json!({}))[method] = operation;
    }
    let mut components = serde_json::to_value(Schemas::openapi()).unwrap_or_default()["components"].take();
    components["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Callboard", "version": version },
        "paths": paths,
        "components": components,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_its_schema() {
        let document = build("0.0.0");
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), 23);
    }
}
