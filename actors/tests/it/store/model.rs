//! Random operations, against a model of what a job's way may be.

use std::{collections::BTreeMap, time::Duration};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, JobFilter, Lease, NewJob},
};
use callboard_contracts::{EventType, JobState};
use proptest::prelude::*;
use uuid::Uuid;

use super::harness::{Stage, completed, enqueue, error, failed, finish, job, promote, rescue, retry};

/// What is done next. Numbers choose among what there is at that time.
#[derive(Clone, Debug)]
enum Step {
    Enqueue { held: bool, attempts: u32 },
    Claim { limit: u32 },
    Start { which: usize },
    Finish { which: usize, end: u8 },
    Stale { which: usize },
    Cancel { which: usize },
    Retry { which: usize },
    Release,
    Rescue,
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::bool::weighted(0.2), 1..4_u32).prop_map(|(held, attempts)| Step::Enqueue { held, attempts }),
        3 => (1..4_u32).prop_map(|limit| Step::Claim { limit }),
        2 => any::<usize>().prop_map(|which| Step::Start { which }),
        4 => (any::<usize>(), 0..5_u8).prop_map(|(which, end)| Step::Finish { which, end }),
        1 => any::<usize>().prop_map(|which| Step::Stale { which }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        1 => any::<usize>().prop_map(|which| Step::Retry { which }),
        1 => Just(Step::Release),
        1 => Just(Step::Rescue),
        2 => Just(Step::Pass),
    ]
}

/// A job as the model has it.
#[derive(Clone, Debug)]
struct Known {
    state: JobState,
    attempt: u32,
    max_attempts: u32,
    token: Option<u64>,
}

#[derive(Default)]
struct Model {
    jobs: BTreeMap<Uuid, Known>,
    /// In the order of their storing.
    order: Vec<Uuid>,
    old_tokens: Vec<Lease>,
    newest_token: u64,
}

impl Model {
    fn pick(&self, which: usize, fits: impl Fn(&Known) -> bool) -> Option<Uuid> {
        let fitting: Vec<Uuid> = self.order.iter().copied().filter(|id| fits(&self.jobs[id])).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()])
    }

    fn end(&mut self, id: Uuid, state: JobState) {
        let job = self.jobs.get_mut(&id).unwrap();
        if let Some(token) = job.token.take() {
            self.old_tokens.push(Lease { id, token });
        }
        job.state = state;
    }

    fn lease(&self, id: Uuid) -> Lease {
        Lease { id, token: self.jobs[&id].token.unwrap() }
    }
}

async fn run(steps: Vec<Step>, resend: Vec<bool>) {
    let stage = Stage::new();
    let mut session = stage.session().await;
    let mut model = Model::default();
    for (number, step) in steps.into_iter().enumerate() {
        let again = resend[number % resend.len()];
        let operation = carry_out(&stage, &mut model, &mut session, step).await;
        // An answer that was lost: the same once more changes nothing.
        if let (true, Some(operation)) = (again, operation) {
            let before = (stage.log().await.len(), stage.list(JobFilter::default()).await);
            stage.one(operation).await;
            assert_eq!((stage.log().await.len(), stage.list(JobFilter::default()).await), before);
        }
        compare(&stage, &model).await;
    }
    check_log(&stage, &model).await;
}

