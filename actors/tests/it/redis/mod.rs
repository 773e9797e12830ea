//! Totals in Redis.

mod counting;
mod subject;
mod windows;

use self::subject::Redis;
use crate::sink_suite::sink_suite;

sink_suite! { Redis }
