//! Everything that reaches out of the model: the server, the clipboard, a browser.
//!
//! It lives on a thread with a runtime of its own, takes effects from a bounded channel and puts events into another one. The model
//! never waits for it.

mod answer;
mod follow;
mod outside;

use std::{path::PathBuf, sync::Arc};

use callboard_client::{Client, ClientError, RetryPolicy};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
    task::AbortHandle,
};

pub(crate) use outside::clipboard;
pub use outside::{ServerProgram, has_display};

use crate::{
    doctor,
    exchange::{Effect, Event, Failure},
};

/// Requests that are under way at once.
const AT_ONCE: usize = 8;

/// Makes a client for an address.
pub type MakeClient = Box<dyn Fn(&str) -> Result<Client, ClientError> + Send + Sync>;

/// Which server is talked to.
pub struct Target {
    /// Where a server may be, in the order in which it is looked for.
    pub urls: Vec<String>,
    /// Makes a client for an address: with a token, where there is one.
    pub client: MakeClient,
    /// The program that can be started as a server, if none is there.
    pub program: Option<ServerProgram>,
    /// The data folder of a server that may run here.
    pub data: Option<PathBuf>,
    /// Settings of the console, for the doctor.
    pub config: Option<PathBuf>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Does what the model wants done, until there is no model any more.
pub(crate) async fn run(target: Target, mut effects: mpsc::Receiver<Effect>, events: mpsc::Sender<Event>) {
    let mut source = Source {
        target: Arc::new(target),
        client: None,
        events: events.clone(),
        room: Arc::new(Semaphore::new(AT_ONCE)),
        log: None,
        followed: Vec::new(),
    };
    let signals = tokio::spawn(watch_signals(events));
    let (found, mut finds) = mpsc::channel(1);
    loop {
        tokio::select! {
            effect = effects.recv() => match effect {
                Some(effect) => source.take(effect, &found).await,
                None => break,
            },
            Some(client) = finds.recv() => source.use_client(client).await,
        }
    }
    signals.abort();
}

async fn watch_signals(events: mpsc::Sender<Event>) {
    let (Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        tracing::warn!("signals cannot be watched");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    // Whoever reads this may be gone already.
    let _ = events.send(Event::Terminate).await;
}

struct Source {
    target: Arc<Target>,
    client: Option<Client>,
    events: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
    log: Option<AbortHandle>,
    followed: Vec<AbortHandle>,
}

impl Source {
    async fn take(&mut self, effect: Effect, found: &mpsc::Sender<Client>) {
        let events = self.events.clone();
        match effect {
            Effect::Connect => {
                tokio::spawn(connect(self.target.clone(), None, events, found.clone()));
            }
            Effect::StartServer => {
                let (target, found) = (self.target.clone(), found.clone());
                tokio::spawn(async move {
                    let started = match &target.program {
                        Some(program) => program.start().await,
                        None => Err("no program is known that could be started".to_owned()),
                    };
                    let own = match started {
                        Ok(url) => Some(url),
                        Err(problem) => {
                            let _ = events.send(Event::Done(Err(problem))).await;
                            None
                        }
                    };
                    connect(target, own, events, found).await;
                });
            }
            Effect::Ask(request) => {
                let Some(client) = self.client.clone() else {
                    let text = "there is no server yet".to_owned();
                    let failure = Failure { text, is_lost: true, status: None };
                    let _ = events.send(Event::Answered(Box::new(request), Box::new(Err(failure)))).await;
                    return;
                };
                let room = self.room.clone();
                tokio::spawn(async move {
                    // The semaphore is never closed.
                    let _place = room.acquire_owned().await;
                    let result = answer::ask(&client, &request).await;
                    if let Err(failure) = &result {
                        tracing::debug!(?request, problem = failure.text, "no answer");
                    }
                    let _ = events.send(Event::Answered(Box::new(request), Box::new(result))).await;
                });
            }
            Effect::FollowLog(job) => {
                self.unfollow();
                if let Some(client) = self.client.clone() {
                    self.log = Some(tokio::spawn(follow::log(client, job, events)).abort_handle());
                }
            }
            Effect::UnfollowLog => self.unfollow(),
            // That is for the terminal, which another thread has.
            Effect::Copy(_) => {}
            Effect::Open(url) => {
                tokio::spawn(async move {
                    let _ = events.send(Event::Done(outside::open(&url).await)).await;
                });
            }
            Effect::Examine => {
                let (target, client) = (self.target.clone(), self.client.clone());
                tokio::spawn(async move {
                    let subject = doctor::Subject {
                        client,
                        data: target.data.clone(),
                        config: target.config.clone(),
                        in_console: true,
                    };
                    let _ = events.send(Event::Checked(doctor::examine(subject).await)).await;
                });
            }
        }
    }

    fn unfollow(&mut self) {
        if let Some(log) = self.log.take() {
            log.abort();
        }
    }

    async fn use_client(&mut self, client: Client) {
        self.followed.drain(..).for_each(|follower| follower.abort());
        let url = client.url().to_owned();
        self.client = Some(client.clone());
        // Whoever reads this may be gone already.
        let _ = self.events.send(Event::Connected(url)).await;
        let events = tokio::spawn(follow::events(client.clone(), self.events.clone()));
        let feed = tokio::spawn(follow::feed(client, self.events.clone()));
        self.followed.extend([events.abort_handle(), feed.abort_handle()]);
    }
}

/// Looks for a server, one address after the other; first for the one that was started here.
async fn connect(
    target: Arc<Target>,
    own: Option<String>,
    events: mpsc::Sender<Event>,
    found: mpsc::Sender<Client>,
) {
    let mut tried = Vec::new();
    for url in own.iter().chain(&target.urls) {
        let result = match (target.client)(url) {
            Ok(client) => {
                let client = client.with_retry(RetryPolicy::never());
                client.ready().await.map(|_| client)
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(client) => {
                let _ = found.send(client).await;
                return;
            }
            Err(error) => tried.push((url.clone(), error.to_string())),
        }
    }
    let _ = events.send(Event::NoServer(tried)).await;
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let is_lost = matches!(error, ClientError::Unreachable { .. } | ClientError::Lost { .. });
        let mut text = error.to_string();
        if let ClientError::Refused { problem, .. } = &error {
            for wrong in &problem.errors {
                text.push_str(&format!("; {}: {}", wrong.pointer, wrong.message));
            }
        }
        Failure { text, is_lost, status: error.status() }
    }
}
