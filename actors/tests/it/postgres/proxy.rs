//! A way to the database that can be cut at the worst moment.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    task::AbortHandle,
};

/// How a transaction is ended by name in the protocol.
const COMMIT: &[u8] = b"COMMIT\0";

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// The server never hears of the commit.
    BeforeCommit,
    /// The server has committed, and its answer is lost.
    AfterCommit,
}

/// The next commit of a connection over which this was sent before.
struct Trap {
    cut: Cut,
    after: Vec<u8>,
}

/// Passes connections on to the server of a database.
pub(super) struct Proxy {
    url: String,
    trap: Arc<Mutex<Option<Trap>>>,
    serving: AbortHandle,
}

impl Proxy {
    pub(super) async fn to(url: &str) -> Proxy {
        let server: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!(
            "postgres://{}@{}/{}?sslmode=disable",
            server.get_username(),
            listener.local_addr().unwrap(),
            server.get_database().unwrap()
        );
        let trap = Arc::new(Mutex::new(None));
        let traps = trap.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (server, trap) = (server.clone(), traps.clone());
                tokio::spawn(async move {
                    match server.get_socket() {
                        Some(folder) => {
                            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
                            pass(client, UnixStream::connect(path).await.unwrap(), trap).await;
                        }
                        None => {
                            let place = (server.get_host().to_owned(), server.get_port());
                            pass(client, TcpStream::connect(place).await.unwrap(), trap).await;
                        }
                    }
                });
            }
        });
        Proxy { url: own, trap, serving: serving.abort_handle() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the next connection that commits after it has sent this, once.
    pub(super) fn cut(&self, cut: Cut, after: &[u8]) {
        *self.trap.lock() = Some(Trap { cut, after: after.to_vec() });
    }

    /// Whether the trap has caught a commit.
    pub(super) fn has_cut(&self) -> bool {
        self.trap.lock().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(client: TcpStream, server: impl AsyncRead + AsyncWrite, trap: Arc<Mutex<Option<Trap>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = split(server);
    let (mut said, mut heard) = (Vec::new(), vec![0; 1 << 16]);
    let mut chunk = vec![0; 1 << 16];
    // Both ends are closed when this returns.
    loop {
        tokio::select! {
            read = from_client.read(&mut chunk) => {
                let Ok(read @ 1..) = read else { return };
                said.extend_from_slice(&chunk[..read]);
                let cut = sprung(&said, &trap);
                if said.ends_with(COMMIT) {
                    said.clear();
                }
                if cut == Some(Cut::BeforeCommit) || to_server.write_all(&chunk[..read]).await.is_err() {
                    return;
                }
                if cut == Some(Cut::AfterCommit) {
                    // It answers when it has committed.
                    let _ = from_server.read(&mut heard).await;
                    return;
                }
            }
            read = from_server.read(&mut heard) => {
                let Ok(read @ 1..) = read else { return };
                if to_client.write_all(&heard[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Takes the trap if what was said so far ends in the commit it waits for.
fn sprung(said: &[u8], trap: &Mutex<Option<Trap>>) -> Option<Cut> {
    let mut trap = trap.lock();
    let Trap { cut, after } = trap.as_ref()?;
    let cut = *cut;
    let sent = said.windows(after.len()).any(|bytes| bytes == after);
    (sent && said.ends_with(COMMIT)).then(|| {
        *trap = None;
        cut
    })
}
