//! A job that is there when and only when the embedding program's own transaction commits.
//!
//! `cargo run --example transaction --no-default-features --features postgres -- postgres://USER@HOST/DATABASE FOLDER`

use callboard::{
    App,
    jobs::{Job, JobContext, JobError},
    sqlx::{self, Connection, PgConnection},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sends the receipt of an order.
#[derive(Serialize, Deserialize, JsonSchema)]
struct SendReceipt {
    /// The order.
    order: i64,
}

impl Job for SendReceipt {
    const TYPE: &'static str = "send-receipt";
    type Output = String;

    async fn run(self, _: &JobContext) -> Result<String, JobError> {
        Ok(format!("receipt of order {}", self.order))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("which database? postgres://USER@HOST/DATABASE")?;
    let folder = arguments.next().unwrap_or_else(|| "callboard-data".to_owned());
    let app = App::builder().postgres(&url).data_dir(folder).job::<SendReceipt>().start().await?;
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY)").execute(&mut connection).await?;

    // The order is not taken after all, and so nobody gets a receipt.
    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO orders VALUES (1)").execute(&mut *transaction).await?;
    let dropped = app.enqueue_in(&mut transaction, &SendReceipt { order: 1 }).await?;
    transaction.rollback().await?;

    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO orders VALUES (2)").execute(&mut *transaction).await?;
    let kept = app.enqueue_in(&mut transaction, &SendReceipt { order: 2 }).await?;
    transaction.commit().await?;

    println!("{}", app.wait(kept.id).await?.result.unwrap_or_default());
    println!("the other one is there: {}", app.job(dropped.id).await.is_ok());
    app.stop().await;
    Ok(())
}
