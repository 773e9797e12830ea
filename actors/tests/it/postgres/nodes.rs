//! Several nodes on one database: who leads, and what they tell each other.

use std::time::Duration;

use callboard_actors::edges::store::{
    Leadership, Operation, Outcome, PostgresStore, Renewal, Store, Wake,
    record::{NewJob, Retention},
    signals::{NewSignal, SignalOperation},
};
use callboard_contracts::JobState;
use tokio::{sync::broadcast, time::timeout};
use uuid::Uuid;

use super::support::{
    PATIENCE, Stage, apply, claimed, enqueue, job, lease, lost, one, session, state, until_position,
};

const TTL: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

/// Waits for a word, passing over others.
async fn hear(wakes: &mut broadcast::Receiver<Wake>, wanted: impl Fn(&Wake) -> bool) -> Wake {
    let heard = async {
        loop {
            let wake = wakes.recv().await.unwrap();
            if wanted(&wake) {
                return wake;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect("a word")
}

/// Waits until words of one node reach the other.
async fn until_listening(teller: &PostgresStore, wakes: &mut broadcast::Receiver<Wake>) {
    let probe = || enqueue(&NewJob { queue: "probe".into(), ..job() });
    let heard = async {
        loop {
            apply(teller, vec![probe()]).await;
            let word = hear(wakes, |wake| *wake == Wake::Available("probe".into()));
            if timeout(Duration::from_millis(100), word).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect("it listens");
}

fn leads(leadership: Leadership) -> Option<u64> {
    match leadership {
        Leadership::Leader { token } => Some(token),
        Leadership::Follower { .. } => None,
    }
}

#[tokio::test]
async fn of_two_leaders_the_older_one_can_do_nothing_any_more() {
    let stage = Stage::with_clock().await;
    let (old, new) = (stage.open("old").await, stage.open("new").await);
    let (first, second) = (session(&old).await, session(&new).await);
    let token = leads(old.lead(first, TTL).await.unwrap()).unwrap();
    assert_eq!(old.lead(first, TTL).await.unwrap(), Leadership::Leader { token });
    let Leadership::Follower { until } = new.lead(second, TTL).await.unwrap() else { panic!() };
    assert_eq!(until.saturating_since(new.now()), TTL);

    // The old one stops renewing, and still takes itself for the leader when it goes on.
    stage.pass(TTL + Duration::from_millis(1));
    let newer = leads(new.lead(second, TTL).await.unwrap()).unwrap();
    assert!(newer > token);
    let retention = Retention {
        completed: DAY,
        cancelled: DAY,
        discarded: DAY,
        events: DAY,
        events_max: u64::MAX,
        batch: 10,
        keys: DAY,
        inbox: DAY,
        inbox_max: u64::MAX,
    };
    let of = |leader: u64| {
        vec![
            Operation::Promote { limit: 10, leader },
            Operation::Prune { retention, leader },
            Operation::Rescue {
                session: second,
                error: lost(),
                limit: 10,
                idle_for: Some(Duration::ZERO),
                leader: Some(leader),
                quarantine_after: 0,
            },
        ]
    };
    assert_eq!(apply(&old, of(token)).await, vec![Outcome::NotLeader; 3]);
    assert!(leads(old.lead(first, TTL).await.unwrap()).is_none());
    let done = apply(&new, of(newer)).await;
    assert!(!done.contains(&Outcome::NotLeader), "{done:?}");
    // That last rescue has ended the leader's own session: its leadership is free at once.
    assert!(leads(old.lead(first, TTL).await.unwrap()).is_some_and(|newest| newest > newer));
}

#[tokio::test]
async fn a_leader_that_loses_the_lead_meanwhile_changes_nothing() {
    let stage = Stage::with_clock().await;
    let (old, new) = (stage.open("old").await, stage.open("new").await);
    let (first, second) = (session(&old).await, session(&new).await);
    let token = leads(old.lead(first, TTL).await.unwrap()).unwrap();
    // Somebody is at the lease: the operation has to wait for what becomes of it.
    let mut other = stage.connect().await;
    let mut taking = sqlx::Connection::begin(&mut other).await.unwrap();
    sqlx::query("UPDATE leaders SET session = $1, token = token + 1")
        .bind(second)
        .execute(&mut *taking)
        .await
        .unwrap();
    let late = old.apply(vec![Operation::Promote { limit: 10, leader: token }]);
    stage.until_blocked("old").await;
    taking.commit().await.unwrap();
    assert_eq!(late.await.unwrap(), [Ok(Outcome::NotLeader)]);
    assert!(leads(new.lead(second, TTL).await.unwrap()).is_some());
}

#[tokio::test]
async fn nodes_hear_of_each_others_jobs_and_cancels_and_not_of_their_own() {
    let stage = Stage::new().await;
    let (one_node, other) = (stage.open("one").await, stage.open("other").await);
    let (mut own, mut heard) = (one_node.wakes(), other.wakes());
    until_listening(&one_node, &mut heard).await;
    until_listening(&other, &mut own).await;
    let new = job();
    apply(&one_node, vec![enqueue(&new)]).await;
    hear(&mut heard, |wake| *wake == Wake::Available("default".into())).await;
    let session = session(&other).await;
    let claimed = claimed(&other, 1, session).await.remove(0);
    assert!(matches!(
        one(&one_node, Operation::Cancel { id: new.id }).await,
        Outcome::CancelRequested { .. }
    ));
    let cancel = Wake::Cancel { lease: lease(&claimed), queue: "default".into(), session };
    assert_eq!(hear(&mut heard, |wake| matches!(wake, Wake::Cancel { .. })).await, cancel);
    let signal = NewSignal {
        job: new.id,
        id: Uuid::now_v7(),
        name: "approve".into(),
        value: "1".into(),
        by: "anna".into(),
    };
    one(&one_node, Operation::Signals(SignalOperation::Send(Box::new(signal)))).await;
    let signalled = Wake::Signal { job: new.id, session };
    assert_eq!(hear(&mut heard, |wake| matches!(wake, Wake::Signal { .. })).await, signalled);
    // A word of the other node comes after all that this one could have heard from itself.
    let held = NewJob { queue: "last".into(), ..job() };
    apply(&other, vec![enqueue(&held)]).await;
    hear(&mut own, |wake| {
        let last = *wake == Wake::Available("last".into());
        let probe = *wake == Wake::Available("probe".into());
        if let (false, false, Wake::Available(_) | Wake::Cancel { .. }) = (last, probe, wake) {
            panic!("its own word: {wake:?}");
        }
        last
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_was_cut_off_says_that_anything_may_have_happened() {
    let stage = Stage::new().await;
    let (teller, listener) = (stage.open("teller").await, stage.open("listener").await);
    let mut wakes = listener.wakes();
    until_listening(&teller, &mut wakes).await;
    let cut = stage
        .number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'callboard listener' AND query LIKE 'LISTEN%'",
        )
        .await;
    assert_eq!(cut, 1);
    apply(&teller, vec![enqueue(&job())]).await;
    hear(&mut wakes, |wake| *wake == Wake::Everything).await;
    // And from here on it hears again.
    apply(&teller, vec![enqueue(&NewJob { queue: "later".into(), ..job() })]).await;
    hear(&mut wakes, |wake| *wake == Wake::Available("later".into())).await;
}

#[tokio::test]
async fn whatever_is_not_heard_is_found_all_the_same() {
    let stage = Stage::new().await;
    let (teller, deaf) = (stage.open("teller").await, stage.open("deaf").await);
    let session = session(&deaf).await;
    // Nothing of this is told to anybody: it is written past the store.
    let new = job();
    apply(&teller, vec![enqueue(&new)]).await;
    let claimed = claimed(&deaf, 1, session).await.remove(0);
    until_position(&teller, 2).await;
    let mut connection = stage.connect().await;
    sqlx::raw_sql("UPDATE jobs SET cancel_requested_at = 1;
                   WITH batch AS (INSERT INTO event_batches (batch, size, occurred_at, instance, version)
                                  VALUES (nextval('event_batch'), 1, 1, 'x', 'x') RETURNING batch)
                   INSERT INTO events (batch, number, id, type, job, job_type, queue, job_created_at, correlation_id,
                                       attempt)
                   SELECT batch, 0, gen_random_uuid(), 8, gen_random_uuid(), 'noop', 'default', 1, gen_random_uuid(), 1
                   FROM batch")
        .execute(&mut connection)
        .await
        .unwrap();
    // The log by its poll, the cancel by the next renewal.
    until_position(&teller, 3).await;
    until_position(&deaf, 3).await;
    let cancels = vec![(lease(&claimed), "default".to_owned())];
    assert_eq!(deaf.renew(session).await.unwrap(), Renewal::Alive { cancels });
    assert_eq!(state(&deaf, new.id).await, JobState::Executing);
    assert_eq!(teller.renew(Uuid::now_v7()).await.unwrap(), Renewal::Lost);
}
