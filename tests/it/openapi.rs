//! The OpenAPI document against the server that gives it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::server::{Options, Server};

/// Operations with a request each: what the document says must be what the server does.
#[test]
fn every_operation_is_answered_as_the_document_says() {
    // Whatever has a name in a path has this one.
    let server = Server::start(&Options::arguments(&["--set", "system.node_name=default"]));
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let submitted = server.post("/api/v1/jobs", r#"{"type":"noop"}"#).json();
    let id = submitted["id"].as_str().expect("an id");
    let told = server.post("/api/v1/nodes/default/commands", r#"{"action":"resume"}"#).json();
    let command = told["id"].as_str().expect("an id");
    let workflow = r#"{"steps":[{"name":"a","type":"noop"}]}"#;
    let workflow =
        server.post("/api/v1/workflows", workflow).json()["id"].as_str().expect("an id").to_owned();
    let step = server.get(&format!("/api/v1/workflows/{workflow}/steps")).json()["steps"][0]["job"].clone();
    let step = step.as_str().expect("a job");
    let bulk = r#"{"action":"retry","filter":{"state":["discarded"]}}"#;
    let bulk = server.post("/api/v1/bulk", bulk).json();
    let bulk = bulk["id"].as_str().expect("an id");
    let terminal = crate::terminal::session(&server, "/ws");
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        let id = match path.as_str() {
            "/api/v1/jobs/{id}/inputs" => step,
            path if path.starts_with("/api/v1/commands") => command,
            path if path.starts_with("/api/v1/workflows") => &workflow,
            path if path.starts_with("/api/v1/bulk") => bulk,
            path if path.starts_with("/api/v1/terminal") => &terminal,
            _ => id,
        };
        let real = path.replace("{id}", id).replace("{name}", "default");
        for (method, operation) in operations.as_object().expect("operations") {
            // Streams have no end; they have tests of their own.
            if ["/api/v1/events", "/api/v1/feed"].contains(&path.as_str()) {
                continue;
            }
            let query = required(operation);
            let responses = &operation["responses"];
            let bodies = operation["requestBody"]["content"].as_object().unwrap_or(&empty);
            let requests: Vec<(&str, String)> = match method.as_str() {
                "get" => vec![("", String::new())],
                _ if bodies.is_empty() => vec![("application/json", "{}".to_owned())],
                _ => bodies.iter().map(|(media, body)| (media.as_str(), text(&body["example"]))).collect(),
            };
            for (media, body) in requests {
                let headers = [("Content-Type", media)];
                let headers = if media.is_empty() { &[] } else { &headers[..] };
                if path.starts_with("/api/v1/cron/{name}") {
                    // One of the operations takes it out.
                    put_cron(&server);
                }
                let answer =
                    server.request(&method.to_uppercase(), &format!("{real}{query}"), headers, &body);
                let described = &responses[answer.status.to_string()];
                assert!(described.is_object(), "{method} {path}: {answer:?} is not described");
                assert!(![404, 405, 400, 415, 422].contains(&answer.status), "{method} {path}: {answer:?}");
                if answer.status == 204 {
                    assert!(answer.body.is_empty() && described["content"].is_null(), "{path}: {answer:?}");
                    continue;
                }
                let said = answer.header("content-type").unwrap_or_default();
                let known = described["content"].as_object().expect("media").keys();
                assert!(known.clone().any(|media| said.starts_with(media.as_str())), "{path}: {said}");
                if said == "application/x-ndjson" {
                    let schema = &described["content"]["application/x-ndjson"]["schema"]["contentSchema"];
                    let lines: Vec<&str> = answer.body.lines().collect();
                    assert_eq!(lines.len(), body.lines().count(), "{path}: {answer:?}");
                    for line in lines {
                        fits(&document, schema, &serde_json::from_str(line).expect("JSON"), path);
                    }
                } else if answer.status < 300 && !said.starts_with("text/") {
                    fits(
                        &document,
                        &described["content"]["application/json"]["schema"],
                        &answer.json(),
                        path,
                    );
                }
            }
        }
    }
    // What is not in the document is not there.
    for path in ["/api/v1", "/api/v1/", "/api/v1/jobs/", "/api/v2/jobs", "/openapi.yaml", "/"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

/// An entry of the cron table, `default`.
fn put_cron(server: &Server) {
    let body = r#"{"expression":"@yearly","job":{"type":"noop"}}"#;
    let headers = [("Content-Type", "application/json")];
    let answer = server.request("PUT", "/api/v1/cron/default", &headers, body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The query that an operation must have.
fn required(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    let one = |parameter: &Value| {
        let example = text(&parameter["schema"]["example"]).replace(' ', "+");
        format!("{}={example}", text(&parameter["name"]))
    };
    let query: Vec<String> = query.map(one).collect();
    if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
}

fn text(example: &Value) -> String {
    example.as_str().map_or_else(|| example.to_string(), str::to_owned)
}

fn fits(document: &Value, schema: &Value, answer: &Value, path: &str) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    if let Err(error) = validator.validate(answer) {
        panic!("{path}: {error} at {}: {answer}", error.instance_path());
    }
}

#[test]
fn the_payloads_of_job_types_are_in_the_document() {
    let server = Server::start(&Options::default());
    let document = server.get("/openapi.json").json();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Payload.sleep"]["properties"]["ms"]["type"], "integer");
    let mut submit = json!({ "$ref": "#/components/schemas/SubmitJob" });
    submit["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&submit).expect("a schema");
    assert!(validator.is_valid(&json!({ "type": "command", "payload": { "program": "ls" } })));
    assert!(!validator.is_valid(&json!({ "type": "command", "payload": { "program": 1 } })));
}

#[test]
fn the_forms_of_job_types_have_the_fields_of_their_schemas() {
    let server = Server::start(&Options::default());
    let document = server.get("/openapi.json").json();
    let types = server.get("/api/v1/job-types").json();
    let types = types.as_array().expect("a list");
    assert_eq!(types.len(), 4);
    for job_type in types {
        let name = job_type["type"].as_str().expect("a name");
        let in_document = &document["components"]["schemas"][format!("Payload.{name}")];
        let properties = in_document["properties"].as_object();
        let properties: BTreeSet<&str> =
            properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let fields = job_type["form"]["fields"].as_array().expect("fields");
        let pointers: Vec<&str> =
            fields.iter().map(|field| field["pointer"].as_str().expect("a pointer")).collect();
        let asked: BTreeSet<&str> = pointers.iter().filter_map(|pointer| pointer.split('/').nth(1)).collect();
        assert_eq!(asked, properties, "{name}");
        let required: BTreeSet<&str> =
            in_document["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let first = |field: &Value| {
            field["pointer"].as_str().and_then(|pointer| pointer.split('/').nth(1)).map(str::to_owned)
        };
        let needed: BTreeSet<String> =
            fields.iter().filter(|field| field["required"] == true).filter_map(first).collect();
        assert_eq!(needed.iter().map(String::as_str).collect::<BTreeSet<_>>(), required, "{name}");
        fits(&document, &json!({ "$ref": "#/components/schemas/Form" }), &job_type["form"], name);
    }
}
