//! Reading the log.

use std::{collections::BTreeMap, time::Duration};

use callboard_actors::edges::store::{Operation, record::NewJob};
use callboard_contracts::{EventType, JobStatus, api::LogCursor};
use serde_json::json;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::{Stage, job_of},
    words::{SECOND, completed, enqueue, failed, job, lease, start},
};

/// Three jobs of which the first is claimed, fails once and is completed.
async fn some_life<B: Backend>(stage: &Stage<B>) -> Vec<NewJob> {
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..3).map(|_| job()).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let first = lease(&stage.claim("default", 1, session).await[0]);
    stage.one(start(first, stage.now())).await;
    stage.finish(first, failed(Some(stage.now()))).await;
    stage.promote(1).await;
    stage.one(Operation::Cancel { id: jobs[2].id }).await;
    stage.settle().await;
    jobs
}

pub async fn a_reader_goes_on_behind_what_it_saw<B: Backend>(stage: &mut Stage<B>) {
    some_life(stage).await;
    let log = stage.log().await;
    assert_eq!(log.len(), 8);
    for reopened in [false, true] {
        if reopened {
            stage.kill().await;
        }
        for from in 0..=log.len() {
            let after = from
                .checked_sub(1)
                .map_or(LogCursor { position: 0, ..log[0].cursor }, |last| log[last].cursor);
            for limit in [1, 3, 8, u32::MAX] {
                let page = stage.events_after(after, limit).await;
                assert!(!page.reset);
                let to = log.len().min(from.saturating_add(limit as usize));
                assert_eq!(page.events, log[from..to]);
                assert_eq!((page.oldest, page.newest), (log[0].cursor, log[log.len() - 1].cursor));
            }
            assert!(stage.events_after(after, 0).await.events.is_empty());
        }
    }
}

pub async fn a_cursor_that_is_not_of_this_log_is_reset<B: Backend>(stage: &mut Stage<B>) {
    // An empty log has nothing that could be missed.
    let page = stage.events_after(LogCursor::default(), 10).await;
    assert!(!page.reset && page.events.is_empty());
    assert_eq!((page.newest.position, page.oldest.position), (0, 1));
    some_life(stage).await;
    let log = stage.log().await;
    let newest = log[log.len() - 1].cursor;
    let foreign = [
        LogCursor { epoch: newest.epoch + 1, position: 0 },
        LogCursor { epoch: newest.epoch + 1, position: 3 },
        LogCursor { epoch: newest.epoch, position: newest.position + 1 },
        LogCursor { epoch: newest.epoch, position: u64::MAX >> 1 },
        LogCursor { epoch: 0, position: 3 },
    ];
    for cursor in foreign {
        let page = stage.events_after(cursor, 100).await;
        assert!(page.reset, "{cursor}");
        assert_eq!(page.events, log);
    }
    assert!(!stage.events_after(newest, 10).await.reset);
}

pub async fn the_log_of_one_job_is_a_part_of_the_log<B: Backend>(stage: &mut Stage<B>) {
    let jobs = some_life(stage).await;
    let log = stage.log().await;
    for job in &jobs {
        let expected: Vec<_> = log.iter().filter(|event| job_of(event) == job.id).cloned().collect();
        let page = stage.store.events_after(LogCursor::default(), Some(job.id), 100).await.unwrap();
        assert_eq!(page.events, expected);
        assert_eq!(page.newest, log[log.len() - 1].cursor, "the newest of all");
        let second = stage.store.events_after(expected[0].cursor, Some(job.id), 1).await.unwrap();
        assert_eq!(second.events, expected[1..2.min(expected.len())]);
    }
    let nobody = stage.store.events_after(LogCursor::default(), Some(Uuid::now_v7()), 100).await.unwrap();
    assert!(nobody.events.is_empty() && !nobody.reset);
}

pub async fn who_waits_is_told_of_new_events<B: Backend>(stage: &mut Stage<B>) {
    let mut committed = stage.store.committed();
    let before = *committed.borrow_and_update();
    assert_eq!(before.position, 0);
    stage.apply(vec![enqueue(&job()), enqueue(&job())]).await;
    while committed.borrow_and_update().position < 2 {
        committed.changed().await.unwrap();
    }
    let newest = *committed.borrow();
    assert_eq!(stage.events_after(before, 10).await.events.len(), 2, "what is told can be read");
    assert_eq!(newest.position, 2);
    // Another node hears of it, too, and one that opens later knows it at once.
    let other = stage.another("other").await;
    assert_eq!(*other.store.committed().borrow(), newest);
    let mut heard = other.store.committed();
    stage.one(enqueue(&job())).await;
    while heard.borrow_and_update().position < 3 {
        heard.changed().await.unwrap();
    }
}

