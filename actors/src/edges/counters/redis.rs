//! [`RedisCounters`]: the totals in Redis, under the keys of the old contract.

use std::{fmt, sync::Arc, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{LogCursor, Totals},
};
use futures_util::{FutureExt, future::BoxFuture};
use redis::{RedisError, Script, ScriptInvocation};
use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::ReadCounters;
use crate::edges::{
    breaker::{CallError, EdgeGuard},
    outside::{OutsideEdge, Writer},
    redis::{InvalidRedisUrl, RedisServer},
    sink::{EventSink, PlacedSink, SinkError, SinkSpec, known_owner},
    store::StoreHandle,
};

/// Steps of one delivery, each of which may take as long as a call: the store's share is bounded by itself.
const CALLS: u32 = 8;

/// Adds to the totals what follows a place in the log, and says the new place, in one step. Nothing changes, and what is found is
/// answered, if the place is another one, or a total is none.
const ADVANCE: &str = "
local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if found[1] ~= ARGV[1] then return found[1] or '' end
for place = 2, 4 do
    if not found[place] or not string.match(found[place], '^%d+$') then return '' end
end
redis.call('INCRBY', KEYS[2], ARGV[3])
redis.call('INCRBY', KEYS[3], ARGV[4])
redis.call('INCRBY', KEYS[4], ARGV[5])
if ARGV[6] ~= '' then
    local last = redis.call('MGET', KEYS[5])[1]
    if not last or last < ARGV[6] then redis.call('SET', KEYS[5], ARGV[6]) end
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
";

/// Sets the totals as of a place in the log, in one step, unless somebody else has said a place meanwhile.
const LOAD: &str = "
local found = redis.call('MGET', KEYS[1])[1] or ''
if found ~= ARGV[1] then return found end
redis.call('MSET', KEYS[1], ARGV[2], KEYS[2], ARGV[3], KEYS[3], ARGV[4], KEYS[4], ARGV[5])
if ARGV[6] == '' then redis.call('DEL', KEYS[5]) else redis.call('SET', KEYS[5], ARGV[6]) end
return ARGV[2]
";

/// How Redis is reached, and what is kept there.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://:PASSWORD@HOST:6379/DATABASE`, or `rediss://` over TLS.
    pub url: SecretString,
    /// What stands before each key; empty for the contract's own.
    pub prefix: String,
    /// Who counts.
    pub writer: Writer,
    /// Most events of one step.
    pub batch: u32,
}

/// The names of the keys.
#[derive(Clone, Debug)]
struct Keys {
    marker: String,
    total: String,
    completed: String,
    failed: String,
    last: String,
}

/// What stands in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Who has counted, and up to where; empty if nobody says so.
    pub(super) marker: String,
    total: Option<String>,
    completed: Option<String>,
    failed: Option<String>,
    last: Option<String>,
}

impl Found {
    /// The totals, if they are some.
    pub(super) fn totals(&self) -> Option<Totals> {
        let number = |text: &Option<String>| text.as_ref()?.parse::<u64>().ok();
        let (completed_jobs, failed_jobs) = (number(&self.completed)?, number(&self.failed)?);
        let total_jobs = number(&self.total)?;
        let last_event_time = self.last.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
        Some(Totals { total_jobs, completed_jobs, failed_jobs, last_event_time })
    }

    /// The totals, if they are ours: what was counted together is there together.
    pub(super) fn own_totals(&self) -> Option<Totals> {
        let totals = self.totals()?;
        let sum = totals.completed_jobs.checked_add(totals.failed_jobs)?;
        (sum == totals.total_jobs).then_some(totals)
    }

    /// Up to where this owner has counted.
    pub(super) fn place_of(&self, owner: &str) -> Option<LogCursor> {
        let (by, place) = self.marker.split_once(' ')?;
        (by == owner).then(|| place.parse().ok()).flatten()
    }
}

/// What the marker says.
pub(super) fn marker(owner: &str, place: LogCursor) -> String {
    format!("{owner} {place}")
}

/// The totals in Redis. Its calls go through a guard.
pub struct RedisCounters {
    server: RedisServer,
    pub(super) guard: EdgeGuard,
    options: RedisOptions,
    keys: Keys,
    owner: OnceCell<String>,
}

