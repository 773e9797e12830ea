//! What comes back from a program that ends by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_actors::jobs::command::{
    AttemptName, CommandError, CommandOutput, CommandRequest, KeepWorkspace,
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Bench, bash, request};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_checksum_equals_one_computed_here() {
    let bench = Bench::new(&["sha256sum"]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = bench.run(&request("sha256sum", &[file])).await.unwrap();
    let expected = format!("{}  {file}\n", sha256(&std::fs::read(file).unwrap()));
    assert_eq!(
        output,
        CommandOutput {
            exit_code: Some(0),
            stdout_bytes: expected.len() as u64,
            stdout: expected,
            duration_ms: output.duration_ms,
            ..CommandOutput::default()
        }
    );
    assert!(output.succeeded());
    bench.assert_nothing_runs();
    bench.assert_no_folder();
}

#[tokio::test]
async fn an_exit_code_a_signal_and_a_failed_start_are_told_apart() {
    let bench = Bench::new(&["bash"]);
    for (script, exit_code, signal) in [
        ("exit 3", Some(3), None),
        ("exit 137", Some(137), None),
        ("exit 127", Some(127), None),
        ("kill -9 $$", None, Some(9)),
        ("kill -TERM $$", None, Some(15)),
    ] {
        let output = bench.bash(script).await.unwrap();
        assert_eq!((output.exit_code, output.signal), (exit_code, signal), "{script}");
        assert!(!output.succeeded());
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_an_error_with_the_systems_reason() {
    let mut bench = Bench::new(&[]);
    let program = bench.root.path().join("tool");
    let name = program.to_str().unwrap().to_owned();
    std::fs::copy("/bin/true", &program).unwrap();
    bench.runner.allow = callboard_actors::jobs::command::AllowList::new([&name]).unwrap();

    let reason = async |bench: &Bench| match bench.run(&request("tool", &[])).await {
        Err(CommandError::NotStarted { program, errno, .. }) => (program, errno),
        other => panic!("{other:?}"),
    };
    // Written by another process: a descriptor of ours, inherited by a shim of another test, would make it ETXTBSY.
    let script = format!("echo '#!/nowhere/interpreter' > {name}");
    assert!(std::process::Command::new("bash").args(["-c", &script]).status().unwrap().success());
    assert_eq!(reason(&bench).await, (name.clone(), Some(2)), "ENOENT, of the interpreter");
    // No ELF and no `#!`: what `execvp` would hand to a shell.
    std::fs::write(&program, "touch /tmp/never\n").unwrap();
    assert_eq!(reason(&bench).await, (name.clone(), Some(8)), "ENOEXEC");
    std::fs::remove_file(&program).unwrap();
    assert_eq!(reason(&bench).await, (name.clone(), Some(2)), "ENOENT");
    std::fs::create_dir(&program).unwrap();
    assert_eq!(reason(&bench).await, (name, Some(13)), "EACCES");
    bench.assert_no_folder();
    bench.assert_nothing_runs();
}

#[tokio::test]
async fn arguments_are_never_read_by_a_shell() {
    let bench = Bench::new(&["printf"]);
    let output = bench.run(&request("printf", &["%s|", "$HOME", "`id`", "a b", "*", ";"])).await.unwrap();
    assert_eq!(output.stdout, "$HOME|`id`|a b|*|;|");
}

#[tokio::test]
async fn the_program_knows_itself_by_the_listed_path() {
    let bench = Bench::new(&["bash"]);
    let listed = bench.runner.allow.resolve("bash").unwrap().listed().to_owned();
    assert_eq!(bench.bash("echo $0 $BASH").await.unwrap().stdout, format!("{listed} {listed}\n"));
}

#[tokio::test]
async fn output_is_cut_at_the_bound_marked_and_counted_to_the_end() {
    let bench = Bench::new(&["bash", "head"]);
    let output = bench.bash("yes | head -c 10000000; yes err | head -c 2000000 >&2").await.unwrap();
    assert_eq!(output.exit_code, Some(0));
    assert_eq!((output.stdout_bytes, output.stdout_truncated), (10_000_000, true));
    assert_eq!((output.stderr_bytes, output.stderr_truncated), (2_000_000, true));
    assert_eq!(output.stdout, "y\n".repeat(512 * 1024));
    assert_eq!(output.stderr.len(), 1024 * 1024);

    let output = bench.run(&request("head", &["-c", "268435456", "/dev/zero"])).await.unwrap();
    assert_eq!((output.stdout_bytes, output.stdout.len()), (1 << 28, 1 << 20));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 128 * 1024, "{peak} kB resident at the peak, with 256 MiB written");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let bench = Bench::new(&["printf"]);
    let output = bench.run(&request("printf", &[r"a\xffb\0c"])).await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stdout_bytes), ("a\u{fffd}b\0c", 5));
}

