//! Words between nodes: NOTIFY and LISTEN. They are coalesced, outside the transactions they tell of, and may get lost.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callboard_contracts::api::LogCursor;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, postgres::PgListener};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Shared,
    connect::{Purpose, connect},
    error::translate,
};
use crate::edges::store::{StoreError, Wake, record::Lease};

/// What is to be told is gathered for so long.
const GATHER: Duration = Duration::from_millis(2);
/// Words that wait to be told; further ones are left to the polls of the others.
const WAITING: usize = 10_000;
/// Words of one notification: with the longest names they are below PostgreSQL's 8,000 bytes.
const WORDS: usize = 16;
/// The first pause after an error; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A word to other nodes.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Available(String),
    Cancel { id: Uuid, token: u64, queue: String, session: Uuid },
    Command { node: String },
    Signal { job: Uuid, session: Uuid },
    Log { epoch: u64, position: u64 },
}

/// What is sent.
#[derive(Debug, Deserialize, Serialize)]
struct Notification {
    /// The sender, which needs no words from itself.
    from: Uuid,
    words: Vec<Word>,
}

/// What this node has to tell.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    words: Mutex<(BTreeSet<Word>, Option<LogCursor>)>,
    filled: Notify,
}

impl Outbox {
    /// To be told to the others.
    pub(super) fn put(&self, wakes: Vec<Wake>) {
        if wakes.is_empty() {
            return;
        }
        let words = wakes.into_iter().filter_map(|wake| match wake {
            Wake::Available(queue) => Some(Word::Available(queue)),
            Wake::Cancel { lease, queue, session } => {
                Some(Word::Cancel { id: lease.id, token: lease.token, queue, session })
            }
            Wake::Command { node } => Some(Word::Command { node }),
            Wake::Signal { job, session } => Some(Word::Signal { job, session }),
            Wake::Log | Wake::Everything => None,
        });
        {
            let mut waiting = self.words.lock();
            let room = WAITING.saturating_sub(waiting.0.len());
            waiting.0.extend(words.take(room));
        }
        self.filled.notify_one();
    }

    /// The log has grown to here.
    pub(super) fn log(&self, newest: LogCursor) {
        self.words.lock().1 = Some(newest);
        self.filled.notify_one();
    }

    fn take(&self) -> Vec<Word> {
        let (words, log) = std::mem::take(&mut *self.words.lock());
        let log = log.map(|newest| Word::Log { epoch: newest.epoch, position: newest.position });
        words.into_iter().chain(log).collect()
    }
}

/// Tells all nodes, within a transaction and so with its commit, that a queue has a job.
pub(super) async fn notify_of_job(
    connection: &mut PgConnection,
    schema: &str,
    queue: &str,
) -> sqlx::Result<()> {
    // No store has this id, so each heeds it.
    notify(connection, &channel(schema), Uuid::nil(), &[Word::Available(queue.to_owned())]).await
}

/// The channel of a schema.
fn channel(schema: &str) -> String {
    format!("callboard_{schema}")
}

/// Tells the others, until it is dropped. What could not be told is left to their polls.
pub(super) async fn tell(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(error) = tell_on(&shared, &mut pause).await {
            tracing::debug!(%error, "other nodes cannot be told for now");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn tell_on(shared: &Shared, pause: &mut Duration) -> Result<(), StoreError> {
    let mut connection = connect(&shared.options, Purpose::Control).await?;
    let channel = channel(&shared.options.schema);
    loop {
        // Only to keep the connection from being forgotten by what is between; and to see that it is.
        if timeout(shared.options.statement_timeout, shared.outbox.filled.notified()).await.is_err() {
            connection.ping().await.map_err(translate)?;
            continue;
        }
        sleep(GATHER).await;
        for words in shared.outbox.take().chunks(WORDS) {
            notify(&mut connection, &channel, shared.node, words).await.map_err(translate)?;
        }
        *pause = FIRST_PAUSE;
    }
}

async fn notify(
    connection: &mut PgConnection,
    channel: &str,
    from: Uuid,
    words: &[Word],
) -> sqlx::Result<()> {
    let text = serde_json::to_string(&Notification { from, words: words.to_vec() });
    let text = text.map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text).execute(connection).await.map(drop)
}

/// Hears the others, until it is dropped.
pub(super) async fn hear(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(error) = hear_on(&shared, &mut pause).await {
            tracing::debug!(%error, "other nodes cannot be heard for now");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn hear_on(shared: &Shared, pause: &mut Duration) -> Result<(), StoreError> {
    let pool = super::connect::listener(&shared.options)?;
    let mut listener = PgListener::connect_with(&pool).await.map_err(translate)?;
    listener.listen(&channel(&shared.options.schema)).await.map_err(translate)?;
    // What was said before is lost.
    shared.wake(Wake::Everything);
    loop {
        match listener.try_recv().await.map_err(translate)? {
            Some(notification) => heard(shared, notification.payload()),
            // It has connected again, or does so with the next call.
            None => shared.wake(Wake::Everything),
        }
        *pause = FIRST_PAUSE;
    }
}

fn heard(shared: &Shared, text: &str) {
    // Another version may say what this one does not know; polling makes up for it.
    let Ok(Notification { from, words }) = serde_json::from_str(text) else { return };
    if from == shared.node {
        return;
    }
    for word in words {
        match word {
            Word::Available(queue) => shared.wake(Wake::Available(queue)),
            Word::Cancel { id, token, queue, session } => {
                shared.wake(Wake::Cancel { lease: Lease { id, token }, queue, session });
            }
            Word::Command { node } => shared.wake(Wake::Command { node }),
            Word::Signal { job, session } => shared.wake(Wake::Signal { job, session }),
            Word::Log { epoch, position } => {
                shared.advance(LogCursor { epoch, position });
                shared.wake(Wake::Log);
            }
        }
    }
}