impl fmt::Debug for RedisCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCounters").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl RedisCounters {
    /// Does not connect yet.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(options: RedisOptions, guard: EdgeGuard) -> Result<Arc<Self>, InvalidRedisUrl> {
        let server = RedisServer::new(&options.url)?;
        let key = |name: &str| format!("{}{name}", options.prefix);
        let keys = Keys {
            marker: key("callboard:counters:position"),
            total: key("metrics:jobs:total"),
            completed: key("metrics:jobs:completed"),
            failed: key("metrics:jobs:failed"),
            last: key("metrics:last_event_time"),
        };
        Ok(Arc::new(RedisCounters { server, guard, options, keys, owner: OnceCell::new() }))
    }

    /// What keeps the totals up to date, if this fleet does so.
    pub fn sink(self: &Arc<Self>) -> Option<SinkSpec> {
        let counters = self.clone();
        (self.options.writer == Writer::Callboard).then(|| SinkSpec {
            name: self.guard.name().to_owned(),
            batch: self.options.batch,
            timeout: self.guard.timeout() * CALLS + Duration::from_secs(30),
            open: Arc::new(move |context| {
                Box::new(PlacedSink::new(counters.clone(), context.store)) as Box<dyn EventSink>
            }),
        })
    }

    /// What keeps an eye on the server.
    pub fn edge(self: &Arc<Self>) -> OutsideEdge {
        let counters = self.clone();
        let ping = move || {
            let counters = counters.clone();
            async move {
                // The guard knows what came of it.
                let _ = counters.find().await;
            }
            .boxed()
        };
        OutsideEdge { guard: self.guard.clone(), ping: Arc::new(ping), upkeep: None }
    }

    /// Reads what stands there, connecting if need be.
    pub(super) async fn find(&self) -> Result<Found, SinkError> {
        self.guard.call(self.find_with(true)).await.map_err(refused)
    }

    async fn find_with(&self, connect: bool) -> Result<Found, RedisError> {
        let Keys { marker, total, completed, failed, last } = &self.keys;
        let mut read = redis::cmd("MGET");
        read.arg(marker).arg(total).arg(completed).arg(failed).arg(last);
        let mut borrowed = self.server.borrow(connect).await?;
        let found = read.query_async::<Vec<Option<String>>>(&mut borrowed.connection).await;
        let found = borrowed.give_back(found)?;
        let [marker, total, completed, failed, last] =
            <[Option<String>; 5]>::try_from(found).map_err(|_| {
                RedisError::from((
                    redis::ErrorKind::UnexpectedReturnType,
                    "MGET gave another number of values",
                ))
            })?;
        Ok(Found { marker: marker.unwrap_or_default(), total, completed, failed, last })
    }

    /// Adds what the log says between two places. Whether it was done: not if `from` is not what stands there.
    pub(super) async fn advance(
        &self,
        from: &str,
        to: &str,
        completed: u64,
        failed: u64,
        last: Option<Timestamp>,
    ) -> Result<bool, SinkError> {
        let last = last.map(|last| last.to_string()).unwrap_or_default();
        let script = Script::new(ADVANCE);
        let mut call = self.invocation(&script);
        call.arg(from).arg(to).arg(completed + failed).arg(completed).arg(failed).arg(last);
        Ok(self.invoke(&call).await? == to)
    }

    /// Sets the totals. Whether it was done: not if `from` is not what stands there.
    pub(super) async fn load(&self, from: &str, to: &str, totals: Totals) -> Result<bool, SinkError> {
        let Totals { total_jobs, completed_jobs, failed_jobs, last_event_time } = totals;
        let last = last_event_time.map(|last| last.to_string()).unwrap_or_default();
        let script = Script::new(LOAD);
        let mut call = self.invocation(&script);
        call.arg(from).arg(to).arg(total_jobs).arg(completed_jobs).arg(failed_jobs).arg(last);
        Ok(self.invoke(&call).await? == to)
    }

    fn invocation<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let Keys { marker, total, completed, failed, last } = &self.keys;
        let mut call = script.key(marker);
        call.key(total).key(completed).key(failed).key(last);
        call
    }

    async fn invoke(&self, call: &ScriptInvocation<'_>) -> Result<String, SinkError> {
        let invoked = async {
            let mut borrowed = self.server.borrow(true).await?;
            let answer = call.invoke_async::<String>(&mut borrowed.connection).await;
            borrowed.give_back(answer)
        };
        self.guard.call(invoked).await.map_err(refused)
    }

    /// The owner of the marks that this fleet makes, if one has been made.
    async fn owner(&self, store: &StoreHandle) -> Option<&String> {
        let owner = async || known_owner(store).await.ok().flatten().ok_or(());
        self.owner.get_or_try_init(owner).await.ok()
    }
}

fn refused(error: CallError<RedisError>) -> SinkError {
    match error {
        CallError::Tripped(_) | CallError::Full => SinkError::NotReady(error.to_string()),
        CallError::TimedOut(limit) => SinkError::TimedOut(limit),
        CallError::Failed(error) => SinkError::Failed(error.to_string()),
    }
}

/// What the reading side needs of itself beyond its own life.
#[derive(Clone, Debug)]
pub(super) struct Reader(Arc<RedisCounters>);

impl RedisCounters {
    /// What answers questions.
    pub fn reader(self: &Arc<Self>) -> Arc<dyn ReadCounters> {
        Arc::new(Reader(self.clone()))
    }
}

impl ReadCounters for Reader {
    fn totals(&self, store: StoreHandle, newest: LogCursor) -> BoxFuture<'static, Option<Totals>> {
        let counters = self.0.clone();
        async move {
            if !counters.guard.is_ready() {
                return None;
            }
            let found = counters.guard.call(counters.find_with(false)).await.ok()?;
            match counters.options.writer {
                Writer::External => found.totals(),
                Writer::Callboard => {
                    let place = found.place_of(counters.owner(&store).await?)?;
                    let all = place.epoch == newest.epoch && place.position >= newest.position;
                    all.then(|| found.own_totals()).flatten()
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(marker: &str, numbers: [&str; 3]) -> Found {
        let [total, completed, failed] = numbers.map(|number| Some(number.to_owned()));
        Found { marker: marker.to_owned(), total, completed, failed, last: None }
    }

    #[test]
    fn only_totals_that_were_counted_together_are_our_own() {
        assert_eq!(found("", ["3", "2", "1"]).own_totals().map(|totals| totals.total_jobs), Some(3));
        assert_eq!(found("", ["3", "2", "2"]).own_totals(), None);
        assert_eq!(found("", ["3", "-1", "4"]).own_totals(), None);
        assert!(found("", ["3", "2", "2"]).totals().is_some());
        assert_eq!(Found::default().totals(), None);
    }

    #[test]
    fn a_mark_is_known_by_its_owner() {
        let place = LogCursor { epoch: 2, position: 17 };
        let found = found(&marker("me", place), ["0", "0", "0"]);
        assert_eq!(found.place_of("me"), Some(place));
        assert_eq!(found.place_of("you"), None);
        assert_eq!(Found::default().place_of("me"), None);
        assert_eq!(Found::default().place_of(""), None);
    }
}
