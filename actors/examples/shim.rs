//! A binary that can be re-executed as the shim of `command` jobs.
//!
//! The integration tests need one, because the test harness owns the `main` of a test binary. It is an example and not a
//! `[[bin]]` because cargo builds examples along with the tests and never installs them; the tests find it next to
//! themselves. Its other use is to be a small server that gets killed: `shim serve <workspace> <script>` runs the bash
//! script through a runner.

use callboard_actors::jobs::command::{AllowList, AttemptName, CommandRequest, CommandRunner, main_if_shim};
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    main_if_shim();

    let args: Vec<String> = std::env::args().skip(1).collect();
    let [word, workspace, script] = args.as_slice() else {
        return Err("usage: shim serve <workspace> <script>".into());
    };
    if word != "serve" {
        return Err(format!("unknown word {word:?}; usage: shim serve <workspace> <script>").into());
    }
    let runner = CommandRunner::new(AllowList::new(["bash"])?, workspace)?;
    let request = CommandRequest {
        program: "bash".into(),
        args: vec!["-c".into(), script.clone()],
        ..CommandRequest::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let attempt = AttemptName { job: "served", attempt: 1 };
    let output = runtime.block_on(runner.run(&request, attempt, CancellationToken::new()))?;
    print!("{}", output.stdout);
    Ok(())
}
