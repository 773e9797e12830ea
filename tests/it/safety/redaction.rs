//! That nothing that is secret stands in any answer.

use std::io::{Read, Write};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{JSON, bearer, connect, encrypted, operations, server, sign_in, token, try_sign_in};
use crate::server::{Server, eventually};

/// What stands in the secret fields of jobs.
const OF_JOBS: &str = "hunter2-Zk4pWq8";
/// What stands in the configuration, each in another place.
const CONFIGURED: [&str; 4] =
    ["pass-counters-7Hx", "pass-archive-9Lm", "value-http-3Rt", "value-telemetry-6Vb"];

fn configuration(folder: &TempDir) -> String {
    let [counters, archive, http, telemetry] = CONFIGURED;
    format!(
        "[log]\nlevel = \"trace\"\n[system]\nnode_name = \"here\"\n{}\
         [counters]\nurl = \"redis://callboard:{counters}@127.0.0.1:1\"\n\
         [archive]\nurl = \"mongodb://callboard:{archive}@127.0.0.1:1/events\"\n\
         [telemetry]\nheaders = [{{ name = \"x-key\", value = \"{telemetry}\" }}]\n\
         [http]\nsecrets = [{{ name = \"api\", value = \"{http}\", origins = [\"https://api.example\"] }}]\n",
        encrypted(folder)
    )
}

struct Asker<'s> {
    server: &'s Server,
    token: String,
}

impl Asker<'_> {
    /// The whole answer, head and body, as text.
    fn ask(&self, method: &str, path: &str, body: &Value) -> String {
        let headers = [("Authorization", self.token.as_str()), JSON];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.server.request(method, path, &headers, &body);
        assert_ne!(answer.status, 0, "{method} {path}");
        format!("{} {:?}\n{}", answer.status, answer.headers, answer.body)
    }

    fn made(&self, path: &str, body: &Value) -> String {
        let answer = self.ask("POST", path, body);
        let found: Value =
            answer.split_once('\n').and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default();
        found["id"].as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
    }

    fn command(&self, program: &str) -> Value {
        json!({
            "type": "command", "max_attempts": 1,
            "payload": { "program": program, "stdin": OF_JOBS, "env": { "TOKEN": OF_JOBS } },
        })
    }

    fn ends(&self, id: &str, state: &str) {
        eventually(&format!("{id} is {state}"), || {
            self.ask("GET", &format!("/api/v1/jobs/{id}"), &Value::Null)
                .contains(&format!("\"state\":\"{state}\""))
        });
    }

    /// What a stream says until it has said this.
    fn stream(&self, path: &str, until: &str) -> String {
        let mut stream = connect(self.server);
        let (host, token) = (self.server.address, &self.token);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let (mut said, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&said).into_owned();
            if text.find(until).is_some_and(|at| text[at..].contains("\n\n")) {
                return text;
            }
            let count = stream.read(&mut part).unwrap_or(0);
            assert!(count > 0, "{path} ends before {until:?}: {text}");
            said.extend_from_slice(&part[..count]);
        }
    }
}

