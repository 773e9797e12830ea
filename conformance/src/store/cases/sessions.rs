//! Sessions, and the rescue of what dead ones hold.

use std::time::Duration;

use callboard_actors::edges::store::{
    Leadership, Operation, Outcome, Renewal, Wake, port::OpenSession, record::NewJob,
};
use callboard_contracts::{
    EventType, JobState,
    api::{AttemptOutcome, ErrorKind},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{
        DAY, SECOND, cancelled, claim, completed, enqueue, finish, job, lease, lost, prune, release, rescue,
        retry, session, start,
    },
};

/// This session, as others see it.
async fn seen<B: Backend>(stage: &Stage<B>, id: Uuid) -> Option<OpenSession> {
    let sessions = stage.store.open_sessions().await.unwrap();
    sessions.into_iter().find(|session| session.id == id)
}

const ALIVE: Renewal = Renewal::Alive { cancels: vec![] };

pub async fn a_session_is_opened_renewed_and_closed<B: Backend>(stage: &mut Stage<B>) {
    let known = stage.store.open_sessions().await.unwrap().len();
    let new = session();
    let id = new.id;
    assert_eq!(stage.one(Operation::OpenSession(new.clone())).await, Outcome::Done);
    let found = seen(stage, id).await.unwrap();
    assert_eq!((&*found.node, found.seen_at, found.executing), ("node", stage.now(), 0));
    stage.pass(SECOND);
    for _ in 0..2 {
        assert_eq!(stage.store.renew(id).await.unwrap(), ALIVE);
        assert_eq!(seen(stage, id).await.unwrap().seen_at, stage.now());
    }
    // Opened again, as after an answer that was lost.
    stage.pass(SECOND);
    assert_eq!(stage.one(Operation::OpenSession(new.clone())).await, Outcome::Done);
    assert_eq!(seen(stage, id).await.unwrap().seen_at, stage.now());
    assert_eq!(stage.store.open_sessions().await.unwrap().len(), known + 1);
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    let claimed = stage.claim("default", 2, id).await;
    assert_eq!(seen(stage, id).await.unwrap().executing, 2);
    stage.finish(lease(&claimed[0]), completed()).await;
    assert_eq!(seen(stage, id).await.unwrap().executing, 1);
    stage.finish(lease(&claimed[1]), completed()).await;
    stage.reopen().await;
    assert_eq!(stage.store.renew(id).await.unwrap(), ALIVE, "it outlives the process");
    for _ in 0..2 {
        let nothing = Outcome::Moved { queues: vec![], count: 0, next_at: None };
        assert_eq!(stage.one(rescue(id, 10)).await, nothing);
        assert!(seen(stage, id).await.is_none());
    }
    for closed in [id, Uuid::now_v7()] {
        assert_eq!(stage.store.renew(closed).await.unwrap(), Renewal::Lost);
        assert_eq!(stage.one(claim("default", 10, closed)).await, Outcome::NotFound);
        assert_eq!(stage.one(claim("default", 0, closed)).await, Outcome::NotFound);
    }
    // A closed one cannot be opened again.
    stage.one(Operation::OpenSession(new)).await;
    assert_eq!(stage.store.renew(id).await.unwrap(), Renewal::Lost);
    // Within one batch, too.
    let other = stage.session().await;
    let batch = vec![claim("default", 1, other), rescue(other, 10), claim("default", 1, other)];
    let outcomes = stage.apply(batch).await;
    assert!(matches!(&outcomes[0], Outcome::Claimed(jobs) if jobs.len() == 1), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Moved { count: 1, .. }), "{outcomes:?}");
    assert_eq!(outcomes[2], Outcome::NotFound);
}

pub async fn a_renewal_tells_of_the_attempts_that_are_to_end<B: Backend>(stage: &mut Stage<B>) {
    let (session, other) = (stage.session().await, stage.session().await);
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    let held = stage.claim("default", 2, session).await;
    let others = stage.claim("default", 1, other).await;
    for id in [held[0].id, others[0].id] {
        stage.one(Operation::Cancel { id }).await;
    }
    let cancels = vec![(lease(&held[0]), "default".to_owned())];
    for _ in 0..2 {
        assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Alive { cancels: cancels.clone() });
    }
    stage.finish(lease(&held[0]), cancelled()).await;
    assert_eq!(stage.store.renew(session).await.unwrap(), ALIVE);
}

