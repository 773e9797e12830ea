//! The console as a program: three threads and the channels between them.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use callboard_contracts::Timestamp;
use ratatui::crossterm::event::{self, Event as Input, MouseButton, MouseEventKind};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    time::{sleep_until, timeout_at},
};

use crate::{
    draw::draw,
    exchange::{Answer, Effect, Event, Failure, Pointer, Request},
    keys::Chord,
    model::{Model, Setup},
    source::{self, Target, clipboard},
    terminal::Screen,
    theme::Theme,
    update::update,
};

/// Events, and effects, that may wait.
const WAITING: usize = 256;
/// Effects that may wait beyond that, in front of the channel.
const DEFERRED: usize = 4096;
/// How often time passes.
const TICK: Duration = Duration::from_millis(250);
/// What only data has changed is drawn after this time at the soonest; a key is answered at once.
const FRAME: Duration = Duration::from_millis(100);
/// How often the keyboard's thread looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(100);

/// How the console is run.
#[derive(Debug)]
pub struct Options {
    /// Which server is talked to.
    pub target: Target,
    /// How it is set up.
    pub setup: Setup,
    /// What it looks like.
    pub theme: Theme,
    /// Whether the mouse is used.
    pub mouse: bool,
}

/// Why the console cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// There is no terminal, or it says no.
    #[error("the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// The system says no.
    #[error("{0}")]
    System(#[source] io::Error),
    /// A thread of the console has ended before it.
    #[error("a part of the console has ended with a panic; what it said is above, or in the console's log")]
    Panicked,
}

/// Runs the console on this thread until somebody leaves it.
///
/// # Errors
/// [`ConsoleError`]. The terminal is as it was before, in any case.
pub fn run(options: Options) -> Result<(), ConsoleError> {
    let Options { target, setup, theme, mouse } = options;
    let (event_sender, events) = mpsc::channel(WAITING);
    let (effects, effect_receiver) = mpsc::channel(WAITING);
    let outer = Builder::new_current_thread().enable_all().build().map_err(ConsoleError::System)?;
    let inner = Builder::new_current_thread().enable_time().build().map_err(ConsoleError::System)?;
    let mut screen = Screen::take(mouse).map_err(ConsoleError::Terminal)?;
    let to_model = event_sender.clone();
    let outside = thread::Builder::new().name("console-io".to_owned());
    let outside = outside.spawn(move || {
        outer.block_on(source::run(target, effect_receiver, to_model));
        // What is under way is not waited for.
        outer.shutdown_background();
    });
    let outside = outside.map_err(ConsoleError::System)?;
    let over = Arc::new(AtomicBool::new(false));
    let keyboard = thread::Builder::new().name("console-keys".to_owned());
    let is_over = over.clone();
    keyboard.spawn(move || read_keys(&event_sender, &is_over)).map_err(ConsoleError::System)?;
    let result = inner.block_on(run_model(setup, &theme, &mut screen, events, effects));
    over.store(true, Ordering::Relaxed);
    drop(screen);
    match result {
        Ok(()) if outside.is_finished() && outside.join().is_err() => Err(ConsoleError::Panicked),
        other => other,
    }
}

async fn run_model(
    setup: Setup,
    theme: &Theme,
    screen: &mut Screen,
    mut events: mpsc::Receiver<Event>,
    effects: mpsc::Sender<Effect>,
) -> Result<(), ConsoleError> {
    let size = screen.terminal.size().map_err(ConsoleError::Terminal)?;
    let mut model = Model::new(setup, Timestamp::now(), (size.width, size.height));
    let mut outbox = Outbox { effects, waiting: VecDeque::new() };
    let first = std::mem::take(&mut model.effects);
    pass_on(&mut model, screen, &mut outbox, first);
    let mut drawn = Instant::now() - FRAME;
    let mut next_tick = Instant::now() + TICK;
    // What is to be drawn: nothing, something that has time, something that a person waits for.
    let (mut changed, mut urgent) = (true, true);
    while !model.quit {
        if urgent || (changed && drawn.elapsed() >= FRAME) {
            screen.terminal.draw(|frame| draw(&model, theme, frame)).map_err(ConsoleError::Terminal)?;
            drawn = Instant::now();
            (changed, urgent) = (false, false);
        }
        let wake = match (model.has_work(), changed) {
            (true, _) => Instant::now(),
            (false, true) => next_tick.min(drawn + FRAME),
            (false, false) => next_tick,
        };
        let mut taken = match timeout_at(wake.into(), events.recv()).await {
            Ok(Some(event)) => Some(event),
            // Both threads have ended.
            Ok(None) => return Err(ConsoleError::Panicked),
            Err(_) => None,
        };
        // All that waits is taken before the next frame; the channel's bound is the bound of this.
        for _ in 0..WAITING {
            let Some(event) = taken else { break };
            urgent |= matches!(event, Event::Key(_) | Event::Paste(_) | Event::Mouse(_) | Event::Resize(..));
            changed = true;
            let wanted = update(&mut model, event);
            pass_on(&mut model, screen, &mut outbox, wanted);
            taken = events.try_recv().ok();
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            if outbox.effects.is_closed() {
                return Err(ConsoleError::Panicked);
            }
            let second = model.now.as_micros() / 1_000_000;
            let wanted = update(&mut model, Event::Tick(Timestamp::now()));
            pass_on(&mut model, screen, &mut outbox, wanted);
            changed |= model.now.as_micros() / 1_000_000 != second;
        }
        if model.has_work() {
            model.work();
            changed = true;
        }
    }
    // So that what was told last, such as to follow no log, has a moment to go out.
    sleep_until((Instant::now() + Duration::from_millis(1)).into()).await;
    Ok(())
}

