use std::{sync::Weak, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{MAX_STATE_BYTES, MOST_SIGNALS},
};
use prometheus::IntCounter;
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::{
    edges::store::{record::Lease, signals::SignalRecord},
    jobs::journal::{Inbox, JournalArgs},
};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct NoStore;

impl SignalAccess for NoStore {
    fn acknowledge(&self, _: u32) -> BoxFuture<'static, Result<(), SignalError>> {
        Box::pin(async { Err(SignalError::Stale) })
    }
}

/// An attempt that listens, and what it is told by.
struct Run {
    signals: Signals,
    desk: Arc<SignalDesk>,
    cancelled: CancellationToken,
    journal: Arc<Journal>,
}

impl Run {
    fn new() -> Self {
        let lease = Lease { id: Uuid::from_u128(1), token: 7 };
        let desk = Arc::new(SignalDesk::default());
        let counter = |name: &str| IntCounter::new(name, name).unwrap();
        let counters = (counter("said"), counter("dropped"));
        let journal = Journal::new(JournalArgs {
            lease,
            started_at: Timestamp::from_micros(1),
            queue: "default".to_owned(),
            job_type: "noop".to_owned(),
            limits: crate::jobs::LogLimits::default(),
            inbox: Weak::new(),
            budget: Inbox::default().budget,
            clock: Box::new(|| Timestamp::from_micros(1_000)),
            counters: Box::new(move |_, _| counters.clone()),
        });
        let signals = Signals { inbox: SignalInbox::new(lease, desk.clone()), access: Arc::new(NoStore) };
        Run { signals, desk, cancelled: CancellationToken::new(), journal }
    }

    async fn next(&self, name: Option<&str>) -> Result<Signal, SignalError> {
        timeout(PATIENCE, self.signals.next(name, &self.cancelled, &self.journal)).await.unwrap()
    }

    async fn try_next(&self, name: Option<&str>) -> Result<Option<Signal>, SignalError> {
        timeout(PATIENCE, self.signals.try_next(name, &self.cancelled, &self.journal)).await.unwrap()
    }

    /// As the role does: what the store has.
    fn fill(&self, records: &[SignalRecord], all: bool) {
        self.desk.news_for_all();
        for inbox in self.desk.take_due() {
            inbox.put(records, all);
        }
    }

    /// Begins to listen, without anything being there.
    async fn listen(&self) {
        let mut waits = std::pin::pin!(self.signals.next(None, &self.cancelled, &self.journal));
        assert!(futures_util::poll!(&mut waits).is_pending());
    }

    fn taken(&self) -> Vec<u32> {
        self.journal.take(std::time::Instant::now()).map(|report| report.taken).unwrap_or_default()
    }
}

fn record(number: u32, name: &str, value: &str) -> SignalRecord {
    SignalRecord {
        number,
        id: Uuid::from_u128(number.into()),
        name: name.to_owned(),
        value: value.to_owned(),
        by: "anna".to_owned(),
        at: Timestamp::from_micros(5),
        taken: None,
        acknowledged_at: None,
    }
}

fn numbers(run: &[Signal]) -> Vec<u32> {
    run.iter().map(Signal::number).collect()
}

/// More wait in the store than an inbox holds: what is not among those that are here is not waited for.
#[tokio::test]
async fn a_full_inbox_is_looked_into_without_waiting_for_the_rest() {
    let run = Run::new();
    run.listen().await;
    let records: Vec<SignalRecord> = (1..=MOST_SIGNALS).map(|number| record(number, "more", "1")).collect();
    run.fill(&records, false);
    assert_eq!(run.try_next(Some("absent")).await.unwrap().map(|signal| signal.number()), None);
    assert_eq!(run.try_next(None).await.unwrap().map(|signal| signal.number()), Some(1));
}

#[tokio::test]
async fn signals_come_in_order_by_their_names_and_each_once() {
    let run = Run::new();
    assert!(run.desk.is_empty(), "who asks for nothing costs nothing");
    run.listen().await;
    assert!(!run.desk.is_empty());
    let all = [record(1, "a", "1"), record(2, "b", "2"), record(3, "a", "3"), record(4, "c", "4")];
    run.fill(&all[..3], true);
    // What is read again is there once.
    run.fill(&all, true);
    let first = run.next(Some("b")).await.unwrap();
    let rest = [run.next(None).await.unwrap(), run.next(Some("a")).await.unwrap()];
    assert_eq!((first.number(), numbers(&rest)), (2, vec![1, 3]));
    assert_eq!(run.try_next(Some("a")).await, Ok(None));
    assert_eq!(run.try_next(None).await.unwrap().map(|signal| signal.number()), Some(4));
    assert_eq!(run.taken(), [2, 1, 3, 4]);
}

