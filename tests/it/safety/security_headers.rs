//! What every answer tells browsers.

use super::{JSON, Operation, bearer, operations, server, try_sign_in};
use crate::server::Answer;

/// The paths of the old read side, which pages of other origins read.
const READ_SIDE: [&str; 7] =
    ["/stats", "/jobs/recent", "/events", "/health", "/healthz", "/readyz", "/openapi.json"];

/// A status, and a method, a path, headers and a body that are answered with it.
type Case<'c> = (u16, &'c str, &'c str, &'c [(&'c str, &'c str)], &'c str);

fn check(answer: &Answer, what: &str, read_side: bool, https: bool) {
    let is = |name: &str, value: &str| assert_eq!(answer.header(name), Some(value), "{what}: {answer:?}");
    is("x-content-type-options", "nosniff");
    is("x-frame-options", "DENY");
    is("referrer-policy", "no-referrer");
    is("cross-origin-opener-policy", "same-origin");
    is("cross-origin-resource-policy", if read_side { "cross-origin" } else { "same-origin" });
    for (name, part) in [
        ("content-security-policy", "default-src 'none'"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("permissions-policy", "camera=()"),
        ("cache-control", ""),
        ("x-correlation-id", "-"),
    ] {
        assert!(answer.header(name).is_some_and(|value| value.contains(part)), "{what}: {name}: {answer:?}");
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{what}: {policy}");
    let stays = answer.header("strict-transport-security");
    assert_eq!(stays.is_some_and(|value| value.starts_with("max-age=")), https, "{what}: {stays:?}");
    // No answer lets pages of another origin send what the browser knows of who asks.
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{what}");
    assert!(answer.header("access-control-allow-origin").is_none() || read_side, "{what}: {answer:?}");
}

#[test]
fn every_route_answers_with_them_whoever_asks() {
    let (_folder, server) = server("");
    let token = bearer("admin");
    for operation in &operations(&server) {
        let Operation { method, path, .. } = operation;
        let read_side = READ_SIDE.contains(&path.as_str()) && !operation.is_unsafe();
        for headers in [&[("Authorization", token.as_str())][..], &[]] {
            let answer = operation.send(&server, headers);
            check(&answer, &format!("{method} {path} {headers:?}"), read_side, false);
        }
    }
}

#[test]
fn pages_and_refusals_have_them_too() {
    let (_folder, server) = server("[web]\nmax_body = \"64KiB\"\n[jobs]\nmax_payload = \"64KiB\"");
    let token = bearer("viewer");
    let viewer = ("Authorization", token.as_str());
    let admin = bearer("admin");
    let admin = ("Authorization", admin.as_str());
    let large = " ".repeat(65 * 1024);
    let html = ("Content-Type", "text/html");
    let site = ("Sec-Fetch-Site", "cross-site");
    let cases: [Case<'_>; 12] = [
        (200, "GET", "/docs", &[], ""),
        (404, "GET", "/docs/nothing.js", &[], ""),
        (404, "GET", "/nowhere", &[viewer], ""),
        (401, "GET", "/nowhere", &[], ""),
        (403, "POST", "/api/v1/jobs", &[viewer, JSON], "{}"),
        (403, "POST", "/api/v1/jobs", &[admin, JSON, site], "{}"),
        (405, "PUT", "/api/v1/jobs", &[admin, JSON], "{}"),
        (413, "POST", "/api/v1/jobs", &[admin, JSON], &large),
        (415, "POST", "/api/v1/jobs", &[admin, html], "{}"),
        (400, "POST", "/api/v1/jobs", &[admin, JSON], "{"),
        (422, "POST", "/api/v1/jobs", &[admin, JSON], "{}"),
        (204, "OPTIONS", "/api/v1/jobs", &[admin, JSON], ""),
    ];
    for (status, method, path, headers, body) in cases {
        let answer = server.request(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        check(&answer, &format!("{method} {path}"), false, false);
    }
    let misdirected =
        server.raw(b"GET /api/v1/queues HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(misdirected.status, 421);
    check(&misdirected, "421", false, false);
    let head = server.request("HEAD", "/api/v1/queues", &[viewer], "");
    assert_eq!(head.status, 200);
    check(&head, "HEAD", false, false);
}

#[test]
fn behind_https_browsers_are_told_to_stay_there() {
    let (_folder, server) = server("[web]\nhttps = true");
    let answer = server.get("/api/v1/queues");
    check(&answer, "without a token", false, true);
    let answer = try_sign_in(&server, &super::token("admin"));
    check(&answer, "signed in", false, true);
    let set = answer.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("__Host-callboard_session="), "{set}");
    let attributes: Vec<&str> = set.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict", "Secure"]);
    let cookie = super::cookie(&answer);
    let post = |origin: &str| {
        let headers = [("Cookie", cookie.as_str()), ("Origin", origin), JSON];
        server.request("POST", "/api/v1/jobs", &headers, r#"{"type":"noop"}"#).status
    };
    assert_eq!(post(&format!("https://{}", server.address)), 202);
    assert_eq!(
        post(&format!("http://{}", server.address)),
        403,
        "a page that anybody on the way can have made"
    );
    // The name that any port of the host could set means nothing here.
    let plain = cookie.replace("__Host-", "");
    assert_eq!(server.request("GET", "/api/v1/queues", &[("Cookie", &plain)], "").status, 401);
}
