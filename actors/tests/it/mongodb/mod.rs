//! Old events in MongoDB; the server is one that speaks its protocol.

mod archiving;
mod subject;

use self::subject::Mongodb;
use crate::sink_suite::sink_suite;

sink_suite! { Mongodb }
