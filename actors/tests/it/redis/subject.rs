//! Redis as the suite of sinks sees it.

use std::sync::Arc;

use callboard_actors::{
    edges::{
        counters::{RedisCounters, RedisOptions},
        outside::Writer,
        store::StoreHandle,
    },
    roles::RolesConfig,
};
use callboard_conformance::sink::{Subject, Told, WithoutTls, guard, log_of};
use callboard_testsupport::PrivateServer;
use redis::{Client, aio::MultiplexedConnection};

use crate::server::Private;

pub(super) struct Redis {
    url: String,
    prefix: String,
}

impl Redis {
    /// One whose keys begin so.
    pub(super) fn with_prefix(url: &str, prefix: &str) -> Self {
        Redis { url: url.to_owned(), prefix: prefix.to_owned() }
    }

    pub(super) async fn connection(&self) -> MultiplexedConnection {
        let client = Client::open(self.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) async fn get(&self, key: &str) -> Option<String> {
        let key = self.key(key);
        redis::cmd("GET").arg(key).query_async(&mut self.connection().await).await.unwrap()
    }

    pub(super) async fn set(&self, key: &str, value: &str) {
        let key = self.key(key);
        redis::cmd("SET").arg(key).arg(value).exec_async(&mut self.connection().await).await.unwrap();
    }

    pub(super) fn counters(&self, config: &RolesConfig, writer: Writer) -> Arc<RedisCounters> {
        let options =
            RedisOptions { url: self.url.clone().into(), prefix: self.prefix.clone(), writer, batch: 7 };
        RedisCounters::new(options, guard(config, "counters")).unwrap()
    }

    pub(super) fn configure_as(&self, config: &mut RolesConfig, writer: Writer) {
        let counters = self.counters(config, writer);
        config.sinks.extend(counters.sink());
        config.outside.edges.push(counters.edge());
        config.outside.counters = Some(counters.reader());
    }
}

impl Subject for Redis {
    const EDGE: &'static str = "counters";

    type Server = Private;

    fn server() -> Private {
        Private(PrivateServer::absent_redis())
    }

    fn new(server: &Private) -> Self {
        Redis::with_prefix(&server.0.url(), "")
    }

    fn configure(&self, config: &mut RolesConfig) {
        self.configure_as(config, Writer::Callboard);
    }

    async fn wipe(&self) {
        redis::cmd("FLUSHALL").exec_async(&mut self.connection().await).await.unwrap();
    }

    async fn has_just_the_log(&self, store: &StoreHandle) -> Result<(), String> {
        let Told { completed, failed, .. } = log_of(store).await;
        let expected = [completed + failed, completed, failed].map(|count| Some(count.to_string()));
        let found = [
            self.get("metrics:jobs:total").await,
            self.get("metrics:jobs:completed").await,
            self.get("metrics:jobs:failed").await,
        ];
        let last = store.totals().await.unwrap().last_event_time.map(|time| time.to_string());
        let found_last = self.get("metrics:last_event_time").await;
        match (found == expected, found_last == last) {
            (true, true) => Ok(()),
            _ => Err(format!("{found:?}, {found_last:?} instead of {expected:?}, {last:?}")),
        }
    }
}

impl WithoutTls for Redis {
    fn over_tls(server: &Private) -> Self {
        Redis::with_prefix(&format!("rediss://127.0.0.1:{}", server.0.port()), "")
    }
}
