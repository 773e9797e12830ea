//! Running programs: what comes back, and what stays behind.

mod ending;
mod output;
mod refusal;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use callboard_actors::jobs::command::{
    AllowList, AttemptName, CommandError, CommandOutput, CommandRequest, CommandRunner,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long anything may take that normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The example that acts as the shim. Cargo puts it next to the folder of this test's executable.
fn shim() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let shim = test.parent().unwrap().parent().unwrap().join("examples/shim");
    assert!(shim.exists(), "{} is built with the tests of the whole package", shim.display());
    shim
}

/// A runner in a workspace of its own.
struct Bench {
    root: TempDir,
    runner: CommandRunner,
}

impl Bench {
    fn new(allowed: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut runner =
            CommandRunner::new(AllowList::new(allowed).unwrap(), root.path().join("workspace")).unwrap();
        runner.shim = shim();
        runner.default_timeout = PATIENCE;
        runner.grace = Duration::from_secs(10);
        Self { root, runner }
    }

    fn folder(&self) -> PathBuf {
        self.runner.workspace.join("job/1")
    }

    async fn run(&self, request: &CommandRequest) -> Result<CommandOutput, CommandError> {
        self.runner.run(request, AttemptName { job: "job", attempt: 1 }, CancellationToken::new()).await
    }

    async fn bash(&self, script: &str) -> Result<CommandOutput, CommandError> {
        self.run(&bash(script)).await
    }

    /// Waits until the program has made the file `name` in its folder.
    async fn until_made(&self, name: &str) {
        until(PATIENCE, || self.folder().join(name).exists().then_some(()).ok_or(name)).await;
    }

    /// Asserts that nothing that runs has to do with this workspace.
    fn assert_nothing_runs(&self) {
        assert_eq!(processes_of(self.root.path()), Vec::<String>::new());
    }

    fn assert_no_folder(&self) {
        assert_eq!(std::fs::read_dir(&self.runner.workspace).unwrap().count(), 0);
    }
}

fn request(program: &str, args: &[&str]) -> CommandRequest {
    CommandRequest {
        program: program.into(),
        args: args.iter().copied().map(Into::into).collect(),
        ..CommandRequest::default()
    }
}

fn bash(script: &str) -> CommandRequest {
    request("bash", &["-c", script])
}

/// Polls until `state` is ok; panics with what it is instead when the time is over.
async fn until<T, E: std::fmt::Debug>(patience: Duration, mut state: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match state() {
            Ok(done) => return done,
            Err(state) => assert!(Instant::now() < deadline, "after {patience:?}: {state:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The processes that work in `root` or have it in their environment: shims, programs and what they started.
fn processes_of(root: &Path) -> Vec<String> {
    let root = root.to_str().unwrap();
    let mine = std::process::id().to_string();
    let described = |pid: String| {
        let proc = Path::new("/proc").join(&pid);
        let cwd = std::fs::read_link(proc.join("cwd")).unwrap_or_default();
        let environment = std::fs::read(proc.join("environ")).unwrap_or_default();
        let belongs =
            cwd.to_string_lossy().starts_with(root) || String::from_utf8_lossy(&environment).contains(root);
        let command = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        belongs.then(|| format!("{pid} {command}"))
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.parse::<i32>().is_ok() && *name != mine).filter_map(described).collect()
}

/// The children of this process that ended and were not waited for.
fn zombies() -> Vec<String> {
    let mine = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let zombie = |stat: &String| {
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[0] == "Z" && fields[1] == mine
    };
    stats.filter(zombie).collect()
}
