//! Recordings of what sessions show, in the format asciicast v2. What is typed is not recorded.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use callboard_actors::jobs::command::TerminalSize;
use callboard_contracts::Timestamp;
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

use super::link::About;

/// Lines on their way to the file.
const ON_THE_WAY: usize = 64;
/// Most bytes of a recording.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A recording under way. A thread of its own writes it; when the disk is slow, the session is, too.
pub(super) struct Recording {
    lines: mpsc::Sender<String>,
    writer: JoinHandle<io::Result<()>>,
    begun: Instant,
    /// The beginning of a character whose rest has not come yet.
    unfinished: Vec<u8>,
}

impl Recording {
    /// Begins a file of the session's name.
    pub(super) async fn begin(folder: &Path, about: &About, size: TerminalSize) -> io::Result<Recording> {
        let path = folder.join(format!("{}.cast", about.id));
        let header = json!({
            "version": 2, "width": size.cols, "height": size.rows,
            "timestamp": about.began.saturating_since(Timestamp::from_micros(0)).as_secs(),
            "title": format!("{} of {}", about.command, about.owner.who.name),
            "env": { "TERM": "xterm-256color" },
        });
        let file = spawn_blocking(move || open(&path)).await.map_err(io::Error::other)??;
        let (lines, written) = mpsc::channel(ON_THE_WAY);
        let writer = spawn_blocking(move || write(file, &header.to_string(), written));
        Ok(Recording { lines, writer, begun: about.begun, unfinished: Vec::new() })
    }

    /// The program has written this.
    pub(super) async fn wrote(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.unfinished);
        all.extend_from_slice(bytes);
        self.unfinished = all.split_off(all.len() - super::ring::cut_at_end(&all));
        let line = json!([self.begun.elapsed().as_secs_f64(), "o", String::from_utf8_lossy(&all)]);
        // The writer ends by itself only with a file that cannot be written, which it says.
        let _ = self.lines.send(line.to_string()).await;
    }

    /// The terminal has another size.
    pub(super) fn resized(&mut self, TerminalSize { cols, rows }: TerminalSize) {
        let line = json!([self.begun.elapsed().as_secs_f64(), "r", format!("{cols}x{rows}")]);
        let _ = self.lines.try_send(line.to_string());
    }

    /// Waits until all is written.
    pub(super) async fn finish(self) {
        drop(self.lines);
        match self.writer.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a recording of a terminal cannot be written"),
            Err(error) => tracing::warn!(%error, "a recording of a terminal was not finished"),
        }
    }
}

/// Nobody else may read what was on somebody's screen.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write(file: File, header: &str, mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut bytes = 0;
    let mut line = Some(header.to_owned());
    while let Some(text) = line {
        bytes += text.len() as u64 + 1;
        if bytes <= MAX_BYTES {
            writeln!(file, "{text}")?;
            if lines.is_empty() {
                file.flush()?;
            }
        }
        line = lines.blocking_recv();
    }
    if bytes > MAX_BYTES {
        tracing::warn!("a recording of a terminal ends early: it has 64 MiB");
    }
    file.flush()
}