#[tokio::test]
async fn whoever_stops_waiting_has_taken_nothing() {
    let run = Run::new();
    for _ in 0..3 {
        run.listen().await;
    }
    run.fill(&[record(1, "a", "1")], true);
    {
        // It could be given now, and is dropped before it is asked for again.
        let waits = run.signals.next(None, &run.cancelled, &run.journal);
        drop(waits);
    }
    assert_eq!(run.taken(), [0_u32; 0]);
    // Of two that wait, each gets one.
    let (one, other) = tokio::join!(run.next(None), async {
        run.fill(&[record(1, "a", "1"), record(2, "a", "2")], true);
        run.next(None).await
    });
    let mut both = numbers(&[one.unwrap(), other.unwrap()]);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
}

#[tokio::test]
async fn a_look_waits_until_the_store_was_looked_into() {
    let run = Run::new();
    let mut looks = std::pin::pin!(run.signals.try_next(Some("b"), &run.cancelled, &run.journal));
    assert!(futures_util::poll!(&mut looks).is_pending());
    // A part of what there is says nothing of the rest.
    run.fill(&[record(1, "a", "1")], false);
    assert!(futures_util::poll!(&mut looks).is_pending());
    run.fill(&[record(2, "b", "2")], true);
    assert_eq!(looks.await.unwrap().map(|signal| signal.number()), Some(2));
}

#[tokio::test]
async fn waiting_ends_with_the_run_and_when_it_is_to_end() {
    let run = Run::new();
    let (waits, ()) = tokio::join!(run.next(None), async { run.cancelled.cancel() });
    assert_eq!(waits, Err(SignalError::Cancelled));
    run.fill(&[record(1, "a", "1")], true);
    assert_eq!(run.next(None).await, Err(SignalError::Cancelled), "it is left to the next attempt");
    assert_eq!(run.taken(), [0_u32; 0]);
    let run = Run::new();
    let (waits, ()) = tokio::join!(run.next(None), async { run.signals.inbox.close() });
    assert_eq!(waits, Err(SignalError::Ended));
    assert_eq!(run.try_next(None).await, Err(SignalError::Ended));
    assert!(run.desk.is_empty());
}

#[tokio::test]
async fn an_inbox_is_bounded_and_one_of_nobody_is_let_go() {
    let run = Run::new();
    run.listen().await;
    let many: Vec<SignalRecord> = (1..=100).map(|number| record(number, "a", "1")).collect();
    run.fill(&many, true);
    assert_eq!(run.signals.inbox.after(), None, "it is full");
    assert_eq!(run.next(None).await.unwrap().number(), 1);
    // What did not fit is read again.
    assert_eq!(run.signals.inbox.after(), Some(64));
    let desk = run.desk.clone();
    drop(run);
    desk.news_for_all();
    assert!(desk.take_due().is_empty() && desk.is_empty());
}

#[test]
fn what_does_not_say_what_is_needed_says_where() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Approval {
        by: Vec<String>,
    }
    let signal = |value: &str| Signal::new(record(3, "approve", value));
    let good = signal(r#"{"by": ["anna"]}"#).decode::<Approval>();
    assert_eq!(good, Ok(Approval { by: vec!["anna".to_owned()] }));
    assert_eq!(signal("null").decode(), Ok(()));
    let error = signal(r#"{"by": ["anna", 7]}"#).decode::<Approval>().unwrap_err().to_string();
    assert!(
        error.starts_with("signal 3 (approve, sent by anna) does not say what is needed: /by/1: "),
        "{error}"
    );
    let error = signal("7").decode::<Approval>().unwrap_err().to_string();
    assert!(error.contains("needed: invalid type: integer `7`"), "{error}");
}

#[test]
fn a_state_has_its_size() {
    assert_eq!(state_text(&[1, 2]), Ok("[1,2]".to_owned()));
    let fits = "x".repeat(MAX_STATE_BYTES - 2);
    assert_eq!(state_text(&fits).unwrap().len(), MAX_STATE_BYTES);
    let error = state_text(&format!("{fits}x")).unwrap_err().to_string();
    assert_eq!(error, "the state has 16385 bytes of JSON; 16384 are allowed");
    let nested = |levels: usize| {
        let mut value = serde_json::Value::Null;
        (0..levels).for_each(|_| value = serde_json::json!([value]));
        state_text(&value)
    };
    assert_eq!(nested(120).unwrap().len(), 2 * 120 + 4);
    assert!(nested(200).unwrap_err().to_string().contains("recursion limit exceeded"));
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(state_text(&no_json), Err(StateError::NoJson(_))));
}
