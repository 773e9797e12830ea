//! Calls of somebody else's interface that allows only so many in a time: the queue has a rate, and what is refused nevertheless
//! comes again when the other side says, without spending an attempt.
//!
//! `cargo run --example api_client --no-default-features --features sqlite -- FOLDER`

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use callboard::{
    App,
    contracts::api::QueueLimits,
    jobs::{Job, JobContext, JobError, JobOptions},
};
use reqwest::{Client, StatusCode, header::RETRY_AFTER};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};

/// Calls that the other side allows in a second.
const ALLOWED: usize = 10;
const ORDERS: u32 = 25;

/// Where the other side is, and one client for all jobs.
struct Shop {
    address: SocketAddr,
    client: Client,
}

/// Places an order.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    /// Its number.
    number: u32,
}

impl Job for Order {
    const TYPE: &'static str = "order";
    type Output = ();

    fn options() -> JobOptions {
        JobOptions::new().queue("shop").max_attempts(3).timeout(Duration::from_secs(10))
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        let shop: &Shop = cx.state()?;
        let url = format!("http://{}/orders/{}", shop.address, self.number);
        let failed = |error: reqwest::Error| JobError::retry(error.to_string());
        // The job's id is the same in each attempt, so that a shop that knows this header takes no order twice.
        let call = shop.client.put(url).header("Idempotency-Key", cx.id().to_string());
        let answer = call.send().await.map_err(failed)?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
            return Err(JobError::snooze(Duration::from_secs(wait.unwrap_or(1))));
        }
        answer.error_for_status().map(drop).map_err(failed)
    }
}

/// The other side: it takes so many orders in a second and refuses the rest. What it did is told.
async fn shop(listener: TcpListener, told: mpsc::UnboundedSender<(String, bool)>) {
    let mut taken: VecDeque<Instant> = VecDeque::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut lines = BufReader::new(&mut stream).lines();
        let first = lines.next_line().await.ok().flatten().unwrap_or_default();
        while lines.next_line().await.ok().flatten().is_some_and(|line| !line.is_empty()) {}
        while taken.front().is_some_and(|at| at.elapsed() >= Duration::from_secs(1)) {
            taken.pop_front();
        }
        let takes = taken.len() < ALLOWED;
        let answer = if takes {
            taken.push_back(Instant::now());
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        } else {
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        };
        let order = first.split(' ').nth(1).unwrap_or_default().to_owned();
        if stream.write_all(answer.as_bytes()).await.is_err() || told.send((order, takes)).is_err() {
            return;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let state = Shop { address: listener.local_addr()?, client: Client::new() };
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(shop(listener, tell));

    let builder = App::builder().data_dir(folder).job::<Order>().state(state);
    let with_queue = builder.configure(|settings| {
        settings.queues.insert("shop".to_owned(), settings.queue_defaults.clone());
    });
    let app = with_queue.start().await?;
    // On all nodes together, over restarts.
    let limits = QueueLimits { rate: Some(Some(format!("{ALLOWED}/1s").parse()?)), ..QueueLimits::default() };
    app.limit_queue("shop", limits).await?;

    let begun = Instant::now();
    let mut jobs = Vec::new();
    for number in 0..ORDERS {
        jobs.push(app.submit(&Order { number }).await?.id);
    }
    for id in jobs {
        app.wait(id).await?;
    }
    let (mut taken, mut refused) = (Vec::new(), 0);
    while let Ok((order, takes)) = told.try_recv() {
        if takes { taken.push(order) } else { refused += 1 }
    }
    println!(
        "{} orders in {:.1} s; {refused} calls were refused and came again",
        taken.len(),
        begun.elapsed().as_secs_f64()
    );
    taken.sort();
    taken.dedup();
    println!("every order arrived: {}", taken.len() == ORDERS as usize);
    app.stop().await;
    Ok(())
}
