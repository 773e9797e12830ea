//! Jobs of many customers in one queue: who has few does not wait for who has many.
//!
//! `cargo run --example fair --no-default-features --features sqlite -- FOLDER`

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use callboard::{
    App,
    contracts::api::SubmitJob,
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Jobs of the large customer.
const MANY: u32 = 200;

/// How many jobs of the large customer are done.
#[derive(Default)]
struct Done(AtomicU32);

/// Sends a letter. What it returns is how many letters of the large customer were sent before.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Letter {}

impl Job for Letter {
    const TYPE: &'static str = "letter";
    type Output = u32;

    async fn run(self, cx: &JobContext) -> Result<u32, JobError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let done = &cx.state::<Done>()?.0;
        let large = cx.partition_key() == Some("large");
        Ok(if large { done.fetch_add(1, Relaxed) } else { done.load(Relaxed) })
    }
}

fn letter(customer: &str) -> SubmitJob {
    let partition_key = Some(customer.to_owned());
    SubmitJob { job_type: Letter::TYPE.to_owned(), partition_key, ..SubmitJob::default() }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let builder = App::builder().data_dir(folder).job::<Letter>().state(Done::default());
    let one_at_a_time = builder.configure(|settings| {
        settings.queues.values_mut().for_each(|queue| queue.concurrency = 1);
    });
    let app = one_at_a_time.start().await?;
    for _ in 0..MANY {
        app.submit_job(letter("large")).await?;
    }
    let small = app.submit_job(letter("small")).await?;
    let before: u32 =
        app.wait(small.id).await?.result.and_then(|sent| sent.as_u64()).unwrap_or(0).try_into()?;
    println!("{before} of {MANY} letters were sent before the one of the small customer");
    println!("it has waited for all of the large one's: {}", before == MANY);
    app.stop().await;
    Ok(())
}
