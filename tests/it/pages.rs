//! The pages, built and not built.

use std::fs;

use tempfile::TempDir;

use crate::server::{Options, Server};

fn with_pages(files: &[(&str, &str)]) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    for within in ["docs", "assets", "other"] {
        fs::create_dir(folder.path().join(within)).expect("a folder");
    }
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let setting = format!("web.pages_dir={}", folder.path().display());
    (Server::start(&Options::arguments(&["--set", &setting])), folder)
}

#[test]
fn without_the_viewer_the_server_makes_a_plain_page() {
    let (server, _folder) = with_pages(&[]);
    let page = server.get("/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in ["POST /api/v1/jobs</code>", "scripts/pages", "web.pages_dir", "id=\"schema-Payload.http\""] {
        assert!(page.body.contains(part), "{part}");
    }
    let document = server.get("/openapi.json").json();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            assert!(
                page.body.contains(&format!("<code>{} {path}</code>", method.to_uppercase())),
                "{method} {path}"
            );
        }
    }
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(server.get("/docs/swagger-ui.css").status, 404);
    assert_eq!(server.request("HEAD", "/docs", &[], "").status, 200);
    let posted = server.post("/docs", "{}");
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    assert!(posted.body.contains("is not possible here"), "{posted:?}");
}

#[test]
fn with_the_viewer_its_files_are_served_and_no_others() {
    let files = [
        ("docs/index.html", "<p>built</p>"),
        ("docs/docs.js", "1"),
        ("docs/x.map", "map"),
        ("docs/.hidden.js", "no"),
        ("secret.js", "secret"),
    ];
    let (server, _folder) = with_pages(&files);
    let page = server.get("/docs");
    assert_eq!((page.status, &*page.body), (200, "<p>built</p>"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let script = server.get("/docs/docs.js");
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("x-content-type-options"), Some("nosniff"));
    let tag = script.header("etag").expect("a tag");
    let again = server.request("GET", "/docs/docs.js", &[("If-None-Match", tag)], "");
    assert_eq!((again.status, &*again.body), (304, ""));
    let slash = server.get("/docs/");
    assert_eq!((slash.status, slash.header("location")), (308, Some("/docs")));
    for path in [
        "/docs/x.map",
        "/docs/.hidden.js",
        "/docs/gone.js",
        "/docs/../secret.js",
        "/docs/..%2fsecret.js",
        "/docs/%2e%2e/secret.js",
        "/docs/a/b.js",
        "/docsy",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_browser_is_led_to_the_pages_and_finds_them_at_each_of_their_paths() {
    let files = [
        ("index.html", "<p>pages</p>"),
        ("terminal.html", "<p>terminal</p>"),
        ("assets/index-1.js", "plain"),
        ("assets/index-1.js.br", "by brotli"),
        ("assets/index-1.js.gz", "by gzip"),
        ("other/x.js", "no"),
    ];
    let (server, _folder) = with_pages(&files);
    let root = server.request("GET", "/", &[("Accept", "text/html,*/*;q=0.8")], "");
    assert_eq!((root.status, root.header("location")), (307, Some("/ui/")));
    let program = server.get("/");
    assert_eq!((program.status, program.header("content-type")), (404, Some("application/json")));
    assert_eq!((server.get("/ui").status, server.get("/ui").header("location")), (308, Some("/ui/")));
    assert_eq!(server.get("/terminal/").header("location"), Some("/terminal"));
    for path in ["/ui/", "/ui/jobs", "/ui/jobs/01890a5d-ac96-774b-bcce-b302099a8057", "/ui/queues/mail.js"] {
        let page = server.get(path);
        assert_eq!((page.status, &*page.body), (200, "<p>pages</p>"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-cache"));
    }
    assert_eq!(server.get("/terminal").body, "<p>terminal</p>");
    for (accepted, encoding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "by brotli"),
        ("gzip, br;q=0.5", Some("gzip"), "by gzip"),
        ("br;q=0, gzip;q=0", None, "plain"),
        ("", None, "plain"),
        ("nonsense;;q=x", None, "plain"),
    ] {
        let script = server.request("GET", "/ui/assets/index-1.js", &[("Accept-Encoding", accepted)], "");
        assert_eq!((script.status, script.header("content-encoding")), (200, encoding), "{accepted}");
        assert_eq!((&*script.body, script.header("vary")), (body, Some("Accept-Encoding")), "{accepted}");
        assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    for path in [
        "/ui/assets/gone.js",
        "/ui/assets/../index.html",
        "/ui/assets/index-1.js.br",
        "/ui/other/x.js/",
        "/terminals",
    ] {
        let answer = server.get(path);
        assert!(answer.status == 404 || answer.body == "<p>pages</p>", "{path}: {answer:?}");
    }
    assert_eq!(server.post("/ui/", "{}").status, 405);
}

#[test]
fn without_the_pages_one_says_where_they_are_to_be_had() {
    let (server, _folder) = with_pages(&[]);
    for path in ["/ui/", "/ui/jobs", "/terminal"] {
        let page = server.get(path);
        assert_eq!(
            (page.status, page.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{path}"
        );
        for part in ["scripts/pages", "web.pages_dir", "callboard jobs list"] {
            assert!(page.body.contains(part), "{path}: {part}");
        }
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn a_page_needs_no_token_and_has_nothing_that_does() {
    let none = TempDir::new().expect("a temporary folder");
    let options = Options {
        arguments: vec!["--set".to_owned(), format!("web.pages_dir={}", none.path().display())],
        environment: vec![("CALLBOARD__WEB__TOKEN".to_owned(), "hush".to_owned())],
    };
    let server = Server::start(&options);
    assert_eq!(server.get("/openapi.json").status, 401);
    let page = server.get("/docs");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("POST /api/v1/jobs</code>") && !page.body.contains("Payload."));
    assert!(server.get("/ui/").body.contains("scripts/pages"));
}