#[test]
fn no_route_shows_what_is_secret() {
    let folder = TempDir::new().expect("a folder");
    let (_folder, server) = server(&configuration(&folder));
    let asker = Asker { server: &server, token: bearer("admin") };
    let (done, dead) = (
        asker.made("/api/v1/jobs", &asker.command("sha256sum")),
        asker.made("/api/v1/jobs", &asker.command("false")),
    );
    asker.ends(&done, "completed");
    asker.ends(&dead, "discarded");
    let mut step = asker.command("sha256sum");
    step["name"] = "first".into();
    let second = json!({ "name": "second", "type": "noop", "after": ["first"] });
    let workflow = asker.made("/api/v1/workflows", &json!({ "steps": [step, second] }));
    let steps = format!("/api/v1/workflows/{workflow}/steps");
    eventually("the workflow has ended", || {
        asker.ask("GET", &steps, &Value::Null).matches("\"completed\"").count() == 2
    });
    let listed = asker.ask("GET", &steps, &Value::Null);
    let listed: Value = serde_json::from_str(listed.split_once('\n').expect("a body").1).expect("JSON");
    let second = listed["steps"][1]["job"].as_str().expect("a job").to_owned();
    let entry = json!({ "expression": "@yearly", "job": asker.command("sha256sum") });
    let mut said = vec![("the cron entry".to_owned(), asker.ask("PUT", "/api/v1/cron/nightly", &entry))];
    let bulk = asker.made(
        "/api/v1/bulk",
        &json!({ "action": "retry", "filter": { "state": ["discarded"], "type": "command" }, "patch": { "stdin": OF_JOBS } }),
    );
    let command = asker.made("/api/v1/nodes/here/commands", &json!({ "action": "resume" }));
    let cookie = sign_in(&server, "admin");
    let mut streams = 0;
    for operation in operations(&server) {
        let ids: &[&str] = match operation.path.as_str() {
            "/api/v1/jobs/{id}/inputs" => &[&second],
            path if path.starts_with("/api/v1/workflows/") => &[&workflow],
            path if path.starts_with("/api/v1/bulk/") => &[&bulk],
            path if path.starts_with("/api/v1/commands/") => &[&command],
            _ => &[&done, &dead],
        };
        let read = operation.method == "GET" || operation.path == "/api/v1/jobs/lookup";
        for id in ids.iter().filter(|_| read) {
            let name = match operation.path.as_str() {
                path if path.starts_with("/api/v1/cron") => "nightly",
                path if path.starts_with("/api/v1/nodes") => "here",
                _ => "default",
            };
            let path = operation.path.replace("{id}", id).replace("{name}", name);
            let answer = match operation.path.as_str() {
                "/api/v1/events" => {
                    streams += 1;
                    let last = asker.made("/api/v1/jobs", &json!({ "type": "noop" }));
                    asker.stream("/api/v1/events?cursor=1-0", &last)
                }
                "/api/v1/feed" => ["overview", "queues", "tree", "jobs", "nodes", "edges"]
                    .map(|topic| {
                        asker.stream(&format!("{path}?topics={topic}"), &format!("event: {topic}\n"))
                    })
                    .concat(),
                "/api/v1/jobs/lookup" => asker.ask("POST", &path, &json!({ "ids": [done, dead] })),
                _ => {
                    let answer = asker.ask("GET", &path, &Value::Null);
                    // A question that was not understood shows nothing by itself.
                    let asked = !answer.starts_with("404") || operation.path.contains("/edges/");
                    let needs_more = answer.starts_with("400") || answer.starts_with("422");
                    assert!(asked && (!needs_more || operation.path.contains("preview")), "{path}: {answer}");
                    answer
                }
            };
            said.push((path, answer));
        }
    }
    assert!(streams > 0 && said.len() > 60, "{} answers", said.len());
    let marked = said.iter().filter(|(_, answer)| answer.contains("$redacted")).count();
    assert!(marked >= 3, "what is secret is there, and hidden: {marked}");
    said.push(("the page of routes".to_owned(), asker.ask("GET", "/docs", &Value::Null)));
    // What is wrong is said without it, too.
    let wrong = [
        json!({ "type": "command", "payload": { "program": "sha256sum", "stdin": { "pin": OF_JOBS } } }),
        json!({ "type": "command", "payload": OF_JOBS }),
    ];
    for wrong in wrong {
        said.push(("a wrong job".to_owned(), asker.ask("POST", "/api/v1/jobs", &wrong)));
    }
    let settings = json!({ "counters.url": "redis://callboard:pass-counters-7Hx@127.0.0.1:2" });
    said.push(("a secret setting".to_owned(), asker.ask("PATCH", "/api/v1/settings", &settings)));
    let answer = try_sign_in(&server, "wrong-token-1Ps");
    said.push(("a wrong sign-in".to_owned(), format!("{answer:?}")));
    said.push(("the trail".to_owned(), asker.ask("GET", "/api/v1/audit?limit=1000", &Value::Null)));
    said.push(("the server's log".to_owned(), server.log()));
    let session = cookie.split_once('=').expect("a value").1.to_owned();
    let tokens = ["viewer", "operator", "admin"].map(token);
    let secrets = CONFIGURED.iter().copied().chain(tokens.iter().map(String::as_str));
    for secret in secrets.chain([OF_JOBS, &session, "wrong-token-1Ps"]) {
        for (from, text) in &said {
            assert!(!text.contains(secret), "{secret} in {from}");
        }
    }
}
