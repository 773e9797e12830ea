//! A program in a pseudo terminal: the server has the one end of it, the program the other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::AsyncWriteExt;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::attempt::{REPORT_PATIENCE, blocking, hand_over, kill_orphans};
use super::environment::RUN_ID;
use super::error::CommandError;
use super::own_process;
use super::wire::{Ending, Launch, ORDER_END, ORDER_KILL, Report, SHIM_WORD, frame, read_frame};

/// How many columns and rows a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

impl TerminalSize {
    /// The fewest and the most columns and rows that there may be.
    pub const BOUNDS: std::ops::RangeInclusive<u16> = 1..=1000;

    /// `None` if a number is out of bounds.
    pub fn new(cols: u16, rows: u16) -> Option<Self> {
        (Self::BOUNDS.contains(&cols) && Self::BOUNDS.contains(&rows)).then_some(Self { cols, rows })
    }
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { cols: 80, rows: 24 }
    }
}

impl From<TerminalSize> for Winsize {
    fn from(TerminalSize { cols, rows }: TerminalSize) -> Self {
        Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }
    }
}

/// What is to run in a terminal. It comes from the server's operator alone: nothing of it is a client's to choose.
#[derive(Debug, Clone)]
pub struct TerminalProgram {
    /// What it is called, and the first of its arguments.
    pub name: String,
    /// The file that is executed.
    pub file: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub folder: PathBuf,
    /// The time between SIGHUP and SIGKILL when it is told to end.
    pub grace: Duration,
}

/// A terminal whose program is being started.
#[derive(Debug)]
pub struct StartedTerminal {
    /// The server's end.
    pub terminal: Terminal,
    /// The program at the other one.
    pub process: TerminalProcess,
}

impl TerminalProgram {
    /// Starts the program in a new terminal of this size.
    ///
    /// It is not known yet whether it can be executed: [`TerminalProcess::run`] tells. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`CommandError`], if there can be no terminal, or nobody to start the program.
    pub async fn start(&self, size: TerminalSize) -> Result<StartedTerminal, CommandError> {
        if !cfg!(target_os = "linux") {
            return Err(CommandError::Unsupported);
        }
        let run_id = Uuid::now_v7().to_string();
        let mut env = self.env.clone();
        env.insert(RUN_ID.to_owned(), run_id.clone());
        let text = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| CommandError::Shim(format!("the path {} is not valid UTF-8", path.display())))
        };
        let launch = Launch {
            file: text(&self.file)?,
            name: self.name.clone(),
            args: self.args.clone(),
            env,
            stdin_bytes: 0,
            grace: self.grace,
            terminal: true,
        };
        let request = frame(&launch).map_err(|error| CommandError::Shim(error.to_string()))?;
        let (folder, name) = (self.folder.clone(), self.name.clone());
        let started = blocking(move || {
            let (ours, theirs) = pair(size)?;
            let (stream, shims) = std::os::unix::net::UnixStream::pair()?;
            stream.set_nonblocking(true)?;
            Ok((ours, theirs, stream, shims, own_process::executable()?))
        });
        let not_started = |error: io::Error| CommandError::Shim(format!("it could not be started: {error}"));
        let (ours, theirs, stream, shims, shim) = started.await.map_err(not_started)?;
        let child =
            blocking(move || start_shim(&shim, &name, &folder, theirs, shims)).await.map_err(not_started)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a `File` keeps its descriptor open, which is what it asks for"
        )]
        let end = AsyncFd::new(ours).map_err(not_started)?;
        let stream = UnixStream::from_std(stream).map_err(not_started)?;
        Ok(StartedTerminal {
            terminal: Terminal { end },
            process: TerminalProcess {
                program: self.name.clone(),
                child,
                stream,
                request,
                run_id,
                grace: self.grace,
            },
        })
    }
}

/// A new terminal: our end, which never blocks, and the program's.
fn pair(size: TerminalSize) -> io::Result<(File, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = open(
        ptsname(&ours, Vec::new())?.as_c_str(),
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    tcsetwinsize(&ours, size.into())?;
    fcntl_setfl(&ours, OFlags::RDWR | OFlags::NONBLOCK)?;
    Ok((File::from(ours), theirs))
}

/// Starts a shim whose output is the terminal. As of an attempt, it is not killed on drop: it ends by itself.
fn start_shim(
    shim: &Path,
    name: &str,
    folder: &Path,
    terminal: OwnedFd,
    stream: std::os::unix::net::UnixStream,
) -> io::Result<Child> {
    let copy = terminal.try_clone()?;
    Command::new(shim)
        .arg0("callboard-shim")
        .arg(SHIM_WORD)
        .args(["terminal", name])
        .env_clear()
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::from(terminal))
        .stderr(Stdio::from(copy))
        .spawn()
}

