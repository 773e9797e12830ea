//! Every route of the table, with everything that a request can come with.

use std::collections::BTreeMap;

use super::{Operation, ROLES, SAME_ORIGIN, bearer, operations, server, sign_in};
use crate::server::{Answer, Server};

/// What each route is to need. A route that is not here fails the test: say here who may use it.
const EXPECTED: [(&str, &[&str]); 4] = [
    (
        "none",
        &[
            "GET /health",
            "GET /healthz",
            "GET /readyz",
            "GET /api/v1/live",
            "GET /api/v1/ready",
            "POST /api/v1/session",
        ],
    ),
    (
        "viewer",
        &[
            "GET /api/v1/jobs",
            "POST /api/v1/jobs/lookup",
            "GET /api/v1/jobs/{id}",
            "GET /api/v1/jobs/{id}/logs",
            "GET /api/v1/jobs/{id}/logs/stream",
            "GET /api/v1/jobs/{id}/signals",
            "GET /api/v1/jobs/{id}/state",
            "GET /api/v1/dead-jobs/causes",
            "GET /api/v1/jobs/{id}/compare",
            "GET /api/v1/bulk",
            "GET /api/v1/bulk/{id}",
            "GET /api/v1/encryption",
            "GET /api/v1/workflows",
            "GET /api/v1/workflows/{id}",
            "GET /api/v1/workflows/{id}/steps",
            "GET /api/v1/workflows/{id}/graph",
            "GET /api/v1/jobs/{id}/inputs",
            "GET /api/v1/events",
            "GET /api/v1/cron",
            "GET /api/v1/cron/preview",
            "GET /api/v1/cron/{name}",
            "GET /api/v1/queues",
            "GET /api/v1/queues/{name}",
            "GET /api/v1/edges",
            "GET /api/v1/job-types",
            "GET /api/v1/tree",
            "GET /api/v1/stats",
            "GET /api/v1/nodes",
            "GET /api/v1/nodes/{name}/tree",
            "GET /api/v1/commands",
            "GET /api/v1/commands/{id}",
            "GET /api/v1/settings",
            "GET /api/v1/audit",
            "GET /jobs/recent",
            "GET /stats",
            "GET /events",
            "GET /metrics",
            "GET /proxy/alerts",
            "GET /proxy/targets",
            "GET /openapi.json",
            "GET /api/v1/session",
            "GET /api/v1/overview",
            "GET /api/v1/series",
            "GET /api/v1/feed",
            "GET /api/v1/interfaces",
            "DELETE /api/v1/session",
            "POST /api/v1/terminal/tickets",
            "GET /api/v1/terminal/sessions",
        ],
    ),
    (
        "operator",
        &[
            "POST /api/v1/jobs",
            "POST /api/v1/jobs/batch",
            "POST /api/v1/jobs/stream",
            "POST /api/v1/jobs/{id}/cancel",
            "POST /api/v1/jobs/{id}/retry",
            "POST /api/v1/jobs/{id}/signals",
            "POST /api/v1/bulk",
            "POST /api/v1/bulk/{id}/stop",
            "POST /api/v1/workflows",
            "POST /api/v1/workflows/{id}/cancel",
            "POST /api/v1/workflows/{id}/resume",
            "PUT /api/v1/cron/{name}",
            "DELETE /api/v1/cron/{name}",
            "POST /api/v1/cron/{name}/pause",
            "POST /api/v1/cron/{name}/resume",
            "POST /api/v1/cron/{name}/run",
            "POST /api/v1/queues/{name}/pause",
            "POST /api/v1/queues/{name}/resume",
            "POST /api/v1/queues/{name}/limit",
            "POST /api/v1/queues/{name}/labels",
            "PUT /api/v1/edges/{name}",
            "POST /api/v1/nodes/{name}/commands",
            "PATCH /api/v1/settings",
            "POST /jobs",
        ],
    ),
    ("admin", &["POST /api/v1/encryption/rotate", "DELETE /api/v1/terminal/sessions/{id}"]),
];

