//! [`Board`]: what was told last, for all who watch.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use callboard_contracts::api::{
    EdgeChanges, FeedTopic, JobChanges, LogCursor, NodeChanges, Overview, QueueChanges, TreeChanges,
};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, watch};

/// Frames that are kept for those who come back, or read slowly.
const FRAMES: usize = 256;
/// Their bytes.
const BYTES: usize = 8 * 1024 * 1024;
/// For so long a topic is looked at after the last who watched it has left: he may come back.
const LINGERS: Duration = Duration::from_secs(15);

/// What a topic says: all there is, or what has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Overview(Box<Overview>),
    Queues(QueueChanges),
    Nodes(NodeChanges),
    Edges(EdgeChanges),
    Tree(TreeChanges),
    Jobs(JobChanges),
}

impl Told {
    pub(super) fn topic(&self) -> FeedTopic {
        match self {
            Told::Overview(_) => FeedTopic::Overview,
            Told::Queues(_) => FeedTopic::Queues,
            Told::Nodes(_) => FeedTopic::Nodes,
            Told::Edges(_) => FeedTopic::Edges,
            Told::Tree(_) => FeedTopic::Tree,
            Told::Jobs(_) => FeedTopic::Jobs,
        }
    }

    fn json(&self) -> String {
        fn text(told: &impl Serialize) -> String {
            // What serialises by derive, with string keys, does not fail.
            serde_json::to_string(told).unwrap_or_default()
        }
        match self {
            Told::Overview(told) => text(told),
            Told::Queues(told) => text(told),
            Told::Nodes(told) => text(told),
            Told::Edges(told) => text(told),
            Told::Tree(told) => text(told),
            Told::Jobs(told) => text(told),
        }
    }
}

/// What a topic has come to, all of it. Written out when the first who needs it comes.
#[derive(Debug)]
pub(super) struct Whole {
    told: Told,
    json: OnceLock<String>,
}

impl Whole {
    pub(super) fn frame(&self, id: LogCursor) -> Bytes {
        frame(id, self.told.topic(), self.json.get_or_init(|| self.told.json()))
    }
}

fn frame(id: LogCursor, topic: FeedTopic, json: &str) -> Bytes {
    Bytes::from(format!("id: {id}\nevent: {}\ndata: {json}\n\n", topic.as_str()))
}

#[derive(Debug, Default)]
struct Slot {
    watchers: usize,
    /// When the last of them left.
    left: Option<Instant>,
    whole: Option<Arc<Whole>>,
}

#[derive(Debug)]
struct Frame {
    number: u64,
    topic: FeedTopic,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Inner {
    /// The number of the newest frame.
    number: u64,
    frames: VecDeque<Frame>,
    bytes: usize,
    slots: [Slot; 6],
}

/// What was told last: all of each topic that somebody watches, and the newest changes. Its frames are numbered; whoever comes back
/// with a number gets what came after it.
#[derive(Debug)]
pub(crate) struct Board {
    /// What the numbers belong to.
    epoch: u64,
    inner: Mutex<Inner>,
    newest: watch::Sender<u64>,
    /// Told when a topic is watched of which nothing is known.
    pub(super) wanted: Notify,
}

/// What a watcher is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    /// These changes.
    Changes(Vec<Bytes>),
    /// All there is: what it knows is too old, or it knows nothing.
    All(Vec<Arc<Whole>>),
}

impl Board {
    /// Numbers of another epoch are taken for those of another board.
    pub(crate) fn new(epoch: u64) -> Self {
        Board { epoch, inner: Mutex::default(), newest: watch::Sender::new(0), wanted: Notify::new() }
    }

    pub(super) fn id(&self, number: u64) -> LogCursor {
        LogCursor { epoch: self.epoch, position: number }
    }

    /// The number that this place stands for, if it is one of this board's.
    pub(super) fn number(&self, id: LogCursor) -> Option<u64> {
        let known = id.epoch == self.epoch && id.position <= self.inner.lock().number;
        known.then_some(id.position)
    }

