//! What comes in while the shop is open.

use std::{convert::Infallible, time::Duration};

use callboard::{
    App, AppError,
    contracts::api::{SubmitJob, SubmitWorkflow},
    jobs::{Job, StepError, step},
};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::jobs::{ChargeCard, CountSales, ImportFeed, ReadUpload, ScalePicture, WelcomeMail, WriteReport};

/// Between two customers.
const PAUSE: Duration = Duration::from_millis(300);

/// Submits jobs until nobody waits for it any more.
pub(super) async fn run(app: &App) -> Infallible {
    let mut ticks = interval(PAUSE);
    // After a pause of the machine not all customers come at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1_u64.. {
        ticks.tick().await;
        if let Err(error) = customer(app, number).await {
            tracing::error!(%error, "a customer could not be served");
        }
    }
    std::future::pending().await
}

/// What a customer wants: most want mail, and each so many something else.
async fn customer(app: &App, number: u64) -> Result<(), AppError> {
    submit(
        app,
        &WelcomeMail { customer: number, to: format!("customer{number}@shop.example") },
        &["customer"],
    )
    .await?;
    if number.is_multiple_of(3) {
        let card = format!("4000 0000 0000 {:04}", number % 10_000);
        submit(
            app,
            &ChargeCard { order: number / 3, cents: 100 + number * 377 % 9000, card },
            &["customer", "order"],
        )
        .await?;
    }
    if number % 5 == 1 {
        let width = [320, 640, 1280][(number % 3) as usize];
        submit(app, &ScalePicture { file: format!("picture{number}.jpg"), width }, &[]).await?;
    }
    if number % 20 == 4 {
        let pages = if number % 40 == 4 { 4 } else { 3 };
        submit(app, &ReadUpload { file: format!("upload{number}.pdf"), pages }, &["upload"]).await?;
    }
    if number % 25 == 6 {
        submit(app, &ImportFeed { url: "https://other-shop.example/feed".to_owned() }, &[]).await?;
    }
    if number % 40 == 2 {
        report(app, number).await?;
    }
    Ok(())
}

async fn submit<J: Job>(app: &App, job: &J, tags: &[&str]) -> Result<(), AppError> {
    // A payload of these is an object; what else it were would be refused.
    let payload = match serde_json::to_value(job) {
        Ok(Value::Object(payload)) => payload,
        _ => serde_json::Map::new(),
    };
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    app.submit_job(SubmitJob { job_type: J::TYPE.to_owned(), payload, tags, ..SubmitJob::default() })
        .await
        .map(drop)
}

/// A report: regions are counted side by side, then added up.
async fn report(app: &App, number: u64) -> Result<(), AppError> {
    match sales(number) {
        Ok(workflow) => app.workflows().submit(workflow).await.map(drop),
        Err(error) => {
            tracing::error!(%error, "a step of the report has no payload");
            Ok(())
        }
    }
}

fn sales(number: u64) -> Result<SubmitWorkflow, StepError> {
    let regions = ["north", "east", "southwest"];
    let count = |region: &&str| step(format!("count {region}"), &CountSales { region: (*region).to_owned() });
    let mut steps = regions.iter().map(count).collect::<Result<Vec<_>, _>>()?;
    steps.push(
        step("write the report", &WriteReport {})?.waits_for(regions.map(|region| format!("count {region}"))),
    );
    Ok(SubmitWorkflow { name: Some(format!("sales {number}")), steps, ..SubmitWorkflow::default() })
}
