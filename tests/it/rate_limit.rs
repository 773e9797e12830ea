//! How many requests a client may make.

use callboard_testsupport::PrivateServer;

use crate::server::{Answer, Options, Server, eventually};

fn server(redis: Option<&PrivateServer>, times: u32) -> Server {
    let limit = format!("web.rate_limit={times}");
    let mut options = Options::arguments(&["--set", &limit, "--set", "web.rate_limit_window=1h"]);
    if let Some(redis) = redis {
        options.environment.push(("CALLBOARD__COUNTERS__URL".to_owned(), redis.url()));
    }
    Server::start(&options)
}

/// Asks until it is refused; how many were answered, and the refusal.
fn until_refused(server: &Server) -> (usize, Answer) {
    for answered in 0.. {
        let answer = server.get("/api/v1/queues");
        if answer.status != 200 {
            return (answered, answer);
        }
    }
    unreachable!("there is a limit")
}

#[test]
fn who_asks_too_much_is_told_when_to_come_again() {
    let server = server(None, 5);
    let (answered, refused) = until_refused(&server);
    assert_eq!((answered, refused.status), (5, 429));
    let wait: u64 = refused.header("retry-after").expect("when").parse().expect("seconds");
    // A twelfth of an hour, less what has passed.
    assert!((700..=720).contains(&wait), "{wait}");
    let problem = refused.json();
    assert_eq!(problem["type"], "urn:callboard:problem:too-many-requests");
    let detail = problem["detail"].as_str().expect("words");
    assert!(detail.contains("5 requests in 3600s"), "{detail}");
    // The old contract has its own form, and the same limit.
    let old = server.post("/jobs", r#"{"type":"noop"}"#);
    assert_eq!(old.status, 429);
    assert!(old.json()["error"].is_string(), "{old:?}");
    // Whoever runs the server is not held up, and sees it.
    assert_eq!(server.get("/api/v1/ready").status, 200);
    assert!(server.get("/metrics").body.contains("\ncallboard_requests_refused_total 2"));
}

#[test]
fn tokens_cannot_be_tried_as_fast_as_one_likes_and_have_limits_of_their_own() {
    let options = Options::arguments(&["--set", "web.rate_limit=3", "--set", "web.token=right"]);
    let server = Server::start(&options);
    let ask = |token: &str| {
        let token = format!("Bearer {token}");
        server.request("GET", "/api/v1/queues", &[("Authorization", &token)], "").status
    };
    assert_eq!([ask("wrong"), ask("wrong"), ask("wrong"), ask("wrong")], [401, 401, 401, 429]);
    assert_eq!([ask("right"), ask("right"), ask("right"), ask("right")], [200, 200, 200, 429]);
}

#[test]
fn servers_with_a_redis_count_together_and_alone_while_it_is_away() {
    let mut redis = PrivateServer::redis();
    let (one, two) = (server(Some(&redis), 10), server(Some(&redis), 10));
    let is_named =
        |server: &Server| server.get("/api/v1/ready").json()["reasons"].to_string().contains("edge-windows");
    eventually("both have it", || !is_named(&one) && !is_named(&two));
    assert_eq!((until_refused(&one).0, until_refused(&two).0), (10, 0));
    redis.kill();
    // Whoever is refused by nobody else is counted by the server itself.
    eventually("it is seen to be away", || {
        let answer = one.get("/api/v1/queues");
        answer.status == 200 || is_named(&one)
    });
    let (here, refused) = until_refused(&one);
    assert!(here >= 9 && refused.status == 429, "{here}");
    assert_eq!(one.get("/api/v1/ready").status, 200);
}
