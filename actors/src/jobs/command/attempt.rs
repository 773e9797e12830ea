//! The server's side of one run: it starts a shim, talks to it and waits until all is over.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use callboard_contracts::api::LogLevel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::environment::{self, RUN_ID};
use super::error::CommandError;
use super::lines::{Lines, OutputLog};
use super::output::{Capture, CommandOutput};
use super::wire::{Ending, GREETING, Launch, ORDER_END, ORDER_KILL, Report, SHIM_WORD, frame, read_frame};
use super::workspace::{self, KeepWorkspace};
use crate::failpoint;

/// How long a shim may take to greet. It needs milliseconds; a loaded machine may be slow.
const GREETING_PATIENCE: Duration = Duration::from_secs(15);
/// How long after the last signal a shim may take to report. It gives up on its own before.
pub(super) const REPORT_PATIENCE: Duration = Duration::from_secs(5);
/// How long pipes may stay open after the report: only by a process that does not go on SIGKILL.
const PIPE_PATIENCE: Duration = Duration::from_secs(2);

/// Everything one run needs.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) shim: PathBuf,
    pub(super) workspace: PathBuf,
    pub(super) keep: KeepWorkspace,
    pub(super) job: String,
    pub(super) attempt: u32,
    pub(super) run_id: String,
    pub(super) passed_env: Vec<String>,
    pub(super) requested_env: BTreeMap<String, String>,
    /// All but the environment, which names the folder.
    pub(super) launch: Launch,
    pub(super) stdin: String,
    pub(super) max_output: usize,
    pub(super) timeout: Duration,
    /// Hears what the program writes, as it comes.
    pub(super) log: Option<OutputLog>,
}

/// Why a program was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    TimedOut,
    Cancelled,
}

/// The orders to end that can come from outside.
#[derive(Debug)]
struct Orders {
    cancel: CancellationToken,
    /// Nobody waits for the outcome any more.
    abandoned: CancellationToken,
    timeout: Duration,
}

impl Attempt {
    /// Runs in a folder of its own; see [`CommandRunner::run`](super::CommandRunner::run).
    pub(super) async fn run(
        self,
        cancel: CancellationToken,
        abandoned: CancellationToken,
    ) -> Result<CommandOutput, CommandError> {
        let (workspace, job, attempt, keep) =
            (self.workspace.clone(), self.job.clone(), self.attempt, self.keep);
        let path = workspace.join(&job).join(attempt.to_string());
        let folder = blocking(move || workspace::create(&workspace, &job, attempt))
            .await
            .map_err(|source| CommandError::Workspace { path, source })?;

        let outcome = self.run_in(&folder, cancel, abandoned).await;

        if !keep.keeps(outcome.as_ref().is_ok_and(CommandOutput::succeeded)) {
            let removed = folder.clone();
            if let Err(error) = blocking(move || workspace::remove(&removed)).await {
                tracing::warn!(folder = %folder.display(), %error, "the folder of an attempt could not be removed");
            }
        }
        outcome
    }

    async fn run_in(
        mut self,
        folder: &Path,
        cancel: CancellationToken,
        abandoned: CancellationToken,
    ) -> Result<CommandOutput, CommandError> {
        let sources = environment::Sources {
            folder: folder.to_str().ok_or_else(|| CommandError::Workspace {
                path: folder.to_owned(),
                source: io::Error::new(io::ErrorKind::InvalidInput, "the path is not valid UTF-8"),
            })?,
            job: &self.job,
            attempt: self.attempt,
            run_id: &self.run_id,
            passed: &self.passed_env,
            requested: &self.requested_env,
        };
        self.launch.env = environment::build(sources, |name| std::env::var(name).ok());
        let mut request = frame(&self.launch).map_err(|error| CommandError::Shim(error.to_string()))?;
        request.extend_from_slice(self.stdin.as_bytes());

        let (shim, job, folder) = (self.shim, self.job, folder.to_owned());
        // Starting a process blocks until it has replaced itself.
        let (child, stream) = blocking(move || start_shim(&shim, &job, self.attempt, &folder))
            .await
            .map_err(|error| CommandError::Shim(format!("it could not be started: {error}")))?;
        let orders = Orders { cancel, abandoned, timeout: self.timeout };
        let program = self.launch.name;
        let captures = [LogLevel::Stdout, LogLevel::Stderr].map(|level| {
            let lines = self.log.clone().map(|log| Lines::new(log, level));
            Capture::new(self.max_output, lines)
        });
        converse(child, stream, &request, orders, self.launch.grace, captures, &self.run_id)
            .await?
            .outcome(program)
    }
}

/// What was seen of a run.
#[derive(Debug)]
struct Observed {
    stop: Option<(Stop, Duration)>,
    ending: Ending,
    output: CommandOutput,
}

impl Observed {
    fn outcome(self, program: String) -> Result<CommandOutput, CommandError> {
        let Self { stop, ending, mut output } = self;
        match ending {
            Ending::Exited(code) => output.exit_code = Some(code),
            Ending::Killed(signal) => output.signal = Some(signal),
            Ending::Unknown => {}
            Ending::NotStarted(failure) => {
                let (step, message, errno) = (failure.step, failure.message, failure.errno);
                return Err(CommandError::NotStarted { program, step, message, errno });
            }
        }
        match stop {
            None => Ok(output),
            Some((Stop::TimedOut, after)) => Err(CommandError::TimedOut { after, output: Box::new(output) }),
            Some((Stop::Cancelled, _)) => Err(CommandError::Cancelled { output: Some(Box::new(output)) }),
        }
    }
}

