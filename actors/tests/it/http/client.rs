//! What is sent, what is refused, and what comes of it.

use std::time::Duration;

use callboard_actors::jobs::http::{AddressRules, HttpClient, HttpError, HttpRequest};
use serde_json::json;
use tokio::{net::TcpListener, time::timeout};

use super::{
    SECRET, TRACE, allow, client, client_of, send,
    server::{Server, answer},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn refused(error: HttpError) -> String {
    assert!(matches!(error, HttpError::Refused(_)) && error.is_final(), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_request_goes_out_as_it_is_meant_and_its_answer_is_kept() {
    let mut server = Server::start(|_| {
        answer(201, "content-type: application/json\r\nx-request-id: r1\r\nx-other: o\r\n", r#"{"a": [1]}"#)
    })
    .await;
    let client = client_of(&server);
    let output = send(
        &client,
        json!({
            "url": server.url("/a/b?c=d#e"), "method": "POST", "json": {"n": 1},
            "headers": {"X-Own": "1", "Authorization": {"secret": "partner", "prefix": "Bearer "}},
        }),
    )
    .await
    .unwrap();
    assert_eq!((output.status, output.json), (201, Some(json!({"a": [1]}))));
    assert_eq!(output.url, server.url("/a/b"), "without the query");
    assert_eq!(output.headers.get("x-request-id").map(String::as_str), Some("r1"));
    assert!(!output.headers.contains_key("x-other"));

    let asked = server.asked.recv().await.unwrap();
    assert_eq!(asked.line(), "POST /a/b?c=d HTTP/1.1");
    assert_eq!(asked.body, r#"{"n":1}"#);
    for (name, value) in [
        ("host", server.address.to_string().as_str()),
        ("content-type", "application/json"),
        ("x-own", "1"),
        ("authorization", "Bearer hush-8f14e45f"),
        ("idempotency-key", "\"the-job\""),
        ("connection", "close"),
        ("traceparent", TRACE),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("callboard/")));
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_is_allowed() {
    let mut server = Server::start(|_| answer(200, "", "")).await;
    let none = HttpClient::new(None).unwrap();
    let says = refused(send(&none, json!({"url": server.url("/")})).await.unwrap_err());
    assert!(says.contains("anywhere yet") && says.contains("--set http.allow=http://127.0.0.1"), "{says}");

    let mut client = client_of(&server);
    let says = refused(send(&client, json!({"url": "https://example.com/"})).await.unwrap_err());
    assert!(says.contains("no requests to https://example.com;"), "{says}");

    // Its origin is allowed, its address is not.
    client.addresses = AddressRules::default();
    let says = refused(send(&client, json!({"url": server.url("/")})).await.unwrap_err());
    assert!(says.contains("a loopback address") && says.contains("`http.allow_addresses`"), "{says}");
    assert!(server.asked.try_recv().is_err(), "nothing came");
}

#[tokio::test]
async fn a_name_is_judged_by_the_address_that_it_leads_to() {
    let mut server = Server::start(|_| answer(200, "", "here")).await;
    let origin = format!("http://localhost:{}", server.address.port());
    let mut client = client(&[]);
    allow(&mut client, std::slice::from_ref(&origin));
    assert_eq!(send(&client, json!({"url": origin})).await.unwrap().text.as_deref(), Some("here"));
    server.asked.recv().await.unwrap();

    client.addresses = AddressRules::default();
    let says = refused(send(&client, json!({"url": origin})).await.unwrap_err());
    assert!(says.contains("localhost is at") && says.contains("a loopback address"), "{says}");
    assert!(server.asked.try_recv().is_err(), "nothing came");
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_asked_and_each_is_checked() {
    let mut server = Server::start(|asked| match asked.line().split(' ').nth(1).unwrap() {
        "/see" => answer(303, "location: /done\r\n", ""),
        "/keep" => answer(307, "location: /done\r\n", ""),
        "/round" => answer(302, "location: /round\r\n", ""),
        "/metadata" => answer(302, "location: http://169.254.169.254/latest\r\n", ""),
        "/file" => answer(302, "location: file:///etc/passwd\r\n", ""),
        "/user" => answer(302, "location: http://me:pw@127.0.0.1/\r\n", ""),
        "/nowhere" => answer(302, "", ""),
        _ => answer(200, "", "done"),
    })
    .await;
    let mut client = client_of(&server);
    let post = |path: &str, redirects: u8| json!({"url": server.url(path), "method": "POST", "text": "body", "redirects": redirects});
    let output = send(&client, post("/see", 3)).await.unwrap();
    assert_eq!((output.redirects, output.url), (1, server.url("/done")));
    send(&client, post("/keep", 1)).await.unwrap();
    let error = send(&client, post("/keep", 0)).await.unwrap_err();
    assert!(error.is_final() && error.to_string().contains("set `redirects`"), "{error}");
    for (path, says) in [
        ("/round", "once more after 2"),
        ("/file", "neither http nor https"),
        ("/user", "user or a password"),
        ("/nowhere", "`Location`"),
    ] {
        let error = send(&client, post(path, 2)).await.unwrap_err();
        assert!(matches!(error, HttpError::Redirect { .. }) && error.is_final(), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let says = refused(send(&client, post("/metadata", 2)).await.unwrap_err());
    assert!(says.contains("no requests to http://169.254.169.254"), "{says}");
    // Also where any origin is allowed, the address is judged again.
    allow(&mut client, &["http://*".to_owned(), format!("http://{}", server.address)]);
    let says = refused(send(&client, post("/metadata", 2)).await.unwrap_err());
    assert!(says.contains("link-local"), "{says}");

    let lines: Vec<String> = std::iter::from_fn(|| server.asked.try_recv().ok())
        .take(4)
        .map(|asked| format!("{} {}", asked.line(), asked.body))
        .collect();
    assert_eq!(
        lines,
        [
            "POST /see HTTP/1.1 body",
            "GET /done HTTP/1.1 ",
            "POST /keep HTTP/1.1 body",
            "POST /done HTTP/1.1 body"
        ]
    );
}

#[tokio::test]
async fn a_secret_does_not_follow_a_redirect_to_another_origin() {
    let mut other = Server::start(|_| answer(200, "", "")).await;
    let place = other.url("/there");
    let server = Server::start(move |_| answer(307, &format!("location: {place}\r\n"), "")).await;
    let mut client = client_of(&server);
    allow(&mut client, &[format!("http://{}", server.address), format!("http://{}", other.address)]);
    let payload = json!({
        "url": server.url("/"), "redirects": 1,
        "headers": {"authorization": {"secret": "partner"}, "x-own": "1"},
    });
    send(&client, payload).await.unwrap();
    let asked = other.asked.recv().await.unwrap();
    assert_eq!((asked.header("authorization"), asked.header("x-own")), (None, Some("1")));

    // And it is not sent to the other origin first, either.
    let payload = json!({"url": other.url("/"), "headers": {"x": {"secret": "partner"}}});
    let error = send(&client, payload).await.unwrap_err();
    assert!(matches!(&error, HttpError::Secret { pointer, .. } if pointer == "/headers/x"), "{error:?}");
    assert!(error.is_final() && !format!("{error} {error:?}").contains(SECRET));
}

#[tokio::test]
async fn a_secret_that_an_answer_repeats_is_masked() {
    let server = Server::start(|asked| {
        let echo = asked.header("x").unwrap().to_owned();
        let status = if asked.line().contains("/bad") { 500 } else { 200 };
        answer(status, &format!("x-request-id: {echo}\r\n"), &format!("you said {echo}"))
    })
    .await;
    let client = client_of(&server);
    let payload = |path: &str| json!({"url": server.url(path), "headers": {"x": {"secret": "partner"}}});
    let output = send(&client, payload("/")).await.unwrap();
    assert_eq!(output.text.as_deref(), Some("you said ***"));
    assert!(!format!("{output:?}").contains(SECRET));
    let error = send(&client, payload("/bad")).await.unwrap_err();
    assert!(error.to_string().ends_with("500 Internal Server Error: you said ***"), "{error}");
    assert!(!format!("{client:?}").contains(SECRET));
}

#[tokio::test]
async fn answers_are_bounded() {
    let server = Server::start(|asked| {
        if asked.line().contains("/chunked") {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            return Some(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
                chunk.repeat(100)
            ));
        }
        answer(200, "", &"x".repeat(2000))
    })
    .await;
    let mut client = client_of(&server);
    client.max_response = 3000;
    assert_eq!(send(&client, json!({"url": server.url("/")})).await.unwrap().text.unwrap().len(), 2000);
    for payload in [
        json!({"url": server.url("/"), "max_response_bytes": 1999}),
        json!({"url": server.url("/chunked")}),
        json!({"url": server.url("/chunked"), "max_response_bytes": 1_000_000}),
    ] {
        let error = send(&client, payload).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { .. }) && error.is_final(), "{error:?}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_is_wrong_is_not() {
    let server = Server::start(|asked| {
        let status = asked.line().split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        answer(status, "retry-after: 7\r\n", "why")
    })
    .await;
    let client = client_of(&server);
    for (status, is_final, wait) in [
        (503, false, Some(7)),
        (429, false, Some(7)),
        (408, false, Some(7)),
        (404, true, None),
        (422, true, None),
    ] {
        let error = send(&client, json!({"url": server.url(&format!("/{status}"))})).await.unwrap_err();
        assert_eq!(
            (error.is_final(), error.retry_after()),
            (is_final, wait.map(Duration::from_secs)),
            "{status}"
        );
    }
    let expected = json!({"url": server.url("/404"), "expect": [404, 410]});
    assert_eq!(send(&client, expected).await.unwrap().status, 404);

    // Nobody listens there any more.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut client = client;
    allow(&mut client, &[format!("http://{free}"), "http://callboard.invalid".to_owned()]);
    let error = send(&client, json!({"url": format!("http://{free}/")})).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }) && !error.is_final(), "{error:?}");
    let error = send(&client, json!({"url": "http://callboard.invalid/"})).await.unwrap_err();
    assert!(matches!(error, HttpError::Unresolved { .. }) && !error.is_final(), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_breaks_is_an_error_in_time() {
    let mut server = Server::start(|asked| match asked.line().contains("/break") {
        true => Some("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned()),
        false => None,
    })
    .await;
    let client = client_of(&server);
    let error = send(&client, json!({"url": server.url("/break")})).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }) && !error.is_final(), "{error:?}");
    let error = send(&client, json!({"url": server.url("/?key=1"), "timeout_ms": 50})).await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { .. }) && !error.is_final(), "{error:?}");
    assert!(!error.to_string().contains("key"), "{error}");
    timeout(PATIENCE, server.left.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn secure_servers_must_show_a_certificate_for_their_name() {
    let server = Server::secure(|_| answer(200, "", "secure")).await;
    let port = server.address.port();
    let origins = [format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}")];
    let mut known = client(&[]);
    allow(&mut known, &origins);
    let payload = |origin: &str| json!({"url": format!("{origin}/")});
    assert_eq!(send(&known, payload(&origins[0])).await.unwrap().text.as_deref(), Some("secure"));
    let error = send(&known, payload(&origins[1])).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "another name: {error:?}");

    let mut unknown = HttpClient::new(None).unwrap();
    unknown.addresses = known.addresses.clone();
    allow(&mut unknown, &origins);
    let error = send(&unknown, payload(&origins[0])).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "nobody vouches for it: {error:?}");
}

#[test]
fn a_file_without_certificates_is_named() {
    let error = HttpClient::new(Some(&super::fixture("server.key"))).unwrap_err().to_string();
    assert!(error.contains("`http.ca_file`") && error.contains("server.key"), "{error}");
}

#[test]
fn the_schema_knows_the_bounds() {
    let schema = schemars::schema_for!(HttpRequest).to_value();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["url"]));
    assert_eq!(schema["properties"]["redirects"]["maximum"], 10);
    assert_eq!(schema["properties"]["expect"]["items"]["minimum"], 200);
}
