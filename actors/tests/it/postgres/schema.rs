//! The schema: made once, by whoever comes first, and never changed by an older program.

use callboard_actors::edges::store::{PostgresOptions, Store, StoreError};
use tokio::{net::TcpListener, task::JoinSet};

use super::support::{Stage, apply, enqueue, job, open, until_position};

#[tokio::test]
async fn nodes_that_start_together_make_it_once() {
    let stage = Stage::new().await;
    let mut opening = JoinSet::new();
    for number in 0..6 {
        opening.spawn(open(stage.options(&number.to_string())));
    }
    let stores: Vec<_> = opening.join_all().await.into_iter().map(Result::unwrap).collect();
    apply(&stores[0], vec![enqueue(&job())]).await;
    for store in &stores {
        until_position(store, 1).await;
    }
    assert_eq!(stage.number("SELECT count(*) FROM schema_version").await, 1);
}

#[tokio::test]
async fn an_older_program_leaves_it_alone() {
    let stage = Stage::new().await;
    drop(stage.open("new").await);
    let newer = "UPDATE schema_version SET version = 99";
    sqlx::query(newer).execute(&mut stage.connect().await).await.unwrap();
    let refused = open(stage.options("old")).await.err();
    assert!(matches!(refused, Some(StoreError::TooNew { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn schemas_of_one_database_know_nothing_of_each_other() {
    let stage = Stage::new().await;
    let of = |schema: &str| PostgresOptions { schema: schema.to_owned(), ..stage.options(schema) };
    let (one, other) = (open(of("one")).await.unwrap(), open(of("other")).await.unwrap());
    let (mine, yours) = (job(), job());
    apply(&one, vec![enqueue(&mine)]).await;
    apply(&other, vec![enqueue(&yours), enqueue(&job())]).await;
    until_position(&one, 1).await;
    until_position(&other, 2).await;
    assert!(one.job(yours.id).await.unwrap().is_none());
    assert!(other.job(mine.id).await.unwrap().is_none());
    let mut names = vec!["One", "pg_own", "1st", "a b", "", "a\"; DROP SCHEMA one; --"];
    let long = "a".repeat(64);
    names.push(&long);
    for name in names {
        let refused = open(of(name)).await.err();
        assert!(matches!(&refused, Some(StoreError::Failed(why)) if why.contains("schema")), "{refused:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_not_ready_and_tells_no_secret() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = nobody.local_addr().unwrap();
    drop(nobody);
    let refused = open(PostgresOptions::new(format!("postgres://me:tell-nobody@{place}/none"))).await.err();
    assert!(matches!(refused, Some(StoreError::NotReady(_))), "{refused:?}");
    let stage = Stage::new().await;
    let missing = stage.database.url().replace(stage.database.name(), "cb_there_is_no_such");
    for url in ["postgres://me:tell-nobody@host:no-port/none", "tell-nobody", &missing] {
        let options = PostgresOptions::new(url.to_owned());
        assert!(!format!("{options:?}").contains("tell-nobody"));
        let error = open(options).await.err().unwrap();
        assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
        assert!(!error.to_string().contains("tell-nobody"), "{error}");
    }
}
