//! A job that says how far it is and keeps a log, and a program that reads both while it runs.
//!
//! `cargo run --example progress --no-default-features --features sqlite -- FOLDER`

use std::time::Duration;

use callboard::{
    App,
    contracts::api::{JobLogQuery, LogLevel},
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Copies pages, one after the other.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Copy {
    /// How many.
    pages: u64,
}

impl Job for Copy {
    const TYPE: &'static str = "copy";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        for page in 1..=self.pages {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cx.progress_with((page, self.pages), format!("page {page}"));
            cx.log(LogLevel::Info, format!("copied page {page}"));
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let app = App::builder().data_dir(folder).job::<Copy>().start().await?;
    let id = app.submit(&Copy { pages: 15 }).await?.id;
    let mut query = JobLogQuery::default();
    loop {
        let log = app.job_log(id, query).await?;
        for line in &log.lines {
            println!("{} {}", line.level, line.text);
        }
        query.after = log.next;
        if log.ended && !log.more {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    if let Some(progress) = app.job(id).await?.progress {
        println!("{:.0}% done: {}", progress.fraction * 100.0, progress.message.unwrap_or_default());
    }
    app.stop().await;
    Ok(())
}
