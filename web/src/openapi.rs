//! The OpenAPI 3.1 document, made from the routes and the types.

use actix_web::HttpResponse;
use callboard_actors::roles::request::GetJobTypes;
use callboard_contracts::{
    ContractJob, EventEnvelope, JobAccepted, JobState,
    api::{
        AuditPage, AuditView, BulkPreview, BulkView, Cancelled, CommandView, CronDefinition, CronPreview,
        CronRun, CronView, DeadCauseList, EdgeChanges, EdgeView, EncryptionRotated, EncryptionStatus,
        EventRecord, FeedTopic, Form, FormControl, FormField, InterfaceView, JobChanges, JobComparison,
        JobDetail, JobInputs, JobList, JobLogEnd, JobLogLine, JobLogPage, JobStateView, JobTypeView,
        NewTerminalTicket, NodeChanges, NodeView, OnFailure, OrderNode, Overview, PauseCause, PauseRequest,
        Problem, PutEdge, QueueChanges, QueueCrash, QueueCrashes, QueueLabels, QueueLimits, QueuePause,
        QueueView, Readiness, Retried, RetryEdit, RetryView, RotateEncryption, SendSignal, Series,
        SessionView, SettingChange, SettingView, SettingsChanged, SettingsView, SignIn, SignalList,
        SignalSent, StartBulk, StepList, StepResult, StepState, StepView, SubmitAnswer, SubmitJob,
        SubmitMany, SubmitWorkflow, Submitted, SubmittedItem, TerminalSessionView, TerminalTicket, Totals,
        TreeChanges, TreeEntry, TreeNode, WorkflowCancelled, WorkflowGraph, WorkflowList, WorkflowResumed,
        WorkflowState, WorkflowStep, WorkflowSubmitted, WorkflowView,
    },
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::{
    api::{LookUp, State},
    contract::RecentJob,
    idempotency::REPLAYED,
    problem::{ContractProblem, Kind, Trouble},
    route::{Body, Parameter, Route, Schema},
    session,
    settings::Role,
    settings_of_node,
};

#[derive(OpenApi)]
#[openapi(components(schemas(
    AuditPage,
    AuditView,
    BulkPreview,
    BulkView,
    CommandView,
    DeadCauseList,
    JobComparison,
    RetryEdit,
    StartBulk,
    NewTerminalTicket,
    NodeView,
    OrderNode,
    QueueLabels,
    PauseCause,
    PauseRequest,
    QueueCrash,
    QueueCrashes,
    QueuePause,
    Cancelled,
    ContractJob,
    ContractProblem,
    CronDefinition,
    CronPreview,
    CronRun,
    CronView,
    EdgeView,
    EncryptionRotated,
    EncryptionStatus,
    RotateEncryption,
    EventEnvelope,
    EventRecord,
    Form,
    FormControl,
    FormField,
    JobAccepted,
    JobDetail,
    JobLogEnd,
    JobLogLine,
    JobLogPage,
    JobStateView,
    SendSignal,
    SessionView,
    SignIn,
    SignalList,
    SignalSent,
    JobList,
    JobState,
    JobTypeView,
    RetryView,
    LookUp,
    Problem,
    PutEdge,
    QueueLimits,
    QueueView,
    Readiness,
    RecentJob,
    Retried,
    SettingChange,
    SettingView,
    SettingsChanged,
    SettingsView,
    SubmitAnswer,
    SubmitJob,
    SubmitMany,
    Submitted,
    SubmittedItem,
    TerminalSessionView,
    TerminalTicket,
    Totals,
    TreeNode,
    EdgeChanges,
    FeedTopic,
    InterfaceView,
    JobChanges,
    NodeChanges,
    Overview,
    QueueChanges,
    Series,
    TreeChanges,
    TreeEntry,
    JobInputs,
    OnFailure,
    StepList,
    StepResult,
    StepState,
    StepView,
    SubmitWorkflow,
    WorkflowCancelled,
    WorkflowGraph,
    WorkflowList,
    WorkflowResumed,
    WorkflowState,
    WorkflowStep,
    WorkflowSubmitted,
    WorkflowView
)))]
struct Schemas;

/// Where schemas are.
const COMPONENTS: &str = "#/components/schemas/";

pub(crate) async fn document(state: &State, routes: &[Route]) -> Result<HttpResponse, Trouble> {
    let job_types = state.ask(&state.roles.get_job_types, GetJobTypes).await?;
    Ok(HttpResponse::Ok().json(build(state.roles.version, routes, &job_types)))
}

