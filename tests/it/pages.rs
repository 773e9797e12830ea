//! The page at `/docs`, built and not built.

use std::fs;

use tempfile::TempDir;

use crate::server::{Options, Server};

fn with_pages(files: &[(&str, &str)]) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    fs::create_dir(folder.path().join("docs")).expect("a folder");
    fs::write(folder.path().join("secret.js"), "secret").expect("a file");
    for (name, text) in files {
        fs::write(folder.path().join("docs").join(name), text).expect("a file");
    }
    let setting = format!("web.pages_dir={}", folder.path().display());
    (Server::start(&Options::arguments(&["--set", &setting])), folder)
}

#[test]
fn without_the_viewer_the_server_makes_a_plain_page() {
    let server = Server::start(&Options::arguments(&["--set", "web.pages_dir="]));
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
    let files = [("index.html", "<p>built</p>"), ("docs.js", "1"), ("x.map", "map"), (".hidden.js", "no")];
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
fn a_page_needs_no_token_and_has_nothing_that_does() {
    let options = Options {
        arguments: vec!["--set".to_owned(), "web.pages_dir=".to_owned()],
        environment: vec![("CALLBOARD__WEB__TOKEN".to_owned(), "hush".to_owned())],
    };
    let server = Server::start(&options);
    assert_eq!(server.get("/openapi.json").status, 401);
    let page = server.get("/docs");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("POST /api/v1/jobs</code>") && !page.body.contains("Payload."));
}
