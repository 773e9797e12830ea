//! `callboard serve`.

use std::{convert::Infallible, future::pending, process::ExitCode};

use callboard::{App, AppBuilder, AppError, config::StoreBackend, roles::RoleSet};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    ServeArgs, config, logging,
    output::{Failure, INTERRUPTED, try_line},
};

/// The signals that the server obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The one that lets it read its configuration again.
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one that ends it; each of the others is obeyed meanwhile.
    async fn end(&mut self, app: &App) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    // It says in the log what came of it.
                    let _ = app.reread_settings().await;
                }
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(super) async fn run(
    mut args: ServeArgs,
    observatory: bool,
    roles: Option<RoleSet>,
) -> Result<ExitCode, Failure> {
    if observatory {
        args.set.push("observatory.ports=true".to_owned());
    }
    let configuration = config::load(config::loader(&args)?)?;
    let settings = &configuration.running().settings;
    let roles = roles.unwrap_or_default();
    roles
        .check(settings.store.backend == StoreBackend::Postgres)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let listen = settings.web.listen;
    if !listen.ip().is_loopback() && settings.web.token.is_none() && settings.web.tokens.is_empty() {
        return Err(Failure::usage(format!(
            "web.listen is {listen}, which other machines can reach: set a token (web.token) or listen on loopback"
        )));
    }
    logging::begin(&settings.log).map_err(Failure::usage)?;
    let builder = App::builder().configuration(configuration).roles(roles).web().console();
    Box::pin(run_until_ended(builder, async |_| pending().await)).await
}

/// Runs an app, and something that has no end beside it, until a signal or a command ends it, and ends it in good order.
pub(super) async fn run_until_ended(
    builder: AppBuilder,
    beside: impl AsyncFnOnce(&App) -> Infallible,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::failed(error.to_string()))?;
    let app = builder.log_level(logging::set_level).start().await.map_err(explain)?;
    if let Some(address) = app.address() {
        // Whoever is to read it may be away; the server serves all the same.
        try_line(&format!("listening on http://{address}"));
    }
    for (port, address) in app.old_addresses() {
        try_line(&format!("the old {port} on http://{address}"));
    }
    tokio::select! {
        () = signals.end(&app) => {}
        () = app.told_to_leave() => tracing::info!("told to leave the fleet"),
        never = beside(&app) => match never {},
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
