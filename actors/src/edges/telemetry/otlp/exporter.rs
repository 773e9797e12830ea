//! [`Exporter`]: the actor that sends spans to the collector.

use std::{rc::Rc, time::Duration};

use callboard_supervisors::{Actor, ChildSpec, Context, MailboxSpec, Placement, Shutdown, StartError};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::handle::{Batch, Telemetry},
    OtlpError, OtlpSettings,
    collector::{Collector, Refused},
    message,
};
use crate::jobs::retry;

/// The first and the longest pause after a batch that was not taken.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(5 * 60);
/// How often what was rejected is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What an [`Exporter`] is made from.
#[derive(Clone, Debug)]
pub struct ExporterArgs {
    telemetry: Telemetry,
    settings: OtlpSettings,
    collector: Collector,
}

/// Takes spans from where they wait and sends them to the collector, one batch at a time. Whatever the collector does, the
/// node is as ready as without it; the log says once that it is away, and the numbers what that has cost.
pub struct Exporter {
    stops: CancellationToken,
    done: Rc<Notify>,
}

impl Exporter {
    /// The actor's specification. Reads the file of certificate authorities, so it blocks.
    ///
    /// # Errors
    /// A setting cannot work.
    pub fn spec(telemetry: Telemetry, settings: OtlpSettings) -> Result<ChildSpec<Exporter>, OtlpError> {
        let collector = Collector::new(&settings)?;
        let patience = settings.timeout + Duration::from_secs(1);
        Ok(ChildSpec::new("telemetry", ExporterArgs { telemetry, settings, collector })
            .placement(Placement::Control)
            .shutdown(Shutdown::Timeout(patience))
            .mailbox(MailboxSpec::bounded(1)))
    }
}

impl Actor for Exporter {
    type Args = ExporterArgs;

    async fn start(args: ExporterArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let actor = Exporter { stops: CancellationToken::new(), done: Rc::default() };
        let (stops, done) = (actor.stops.clone(), actor.done.clone());
        cx.spawn(async move {
            Sending { args, away: false, told: None }.run(&stops).await;
            done.notify_one();
        });
        Ok(actor)
    }

    /// What waits is sent, as far as that is done in time.
    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.stops.cancel();
        self.done.notified().await;
    }
}

struct Sending {
    args: ExporterArgs,
    /// Whether the collector was away the last time.
    away: bool,
    /// When it was last told that spans were rejected.
    told: Option<Instant>,
}

impl Sending {
    async fn run(mut self, stops: &CancellationToken) {
        let (telemetry, interval) = (self.args.telemetry.clone(), self.args.settings.interval);
        while !stops.is_cancelled() {
            tokio::select! {
                biased;
                () = stops.cancelled() => break,
                () = telemetry.gathered() => {}
                () = sleep(interval) => {}
            }
            let mut more = true;
            while more && let Some((batch, left)) = telemetry.take() {
                more = left;
                if let Some(batch) = self.deliver(batch, stops).await {
                    return self.finish(Some(batch)).await;
                }
            }
        }
        self.finish(None).await;
    }

    /// Sends a batch until it is taken or refused for good. Gives it back if the node stops meanwhile.
    async fn deliver(&mut self, batch: Batch, stops: &CancellationToken) -> Option<Batch> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = tokio::select! {
                biased;
                () = stops.cancelled() => return Some(batch),
                sent = self.send(&batch) => match sent {
                    Ok(rejected) => {
                        batch.settle(rejected);
                        return None;
                    }
                    Err(asked) => asked,
                },
            };
            // Not all nodes of a fleet at once.
            let drawn = pause.mul_f64(0.5 + retry::random() / 2.0);
            tokio::select! {
                () = stops.cancelled() => return Some(batch),
                () = sleep(asked.map_or(drawn, |asked| asked.clamp(drawn, LONGEST_ASKED))) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends what is left, each batch once, in the time that there is.
    async fn finish(&mut self, in_hand: Option<Batch>) {
        let telemetry = self.args.telemetry.clone();
        let before = telemetry.numbers().dropped.get();
        let deadline = Instant::now() + self.args.settings.timeout;
        let mut next = in_hand.or_else(|| Some(telemetry.take()?.0));
        while let Some(batch) = next {
            match timeout_at(deadline, self.send(&batch)).await {
                Ok(Ok(rejected)) => batch.settle(rejected),
                Ok(Err(_)) | Err(_) => break,
            }
            next = telemetry.take().map(|(batch, _)| batch);
        }
        // A batch that is dropped is counted.
        while telemetry.take().is_some() {}
        let dropped = telemetry.numbers().dropped.get() - before;
        if dropped > 0 {
            tracing::warn!(dropped, "the last spans could not be sent to the collector in time");
        }
    }

    /// Sends a batch once. `Ok`: it is done with, and so many were rejected. `Err`: it may be sent again, after this time if
    /// the collector says so.
    async fn send(&mut self, batch: &Batch) -> Result<u64, Option<Duration>> {
        let count = batch.spans().len() as u64;
        let ExporterArgs { settings, collector, .. } = &self.args;
        let body = message::request(settings, batch.spans());
        let limit = settings.timeout;
        let sent = timeout(limit, collector.send(body)).await;
        let sent = sent.unwrap_or_else(|_| {
            Err(Refused::Later { why: format!("it gave no answer within {limit:?}"), after: None })
        });
        let (rejected, why) = match sent {
            Ok(taken) => taken,
            Err(Refused::ForGood { why }) => (count, why),
            Err(Refused::Later { why, after }) => {
                if !std::mem::replace(&mut self.away, true) {
                    let collector = collector.to_string();
                    tracing::warn!(
                        collector,
                        why,
                        "the collector of spans is away; they wait, as far as there is room"
                    );
                }
                return Err(after);
            }
        };
        if std::mem::replace(&mut self.away, false) {
            tracing::info!(collector = %collector, "the collector of spans is back");
        }
        if rejected > 0 && self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            tracing::warn!(collector = %collector, rejected, why, "the collector did not want some spans");
            self.told = Some(Instant::now());
        }
        Ok(rejected.min(count))
    }
}
