//! Sessions, and the rescue of what dead ones hold.

use callboard_actors::edges::store::{Operation, Outcome, record::NewJob};
use callboard_contracts::{
    EventType, JobState,
    api::{AttemptOutcome, ErrorKind},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{SECOND, completed, enqueue, finish, job, lease, rescue, session, start},
};

pub(super) async fn a_session_is_opened_renewed_and_closed<B: Backend>(stage: &mut Stage<B>) {
    let known = stage.store.open_sessions().await.unwrap().len();
    let new = session();
    let id = new.id;
    let opened_at = stage.now();
    let mine = async |stage: &Stage<B>| {
        let sessions = stage.store.open_sessions().await.unwrap();
        sessions.into_iter().find(|session| session.id == id)
    };
    assert_eq!(stage.one(Operation::OpenSession(new.clone())).await, Outcome::Done);
    let found = mine(stage).await.unwrap();
    assert_eq!((&*found.node, found.seen_at, found.executing), ("node", opened_at, 0));
    stage.pass(SECOND);
    assert_eq!(stage.one(Operation::RenewSession { id }).await, Outcome::Done);
    assert_eq!(stage.one(Operation::RenewSession { id }).await, Outcome::Done);
    assert_eq!(mine(stage).await.unwrap().seen_at, stage.now());
    // Opened again, as after an answer that was lost.
    stage.pass(SECOND);
    assert_eq!(stage.one(Operation::OpenSession(new)).await, Outcome::Done);
    assert_eq!(mine(stage).await.unwrap().seen_at, stage.now());
    assert_eq!(stage.store.open_sessions().await.unwrap().len(), known + 1);
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    let claimed = stage.claim("default", 2, id).await;
    assert_eq!(mine(stage).await.unwrap().executing, 2);
    stage.finish(lease(&claimed[0]), completed()).await;
    assert_eq!(mine(stage).await.unwrap().executing, 1);
    stage.finish(lease(&claimed[1]), completed()).await;
    stage.reopen().await;
    assert!(mine(stage).await.is_some(), "it outlives the process");
    for _ in 0..2 {
        assert_eq!(stage.one(Operation::CloseSession { id }).await, Outcome::Done);
    }
    assert!(mine(stage).await.is_none());
    assert_eq!(stage.one(Operation::RenewSession { id }).await, Outcome::NotFound);
    for unknown in
        [Operation::RenewSession { id: Uuid::now_v7() }, Operation::CloseSession { id: Uuid::now_v7() }]
    {
        assert_eq!(stage.one(unknown).await, Outcome::NotFound);
    }
}

pub(super) async fn the_attempts_of_a_dead_session_are_ended_in_bounded_steps<B: Backend>(
    stage: &mut Stage<B>,
) {
    let (dead, alive) = (stage.session().await, stage.session().await);
    // Of the last job this is the only attempt.
    let mut jobs: Vec<NewJob> = (0..4).map(|_| job()).collect();
    jobs[3].max_attempts = 1;
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let lost = stage.claim("default", 4, dead).await;
    stage.one(start(lease(&lost[0]), stage.now())).await;
    stage.one(enqueue(&job())).await;
    let kept = lease(&stage.claim("default", 1, alive).await[0]);
    stage.pass(SECOND);
    for expected in [3, 1, 0] {
        let moved = stage.one(rescue(dead, 3)).await;
        let Outcome::Moved { count, queues, .. } = &moved else { panic!("{moved:?}") };
        assert_eq!(*count, expected);
        assert!(expected != 3 || queues.contains(&"default".to_owned()), "{queues:?}");
    }
    for (number, lost) in lost.iter().enumerate() {
        // What the dead node still says changes nothing.
        assert_eq!(stage.one(finish(lease(lost), completed())).await, Outcome::Stale);
        assert_eq!(stage.one(start(lease(lost), stage.now())).await, Outcome::Stale);
        let found = stage.store.job(lost.id).await.unwrap().unwrap();
        let last = number == 3;
        let state = if last { JobState::Discarded } else { JobState::Available };
        assert_eq!((found.job.state, found.job.attempt), (state, 1), "a lost attempt counts");
        assert_eq!(found.job.last_error.as_deref(), Some("no luck"));
        assert_eq!(found.job.finished_at.is_some(), last);
        let [ended] = &found.attempts[..] else { panic!("{found:?}") };
        assert_eq!(ended.outcome, AttemptOutcome::Failed);
        assert_eq!(ended.error.as_ref().unwrap().kind, ErrorKind::Lost);
        let told = if last { EventType::Failed } else { EventType::AttemptFailed };
        assert_eq!(stage.way(lost.id).await.last(), Some(&told));
    }
    // The living one's goes on.
    assert_eq!(stage.finish(kept, completed()).await, JobState::Completed);
    let again = stage.claim("default", 10, alive).await;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2, 2]);
    for (job, lost) in again.iter().zip(&lost) {
        assert!(job.token > lost.token);
    }
}

pub(super) async fn nobody_is_rescued_of_a_session_that_holds_nothing<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let nothing = |outcome: &Outcome| matches!(outcome, Outcome::Moved { count: 0, .. } | Outcome::NotFound);
    for id in [session, Uuid::now_v7()] {
        let outcome = stage.one(rescue(id, 10)).await;
        assert!(nothing(&outcome), "{outcome:?}");
    }
    assert!(stage.log().await.is_empty());
    let outcome = stage.one(rescue(session, 0)).await;
    assert!(nothing(&outcome), "{outcome:?}");
}
