//! Requests that a page of somebody else lets a browser make.

use super::{Operation, SAME_ORIGIN, ask, bearer, operations, server, sign_in};
use crate::server::Server;

const SIGN_IN: &str = "/api/v1/session";

fn is_sign_in(operation: &Operation) -> bool {
    operation.path == SIGN_IN && operation.method == "POST"
}

fn status(server: &Server, operation: &Operation, headers: &[(&str, &str)]) -> u16 {
    operation.send(server, headers).status
}

#[test]
fn no_unsafe_route_takes_anything_from_a_page_of_another_site() {
    let (_folder, server) = server("[web]\nsign_in_limit = 10000");
    let ours = format!("http://{}", server.address);
    let host = server.address.to_string();
    let other_port = format!("http://{}:1", server.address.ip());
    let (token, mut tried) = (bearer("admin"), 0);
    for operation in operations(&server).iter().filter(|operation| operation.is_unsafe()) {
        let route = format!("{} {}", operation.method, operation.path);
        let cookie = sign_in(&server, "admin");
        for credential in [("Authorization", token.as_str()), ("Cookie", cookie.as_str())] {
            for foreign in ["http://evil.example", "null", &other_port, &format!("{ours}.evil"), &host] {
                let headers = [credential, ("Origin", foreign)];
                assert_eq!(status(&server, operation, &headers), 403, "{route} {headers:?}");
            }
            for site in ["cross-site", "same-site"] {
                let headers = [credential, ("Sec-Fetch-Site", site), ("Origin", &ours)];
                assert_eq!(status(&server, operation, &headers), 403, "{route} {headers:?}");
            }
            // What a form of any page can send without being asked.
            for media in
                ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
            {
                let headers = [credential, SAME_ORIGIN, ("Content-Type", media)];
                assert_eq!(status(&server, operation, &headers), 415, "{route} {headers:?}");
            }
            let answer = operation.send_to(&server, "evil.example", &[credential, SAME_ORIGIN]);
            assert_eq!(answer.status, 421, "{route} {credential:?}");
        }
        // Only by a cookie must be said what a browser always says: who has no browser has no cookie.
        let refused = if is_sign_in(operation) { 400 } else { 403 };
        for headers in [vec![], vec![("Sec-Fetch-Site", "none")]] {
            let headers = [&[("Cookie", cookie.as_str())], &*headers].concat();
            assert_eq!(status(&server, operation, &headers), refused, "{route} {headers:?}");
        }
        for said in [SAME_ORIGIN, ("Origin", &ours)] {
            let cookie = sign_in(&server, "admin");
            let answer = operation.send(&server, &[("Cookie", &cookie), said]);
            assert!(![401, 421].contains(&answer.status), "{route} {said:?}: {answer:?}");
            let by_page = answer.body.contains("page of another") || answer.body.contains("a sign-in");
            assert!(!by_page, "{route} {said:?}: {answer:?}");
        }
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn what_is_read_by_a_sign_in_is_for_our_own_pages() {
    let (_folder, server) = server("");
    let cookie = sign_in(&server, "viewer");
    let get = |path: &str, site: &str| {
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", site)];
        server.request("GET", path, &headers, "").status
    };
    for path in ["/api/v1/queues", "/stats", "/api/v1/session"] {
        // An address that somebody has typed is nobody's page.
        assert_eq!(["same-origin", "none"].map(|site| get(path, site)), [200, 200], "{path}");
        assert_eq!(["same-site", "cross-site"].map(|site| get(path, site)), [403, 403], "{path}");
    }
    // Programs and old pages with a token are not asked where they come from.
    let token = bearer("viewer");
    let headers = [("Authorization", token.as_str()), ("Origin", "http://old.example")];
    assert_eq!(server.request("GET", "/stats", &headers, "").status, 200);
}

#[test]
fn an_upgrade_by_a_sign_in_needs_our_very_origin() {
    let (_folder, server) = server("");
    let cookie = sign_in(&server, "admin");
    let upgrade = |origin: &str| {
        let request = format!(
            "GET /api/v1/queues HTTP/1.1\r\nHost: {}\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
             Cookie: {cookie}\r\n{origin}\r\n",
            server.address
        );
        ask(&server, &request).status
    };
    assert_eq!(upgrade(&format!("Origin: http://{}\r\n", server.address)), 200);
    for foreign in [
        "",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        assert_eq!(upgrade(foreign), 403, "{foreign:?}");
    }
}
