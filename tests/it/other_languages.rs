//! Programs in other languages that know of a server what its OpenAPI document says.

use std::{
    ffi::OsString,
    path::Path,
    process::{Command, Output},
};

use crate::{
    cli::{code, err, out},
    server::{Options, Server},
};

/// Runs a client of `examples/clients/` against a server that wants a token.
fn submits(interpreter: &OsString, script: &str) {
    const TOKEN: &str = "a-token-of-a-test-that-is-long-enough";
    let mut options = Options::default();
    options.environment.push(("CALLBOARD__WEB__TOKEN".into(), TOKEN.into()));
    let server = Server::start(&options);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients").join(script);
    let run = |token: &str, job: [&str; 2]| -> Output {
        let mut command = Command::new(interpreter);
        command.arg(&script).arg(server.url()).args(job).env("CALLBOARD_TOKEN", token);
        command.output().expect("the interpreter starts")
    };
    let done = run(TOKEN, ["sleep", r#"{"ms": 5}"#]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let said = out(&done);
    assert!(said.starts_with("sleep takes ms") && said.trim_end().ends_with("is completed"), "{said}");
    let refused = run(TOKEN, ["sleep", r#"{"ms": "long"}"#]);
    assert_eq!((code(&refused), err(&refused).contains("/payload/ms")), (1, true), "{}", err(&refused));
    let unknown = run(TOKEN, ["unheard-of", "{}"]);
    assert_eq!((code(&unknown), err(&unknown).contains("unheard-of")), (1, true), "{}", err(&unknown));
    let stranger = run("another-token", ["noop", "{}"]);
    assert_eq!((code(&stranger), err(&stranger).contains("token")), (1, true), "{}", err(&stranger));
    let jobs = server.request("GET", "/api/v1/jobs", &[("Authorization", &format!("Bearer {TOKEN}"))], "");
    assert_eq!(jobs.json()["jobs"].as_array().map(Vec::len), Some(1), "{jobs:?}");
}

#[test]
fn a_program_in_python_submits_by_the_document() {
    let python = std::env::var_os("CALLBOARD_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    submits(&python, "submit.py");
}

#[test]
fn a_program_in_javascript_submits_by_the_document() {
    if Command::new("node").arg("--version").output().is_err() {
        println!("left out: node is not installed");
        return;
    }
    submits(&"node".into(), "submit.mjs");
}
