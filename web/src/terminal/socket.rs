//! The WebSocket: who may have one, and what goes through it.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{self, HeaderMap},
    web::{self, Data, Payload},
};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use callboard_actors::roles::TerminalEvent;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at},
};

use super::{
    Terminal, json_client,
    link::{Attachment, Ending, FromClient, Owner, Protocol, Refused, ToClient},
    origin,
    routes::{owner, terminal},
    v2_client,
};
use crate::{
    api::State,
    credentials,
    problem::{Kind, Trouble},
    settings::Role,
};

/// The path.
pub(crate) const PATH: &str = "/ws";
/// The subprotocol of our own page.
const V2: &str = "callboard.terminal.v2";
/// Most bytes of a message.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Longest delay that a client may ask for in test mode.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Time between two looks at whether a client still may what it does.
const RECHECK: Duration = Duration::from_secs(10);
/// How long a client may take to answer that the connection is to be closed.
const CLOSING: Duration = Duration::from_secs(2);

/// The WebSocket, as part of a server.
pub(crate) fn resources() -> [Resource; 1] {
    let served = |state: Data<State>, request: HttpRequest, payload: Payload| async move {
        upgrade(state, &request, payload).await.unwrap_or_else(|trouble| trouble.answer(&request))
    };
    [web::resource(PATH).route(web::get().to(served))]
}

/// Whom a client says it is.
pub(super) enum Credentials {
    /// Nothing is asked for, or it was good.
    Good(Owner),
    /// None were given.
    Missing(Owner),
    /// They are wrong.
    Wrong(Owner),
}

async fn upgrade(
    state: Data<State>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Trouble> {
    let terminal = terminal(&state)?.clone();
    let protocol = match offers(request.headers(), V2) {
        true => Protocol::V2,
        false => Protocol::Json,
    };
    check_origin(request, protocol, &terminal, state.settings.https)?;
    if terminal.settings.test_mode {
        fail_as_asked(request).await?;
    }
    let full = || {
        let why = "too many clients of the terminal are connected";
        Trouble::new(Kind::Unavailable, why).retry_after(Duration::from_secs(20))
    };
    let seat = terminal.seats.clone().try_acquire_owned().map_err(|_| full())?;
    let owner = owner(request)?;
    let credentials = match protocol {
        Protocol::Json => given(&state, request, owner),
        // It has a ticket.
        Protocol::V2 => Credentials::Good(owner),
    };
    let query = crate::api::query(request);
    let (response, session, stream) = actix_ws::handle_with_protocols(request, payload, &[V2])
        .map_err(|error| Trouble::new(Kind::Malformed, format!("a WebSocket is needed: {error}")))?;
    let stream =
        stream.max_frame_size(MAX_MESSAGE).aggregate_continuations().max_continuation_size(MAX_MESSAGE);
    let socket = Socket { session, stream, terminal, state, _seat: seat };
    actix_web::rt::spawn(async move {
        match protocol {
            Protocol::Json => json_client::serve(socket, credentials, &query).await,
            Protocol::V2 => v2_client::serve(socket, credentials).await,
        }
    });
    Ok(response)
}

/// Whether a client offers this subprotocol.
fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim() == protocol)
}

fn check_origin(
    request: &HttpRequest,
    protocol: Protocol,
    terminal: &Terminal,
    https: bool,
) -> Result<(), Trouble> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    let allowed = match text(header::ORIGIN) {
        // Old clients that are no browsers send none.
        None => protocol == Protocol::Json,
        Some(origin) => origin::is_allowed(
            origin,
            text(header::HOST).unwrap_or(""),
            https,
            &terminal.listening(),
            &terminal.settings.origins,
        ),
    };
    match allowed {
        true => Ok(()),
        false => Err(Trouble::new(
            Kind::Forbidden,
            "a page of this origin may not use the terminal; one behind a proxy needs its origin in terminal.origins",
        )),
    }
}

