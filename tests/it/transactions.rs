//! Jobs within the transactions of a program that embeds Callboard.

use callboard::{
    App, AppError,
    contracts::{JobState, api::SubmitJob},
    jobs::{Noop, Refusal},
    sqlx::{Connection, PgConnection},
};
use callboard_testsupport::Database;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_transaction_runs_when_it_commits_and_is_nowhere_when_it_does_not() {
    let database = spawn_blocking(Database::create).await.unwrap();
    let folder = TempDir::new().unwrap();
    let app = App::builder().postgres(database.url()).data_dir(folder.path()).start().await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();

    let mut transaction = connection.begin().await.unwrap();
    let dropped = app.enqueue_in(&mut transaction, &Noop {}).await.unwrap();
    transaction.rollback().await.unwrap();

    let mut transaction = connection.begin().await.unwrap();
    // What is refused leaves the transaction good.
    let unknown = SubmitJob { job_type: "unheard-of".to_owned(), ..SubmitJob::default() };
    let refused = app.enqueue_job_in(&mut transaction, unknown).await.unwrap_err();
    assert!(matches!(refused, AppError::Refused(Refusal::UnknownType { .. })), "{refused:?}");
    let kept = app.enqueue_in(&mut transaction, &Noop {}).await.unwrap();
    assert_eq!((kept.state, kept.duplicate), (JobState::Available, false));
    // Others do not see it yet.
    assert!(matches!(app.job(kept.id).await, Err(AppError::NotFound(_))));
    transaction.commit().await.unwrap();

    let done = app.wait(kept.id).await.unwrap();
    assert_eq!(done.summary.state, JobState::Completed);
    assert!(matches!(app.job(dropped.id).await, Err(AppError::NotFound(_))));
    // Without a transaction there would be nothing that it could be a part of.
    let refused = app.enqueue_in(&mut connection, &Noop {}).await.unwrap_err();
    assert!(matches!(refused, AppError::Store { .. }), "{refused:?}");
    app.stop().await;
}

#[tokio::test]
async fn an_embedded_store_has_no_part_in_transactions() {
    let database = spawn_blocking(Database::create).await.unwrap();
    let folder = TempDir::new().unwrap();
    let app = App::builder().data_dir(folder.path()).start().await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let refused = app.enqueue_in(&mut transaction, &Noop {}).await.unwrap_err();
    assert!(matches!(refused, AppError::StoreSetup(_)), "{refused:?}");
    app.stop().await;
}