/// Effects on their way to the other thread. What that cannot take yet waits here, in its order.
struct Outbox {
    effects: mpsc::Sender<Effect>,
    waiting: VecDeque<Effect>,
}

impl Outbox {
    /// Takes an effect, or gives it back if too many wait.
    fn put(&mut self, effect: Effect) -> Option<Effect> {
        if matches!(effect, Effect::FollowLog(_) | Effect::UnfollowLog) {
            // One log is followed at most: what was wanted before is of no use any more.
            self.waiting.retain(|waiting| !matches!(waiting, Effect::FollowLog(_) | Effect::UnfollowLog));
        }
        if self.waiting.len() == DEFERRED {
            return Some(effect);
        }
        self.waiting.push_back(effect);
        None
    }

    /// Passes on as many as the channel takes.
    fn flush(&mut self) {
        while let Some(effect) = self.waiting.pop_front() {
            if let Err(error) = self.effects.try_send(effect) {
                self.waiting.push_front(error.into_inner());
                return;
            }
        }
    }
}

/// Gives effects to the other thread, after those that wait. A request that there is no room for has failed.
fn pass_on(model: &mut Model, screen: &mut Screen, outbox: &mut Outbox, wanted: Vec<Effect>) {
    let mut wanted: VecDeque<Effect> = wanted.into();
    outbox.flush();
    while let Some(effect) = wanted.pop_front() {
        if let Effect::Copy(text) = &effect {
            let out = screen.terminal.backend_mut();
            let copied = clipboard(text).and_then(|sequence| {
                let written = out.write_all(sequence.as_bytes()).and_then(|()| Write::flush(out));
                written.map_err(|error| error.to_string())
            });
            if let Err(problem) = copied {
                model.complain(format!("the clipboard: {problem}"));
            }
            continue;
        }
        wanted.extend(give(model, outbox, effect));
    }
}

/// Gives an effect to the other thread; what is wanted because there is no room for it.
fn give(model: &mut Model, outbox: &mut Outbox, effect: Effect) -> Vec<Effect> {
    let refused = outbox.put(effect);
    outbox.flush();
    let text = "too much is being asked for at once; try again".to_owned();
    match refused {
        None => Vec::new(),
        Some(Effect::Ask(request)) => {
            let failure: Result<Answer, Failure> = Err(Failure { text, is_lost: false, status: None });
            let request: Box<Request> = Box::new(request);
            update(model, Event::Answered(request, Box::new(failure)))
        }
        Some(_) => {
            model.complain(text);
            Vec::new()
        }
    }
}

/// Passes on what is typed, until the console is over.
fn read_keys(events: &mpsc::Sender<Event>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let input = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let event = match input {
            Ok(Input::Key(key)) => Chord::of(key).map(Event::Key),
            Ok(Input::Paste(text)) => Some(Event::Paste(text)),
            Ok(Input::Resize(columns, rows)) => Some(Event::Resize(columns, rows)),
            Ok(Input::Mouse(mouse)) => match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Some(Pointer::Click(mouse.column, mouse.row)),
                MouseEventKind::ScrollUp => Some(Pointer::Wheel(true)),
                MouseEventKind::ScrollDown => Some(Pointer::Wheel(false)),
                _ => None,
            }
            .map(Event::Mouse),
            Ok(Input::FocusGained | Input::FocusLost) => None,
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be read");
                Some(Event::Terminate)
            }
        };
        let ends = matches!(event, Some(Event::Terminate));
        if let Some(event) = event
            && events.blocking_send(event).is_err()
        {
            return;
        }
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_channel_cannot_take_goes_later_and_in_its_order() {
        let (effects, mut taken) = mpsc::channel(2);
        let mut outbox = Outbox { effects, waiting: VecDeque::new() };
        let mut model = crate::sample::model((100, 30));
        let job = uuid::Uuid::nil();
        let all = [
            Effect::Connect,
            Effect::Ask(Request::Queues),
            Effect::FollowLog(job),
            Effect::Ask(Request::Job(job)),
            Effect::UnfollowLog,
            Effect::Examine,
        ];
        for effect in all {
            assert_eq!(give(&mut model, &mut outbox, effect), []);
        }
        let mut got = Vec::new();
        while let Ok(effect) = taken.try_recv() {
            got.push(effect);
            outbox.flush();
        }
        // That a log was followed for a moment is of no matter.
        let wanted = [
            Effect::Connect,
            Effect::Ask(Request::Queues),
            Effect::Ask(Request::Job(job)),
            Effect::UnfollowLog,
            Effect::Examine,
        ];
        assert_eq!(got, wanted);
    }

    #[test]
    fn what_there_is_no_room_for_has_failed_and_what_follows_is_done() {
        let (effects, _taken) = mpsc::channel(1);
        let mut outbox = Outbox { effects, waiting: vec![Effect::Connect; DEFERRED].into() };
        let mut model = crate::sample::model((100, 30));
        outbox.flush();
        outbox.waiting.push_back(Effect::Connect);
        model.ask(Request::Causes);
        model.asked.insert("causes");
        give(&mut model, &mut outbox, Effect::Ask(Request::Causes));
        assert!(!model.asked.contains("causes") && !model.open.contains(&Request::Causes));
        assert!(model.message.is_some_and(|message| message.is_error));
    }
}
