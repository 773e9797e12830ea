//! What dead jobs died of, the last success, and replays with another payload.

use callboard_actors::edges::store::{
    Operation, Outcome,
    dead_jobs::{
        CauseKey, CauseQuery, CauseRecord, DeadJobsOperation, DeadJobsOutcome, EditNote, EditRecord,
        EditedReplay, NewPayload,
    },
    record::{AttemptEnd, JobFilter, NewJob},
};
use callboard_contracts::{
    JobState,
    api::{AttemptError, ErrorKind},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{DAY, SECOND, completed, enqueue, error, failed, job, lease, prune, retry},
};

/// An end: the job is dead, because of this.
fn dead(kind: ErrorKind, message: &str) -> AttemptEnd {
    let error = AttemptError { kind, message: message.to_owned(), ..error() };
    AttemptEnd::Failed { error, retry_at: None }
}

/// Stores a job of this type and queue, and ends it so.
async fn ended<B: Backend>(stage: &Stage<B>, job_type: &str, queue: &str, end: AttemptEnd) -> Uuid {
    let new = NewJob { job_type: job_type.into(), queue: queue.into(), ..job() };
    stage.one(enqueue(&new)).await;
    let session = stage.session().await;
    let claimed = stage.claim(queue, 1, session).await;
    stage.finish(lease(&claimed[0]), end).await;
    stage.one(crate::store::words::rescue(session, 10)).await;
    new.id
}

async fn causes<B: Backend>(stage: &Stage<B>, query: CauseQuery) -> Vec<CauseRecord> {
    let page = stage.store.dead_causes(CauseQuery { limit: 100, ..query }).await.unwrap();
    assert_eq!(page.next, None);
    page.causes
}

fn of(job_type: Option<&str>, queue: Option<&str>) -> CauseQuery {
    let (job_type, queue) = (job_type.map(str::to_owned), queue.map(str::to_owned));
    CauseQuery { job_type, queue, ..CauseQuery::default() }
}

/// Types, queues and numbers of jobs.
fn told(causes: &[CauseRecord]) -> Vec<(&str, &str, u64)> {
    causes.iter().map(|cause| (&*cause.key.job_type, &*cause.key.queue, cause.count)).collect()
}