/// The document.
pub(crate) fn build(version: &str, routes: &[Route], job_types: &[JobTypeView]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_insert_with(|| json!({}))[method] = operation(route);
    }
    let mut components = serde_json::to_value(Schemas::openapi()).unwrap_or_default()["components"].take();
    components["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer" },
        "session": {
            "type": "apiKey", "in": "cookie", "name": session::cookie::NAME,
            "description": "What signing in gives a browser, for this server's own pages. With `web.https` its name begins with `__Host-`.",
        },
    });
    components["schemas"]["SettingsPatch"] = settings_of_node::schema();
    payloads(&mut components["schemas"], job_types);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Callboard",
            "version": version,
            "description": "Supervised actors, and a job system that runs on them.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "tags": tags(routes),
        "paths": paths,
        "components": components,
    })
}

/// The groups of routes, in the order in which they are described.
fn tags(routes: &[Route]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for route in routes {
        if !names.contains(&route.tag) {
            names.push(route.tag);
        }
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(route),
        // With no token configured none is needed.
        "security": match route.needs {
            None => json!([]),
            Some(_) => json!([{ "token": [] }, { "session": [] }, {}]),
        },
        "x-callboard-role": role(route),
    });
    if !route.description.is_empty() {
        operation["description"] = route.description.into();
    }
    if let Some(body) = &route.body {
        operation["requestBody"] = request_body(body);
    }
    operation
}

/// The lowest role that may, where tokens are configured.
pub(crate) fn role(route: &Route) -> &'static str {
    route.needs.map_or("none", Role::as_str)
}

fn parameter(parameter: &Parameter) -> Value {
    let mut described = json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": parameter.schema,
    });
    if parameter.schema["type"] == "array" {
        described["style"] = "form".into();
        described["explode"] = false.into();
    }
    described
}

fn request_body(body: &Body) -> Value {
    let mut content = json!({});
    if let Some((json, example)) = &body.json {
        content["application/json"] = json!({ "schema": schema(*json), "example": example });
    }
    if let Some(line) = body.lines {
        content["application/x-ndjson"] = json!({
            "schema": lines(line),
            "example": "{\"type\":\"noop\"}\n{\"type\":\"sleep\",\"payload\":{\"ms\":250}}\n",
        });
    }
    json!({ "required": body.required, "content": content })
}

fn lines(line: Schema) -> Value {
    json!({ "type": "string", "description": "One object a line.", "contentSchema": schema(line) })
}

