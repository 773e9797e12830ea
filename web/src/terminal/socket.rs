//! The WebSocket: who may have one, and what goes through it.

use std::{collections::BTreeMap, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{self, HeaderMap},
    web::{self, Data, Payload},
};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use callboard_actors::roles::TerminalEvent;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at},
};

use super::{
    Terminal, json_client,
    link::{Attachment, Ending, FromClient, GLOBAL_CAP, Owner, Protocol, Refused, ToClient},
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
/// How long what is on the way to a client may take once its session is over.
const LAST_MESSAGES: Duration = Duration::from_secs(5);
/// Connections that have not said yet who they are, of one address and of all together.
const WAITING_EACH: usize = 10;
const WAITING: usize = 200;

/// How many connections of which address have not said yet who they are, to any server of this process.
static WAITERS: Mutex<BTreeMap<IpAddr, usize>> = Mutex::new(BTreeMap::new());

/// The place of such a connection.
struct WaitingPlace(IpAddr);

impl WaitingPlace {
    /// `None`: too many wait.
    fn take(address: IpAddr) -> Option<Self> {
        let mut waiters = WAITERS.lock();
        let here = waiters.get(&address).copied().unwrap_or(0);
        if here >= WAITING_EACH || waiters.values().sum::<usize>() >= WAITING {
            return None;
        }
        waiters.insert(address, here + 1);
        Some(WaitingPlace(address))
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut waiters = WAITERS.lock();
        match waiters.get_mut(&self.0) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                waiters.remove(&self.0);
            }
        }
    }
}

/// What a connection takes up.
enum Place {
    Waiting { _place: WaitingPlace },
    Seat { _seat: OwnedSemaphorePermit },
}

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
    let owner = owner(request)?;
    let address = owner.address;
    let credentials = match protocol {
        Protocol::Json => given(&state, request, owner),
        // It has a ticket.
        Protocol::V2 => Credentials::Good(owner),
    };
    let place = match (protocol, &credentials) {
        (Protocol::Json, Credentials::Good(_)) => seat(&terminal),
        _ => WaitingPlace::take(address).map(|place| Place::Waiting { _place: place }),
    };
    let place = place
        .ok_or_else(|| Trouble::new(Kind::Unavailable, TOO_MANY).retry_after(Duration::from_secs(20)))?;
    let query = crate::api::query(request);
    let (response, session, stream) = actix_ws::handle_with_protocols(request, payload, &[V2])
        .map_err(|error| Trouble::new(Kind::Malformed, format!("a WebSocket is needed: {error}")))?;
    let stream =
        stream.max_frame_size(MAX_MESSAGE).aggregate_continuations().max_continuation_size(MAX_MESSAGE);
    let socket = Socket { session, stream, terminal, state, place };
    actix_web::rt::spawn(async move {
        match protocol {
            Protocol::Json => json_client::serve(socket, credentials, &query).await,
            Protocol::V2 => v2_client::serve(socket, credentials).await,
        }
    });
    Ok(response)
}

const TOO_MANY: &str = "too many clients of the terminal are connected";