pub async fn dead_jobs_are_grouped_by_what_they_died_of<B: Backend>(stage: &mut Stage<B>) {
    assert_eq!(causes(stage, CauseQuery::default()).await, []);
    let first_at = stage.now();
    let first = ended(stage, "letter", "mail", dead(ErrorKind::Failed, "no user 17")).await;
    stage.pass(SECOND);
    let second = ended(stage, "letter", "mail", dead(ErrorKind::Failed, "no user 4711")).await;
    // Others: of another kind, of another queue, of another type, and jobs that are not dead.
    ended(stage, "letter", "mail", dead(ErrorKind::TimedOut, "no user 1")).await;
    ended(stage, "letter", "bulk", dead(ErrorKind::Failed, "no user 2")).await;
    ended(stage, "Note", "mail", dead(ErrorKind::Failed, "no user 3")).await;
    let fine = ended(stage, "letter", "mail", completed()).await;
    let later = stage.now().saturating_add(DAY);
    let waits = ended(stage, "letter", "mail", failed(Some(later))).await;
    for id in [fine, waits] {
        assert_eq!(stage.record(id).await.cause, None);
    }
    let all = causes(stage, CauseQuery::default()).await;
    // By the bytes of their names, whatever the database's language.
    assert_eq!(told(&all[..2]), [("Note", "mail", 1), ("letter", "bulk", 1)]);
    let mut of_letters = told(&all[2..]);
    of_letters.sort_unstable();
    assert_eq!(of_letters, [("letter", "mail", 1), ("letter", "mail", 2)]);
    let two = all.iter().find(|cause| cause.count == 2).unwrap();
    assert_eq!((two.first_at, two.last_at, two.sample), (first_at, stage.now(), second));
    assert_eq!((&*two.title, two.kind, two.at_least), ("no user #", ErrorKind::Failed, false));
    let timed_out = all.iter().find(|cause| cause.kind == ErrorKind::TimedOut).unwrap();
    assert_eq!(timed_out.title, "timed out: no user #");
    assert_ne!(two.key.cause, timed_out.key.cause);
    assert_eq!(all[0].key.cause, two.key.cause, "the cause is that of the error alone");
    // Filters, and pages of every size.
    assert_eq!(causes(stage, of(Some("letter"), None)).await, all[1..]);
    assert_eq!(causes(stage, of(Some("letter"), Some("bulk"))).await, all[1..2]);
    assert_eq!(told(&causes(stage, of(None, Some("mail"))).await).len(), 3);
    for nothing in [of(Some("lette"), None), of(None, Some("zzz")), of(Some("Note"), Some("bulk"))] {
        assert_eq!(causes(stage, nothing).await, []);
    }
    for limit in 1..=4 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = CauseQuery { after, limit, ..CauseQuery::default() };
            let page = stage.store.dead_causes(query).await.unwrap();
            assert!(page.causes.len() <= limit as usize);
            found.extend(page.causes);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, all);
    }
    let beyond = CauseKey { job_type: "zzz".into(), ..CauseKey::default() };
    assert_eq!(causes(stage, CauseQuery { after: Some(beyond), ..CauseQuery::default() }).await, []);
    // Lists by cause.
    let by = |states: &[JobState], queue: Option<&str>| JobFilter {
        states: states.to_vec(),
        queue: queue.map(str::to_owned),
        cause: Some(two.key.cause.clone()),
        ..JobFilter::default()
    };
    let ids = async |filter| stage.list(filter).await.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(by(&[], None)).await.len(), 4);
    assert_eq!(ids(by(&[], Some("mail"))).await.len(), 3);
    assert_eq!(
        ids(JobFilter { job_type: Some("letter".into()), ..by(&[], Some("mail")) }).await,
        [second, first]
    );
    assert_eq!(ids(by(&[JobState::Discarded, JobState::Completed], Some("bulk"))).await.len(), 1);
    assert_eq!(ids(by(&[JobState::Completed], None)).await, [] as [Uuid; 0]);
    let page = stage.store.jobs(by(&[], None), 3).await.unwrap();
    let rest = JobFilter { before: Some(page[2].sequence), ..by(&[], None) };
    assert_eq!(ids(rest).await, [first]);
    assert_eq!(stage.record(first).await.cause.as_ref(), Some(&two.key.cause));
    // A replay has no cause before it is dead itself; the dead one keeps its own.
    let Outcome::Replayed { id, .. } = stage.one(retry(first)).await else { panic!("it is finished") };
    assert_eq!(stage.record(id).await.cause, None);
    assert_eq!(stage.record(first).await.cause.as_ref(), Some(&two.key.cause));
    stage.reopen().await;
    assert_eq!(causes(stage, CauseQuery::default()).await, all);
    // There is nothing to be found out of any of them.
    let fill = |leader| Operation::DeadJobs(DeadJobsOperation::FillCauses { limit: 10, leader });
    let filled = Outcome::DeadJobs(DeadJobsOutcome::CausesFilled { count: 0 });
    assert_eq!(stage.one(fill(stage.leader)).await, filled);
    if B::SHARED {
        assert_eq!(stage.one(fill(stage.leader + 1)).await, Outcome::NotLeader);
    }
    // What is deleted is in no group.
    stage.pass(DAY + SECOND);
    stage.prune(prune(10)).await;
    assert_eq!(causes(stage, CauseQuery::default()).await, []);
}

pub async fn the_last_success_is_one_of_the_same_type_and_queue<B: Backend>(stage: &mut Stage<B>) {
    let no = || dead(ErrorKind::Failed, "no");
    let died = ended(stage, "letter", "mail", no()).await;
    let last = async |stage: &Stage<B>, id| stage.store.last_success(id).await.unwrap();
    assert_eq!(last(stage, died).await, None);
    assert_eq!(last(stage, Uuid::now_v7()).await, None);
    ended(stage, "letter", "other", completed()).await;
    ended(stage, "note", "mail", completed()).await;
    assert_eq!(last(stage, died).await, None);
    let before = ended(stage, "letter", "mail", completed()).await;
    assert_eq!(last(stage, died).await, Some(before));
    let after = ended(stage, "letter", "mail", completed()).await;
    ended(stage, "letter", "mail", no()).await;
    assert_eq!(last(stage, died).await, Some(after));
    assert_eq!(last(stage, after).await, Some(after));
}

