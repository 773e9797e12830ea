//! [`Broker`]: the actor that lets clients have sessions, as many as may be, and knows which there are.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use callboard_actors::{
    edges::store::record::NewAudit,
    jobs::command::TerminalSize,
    roles::{
        TerminalEvent,
        request::{Signed, Who},
    },
};
use callboard_contracts::{Timestamp, api::TerminalSessionView};
use callboard_supervisors::{
    Actor, ActorRef, ChildExited, ChildSpec, Context, DynamicSupervisor, Later, Message, PlainHandler,
    Restart, Shutdown, StartError,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

use super::{
    link::{
        About, Attachment, Client, Ending, GLOBAL_CAP, INTERNAL_ERROR, INVALID_TOKEN, Now, ON_THE_WAY, Owner,
        PER_IP_CAP, PTY_SPAWN_FAILED, Protocol, Refused, SESSION_NOT_FOUND,
    },
    passes::Passes,
    session::{Attach, End, Session, SessionArgs},
    settings::{Scope, TerminalSettings},
    ticket::{Hashed, NoTicket, Tickets, secret},
};
use crate::settings::NoteAudit;

/// Tickets that are given out and not used, of all clients together.
const MOST_TICKETS: usize = 1000;
/// Tickets of one address among them; a further one takes the place of its oldest.
const TICKETS_EACH: usize = 10;
/// How long a session may take to start, and to take a client.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long an entry of the audit trail may take.
const NOTE_LIMIT: Duration = Duration::from_secs(10);
/// How long the last entries of the audit trail may take when the server stops.
const LAST_NOTES: Duration = Duration::from_secs(2);

/// What a ticket is good for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) owner: Owner,
    pub(super) scope: Scope,
    pub(super) size: TerminalSize,
    /// The session that is to be resumed.
    pub(super) session: Option<Uuid>,
}

/// To the broker: a ticket for this.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<String, NoTicket>)]
pub(super) struct IssueTicket(pub(super) Grant);

/// To the broker: what this ticket is good for; it is used up by that.
#[derive(Clone, Debug, Message)]
#[message(reply = Option<Grant>)]
pub(super) struct RedeemTicket(pub(super) String);

/// To the broker: a new session.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Attachment, Refused>)]
pub(super) struct Open {
    pub(super) protocol: Protocol,
    pub(super) owner: Owner,
    pub(super) scope: Scope,
    pub(super) size: TerminalSize,
}

/// To the broker: a session that is there, for a client that has its token.
#[derive(Clone, Debug, Message)]
#[message(reply = Result<Attachment, Refused>)]
pub(super) struct Resume {
    pub(super) protocol: Protocol,
    pub(super) session: Uuid,
    pub(super) token: String,
    /// What the client has already.
    pub(super) after: Option<u64>,
    /// Who must have opened it, with which scope, and what size it is to have; the JSON protocol asks for the token alone.
    pub(super) grant: Option<Grant>,
    /// Who resumes it, and what he may do at most.
    pub(super) who: Who,
    pub(super) scope: Scope,
}

/// To the broker: the sessions.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Vec<TerminalSessionView>)]
pub(super) struct ListSessions;

/// To the broker: end a session. The reply says whether there was one.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = bool)]
pub(super) struct EndSession(pub(super) Uuid);

/// What the broker is made from.
#[derive(Clone)]
pub(super) struct BrokerArgs {
    pub(super) settings: Arc<TerminalSettings>,
    pub(super) sessions: DynamicSupervisor,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) passes: Arc<Passes>,
    pub(super) note: NoteAudit,
    pub(super) count: Arc<dyn Fn(TerminalEvent) + Send + Sync>,
    /// Where the console finds the server.
    pub(super) server: Arc<dyn Fn() -> Option<SocketAddr> + Send + Sync>,
    pub(super) asks_for_tokens: bool,
}

/// The sessions that there are, also those that are being started. It outlives the broker.
#[derive(Default)]
pub(super) struct Table(BTreeMap<Uuid, Entry>);

struct Entry {
    about: Arc<About>,
    /// None while it is being started.
    actor: Option<ActorRef<Session>>,
    /// The only token by which a client can come back now.
    token: Hashed,
}

impl Table {
    /// Takes a place, if there is one.
    fn take(
        &mut self,
        about: &Arc<About>,
        token: Hashed,
        settings: &TerminalSettings,
    ) -> Result<(), Refused> {
        let here = self.of(about.owner.address);
        if here >= settings.per_address {
            let message =
                format!("{here} sessions of your address are open; {} may be", settings.per_address);
            return Err(Refused::new(PER_IP_CAP, message));
        }
        if self.0.len() >= settings.max_sessions {
            let message = format!("{} sessions are open, and no more may be", self.0.len());
            return Err(Refused::new(GLOBAL_CAP, message));
        }
        self.0.insert(about.id, Entry { about: about.clone(), actor: None, token });
        Ok(())
    }

