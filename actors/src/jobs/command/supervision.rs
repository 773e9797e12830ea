//! The shim at work: it starts one program and sees to it that nothing of it is left when it ends itself.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::own_process::{executable, fail};
use super::process_tree::signal_descendants;
use super::wire::{
    Ending, GREETING, LAUNCH_WORD, Launch, NotStarted, ORDER_END, ORDER_KILL, Report, frame, read_frame,
};

/// The grace when the server is gone. Nobody waits for a result; all must be over within half a second.
const ABANDONED_GRACE: Duration = Duration::from_millis(200);
/// How long processes may take to go after SIGKILL before they are reported as survivors.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Supervises one program for the server at the other end of standard input.
pub(super) fn main() -> ! {
    match run() {
        Ok(()) => std::process::exit(0),
        Err(error) => fail(&error.to_string()),
    }
}

fn run() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    // One thread: the kernel ties the launcher's death signal to the thread that starts it, and this one stays.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(supervise())
}

async fn supervise() -> io::Result<()> {
    let mut server = async_stream(io::stdin().as_fd().try_clone_to_owned()?)?;
    server.write_u8(GREETING).await?;
    let request = read_frame(&mut server).await?;
    let launch: Launch = serde_json::from_slice(&request)?;
    let mut stdin = vec![0; launch.stdin_bytes];
    server.read_exact(&mut stdin).await?;

    let report = match Supervision::start(&launch, stdin) {
        Ok(supervision) => supervision.run(&mut server, launch.grace).await?,
        Err(error) => {
            let ending = Ending::NotStarted(NotStarted::new("starting the launcher", &error));
            Report { ending, duration: Duration::ZERO, survivors: 0 }
        }
    };
    // The server may be gone; its absence was obeyed already.
    let _ = server.write_all(&frame(&report)?).await;
    Ok(())
}

fn async_stream(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let stream = BlockingUnixStream::from(descriptor);
    // Fails here, with a clear error, if the descriptor is no socket.
    stream.local_addr()?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGTERM or SIGHUP was sent; SIGKILL follows at the given time.
    Ending(Instant),
    /// SIGKILL was sent and is repeated for what appears; given up at the given time.
    Killing(Instant),
}

#[derive(Debug)]
struct Supervision {
    program: Pid,
    /// What the launcher had to say, complete when it is gone or has become the program.
    launcher: JoinHandle<Vec<u8>>,
    started: Instant,
    ended: Option<(Ending, Duration)>,
    phase: Phase,
    /// What a program is told to end with: a terminal's says that it was hung up.
    farewell: Signal,
}

impl Supervision {
    fn start(launch: &Launch, stdin: Vec<u8>) -> io::Result<Self> {
        let (ours, theirs) = BlockingUnixStream::pair()?;
        let started = Instant::now();
        let program = Command::new(executable()?)
            .arg(LAUNCH_WORD)
            .arg(getpid().as_raw_pid().to_string())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let program =
            i32::try_from(program.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let (mut channel, request) = (async_stream(ours.into())?, frame(launch)?);
        let launcher = tokio::spawn(async move {
            let mut said = Vec::new();
            // If the launcher is gone early, its end tells why.
            let _ = async {
                channel.write_all(&request).await?;
                channel.write_all(&stdin).await?;
                channel.read_to_end(&mut said).await
            }
            .await;
            said
        });
        let farewell = if launch.terminal { Signal::HUP } else { Signal::TERM };
        Ok(Self { program, launcher, started, ended: None, phase: Phase::Running, farewell })
    }

    async fn run(mut self, server: &mut UnixStream, grace: Duration) -> io::Result<Report> {
        // The launcher cannot have ended unseen: what ended before the handler was there is found by the first reaping.
        let mut child = signal(SignalKind::child())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        let (mut order, mut server_is_there) = ([0], true);
        let mut survivors = 0;

        while self.reap()? {
            if self.ended.is_some() && self.phase == Phase::Running {
                // The attempt is over; what the program leaves behind must not outlive it. (What was told to end keeps
                // its grace, also when the program itself went first.)
                self.kill()?;
            }
            let deadline = match self.phase {
                Phase::Running => None,
                Phase::Ending(at) | Phase::Killing(at) => Some(at),
            };
            tokio::select! {
                _ = child.recv() => {
                    if let Phase::Killing(_) = self.phase {
                        // A death can leave orphans that were not seen before.
                        signal_descendants(getpid(), Signal::KILL)?;
                    }
                }
                read = server.read(&mut order), if server_is_there => match (read, order[0]) {
                    (Ok(1..), ORDER_END) => self.end(grace)?,
                    (Ok(1..), ORDER_KILL) => self.kill()?,
                    (Ok(1..), _) => {}
                    (Ok(0) | Err(_), _) => {
                        server_is_there = false;
                        self.end(ABANDONED_GRACE)?;
                    }
                },
                _ = terminate.recv() => self.end(grace)?,
                _ = interrupt.recv() => self.end(grace)?,
                _ = hangup.recv() => self.end(grace)?,
                _ = quit.recv() => self.end(grace)?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {
                    if let Phase::Killing(_) = self.phase {
                        survivors = signal_descendants(getpid(), Signal::KILL)?;
                        break;
                    }
                    self.kill()?;
                }
            }
        }
        Ok(self.report(survivors).await)
    }

    /// Takes note of all children that ended; returns whether any is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    let ending = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Ending::Exited(code),
                        (None, Some(signal)) => Ending::Killed(signal),
                        (None, None) => continue,
                    };
                    self.ended = Some((ending, self.started.elapsed()));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(true),
                Err(Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The farewell now, SIGKILL after the grace; a second order can only make the grace shorter.
    fn end(&mut self, grace: Duration) -> io::Result<()> {
        let kill_at = Instant::now() + grace;
        match self.phase {
            Phase::Running => {
                signal_descendants(getpid(), self.farewell)?;
                if self.farewell == Signal::HUP {
                    // What is stopped, as by Ctrl-Z, hears nothing until it goes on.
                    signal_descendants(getpid(), Signal::CONT)?;
                }
                self.phase = Phase::Ending(kill_at);
            }
            Phase::Ending(at) => self.phase = Phase::Ending(at.min(kill_at)),
            Phase::Killing(_) => {}
        }
        Ok(())
    }

    fn kill(&mut self) -> io::Result<()> {
        signal_descendants(getpid(), Signal::KILL)?;
        if !matches!(self.phase, Phase::Killing(_)) {
            self.phase = Phase::Killing(Instant::now() + KILL_PATIENCE);
        }
        Ok(())
    }

    async fn report(self, survivors: usize) -> Report {
        let (mut ending, duration) = self.ended.unwrap_or_else(|| (Ending::Unknown, self.started.elapsed()));
        // The launcher's end of the channel is closed by now, unless it is itself among the survivors.
        if let Ok(Ok(said)) = timeout(KILL_PATIENCE, self.launcher).await
            && let Ok(frame) = read_frame(&mut &said[..]).await
            && let Ok(failure) = serde_json::from_slice(&frame)
        {
            ending = Ending::NotStarted(failure);
        }
        Report { ending, duration, survivors }
    }
}
