//! A workflow over a fleet of which workers are killed: the words of all files below a folder, counted by thousands of steps.
//!
//! `cargo run --release --example word_count --no-default-features --features postgres -- postgres://USER@HOST/DATABASE DATA SOURCES 10000`
//!
//! One step, `split`, finds the files and adds the steps that count, each a part of a file; `collect` waits for all of them and adds up.
//! Three processes of this very program run the jobs. Two of them are killed (SIGKILL) at random moments, and others take their
//! places; what a dead one ran is run again. In the end the sum is compared with that of one plain loop over the files.

use std::{
    collections::hash_map::RandomState,
    error::Error,
    fs,
    hash::{BuildHasher, Hasher},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use callboard::{
    App, AppBuilder,
    contracts::api::{SubmitWorkflow, WorkflowState},
    jobs::{Job, JobContext, JobError, step},
    roles::RoleSet,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

type Failure = Box<dyn Error + Send + Sync>;

/// Processes that run jobs.
const WORKERS: usize = 3;
/// How many of them are killed.
const KILLS: usize = 2;

/// Finds the files below a folder, and adds a step for each of about so many parts of them.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Split {
    folder: PathBuf,
    parts: usize,
}

impl Job for Split {
    const TYPE: &'static str = "split";
    type Output = usize;

    async fn run(self, cx: &JobContext) -> Result<usize, JobError> {
        let files = files(&self.folder)?;
        let mut counted = Vec::new();
        for file in files {
            let lines = fs::read(&file)?.split(|byte| *byte == b'\n').count();
            counted.push((file, lines));
        }
        let all: usize = counted.iter().map(|(_, lines)| lines).sum();
        let mut parts = Vec::with_capacity(self.parts);
        // The smallest size of a part with which there are not too many.
        let mut lines = all.div_ceil(self.parts.max(1)).max(1);
        while counted.iter().map(|(_, count)| count.div_ceil(lines)).sum::<usize>() > self.parts {
            lines += 1;
        }
        for (file, count) in counted {
            for first in (0..count).step_by(lines) {
                let name = format!("part {}", parts.len());
                let part = Count { file: file.clone(), first, lines };
                parts.push(step(name, &part)?.runs_before(["collect"]));
            }
        }
        let count = parts.len();
        cx.add_steps(parts).await?;
        Ok(count)
    }
}

/// Counts the words of a part of a file.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Count {
    file: PathBuf,
    /// The first of its lines.
    first: usize,
    /// How many of them.
    lines: usize,
}

impl Job for Count {
    const TYPE: &'static str = "count";
    type Output = u64;

    async fn run(self, _: &JobContext) -> Result<u64, JobError> {
        let text = fs::read(&self.file)?;
        let lines = text.split(|byte| *byte == b'\n').skip(self.first).take(self.lines);
        let words =
            |line: &[u8]| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count() as u64;
        Ok(lines.map(words).sum())
    }
}

/// Adds up what the parts have.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Collect {}

impl Job for Collect {
    const TYPE: &'static str = "collect";
    type Output = u64;

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        let parts = cx.step_results().await?;
        let parts = parts.iter().filter(|part| part.name != "split");
        Ok(parts.filter_map(|part| part.result.as_ref()?.as_u64()).sum())
    }
}

/// All Rust sources below a folder, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != "target" {
                left.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|ending| ending == "rs") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The same by other means: a word begins where a blank is followed by none.
fn count_plainly(folder: &Path) -> io::Result<u64> {
    let mut words = 0;
    for file in files(folder)? {
        let mut before = b' ';
        for byte in fs::read(file)? {
            words += u64::from(before.is_ascii_whitespace() && !byte.is_ascii_whitespace());
            before = byte;
        }
    }
    Ok(words)
}