    /// Says when there are new frames.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Somebody watches these topics, until what is returned is dropped.
    pub(super) fn watch(self: &Arc<Self>, topics: BTreeSet<FeedTopic>) -> Watching {
        let mut inner = self.inner.lock();
        let mut unknown = false;
        for topic in &topics {
            let slot = &mut inner.slots[*topic as usize];
            slot.watchers += 1;
            unknown |= slot.whole.is_none();
        }
        drop(inner);
        if unknown {
            self.wanted.notify_one();
        }
        Watching { board: self.clone(), topics }
    }

    /// The topics that somebody watches. What nobody has watched for a while is forgotten.
    pub(super) fn watched(&self, now: Instant) -> BTreeSet<FeedTopic> {
        let mut inner = self.inner.lock();
        let mut watched = BTreeSet::new();
        for topic in FeedTopic::ALL {
            let slot = &mut inner.slots[topic as usize];
            let lingers = slot.left.is_some_and(|left| now.saturating_duration_since(left) < LINGERS);
            if slot.watchers > 0 || lingers {
                watched.insert(topic);
            } else {
                *slot = Slot::default();
            }
        }
        watched
    }

    /// Everything is to be told as a whole again.
    pub(super) fn forget(&self) {
        self.inner.lock().slots.iter_mut().for_each(|slot| slot.whole = None);
    }

    /// What a topic has come to, and what has changed since it was told last; without `changes` only what it has come to is other than
    /// before, in a way that nobody needs to hear of. Of a topic of which nothing was known all is told.
    pub(super) fn tell(&self, whole: Told, changes: Option<Told>) {
        let topic = whole.topic();
        let whole = Arc::new(Whole { told: whole, json: OnceLock::new() });
        let mut inner = self.inner.lock();
        let first = inner.slots[topic as usize].whole.replace(whole.clone()).is_none();
        if !first && changes.is_none() {
            return;
        }
        inner.number += 1;
        let number = inner.number;
        let id = self.id(number);
        let bytes = match changes.filter(|_| !first) {
            Some(changes) => frame(id, topic, &changes.json()),
            None => whole.frame(id),
        };
        inner.bytes += bytes.len();
        inner.frames.push_back(Frame { number, topic, bytes });
        // The newest frame stays, however large.
        while inner.frames.len() > FRAMES || (inner.bytes > BYTES && inner.frames.len() > 1) {
            let oldest = inner.frames.pop_front().map_or(0, |frame| frame.bytes.len());
            inner.bytes -= oldest;
        }
        drop(inner);
        self.newest.send_replace(number);
    }

    /// What comes after the frame of this number, or `None` for one who knows nothing; and the number at which that leaves
    /// him.
    pub(super) fn next(&self, after: Option<u64>, topics: &BTreeSet<FeedTopic>) -> (Next, u64) {
        let inner = self.inner.lock();
        let oldest = inner.frames.front().map_or(inner.number + 1, |frame| frame.number);
        match after {
            Some(after) if after + 1 >= oldest => {
                let new = inner.frames.iter().filter(|frame| frame.number > after);
                let new = new.filter(|frame| topics.contains(&frame.topic));
                (Next::Changes(new.map(|frame| frame.bytes.clone()).collect()), inner.number)
            }
            _ => {
                // What is not known yet will be told as a whole.
                let wholes = topics.iter().filter_map(|topic| inner.slots[*topic as usize].whole.clone());
                (Next::All(wholes.collect()), inner.number)
            }
        }
    }
}