pub async fn a_session_is_ended_only_after_it_was_silent_for_as_long_as_was_asked<B: Backend>(
    stage: &mut Stage<B>,
) {
    let session = stage.session().await;
    stage.one(enqueue(&job())).await;
    let held = lease(&stage.claim("default", 1, session).await[0]);
    let ttl = 10 * SECOND;
    let leader = Some(stage.leader);
    let judge = |session| Operation::Rescue {
        session,
        error: lost(),
        limit: 10,
        idle_for: Some(ttl),
        quarantine_after: 0,
        leader,
    };
    stage.pass(ttl);
    assert_eq!(stage.store.renew(session).await.unwrap(), ALIVE);
    stage.pass(ttl - Duration::from_micros(1));
    assert_eq!(stage.one(judge(session)).await, Outcome::NotFound);
    assert_eq!(stage.one(judge(Uuid::now_v7())).await, Outcome::NotFound);
    assert!(seen(stage, session).await.is_some());
    stage.pass(Duration::from_micros(1));
    for count in [1, 0] {
        let moved = stage.one(judge(session)).await;
        assert!(matches!(moved, Outcome::Moved { count: moved, .. } if moved == count), "{moved:?}");
    }
    assert_eq!(stage.one(finish(held, completed())).await, Outcome::Stale);
    assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Lost);
}

pub async fn one_session_leads_until_it_ends_or_is_silent<B: Backend>(stage: &mut Stage<B>) {
    let ttl = 10 * SECOND;
    let lead = async |stage: &Stage<B>, session: Uuid| stage.store.lead(session, ttl).await.unwrap();
    let old = stage.leader;
    // The one that led so far ends, and is followed at once.
    stage.one(rescue(stage.leading, 10)).await;
    let (first, second) = (stage.session().await, stage.session().await);
    let Leadership::Leader { token } = lead(stage, first).await else { panic!() };
    assert_eq!(lead(stage, first).await, Leadership::Leader { token }, "it goes on leading");
    if B::SHARED {
        assert!(token > old);
        let until = stage.now().saturating_add(ttl);
        assert_eq!(lead(stage, second).await, Leadership::Follower { until });
        // What is still under way of the one before is refused; nothing changes.
        let deposed = [
            Operation::Promote { limit: 10, leader: old },
            Operation::Prune { retention: prune(10), leader: old },
            Operation::Rescue {
                session: second,
                error: lost(),
                limit: 10,
                idle_for: None,
                quarantine_after: 0,
                leader: Some(old),
            },
        ];
        for deposed in deposed {
            assert_eq!(stage.one(deposed).await, Outcome::NotLeader);
        }
        assert!(seen(stage, second).await.is_some());
        // It is renewed, so it goes on; it is silent, and another one takes over.
        stage.pass(ttl - SECOND);
        assert_eq!(lead(stage, first).await, Leadership::Leader { token });
        stage.pass(ttl - SECOND);
        assert!(matches!(lead(stage, second).await, Leadership::Follower { .. }));
        stage.pass(2 * SECOND);
        let Leadership::Leader { token: next } = lead(stage, second).await else { panic!() };
        assert!(next > token);
        assert!(matches!(lead(stage, first).await, Leadership::Follower { .. }));
        let late = Operation::Promote { limit: 10, leader: token };
        assert_eq!(stage.one(late).await, Outcome::NotLeader);
        let now = Operation::Promote { limit: 10, leader: next };
        assert!(matches!(stage.one(now).await, Outcome::Moved { .. }));
    } else {
        // Alone it leads, always.
        assert_eq!(lead(stage, second).await, Leadership::Leader { token });
        assert!(matches!(stage.promote(10).await, Outcome::Moved { .. }));
    }
}

pub async fn a_store_for_several_processes_has_one_leader_of_many<B: Backend>(stage: &mut Stage<B>) {
    stage.one(rescue(stage.leading, 10)).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..6 {
        let client = stage.another(&format!("node-{number}")).await;
        let session = client.session().await;
        asking.spawn(async move { client.store.lead(session, DAY).await.unwrap() });
    }
    let answers = asking.join_all().await;
    let leaders = answers.iter().filter(|answer| matches!(answer, Leadership::Leader { .. })).count();
    assert_eq!(leaders, if B::SHARED { 1 } else { 6 }, "{answers:?}");
}