pub async fn an_event_says_what_happened<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = NewJob {
        job_type: "mail".into(),
        queue: "slow".into(),
        payload: r#"{"to":"☃"}"#.into(),
        metadata: Some(r#"{"k":1}"#.into()),
        document: Some(r#"{"createdAt":"2020-01-01T00:00:00Z","tenant":"t-1","status":"COMPLETED"}"#.into()),
        max_attempts: 2,
        ..job()
    };
    stage.one(enqueue(&new)).await;
    stage.pass(2 * SECOND);
    let first = lease(&stage.claim("slow", 1, session).await[0]);
    stage.one(start(first, stage.now())).await;
    stage.pass(SECOND);
    stage.finish(first, failed(Some(stage.now()))).await;
    stage.promote(1).await;
    let second = lease(&stage.claim("slow", 1, session).await[0]);
    stage.one(start(second, stage.now())).await;
    stage.finish(second, completed()).await;
    use EventType::{AttemptFailed, AttemptStarted, Completed, Created, Executed, MadeAvailable, Validated};
    let expected = [
        (Created, JobStatus::Pending, None, None),
        (Validated, JobStatus::Validated, None, None),
        (Executed, JobStatus::Executing, Some(2 * SECOND), None),
        (AttemptFailed, JobStatus::Pending, Some(SECOND), Some(1)),
        (MadeAvailable, JobStatus::Pending, None, Some(1)),
        (AttemptStarted, JobStatus::Executing, Some(Duration::ZERO), Some(2)),
        (Completed, JobStatus::Completed, Some(Duration::ZERO), None),
    ];
    let log = stage.log().await;
    assert_eq!(log.len(), expected.len());
    for (logged, (event_type, status, duration, attempt)) in log.iter().zip(expected) {
        assert_eq!((&*logged.queue, &*logged.job_type), ("slow", "mail"));
        let event = &logged.event;
        assert_eq!((event.event_type, logged.duration), (event_type, duration));
        assert_eq!(event.contract_version, event_type.contract_version());
        assert_eq!(event.correlation_id, new.correlation_id);
        assert_eq!(event.idempotency_key, new.id.to_string());
        assert_eq!((&*event.producer.service, &*event.producer.instance_id), ("callboard", "node"));
        let payload = |name: &str| event.payload.get(name).cloned().unwrap_or_default();
        assert_eq!(payload("id"), json!(new.id));
        assert_eq!(payload("type"), json!("mail"));
        assert_eq!(payload("status"), json!(status), "what the document says of it is not ours");
        assert_eq!(payload("createdAt"), json!("2020-01-01T00:00:00Z"));
        assert_eq!(payload("updatedAt"), json!(event.occurred_at));
        assert_eq!((payload("tenant"), payload("payload")), (json!("t-1"), json!({"to": "☃"})));
        assert_eq!(payload("metadata"), json!({"k": 1}));
        assert_eq!(payload("attempt"), json!(attempt));
        let failed = event_type == AttemptFailed;
        assert_eq!(payload("error"), if failed { json!("no luck") } else { json!(null) });
        let done = event_type == Completed;
        assert_eq!(payload("result"), if done { json!(17) } else { json!(null) });
    }
    assert_eq!(log[0].event.event_id, new.event_id);
    let times: Vec<_> = log.iter().map(|logged| logged.event.occurred_at).collect();
    assert!(times.is_sorted());
    // The newest first, and only those that contract 1.0.0 knows.
    let recent = stage.store.recent_events(Some(new.id), 100).await.unwrap();
    let originals = log.iter().rev().filter(|logged| logged.event.event_type.is_original());
    assert!(recent.iter().eq(originals.map(|logged| &logged.event)), "{recent:?}");
    assert_eq!(stage.store.recent_events(None, 2).await.unwrap(), recent[..2]);
    assert!(stage.store.recent_events(Some(Uuid::now_v7()), 5).await.unwrap().is_empty());
    assert!(stage.store.recent_events(None, 0).await.unwrap().is_empty());
}

pub async fn what_is_counted_is_what_is_read<B: Backend>(stage: &mut Stage<B>) {
    some_life(stage).await;
    let log = stage.log().await;
    let key = |event_type: EventType, queue: &str, job_type: &str| {
        (event_type.to_string(), queue.to_owned(), job_type.to_owned())
    };
    for limit in [1, 2, 3, 7, 1000] {
        let mut counted: BTreeMap<_, (u64, Vec<Duration>)> = BTreeMap::new();
        let mut after = LogCursor::default();
        loop {
            let part = stage.store.count_events_after(after, limit).await.unwrap();
            assert!(!part.reset, "{after}");
            assert_eq!(part.newest, log[log.len() - 1].cursor);
            for count in part.counts {
                let entry = counted.entry(key(count.event_type, &count.queue, &count.job_type)).or_default();
                entry.0 += count.events;
                entry.1.extend(count.durations);
            }
            after = part.last;
            if part.last == part.newest {
                break;
            }
        }
        let mut read: BTreeMap<_, (u64, Vec<Duration>)> = BTreeMap::new();
        for event in &log {
            let entry = read.entry(key(event.event.event_type, &event.queue, &event.job_type)).or_default();
            entry.0 += 1;
            entry.1.extend(event.duration);
        }
        for (_, durations) in counted.values_mut().chain(read.values_mut()) {
            durations.sort();
        }
        assert_eq!(counted, read, "{limit} places at a time");
    }
    let newest = log[log.len() - 1].cursor;
    let nothing = stage.store.count_events_after(newest, 10).await.unwrap();
    assert!(nothing.counts.is_empty() && !nothing.reset && nothing.last == newest);
    let foreign = LogCursor { epoch: newest.epoch + 1, position: 3 };
    let part = stage.store.count_events_after(foreign, 1000).await.unwrap();
    assert!(part.reset);
    assert_eq!(part.counts.iter().map(|count| count.events).sum::<u64>(), log.len() as u64);
}