/// Topics that somebody watches.
#[derive(Debug)]
pub(super) struct Watching {
    board: Arc<Board>,
    pub(super) topics: BTreeSet<FeedTopic>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut inner = self.board.inner.lock();
        for topic in &self.topics {
            let slot = &mut inner.slots[*topic as usize];
            slot.watchers -= 1;
            if slot.watchers == 0 {
                slot.left = Some(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(removed: &str, full: bool) -> Told {
        Told::Queues(QueueChanges { full, changed: Vec::new(), removed: vec![removed.to_owned()] })
    }

    fn tell(board: &Board, name: &str) {
        board.tell(queues("all", true), Some(queues(name, false)));
    }

    fn topics() -> BTreeSet<FeedTopic> {
        BTreeSet::from([FeedTopic::Queues])
    }

    fn texts(next: Next) -> Vec<String> {
        match next {
            Next::Changes(frames) => {
                frames.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
            }
            Next::All(wholes) => vec![format!("all: {}", wholes.len())],
        }
    }

    #[test]
    fn who_comes_back_gets_what_came_after_and_who_is_too_late_gets_all() {
        let board = Arc::new(Board::new(7));
        let _watching = board.watch(topics());
        assert_eq!(texts(board.next(None, &topics()).0), ["all: 0"]);
        tell(&board, "first");
        let (next, after) = board.next(Some(0), &topics());
        let first = texts(next);
        assert!(
            first.len() == 1 && first[0].starts_with("id: 7-1\nevent: queues\ndata: {\"full\":true"),
            "{first:?}"
        );
        tell(&board, "second");
        let second = texts(board.next(Some(after), &topics()).0);
        assert!(
            second.len() == 1 && second[0].contains("\"full\":false") && second[0].contains("second"),
            "{second:?}"
        );
        assert_eq!(texts(board.next(Some(after), &BTreeSet::from([FeedTopic::Tree])).0), [""; 0]);
        for _ in 0..FRAMES {
            tell(&board, "more");
        }
        assert_eq!(texts(board.next(Some(after), &topics()).0), ["all: 1"]);
        let newest = board.id(after + 1 + FRAMES as u64);
        assert_eq!(board.number(newest), Some(newest.position));
        assert_eq!(board.number(LogCursor { position: newest.position + 1, ..newest }), None, "not told yet");
        assert_eq!(board.number(LogCursor { epoch: 8, ..newest }), None, "of another server");
    }

    #[test]
    fn the_frames_are_bounded_by_their_size_and_the_newest_stays() {
        let board = Arc::new(Board::new(1));
        tell(&board, "x");
        let large = "y".repeat(BYTES);
        tell(&board, &large);
        assert_eq!(board.inner.lock().frames.len(), 1);
        tell(&board, "z");
        let inner = board.inner.lock();
        assert_eq!((inner.frames.len(), inner.frames[0].number), (1, 3));
        assert_eq!(inner.bytes, inner.frames[0].bytes.len());
    }

    #[test]
    fn a_topic_is_looked_at_while_it_is_watched_and_for_a_while_after() {
        let board = Arc::new(Board::new(1));
        assert!(board.watched(Instant::now()).is_empty());
        let (first, second) = (board.watch(topics()), board.watch(topics()));
        tell(&board, "x");
        drop(first);
        assert_eq!(board.watched(Instant::now() + 2 * LINGERS), topics());
        drop(second);
        assert_eq!(board.watched(Instant::now()), topics());
        assert!(board.watched(Instant::now() + LINGERS).is_empty());
        // What is known of it is as old as that: the next who watches is told anew.
        assert_eq!(texts(board.next(None, &topics()).0), ["all: 0"]);
        tell(&board, "y");
        assert!(texts(board.next(Some(1), &topics()).0)[0].contains("\"full\":true"));
    }

    #[test]
    fn what_is_forgotten_is_told_as_a_whole() {
        let board = Arc::new(Board::new(1));
        let _watching = board.watch(topics());
        tell(&board, "x");
        board.forget();
        assert_eq!(texts(board.next(None, &topics()).0), ["all: 0"]);
        tell(&board, "y");
        assert!(texts(board.next(Some(1), &topics()).0)[0].contains("\"full\":true"));
    }

    #[test]
    fn what_nobody_needs_to_hear_of_makes_no_frame() {
        let board = Arc::new(Board::new(1));
        tell(&board, "x");
        board.tell(queues("later", true), None);
        assert_eq!(texts(board.next(Some(1), &topics()).0), [""; 0]);
        let (Next::All(wholes), 1) = board.next(None, &topics()) else { panic!("all of it") };
        assert!(wholes[0].json.get_or_init(|| wholes[0].told.json()).contains("later"));
    }
}