/// What the guard makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// 401.
    Unknown,
    /// 403, because of the role.
    TooLow,
    /// The route itself answers, whatever it says.
    Passes,
}

fn verdict(answer: &Answer) -> Verdict {
    match answer.status {
        401 => Verdict::Unknown,
        403 if answer.body.contains("this token has the role") => Verdict::TooLow,
        0 => panic!("no answer"),
        _ => Verdict::Passes,
    }
}

fn expected() -> BTreeMap<String, &'static str> {
    let rows =
        EXPECTED.iter().flat_map(|(role, routes)| routes.iter().map(|route| ((*route).to_owned(), *role)));
    rows.collect()
}

#[test]
fn each_route_lets_through_whom_it_is_for_and_nobody_else() {
    let (_folder, server) = server("[web]\nsign_in_limit = 10000");
    let operations = operations(&server);
    let declared: BTreeMap<String, String> = operations
        .iter()
        .map(|operation| (format!("{} {}", operation.method, operation.path), operation.role.clone()))
        .collect();
    let expected = expected();
    for (route, role) in &declared {
        assert_eq!(
            expected.get(route).copied(),
            Some(role.as_str()),
            "{route}: say in EXPECTED who may use it"
        );
    }
    assert_eq!(expected.len(), declared.len(), "routes that there are no more");
    let cookies = ROLES.map(|role| sign_in(&server, role));
    for operation in &operations {
        check(&server, operation, &cookies);
    }
}

fn check(server: &Server, operation: &Operation, cookies: &[String; 3]) {
    let route = format!("{} {}", operation.method, operation.path);
    let needed = ROLES.iter().position(|role| *role == operation.role);
    let nobody = if needed.is_none() { Verdict::Passes } else { Verdict::Unknown };
    let wrong = [
        vec![],
        vec![("Authorization", "Bearer wrong")],
        vec![("Authorization", "Basic dmlld2VyOng=")],
        vec![("Cookie", "callboard_session=wrong"), SAME_ORIGIN],
        // A token that is wrong stands above a cookie that is right.
        vec![("Authorization", "Bearer wrong"), ("Cookie", cookies[2].as_str()), SAME_ORIGIN],
    ];
    for headers in wrong {
        let answer = operation.send(server, &headers);
        assert_eq!(verdict(&answer), nobody, "{route} with {headers:?}: {answer:?}");
    }
    for (level, role) in ROLES.iter().enumerate() {
        let expected =
            if needed.is_none_or(|needed| level >= needed) { Verdict::Passes } else { Verdict::TooLow };
        let token = bearer(role);
        let answer = operation.send(server, &[("Authorization", &token)]);
        assert_eq!(verdict(&answer), expected, "{route} as {role} by token: {answer:?}");
        // One that signs out is used up by that.
        let signs_out = operation.path == "/api/v1/session" && operation.method == "DELETE";
        let own = signs_out.then(|| sign_in(server, role));
        let cookie = own.as_ref().unwrap_or(&cookies[level]);
        let answer = operation.send(server, &[("Cookie", cookie), SAME_ORIGIN]);
        assert_eq!(verdict(&answer), expected, "{route} as {role} by cookie: {answer:?}");
    }
}

#[test]
fn a_path_that_is_spelled_otherwise_needs_the_same_role() {
    let (_folder, server) = server("");
    let token = bearer("operator");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    for path in ["/api/v1/encryption/rotate", "/api/v1/encryption/rotat%65", "/api/v1/%65ncryption/rotate"] {
        let answer = server.request("POST", path, &headers, "{}");
        assert_eq!(verdict(&answer), Verdict::TooLow, "{path}: {answer:?}");
    }
    for path in ["/%68ealth", "/api/v1/%6Cive"] {
        let status = server.get(path).status;
        assert!([401, 404].contains(&status), "{path}: {status}");
    }
}
