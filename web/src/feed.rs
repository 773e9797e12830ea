//! Pages of the log that many clients want at the same time: each is read and written once.

use std::{collections::VecDeque, sync::Arc};

use actix_web::web::Bytes;
use callboard_actors::edges::store::record::LogPage;
use callboard_contracts::api::{EventRecord, LogCursor};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// Pages that are kept for whoever comes a moment later.
const KEPT: usize = 8;
/// Bytes of the largest page that is kept; who waits for a larger one at the moment gets it all the same.
const MAX_KEPT: usize = 1024 * 1024;

/// What a page is known by: the place after which it begins, and the newest place that was known when it was asked for.
/// Whoever asks with the same two gets all that he would get by reading himself.
pub(crate) type Key = (LogCursor, LogCursor);

/// The pages of one server.
#[derive(Debug, Default)]
pub(crate) struct Feed(Mutex<VecDeque<(Key, Arc<Read>)>>);

/// A read that is under way or done; it may have given nothing.
type Read = OnceCell<Option<Arc<Page>>>;

/// A page as it is sent.
#[derive(Debug)]
pub(crate) struct Page {
    /// An event each; first, if the reader has missed some, what says so.
    pub(crate) parts: Vec<Bytes>,
    /// Where a reader is who has them.
    pub(crate) after: LogCursor,
}

impl Page {
    /// The page for a reader at `after` who asked for `most` events at most.
    pub(crate) fn new(page: LogPage, mut after: LogCursor, most: u32) -> Self {
        let mut parts = Vec::with_capacity(page.events.len() + 1);
        if page.reset {
            let position = page.oldest.position.saturating_sub(1);
            after = LogCursor { position, ..page.oldest };
            parts.push(Bytes::from(format!("id: {after}\nevent: reset\ndata: {{}}\n\n")));
        }
        let full = page.events.len() >= most as usize;
        for logged in page.events {
            after = logged.cursor;
            let cursor = logged.cursor.to_string();
            let event = logged.event.event_type;
            let record = EventRecord { cursor: cursor.clone(), queue: logged.queue, event: logged.event };
            // What serialises by derive, with string keys, does not fail.
            let data = serde_json::to_string(&record).unwrap_or_default();
            parts.push(Bytes::from(format!("id: {cursor}\nevent: {event}\ndata: {data}\n\n")));
        }
        // What was passed over for the sake of one job need not be looked at again.
        if !full {
            after = after.max(page.newest);
        }
        Page { parts, after }
    }
}

impl Feed {
    /// The page under this key: as others have read it, or else as `read` gives it. If that gives none, none is what everybody
    /// gets who has waited for it, and the next who asks reads again.
    pub(crate) async fn page(&self, key: Key, read: impl Future<Output = Option<Page>>) -> Option<Arc<Page>> {
        let cell = self.cell(key);
        let page = cell.get_or_init(async || read.await.map(Arc::new)).await.clone();
        let size = |page: &Arc<Page>| page.parts.iter().map(Bytes::len).sum::<usize>();
        if page.as_ref().is_none_or(|page| size(page) > MAX_KEPT) {
            self.0.lock().retain(|(_, kept)| !Arc::ptr_eq(kept, &cell));
        }
        page
    }

    fn cell(&self, key: Key) -> Arc<Read> {
        let mut kept = self.0.lock();
        if let Some((_, cell)) = kept.iter().find(|(known, _)| *known == key) {
            return cell.clone();
        }
        let cell = Arc::<Read>::default();
        kept.truncate(KEPT - 1);
        kept.push_front((key, cell.clone()));
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::{FutureExt, future::join_all};
    use tokio::task::yield_now;

    use super::*;

    fn key(position: u64) -> Key {
        (LogCursor { epoch: 1, position }, LogCursor { epoch: 1, position: position + 1 })
    }

    fn page(size: usize) -> Page {
        Page { parts: vec![Bytes::from(vec![0; size])], after: key(0).1 }
    }

    #[tokio::test]
    async fn many_at_once_are_served_by_one_read_and_a_failed_one_is_repeated() {
        let (feed, reads) = (Feed::default(), Cell::new(0));
        let read = async |size: Option<usize>| {
            reads.set(reads.get() + 1);
            yield_now().await;
            size.map(page)
        };
        let none = join_all((0..100).map(|_| feed.page(key(1), read(None)))).await;
        assert!(none.iter().all(Option::is_none));
        assert_eq!(reads.get(), 1);
        let pages = join_all((0..100).map(|_| feed.page(key(1), read(Some(1))))).await;
        assert!(pages.iter().all(Option::is_some));
        assert_eq!(reads.get(), 2);
        feed.page(key(2), read(Some(1))).await.unwrap();
        assert_eq!(reads.get(), 3, "another page");
    }

    #[tokio::test]
    async fn few_pages_are_kept_and_no_large_ones() {
        let feed = Feed::default();
        for position in 0..100 {
            feed.page(key(position), async { Some(page(1)) }).await.unwrap();
        }
        assert_eq!(feed.0.lock().len(), KEPT);
        feed.page(key(7), async { Some(page(MAX_KEPT + 1)) }).await.unwrap();
        assert_eq!(feed.0.lock().len(), KEPT - 1);
    }

    #[tokio::test]
    async fn who_leaves_in_the_middle_of_a_read_leaves_it_to_the_next() {
        let feed = Feed::default();
        let mut first = Box::pin(feed.page(key(1), std::future::pending()));
        assert!(first.as_mut().now_or_never().is_none());
        let second = feed.page(key(1), async { Some(page(1)) });
        drop(first);
        assert!(second.await.is_some());
    }
}
