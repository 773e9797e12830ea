//! [`ArchiveSink`]: keeps the archive up to date.

use std::sync::Arc;

use callboard_contracts::api::LogCursor;
use futures_util::{FutureExt, future::BoxFuture};

use super::mongodb::MongodbArchive;
use crate::edges::{
    sink::{EventSink, SinkError, Standing, owner},
    store::{StoreHandle, record::LogPage},
};

/// Archives what the log says, page by page. Up to where it has is kept beside the events, after them, and only if what is kept
/// is what this sink knows: what is told again is there already and changes nothing, and an archive that was restored from a copy,
/// or emptied, is told what it lacks, as long as the log holds it.
pub(super) struct ArchiveSink {
    archive: Arc<MongodbArchive>,
    store: StoreHandle,
    /// Who we are, and what is kept there as far as we know.
    at: Option<(String, LogCursor)>,
}

impl ArchiveSink {
    pub(super) fn new(archive: Arc<MongodbArchive>, store: StoreHandle) -> Self {
        ArchiveSink { archive, store, at: None }
    }

    async fn find_place(&mut self) -> Result<LogCursor, SinkError> {
        let owner = owner(&self.store).await?;
        self.archive.prepare().await?;
        let place = match self.archive.position(&owner).await? {
            Some(place) => place,
            None => {
                self.archive.begin(&owner).await?;
                LogCursor::default()
            }
        };
        self.at = Some((owner, place));
        Ok(place)
    }

    async fn add(&mut self, page: LogPage) -> Result<(), SinkError> {
        let Some(last) = page.events.last().map(|event| event.cursor) else { return Ok(()) };
        let Some((owner, at)) = &mut self.at else {
            return Err(SinkError::NotReady("nobody has asked where it stands".to_owned()));
        };
        self.archive.insert(&page.events).await?;
        if !self.archive.advance(owner, *at, last).await? {
            return Err(changed());
        }
        *at = last;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SinkError> {
        let Some((owner, at)) = &self.at else { return Ok(()) };
        if self.archive.position(owner).await? == Some(*at) { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> SinkError {
    SinkError::Failed("the archive is not as it was left: what it lacks is told again".to_owned())
}

impl EventSink for ArchiveSink {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        async {
            // Until it is certain, nothing is.
            self.at = None;
            self.find_place().await.map(Standing::At)
        }
        .boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        self.add(page).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.look().boxed()
    }
}
