//! What is left of a program that does not end by itself: nothing.

use std::time::{Duration, Instant};

use callboard_actors::jobs::command::{AttemptName, CommandError};
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use super::{Bench, PATIENCE, bash, processes_of, request, shim, until, zombies};

/// A tree with children in the group, in other sessions, double-forked, and deaf to SIGTERM. It ends with `$1`.
const TREE: &str = "
    sleep 1000 &
    (setsid sleep 1000 &)
    (setsid bash -c 'trap \"\" TERM; (sleep 1000 &); while :; do sleep 1000; done' >/dev/null 2>&1 &)
    bash -c 'trap \"\" TERM HUP INT; while :; do sleep 1000; done' &
    touch ready
";

fn tree(ending: &str) -> String {
    format!("{TREE}\n{ending}")
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed_when_it_ends() {
    let bench = Bench::new(&["bash"]);
    let output = bench.bash(&tree("echo done; exit 4")).await.unwrap();
    assert_eq!((output.exit_code, output.stdout.as_str()), (Some(4), "done\n"));
    bench.assert_nothing_runs();
    bench.assert_no_folder();
}

#[tokio::test]
async fn a_timeout_ends_the_whole_tree_and_tells_what_was_written() {
    let mut bench = Bench::new(&["bash"]);
    bench.runner.grace = Duration::from_millis(100);
    let mut request = bash(&tree("echo before; wait"));
    request.timeout_ms = Some(700);
    match bench.run(&request).await.unwrap_err() {
        CommandError::TimedOut { after, output } => {
            assert_eq!((after, output.stdout.as_str()), (Duration::from_millis(700), "before\n"));
            assert_eq!(output.signal, Some(15));
        }
        other => panic!("{other:?}"),
    }
    bench.assert_nothing_runs();
    bench.assert_no_folder();
}

#[tokio::test]
async fn a_cancelled_program_may_tidy_up_within_the_grace() {
    let bench = Bench::new(&["bash"]);
    let cancel = CancellationToken::new();
    let request = bash("trap 'echo tidied; exit 7' TERM; mkfifo never; touch ready; read <>never");
    let run = bench.runner.run(&request, AttemptName { job: "job", attempt: 1 }, cancel.clone());
    let (outcome, ()) = tokio::join!(run, async {
        bench.until_made("ready").await;
        cancel.cancel();
    });
    match outcome.unwrap_err() {
        CommandError::Cancelled { output: Some(output) } => {
            assert_eq!((output.exit_code, output.stdout.as_str()), (Some(7), "tidied\n"));
        }
        other => panic!("{other:?}"),
    }
    bench.assert_nothing_runs();
}

#[tokio::test]
async fn a_program_deaf_to_sigterm_is_killed_after_the_grace() {
    let mut bench = Bench::new(&["bash"]);
    bench.runner.grace = Duration::from_millis(50);
    let cancel = CancellationToken::new();
    let request = bash(&format!("trap '' TERM; {TREE} while :; do sleep 1000; done"));
    let run = bench.runner.run(&request, AttemptName { job: "job", attempt: 1 }, cancel.clone());
    let (outcome, ()) = tokio::join!(run, async {
        bench.until_made("ready").await;
        cancel.cancel();
    });
    match outcome.unwrap_err() {
        CommandError::Cancelled { output: Some(output) } => assert_eq!(output.signal, Some(9)),
        other => panic!("{other:?}"),
    }
    bench.assert_nothing_runs();
    bench.assert_no_folder();
}

#[tokio::test]
async fn what_is_cancelled_before_it_starts_never_starts() {
    let bench = Bench::new(&["true"]);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome =
        bench.runner.run(&request("true", &[]), AttemptName { job: "job", attempt: 1 }, cancel).await;
    assert!(matches!(outcome, Err(CommandError::Cancelled { output: None })), "{outcome:?}");
    assert!(!bench.runner.workspace.exists());
}

#[tokio::test]
async fn a_dropped_run_leaves_no_process_no_zombie_and_no_folder() {
    let bench = Bench::new(&["bash"]);
    let request = bash(&format!("trap '' TERM; {TREE} while :; do sleep 1000; done"));
    tokio::select! {
        outcome = bench.run(&request) => panic!("{outcome:?}"),
        () = bench.until_made("ready") => {}
    }
    // Well below the grace: a dropped run is killed, not asked.
    let nothing_runs = || match processes_of(bench.root.path()) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    };
    until(Duration::from_secs(5), nothing_runs).await;
    until(PATIENCE, || if bench.folder().exists() { Err("the folder is there") } else { Ok(()) }).await;
    until(PATIENCE, || if zombies().is_empty() { Ok(()) } else { Err(zombies()) }).await;
}