/// Starts a shim that talks over the returned stream.
///
/// Not `kill_on_drop`: a shim that is killed cannot kill. It ends by itself when the stream is closed.
fn start_shim(shim: &Path, job: &str, attempt: u32, folder: &Path) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    theirs.set_nonblocking(false)?;
    let child = Command::new(shim)
        .arg0("callboard-shim")
        .arg(SHIM_WORD)
        // For those who look at the list of processes.
        .args([job, &attempt.to_string()])
        .env_clear()
        .current_dir(folder)
        // Ctrl-C in the server's terminal is the server's to answer.
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, ours))
}

/// Has the shim run the request, passes orders on and waits until all is over.
async fn converse(
    mut child: Child,
    mut stream: UnixStream,
    request: &[u8],
    orders: Orders,
    grace: Duration,
    [mut stdout, mut stderr]: [Capture; 2],
    run_id: &str,
) -> Result<Observed, CommandError> {
    let pipes = child.stdout.take().zip(child.stderr.take());
    let Some((stdout_pipe, stderr_pipe)) = pipes else {
        return Err(CommandError::Shim("it has no pipes".to_owned()));
    };

    if let Err(problem) = hand_over(&mut stream, request).await {
        // A shim would end by itself; this may be any program. It has started nothing.
        let _ = child.kill().await;
        return Err(CommandError::Shim(problem));
    }

    failpoint!("command.running");
    let (mut reports, mut order) = stream.into_split();
    let (mut stop, mut abandoned, mut drained) = (None, false, false);
    let report = {
        let mut report = pin!(async move { read_frame(&mut reports).await });
        let mut output = pin!(async { tokio::join!(stdout.drain(stdout_pipe), stderr.drain(stderr_pipe)) });
        let mut time_is_up = pin!(tokio::time::sleep(orders.timeout));
        let mut patience = pin!(tokio::time::sleep(orders.timeout));
        let report = loop {
            let running = stop.is_none() && !abandoned;
            tokio::select! {
                report = &mut report => break report.ok(),
                _ = &mut output, if !drained => drained = true,
                () = orders.abandoned.cancelled(), if !abandoned => {
                    abandoned = true;
                    patience.set(tokio::time::sleep(REPORT_PATIENCE));
                    // An error means that the shim is gone, which the report's stream tells too.
                    let _ = order.write_u8(ORDER_KILL).await;
                }
                () = orders.cancel.cancelled(), if running => {
                    stop = Some((Stop::Cancelled, Duration::ZERO));
                    patience.set(tokio::time::sleep(grace + REPORT_PATIENCE));
                    let _ = order.write_u8(ORDER_END).await;
                }
                () = &mut time_is_up, if running => {
                    stop = Some((Stop::TimedOut, orders.timeout));
                    patience.set(tokio::time::sleep(grace + REPORT_PATIENCE));
                    let _ = order.write_u8(ORDER_END).await;
                }
                () = &mut patience, if !running => break None,
            }
        };
        let report = report.and_then(|report| serde_json::from_slice::<Report>(&report).ok());
        if report.is_none() {
            let _ = child.start_kill();
            kill_orphans(run_id).await;
        }
        let over = async {
            let exit = child.wait().await;
            if !drained {
                output.await;
            }
            exit
        };
        match (report, timeout(PIPE_PATIENCE, over).await) {
            (Some(report), _) => report,
            (None, _) if stop.is_some() || abandoned => {
                Report { ending: Ending::Unknown, duration: Duration::ZERO, survivors: 0 }
            }
            (None, Ok(Ok(exit))) => {
                return Err(CommandError::Shim(format!("it ended without a report: {exit}")));
            }
            (None, _) => return Err(CommandError::Shim("it ended without a report".to_owned())),
        }
    };
    if report.survivors > 0 {
        tracing::warn!(survivors = report.survivors, "processes of an attempt did not end on SIGKILL");
    }
    let ((stdout, stdout_truncated, stdout_bytes), (stderr, stderr_truncated, stderr_bytes)) =
        (stdout.finish(), stderr.finish());
    let output = CommandOutput {
        exit_code: None,
        signal: None,
        stdout,
        stdout_truncated,
        stdout_bytes,
        stderr,
        stderr_truncated,
        stderr_bytes,
        duration_ms: u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Observed { stop, ending: report.ending, output })
}

/// Waits for the shim's greeting and gives it the request.
pub(super) async fn hand_over(stream: &mut UnixStream, request: &[u8]) -> Result<(), String> {
    let greeted = timeout(GREETING_PATIENCE, async {
        let greeting = stream.read_u8().await?;
        if greeting == GREETING {
            stream.write_all(request).await
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    });
    let hint = "does the `main` of the binary that is re-executed begin with `main_if_shim()`?";
    match greeted.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("it did not take the request ({error}); {hint}")),
        Err(_) => Err(format!("it did not greet within {} s; {hint}", GREETING_PATIENCE.as_secs())),
    }
}

/// Kills what a dead shim could not: the kernel killed the program itself, not what it had started.
#[cfg(target_os = "linux")]
pub(super) async fn kill_orphans(run_id: &str) {
    const ROUNDS: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(20);
    let mark = format!("{RUN_ID}={run_id}");
    for _ in 0..ROUNDS {
        let mark = mark.clone();
        match blocking(move || super::process_tree::kill_marked(&mark)).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "orphans of a dead shim could not be looked for");
                return;
            }
        }
        // They are not our children: nothing tells when they are gone.
        tokio::time::sleep(PAUSE).await;
    }
    tracing::warn!(run_id, "orphans of a dead shim did not end on SIGKILL");
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn kill_orphans(_run_id: &str) {}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
