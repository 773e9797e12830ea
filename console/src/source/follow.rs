//! What comes by itself: the log of events, and what a job says.

use std::time::Duration;

use callboard_client::{Client, EventQuery, LogItem, RetryPolicy, StreamItem};
use callboard_contracts::api::{EventRecord, FeedTopic, JobLogQuery};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::exchange::{Event, News};

/// After what pause a lost stream is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long events are gathered, so that each frame of the screen has many of them.
const GATHER: Duration = Duration::from_millis(100);
/// Events that are passed on at once.
const TOGETHER: usize = 500;

/// Follows the log of events, over lost connections too.
pub(super) async fn events(client: Client, out: mpsc::Sender<Event>) {
    let mut query = EventQuery::default();
    loop {
        let mut stream = client.events(query);
        loop {
            let mut batch: Vec<EventRecord> = Vec::new();
            let mut missed = false;
            let mut lost = None;
            let mut item = stream.next().await;
            loop {
                match item {
                    Some(Ok(StreamItem::Event(record))) => batch.push(*record),
                    Some(Ok(StreamItem::Reset)) => missed = true,
                    Some(Ok(StreamItem::Opened)) => {}
                    Some(Err(error)) => lost = Some(error.to_string()),
                    None => lost = Some("it has ended".to_owned()),
                }
                if lost.is_some() || batch.len() >= TOGETHER {
                    break;
                }
                match timeout(GATHER, stream.next()).await {
                    Ok(next) => item = next,
                    Err(_) => break,
                }
            }
            if let Some(last) = batch.last() {
                query.after = last.cursor.parse().ok();
            }
            let news = [
                missed.then_some(News::EventsMissed),
                (!batch.is_empty()).then_some(News::Events(batch)),
                lost.clone().map(News::EventsLost),
            ];
            for news in news.into_iter().flatten() {
                if out.send(Event::News(news)).await.is_err() {
                    return;
                }
            }
            if lost.is_some() {
                break;
            }
        }
        sleep(PAUSE).await;
    }
}

/// Follows the live feed, over lost connections too.
pub(super) async fn feed(client: Client, out: mpsc::Sender<Event>) {
    // The tree is asked for where it is looked at: the feed has no backtraces.
    let topics =
        [FeedTopic::Overview, FeedTopic::Queues, FeedTopic::Nodes, FeedTopic::Edges, FeedTopic::Jobs];
    // The stream itself makes a lost connection again, so that it goes on where it was; what it says of that tells the model.
    let patient = RetryPolicy { attempts: u32::MAX, min_backoff: PAUSE, ..RetryPolicy::default() };
    let client = client.with_retry(patient);
    loop {
        let mut stream = client.feed(&topics);
        while let Some(item) = stream.next().await {
            let news = match item {
                Ok(item) => News::Feed(Box::new(item)),
                Err(error) => News::FeedLost(error.to_string()),
            };
            if out.send(Event::News(news)).await.is_err() {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

/// Follows what a job says, over lost connections too, to its end.
pub(super) async fn log(client: Client, job: Uuid, out: mpsc::Sender<Event>) {
    let mut query = JobLogQuery::default();
    loop {
        let mut stream = client.follow_logs(job, query);
        let lost = loop {
            let mut lines = Vec::new();
            let mut next = stream.next().await;
            let end = loop {
                match next {
                    Some(Ok(LogItem::Line(line))) => lines.push(*line),
                    Some(Ok(LogItem::End(end))) => break Some(Ok(end)),
                    Some(Err(error)) => break Some(Err(error)),
                    None => return,
                }
                if lines.len() >= TOGETHER {
                    break None;
                }
                // What has come is shown before more is waited for.
                next = match timeout(GATHER, stream.next()).await {
                    Ok(next) => next,
                    Err(_) => break None,
                };
            };
            if send(&out, News::Lines(job, lines), &mut query).await.is_err() {
                return;
            }
            match end {
                None => {}
                Some(Ok(end)) => {
                    let _ = send(&out, News::LogEnd(job, end.state), &mut query).await;
                    return;
                }
                Some(Err(error)) if error.is_passing() => break error,
                Some(Err(error)) => {
                    let _ = send(&out, News::LogLost(job, error.to_string()), &mut query).await;
                    return;
                }
            }
        };
        tracing::debug!(%job, problem = %lost, "the log is followed again");
        sleep(PAUSE).await;
    }
}

async fn send(out: &mpsc::Sender<Event>, news: News, query: &mut JobLogQuery) -> Result<(), ()> {
    if let News::Lines(_, lines) = &news {
        match lines.last() {
            Some(last) => query.after = Some(last.position),
            None => return Ok(()),
        }
    }
    out.send(Event::News(news)).await.map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    #[test]
    fn a_lost_feed_goes_on_where_it_was() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Two connections: the first one ends after a frame, and what the second one is asked for is looked at.
        let server = thread::spawn(move || {
            let mut asked = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                asked.push(head.join("\n").to_lowercase());
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                              id: 41-7\nevent: later\ndata: {}\n\n";
                stream.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        let client = Client::builder(&url).retry(RetryPolicy::never()).build().unwrap();
        let (out, mut events) = mpsc::channel(100);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let feed = tokio::spawn(feed(client, out));
            let mut opened = 0;
            while opened < 2 {
                if let Some(Event::News(News::Feed(item))) = events.recv().await
                    && *item == callboard_client::FeedItem::Opened
                {
                    opened += 1;
                }
            }
            feed.abort();
        });
        let asked = server.join().unwrap();
        assert!(!asked[0].contains("last-event-id"), "{}", asked[0]);
        assert!(asked[1].contains("last-event-id: 41-7"), "{}", asked[1]);
    }
}