/// What a test of the page asks for: that there is no socket, or that there is one late.
async fn fail_as_asked(request: &HttpRequest) -> Result<(), Trouble> {
    let asked = crate::api::query(request).into_iter().find(|(name, _)| name == "test_mode");
    let Some((_, mode)) = asked else { return Ok(()) };
    if mode == "fail" {
        return Err(Trouble::new(Kind::Unavailable, "the client has asked for a failure (test_mode=fail)"));
    }
    match mode.strip_prefix("delay:").and_then(|millis| millis.parse().ok()).map(Duration::from_millis) {
        Some(delay) => {
            sleep(delay.min(MAX_DELAY)).await;
            Ok(())
        }
        None => {
            let form = "there are test_mode=fail and test_mode=delay:MILLISECONDS";
            Err(Trouble::new(Kind::Malformed, form))
        }
    }
}

/// Who a client of the JSON protocol is, by its header (which the guard has looked at) or by `auth` in the query.
fn given(state: &State, request: &HttpRequest, owner: Owner) -> Credentials {
    if state.settings.tokens.is_empty() || owner.role.is_some() {
        return Credentials::Good(owner);
    }
    let given = crate::api::query(request).into_iter().find(|(name, _)| name == "auth");
    match given {
        Some((_, token)) => match credentials::bearer(state, &token) {
            Some((name, role)) => {
                let who =
                    callboard_actors::roles::request::Who { name, role: Some(role.as_str().to_owned()) };
                Credentials::Good(Owner { who, role: Some(role), ..owner })
            }
            None => Credentials::Wrong(owner),
        },
        None if request.headers().contains_key(header::AUTHORIZATION) => Credentials::Wrong(owner),
        None => Credentials::Missing(owner),
    }
}

/// A connection.
pub(super) struct Socket {
    pub(super) session: actix_ws::Session,
    pub(super) stream: AggregatedMessageStream,
    pub(super) terminal: Arc<Terminal>,
    pub(super) state: Data<State>,
    _seat: OwnedSemaphorePermit,
}

/// Why nothing more goes through a connection to a session.
pub(super) enum Outcome<S> {
    /// The client is gone.
    Gone,
    /// Nothing was heard of it for too long.
    Dead,
    /// The session is over, or somebody else has it.
    Over(Ending),
    /// The client has sent what nobody can read.
    Malformed(String),
    /// The server stops.
    Stopping,
    /// It wants something else.
    Other(S),
}

/// How a protocol writes and reads.
pub(super) trait Dialect {
    /// What a client may want besides talking to its session.
    type Other;

    /// What is sent for this.
    fn encode(message: ToClient) -> Sent;

    /// What a message means; what is to be said about it at once goes to `session`.
    async fn hear(
        &mut self,
        message: AggregatedMessage,
        session: &mut actix_ws::Session,
    ) -> Heard<Self::Other>;
}

/// What is sent.
pub(super) enum Sent {
    Text(String),
    Binary(bytes::Bytes),
}

/// What a message means.
pub(super) enum Heard<O> {
    Said(FromClient),
    Nothing,
    Malformed(String),
    Other(O),
}

/// Sends; `false`: the connection is gone.
pub(super) async fn send(session: &mut actix_ws::Session, sent: Sent) -> bool {
    match sent {
        Sent::Text(text) => session.text(text).await.is_ok(),
        Sent::Binary(bytes) => session.binary(bytes).await.is_ok(),
    }
}

impl Socket {
    /// The next message that is none of the WebSocket's own, until then. `None`: there is none.
    pub(super) async fn first(&mut self, until: Instant) -> Result<Option<AggregatedMessage>, NoMessage> {
        loop {
            match timeout_at(until, self.stream.recv()).await {
                Err(_) => return Err(NoMessage::InTime),
                Ok(Some(Ok(AggregatedMessage::Ping(bytes)))) => {
                    if self.session.pong(&bytes).await.is_err() {
                        return Ok(None);
                    }
                }
                Ok(Some(Ok(AggregatedMessage::Pong(_)))) => {}
                Ok(Some(Ok(AggregatedMessage::Close(_)) | Err(_)) | None) => return Ok(None),
                Ok(Some(Ok(message))) => return Ok(Some(message)),
            }
        }
    }

