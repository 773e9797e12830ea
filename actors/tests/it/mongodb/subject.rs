//! MongoDB as the suite of sinks sees it.

use std::{sync::Arc, time::Duration};

use callboard_actors::{
    edges::{
        archive::{MongodbArchive, MongodbOptions},
        outside::Writer,
        store::StoreHandle,
    },
    roles::RolesConfig,
};
use callboard_conformance::sink::{Subject, Told, WithoutTls, guard, log_of};
use callboard_testsupport::PrivateServer;
use futures_util::TryStreamExt;
use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
};

use crate::server::Private;

const DATABASE: &str = "observatory";

pub(super) struct Mongodb {
    url: String,
    database: String,
    pub(super) retention: Duration,
}

impl Mongodb {
    pub(super) fn with_database(url: &str, database: &str) -> Self {
        let retention = Duration::from_secs(90 * 24 * 60 * 60);
        Mongodb { url: url.to_owned(), database: database.to_owned(), retention }
    }

    pub(super) async fn database(&self) -> Database {
        Client::with_uri_str(&self.url).await.unwrap().database(&self.database)
    }

    pub(super) async fn events(&self) -> Collection<Document> {
        self.database().await.collection("job_events")
    }

    pub(super) async fn all(&self) -> Vec<Document> {
        let events = self.events().await;
        let found = events.find(doc! {}).sort(doc! { "occurredAt": 1, "eventId": 1 });
        found.await.unwrap().try_collect().await.unwrap()
    }

    pub(super) fn archive(&self, config: &RolesConfig, writer: Writer) -> Arc<MongodbArchive> {
        let options = MongodbOptions {
            url: self.url.clone().into(),
            database: self.database.clone(),
            writer,
            batch: 7,
            retention: self.retention,
        };
        MongodbArchive::new(options, guard(config, "archive")).unwrap()
    }

    pub(super) fn configure_as(&self, config: &mut RolesConfig, writer: Writer) {
        let archive = self.archive(config, writer);
        config.sinks.extend(archive.sink());
        config.outside.edges.push(archive.edge());
        config.outside.archive = Some(archive.reader());
    }
}

impl Subject for Mongodb {
    const EDGE: &'static str = "archive";

    type Server = Private;

    fn server() -> Private {
        Private(PrivateServer::absent_mongodb())
    }

    fn new(server: &Private) -> Self {
        Mongodb::with_database(&server.0.url(), DATABASE)
    }

    fn configure(&self, config: &mut RolesConfig) {
        self.configure_as(config, Writer::Callboard);
    }

    async fn wipe(&self) {
        self.database().await.drop().await.unwrap();
    }

    async fn has_just_the_log(&self, store: &StoreHandle) -> Result<(), String> {
        let Told { events: mut expected, .. } = log_of(store).await;
        let found = self.all().await;
        let mut found: Vec<_> = found
            .iter()
            .map(|event| event.get_str("eventId").unwrap().parse::<uuid::Uuid>().unwrap())
            .collect();
        expected.sort();
        found.sort();
        if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
    }
}

impl WithoutTls for Mongodb {
    fn over_tls(server: &Private) -> Self {
        Mongodb::with_database(&format!("{}&tls=true", server.0.url()), DATABASE)
    }
}
