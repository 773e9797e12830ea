//! The page, as it is served.

use super::shell;

#[test]
fn the_page_is_there_and_may_load_what_this_server_has_alone() {
    let server = shell(&[]);
    let page = server.get("/terminal");
    assert!(matches!(page.status, 200 | 404), "{page:?}");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page:?}");
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{policy}");
}
