//! `callboard demo`: a server with something to see.

mod jobs;
mod load;

use std::{panic, path::PathBuf, process::ExitCode};

use callboard::{App, Cron, config::Settings};
use clap::Args;

use super::{
    logging,
    output::{Failure, line},
    serve::run_until_ended,
};

/// How the demonstration is set up.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Address and port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Keep everything in this folder [default: a new one, which is removed at the end].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

const TOUR: &str =
    "a small shop is open: it sends mail, scales pictures, takes payments, and some of that goes wrong

  callboard console               all of it, in a terminal; /ui/ shows it in a browser
  callboard tree --watch          the supervision tree, as it is now
  callboard jobs list             the newest jobs
  callboard dead                  what dead jobs died of
  callboard workflows list        the reports, step by step
  callboard cron                  what comes at its times
  callboard queues                what waits where

Ctrl-C closes it.";

pub(super) async fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let (kept, folder) = match args.data {
        Some(folder) => (None, folder),
        None => {
            let new = tempfile::tempdir()
                .map_err(|error| Failure::failed(format!("a folder for the demonstration: {error}")))?;
            let path = new.path().to_owned();
            (Some(new), path)
        }
    };
    let settings = settings(&args.listen, folder)?;
    logging::begin(&settings.log).map_err(Failure::usage)?;
    // The jobs that panic are there to be seen in the tree and with the job; a backtrace here would hide the lines above.
    panic::set_hook(Box::new(|panic| tracing::info!(%panic, "a panic")));
    let builder = App::builder().settings(settings).web().console();
    let sync = Cron::new("*/5 * * * * *", &jobs::SyncStock {});
    let builder = jobs::register(builder).cron("sync-stock", sync);
    line(TOUR);
    let ended = Box::pin(run_until_ended(builder, load::run)).await;
    drop(kept);
    ended
}

/// Those of a server that nobody has configured, with queues of the shop's and without what a file or a variable says: it shows the
/// same wherever it runs.
fn settings(listen: &str, folder: PathBuf) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.web.listen = listen.parse().map_err(|_| {
        Failure::usage(format!("--listen: {listen:?} is no address and port, such as 127.0.0.1:8080"))
    })?;
    if !settings.web.listen.ip().is_loopback() {
        let problem =
            "the demonstration asks for no token, so other machines must not reach it: listen on loopback";
        return Err(Failure::usage(format!("--listen: {problem}")));
    }
    settings.data.dir = folder;
    settings.log.level = "error".to_owned();
    for (queue, concurrency) in jobs::QUEUES {
        let mut of_shop = settings.queue_defaults.clone();
        of_shop.concurrency = concurrency;
        settings.queues.insert(queue.to_owned(), of_shop);
    }
    Ok(settings)
}
