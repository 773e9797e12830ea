//! How the server goes about lists: by an index, so that its work does not grow with the tables.

use callboard_contracts::JobState;
use callboard_testsupport::Database;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres, QueryBuilder, Row, raw_sql};
use tokio::task::spawn_blocking;

use super::{
    PostgresOptions, PostgresStore,
    dead_jobs::{BY_INDEX, COUNT, FIRST, LAST, NEXT_GROUP, NEXT_TYPE, SUCCESS},
    read::{push_list_of_few, push_lists},
};
use crate::edges::store::record::JobFilter;

/// Most jobs are completed; of five queues, seven types, and with a tag that one in fifty has.
const JOBS: &str = "
    SET search_path = callboard;
    INSERT INTO jobs (id, sequence, type, queue, state, max_attempts, timeout, correlation_id, created_at, updated_at, scheduled_at)
    SELECT gen_random_uuid(), n, 't' || n % 7, 'q' || n % 5, CASE WHEN n % 10 = 0 THEN 7 WHEN n % 100 = 1 THEN 2 ELSE 5 END,
           5, 1, gen_random_uuid(), n, n, n FROM generate_series(1, 20000) AS n;
    UPDATE jobs SET cause = 'c' || sequence % 3, finished_at = sequence WHERE state = 7;
    INSERT INTO job_bodies (id, sequence, type, queue, payload, fingerprint, created_event_id)
    SELECT id, sequence, type, queue, '{}', '', id FROM jobs;
    INSERT INTO job_tags (tag, sequence) SELECT CASE WHEN n % 50 = 0 THEN 'rare' ELSE 'usual' END, n FROM generate_series(1, 20000) AS n;
    ANALYZE;
";

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let (database, store) = spawn_blocking(|| {
        let database = Database::create();
        let store = PostgresStore::open(PostgresOptions::new(database.url())).unwrap();
        (database, store)
    })
    .await
    .unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    connection.execute(raw_sql(JOBS)).await.unwrap();
    let states = [
        vec![],
        vec![JobState::Completed],
        vec![JobState::Discarded],
        vec![JobState::Available, JobState::Discarded, JobState::Completed],
    ];
    let others = |queue: bool, job_type: bool, tag: Option<&str>| JobFilter {
        queue: queue.then(|| "q3".to_owned()),
        job_type: job_type.then(|| "t2".to_owned()),
        tag: tag.map(str::to_owned),
        ..JobFilter::default()
    };
    let others = [
        others(false, false, None),
        others(true, false, None),
        others(false, true, None),
        others(false, false, Some("rare")),
        others(false, false, Some("nobodys")),
        others(true, false, Some("usual")),
        JobFilter { cause: Some("c1".to_owned()), ..others(false, false, None) },
        JobFilter { cause: Some("c1".to_owned()), ..others(true, true, None) },
    ];
    for before in [None, Some(10_000)] {
        for states in &states {
            for other in &others {
                let filter = JobFilter { states: states.clone(), before, ..other.clone() };
                // Nothing is asked for then.
                if filter.states_that_fit().is_some_and(|states| states.is_empty()) {
                    continue;
                }
                let ways = [push_lists, push_list_of_few];
                let few = filter.narrowing().next().is_some();
                for push in &ways[..1 + usize::from(few)] {
                    let mut query = QueryBuilder::<Postgres>::new("EXPLAIN ");
                    push(&mut query, &filter, 50);
                    let plan = query.build().fetch_all(&mut connection).await.unwrap();
                    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
                    let plan = plan.join("\n");
                    for whole in ["Seq Scan on job", "Hash Join", "Merge Join"] {
                        assert!(!plan.contains(whole), "{filter:?}:\n{plan}");
                    }
                }
            }
        }
    }
    // What dead jobs died of, and the last success.
    let key = ["'t2'", "'q0'", "'c1'", "10001"];
    let success = ["'t2'", "9223372036854775807", "5000", "'q3'"];
    let one_by_one = [NEXT_GROUP, NEXT_TYPE, COUNT, FIRST, LAST].map(|sql| (sql, key));
    for (sql, values) in one_by_one.into_iter().chain([(SUCCESS, success)]) {
        let explained = (1..)
            .zip(values)
            .fold(format!("EXPLAIN {sql}"), |sql, (number, value)| sql.replace(&format!("${number}"), value));
        let mut transaction = connection.begin().await.unwrap();
        if sql != SUCCESS {
            transaction.execute(raw_sql(BY_INDEX)).await.unwrap();
        }
        let plan = transaction.fetch_all(raw_sql(AssertSqlSafe(explained))).await.unwrap();
        transaction.rollback().await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        for whole in ["Sort", "Bitmap", "Seq Scan on job", "Hash Join", "Merge Join"] {
            assert!(!plan.contains(whole), "{sql}:\n{plan}");
        }
    }
    drop(store);
    connection.close().await.unwrap();
    spawn_blocking(|| drop(database)).await.unwrap();
}
