//! Old events in MongoDB; the server is one that speaks its protocol.

mod archiving;
mod subject;

use self::subject::Mongodb;

callboard_conformance::sink_suite!(suite: Mongodb, tls);
