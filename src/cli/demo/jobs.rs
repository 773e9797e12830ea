//! What the shop does.

use std::time::Duration;

use callboard::{
    AppBuilder,
    contracts::api::LogLevel,
    jobs::{Job, JobContext, JobError, JobOptions, RetryPolicy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// The queues, and how many of their jobs run at a time.
pub(super) const QUEUES: [(&str, usize); 3] = [("mail", 4), ("pictures", 2), ("payments", 3)];

pub(super) fn register(builder: AppBuilder) -> AppBuilder {
    builder
        .job::<WelcomeMail>()
        .job::<ScalePicture>()
        .job::<ChargeCard>()
        .job::<ReadUpload>()
        .job::<ImportFeed>()
        .job::<SyncStock>()
        .job::<CountSales>()
        .job::<WriteReport>()
}

fn soon() -> RetryPolicy {
    RetryPolicy::Fixed(Duration::from_secs(2))
}

async fn work(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Greets a new customer.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct WelcomeMail {
    /// The customer's number.
    pub(super) customer: u64,
    /// The address.
    pub(super) to: String,
}

impl Job for WelcomeMail {
    const TYPE: &'static str = "welcome-mail";
    type Output = ();

    fn options() -> JobOptions {
        JobOptions::new().queue("mail").max_attempts(3).retry(soon())
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        cx.log(LogLevel::Info, format!("says hello to {}", self.to));
        work(150 + self.customer * 53 % 600).await;
        // The mail server is busy now and then, and not for long.
        if self.customer.is_multiple_of(7) && cx.attempt() == 1 {
            return Err(JobError::retry("451 the mail server is busy, try again later"));
        }
        Ok(())
    }
}

/// Scales a picture to a width.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct ScalePicture {
    /// The picture.
    pub(super) file: String,
    /// How wide it is to be, in pixels.
    #[schemars(range(min = 16, max = 4096))]
    pub(super) width: u32,
}

/// What came of it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Scaled {
    /// Where it is.
    file: String,
    /// Its size.
    bytes: u64,
}

impl Job for ScalePicture {
    const TYPE: &'static str = "scale-picture";
    type Output = Scaled;

    fn options() -> JobOptions {
        JobOptions::new().queue("pictures").timeout(Duration::from_secs(60))
    }

    async fn run(self, cx: &JobContext) -> Result<Scaled, JobError> {
        let tiles = 4 + u64::from(self.width / 256);
        for tile in 1..=tiles {
            work(250).await;
            cx.progress_with((tile, tiles), format!("tile {tile}"));
            cx.log(LogLevel::Info, format!("{}: tile {tile} of {tiles}", self.file));
        }
        Ok(Scaled { file: format!("{}x{}", self.width, self.file), bytes: u64::from(self.width) * 311 })
    }
}

/// Takes the money for an order.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct ChargeCard {
    /// The order.
    pub(super) order: u64,
    /// How much.
    pub(super) cents: u64,
    /// The card, which is nobody's business.
    #[schemars(extend("x-secret" = true))]
    pub(super) card: String,
}

impl Job for ChargeCard {
    const TYPE: &'static str = "charge-card";
    type Output = String;

    fn options() -> JobOptions {
        JobOptions::new().queue("payments").max_attempts(4).retry(soon())
    }

    async fn run(self, cx: &JobContext) -> Result<String, JobError> {
        work(200 + self.order * 37 % 500).await;
        match self.order % 11 {
            3 => Err(JobError::fatal("the card was declined")),
            8 if cx.attempt() < 3 => {
                Err(JobError::retry_after("429 too many payments at a time", Duration::from_secs(3)))
            }
            _ => Ok(format!("receipt {}", 100_000 + self.order)),
        }
    }
}

/// Reads a file that a customer has sent.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct ReadUpload {
    /// The file.
    pub(super) file: String,
    /// How many pages it says it has.
    pub(super) pages: usize,
}

impl Job for ReadUpload {
    const TYPE: &'static str = "read-upload";
    type Output = usize;

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(2).retry(soon())
    }

    async fn run(self, cx: &JobContext) -> Result<usize, JobError> {
        let found = ["title", "letter", "signature"];
        work(400).await;
        cx.log(LogLevel::Info, format!("{} says that it has {} pages", self.file, self.pages));
        // What the file says is believed, which is the mistake that the demonstration is to show.
        Ok((0..self.pages).map(|page| found[page].len()).sum())
    }
}

/// Fetches what another shop sells.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct ImportFeed {
    /// Where it is.
    pub(super) url: String,
}

impl Job for ImportFeed {
    const TYPE: &'static str = "import-feed";
    type Output = ();

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(2).retry(soon())
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        cx.log(LogLevel::Warn, format!("{} does not answer", self.url));
        work(700).await;
        Err(JobError::retry("503 the other shop is closed for repairs"))
    }
}

/// Compares the shelves with the books, every five seconds.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct SyncStock {}

impl Job for SyncStock {
    const TYPE: &'static str = "sync-stock";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        for shelf in 1..=5 {
            work(120).await;
            cx.progress((shelf, 5));
        }
        Ok(())
    }
}

/// Counts what was sold in a region.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct CountSales {
    /// The region.
    pub(super) region: String,
}

impl Job for CountSales {
    const TYPE: &'static str = "count-sales";
    type Output = u64;

    async fn run(self, _: &JobContext) -> Result<u64, JobError> {
        let letters = self.region.len() as u64;
        work(600 + letters * 150).await;
        Ok(letters * 1234)
    }
}

/// Adds up what the regions have counted.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct WriteReport {}

impl Job for WriteReport {
    const TYPE: &'static str = "write-report";
    type Output = String;

    async fn run(self, cx: &JobContext) -> Result<String, JobError> {
        let results = cx.step_results().await?;
        let sum: u64 = results.iter().filter_map(|step| step.result.as_ref()?.as_u64()).sum();
        work(300).await;
        Ok(format!("{sum} sold in {} regions", results.len()))
    }
}
