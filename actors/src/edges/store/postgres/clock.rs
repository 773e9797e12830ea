//! The database's clock, as it is known here.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Instant,
};

use callboard_contracts::Timestamp;
use sqlx::PgConnection;

use crate::edges::store::Clock;

/// The time in SQL: what a test says in the parameter, else the server's clock.
macro_rules! sql_now {
    ($parameter:literal) => {
        concat!("coalesce($", $parameter, ", (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)")
    };
}
pub(super) use sql_now;

/// The database's clock, by how far it was from ours when it was asked last.
#[derive(Debug)]
pub(super) struct DatabaseClock {
    clock: Clock,
    /// Microseconds by which the database is ahead.
    ahead: AtomicI64,
}

impl DatabaseClock {
    pub(super) fn new(clock: Clock) -> Self {
        DatabaseClock { clock, ahead: AtomicI64::new(0) }
    }

    pub(super) fn now(&self) -> Timestamp {
        let ours = self.clock.now();
        match self.clock {
            Clock::System => Timestamp::from_micros(ours.as_micros() + self.ahead.load(Relaxed)),
            Clock::Manual(_) => ours,
        }
    }

    /// What a test says is now.
    pub(super) fn said(&self) -> Option<i64> {
        self.clock.manual().map(Timestamp::as_micros)
    }

    /// Asks the database for its time; the answer is taken for that of half the way.
    pub(super) async fn adjust(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let began = Instant::now();
        let theirs: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(connection)
                .await?;
        let half = i64::try_from(began.elapsed().as_micros() / 2).unwrap_or(0);
        self.ahead.store(theirs + half - Timestamp::now().as_micros(), Relaxed);
        Ok(())
    }
}
