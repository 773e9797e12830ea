//! Many at once.

use std::{collections::BTreeSet, sync::Arc};

use callboard_actors::edges::store::{Operation, Outcome, record::JobFilter};

use super::harness::{Stage, completed, enqueue, finish, job, lease};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_claimers_never_share_a_job() {
    const JOBS: usize = 2_000;
    let stage = Arc::new(Stage::new());
    stage.apply((0..JOBS).map(|_| enqueue(&job())).collect()).await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let stage = stage.clone();
        claimers.spawn(async move {
            let session = stage.session().await;
            let mut mine = Vec::new();
            loop {
                let claimed = stage.claim("default", 7, session).await;
                if claimed.is_empty() {
                    return mine;
                }
                let ends = claimed.iter().map(|job| finish(lease(job), completed())).collect();
                for outcome in stage.apply(ends).await {
                    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
                }
                mine.extend(claimed.into_iter().map(|job| (job.id, job.token)));
            }
        });
    }
    let claimed = claimers.join_all().await.concat();
    let (ids, tokens): (BTreeSet<_>, BTreeSet<_>) = claimed.iter().copied().unzip();
    assert_eq!((claimed.len(), ids.len(), tokens.len()), (JOBS, JOBS, JOBS));
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, JOBS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_see_whole_batches_while_others_are_written() {
    let stage = Arc::new(Stage::new());
    let writer = {
        let stage = stage.clone();
        tokio::spawn(async move {
            for _ in 0..30 {
                stage.apply((0..20).map(|_| enqueue(&job())).collect()).await;
            }
        })
    };
    let mut seen = 0;
    while seen < 600 {
        let page = stage.store.jobs(JobFilter::default(), 1000).await.unwrap();
        assert_eq!(page.len() % 20, 0, "half a batch was seen");
        assert!(page.len() >= seen, "what was there is there");
        seen = page.len();
    }
    writer.await.unwrap();
    let cancelled = stage.one(Operation::Cancel { id: stage.list(JobFilter::default()).await[0].id }).await;
    assert_eq!(cancelled, Outcome::Cancelled);
}