    fn of(&self, address: IpAddr) -> usize {
        self.0.values().filter(|entry| entry.about.owner.address == address).count()
    }
}

/// The actor that lets clients have sessions.
pub(super) struct Broker {
    args: BrokerArgs,
    tickets: Tickets<Grant>,
}

impl Actor for Broker {
    type Args = BrokerArgs;

    async fn start(args: BrokerArgs, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Broker { tickets: Tickets::new(args.settings.ticket, MOST_TICKETS), args })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        // Their ends may not have been heard of yet; who starts again finds an empty table with nobody in it.
        let left: Vec<Arc<About>> = {
            let table = self.args.table.lock();
            let gone = |entry: &&Entry| entry.actor.as_ref().is_some_and(|actor| !actor.is_alive());
            table.0.values().filter(gone).map(|entry| entry.about.clone()).collect()
        };
        let notes = left.iter().map(|about| {
            let about = about.clone();
            close(self.args.clone(), about)
        });
        let _ = tokio::time::timeout(LAST_NOTES, futures_util::future::join_all(notes)).await;
    }
}

impl PlainHandler<IssueTicket> for Broker {
    type Reply = Result<String, NoTicket>;

    fn handle(&mut self, IssueTicket(grant): IssueTicket, _: &mut Context<Self>) -> Self::Reply {
        let address = grant.owner.address;
        self.tickets.make_room(TICKETS_EACH, |other| other.owner.address == address);
        self.tickets.issue(Instant::now(), grant)
    }
}

impl PlainHandler<RedeemTicket> for Broker {
    type Reply = Option<Grant>;

    fn handle(&mut self, RedeemTicket(ticket): RedeemTicket, _: &mut Context<Self>) -> Self::Reply {
        self.tickets.redeem(Instant::now(), &ticket).filter(|grant| grant.owner.is_signed_in())
    }
}

impl PlainHandler<Open> for Broker {
    type Reply = Later<Result<Attachment, Refused>>;

    fn handle(&mut self, asked: Open, _: &mut Context<Self>) -> Self::Reply {
        let args = self.args.clone();
        let Some(token) = secret() else {
            return Later::new(async { Err(Refused::new(INTERNAL_ERROR, "the system has no randomness")) });
        };
        let Open { protocol, owner, scope, size } = asked;
        let begun = Instant::now();
        let about = Arc::new(About {
            id: Uuid::now_v7(),
            protocol,
            scope,
            owner,
            command: args.settings.command.name.clone(),
            began: Timestamp::now(),
            begun,
            now: Mutex::new(Now {
                size,
                detached: Some(begun),
                output: 0,
                last_input: begun,
                ended_by: None,
                ending: None,
            }),
        });
        // The place is taken before anything is waited for: two that come at once do not get the same one.
        let taken = args.table.lock().take(&about, Hashed::of(&token), &args.settings);
        Later::new(async move {
            taken?;
            let opened = open(&args, &about).await;
            if opened.is_err() {
                args.table.lock().0.remove(&about.id);
                args.passes.forget(about.id);
            }
            let actor = opened?;
            attach(&args, &actor, about, token, false, None).await
        })
    }
}

/// Starts a session, once it is kept who has it.
async fn open(args: &BrokerArgs, about: &Arc<About>) -> Result<ActorRef<Session>, Refused> {
    let refused = |message: &str| Refused::new(INTERNAL_ERROR, message);
    let Some(server) = (args.server)() else { return Err(refused("the server is not ready yet")) };
    let scope = about.scope.as_str();
    let detail = json!({
        "protocol": about.protocol.as_str(), "scope": scope, "command": about.command,
        "address": about.owner.address,
    });
    let deed = Deed { action: "terminal.open", target: about.id, detail: Some(detail) };
    if let Err(error) = deed.note(args, &about.owner.who, "opened").await {
        tracing::warn!(error, "a terminal is refused: the audit trail cannot be written");
        return Err(refused("the audit trail cannot be written"));
    }
    let started = start(args, about, server).await;
    if let Err(refused) = &started {
        // What is kept as opened is kept as closed.
        Deed { action: "terminal.close", target: about.id, detail: None }
            .note_if_possible(args, &about.owner.who, &format!("not started: {}", refused.message))
            .await;
    }
    started
}

