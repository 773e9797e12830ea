//! The archive as it is kept up to date.

use callboard_contracts::api::LogCursor;

use super::mongodb::MongodbArchive;
use crate::edges::{
    sink::{Placed, SinkError},
    store::{StoreHandle, record::LogPage},
};

/// What the log says is archived page by page. Up to where it is is kept beside the events, after them, and only if what is kept
/// is what is known: what is told again is there already and changes nothing, and an archive that was restored from a copy,
/// or emptied, is told what it lacks, as long as the log holds it.
impl Placed for MongodbArchive {
    const CHANGED: &'static str = "the archive is not as it was left: what it lacks is told again";

    async fn find_place(&self, _: &StoreHandle, owner: &str) -> Result<LogCursor, SinkError> {
        self.prepare().await?;
        if let Some(place) = self.position(owner).await? {
            return Ok(place);
        }
        self.begin(owner).await?;
        Ok(LogCursor::default())
    }

    async fn add(
        &self,
        owner: &str,
        from: LogCursor,
        to: LogCursor,
        page: &LogPage,
    ) -> Result<bool, SinkError> {
        self.insert(&page.events).await?;
        self.advance(owner, from, to).await
    }

    async fn is_as_left(&self, owner: &str, at: LogCursor) -> Result<bool, SinkError> {
        Ok(self.position(owner).await? == Some(at))
    }
}
