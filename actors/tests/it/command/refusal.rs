//! What is never started.

use std::collections::BTreeMap;

use callboard_actors::jobs::command::{AttemptName, CommandError, CommandRequest, Refusal};
use tokio_util::sync::CancellationToken;

use super::{Bench, bash, request};

#[tokio::test]
async fn what_is_not_allowed_is_refused_with_the_flag_and_starts_nothing() {
    let bench = Bench::new(&["true"]);
    for program in
        ["sha256sum", "/bin/sh", "../../bin/sh", "true;id", "$(id)", "", "tr\0ue", "true\n", " true", "TRUE"]
    {
        let error = bench.run(&request(program, &[])).await.unwrap_err();
        assert!(matches!(error, CommandError::Refused(_)) && error.is_final(), "{program:?}: {error:?}");
    }
    let error = bench.run(&request("sha256sum", &[])).await.unwrap_err();
    assert!(matches!(&error, CommandError::Refused(Refusal::NotAllowed { .. })));
    assert!(error.to_string().contains("`--allow-program sha256sum`"), "{error}");
    assert!(!bench.runner.workspace.exists());
}

#[tokio::test]
async fn hostile_requests_are_refused_and_start_nothing() {
    let bench = Bench::new(&["bash"]);
    let hostile = [
        CommandRequest { args: vec!["a\0b".into()], ..bash("true") },
        CommandRequest { args: vec![String::new(); 5000], ..bash("true") },
        CommandRequest { stdin: Some("x".repeat(2 << 20)), ..bash("true") },
        CommandRequest { timeout_ms: Some(0), ..bash("true") },
        CommandRequest { env: BTreeMap::from([("LD_PRELOAD".into(), "/tmp/x.so".into())]), ..bash("true") },
        CommandRequest { env: BTreeMap::from([("BASH_ENV".into(), "/tmp/x".into())]), ..bash("true") },
    ];
    for request in hostile {
        let error = bench.run(&request).await.unwrap_err();
        assert!(matches!(error, CommandError::Invalid(_)) && error.is_final(), "{error:?}");
    }
    for job in ["", "..", "../up", "/etc", "a/b", ".hidden"] {
        let error =
            bench.runner.run(&bash("true"), AttemptName { job, attempt: 1 }, CancellationToken::new()).await;
        assert!(matches!(error, Err(CommandError::BadJobName(_))), "{job:?}: {error:?}");
    }
    assert!(!bench.runner.workspace.exists());
}

#[tokio::test]
async fn a_binary_that_is_no_shim_is_found_out() {
    for binary in ["/bin/true", "/bin/echo", "/nowhere"] {
        let mut bench = Bench::new(&["bash"]);
        bench.runner.shim = binary.into();
        let error = bench.bash("true").await.unwrap_err();
        assert!(matches!(error, CommandError::Shim(_)), "{binary}: {error:?}");
        assert_eq!(error.to_string().contains("main_if_shim"), binary != "/nowhere", "{error}");
        bench.assert_no_folder();
        bench.assert_nothing_runs();
    }
}

#[tokio::test]
async fn the_hidden_words_are_of_no_use_by_hand() {
    for words in [&["__callboard-shim"][..], &["__callboard-launch"], &["__callboard-launch", "1"]] {
        let mut command = tokio::process::Command::new(super::shim());
        let output = command.args(words).stdin(std::process::Stdio::null()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(125), "{words:?} {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not by hand"), "{output:?}");
    }
}