async fn start(
    args: &BrokerArgs,
    about: &Arc<About>,
    server: SocketAddr,
) -> Result<ActorRef<Session>, Refused> {
    let refused = |message: &str| Refused::new(INTERNAL_ERROR, message);
    let scope = about.scope.as_str();
    let command = &args.settings.command;
    let pass = (command.is_console && args.asks_for_tokens).then(|| args.passes.issue(about));
    let pass: Option<SecretString> = match pass {
        Some(None) => return Err(refused("the system has no randomness")),
        Some(pass) => pass,
        None => None,
    };
    let program = command.program(about.scope, args.settings.kill_grace, server, pass.as_ref());
    let spec = ChildSpec::<Session>::new(
        about.id.to_string(),
        SessionArgs { settings: args.settings.clone(), program, about: about.clone() },
    )
    .restart(Restart::Temporary)
    .shutdown(Shutdown::Timeout(Duration::from_secs(1)));
    match tokio::time::timeout(START_LIMIT, args.sessions.start_child(spec)).await {
        Ok(Ok(actor)) => {
            let killed = {
                let mut table = args.table.lock();
                if let Some(entry) = table.0.get_mut(&about.id) {
                    entry.actor = Some(actor.clone());
                }
                about.now.lock().ended_by.is_some()
            };
            if killed && actor.tell(End(Ending::Killed)).is_err() {
                actor.kill();
            }
            (args.count)(TerminalEvent::Opened { protocol: about.protocol.as_str() });
            // Its end may have been told before it was known here.
            if !actor.is_alive() && args.table.lock().0.remove(&about.id).is_some() {
                close(args.clone(), about.clone()).await;
            }
            tracing::info!(session = %about.id, by = about.owner.who.name, scope, "a terminal is opened");
            Ok(actor)
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "a terminal cannot be started");
            Err(Refused::new(
                PTY_SPAWN_FAILED,
                "the program cannot be started; the log of the server says why",
            ))
        }
        Err(_) => Err(Refused::new(PTY_SPAWN_FAILED, "the program did not start in time")),
    }
}

async fn attach(
    args: &BrokerArgs,
    actor: &ActorRef<Session>,
    about: Arc<About>,
    token: String,
    resumed: bool,
    after: Option<u64>,
) -> Result<Attachment, Refused> {
    let (to_session, from) = mpsc::channel(ON_THE_WAY);
    let (to, from_session) = mpsc::channel(ON_THE_WAY);
    let attached = actor.ask_within(START_LIMIT, Attach(Client { from, to, after })).await;
    if attached.is_err() {
        let code = if resumed { SESSION_NOT_FOUND } else { INTERNAL_ERROR };
        (args.count)(TerminalEvent::Refused { code });
        return Err(Refused::new(code, "the session has just ended"));
    }
    Ok(Attachment { about, token, resumed, to_session, from_session })
}

impl PlainHandler<Resume> for Broker {
    type Reply = Later<Result<Attachment, Refused>>;

    fn handle(&mut self, asked: Resume, _: &mut Context<Self>) -> Self::Reply {
        let args = self.args.clone();
        let found = resume(&args, &asked);
        Later::new(async move {
            let (actor, about, token) = found?;
            if let Some(grant) = &asked.grant {
                let _ = actor.ask_within(START_LIMIT, super::session::Resize(grant.size)).await;
            }
            attach(&args, &actor, about, token, true, asked.after).await
        })
    }
}

/// Checks a token and puts the next one in its place.
fn resume(args: &BrokerArgs, asked: &Resume) -> Result<(ActorRef<Session>, Arc<About>, String), Refused> {
    let unknown = || Refused::new(SESSION_NOT_FOUND, "there is no such session any more");
    let wrong = || Refused::new(INVALID_TOKEN, "the token is not that of the session, or its time is over");
    let mut table = args.table.lock();
    let entry = table.0.get_mut(&asked.session).ok_or_else(unknown)?;
    let (Some(actor), about) = (entry.actor.clone(), entry.about.clone()) else { return Err(unknown()) };
    if !entry.token.is(&Hashed::of(&asked.token)) {
        return Err(wrong());
    }
    let late = {
        let now = about.now.lock();
        now.detached.is_some_and(|since| since.elapsed() > args.settings.reconnect_token)
    };
    // With whom it was opened it ends, too.
    if !about.owner.is_signed_in() {
        return Err(unknown());
    }
    // Where nobody says who he is, whoever has the token is the one.
    let somebody_else = args.asks_for_tokens && asked.who != about.owner.who;
    let other = somebody_else
        || asked.grant.as_ref().is_some_and(|grant| {
            grant.owner.who != about.owner.who || grant.session != Some(about.id) || grant.scope < about.scope
        });
    // What a session may do was said when it was opened: who may do less now does not get it back.
    if late || other || about.protocol != asked.protocol || asked.scope < about.scope {
        return Err(wrong());
    }
    let next = secret().ok_or_else(|| Refused::new(INTERNAL_ERROR, "the system has no randomness"))?;
    entry.token = Hashed::of(&next);
    Ok((actor, about, next))
}