/// The place of a client that is known. `None`: all are taken.
fn seat(terminal: &Terminal) -> Option<Place> {
    terminal.seats.clone().try_acquire_owned().ok().map(|seat| Place::Seat { _seat: seat })
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
    place: Place,
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
    /// The client is known now: it takes a seat.
    pub(super) fn sit(&mut self) -> Result<(), Refused> {
        if let Place::Waiting { .. } = self.place {
            self.place = seat(&self.terminal).ok_or_else(|| Refused::new(GLOBAL_CAP, TOO_MANY))?;
        }
        Ok(())
    }

    /// The next message that is none of the WebSocket's own, until then. `None`: there is none.
    pub(super) async fn first(&mut self, until: Instant) -> Result<Option<AggregatedMessage>, NoMessage> {
        let message = async {
            loop {
                match self.stream.recv().await {
                    Some(Ok(AggregatedMessage::Ping(bytes))) => {
                        if self.session.pong(&bytes).await.is_err() {
                            return None;
                        }
                    }
                    Some(Ok(AggregatedMessage::Pong(_))) => {}
                    Some(Ok(AggregatedMessage::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(message)) => return Some(message),
                }
            }
        };
        timeout_at(until, message).await.map_err(|_| NoMessage::InTime)
    }

    /// Sends, if the client takes it in time; `false`: the connection is of no use any more.
    pub(super) async fn say(&mut self, sent: Sent) -> bool {
        timeout(CLOSING, send(&mut self.session, sent)).await.unwrap_or(false)
    }

    /// Carries what a session and its client say to each other.
    pub(super) async fn carry<D: Dialect>(
        &mut self,
        attachment: &mut Attachment,
        dialect: &mut D,
    ) -> Outcome<D::Other> {
        let settings = self.terminal.settings.clone();
        let limit = settings.dead_after;
        let (mut writes, mut answers) = (self.session.clone(), self.session.clone());
        let stream = &mut self.stream;
        let to_session = &attachment.to_session;
        let hears = async {
            loop {
                let message = match timeout(limit, stream.recv()).await {
                    Err(_) => return Outcome::Dead,
                    Ok(None | Some(Err(_))) => return Outcome::Gone,
                    Ok(Some(Ok(message))) => message,
                };
                let heard = match message {
                    AggregatedMessage::Close(_) => return Outcome::Gone,
                    AggregatedMessage::Pong(_) => continue,
                    AggregatedMessage::Ping(bytes) => match timeout(limit, answers.pong(&bytes)).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(_)) => return Outcome::Gone,
                        Err(_) => return Outcome::Dead,
                    },
                    message => match timeout(limit, dialect.hear(message, &mut answers)).await {
                        Ok(heard) => heard,
                        Err(_) => return Outcome::Dead,
                    },
                };
                match heard {
                    Heard::Nothing => {}
                    Heard::Malformed(why) => return Outcome::Malformed(why),
                    Heard::Other(other) => return Outcome::Other(other),
                    // A session that takes nothing more has ended, and the other half hears of it.
                    Heard::Said(said) => match timeout(limit, to_session.send(said)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => std::future::pending().await,
                        // Nor is anything heard of the client while its program takes no input.
                        Err(_) => return Outcome::Dead,
                    },
                }
            }
        };
        let from_session = &mut attachment.from_session;
        let owner = &attachment.about.owner;
        let state = self.state.clone();
        let mut stopping = self.state.stopping.clone();
        let ticks = |period| {
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut pings, mut looks) = (ticks(settings.ping), ticks(RECHECK));
        let tells = async {
            loop {
                let there = tokio::select! {
                    message = from_session.recv() => match message {
                        Some(ToClient::Over(ending)) => return Outcome::Over(ending),
                        Some(message) => timeout(limit, send(&mut writes, D::encode(message))).await,
                        None => return Outcome::Over(stopped()),
                    },
                    _ = pings.tick() => timeout(limit, async { writes.ping(b"").await.is_ok() }).await,
                };
                match there {
                    Ok(true) => {}
                    Ok(false) => return Outcome::Gone,
                    Err(_) => return Outcome::Dead,
                }
            }
        };
        // Whatever the client takes or does not: it is looked at who it is, and whether there still is something to carry.
        let minds = async {
            let mut over = pin!(async {
                to_session.closed().await;
                sleep(LAST_MESSAGES).await;
            });
            loop {
                tokio::select! {
                    _ = looks.tick() => {
                        if !still_may(&state, owner, attachment.about.scope) {
                            return Some(Outcome::Over(Ending::NotAllowed));
                        }
                    }
                    _ = stopping.wait_for(|stopping| *stopping) => return Some(Outcome::Stopping),
                    () = &mut over => return None,
                }
            }
        };
        let outcome = tokio::select! {
            outcome = hears => Some(outcome),
            outcome = tells => Some(outcome),
            outcome = minds => outcome,
        };
        outcome.unwrap_or_else(|| Outcome::Over(last(from_session)))
    }

    /// Tells a client that it is refused, and counts it.
    pub(super) async fn refuse(mut self, refused: &Refused, sent: Sent, code: CloseCode) {
        (self.state.roles.terminal_event)(TerminalEvent::Refused { code: refused.code });
        self.say(sent).await;
        self.close(code, refused.code).await;
    }

    /// Closes the connection, and waits a moment for the client to do the same.
    pub(super) async fn close(mut self, code: CloseCode, why: impl Into<String>) {
        let reason = CloseReason { code, description: Some(why.into()) };
        let until = Instant::now() + CLOSING;
        if let Ok(Ok(())) = timeout_at(until, self.session.clone().close(Some(reason))).await {
            while let Ok(Some(_)) = self.first(until).await {}
        }
    }
}

/// Why a session is over that says no more.
fn stopped() -> Ending {
    Ending::Failed("the session was stopped".to_owned())
}

/// Why a session is over, of whose last messages the client takes none.
fn last(from_session: &mut mpsc::Receiver<ToClient>) -> Ending {
    while let Ok(message) = from_session.try_recv() {
        if let ToClient::Over(ending) = message {
            return ending;
        }
    }
    stopped()
}

/// Tells a session that its client leaves for good. One that takes no more input is not waited for: its grace ends it.
pub(super) async fn leave(to_session: &mpsc::Sender<FromClient>) {
    let _ = timeout(CLOSING, to_session.send(FromClient::Leave)).await;
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
