//! `GET /api/v1/feed`.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use callboard_contracts::api::{FeedTopic, LogCursor};
use futures_util::stream::unfold;
use tokio::{sync::watch, time::timeout};

use super::board::{Board, Next, Watching};
use crate::{
    api::{State, query},
    problem::Trouble,
    seats::{STALLED, Seat},
    sse,
};

/// How often a quiet stream says that it is there.
const KEEP_ALIVE: Duration = STALLED.checked_div(4).expect("no division by zero");

struct Stream {
    board: Arc<Board>,
    watching: Watching,
    newest: watch::Receiver<u64>,
    /// The number of the last frame that was taken; none if it is to begin anew.
    after: Option<u64>,
    ready: VecDeque<Bytes>,
    seat: Seat,
}

pub(crate) fn feed(state: &State, request: &HttpRequest) -> Result<HttpResponse, Trouble> {
    let mut topics = BTreeSet::new();
    for (name, value) in query(request) {
        if name != "topics" {
            let name: String = name.chars().take(50).collect();
            return Err(Trouble::parameter(&name, "there is topics"));
        }
        for part in value.split(',') {
            let topic = FeedTopic::ALL.into_iter().find(|topic| topic.as_str() == part);
            let names = FeedTopic::ALL.map(FeedTopic::as_str).join(", ");
            topics.insert(topic.ok_or_else(|| Trouble::parameter("topics", format!("there are {names}")))?);
        }
    }
    if topics.is_empty() {
        topics.extend(FeedTopic::ALL);
    }
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let board = state.board.clone();
    // A number that another server has given, or this one before it was restarted, says nothing here.
    let after = last.map(|last| last.parse::<LogCursor>().ok().and_then(|id| board.number(id)));
    let seat = state.seat(request)?;
    let mut ready = VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]);
    if after == Some(None) {
        ready.push_back(reset(&board));
    }
    let (newest, watching) = (board.subscribe(), board.watch(topics));
    let stream = Stream { board, watching, newest, after: after.flatten(), ready, seat };
    let body = unfold(stream, |mut stream| async {
        if !stream.seat.is_kept(Instant::now()) {
            return None;
        }
        let next = stream.next().await;
        Some((Ok::<_, actix_web::Error>(next), stream))
    });
    Ok(sse::answer(state, body))
}

/// What was told before is to be forgotten. Whoever is lost right behind it is told all again.
fn reset(board: &Board) -> Bytes {
    Bytes::from(format!("id: {}\nevent: reset\ndata: {{}}\n\n", board.id(0)))
}

impl Stream {
    async fn next(&mut self) -> Bytes {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return bytes;
            }
            self.newest.borrow_and_update();
            let known = self.after.is_some();
            let (next, after) = self.board.next(self.after, &self.watching.topics);
            self.after = Some(after);
            match next {
                Next::Changes(frames) => self.ready.extend(frames),
                Next::All(wholes) => {
                    // It was too slow, or away for too long.
                    if known {
                        self.ready.push_back(reset(&self.board));
                    }
                    let last = wholes.len().saturating_sub(1);
                    // Only whoever has all of them has come so far.
                    let id = |index| self.board.id(if index == last { after } else { 0 });
                    self.ready.extend(wholes.iter().enumerate().map(|(index, whole)| whole.frame(id(index))));
                }
            }
            if self.ready.is_empty()
                && !matches!(timeout(KEEP_ALIVE, self.newest.changed()).await, Ok(Ok(())))
            {
                return Bytes::from_static(b": still here\n\n");
            }
        }
    }
}
