//! [`Session`]: the actor of one terminal.

use std::{future::pending, pin::Pin, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use callboard_actors::jobs::command::{
    CommandError, StartedTerminal, Terminal, TerminalEnd, TerminalOrder, TerminalProgram, TerminalSize,
};
use callboard_supervisors::{Actor, Context, Message, PlainHandler, StartError};
use tokio::{
    sync::mpsc::{self, OwnedPermit},
    time::{Instant, sleep_until},
};

use super::{
    link::{About, Client, Ending, FromClient, Protocol, ToClient},
    output::{Kept, PIECE, Progress},
    recording::Recording,
    settings::TerminalSettings,
};

/// For how long output is gathered after some was sent: many small pieces become one.
const GATHER: Duration = Duration::from_millis(5);
/// With so many bytes of input that the program has not read, what a client of the JSON protocol sends next waits in its socket;
/// what another one sends is refused, since its acknowledgements must get through. A message more may be there.
const MOST_INPUT: usize = 1024 * 1024;
/// How long a client may take to get the last of the output once the program has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The same where the program was ended by somebody.
const LAST_WORDS_OF_ENDED: Duration = Duration::from_secs(2);

/// To a session: this is its client from now on.
#[derive(Debug, Message)]
#[message(reply = ())]
pub(super) struct Attach(pub(super) Client);

/// To a session: it is to have this size.
#[derive(Debug, Message)]
#[message(reply = ())]
pub(super) struct Resize(pub(super) TerminalSize);

/// To a session: it is to end.
#[derive(Debug, Message)]
#[message(reply = ())]
pub(super) struct End(pub(super) Ending);

/// What a session is made from.
#[derive(Clone)]
pub(super) struct SessionArgs {
    pub(super) settings: Arc<TerminalSettings>,
    pub(super) program: TerminalProgram,
    pub(super) about: Arc<About>,
}

/// A terminal, its program, and the output that is kept of it. It is not restarted: with its state the program is gone.
pub(super) struct Session {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Attach(Client),
    Resize(TerminalSize),
    End(Ending),
}

impl Actor for Session {
    type Args = SessionArgs;

    async fn start(args: SessionArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let size = args.about.now.lock().size;
        let started = args.program.start(size).await?;
        let recording = match &args.settings.recordings {
            Some(folder) => Some(Recording::begin(folder, &args.about, size).await?),
            None => None,
        };
        let (orders, obeyed) = mpsc::channel(8);
        let about = args.about.clone();
        let run = Run::new(args, started, recording, obeyed);
        cx.spawn_then(run.until_over(), move |ending, _, cx| {
            about.now.lock().ending = Some(ending);
            cx.stop();
        });
        Ok(Session { orders })
    }
}

impl PlainHandler<Attach> for Session {
    type Reply = ();

    fn handle(&mut self, Attach(client): Attach, _: &mut Context<Self>) {
        // Of a client that comes when the session has just ended, the link is closed, which tells it.
        let _ = self.orders.try_send(Order::Attach(client));
    }
}

impl PlainHandler<Resize> for Session {
    type Reply = ();

    fn handle(&mut self, Resize(size): Resize, _: &mut Context<Self>) {
        // What comes too fast for it is no size that lasts.
        let _ = self.orders.try_send(Order::Resize(size));
    }
}

impl PlainHandler<End> for Session {
    type Reply = ();

    fn handle(&mut self, End(ending): End, cx: &mut Context<Self>) {
        if self.orders.try_send(Order::End(ending)).is_err() {
            // It has not obeyed what it was told before: with it the program goes.
            cx.stop();
        }
    }
}

/// How the program ended, once it has.
type Exit = Pin<Box<dyn Future<Output = Result<TerminalEnd, CommandError>>>>;

/// A session at work.
struct Run {
    settings: Arc<TerminalSettings>,
    about: Arc<About>,
    terminal: Terminal,
    /// None: nobody has the other end any more.
    reading: bool,
    exit: Option<Exit>,
    told: mpsc::Sender<TerminalOrder>,
    orders: mpsc::Receiver<Order>,
    recording: Option<Recording>,
    kept: Kept,
    client: Option<Attached>,
    /// Since when there has been no client.
    alone_since: Instant,
    /// Output that becomes one piece, and when.
    gathered: BytesMut,
    due: Option<Instant>,
    sent_at: Instant,
    input: BytesMut,
    /// Why it is to end, once that is known.
    ending: Option<Ending>,
    /// Until when, once the program has ended, what is left of its output may be taken.
    last_words: Instant,
    /// And until when at most, however often its client comes back.
    kept_until: Instant,
    /// Whether nobody takes it any more.
    given_up: bool,
}

/// The client, and how far it has got.
struct Attached {
    client: Client,
    progress: Progress,
    /// Room for the last message: it gets through however many are on the way.
    last: OwnedPermit<ToClient>,
}

impl Attached {
    /// Tells it that it is over. By the end of its link it hears of that, too, though it takes none of what is on the way.
    fn dismiss(self, ending: Ending) {
        self.last.send(ToClient::Over(ending));
    }
}

/// What happens next.
enum Event {
    Ordered(Option<Order>),
    Said(Option<FromClient>),
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
    /// There is room for a message to the client.
    Room,
    /// It is gone, and what it has said is not waited for.
    Gone,
    Ended(Result<TerminalEnd, CommandError>),
    Gathered,
    TimeIsUp,
}

impl Run {
    fn new(
        args: SessionArgs,
        started: StartedTerminal,
        recording: Option<Recording>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let (told, hears) = mpsc::channel(2);
        let now = Instant::now();
        Run {
            kept: Kept::new(args.about.protocol, &args.settings),
            settings: args.settings,
            about: args.about,
            terminal: started.terminal,
            reading: true,
            exit: Some(Box::pin(started.process.run(hears))),
            told,
            orders,
            recording,
            client: None,
            alone_since: now,
            gathered: BytesMut::with_capacity(PIECE),
            due: None,
            sent_at: now,
            input: BytesMut::new(),
            ending: None,
            last_words: now,
            kept_until: now,
            given_up: false,
        }
    }

    async fn until_over(mut self) -> Ending {
        let mut buffer = vec![0; PIECE];
        while !self.is_over() {
            match self.next(&mut buffer).await {
                Event::Ordered(Some(Order::Attach(client))) => self.attach(client),
                Event::Ordered(Some(Order::Resize(size))) => self.resize(size),
                Event::Ordered(Some(Order::End(ending))) => self.end(ending, TerminalOrder::Kill),
                // Its actor is gone, and this with it.
                Event::Ordered(None) => break,
                Event::Said(Some(said)) => self.hear(said),
                Event::Said(None) => self.detach(),
                Event::Gone => self.lose(),
                Event::Read(Ok(0)) => {
                    self.reading = false;
                    self.input.clear();
                    self.flush().await;
                }
                Event::Read(Ok(read)) => self.gather(&buffer[..read]).await,
                Event::Read(Err(error)) => {
                    self.reading = false;
                    let why = format!("the terminal cannot be read: {error}");
                    self.end(Ending::Failed(why), TerminalOrder::Kill);
                }
                Event::Written(Ok(written)) => self.input.advance(written),
                // Nobody reads it any more.
                Event::Written(Err(_)) => self.input.clear(),
                Event::Room => self.send(),
                Event::Ended(end) => self.ended(end),
                Event::Gathered => self.flush().await,
                Event::TimeIsUp => self.time_is_up(),
            }
        }
        let ending = self.ending.clone().unwrap_or(Ending::Unknown);
        if let Some(attached) = self.client.take() {
            attached.dismiss(ending.clone());
        }
        if let Some(recording) = self.recording.take() {
            recording.finish().await;
        }
        ending
    }

    async fn next(&mut self, buffer: &mut [u8]) -> Event {
        let deadline = self.deadline();
        let window = self.settings.window;
        let (mut from, mut to, mut unheard) = (None, None, None);
        let mut wants_more = true;
        if let Some(Attached { client, progress, .. }) = &mut self.client {
            let full = self.about.protocol == Protocol::Json && self.input.len() >= MOST_INPUT;
            match full {
                true => unheard = Some(&client.to),
                false => from = Some(&mut client.from),
            }
            to = progress.has_next(&self.kept, window).then_some(&client.to);
            wants_more = progress.wants_more(&self.kept, window);
        }
        let reads = self.reading && wants_more && self.gathered.len() < PIECE;
        let due = self.due.filter(|_| !self.gathered.is_empty());
        let said = async {
            match from {
                Some(from) => from.recv().await,
                None => pending().await,
            }
        };
        let room = async {
            if let Some(to) = to
                && to.reserve().await.is_ok()
            {
                return;
            }
            // Of one that is gone, the last that it has said comes first.
            pending().await
        };
        let gone = async {
            match unheard {
                Some(to) => to.closed().await,
                None => pending().await,
            }
        };
        let ended = async {
            match &mut self.exit {
                Some(exit) => exit.await,
                None => pending().await,
            }
        };
        let left = PIECE - self.gathered.len();
        tokio::select! {
            order = self.orders.recv() => Event::Ordered(order),
            said = said => Event::Said(said),
            () = room => Event::Room,
            () = gone => Event::Gone,
            written = self.terminal.write(&self.input), if !self.input.is_empty() => Event::Written(written),
            read = self.terminal.read(&mut buffer[..left]), if reads => Event::Read(read),
            end = ended => Event::Ended(end),
            () = sleep_until(due.unwrap_or(deadline)), if due.is_some() => Event::Gathered,
            () = sleep_until(deadline) => Event::TimeIsUp,
        }
    }

    /// When the first of its limits is reached.
    fn deadline(&self) -> Instant {
        let settings = &self.settings;
        if self.exit.is_none() {
            return self.last_words;
        }
        let oldest = self.about.begun + settings.absolute_timeout;
        if self.ending.is_some() {
            // Whoever ends the program has limits of his own.
            return oldest.max(Instant::now() + LAST_WORDS);
        }
        let idle = self.about.now.lock().last_input + settings.idle_timeout;
        match self.client {
            Some(_) => oldest.min(idle),
            None => oldest.min(idle).min(self.alone_since + settings.grace),
        }
    }

    fn time_is_up(&mut self) {
        let now = Instant::now();
        if self.exit.is_none() {
            self.given_up = true;
        } else if now >= self.about.begun + self.settings.absolute_timeout {
            self.end(Ending::TooOld, TerminalOrder::End);
        } else if self.client.is_none() && now >= self.alone_since + self.settings.grace {
            self.end(Ending::Left, TerminalOrder::End);
        } else {
            self.end(Ending::Idle, TerminalOrder::End);
        }
    }

    /// Whether there is nothing left to do.
    fn is_over(&self) -> bool {
        self.exit.is_none()
            && (self.given_up
                || self.client.as_ref().is_some_and(|Attached { progress, .. }| {
                    !self.reading && self.gathered.is_empty() && progress.is_done(&self.kept)
                }))
    }

    fn attach(&mut self, client: Client) {
        if let Some(before) = self.client.take() {
            before.dismiss(Ending::TakenOver);
        }
        // Nothing was sent to it yet: without room it is gone already.
        let Ok(last) = client.to.clone().try_reserve_owned() else { return self.detach() };
        let progress = Progress::new(&self.kept, client.after);
        self.client = Some(Attached { client, progress, last });
        self.last_words = self.kept_until.min(Instant::now() + LAST_WORDS);
        self.about.now.lock().detached = None;
    }

    /// Of a client that is gone, and whose input there is no room for: whether it has left for good.
    fn lose(&mut self) {
        let said = self.client.as_mut().map(|attached| &mut attached.client.from);
        let leaves = said.is_some_and(|said| {
            std::iter::from_fn(|| said.try_recv().ok()).any(|one| one == FromClient::Leave)
        });
        match leaves {
            true => self.hear(FromClient::Leave),
            false => self.detach(),
        }
    }

    fn detach(&mut self) {
        self.client = None;
        self.alone_since = Instant::now();
        self.last_words = self.kept_until.min(self.alone_since + self.settings.grace);
        self.about.now.lock().detached = Some(self.alone_since);
        // For the last words of a program that has ended by itself its client may come back.
        self.given_up |= self.exit.is_none() && !self.has_ended_by_itself();
    }

    fn has_ended_by_itself(&self) -> bool {
        matches!(
            self.ending,
            Some(Ending::Exited(_) | Ending::Signalled(_) | Ending::Unknown | Ending::NotStarted)
        )
    }

    fn hear(&mut self, said: FromClient) {
        let Some(Attached { progress, .. }) = &mut self.client else { return };
        match said {
            FromClient::Input(bytes) => {
                self.about.now.lock().last_input = Instant::now();
                if !self.reading || self.exit.is_none() {
                    // There is nobody any more who would read it.
                } else if self.about.protocol == Protocol::V2
                    && self.input.len() + bytes.len() > MOST_INPUT + PIECE * 4
                {
                    let lost = bytes.len();
                    progress.say(ToClient::Notice(format!(
                        "the program does not read: {lost} bytes of input are lost"
                    )));
                } else {
                    self.input.extend_from_slice(&bytes);
                }
            }
            FromClient::Resize(size) => self.resize(size),
            FromClient::Ack(offset) => progress.acknowledge(offset),
            FromClient::Pause => progress.pause(true),
            FromClient::Resume => progress.pause(false),
            FromClient::Leave => {
                self.detach();
                self.end(Ending::Left, TerminalOrder::End);
            }
        }
    }

    fn resize(&mut self, size: TerminalSize) {
        if let Err(error) = self.terminal.resize(size) {
            tracing::debug!(%error, session = %self.about.id, "a terminal is not resized");
        }
        let before = std::mem::replace(&mut self.about.now.lock().size, size);
        if let Some(recording) = self.recording.as_mut().filter(|_| before != size) {
            recording.resized(size);
        }
    }

    /// Has the program end.
    fn end(&mut self, ending: Ending, order: TerminalOrder) {
        if self.exit.is_none() {
            self.given_up = true;
        }
        self.ending.get_or_insert(ending);
        // A full channel has such an order in it.
        let _ = self.told.try_send(order);
    }

    fn ended(&mut self, end: Result<TerminalEnd, CommandError>) {
        self.exit = None;
        self.input.clear();
        let now = Instant::now();
        let oldest = self.about.begun + self.settings.absolute_timeout;
        self.kept_until = (now + self.settings.grace + LAST_WORDS).min(oldest.max(now + LAST_WORDS));
        self.ending.get_or_insert_with(|| match end {
            Ok(TerminalEnd::Exited(code)) => Ending::Exited(code),
            Ok(TerminalEnd::Killed(signal)) => Ending::Signalled(signal),
            Ok(TerminalEnd::Unknown) => Ending::Unknown,
            Err(error) => {
                tracing::warn!(%error, session = %self.about.id, "the program of a terminal cannot be run");
                Ending::NotStarted
            }
        });
        let last_words = match self.client {
            Some(_) if self.has_ended_by_itself() => now + LAST_WORDS,
            Some(_) => now + LAST_WORDS_OF_ENDED,
            None => self.alone_since + self.settings.grace,
        };
        self.last_words = self.kept_until.min(last_words);
        self.given_up |= self.client.is_none() && !self.has_ended_by_itself();
    }

    /// Takes what the program has written; it is passed on at once, or with what follows soon.
    async fn gather(&mut self, bytes: &[u8]) {
        self.about.now.lock().output += bytes.len() as u64;
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush().await;
        } else if self.due.is_none() {
            self.due = Some((self.sent_at + GATHER).max(Instant::now()));
        }
    }

    async fn flush(&mut self) {
        self.due = None;
        if self.gathered.is_empty() {
            return;
        }
        if let Some(recording) = &mut self.recording {
            recording.wrote(&self.gathered).await;
        }
        self.kept.push(&self.gathered);
        self.gathered.clear();
        self.sent_at = Instant::now();
    }

    /// Sends the next message; there is room for it.
    fn send(&mut self) {
        if let Some(Attached { client, progress, .. }) = &mut self.client
            && let Some(message) = progress.take(&self.kept, self.settings.window)
        {
            // Nobody else sends.
            let _ = client.to.try_send(message);
        }
    }
}