impl PlainHandler<ListSessions> for Broker {
    type Reply = Vec<TerminalSessionView>;

    fn handle(&mut self, _: ListSessions, _: &mut Context<Self>) -> Self::Reply {
        let table = self.args.table.lock();
        table.0.values().map(|entry| view(&entry.about)).collect()
    }
}

fn view(about: &About) -> TerminalSessionView {
    let now = about.now.lock().clone();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    TerminalSessionView {
        id: about.id,
        command: about.command.clone(),
        protocol: about.protocol.as_str().to_owned(),
        scope: about.scope.as_str().to_owned(),
        by: about.owner.who.name.clone(),
        address: about.owner.address.to_string(),
        opened_at: about.began,
        attached: now.detached.is_none(),
        cols: now.size.cols,
        rows: now.size.rows,
        output_bytes: now.output,
        idle_ms: millis(now.last_input.elapsed()),
    }
}

impl PlainHandler<Signed<EndSession>> for Broker {
    type Reply = bool;

    fn handle(&mut self, signed: Signed<EndSession>, cx: &mut Context<Self>) -> bool {
        let Signed { who, request: EndSession(id) } = signed;
        let found = self.args.table.lock().0.get(&id).map(|entry| {
            // Under the lock: one that is being started sees it, or is known.
            entry.about.now.lock().ended_by = Some(who.name.clone());
            entry.actor.clone()
        });
        let Some(actor) = found else { return false };
        let args = self.args.clone();
        cx.spawn(async move {
            Deed { action: "terminal.kill", target: id, detail: None }
                .note_if_possible(&args, &who, "ended")
                .await;
        });
        match actor {
            Some(actor) if actor.tell(End(Ending::Killed)).is_ok() => {}
            Some(actor) => actor.kill(),
            // It is being started, and is told once it is there.
            None => {}
        }
        true
    }
}

impl PlainHandler<ChildExited> for Broker {
    type Reply = ();

    fn handle(&mut self, exited: ChildExited, cx: &mut Context<Self>) {
        let Ok(id) = Uuid::try_parse(&exited.name) else { return };
        // One that did not start is not in the table as one that runs.
        let started = self.args.table.lock().0.get(&id).is_some_and(|entry| entry.actor.is_some());
        if started && let Some(entry) = self.args.table.lock().0.remove(&id) {
            cx.spawn(close(self.args.clone(), entry.about));
        }
    }
}

/// A session has ended.
async fn close(args: BrokerArgs, about: Arc<About>) {
    args.passes.forget(about.id);
    let now = about.now.lock().clone();
    // One that said nothing has crashed, or was stopped from without.
    let (reason, text) = match &now.ending {
        Some(ending) => (ending.reason(), ending.text()),
        None => ("stopped", "the session was stopped".to_owned()),
    };
    (args.count)(TerminalEvent::Ended { reason });
    tracing::info!(session = %about.id, reason, text, "a terminal is closed");
    let detail = json!({
        "reason": reason, "ended_by": now.ended_by, "output_bytes": now.output,
        "lasted_ms": u64::try_from(about.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    let deed = Deed { action: "terminal.close", target: about.id, detail: Some(detail) };
    deed.note_if_possible(&args, &about.owner.who, &text).await;
}

/// What is kept in the audit trail.
struct Deed {
    action: &'static str,
    target: Uuid,
    detail: Option<serde_json::Value>,
}

impl Deed {
    async fn note(self, args: &BrokerArgs, who: &Who, outcome: &str) -> Result<(), String> {
        let entry = NewAudit {
            id: Uuid::now_v7(),
            by: who.name.clone(),
            role: who.role.clone(),
            action: self.action.to_owned(),
            target: self.target.to_string(),
            detail: self.detail.map(|detail| detail.to_string()),
        };
        match tokio::time::timeout(NOTE_LIMIT, (args.note)(entry, outcome.to_owned())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it has taken longer than {NOTE_LIMIT:?}")),
        }
    }

    async fn note_if_possible(self, args: &BrokerArgs, who: &Who, outcome: &str) {
        let action = self.action;
        if let Err(error) = self.note(args, who, outcome).await {
            tracing::warn!(error, action, "the audit trail may not have this entry");
        }
    }
}
