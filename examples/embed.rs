//! Another program that embeds Callboard: a job type and a supervised actor of its own, on a store in a folder.
//!
//! `cargo run --example embed --no-default-features --features sqlite -- FOLDER`

use callboard::{
    Actor, ActorRef, App, ChildSpec, Context, Message, PlainHandler, StartError,
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// To the tally: so many words more.
#[derive(Message)]
#[message(reply = usize)]
struct Words(usize);

/// Adds up what the jobs count.
struct Tally(usize);

impl Actor for Tally {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Tally(0))
    }
}

impl PlainHandler<Words> for Tally {
    type Reply = usize;
    fn handle(&mut self, Words(more): Words, _: &mut Context<Self>) -> usize {
        self.0 += more;
        self.0
    }
}

/// Counts the words of a text.
#[derive(Serialize, Deserialize, JsonSchema)]
struct CountWords {
    /// The text.
    text: String,
}

impl Job for CountWords {
    const TYPE: &'static str = "count-words";
    type Output = usize;

    async fn run(self, cx: &JobContext) -> Result<usize, JobError> {
        let words = self.text.split_whitespace().count();
        cx.state::<ActorRef<Tally>>()?.ask(Words(words)).await?;
        Ok(words)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let tally = ChildSpec::<Tally>::new("tally", ());
    let address = tally.actor_ref();
    let builder = App::builder().data_dir(folder).job::<CountWords>().state(address.clone()).actor(tally);
    let app = builder.start().await?;
    for text in ["the play is the thing", "all the world is a stage"] {
        let submitted = app.submit(&CountWords { text: text.to_owned() }).await?;
        let job = app.wait(submitted.id).await?;
        println!("{text:?}: {} after attempt {}", job.result.unwrap_or_default(), job.summary.attempt);
    }
    println!("{} words in all", address.ask(Words(0)).await?);
    let report = app.stop().await;
    println!("stopped in order: {}", report.tree.is_clean());
    Ok(())
}
