//! That whatever changes something leaves behind who did it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Operation, SAME_ORIGIN, bearer, encrypted, operations, server, sign_in, token, trail};
use crate::{
    server::{Answer, Server, eventually},
    terminal,
};

/// What the audit trail has of a route.
enum Trace {
    /// An entry of this action.
    Entry(&'static str),
    /// None, and why.
    None(&'static str),
}
use Trace::{Entry, None as Nothing};

const SUBMITS: &str =
    "a submission is in the log of events, with its time and its correlation id (docs/fleet.md)";

/// Every unsafe route. One that is not here fails the test: say here what the trail has of it.
const TRACES: [(&str, Trace); 30] = [
    ("POST /jobs", Nothing(SUBMITS)),
    ("POST /api/v1/jobs", Nothing(SUBMITS)),
    ("POST /api/v1/jobs/batch", Nothing(SUBMITS)),
    ("POST /api/v1/jobs/stream", Nothing(SUBMITS)),
    ("POST /api/v1/workflows", Nothing(SUBMITS)),
    ("POST /api/v1/jobs/lookup", Nothing("it reads: its question does not fit into a query")),
    ("POST /api/v1/jobs/{id}/cancel", Entry("job.cancel")),
    ("POST /api/v1/jobs/{id}/retry", Entry("job.retry")),
    ("POST /api/v1/jobs/{id}/signals", Entry("job.signal")),
    ("POST /api/v1/bulk", Entry("bulk.start")),
    ("POST /api/v1/bulk/{id}/stop", Entry("bulk.stop")),
    ("POST /api/v1/encryption/rotate", Entry("encryption.rotate")),
    ("POST /api/v1/workflows/{id}/cancel", Entry("workflow.cancel")),
    ("POST /api/v1/workflows/{id}/resume", Entry("workflow.resume")),
    ("PUT /api/v1/cron/{name}", Entry("cron.put")),
    ("DELETE /api/v1/cron/{name}", Entry("cron.delete")),
    ("POST /api/v1/cron/{name}/pause", Entry("cron.pause")),
    ("POST /api/v1/cron/{name}/resume", Entry("cron.resume")),
    ("POST /api/v1/cron/{name}/run", Entry("cron.run")),
    ("POST /api/v1/queues/{name}/pause", Entry("queue.pause")),
    ("POST /api/v1/queues/{name}/resume", Entry("queue.resume")),
    ("POST /api/v1/queues/{name}/limit", Entry("queue.limit")),
    ("POST /api/v1/queues/{name}/labels", Entry("queue.label")),
    ("PUT /api/v1/edges/{name}", Entry("edge.trip")),
    ("POST /api/v1/nodes/{name}/commands", Entry("node.restart_actor")),
    ("PATCH /api/v1/settings", Entry("setting.change")),
    ("POST /api/v1/session", Entry("session.begin")),
    ("DELETE /api/v1/session", Entry("session.end")),
    ("POST /api/v1/terminal/tickets", Nothing("it opens nothing yet: whoever shows it does, which is kept")),
    ("DELETE /api/v1/terminal/sessions/{id}", Entry("terminal.kill")),
];

/// Makes what a request is about, as the role admin by its token.
struct Setup<'s>(&'s Server);

impl Setup<'_> {
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let token = bearer("admin");
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let answer = self.0.request(method, path, &headers, &body.to_string());
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.json()
    }

    fn made(&self, path: &str, body: &Value) -> String {
        self.send("POST", path, body)["id"].as_str().expect("an id").to_owned()
    }

    /// A job that waits for a long time.
    fn waiting_job(&self) -> String {
        self.made("/api/v1/jobs", &json!({ "type": "noop", "scheduled_at": "2999-01-01T00:00:00Z" }))
    }

    fn finished_job(&self) -> String {
        let id = self.made("/api/v1/jobs", &json!({ "type": "noop" }));
        let (path, token) = (format!("/api/v1/jobs/{id}"), bearer("admin"));
        let state = || self.0.request("GET", &path, &[("Authorization", &token)], "").json()["state"].clone();
        eventually("the job is completed", || state() == "completed");
        id
    }

    fn workflow(&self) -> String {
        let step = json!({ "name": "a", "type": "noop", "scheduled_at": "2999-01-01T00:00:00Z" });
        self.made("/api/v1/workflows", &json!({ "steps": [step] }))
    }

    fn bulk(&self) -> String {
        self.made("/api/v1/bulk", &json!({ "action": "retry", "filter": { "state": ["discarded"] } }))
    }

    fn cron(&self) -> String {
        let entry = json!({ "expression": "@yearly", "job": { "type": "noop" } });
        self.send("PUT", "/api/v1/cron/nightly", &entry);
        "nightly".to_owned()
    }

    /// The path and the body of a request that does what the route is for. `turn` makes them others each time.
    fn request(&self, route: &str, operation: &Operation, turn: usize) -> (String, Value) {
        let example = operation.example.clone();
        let (part, body) = match route {
            "POST /api/v1/jobs/{id}/cancel" => (self.waiting_job(), json!({})),
            "POST /api/v1/jobs/{id}/retry" => (self.finished_job(), json!({})),
            // The example only looks at what would be done.
            "POST /api/v1/bulk" => {
                (String::new(), json!({ "action": "retry", "filter": { "state": ["discarded"] } }))
            }
            "POST /api/v1/jobs/{id}/signals" => (self.waiting_job(), example),
            "POST /api/v1/bulk/{id}/stop" => (self.bulk(), json!({})),
            path if path.starts_with("POST /api/v1/workflows/") => (self.workflow(), json!({})),
            path if path.contains("/api/v1/cron/") => (self.cron(), example),
            path if path.contains("/api/v1/queues/") => ("default".to_owned(), example),
            path if path.contains("/api/v1/nodes/") => ("here".to_owned(), example),
            path if path.contains("/api/v1/edges/") => {
                ("smtp".to_owned(), json!({ "state": "tripped", "reason": "it is moved" }))
            }
            path if path.contains("/terminal/sessions/") => {
                (terminal::session(self.0, &format!("/ws?auth={}", token("admin"))), json!({}))
            }
            "PATCH /api/v1/settings" => (String::new(), json!({ "queues.default.concurrency": 10 + turn })),
            "POST /api/v1/session" => (String::new(), json!({ "token": token("admin") })),
            _ => (String::new(), example),
        };
        (operation.path.replace("{id}", &part).replace("{name}", &part), body)
    }
}

