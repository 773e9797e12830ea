//! A payment that waits for a person: it says what it waits for, is approved by a signal, and needs no second approval when its
//! program is restarted before it is done.
//!
//! `cargo run --example approval --no-default-features --features sqlite -- FOLDER`

use std::time::Duration;

use callboard::{
    App,
    contracts::JobState,
    jobs::{Job, JobContext, JobError, JobOptions},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Pays a bill, once somebody has approved it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Payment {
    amount: u64,
}

/// What the signal `approve` says.
#[derive(Serialize, Deserialize)]
struct Approval {
    by: String,
}

impl Job for Payment {
    const TYPE: &'static str = "payment";
    type Output = String;

    fn options() -> JobOptions {
        // People take their time.
        JobOptions::new().timeout(Duration::from_secs(24 * 3600))
    }

    async fn run(self, cx: &JobContext) -> Result<String, JobError> {
        cx.publish_state(&json!({ "waiting for": "approval", "amount": self.amount }))?;
        // Stored with the job: a later run gets it again, at once. When the run is to end, so does this.
        let approval: Approval = cx.signal("approve").await?.decode()?;
        cx.publish_state(&json!({ "paying": self.amount, "approved by": approval.by }))?;
        tokio::select! {
            // The bank takes its time, too.
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
            () = cx.cancelled() => return Err(JobError::retry("it is to end")),
        }
        Ok(format!("paid {} as {} has said", self.amount, approval.by))
    }
}

/// Waits until the job shows a state with this in it.
async fn shows(app: &App, id: Uuid, key: &str) -> Result<(), Box<dyn std::error::Error>> {
    loop {
        if let Some(state) = app.job_state(id).await?.published
            && state.value.get(key).is_some()
        {
            println!("attempt {} shows: {}", state.attempt, state.value);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let start = || App::builder().data_dir(&folder).job::<Payment>().start();

    let app = start().await?;
    let id = app.submit(&Payment { amount: 120 }).await?.id;
    shows(&app, id, "waiting for").await?;
    let sent = app.signal(id, "approve", &Approval { by: "anna".to_owned() }).await?;
    println!("signal {} is stored", sent.number);
    shows(&app, id, "paying").await?;
    app.stop().await;
    println!("the program stops before the bank has answered, and starts again");

    let app = start().await?;
    let job = app.wait(id).await?;
    assert_eq!(job.summary.state, JobState::Completed);
    println!("{}", job.result.as_ref().and_then(Value::as_str).unwrap_or_default());
    for signal in app.signals(id).await?.signals {
        println!("{} by {}, taken: {}", signal.name, signal.by, signal.taken.is_some());
    }
    app.stop().await;
    Ok(())
}