fn app(database: &str, data: &Path, roles: &str) -> Result<AppBuilder, Failure> {
    let roles: RoleSet = roles.parse()?;
    Ok(App::builder()
        .postgres(database)
        .data_dir(data)
        .roles(roles)
        .job::<Split>()
        .job::<Count>()
        .job::<Collect>()
        .configure(|settings| {
            // Other programs may use the same database.
            settings.store.schema = "word_count".to_owned();
            // A worker that says nothing is soon taken for dead.
            settings.rescuer.session_ttl = Duration::from_secs(2);
            settings.rescuer.heartbeat = Duration::from_millis(300);
            settings.rescuer.interval = Duration::from_millis(300);
        }))
}

/// A process that runs jobs. Dropped, it is killed.
struct Worker(Child);

impl Worker {
    fn start(database: &str, data: &Path, number: usize) -> Result<Self, Failure> {
        let data = data.join(format!("worker-{number}"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--worker").arg(database).arg(data).stdin(Stdio::piped());
        Ok(Worker(command.spawn()?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A random number below `most`.
fn random(most: u64) -> u64 {
    RandomState::new().build_hasher().finish() % most
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [flag, database, data] if flag == "--worker" => Box::pin(work(database, Path::new(data))).await,
        [database, data, sources, parts] => {
            Box::pin(show(database, Path::new(data), Path::new(sources), parts.parse()?)).await
        }
        [database, data] => {
            // Its own sources, in a few hundred parts.
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("supervisors");
            Box::pin(show(database, Path::new(data), &sources, 300)).await
        }
        _ => Err("which? postgres://USER@HOST/DATABASE DATA [SOURCES PARTS]".into()),
    }
}

/// Runs jobs until nobody holds the other end of the standard input.
async fn work(database: &str, data: &Path) -> Result<(), Failure> {
    let app = app(database, data, "processor")?.start().await?;
    let mut nothing = String::new();
    tokio::task::spawn_blocking(move || io::stdin().read_line(&mut nothing)).await??;
    app.stop().await;
    Ok(())
}

async fn show(database: &str, data: &Path, sources: &Path, parts: usize) -> Result<(), Failure> {
    let app = app(database, data, "gateway,read-model,leader")?.start().await?;
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(Worker::start(database, data, number)?);
    }
    let begun = Instant::now();
    let workflow = SubmitWorkflow {
        name: Some("word count".to_owned()),
        steps: vec![
            step("split", &Split { folder: sources.to_owned(), parts })?,
            step("collect", &Collect {})?.waits_for(["split"]),
        ],
        ..SubmitWorkflow::default()
    };
    let id = app.workflows().submit(workflow).await?.id;

    // At random moments while it counts: when so many steps are done.
    let mut kills: Vec<u64> = (0..KILLS).map(|_| random(parts as u64 * 3 / 4)).collect();
    kills.sort_unstable();
    let mut killed = 0;
    let ended = loop {
        let now = app.workflows().get(id).await?;
        if now.state.has_ended() {
            break now;
        }
        if kills.get(killed).is_some_and(|at| u64::from(now.completed) >= (*at).max(1)) {
            let victim = usize::try_from(random(WORKERS as u64))?;
            let number = WORKERS + killed;
            let done = now.completed;
            println!("a worker is killed when {done} steps are done, and another one takes its place");
            workers[victim] = Worker::start(database, data, number)?;
            killed += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let took = begun.elapsed();
    if ended.state != WorkflowState::Completed {
        return Err(format!("the workflow is {}", ended.state).into());
    }
    // The steps that were there from the beginning are the first ones.
    let steps = app.workflows().steps(id, None, 2, None).await?;
    let collected = app.job(steps.steps[1].job).await?.result.and_then(|sum| sum.as_u64());
    let plainly = count_plainly(sources)?;
    println!("{} steps in {took:.1?}, with {killed} workers killed", ended.steps);
    println!("{} words, and {plainly} by a plain loop", collected.unwrap_or_default());
    println!("every word was counted once: {}", collected == Some(plainly));
    drop(workers);
    app.stop().await;
    Ok(())
}
