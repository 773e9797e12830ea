//! [`MongodbArchive`]: events in MongoDB, one document each, where the old contract has them.

use std::{fmt, sync::Arc, time::Duration};

use callboard_contracts::{EventEnvelope, Timestamp, api::LogCursor};
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture};
use mongodb::{
    Client, Collection, IndexModel,
    bson::{Document, doc},
    error::{Error, ErrorKind},
    options::{Acknowledgment, ClientOptions, ConnectionString, IndexOptions, WriteConcern},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    Archived, ReadArchive,
    document::{document, envelope},
};
use crate::edges::{
    breaker::{CallError, EdgeGuard},
    outside::{OutsideEdge, Writer},
    sink::{EventSink, PlacedSink, SinkError, SinkSpec, known_owner},
    store::{StoreHandle, record::LoggedEvent},
};

/// The collection of the contract.
const EVENTS: &str = "job_events";
/// Where it is kept up to where the log is in the archive.
const POSITIONS: &str = "callboard_positions";
/// What the server says of a document that is there already.
const DUPLICATE: i32 = 11_000;
/// Steps of one delivery, each of which may take as long as a call: the store's share is bounded by itself.
const CALLS: u32 = 8;
/// Documents that one step of the retention deletes, and its steps at a time.
const DELETED: u64 = 1000;
const STEPS: u32 = 20;

/// How MongoDB is reached, and what is kept there.
#[derive(Clone)]
pub struct MongodbOptions {
    /// `mongodb://USER:PASSWORD@HOST:27017/`, with several hosts and options as MongoDB has them.
    pub url: SecretString,
    /// The database; the contract's is `observatory`.
    pub database: String,
    /// Who archives.
    pub writer: Writer,
    /// Most events of one step.
    pub batch: u32,
    /// Age after which an event is deleted.
    pub retention: Duration,
}

/// MongoDB cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the URL of MongoDB cannot be used: {0}")]
pub struct ArchiveSetupError(String);

/// The events in MongoDB. Its calls go through a guard.
pub struct MongodbArchive {
    pub(super) guard: EdgeGuard,
    options: MongodbOptions,
    /// Made by the first that may, on the executor of the edges.
    client: OnceCell<Client>,
    owner: OnceCell<String>,
}

