//! A real server on a port of the system's choice that answers as a test says.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What a server is asked, as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// What a server says: `None` is nothing, until the client goes.
pub(super) type Script = Arc<dyn Fn(&Asked) -> Option<String> + Send + Sync>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// What it was asked.
    pub(super) asked: mpsc::UnboundedReceiver<Asked>,
    /// Told of each client that went without an answer.
    pub(super) left: mpsc::UnboundedReceiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(script: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::launch(Arc::new(script), None).await
    }

    /// One whose certificate is for `localhost`.
    pub(super) async fn secure(script: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Self {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let file = |name: &str| super::fixture(name);
        let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
        Self::launch(Arc::new(script), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn launch(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell_asked, asked) = mpsc::unbounded_channel();
        let (tell_left, left) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, asked, left, tls) =
                    (script.clone(), tell_asked.clone(), tell_left.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &script, &asked, &left).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &script, &asked, &left).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, asked, left, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    tell_asked: &mpsc::UnboundedSender<Asked>,
    tell_left: &mpsc::UnboundedSender<()>,
) {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        }
    };
    let mut asked = Asked { head, body: String::new() };
    let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    asked.body = String::from_utf8(bytes.split_off(0)).unwrap();
    let answer = script(&asked);
    let _ = tell_asked.send(asked);
    match answer {
        Some(answer) => {
            // A client that has enough goes before the end.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        None => {
            while stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {}
            let _ = tell_left.send(());
        }
    }
}

/// An answer of this status, with these further lines of a head.
pub(super) fn answer(status: u16, lines: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{lines}\r\n{body}", body.len()))
}
