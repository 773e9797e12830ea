//! An archive of events in a file of JSON lines: a backend that is not Callboard's own.
//!
//! **What it promises.** The file has each event of the contract once, in the order of the log, each as its envelope on a line of its
//! own. A page of events is written with the place in the log up to which it goes, in one piece, and is on the disk when it counts as
//! told. What a crash has cut off is removed, and told again. A file that was removed is filled again with what the log still
//! holds. Two nodes that tell at once (as after a change of leaders of which the first does not know yet) double nothing: they hold
//! the file's lock while they write, and only who knows its end may add to it.
//!
//! **What it does not promise.** It is a file of one host: whoever else leads must reach the same one, with locks (`flock`) that hold
//! between them. It does not delete what is old: it takes no more than [`MOST`] bytes, and then has to be moved away. Programs that read
//! it see a page that is being written, and must stop at the last line of a place.

use std::{
    collections::HashSet,
    fmt,
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use callboard::{
    contracts::{EventEnvelope, api::LogCursor},
    ports::{
        breaker::{CallError, EdgeGuard},
        outside::OutsideEdge,
        sink::{EventSink, SinkContext, SinkError, SinkSpec, Standing, owner},
        store::{StoreHandle, record::LogPage},
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use uuid::Uuid;

/// The largest file.
pub(crate) const MOST: u64 = 1 << 30;
/// How often a lock that somebody else has is asked for again.
const LOCKED: Duration = Duration::from_millis(10);
/// What a page may take beside the writing.
const MARGIN: Duration = Duration::from_secs(5);

/// The archive. Clones write to the same file.
#[derive(Clone)]
pub(crate) struct FileArchive {
    path: Arc<Path>,
    guard: EdgeGuard,
    /// Pages that were written, and times that the file was found as it should be.
    told: Arc<watch::Sender<u64>>,
}

/// A line that is no event: the place in the log up to which the lines before it go, and whose log it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    owner: String,
    /// `epoch-position`.
    place: String,
}

/// The end of the file as somebody has left it.
#[derive(Clone, Debug, Default, PartialEq)]
struct End {
    bytes: u64,
    /// The last line; empty in an empty file.
    line: Vec<u8>,
}

/// What is in the file.
struct Found {
    end: End,
    place: Option<Place>,
    /// The ids of all events.
    ids: HashSet<Uuid>,
}

impl FileArchive {
    /// In this file, whose folder must be there when it is written to. Calls go through `guard`.
    pub(crate) fn new(path: impl Into<PathBuf>, guard: EdgeGuard) -> Self {
        FileArchive { path: path.into().into(), guard, told: Arc::default() }
    }

    /// What tells it of the log: for `AppBuilder::sink`.
    pub(crate) fn sink(&self) -> SinkSpec {
        let archive = self.clone();
        let open = move |SinkContext { store }: SinkContext| {
            Box::new(FileSink { archive: archive.clone(), store, at: None }) as Box<dyn EventSink>
        };
        // The file may be looked through once more before a page is written.
        let timeout = 2 * self.guard.timeout() + MARGIN;
        SinkSpec { name: self.guard.name().to_owned(), open: Arc::new(open), batch: 100, timeout }
    }

    /// What looks whether it can be written to: for `AppBuilder::edge`.
    pub(crate) fn edge(&self) -> OutsideEdge {
        let archive = self.clone();
        let ping = move || {
            let archive = archive.clone();
            // What becomes of the call is for the guard.
            async move { drop(archive.call(|_| Ok(())).await) }.boxed()
        };
        OutsideEdge { guard: self.guard.clone(), ping: Arc::new(ping), upkeep: None }
    }

    /// Changes whenever something was written, or was found to be written.
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// The events in the file at `path`, up to the last place.
    ///
    /// # Errors
    /// It cannot be read, or something else is in it.
    pub(crate) fn read(path: &Path) -> io::Result<Vec<EventEnvelope>> {
        let mut events = Vec::new();
        scan(&mut File::open(path)?, |event| events.push(event))?;
        Ok(events)
    }

    /// Works with the file while nobody else does. A call that is given up while it waits for the lock has done nothing.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SinkError> {
        let locked = async {
            let file = self.open().await?;
            loop {
                match file.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::WouldBlock) => sleep(LOCKED).await,
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            // The lock ends with the file.
            blocking(move || work(&mut { file })).await
        };
        let done = self.guard.call(locked).await;
        done.map_err(|error| match error {
            CallError::TimedOut(limit) => SinkError::TimedOut(limit),
            CallError::Failed(error) => SinkError::Failed(format!("{}: {error}", self.path.display())),
            CallError::Tripped(_) | CallError::Full => SinkError::NotReady(error.to_string()),
        })
    }

    async fn open(&self) -> io::Result<File> {
        let path = self.path.clone();
        blocking(move || {
            let is_new = !path.exists();
            let file = File::options().read(true).append(true).create(true).open(&path)?;
            if let (true, Some(folder)) = (is_new, path.canonicalize()?.parent()) {
                // A file whose name is not on the disk is gone with a power cut, whatever is in it.
                File::open(folder)?.sync_all()?;
            }
            Ok(file)
        })
        .await
    }
}

impl fmt::Debug for FileArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileArchive")
            .field("path", &self.path)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Goes through the lines of a file from its beginning to the last place.
fn scan(file: &mut File, mut event: impl FnMut(EventEnvelope)) -> io::Result<(End, Option<Place>)> {
    if file.metadata()?.len() > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than an archive gets"));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut lines = BufReader::new(file);
    let (mut end, mut last) = (End::default(), None);
    // The page of which the place has not come yet, and where it is damaged.
    let (mut page, mut damaged) = (Vec::new(), None);
    // Where a page is damaged that has a place. A crash leaves so the last one only.
    let mut closed: Option<u64> = None;
    let (mut bytes, mut line) = (0, Vec::new());
    loop {
        let from = bytes;
        line.clear();
        bytes += lines.read_until(b'\n', &mut line)? as u64;
        let is_foreign = from == 0 && line.first().is_some_and(|first| *first != b'{');
        if let Some(at) = closed.filter(|_| !line.is_empty()).or(is_foreign.then_some(0)) {
            let problem = format!("at byte {at} is neither an event nor a place: move the file away");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        if line.last() != Some(&b'\n') {
            return Ok((end, last));
        }
        if let Ok(place) = serde_json::from_slice::<Place>(&line) {
            closed = damaged.take();
            if closed.is_none() {
                (end, last) = (End { bytes, line: line.clone() }, Some(place));
                page.drain(..).for_each(&mut event);
            }
        } else if let Ok(found) = serde_json::from_slice::<EventEnvelope>(&line) {
            page.push(found);
        } else {
            damaged = damaged.or(Some(from));
        }
    }
}

/// Looks through the file, and cuts off what stands behind the last place: a page that was not written to its end.
fn repair(file: &mut File) -> io::Result<Found> {
    let mut ids = HashSet::new();
    let (end, place) = scan(file, |event| {
        ids.insert(event.event_id);
    })?;
    let bytes = file.metadata()?.len();
    if bytes > end.bytes {
        tracing::warn!(bytes = bytes - end.bytes, "a page that was not written to its end is cut off");
        file.set_len(end.bytes)?;
        file.sync_data()?;
    }
    Ok(Found { end, place, ids })
}

/// Whether the file ends so.
fn ends(file: &mut File, end: &End) -> io::Result<bool> {
    if file.metadata()?.len() != end.bytes {
        return Ok(false);
    }
    let mut line = vec![0; end.line.len()];
    file.seek(SeekFrom::Start(end.bytes - line.len() as u64))?;
    file.read_exact(&mut line)?;
    Ok(line == end.line)
}

/// Adds a page to a file that ends as we know it, and says how it ends then. `None`: it ends otherwise.
fn add(file: &mut File, end: &End, mut page: Vec<u8>, line: Vec<u8>) -> io::Result<Option<End>> {
    if !ends(file, end)? {
        return Ok(None);
    }
    page.extend_from_slice(&line);
    let bytes = end.bytes + page.len() as u64;
    if bytes > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is full: move it away"));
    }
    file.write_all(&page)?;
    file.sync_data()?;
    Ok(Some(End { bytes, line }))
}

/// Tells the file.
struct FileSink {
    archive: FileArchive,
    store: StoreHandle,
    at: Option<At>,
}

/// What we know of the file.
struct At {
    owner: String,
    end: End,
    /// The events that may be told again, since the log is read from its beginning.
    known: HashSet<Uuid>,
}

impl FileSink {
    async fn find_place(&mut self) -> Result<Standing, SinkError> {
        // Until it is certain, nothing is.
        self.at = None;
        let owner = owner(&self.store).await?;
        let Found { end, place, ids } = self.archive.call(repair).await?;
        let (standing, known) = match place {
            None => (Standing::FromOldest, ids),
            Some(Place { owner: other, .. }) if other != owner => {
                let problem = "the file is another store's archive: give each a file of its own";
                return Err(SinkError::Failed(problem.to_owned()));
            }
            Some(Place { place, .. }) => match self.goes_on(&place).await? {
                Some(place) => (Standing::At(place), HashSet::new()),
                None => (Standing::FromOldest, ids),
            },
        };
        self.at = Some(At { owner, end, known });
        self.archive.told.send_modify(|told| *told += 1);
        Ok(standing)
    }

    /// The place, if what follows it can still be told. Of a log that was begun anew, or of a part that is deleted, it says
    /// nothing of what is told already.
    async fn goes_on(&self, place: &str) -> Result<Option<LogCursor>, SinkError> {
        let Ok(place) = place.parse() else { return Ok(None) };
        let page = self.store.events_after(place, None, 1).await?;
        Ok((!page.reset).then_some(place))
    }

    async fn add(&mut self, page: LogPage) -> Result<(), SinkError> {
        let Some(last) = page.events.last() else { return Ok(()) };
        let Some(at) = &mut self.at else {
            return Err(SinkError::NotReady("nobody has asked where it stands".to_owned()));
        };
        let mut text = Vec::new();
        for event in page.events.iter().map(|logged| &logged.event) {
            if event.event_type.is_original() && !at.known.contains(&event.event_id) {
                text.extend(line(event)?);
            }
        }
        let place = line(&Place { owner: at.owner.clone(), place: last.cursor.to_string() })?;
        let end = at.end.clone();
        let added = self.archive.call(move |file| add(file, &end, text, place)).await?;
        at.end = added.ok_or_else(changed)?;
        if last.cursor == page.newest {
            at.known = HashSet::new();
        }
        self.archive.told.send_modify(|told| *told += 1);
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SinkError> {
        let Some(at) = &self.at else { return Ok(()) };
        let end = at.end.clone();
        let as_left = self.archive.call(move |file| ends(file, &end)).await?;
        if as_left { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> SinkError {
    SinkError::Failed("the file is not as it was left: what it lacks is told again".to_owned())
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, SinkError> {
    let mut line = serde_json::to_vec(value).map_err(|error| SinkError::Failed(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

impl EventSink for FileSink {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        self.find_place().boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        self.add(page).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.look().boxed()
    }
}
