//! What is encrypted: found, and exchanged.

use callboard_actors::edges::store::{
    Operation, Outcome,
    cron::{CronOperation, CronOutcome, NewCron},
    dead_jobs::{BulkSelection, DeadJobsOperation, NewBulk},
    encryption::{Resealed, SealedPlace, SealedText},
    record::{AttemptEnd, NewJob},
};
use callboard_contracts::{
    JobState,
    api::{BulkAction, BulkFilter, CronDefinition, CronJob},
};
use serde_json::json;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{claim, enqueue, finish, job, lease},
};

const SEALED: &str = r#"{"pin":{"$encrypted":"v1.one.a.b.c"}}"#;
const ANEW: &str = r#"{"pin":{"$encrypted":"v1.two.a.b.c"}}"#;

fn with(payload: &str) -> NewJob {
    NewJob { payload: payload.into(), ..job() }
}

fn reseal(place: SealedPlace, old: &str, new: &str) -> Operation {
    Operation::Reseal(vec![Resealed { place, old: old.into(), new: new.into() }])
}

pub async fn what_is_encrypted_is_found_page_by_page<B: Backend>(stage: &mut Stage<B>) {
    // A string that only looks like it is none.
    let quoted = json!({ "text": SEALED }).to_string();
    let jobs: Vec<NewJob> = [SEALED, "{}", &quoted, SEALED, "{}"].into_iter().map(with).collect();
    for job in &jobs {
        stage.one(enqueue(job)).await;
    }
    let session = stage.session().await;
    let Outcome::Claimed(claimed) = stage.one(claim("default", 1, session)).await else {
        panic!("there are")
    };
    let end = AttemptEnd::Completed { result: Some(ANEW.into()) };
    stage.one(finish(lease(&claimed[0]), end)).await;
    let text =
        |place, state, text: &str| SealedText { place, job_type: "noop".into(), state, text: text.into() };
    let all = [
        text(SealedPlace::Payload(jobs[0].id), JobState::Completed, SEALED),
        text(SealedPlace::Result(jobs[0].id), JobState::Completed, ANEW),
        text(SealedPlace::Payload(jobs[3].id), JobState::Available, SEALED),
    ];
    let whole = stage.store.sealed(0, 100).await.unwrap();
    assert_eq!((&whole.texts[..], whole.looked_at, whole.next), (&all[..], 5, None));
    for size in 1..=5 {
        let (mut found, mut looked_at, mut after) = (Vec::new(), 0, 0);
        loop {
            let page = stage.store.sealed(after, size).await.unwrap();
            assert!(page.looked_at <= size);
            looked_at += page.looked_at;
            found.extend(page.texts);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!((&found[..], looked_at), (&all[..], 5), "{size}");
    }
}

pub async fn a_text_is_exchanged_if_it_is_still_the_one_that_was_found<B: Backend>(stage: &mut Stage<B>) {
    let job = with(SEALED);
    stage.one(enqueue(&job)).await;
    let before = stage.log().await.len();
    let payload = || SealedPlace::Payload(job.id);
    let resealed = |changed| Outcome::Resealed { changed };
    assert_eq!(stage.one(reseal(payload(), ANEW, SEALED)).await, resealed(0));
    assert_eq!(stage.one(reseal(payload(), SEALED, ANEW)).await, resealed(1));
    // Sent again, as after a lost answer, it changes nothing.
    assert_eq!(stage.one(reseal(payload(), SEALED, ANEW)).await, resealed(0));
    assert_eq!(stage.one(reseal(SealedPlace::Payload(Uuid::now_v7()), SEALED, ANEW)).await, resealed(0));
    assert_eq!(stage.one(reseal(SealedPlace::Result(job.id), SEALED, ANEW)).await, resealed(0));
    assert_eq!(stage.log().await.len(), before, "no event tells of it");
    let session = stage.session().await;
    let Outcome::Claimed(claimed) = stage.one(claim("default", 1, session)).await else {
        panic!("there is one")
    };
    assert_eq!(claimed[0].payload, ANEW);
    // Together with the end of the very job.
    let end = AttemptEnd::Completed { result: Some(SEALED.into()) };
    let result = SealedPlace::Result(job.id);
    let operations = vec![finish(lease(&claimed[0]), end), reseal(result, SEALED, ANEW)];
    let results = stage.store.apply(operations).await.unwrap();
    assert_eq!(results[1], Ok(resealed(1)));
    let found = stage.record(job.id).await;
    assert_eq!(
        (found.state, &*found.payload, found.result.as_deref()),
        (JobState::Completed, ANEW, Some(ANEW))
    );

    let definition = CronDefinition {
        job: CronJob {
            job_type: "noop".into(),
            payload: serde_json::from_str(SEALED).unwrap(),
            ..CronJob::default()
        },
        ..serde_json::from_value(json!({ "expression": "0 0 * * *", "job": { "type": "noop" } })).unwrap()
    };
    let entry = Box::new(NewCron { name: "nightly".into(), definition, next: None });
    let put = Operation::Cron(CronOperation::Put { entry, by: "me".into() });
    assert_eq!(stage.one(put).await, Outcome::Cron(CronOutcome::Done));
    let known = stage.store.cron_entry("nightly".into()).await.unwrap().unwrap();
    let cron = || SealedPlace::Cron("nightly".into());
    assert_eq!(stage.one(reseal(cron(), ANEW, SEALED)).await, resealed(0));
    assert_eq!(stage.one(reseal(cron(), SEALED, ANEW)).await, resealed(1));
    assert_eq!(stage.one(reseal(SealedPlace::Cron("other".into()), SEALED, ANEW)).await, resealed(0));
    let found = stage.store.cron_entry("nightly".into()).await.unwrap().unwrap();
    assert_eq!(json!(found.definition.job.payload).to_string(), ANEW);
    assert_eq!(found.revision, known.revision, "it is the same entry");

    let bulk = NewBulk {
        id: Uuid::now_v7(),
        action: BulkAction::Retry,
        filter: BulkFilter { state: vec![JobState::Discarded], ..BulkFilter::default() },
        patch: Some(SEALED.into()),
        fingerprint: None,
        shown_patch: None,
        spares_secrets: false,
        reason: None,
        by: "me".into(),
        matched: 0,
        at_least: false,
    };
    let id = bulk.id;
    stage.one(Operation::DeadJobs(DeadJobsOperation::StartBulk(Box::new(bulk)))).await;
    assert_eq!(stage.one(reseal(SealedPlace::Bulk(id), ANEW, SEALED)).await, resealed(0));
    assert_eq!(stage.one(reseal(SealedPlace::Bulk(id), SEALED, ANEW)).await, resealed(1));
    stage.reopen().await;
    let found = stage.store.bulks(BulkSelection::Id(id), 1).await.unwrap();
    assert_eq!(found[0].patch.as_deref(), Some(ANEW));
    assert_eq!(stage.record(job.id).await.result.as_deref(), Some(ANEW));
}

pub async fn of_many_that_exchange_one_text_one_does<B: Backend>(stage: &mut Stage<B>) {
    let jobs: Vec<NewJob> = (0..20).map(|_| with(SEALED)).collect();
    for job in &jobs {
        stage.one(enqueue(job)).await;
    }
    let exchange = |from: usize| {
        // In other orders, which must not lock each other out.
        let (one, other) = jobs.split_at(from);
        let text = |job: &NewJob| Resealed {
            place: SealedPlace::Payload(job.id),
            old: SEALED.into(),
            new: ANEW.into(),
        };
        stage.store.apply(vec![Operation::Reseal(other.iter().chain(one).map(text).collect())])
    };
    let answers = futures_util::future::join_all([0, 7, 13, 19].map(exchange)).await;
    let changed = answers.into_iter().map(|answer| match answer.unwrap()[..] {
        [Ok(Outcome::Resealed { changed })] => changed,
        ref other => panic!("{other:?}"),
    });
    assert_eq!(changed.sum::<u32>(), 20);
    let found = stage.store.sealed(0, 100).await.unwrap();
    assert!(found.texts.len() == 20 && found.texts.iter().all(|text| text.text == ANEW));
}
