//! Sessions: no claim outlives its session, and nobody who lives is taken for dead.

use std::time::Duration;

use callboard_actors::edges::store::{Operation, Outcome, Renewal, Store, record::AttemptEnd};
use callboard_contracts::JobState;
use sqlx::Connection;
use tokio::task::JoinSet;

use super::support::{
    Stage, apply, claim, claimed, complete, enqueue, job, lease, lost, one, record, rescue, session, state,
};

const TTL: Duration = Duration::from_secs(10);

#[tokio::test]
async fn nothing_is_claimed_under_a_session_that_has_ended() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let new = job();
    apply(&store, vec![enqueue(&new)]).await;
    let session = session(&store).await;
    assert!(matches!(one(&store, rescue(session)).await, Outcome::Moved { count: 0, .. }));
    assert_eq!(one(&store, claim(1, session)).await, Outcome::NotFound);
    assert_eq!(one(&store, claim(1, uuid::Uuid::now_v7())).await, Outcome::NotFound);
    assert_eq!(store.renew(session).await.unwrap(), Renewal::Lost);
    assert_eq!(state(&store, new.id).await, JobState::Available);
}

#[tokio::test]
async fn a_session_ends_only_when_claims_under_way_are_done_and_with_what_they_took() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let new = job();
    apply(&store, vec![enqueue(&new)]).await;
    let session = session(&store).await;
    // A claim as another connection makes it, not committed yet.
    let mut connection = stage.connect().await;
    let mut claiming = connection.begin().await.unwrap();
    let locked = sqlx::query("SELECT FROM sessions WHERE id = $1 AND closed_at IS NULL FOR KEY SHARE");
    locked.bind(session).fetch_one(&mut *claiming).await.unwrap();
    sqlx::query("UPDATE jobs SET state = 3, attempt = 1, token = nextval('lease_token'), session = $1, claimed_at = 1")
        .bind(session)
        .execute(&mut *claiming)
        .await
        .unwrap();
    let ending = store.apply(vec![rescue(session)]);
    stage.until_blocked("one").await;
    claiming.commit().await.unwrap();
    let ended = ending.await.unwrap();
    assert!(matches!(ended[0], Ok(Outcome::Moved { count: 1, .. })), "{ended:?}");
    assert_eq!(state(&store, new.id).await, JobState::Available);
    assert_eq!(one(&store, claim(1, session)).await, Outcome::NotFound);
}

#[tokio::test]
async fn claims_that_race_with_the_end_of_their_session_leave_nothing_behind() {
    let stage = Stage::new().await;
    let (one_node, other) = (stage.open("one").await, stage.open("other").await);
    apply(&one_node, (0..60).map(|_| enqueue(&job())).collect()).await;
    for _ in 0..20 {
        let session = session(&one_node).await;
        let mut claims = JoinSet::new();
        for _ in 0..4 {
            claims.spawn(one_node.apply(vec![claim(3, session)]));
        }
        apply(&other, vec![rescue(session)]).await;
        while let Some(claimed) = claims.join_next().await {
            let claimed = claimed.unwrap().unwrap().remove(0).unwrap();
            assert!(matches!(claimed, Outcome::Claimed(_) | Outcome::NotFound), "{claimed:?}");
        }
    }
    assert_eq!(stage.number("SELECT count(*) FROM jobs WHERE state = 3").await, 0);
}

#[tokio::test]
async fn who_lives_is_not_rescued_whatever_the_rescuer_thinks() {
    let stage = Stage::with_clock().await;
    let (node, rescuer) = (stage.open("node").await, stage.open("rescuer").await);
    apply(&node, vec![enqueue(&job())]).await;
    let own = session(&node).await;
    let leader = session(&rescuer).await;
    let token = match rescuer.lead(leader, TTL * 100).await.unwrap() {
        callboard_actors::edges::store::Leadership::Leader { token } => token,
        other => panic!("{other:?}"),
    };
    let lease_of = claimed(&node, 1, own).await.remove(0);
    let dead = || Operation::Rescue {
        session: own,
        error: lost(),
        limit: 10,
        idle_for: Some(TTL),
        leader: Some(token),
        quarantine_after: 0,
    };
    // The rescuer has read that the session is silent; then the node says that it lives.
    stage.pass(TTL * 2);
    assert!(matches!(node.renew(own).await.unwrap(), Renewal::Alive { .. }));
    assert_eq!(one(&rescuer, dead()).await, Outcome::NotFound);
    assert_eq!(state(&node, lease_of.id).await, JobState::Executing);

    // A renewal that is under way when the rescue comes is heeded, too.
    stage.pass(TTL * 2);
    let mut connection = stage.connect().await;
    let mut renewing = connection.begin().await.unwrap();
    sqlx::query("UPDATE sessions SET seen_at = $2 WHERE id = $1")
        .bind(own)
        .bind(node.now().as_micros())
        .execute(&mut *renewing)
        .await
        .unwrap();
    let rescuing = rescuer.apply(vec![dead()]);
    stage.until_blocked("rescuer").await;
    renewing.commit().await.unwrap();
    assert_eq!(rescuing.await.unwrap(), [Ok(Outcome::NotFound)]);
    assert_eq!(one(&node, complete(&lease_of)).await, Outcome::Finished { state: JobState::Completed });
}

#[tokio::test]
async fn what_a_dead_node_says_after_its_rescue_is_stale() {
    let stage = Stage::with_clock().await;
    let (node, rescuer) = (stage.open("node").await, stage.open("rescuer").await);
    apply(&node, vec![enqueue(&job())]).await;
    let own = session(&node).await;
    let old = claimed(&node, 1, own).await.remove(0);
    stage.pass(TTL * 2);
    let dead = Operation::Rescue {
        session: own,
        error: lost(),
        limit: 10,
        idle_for: Some(TTL),
        leader: None,
        quarantine_after: 0,
    };
    assert!(matches!(one(&rescuer, dead).await, Outcome::Moved { count: 1, .. }));
    assert_eq!(node.renew(own).await.unwrap(), Renewal::Lost);
    let new_session = session(&rescuer).await;
    let new = claimed(&rescuer, 1, new_session).await.remove(0);
    assert!(new.token > old.token);
    assert_eq!(new.attempt, 2);
    assert_eq!(one(&node, complete(&old)).await, Outcome::Stale);
    let started = Operation::Start { lease: lease(&old), started_at: node.now() };
    assert_eq!(one(&node, started).await, Outcome::Stale);
    let end = Operation::Finish { lease: lease(&new), started_at: None, end: AttemptEnd::Released };
    assert_eq!(one(&rescuer, end).await, Outcome::Finished { state: JobState::Available });
    assert_eq!(record(&node, new.id).await.attempt, 1);
}