#[tokio::test]
async fn standard_input_is_given_closed_and_may_be_ignored() {
    let bench = Bench::new(&["cat", "head", "sha256sum", "true"]);
    let text = "0123456789abcdef".repeat(65_536);
    let with_stdin =
        |program: &str, args: &[&str]| CommandRequest { stdin: Some(text.clone()), ..request(program, args) };
    let output = bench.run(&with_stdin("sha256sum", &[])).await.unwrap();
    assert_eq!(output.stdout, format!("{}  -\n", sha256(text.as_bytes())));
    assert_eq!(bench.run(&with_stdin("cat", &[])).await.unwrap().stdout, text);
    assert_eq!(bench.run(&with_stdin("head", &["-c", "3"])).await.unwrap().stdout, "012");
    assert!(bench.run(&with_stdin("true", &[])).await.unwrap().succeeded());
    // None at all reads as empty.
    assert_eq!(bench.run(&request("cat", &[])).await.unwrap().stdout_bytes, 0);
}

#[tokio::test]
async fn the_environment_holds_what_is_named_and_nothing_else() {
    let mut bench = Bench::new(&["env"]);
    let folder = bench.folder().to_str().unwrap().to_owned();
    let request =
        CommandRequest { env: BTreeMap::from([("MINE".into(), "a=b\nc".into())]), ..request("env", &["-0"]) };
    let servers_path = std::env::var("PATH").unwrap();
    for (passed, path) in
        [(&[][..], "/usr/local/bin:/usr/bin:/bin"), (&["PATH", "NOT_SET_ANYWHERE"], servers_path.as_str())]
    {
        bench.runner.passed_env = passed.iter().copied().map(Into::into).collect();
        let output = bench.run(&request).await.unwrap();
        let variables =
            output.stdout.split_terminator('\0').map(|variable| variable.split_once('=').unwrap());
        let mut variables: BTreeMap<_, _> = variables.collect();
        assert_eq!(variables.remove("CALLBOARD_RUN_ID").map(str::len), Some(36));
        let expected = [
            ("CALLBOARD_ATTEMPT", "1"),
            ("CALLBOARD_JOB_ID", "job"),
            ("HOME", &folder),
            ("LANG", "C.UTF-8"),
            ("MINE", "a=b\nc"),
            ("PATH", path),
            ("TMPDIR", &folder),
        ];
        assert_eq!(variables, BTreeMap::from(expected));
    }
}

#[tokio::test]
async fn the_program_has_its_own_session_folder_and_no_descriptor_of_ours() {
    let bench = Bench::new(&["bash"]);
    let script = r#"pwd; stat -c %a .; ls -A | wc -l; ps -o sid= -p $$ | tr -d ' '; echo $$
        for fd in /proc/$$/fd/*; do readlink $fd; done | grep -cE '^(socket|/memfd)'"#;
    let output = bench.run(&CommandRequest { stdin: None, ..bash(script) }).await.unwrap();
    let lines: Vec<_> = output.stdout.lines().collect();
    let [folder, mode, entries, session, process, sockets] = lines[..] else { panic!("{output:?}") };
    assert_eq!((folder, mode, entries), (bench.folder().to_str().unwrap(), "700", "0"));
    assert_eq!(session, process);
    assert_eq!(sockets, "0");
}

#[tokio::test]
async fn the_folder_is_kept_as_told() {
    let mut bench = Bench::new(&["bash"]);
    for (keep, script, stays) in [
        (KeepWorkspace::Never, "touch made; exit 1", false),
        (KeepWorkspace::OnFailure, "touch made", false),
        (KeepWorkspace::OnFailure, "touch made; exit 1", true),
        (KeepWorkspace::Always, "touch made", true),
    ] {
        bench.runner.keep = keep;
        bench.bash(script).await.unwrap();
        assert_eq!(bench.folder().join("made").exists(), stays, "{keep:?} {script}");
        if stays {
            assert!(
                matches!(bench.bash("true").await, Err(CommandError::Workspace { .. })),
                "the folder must be new"
            );
            assert!(bench.folder().join("made").exists());
            assert_eq!(bench.runner.clean_workspace().await.unwrap(), 1);
        }
        bench.assert_no_folder();
    }
}

#[tokio::test]
async fn a_folder_that_the_program_locked_is_removed() {
    let bench = Bench::new(&["bash"]);
    bench
        .bash("mkdir -p a/b; touch a/b/c; ln -s / root; chmod 500 a/b; chmod 0 a; chmod 500 .")
        .await
        .unwrap();
    bench.assert_no_folder();
}

#[tokio::test]
async fn fifty_run_at_once_and_leave_nothing() {
    let bench = Bench::new(&["sha256sum"]);
    let runs = (0..50).map(|number| {
        let runner = bench.runner.clone();
        tokio::spawn(async move {
            let text = format!("text {number}");
            let request = CommandRequest { stdin: Some(text.clone()), ..request("sha256sum", &[]) };
            let job = format!("job-{number}");
            let output =
                runner.run(&request, AttemptName { job: &job, attempt: 1 }, CancellationToken::new()).await;
            assert_eq!(output.unwrap().stdout, format!("{}  -\n", sha256(text.as_bytes())));
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    bench.assert_nothing_runs();
    bench.assert_no_folder();
}

#[tokio::test]
async fn the_duration_is_the_programs() {
    let bench = Bench::new(&["sleep"]);
    let started = std::time::Instant::now();
    let output = bench.run(&request("sleep", &["0.2"])).await.unwrap();
    let whole = started.elapsed();
    assert!(
        Duration::from_millis(output.duration_ms) <= whole && output.duration_ms >= 200,
        "{output:?} {whole:?}"
    );
}