fn schema(schema: Schema) -> Value {
    match schema {
        Schema::Named(name) => json!({ "$ref": format!("{COMPONENTS}{name}") }),
        Schema::ListOf(name) => {
            json!({ "type": "array", "items": { "$ref": format!("{COMPONENTS}{name}") } })
        }
        Schema::Object => json!({ "type": "object" }),
        Schema::Anything => json!({}),
        Schema::Text => json!({ "type": "string" }),
        Schema::Nothing => Value::Null,
    }
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for answer in &route.answers {
        let said = match answer.media {
            "application/x-ndjson" => lines(answer.schema),
            _ => schema(answer.schema),
        };
        let mut response = json!({ "description": answer.description });
        if !said.is_null() {
            response["content"] = json!({ answer.media: { "schema": said } });
        }
        if answer.description.contains("`Location`") {
            response["headers"]["Location"] = header("Where it is.");
        }
        if route.keyed {
            response["headers"][REPLAYED] =
                header("`true`: this answer was given before, under the same key.");
        }
        responses.insert(answer.status.to_string(), response);
    }
    let (media, problem) = if route.is_contract() {
        ("application/json", "ContractProblem")
    } else {
        ("application/problem+json", "Problem")
    };
    for kind in route.all_problems() {
        let status = kind.status(route.is_contract());
        let response = responses.entry(status.to_string()).or_insert_with(|| json!({ "description": "" }));
        let said = response["description"].as_str().unwrap_or_default();
        let said =
            if said.is_empty() { kind.title().to_owned() } else { format!("{said} · {}", kind.title()) };
        response["description"] = said.into();
        response["content"][media] = json!({ "schema": schema(Schema::Named(problem)) });
        if matches!(kind, Kind::BacklogFull | Kind::TooManyRequests | Kind::KeyUnderWay | Kind::Unavailable) {
            response["headers"] = json!({ "Retry-After": header("When to try again, in seconds.") });
        }
    }
    Value::Object(responses)
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

/// Adds the payloads of the job types, and says in `SubmitJob` which belongs to which.
fn payloads(schemas: &mut Value, job_types: &[JobTypeView]) {
    let mut choices = Vec::new();
    for job_type in job_types {
        let name = format!("Payload.{}", job_type.job_type);
        let mut payload = job_type.payload_schema.clone();
        if let Some(payload) = payload.as_object_mut() {
            payload.remove("$schema");
        }
        relocate(&mut payload, &format!("{COMPONENTS}{name}"));
        schemas[&name] = payload;
        choices.push(json!({
            "if": { "properties": { "type": { "const": job_type.job_type } } },
            "then": { "properties": { "payload": { "$ref": format!("{COMPONENTS}{name}") } } },
        }));
    }
    if !choices.is_empty() {
        schemas["SubmitJob"]["allOf"] = choices.into();
    }
}

/// References of a schema to itself, now that it is a part of a larger document.
fn relocate(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(reference) if name == "$ref" && reference.starts_with('#') => {
                        *reference = format!("{place}{}", &reference[1..]);
                    }
                    value => relocate(value, place),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, place)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use callboard_actors::jobs::{JobDefaults, JobRegistry, Sleep, command::CommandRequest};

    use super::*;
    use crate::routes::routes;

    /// The document with job types of which one has definitions of its own.
    fn document() -> Value {
        let registry =
            JobRegistry::builder().register::<Sleep>().register::<CommandRequest>().build().unwrap();
        build("0.0.0", &routes(), &registry.views(&JobDefaults::default()))
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.push(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 30);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn examples_fit_their_schemas_and_others_do_not() {
        let document = document();
        for route in routes() {
            let Some((json, example)) = route.body.as_ref().and_then(|body| body.json.as_ref()) else {
                continue;
            };
            let mut whole = schema(*json);
            whole["components"] = document["components"].clone();
            let validator = jsonschema::validator_for(&whole).unwrap();
            if let Err(error) = validator.validate(example) {
                panic!("{}: {error}", route.path);
            }
            assert!(!validator.is_valid(&json!({ "colour": "red" })), "{}", route.path);
        }
        let mut submit = schema(Schema::Named("SubmitJob"));
        submit["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&submit).unwrap();
        assert!(validator.is_valid(&json!({ "type": "sleep", "payload": { "ms": 1 } })));
        assert!(!validator.is_valid(&json!({ "type": "sleep", "payload": { "ms": "long" } })));
        assert!(!validator.is_valid(&json!({ "type": "command", "payload": {} })));
        assert!(validator.is_valid(&json!({ "type": "another", "payload": { "ms": "long" } })));
    }

    #[test]
    fn every_operation_says_what_it_needs_and_gives() {
        let mut ids = BTreeSet::new();
        for route in routes() {
            assert!(ids.insert(route.id), "{} is there twice", route.id);
            assert!(!route.tag.is_empty() && !route.summary.is_empty(), "{}", route.id);
            assert!(route.answers.iter().any(|answer| answer.status < 300), "{}", route.id);
            let named: BTreeSet<&str> =
                route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let described: BTreeSet<&str> = route
                .parameters
                .iter()
                .filter(|parameter| parameter.place == "path")
                .map(|parameter| parameter.name)
                .collect();
            assert_eq!(named, described, "{}", route.id);
        }
    }

    #[test]
    fn a_status_names_every_problem_that_has_it() {
        let document = document();
        let submit = &document["paths"]["/api/v1/jobs"]["post"]["responses"];
        let said = submit["422"]["description"].as_str().unwrap();
        assert_eq!(
            said,
            "The request does not fit its schema · Nobody handles this job type · Another request was made under this key"
        );
        assert!(submit["429"]["headers"]["Retry-After"].is_object());
        assert!(submit["422"]["content"]["application/problem+json"].is_object());
        // The old contract knows no 422.
        let old = &document["paths"]["/jobs"]["post"]["responses"];
        assert_eq!(old["422"]["description"], "Another request was made under this key");
        assert!(old["400"]["content"]["application/json"].is_object());
        assert_eq!(document["paths"]["/api/v1/ready"]["get"]["security"], json!([]));
    }
}