pub async fn other_nodes_are_told<B: Backend>(stage: &mut Stage<B>) {
    assert!(stage.store.lanes() >= 1);
    let mut own = stage.store.wakes();
    let other = stage.another("other").await;
    let mut wakes = other.store.wakes();
    let session = stage.session().await;
    stage.one(enqueue(&NewJob { queue: "mail".into(), ..job() })).await;
    let claimed = lease(&stage.claim("mail", 1, session).await[0]);
    stage.one(Operation::Cancel { id: claimed.id }).await;
    stage.settle().await;
    if B::SHARED {
        let mut missing = vec![
            Wake::Available("mail".to_owned()),
            Wake::Cancel { lease: claimed, queue: "mail".to_owned(), session },
        ];
        while !missing.is_empty() {
            match wakes.recv().await.unwrap() {
                Wake::Everything => missing.clear(),
                wake => missing.retain(|expected| *expected != wake),
            }
        }
    } else {
        assert!(wakes.try_recv().is_err());
    }
    while let Ok(wake) = own.try_recv() {
        assert!(!matches!(wake, Wake::Available(_) | Wake::Cancel { .. }), "it was told of its own {wake:?}");
    }
}

pub async fn the_attempts_of_a_dead_session_are_ended_in_bounded_steps<B: Backend>(stage: &mut Stage<B>) {
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
    // With its last attempt the session was closed.
    assert!(seen(stage, dead).await.is_none());
    // The living one's goes on.
    assert_eq!(stage.finish(kept, completed()).await, JobState::Completed);
    let again = stage.claim("default", 10, alive).await;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2, 2]);
    for (job, lost) in again.iter().zip(&lost) {
        assert!(job.token > lost.token);
    }
}

pub async fn nobody_is_rescued_of_a_session_that_holds_nothing<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let nothing = Outcome::Moved { queues: vec![], count: 0, next_at: None };
    assert_eq!(stage.one(rescue(session, 0)).await, nothing);
    assert!(seen(stage, session).await.is_some(), "nobody has looked whether it holds anything");
    assert_eq!(stage.one(rescue(session, 1)).await, nothing);
    assert!(seen(stage, session).await.is_none());
    assert_eq!(stage.one(rescue(Uuid::now_v7(), 10)).await, Outcome::NotFound);
    assert!(stage.log().await.is_empty());
}

pub async fn what_kills_its_nodes_waits_in_quarantine<B: Backend>(stage: &mut Stage<B>) {
    let leader = Some(stage.leader);
    let judge = |session| Operation::Rescue {
        session,
        error: lost(),
        limit: 10,
        idle_for: Some(SECOND),
        quarantine_after: 2,
        leader,
    };
    let (deadly, merely_claimed) = (job(), job());
    let [deadly, merely_claimed] = [deadly, merely_claimed].map(|new| NewJob { max_attempts: 9, ..new });
    stage.apply(vec![enqueue(&deadly), enqueue(&merely_claimed)]).await;
    for death in 1..=2 {
        let session = stage.session().await;
        let claimed = stage.claim("default", 10, session).await;
        assert_eq!(claimed.len(), 2);
        let run = claimed.iter().find(|job| job.id == deadly.id).unwrap();
        stage.one(start(lease(run), stage.now())).await;
        stage.pass(SECOND);
        let moved = stage.one(judge(session)).await;
        assert!(matches!(moved, Outcome::Moved { count: 2, .. }), "{moved:?}");
        let state = if death < 2 { JobState::Available } else { JobState::Pending };
        assert_eq!(stage.state(deadly.id).await, state);
        assert_eq!(stage.state(merely_claimed.id).await, JobState::Available, "it has killed nobody");
    }
    let record = stage.record(deadly.id).await;
    assert!(record.wait_reason.as_ref().is_some_and(|reason| reason.contains("quarantine")), "{record:?}");
    let way = stage.way(deadly.id).await;
    assert!(way.ends_with(&[EventType::AttemptFailed, EventType::Quarantined]), "{way:?}");
    // That there is a handler helps it nothing.
    assert!(matches!(stage.one(release(&["noop"], 10)).await, Outcome::Moved { count: 0, .. }));
    // Somebody runs it again: it begins to count anew.
    let available = Outcome::MadeAvailable { queue: "default".into() };
    assert_eq!(stage.one(retry(deadly.id)).await, available);
    assert_eq!(stage.record(deadly.id).await.wait_reason, None);
    let session = stage.session().await;
    for job in stage.claim("default", 10, session).await {
        stage.one(start(lease(&job), stage.now())).await;
    }
    // A node that ends its own attempts in good order has not died.
    stage.one(rescue(session, 10)).await;
    assert_eq!(stage.state(deadly.id).await, JobState::Available);
    let session = stage.session().await;
    for job in stage.claim("default", 10, session).await {
        stage.one(start(lease(&job), stage.now())).await;
    }
    stage.pass(SECOND);
    stage.one(judge(session)).await;
    assert_eq!(stage.state(deadly.id).await, JobState::Available, "once, since it was run by hand");
}
