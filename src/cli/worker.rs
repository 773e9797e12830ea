//! `callboard worker`.

use std::{collections::BTreeSet, future::pending, path::PathBuf, process::ExitCode};

use callboard::{
    App,
    config::{Loader, StoreBackend},
    contracts::{InvalidLabels, Labels, name},
    roles::RoleSet,
};
use clap::Args;

use super::{LogChoice, ServeArgs, config, logging, output::Failure, serve::run_until_ended};

/// How a worker is set up. The configuration is that of servers; what concerns only them is passed over.
#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// The queues whose jobs it runs, with commas between them; NAME=N runs N at once of that queue [default: all that are
    /// configured].
    #[arg(long, value_name = "QUEUES", value_delimiter = ',', value_parser = queue)]
    queues: Vec<ServedQueue>,
    /// Jobs of each queue that run at once [default: as configured].
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: Option<u32>,
    /// What this node has, for queues that ask for it, such as gpu=yes,zone=eu.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    labels: Option<Labels>,
    /// Its name in the fleet [default: the host name and the process id].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The configuration file [default: callboard.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port of its probes and metrics; port 0 lets the system choose [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The folder for the files of its jobs; each process on a host needs one of its own.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A program that `command` jobs may run, by name or absolute path. May be given more than once.
    #[arg(long, value_name = "PROGRAM")]
    allow_program: Vec<String>,
    /// Any other setting. May be given more than once.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How log lines are written.
    #[arg(long)]
    log: Option<LogChoice>,
}

/// A queue, and how many of its jobs run at once where that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServedQueue {
    name: String,
    concurrency: Option<u32>,
}

fn queue(text: &str) -> Result<ServedQueue, String> {
    let (name, concurrency) = match text.split_once('=') {
        None => (text.trim(), None),
        Some((name, jobs)) => match jobs.trim().parse() {
            Ok(jobs @ 1..=100_000) => (name.trim(), Some(jobs)),
            _ => return Err(format!("{text:?}: a number from 1 to 100000 is needed after the equals sign")),
        },
    };
    name::check(name).map_err(|error| error.to_string())?;
    Ok(ServedQueue { name: name.to_owned(), concurrency })
}

fn labels(text: &str) -> Result<Labels, InvalidLabels> {
    text.parse()
}

pub(super) async fn run(args: WorkerArgs) -> Result<ExitCode, Failure> {
    let WorkerArgs { queues, concurrency, labels, name, config, listen, data, allow_program, mut set, log } =
        args;
    let values = [
        ("worker.probes", listen),
        ("system.node_name", name),
        ("system.labels", labels.map(|labels| labels.to_string())),
    ];
    set.extend(values.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))));
    let server = ServeArgs { config, listen: None, data, allow_program, set, log };
    let (loader, serves) = serve_queues(config::loader(&server)?, &queues, concurrency)?;
    let configuration = config::load(loader)?;
    let settings = &configuration.running().settings;
    if settings.store.backend != StoreBackend::Postgres {
        return Err(Failure::usage(
            "a worker shares the store with other processes, and an SQLite file is used by one: set store.backend to \
             \"postgres\" and CALLBOARD__STORE__URL to the database, or let `callboard serve` run the jobs itself",
        ));
    }
    logging::begin(&settings.log).map_err(Failure::usage)?;
    let builder =
        App::builder().configuration(configuration).roles(RoleSet::worker()).serves(serves).probes();
    Box::pin(run_until_ended(builder, async |_| pending().await)).await
}

/// Adds to the settings what the flags say of queues; those that are to be served.
fn serve_queues(
    mut loader: Loader,
    queues: &[ServedQueue],
    concurrency: Option<u32>,
) -> Result<(Loader, BTreeSet<String>), Failure> {
    let queues = if queues.is_empty() {
        let settings = loader.clone().load().map_err(|error| Failure::usage(error.to_string()))?.settings;
        settings.queues.into_keys().map(|name| ServedQueue { name, concurrency: None }).collect()
    } else {
        queues.to_vec()
    };
    for queue in &queues {
        loader = loader.queue(&queue.name, "--queues");
        let (jobs, flag) = match (queue.concurrency, concurrency) {
            (Some(jobs), _) => (jobs, "--queues"),
            (None, Some(jobs)) => (jobs, "--concurrency"),
            (None, None) => continue,
        };
        loader = loader.set(&format!("queues.\"{}\".concurrency", queue.name), jobs.to_string(), flag);
    }
    Ok((loader, queues.into_iter().map(|queue| queue.name).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_named_with_their_numbers() {
        let served = |name: &str, concurrency| ServedQueue { name: name.to_owned(), concurrency };
        assert_eq!(queue("mail"), Ok(served("mail", None)));
        assert_eq!(queue(" gpu = 2 "), Ok(served("gpu", Some(2))));
        for bad in ["", "a b", "gpu=", "gpu=0", "gpu=x", "=2"] {
            assert!(queue(bad).is_err(), "{bad:?}");
        }
        let of_flags = |queues: &[ServedQueue], concurrency| {
            let (loader, serves) = serve_queues(Loader::new(), queues, concurrency).unwrap();
            (loader.load().unwrap().settings, serves)
        };
        let (settings, serves) = of_flags(&[served("mail", None), served("gpu", Some(2))], Some(7));
        assert_eq!(serves, BTreeSet::from(["gpu".to_owned(), "mail".to_owned()]));
        let of = |name: &str| settings.queues[name].concurrency;
        assert_eq!((of("mail"), of("gpu"), of("default")), (7, 2, settings.queue_defaults.concurrency));
        assert_eq!(of_flags(&[], None).1, BTreeSet::from(["default".to_owned()]));
        let dotted = of_flags(&[served("mail.bulk", Some(3))], None).0;
        assert_eq!(dotted.queues["mail.bulk"].concurrency, 3);
    }
}