#[tokio::test]
async fn a_runtime_that_ends_takes_its_programs_along() {
    let bench = Bench::new(&["bash"]);
    let (runner, request) = (bench.runner.clone(), bash(&tree("wait")));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        runner.run(&request, AttemptName { job: "job", attempt: 1 }, CancellationToken::new()).await
    });
    bench.until_made("ready").await;
    runtime.shutdown_background();
    nothing_runs_within(&bench, Duration::from_secs(1)).await;
}

/// Asserts that what belongs to the bench is gone after `limit` at the latest; returns when it is.
async fn nothing_runs_within(bench: &Bench, limit: Duration) {
    let started = Instant::now();
    until(PATIENCE, || match processes_of(bench.root.path()) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    assert!(started.elapsed() < limit, "gone only after {:?}", started.elapsed());
}

#[tokio::test]
async fn nothing_outlives_a_server_that_was_killed_by_a_second() {
    let bench = Bench::new(&["bash"]);
    let script = tree("trap '' TERM; while :; do sleep 1000; done");
    let mut server = tokio::process::Command::new(shim())
        .arg("serve")
        .arg(&bench.runner.workspace)
        .arg(&script)
        .spawn()
        .unwrap();
    let folder = bench.runner.workspace.join("served/1");
    until(PATIENCE, || if folder.join("ready").exists() { Ok(()) } else { Err("not ready") }).await;
    assert!(processes_of(bench.root.path()).len() >= 6, "{:?}", processes_of(bench.root.path()));

    server.start_kill().unwrap();
    nothing_runs_within(&bench, Duration::from_secs(1)).await;
    server.wait().await.unwrap();

    // The next server finds the folder and takes it away.
    assert!(folder.join("ready").exists());
    assert_eq!(bench.runner.clean_workspace().await.unwrap(), 1);
    bench.assert_no_folder();
}

/// The process id of the bench's one shim.
fn shim_of(bench: &Bench) -> Pid {
    let processes = processes_of(bench.root.path());
    let shim = processes.iter().find(|process| process.contains(" callboard-shim ")).unwrap();
    Pid::from_raw(shim.split(' ').next().unwrap().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_shim_that_is_killed_is_an_error_and_leaves_nothing() {
    let bench = Bench::new(&["bash"]);
    let request = bash(&tree("wait"));
    let (outcome, ()) = tokio::join!(bench.run(&request), async {
        bench.until_made("ready").await;
        kill_process(shim_of(&bench), Signal::KILL).unwrap();
    });
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, CommandError::Shim(text) if text.contains("signal: 9")) && !error.is_final(),
        "{error:?}"
    );
    nothing_runs_within(&bench, Duration::from_secs(1)).await;
    bench.assert_no_folder();
}

#[tokio::test]
async fn a_shim_told_to_end_ends_its_program_and_reports() {
    let bench = Bench::new(&["bash"]);
    let request = bash("trap 'exit 9' TERM; mkfifo never; touch ready; read <>never");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (outcome, ()) = tokio::join!(bench.run(&request), async {
            bench.until_made("ready").await;
            kill_process(shim_of(&bench), signal).unwrap();
        });
        assert_eq!(outcome.unwrap().exit_code, Some(9));
    }
    bench.assert_nothing_runs();
}

#[tokio::test]
async fn a_program_that_forks_without_end_is_ended() {
    let mut bench = Bench::new(&["bash"]);
    bench.runner.grace = Duration::ZERO;
    // Each generation starts the next in a new session and ends: no group, no parent and no process id that stays.
    let mut request = bash(
        "f() { setsid bash -c \"$g\" & }; export g='echo x; setsid bash -c \"$g\" &'; f; touch ready; sleep 1000",
    );
    request.timeout_ms = Some(500);
    let error = bench.run(&request).await.unwrap_err();
    assert!(matches!(&error, CommandError::TimedOut { output, .. } if output.stdout.len() > 4), "{error:?}");
    bench.assert_nothing_runs();
}
