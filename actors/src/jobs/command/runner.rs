//! Running one request as an attempt of a job.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::allow_list::AllowList;
use super::attempt::Attempt;
use super::error::CommandError;
use super::lines::OutputLog;
use super::output::CommandOutput;
use super::request::CommandRequest;
use super::workspace::KeepWorkspace;
use super::{own_process, wire, workspace};

/// Runs allow-listed programs, each under a shim of its own.
///
/// Cheap to clone; one serves all attempts of a server. [`Self::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct CommandRunner {
    /// The binary that becomes the shim: one whose `main` begins with [`main_if_shim`](super::main_if_shim).
    pub shim: PathBuf,
    /// What may run. Empty by default.
    pub allow: AllowList,
    /// The folder that holds the attempts' own folders. It is made when needed, and belongs to one server alone.
    pub workspace: PathBuf,
    /// When the folder of an attempt stays. Never by default.
    pub keep: KeepWorkspace,
    /// Names of variables that programs get from the server's environment. None by default.
    pub passed_env: Vec<String>,
    /// How many bytes are kept of each output stream. 1 MiB by default.
    pub max_output: usize,
    /// How long a program may run whose request does not say. An hour by default.
    pub default_timeout: Duration,
    /// The time from SIGTERM to SIGKILL after a timeout or a cancellation. 5 s by default.
    pub grace: Duration,
}

/// Whose attempt a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptName<'a> {
    /// The job's id: 1 to 64 letters, digits and `-`.
    pub job: &'a str,
    /// The number of the attempt.
    pub attempt: u32,
}

impl CommandRunner {
    /// A runner that re-executes the running binary, which must begin with [`main_if_shim`](super::main_if_shim).
    ///
    /// # Errors
    /// Where the system cannot tell which binary is running.
    pub fn new(allow: AllowList, workspace: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            shim: own_process::executable()?,
            allow,
            workspace: workspace.into(),
            keep: KeepWorkspace::default(),
            passed_env: Vec::new(),
            max_output: 1024 * 1024,
            default_timeout: Duration::from_secs(60 * 60),
            grace: Duration::from_secs(5),
        })
    }

    /// Removes the folders that a crashed server left behind; returns of how many jobs.
    ///
    /// For the start of the server, before anything runs: it makes no difference between leftovers and what is in use.
    /// Programs of a killed server may still have half a second to live, so a removal that fails is tried again.
    ///
    /// # Errors
    /// What the system says when a leftover cannot be removed.
    pub async fn clean_workspace(&self) -> io::Result<usize> {
        const TRIES: u32 = 5;
        const PAUSE: Duration = Duration::from_millis(250);
        for _ in 1..TRIES {
            match self.clean_once().await {
                Ok(removed) => return Ok(removed),
                Err(error) => tracing::debug!(%error, "the workspace could not be cleaned yet"),
            }
            // Nothing signals the end of another server's programs.
            tokio::time::sleep(PAUSE).await;
        }
        self.clean_once().await
    }

    async fn clean_once(&self) -> io::Result<usize> {
        let workspace = self.workspace.clone();
        tokio::task::spawn_blocking(move || workspace::clean(&workspace)).await.map_err(io::Error::other)?
    }

    /// Runs the program of `request` to its end and returns how it ended and what it wrote.
    ///
    /// An exit code other than 0 and death by a signal are output, not errors. When the future resolves, no process of
    /// the attempt is left, and its folder is removed unless it is kept.
    ///
    /// Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`CommandError`]; a refusal and an invalid request start nothing.
    ///
    /// # Cancellation
    /// When `cancel` fires, or the time is over, all processes get SIGTERM and, after the grace, SIGKILL. When the
    /// future is dropped, they get SIGKILL at once; a task of the runtime reaps them and removes the folder. If the
    /// runtime itself ends, or the process dies, the shim kills them within half a second.
    pub async fn run(
        &self,
        request: &CommandRequest,
        attempt: AttemptName<'_>,
        cancel: CancellationToken,
    ) -> Result<CommandOutput, CommandError> {
        self.run_with(request, attempt, cancel, None).await
    }

    /// As [`run`](Self::run), and `log` hears what the program writes, while it does.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_logged(
        &self,
        request: &CommandRequest,
        attempt: AttemptName<'_>,
        cancel: CancellationToken,
        log: OutputLog,
    ) -> Result<CommandOutput, CommandError> {
        self.run_with(request, attempt, cancel, Some(log)).await
    }

    async fn run_with(
        &self,
        request: &CommandRequest,
        attempt: AttemptName<'_>,
        cancel: CancellationToken,
        log: Option<OutputLog>,
    ) -> Result<CommandOutput, CommandError> {
        if !cfg!(target_os = "linux") {
            return Err(CommandError::Unsupported);
        }
        let attempt = Attempt { log, ..self.prepare(request, attempt)? };
        if cancel.is_cancelled() {
            return Err(CommandError::Cancelled { output: None });
        }
        let abandoned = CancellationToken::new();
        let _abandon_on_drop = abandoned.clone().drop_guard();
        // A task of its own, so that the end is seen to also when nobody awaits it any more.
        match tokio::spawn(attempt.run(cancel, abandoned).in_current_span()).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(CommandError::Shim("the runtime is ending".to_owned())),
        }
    }

    fn prepare(&self, request: &CommandRequest, name: AttemptName<'_>) -> Result<Attempt, CommandError> {
        request.validate()?;
        let program = self.allow.resolve(&request.program)?;
        if !workspace::is_job_name(name.job) {
            return Err(CommandError::BadJobName(format!("{:?}", name.job)));
        }
        Ok(Attempt {
            shim: self.shim.clone(),
            workspace: self.workspace.clone(),
            keep: self.keep,
            job: name.job.to_owned(),
            attempt: name.attempt,
            run_id: uuid::Uuid::new_v4().to_string(),
            passed_env: self.passed_env.clone(),
            requested_env: request.env.clone(),
            launch: wire::Launch {
                terminal: false,
                file: program.file().to_owned(),
                name: program.listed().to_owned(),
                args: request.args.clone(),
                env: std::collections::BTreeMap::new(),
                stdin_bytes: request.stdin.as_ref().map_or(0, String::len),
                grace: self.grace,
            },
            stdin: request.stdin.clone().unwrap_or_default(),
            max_output: self.max_output,
            timeout: request.timeout().unwrap_or(self.default_timeout),
            log: None,
        })
    }
}