/// The ids of the entries that are there.
fn known(server: &Server) -> BTreeSet<String> {
    trail(server).iter().map(|entry| entry["id"].to_string()).collect()
}

#[test]
fn whatever_changes_something_leaves_behind_who_has_done_it() {
    let folder = TempDir::new().expect("a folder");
    let more =
        format!("[web]\nsign_in_limit = 10000\n[system]\nnode_name = \"here\"\n{}", encrypted(&folder));
    let (_folder, server) = server(&more);
    let (setup, token) = (Setup(&server), bearer("admin"));
    let traces: BTreeMap<&str, &Trace> = TRACES.iter().map(|(route, trace)| (*route, trace)).collect();
    let operations = operations(&server);
    let unsafe_ones: Vec<&Operation> = operations.iter().filter(|operation| operation.is_unsafe()).collect();
    assert_eq!(unsafe_ones.len(), traces.len(), "routes that there are no more, or new ones");
    for operation in unsafe_ones {
        let route = format!("{} {}", operation.method, operation.path);
        let trace =
            traces.get(route.as_str()).unwrap_or_else(|| panic!("{route}: say in TRACES what is kept of it"));
        for turn in 0..2 {
            let (path, body) = setup.request(&route, operation, turn);
            let cookie = sign_in(&server, "admin");
            // Once by a token, and once by the cookie of a sign-in.
            let credential = if turn == 0 && !route.ends_with("/session") {
                ("Authorization", token.as_str())
            } else {
                ("Cookie", cookie.as_str())
            };
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            let before = known(&server);
            let headers = [credential, SAME_ORIGIN, ("Content-Type", operation.media.as_str())];
            let answer = server.request(&operation.method, &path, &headers, &body);
            assert!((200..300).contains(&answer.status) || answer.status == 409, "{route}: {answer:?}");
            check(&server, &route, trace, &before, &answer);
            if let Some((_, session)) = path.split_once("/terminal/sessions/") {
                // What follows is written a moment later, and is nothing of the next route's.
                let closed =
                    |entry: &Value| entry["action"] == "terminal.close" && entry["target"] == session;
                eventually("the session is closed", || trail(&server).iter().any(closed));
            }
        }
    }
}

fn check(server: &Server, route: &str, trace: &Trace, before: &BTreeSet<String>, answer: &Answer) {
    let new = || -> Vec<Value> {
        trail(server).into_iter().filter(|entry| !before.contains(&entry["id"].to_string())).collect()
    };
    let action = match trace {
        Nothing(why) => {
            assert!(!why.is_empty());
            assert_eq!(new(), Vec::<Value>::new(), "{route}: an entry that is not declared");
            return;
        }
        Entry(action) => action,
    };
    // Settings are written down a moment later.
    let mut found = Vec::new();
    eventually(&format!("{route} leaves {action}: {answer:?}"), || {
        found = new().into_iter().filter(|entry| entry["action"] == **action).collect();
        !found.is_empty()
    });
    let [entry] = found.as_slice() else { panic!("{route}: {found:?}") };
    assert_eq!((&entry["by"], &entry["role"]), (&"admin's".into(), &"admin".into()), "{route}: {entry}");
    assert_eq!(entry["node"], "here", "{route}: {entry}");
    assert!(entry["target"].as_str().is_some_and(|target| !target.is_empty()), "{route}: {entry}");
    assert!(entry["outcome"].as_str().is_some_and(|outcome| !outcome.is_empty()), "{route}: {entry}");
    assert!(entry["at"].is_string(), "{route}: {entry}");
}

#[test]
fn who_sees_secrets_is_kept_by_whatever_he_sees_them() {
    let (_folder, server) = server("");
    let setup = Setup(&server);
    let id = setup.waiting_job();
    let (token, cookie) = (bearer("admin"), sign_in(&server, "admin"));
    for credential in [("Authorization", token.as_str()), ("Cookie", cookie.as_str())] {
        let before = known(&server);
        let answer = server.request("GET", &format!("/api/v1/jobs/{id}?reveal=true"), &[credential], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let entries = trail(&server);
        let new = entries.iter().find(|entry| !before.contains(&entry["id"].to_string())).expect("an entry");
        let told = ["action", "by", "target"].map(|part| new[part].as_str().unwrap_or_default());
        assert_eq!(told, ["job.reveal", "admin's", &id]);
    }
    // Who may not see them is refused, and leaves nothing.
    let (before, operator) = (known(&server), bearer("operator"));
    let answer =
        server.request("GET", &format!("/api/v1/jobs/{id}?reveal=true"), &[("Authorization", &operator)], "");
    assert_eq!((answer.status, known(&server)), (403, before));
}