/// Does it in the store and in the model. Gives the operation if it may be sent again as it is.
async fn carry_out(stage: &Stage, model: &mut Model, session: &mut Uuid, step: Step) -> Option<Operation> {
    use JobState::{Available, Cancelled, Completed, Discarded, Executing, Pending, Retryable};
    match step {
        Step::Enqueue { held, attempts } => {
            let held = held.then(|| "no handler".to_owned());
            let state = if held.is_some() { Pending } else { Available };
            let new = NewJob { held, max_attempts: attempts, ..job() };
            assert_eq!(stage.one(enqueue(&new)).await, Outcome::Enqueued { state });
            model.jobs.insert(new.id, Known { state, attempt: 0, max_attempts: attempts, token: None });
            model.order.push(new.id);
            Some(enqueue(&new))
        }
        Step::Claim { limit } => {
            let claimed = stage.claim("default", limit, *session).await;
            let available = model.jobs.values().filter(|job| job.state == Available).count();
            assert_eq!(claimed.len(), available.min(limit as usize));
            for job in claimed {
                assert!(job.token > model.newest_token, "tokens only grow");
                model.newest_token = job.token;
                let known = model.jobs.get_mut(&job.id).unwrap();
                assert_eq!((known.state, job.attempt), (Available, known.attempt + 1));
                (known.state, known.attempt, known.token) = (Executing, job.attempt, Some(job.token));
            }
            None
        }
        Step::Start { which } => {
            let id = model.pick(which, |job| job.state == Executing)?;
            let start = Operation::Start { lease: model.lease(id), started_at: stage.now() };
            assert!(matches!(stage.one(start.clone()).await, Outcome::Started { .. }));
            Some(start)
        }
        Step::Finish { which, end } => {
            let id = model.pick(which, |job| job.state == Executing)?;
            let job = model.jobs[&id].clone();
            let later = stage.now().saturating_add(Duration::from_secs(1));
            let (end, state) = match end {
                0 | 1 => (completed(), Completed),
                2 if job.attempt < job.max_attempts => (failed(Some(later)), Retryable),
                2 => (failed(None), Discarded),
                3 => (AttemptEnd::Cancelled { error: error() }, Cancelled),
                _ => (AttemptEnd::Released, Available),
            };
            let finish = finish(model.lease(id), end);
            let outcome = stage.one(finish.clone()).await;
            let Outcome::Finished { state: reached } = outcome else { panic!("{outcome:?}") };
            // A job that somebody has cancelled meanwhile does not go on.
            let cancelled = reached == Cancelled && matches!(state, Available | Retryable | Discarded);
            assert!(reached == state || cancelled, "{reached} for {state}");
            model.end(id, reached);
            if state == Available {
                model.jobs.get_mut(&id).unwrap().attempt -= 1;
            }
            Some(finish)
        }
        Step::Stale { which } => {
            let lease = *model.old_tokens.get(which % model.old_tokens.len().max(1))?;
            let current = model.jobs[&lease.id].token;
            assert_ne!(current, Some(lease.token));
            let outcome = stage.one(finish(lease, failed(None))).await;
            let repeated = matches!(outcome, Outcome::Finished { .. });
            assert!(repeated || outcome == Outcome::Stale, "{outcome:?}");
            None
        }
        Step::Cancel { which } => {
            let id = model.pick(which, |_| true)?;
            let state = model.jobs[&id].state;
            let outcome = stage.one(Operation::Cancel { id }).await;
            match state {
                Executing => assert!(matches!(outcome, Outcome::CancelRequested { .. }), "{outcome:?}"),
                state if state.is_final() => assert_eq!(outcome, Outcome::NotPossible { state }),
                _ => {
                    assert_eq!(outcome, Outcome::Cancelled);
                    model.end(id, Cancelled);
                }
            }
            Some(Operation::Cancel { id })
        }
        Step::Retry { which } => {
            let id = model.pick(which, |_| true)?;
            let known = model.jobs[&id].clone();
            let operation = retry(id);
            match (known.state, stage.one(operation.clone()).await) {
                (Retryable, Outcome::MadeAvailable { .. }) => {
                    model.end(id, Available);
                    None
                }
                (state, Outcome::Replayed { id: replay, state: Available, .. }) if state.is_final() => {
                    model.jobs.insert(replay, Known { state: Available, attempt: 0, token: None, ..known });
                    model.order.push(replay);
                    Some(operation)
                }
                (state, outcome) => {
                    assert_eq!(outcome, Outcome::NotPossible { state });
                    Some(operation)
                }
            }
        }
        Step::Release => {
            stage.one(Operation::ReleaseHeld { job_types: vec!["noop".into()], limit: 1000 }).await;
            for job in model.jobs.values_mut().filter(|job| job.state == Pending) {
                job.state = Available;
            }
            None
        }
        Step::Rescue => {
            let dead = std::mem::replace(session, stage.session().await);
            stage.one(rescue(dead, 1000)).await;
            for id in model.order.clone() {
                let job = model.jobs[&id].clone();
                if job.state == Executing {
                    let reached = stage.state(id).await;
                    let last = job.attempt >= job.max_attempts;
                    let expected = if last { [Discarded, Cancelled] } else { [Available, Cancelled] };
                    assert!(expected.contains(&reached), "{job:?} became {reached}");
                    model.end(id, reached);
                }
            }
            None
        }
        Step::Pass => {
            stage.pass(Duration::from_secs(1));
            stage.one(promote(1000)).await;
            for job in model.jobs.values_mut().filter(|job| job.state == Retryable) {
                job.state = Available;
            }
            Some(promote(1000))
        }
    }
}

async fn compare(stage: &Stage, model: &Model) {
    let stored = stage.list(JobFilter::default()).await;
    assert_eq!(stored.len(), model.jobs.len());
    for job in &stored {
        let known = &model.jobs[&job.id];
        assert_eq!((job.state, job.attempt), (known.state, known.attempt), "{known:?}");
    }
    let count = |fits: fn(JobState) -> bool| model.jobs.values().filter(|job| fits(job.state)).count() as u64;
    let totals = stage.store.totals().await.unwrap();
    assert_eq!(totals.completed_jobs, count(|state| state == JobState::Completed));
    assert_eq!(totals.failed_jobs, count(|state| matches!(state, JobState::Cancelled | JobState::Discarded)));
    let queues = stage.store.queues().await.unwrap();
    for (_, held) in queues {
        for (number, state) in JobState::ALL.into_iter().enumerate() {
            let known = model.jobs.values().filter(|job| job.state == state).count() as u64;
            assert_eq!(held.counts[number], known, "{state}");
        }
    }
}

/// The log has no gaps, and tells of each job a way that a job can go.
async fn check_log(stage: &Stage, model: &Model) {
    let log = stage.log().await;
    let positions: Vec<u64> = log.iter().map(|event| event.cursor.position).collect();
    assert_eq!(positions, (1..=log.len() as u64).collect::<Vec<_>>());
    let mut ways: BTreeMap<Uuid, Vec<EventType>> = BTreeMap::new();
    for logged in &log {
        let id: Uuid = logged.event.payload["id"].as_str().unwrap().parse().unwrap();
        ways.entry(id).or_default().push(logged.event.event_type);
    }
    assert_eq!(ways.len(), model.jobs.len());
    for (id, way) in ways {
        let times = |event: EventType| way.iter().filter(|known| **known == event).count();
        assert_eq!(way[0], EventType::Created);
        for once in EventType::ALL.into_iter().filter(|event| event.is_original()) {
            assert!(times(once) <= 1, "{once} twice: {way:?}");
        }
        let state = model.jobs[&id].state;
        let ended = times(EventType::Completed) + times(EventType::Failed);
        assert_eq!(ended, usize::from(state.is_final()), "{state}: {way:?}");
        if state.is_final() {
            assert!(matches!(way.last(), Some(EventType::Completed | EventType::Failed)), "{way:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_agree_with_the_model(
        steps in prop::collection::vec(step(), 1..60), resend in prop::collection::vec(any::<bool>(), 1..7),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, resend));
    }
}