/// The server's end of a terminal.
#[derive(Debug)]
pub struct Terminal {
    end: AsyncFd<File>,
}

impl Terminal {
    /// Reads what the program has written, as soon as there is something. 0: nobody has the other end any more.
    ///
    /// # Errors
    /// What the system says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.end.readable().await?;
            match ready.try_io(|end| end.get_ref().read(buffer)) {
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(0),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => return read,
                // It stays ready for ever then, and there is nothing to wait for.
                Err(_would_block) if ready.ready().is_read_closed() => return Ok(0),
                Err(_would_block) => {}
            }
            drop(ready);
            yield_now().await;
        }
    }

    /// Writes what the program is to read, as much of it as there is room for.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::BrokenPipe`], if nobody has the other end any more and there is no room.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.end.writable().await?;
            match ready.try_io(|end| end.get_ref().write(bytes)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(written) => return written,
                // It stays ready for ever then, and there will be no room.
                Err(_would_block) if ready.ready().is_write_closed() => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Err(_would_block) => {}
            }
            drop(ready);
            yield_now().await;
        }
    }

    /// Makes it another size; the program is told by SIGWINCH.
    ///
    /// # Errors
    /// What the system says.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(tcsetwinsize(self.end.get_ref(), size.into())?)
    }
}

/// What the program of a terminal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalOrder {
    /// To end: SIGHUP, and after its grace SIGKILL, to it and to all that it has started.
    End,
    /// SIGKILL at once.
    Kill,
}

/// How the program of a terminal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalEnd {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It is not known.
    Unknown,
}

/// The program of a terminal. Dropped, it is killed, with all that it has started.
#[derive(Debug)]
pub struct TerminalProcess {
    program: String,
    child: Child,
    stream: UnixStream,
    request: Vec<u8>,
    run_id: String,
    grace: Duration,
}

impl TerminalProcess {
    /// Has the program executed, passes orders on, and waits until nothing of it is left.
    ///
    /// # Errors
    /// [`CommandError`], if it could not be executed.
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<TerminalOrder>,
    ) -> Result<TerminalEnd, CommandError> {
        if let Err(problem) = hand_over(&mut self.stream, &self.request).await {
            // A shim would end by itself; this may be any program. It has started nothing.
            let _ = self.child.kill().await;
            return Err(CommandError::Shim(problem));
        }
        let (mut reports, mut out) = self.stream.into_split();
        let report = {
            let mut report = std::pin::pin!(async move { read_frame(&mut reports).await });
            let mut patience = std::pin::pin!(sleep(Duration::MAX));
            let (mut ordered, mut listening) = (false, true);
            loop {
                tokio::select! {
                    report = &mut report => break report.ok(),
                    order = orders.recv(), if listening => {
                        let (byte, grace) = match order {
                            Some(TerminalOrder::End) => (ORDER_END, self.grace),
                            Some(TerminalOrder::Kill) => (ORDER_KILL, Duration::ZERO),
                            None => {
                                listening = false;
                                continue;
                            }
                        };
                        ordered = true;
                        patience.set(sleep(grace + REPORT_PATIENCE));
                        // An error means that the shim is gone, which the report's stream tells too.
                        let _ = out.write_u8(byte).await;
                    }
                    () = &mut patience, if ordered => break None,
                }
            }
        };
        let report = report.and_then(|report| serde_json::from_slice::<Report>(&report).ok());
        if report.is_none() {
            let _ = self.child.start_kill();
            kill_orphans(&self.run_id).await;
        }
        if timeout(REPORT_PATIENCE, self.child.wait()).await.is_err() {
            tracing::warn!("the shim of a terminal did not end");
        }
        let Some(report) = report else { return Ok(TerminalEnd::Unknown) };
        if report.survivors > 0 {
            tracing::warn!(survivors = report.survivors, "processes of a terminal did not end on SIGKILL");
        }
        match report.ending {
            Ending::Exited(code) => Ok(TerminalEnd::Exited(code)),
            Ending::Killed(signal) => Ok(TerminalEnd::Killed(signal)),
            Ending::Unknown => Ok(TerminalEnd::Unknown),
            Ending::NotStarted(failure) => {
                let (step, message, errno) = (failure.step, failure.message, failure.errno);
                let program = self.program;
                Err(CommandError::NotStarted { program, step, message, errno })
            }
        }
    }
}