    /// Carries what a session and its client say to each other.
    pub(super) async fn carry<D: Dialect>(
        &mut self,
        attachment: &mut Attachment,
        dialect: &mut D,
    ) -> Outcome<D::Other> {
        let settings = self.terminal.settings.clone();
        let (mut writes, mut answers) = (self.session.clone(), self.session.clone());
        let stream = &mut self.stream;
        let to_session = &attachment.to_session;
        let hears = async {
            loop {
                let message = match timeout(settings.dead_after, stream.recv()).await {
                    Err(_) => return Outcome::Dead,
                    Ok(None | Some(Err(_))) => return Outcome::Gone,
                    Ok(Some(Ok(message))) => message,
                };
                let heard = match message {
                    AggregatedMessage::Close(_) => return Outcome::Gone,
                    AggregatedMessage::Pong(_) => continue,
                    AggregatedMessage::Ping(bytes) => {
                        if answers.pong(&bytes).await.is_err() {
                            return Outcome::Gone;
                        }
                        continue;
                    }
                    message => dialect.hear(message, &mut answers).await,
                };
                match heard {
                    Heard::Nothing => {}
                    Heard::Malformed(why) => return Outcome::Malformed(why),
                    Heard::Other(other) => return Outcome::Other(other),
                    // A session that takes nothing more has ended, and the other half hears of it.
                    Heard::Said(said) => {
                        if to_session.send(said).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            }
        };
        let from_session = &mut attachment.from_session;
        let owner = &attachment.about.owner;
        let state = self.state.clone();
        let mut stopping = self.state.stopping.clone();
        let tells = async {
            let ticks = |period| {
                let mut ticks = interval_at(Instant::now() + period, period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            };
            let (mut pings, mut looks) = (ticks(settings.ping), ticks(RECHECK));
            loop {
                let there = tokio::select! {
                    message = from_session.recv() => match message {
                        Some(ToClient::Over(ending)) => return Outcome::Over(ending),
                        Some(message) => send(&mut writes, D::encode(message)).await,
                        None => return Outcome::Over(Ending::Failed("the session was stopped".to_owned())),
                    },
                    _ = pings.tick() => writes.ping(b"").await.is_ok(),
                    _ = looks.tick() => match still_may(&state, owner, attachment.about.scope) {
                        true => true,
                        false => return Outcome::Over(Ending::NotAllowed),
                    },
                    _ = stopping.wait_for(|stopping| *stopping) => return Outcome::Stopping,
                };
                if !there {
                    return Outcome::Gone;
                }
            }
        };
        tokio::select! {
            outcome = hears => outcome,
            outcome = tells => outcome,
        }
    }

    /// Tells a client that it is refused, and counts it.
    pub(super) async fn refuse(mut self, refused: &Refused, sent: Sent, code: CloseCode) {
        (self.state.roles.terminal_event)(TerminalEvent::Refused { code: refused.code });
        send(&mut self.session, sent).await;
        self.close(code, refused.code).await;
    }

    /// Closes the connection, and waits a moment for the client to do the same.
    pub(super) async fn close(mut self, code: CloseCode, why: impl Into<String>) {
        let reason = CloseReason { code, description: Some(why.into()) };
        if self.session.clone().close(Some(reason)).await.is_ok() {
            let until = Instant::now() + CLOSING;
            while let Ok(Some(_)) = self.first(until).await {}
        }
    }
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// None came in time.
    InTime,
}

/// Whether whoever has a session still may.
fn still_may(state: &State, owner: &Owner, scope: super::Scope) -> bool {
    if !owner.is_signed_in() {
        return false;
    }
    let now: Option<Role> = match owner.role {
        None => return state.settings.tokens.is_empty(),
        Some(_) => credentials::role_of(state, &owner.who.name),
    };
    state
        .terminal
        .as_ref()
        .is_some_and(|terminal| now.is_some() && super::Scope::of(now, &terminal.settings) >= scope)
}
