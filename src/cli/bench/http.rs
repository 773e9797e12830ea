//! A connection that does as little as a client can, so that the server is what is measured.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use super::super::output::Failure;

/// One keep-alive connection.
pub(super) struct Connection {
    stream: BufStream<TcpStream>,
    host: SocketAddr,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(host: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufStream::new(stream), host, line: String::new(), body: Vec::new() })
    }

    /// Asks, and gives the answer's status and body.
    pub(super) async fn get(&mut self, path: &str) -> io::Result<(u16, &[u8])> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.exchange(&head, &[]).await
    }

    /// Posts a body and gives the answer's status and body.
    pub(super) async fn post(&mut self, path: &str, media: &str, body: &[u8]) -> io::Result<(u16, &[u8])> {
        let (host, length) = (self.host, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n"
        );
        self.exchange(&head, body).await
    }

    async fn exchange(&mut self, head: &str, body: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await?;
        self.stream.flush().await?;
        let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("the answer's {what}"));
        let status = self.line().await?.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| strange("first line"))?;
        let mut length = None;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| strange("head"))?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            }
        }
        // The server's JSON answers have one.
        let length = length.ok_or_else(|| strange("length is missing"))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok((status, &self.body))
    }

    async fn line(&mut self) -> io::Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.line.trim_end())
    }
}

pub(super) fn broken(error: io::Error) -> Failure {
    Failure::failed(format!("the server's connection: {error}"))
}

pub(super) fn unexpected(status: u16, body: &[u8]) -> Failure {
    let body: String = String::from_utf8_lossy(body).chars().take(500).collect();
    Failure::failed(format!("the server answered {status}: {body}"))
}
