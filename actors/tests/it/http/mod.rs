//! Jobs of the type `http`, against real servers.

mod client;
mod jobs;
mod server;

use std::path::PathBuf;

use callboard_actors::jobs::http::{
    AddressRules, HttpClient, HttpError, HttpOutput, HttpRequest, OriginList, Secret, Secrets, Sender,
};
use serde_json::Value;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SECRET: &str = "hush-8f14e45f";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// One that may ask servers of tests, and has a secret for these origins.
fn client(secret_for: &[String]) -> HttpClient {
    let mut client = HttpClient::new(Some(&fixture("ca.pem"))).unwrap();
    // Ports are the system's choice, which a list cannot know before.
    client.addresses = AddressRules::new(["127.0.0.1"]).unwrap();
    client.secrets = Secrets::new([Secret {
        name: "partner".to_owned(),
        value: SECRET.into(),
        origins: OriginList::new(secret_for).unwrap(),
    }])
    .unwrap();
    client
}

fn allow(client: &mut HttpClient, origins: &[String]) {
    client.allow = OriginList::new(origins).unwrap();
}

async fn send(client: &HttpClient, payload: Value) -> Result<HttpOutput, HttpError> {
    let request: HttpRequest = serde_json::from_value(payload).unwrap();
    client.send(&request, Sender { idempotency_key: "the-job", traceparent: TRACE }).await
}

/// A client that may ask this server alone.
fn client_of(server: &server::Server) -> HttpClient {
    let origin = format!("http://{}", server.address);
    let mut client = client(std::slice::from_ref(&origin));
    allow(&mut client, &[origin]);
    client
}
