//! `callboard serve`.

use std::process::ExitCode;

use callboard::{App, AppError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    ServeArgs, config, logging,
    output::{Failure, INTERRUPTED, try_line},
};

/// The signals that end the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(super) async fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let settings = config::load(args)?.settings;
    let listen = settings.web.listen;
    if !listen.ip().is_loopback() && settings.web.token.is_none() && settings.web.tokens.is_empty() {
        return Err(Failure::usage(format!(
            "web.listen is {listen}, which other machines can reach: set a token (web.token) or listen on loopback"
        )));
    }
    logging::begin(&settings.log).map_err(Failure::usage)?;
    let mut signals = Signals::new().map_err(|error| Failure::failed(error.to_string()))?;
    let app = App::builder().settings(settings).web().start().await.map_err(explain)?;
    if let Some(address) = app.address() {
        // Whoever is to read it may be away; the server serves all the same.
        try_line(&format!("listening on http://{address}"));
    }
    tokio::select! {
        () = signals.next() => {}
        reason = app.system().terminated() => {
            return Err(Failure::failed(format!("the supervision tree ended: {reason}")));
        }
    }
    tracing::info!("stopping: running jobs may finish; interrupt once more to force the end");
    let report = tokio::select! {
        report = app.stop() => report,
        () = signals.next() => {
            tracing::warn!("forced to end: attempts that run become the next ones");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let (finished, handed_back, lost) = (report.jobs.finished, report.jobs.handed_back, report.jobs.lost);
    tracing::info!(finished, handed_back, lost, tree = ?report.tree, "stopped");
    Ok(ExitCode::SUCCESS)
}

fn explain(error: AppError) -> Failure {
    Failure::failed(error.to_string())
}