fn edited(id: Uuid, patch: Option<&str>) -> EditedReplay {
    EditedReplay {
        id,
        replay_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: 1000,
        max_total: u64::MAX,
        payload: NewPayload { text: "{\"a\":1}".to_owned(), fingerprint: [9; 32] },
        note: EditNote {
            patch: patch.map(str::to_owned),
            reason: Some("it was \0 wrong".to_owned()),
            by: "ci".to_owned(),
        },
    }
}

fn replay(edited: &EditedReplay) -> Operation {
    Operation::DeadJobs(DeadJobsOperation::Replay(Box::new(edited.clone())))
}

pub async fn a_replay_with_another_payload_keeps_what_was_changed<B: Backend>(stage: &mut Stage<B>) {
    let original = NewJob { payload: "{\"a\":0}".into(), tags: vec!["x".into()], priority: 7, ..job() };
    stage.one(enqueue(&original)).await;
    let waits = edited(original.id, None);
    let refused = Outcome::NotPossible { state: JobState::Available };
    assert_eq!(stage.one(replay(&waits)).await, refused, "a job that is not finished stays as it is");
    assert_eq!(stage.one(replay(&edited(Uuid::now_v7(), None))).await, Outcome::NotFound);
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await;
    stage.finish(lease(&claimed[0]), dead(ErrorKind::Failed, "no")).await;
    let before = stage.record(original.id).await;
    let again = edited(original.id, Some("{\"a\":1}"));
    for full in
        [EditedReplay { max_backlog: 0, ..again.clone() }, EditedReplay { max_total: 0, ..again.clone() }]
    {
        let refused = stage.one(replay(&full)).await;
        assert!(matches!(refused, Outcome::BacklogFull { .. } | Outcome::StoreFull { .. }), "{refused:?}");
    }
    assert_eq!(stage.store.job_edits(original.id).await.unwrap(), []);
    let replayed =
        Outcome::Replayed { id: again.replay_id, queue: "default".into(), state: JobState::Available };
    for _ in 0..2 {
        assert_eq!(stage.one(replay(&again)).await, replayed, "sent again, it is one");
    }
    let new = stage.record(again.replay_id).await;
    assert_eq!((&*new.payload, new.replay_of), ("{\"a\":1}", Some(original.id)));
    assert_eq!((new.tags, new.priority, new.max_attempts), (vec!["x".to_owned()], 7, original.max_attempts));
    assert_eq!(stage.record(original.id).await, before, "the original stays as it is");
    // Nobody's submission is taken for the new job.
    let same_id = NewJob { id: again.replay_id, ..original.clone() };
    assert_eq!(stage.one(enqueue(&same_id)).await, Outcome::Conflict);
    let at = stage.now();
    stage.pass(SECOND);
    let other = edited(original.id, None);
    stage.one(replay(&other)).await;
    let edits = stage.store.job_edits(original.id).await.unwrap();
    let replays: Vec<Uuid> = edits.iter().map(|edit| edit.replay).collect();
    assert_eq!(replays, [other.replay_id, again.replay_id], "newest first");
    let EditRecord { original: of, note, at: kept_at, .. } = edits[1].clone();
    assert_eq!((of, kept_at, note.patch.as_deref()), (original.id, at, Some("{\"a\":1}")));
    assert_eq!((&*note.by, note.reason.is_some(), &edits[0].note.patch), ("ci", true, &None));
    assert_eq!(stage.store.job_edits(again.replay_id).await.unwrap(), edits[1..]);
    // It is known as long as one of the two is.
    stage.pass(DAY);
    stage.prune(prune(10)).await;
    assert!(stage.store.job(original.id).await.unwrap().is_none());
    assert_eq!(stage.store.job_edits(again.replay_id).await.unwrap(), edits[1..]);
    let session = stage.session().await;
    for claimed in stage.claim("default", 10, session).await {
        stage.finish(lease(&claimed), completed()).await;
    }
    stage.pass(DAY + SECOND);
    stage.prune(prune(10)).await;
    assert_eq!(stage.store.job_edits(again.replay_id).await.unwrap(), []);
    assert_eq!(stage.store.job_edits(original.id).await.unwrap(), []);
}
