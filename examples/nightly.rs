//! An app with an entry in the cron table: a report that is made at its times, once for each, however many nodes there are.
//!
//! `cargo run --example nightly --no-default-features --features sqlite -- FOLDER [EXPRESSION]`

use callboard::{
    App, Cron,
    contracts::api::CronOverlap,
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Makes a report.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Report {
    /// What about.
    about: String,
}

impl Job for Report {
    const TYPE: &'static str = "report";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        // The time that was due, whenever the job runs: also when it is made up for after an outage.
        let due = cx.due_at().map(|due| due.to_string()).unwrap_or_default();
        cx.state::<mpsc::UnboundedSender<String>>()?.send(format!("{} for {due}", self.about)).ok();
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "callboard-data".to_owned());
    // Every second, so that nobody needs to wait for the night.
    let expression = arguments.next().unwrap_or_else(|| "* * * * * *".to_owned());
    let (made, mut reports) = mpsc::unbounded_channel::<String>();
    let sales = Report { about: "sales".to_owned() };
    let nightly = Cron::new(expression, &sales).time_zone("Europe/Berlin").overlap(CronOverlap::Skip);
    let app =
        App::builder().data_dir(folder).job::<Report>().state(made).cron("nightly", nightly).start().await?;
    let first = reports.recv().await.unwrap_or_default();
    let second = reports.recv().await.unwrap_or_default();
    println!("{first}\n{second}");
    println!("each time once: {}", first < second);
    for entry in app.cron().await? {
        println!("{}: {}", entry.name, entry.description);
    }
    app.stop().await;
    Ok(())
}
