//! Totals in Redis.

mod counting;
mod subject;
mod windows;

use self::subject::Redis;

callboard_conformance::sink_suite!(suite: Redis, tls);