impl fmt::Debug for MongodbArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongodbArchive").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl MongodbArchive {
    /// Does not connect yet.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(options: MongodbOptions, guard: EdgeGuard) -> Result<Arc<Self>, ArchiveSetupError> {
        // What the crate says of a URL may hold a part of it.
        ConnectionString::parse(options.url.expose_secret())
            .map_err(|_| ArchiveSetupError("expected mongodb://USER:PASSWORD@HOST:27017/".to_owned()))?;
        Ok(Arc::new(MongodbArchive { guard, options, client: OnceCell::new(), owner: OnceCell::new() }))
    }

    /// What keeps the archive up to date, if this fleet does so.
    pub fn sink(self: &Arc<Self>) -> Option<SinkSpec> {
        let archive = self.clone();
        (self.options.writer == Writer::Callboard).then(|| SinkSpec {
            name: self.guard.name().to_owned(),
            batch: self.options.batch,
            timeout: self.guard.timeout() * CALLS + Duration::from_secs(30),
            open: Arc::new(move |context| {
                Box::new(PlacedSink::new(archive.clone(), context.store)) as Box<dyn EventSink>
            }),
        })
    }

    /// What keeps an eye on the server, and deletes what is too old; by the clock of this node, as the store's may be gone.
    pub fn edge(self: &Arc<Self>) -> OutsideEdge {
        let (pinging, keeping) = (self.clone(), self.clone());
        let ping = move || {
            let archive = pinging.clone();
            // The guard knows what came of it.
            async move {
                let _ = archive.call(archive.ping()).await;
            }
            .boxed()
        };
        let upkeep = move || {
            let archive = keeping.clone();
            async move {
                if let Err(error) = archive.forget().await {
                    tracing::info!(%error, "old events are deleted from the archive later");
                }
            }
            .boxed()
        };
        let upkeep = (self.options.writer == Writer::Callboard).then(|| Arc::new(upkeep) as _);
        OutsideEdge { guard: self.guard.clone(), ping: Arc::new(ping), upkeep }
    }

    /// What answers questions.
    pub fn reader(self: &Arc<Self>) -> Arc<dyn ReadArchive> {
        Arc::new(Reader(self.clone()))
    }

    /// Makes a call through the guard.
    async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, SinkError> {
        self.guard.call(call).await.map_err(refused)
    }

    async fn client(&self) -> Result<&Client, Error> {
        let limit = self.guard.timeout();
        let client = async || {
            let mut options = ClientOptions::parse(self.options.url.expose_secret()).await?;
            options.app_name.get_or_insert_with(|| "callboard".to_owned());
            // Within the call's time, so that the server's own words are heard and not that it took too long.
            options.server_selection_timeout.get_or_insert(limit * 3 / 4);
            options.connect_timeout.get_or_insert(limit * 3 / 4);
            options.max_pool_size.get_or_insert(8);
            Client::with_options(options)
        };
        self.client.get_or_try_init(client).await
    }

    async fn collection(&self, name: &str) -> Result<Collection<Document>, Error> {
        Ok(self.client().await?.database(&self.options.database).collection(name))
    }

    async fn ping(&self) -> Result<(), Error> {
        self.client().await?.database(&self.options.database).run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// Makes the indexes that are missing.
    pub(super) async fn prepare(&self) -> Result<(), SinkError> {
        let unique = IndexOptions::builder().unique(true).build();
        let indexes = [
            IndexModel::builder().keys(doc! { "eventId": 1 }).options(unique).build(),
            IndexModel::builder().keys(doc! { "occurredAt": -1, "eventId": -1 }).build(),
            IndexModel::builder().keys(doc! { "payload.id": 1, "occurredAt": -1, "eventId": -1 }).build(),
        ];
        self.call(async {
            self.collection(EVENTS).await?.create_indexes(indexes).await?;
            Ok(())
        })
        .await
    }

    /// Up to where this owner has archived the log.
    pub(super) async fn position(&self, owner: &str) -> Result<Option<LogCursor>, SinkError> {
        self.call(self.find_position(owner)).await
    }

    async fn find_position(&self, owner: &str) -> Result<Option<LogCursor>, Error> {
        let found = self.collection(POSITIONS).await?.find_one(doc! { "_id": owner }).await?;
        Ok(found.and_then(|found| found.get_str("position").ok()?.parse().ok()))
    }

    /// Keeps that nothing is archived yet.
    pub(super) async fn begin(&self, owner: &str) -> Result<(), SinkError> {
        self.call(async {
            let position = doc! { "$setOnInsert": { "position": LogCursor::default().to_string() } };
            let positions = self.collection(POSITIONS).await?;
            positions
                .update_one(doc! { "_id": owner }, position)
                .upsert(true)
                .write_concern(safely())
                .await?;
            Ok(())
        })
        .await
    }

    /// Keeps it, after the events before it are archived. Whether it was done: not if `from` is not what is kept.
    pub(super) async fn advance(
        &self,
        owner: &str,
        from: LogCursor,
        to: LogCursor,
    ) -> Result<bool, SinkError> {
        self.call(async {
            let kept = doc! { "_id": owner, "position": from.to_string() };
            let set = doc! { "$set": { "position": to.to_string() } };
            let positions = self.collection(POSITIONS).await?;
            let updated = positions.update_one(kept, set).write_concern(safely()).await?;
            Ok(updated.matched_count > 0)
        })
        .await
    }

    /// Adds the events of the old types that are not there yet.
    pub(super) async fn insert(&self, events: &[LoggedEvent]) -> Result<(), SinkError> {
        let old = events.iter().filter(|event| event.event.event_type.is_original());
        let documents: Vec<Document> = old.map(|event| document(&event.event)).collect();
        if documents.is_empty() {
            return Ok(());
        }
        self.call(async {
            let events = self.collection(EVENTS).await?;
            match events.insert_many(documents).ordered(false).write_concern(safely()).await {
                Err(error) if !only_duplicates(&error) => Err(error),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Deletes events that are older than they may be, oldest first, for as long as there are some, up to a bound.
    async fn forget(&self) -> Result<(), SinkError> {
        let before = Timestamp::now().saturating_sub(self.options.retention).to_string();
        for _ in 0..STEPS {
            let deleted = self.call(self.forget_some(&before)).await?;
            if deleted < DELETED {
                break;
            }
        }
        Ok(())
    }

    /// A range, which the index has in order: events of one moment go together.
    async fn forget_some(&self, before: &str) -> Result<u64, Error> {
        let events = self.collection(EVENTS).await?;
        let last = events.find_one(doc! { "occurredAt": { "$lt": before } }).sort(doc! { "occurredAt": 1 });
        let last = last.skip(DELETED - 1).projection(doc! { "occurredAt": 1 }).await?;
        let old = match last.as_ref().and_then(|event| event.get_str("occurredAt").ok()) {
            Some(last) => doc! { "occurredAt": { "$lte": last } },
            None => doc! { "occurredAt": { "$lt": before } },
        };
        Ok(events.delete_many(old).await?.deleted_count)
    }

    async fn find_events(&self, job: Option<Uuid>, limit: u32) -> Result<Vec<EventEnvelope>, Error> {
        let mut filter = doc! {};
        if let Some(job) = job {
            filter.insert("payload.id", job.to_string());
        }
        let events = self.collection(EVENTS).await?;
        let newest =
            events.find(filter).sort(doc! { "occurredAt": -1, "eventId": -1 }).limit(i64::from(limit));
        let found: Vec<Document> = newest.await?.try_collect().await?;
        let events = found.into_iter().filter_map(envelope);
        Ok(events.filter(|event| event.event_type.is_original()).collect())
    }
}

/// What was written is on disk, and with most members of a replica set.
fn safely() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// Whether nothing went wrong but that documents are there already.
fn only_duplicates(error: &Error) -> bool {
    let ErrorKind::InsertMany(error) = &*error.kind else { return false };
    error.write_concern_error.is_none()
        && error
            .write_errors
            .as_ref()
            .is_some_and(|errors| errors.iter().all(|error| error.code == DUPLICATE))
}

fn refused(error: CallError<Error>) -> SinkError {
    match error {
        CallError::Tripped(_) | CallError::Full => SinkError::NotReady(error.to_string()),
        CallError::TimedOut(limit) => SinkError::TimedOut(limit),
        CallError::Failed(error) => SinkError::Failed(error.to_string()),
    }
}

/// What answers questions.
#[derive(Debug)]
struct Reader(Arc<MongodbArchive>);

impl ReadArchive for Reader {
    fn recent(
        &self,
        store: StoreHandle,
        newest: LogCursor,
        job: Option<Uuid>,
        limit: u32,
    ) -> BoxFuture<'static, Option<Archived>> {
        let archive = self.0.clone();
        async move {
            // Nobody but the edge makes connections.
            if !archive.guard.is_ready() || archive.client.get().is_none() {
                return None;
            }
            let owner = match archive.options.writer {
                Writer::External => None,
                Writer::Callboard => {
                    let owner = async || known_owner(&store).await.ok().flatten().ok_or(());
                    Some(archive.owner.get_or_try_init(owner).await.ok()?)
                }
            };
            let read = async {
                // The place first: what is read after it holds all up to there.
                let place = match owner {
                    Some(owner) => archive.find_position(owner).await?,
                    None => Some(newest),
                };
                Ok((place, archive.find_events(job, limit).await?))
            };
            let (place, events) = archive.call(read).await.ok()?;
            let all = |place: LogCursor| place.epoch == newest.epoch && place.position >= newest.position;
            Some(Archived { events, complete: place.is_some_and(all) })
        }
        .boxed()
    }
}
