//! `callboard bench bus`.

mod bare;
mod ours;
mod queue;

use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    machine::Machine,
    server::Folder,
    statistics::{per_second, round},
};
use queue::BenchQueue;

#[derive(Debug, Args)]
pub(crate) struct BusArgs {
    /// The broker: amqp://USER:PASSWORD@HOST:5672/VHOST. The queue callboard.outcomes is made there and deleted; the virtual host must
    /// not have one.
    #[arg(long, env = "CALLBOARD_BENCH_RABBITMQ", hide_env_values = true, value_name = "URL")]
    url: String,
    /// Messages of each measurement.
    #[arg(long, default_value_t = 50_000, value_parser = RangedU64ValueParser::<usize>::new().range(100..=10_000_000), value_name = "N")]
    messages: usize,
    /// Bytes of each message.
    #[arg(long, default_value_t = 512, value_parser = RangedU64ValueParser::<usize>::new().range(2..=1_000_000), value_name = "BYTES")]
    size: usize,
    /// Messages that may be published and not yet confirmed.
    #[arg(long, default_value_t = 500, value_parser = RangedU64ValueParser::<u16>::new().range(1..), value_name = "N")]
    window: u16,
    /// Messages that may be delivered and not yet acknowledged.
    #[arg(long, default_value_t = 500, value_parser = RangedU64ValueParser::<u16>::new().range(1..), value_name = "N")]
    prefetch: u16,
    /// How often each measurement is made, by turns.
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100), value_name = "N")]
    rounds: usize,
    /// Where a file is written for the time of its disk, and removed again.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    place: PathBuf,
}

/// What `callboard bench bus` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    /// A durable quorum queue; persistent messages.
    queue: &'static str,
    messages: usize,
    message_bytes: usize,
    window: u16,
    prefetch: u16,
    /// From the first message to the last confirmation.
    publish: Comparison,
    /// From the first delivery to the last that is done with.
    consume: Comparison,
}

/// Callboard's edge beside the client library that it stands on (lapin), called directly, by turns.
#[derive(Debug, Serialize)]
struct Comparison {
    /// Of the rounds' own ratios the median: above 1 Callboard's edge is faster.
    ratio: f64,
    rounds: Vec<Round>,
}

#[derive(Debug, Serialize)]
struct Round {
    callboard_per_second: f64,
    bare_client_per_second: f64,
    ratio: f64,
}

impl Comparison {
    fn of(messages: usize, times: &[(Duration, Duration)]) -> Self {
        let rounds: Vec<Round> = times
            .iter()
            .map(|(ours, bare)| Round {
                callboard_per_second: per_second(messages, *ours),
                bare_client_per_second: per_second(messages, *bare),
                ratio: round(bare.as_secs_f64() / ours.as_secs_f64().max(1e-9)),
            })
            .collect();
        let mut ratios: Vec<f64> = rounds.iter().map(|round| round.ratio).collect();
        ratios.sort_by(f64::total_cmp);
        Comparison { ratio: ratios[ratios.len() / 2], rounds }
    }
}

/// How one side does both things, in times.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    publish: Duration,
    consume: Duration,
}

/// What each side is asked to do.
#[derive(Clone, Debug)]
struct Task {
    url: String,
    messages: usize,
    body: bytes::Bytes,
    window: u16,
    prefetch: u16,
}

/// Publishes to a quorum queue and reads it, by turns through our edge and by the bare client.
pub(super) async fn run(args: &BusArgs, printer: Printer) -> Result<Report, Failure> {
    let progress = Progress::new(printer, None);
    let machine = {
        let folder = Folder::create(&args.place)?;
        Machine::look(&folder.0).map_err(|error| Failure::failed(format!("the disk: {error}")))?
    };
    let task = Task {
        url: args.url.clone(),
        messages: args.messages,
        body: format!("\"{}\"", "x".repeat(args.size - 2)).into(),
        window: args.window,
        prefetch: args.prefetch,
    };
    let queue = BenchQueue::claim(&args.url).await?;
    let measured = measure(args, &task, &queue, &progress).await;
    // Whatever became of it.
    queue.delete().await?;
    let (publish, consume) = measured?;
    progress.clear();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        queue: "quorum",
        messages: args.messages,
        message_bytes: args.size,
        window: args.window,
        prefetch: args.prefetch,
        publish: Comparison::of(args.messages, &publish),
        consume: Comparison::of(args.messages, &consume),
    })
}

type Pairs = Vec<(Duration, Duration)>;

async fn measure(
    args: &BusArgs,
    task: &Task,
    queue: &BenchQueue,
    progress: &Progress,
) -> Result<(Pairs, Pairs), Failure> {
    let (mut publish, mut consume) = (Pairs::new(), Pairs::new());
    for number in 0..args.rounds {
        let (mut ours, mut bare) = (Times::default(), Times::default());
        // Whoever is first has a queue that is as fresh as the other's, but perhaps a warmer machine.
        for is_ours in [number % 2 == 0, number % 2 != 0] {
            progress.note(format!(
                "round {} of {}: {}",
                number + 1,
                args.rounds,
                if is_ours { "Callboard" } else { "the bare client" }
            ));
            queue.renew().await?;
            if is_ours {
                ours = ours::run(task).await?;
            } else {
                bare = bare::run(task).await?;
            }
        }
        publish.push((ours.publish, bare.publish));
        consume.push((ours.consume, bare.consume));
    }
    Ok((publish, consume))
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the broker: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_many_times_as_fast_we_are() {
        let seconds = Duration::from_secs;
        let times = [(seconds(2), seconds(1)), (seconds(1), seconds(1)), (seconds(1), seconds(3))];
        let comparison = Comparison::of(100, &times);
        assert_eq!(comparison.ratio, 1.0);
        assert_eq!((comparison.rounds[0].ratio, comparison.rounds[2].ratio), (0.5, 3.0));
        assert_eq!(comparison.rounds[0].callboard_per_second, 50.0);
    }
}
