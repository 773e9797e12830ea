//! How long it takes from a key to what is drawn of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use callboard_contracts::{
    JobState, Timestamp,
    api::{JobList, JobSummary},
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use uuid::Uuid;

use crate::{
    draw::draw,
    exchange::{Answer, Effect, Event, Request},
    keys::Chord,
    model::{Model, PAGE, Setup},
    theme::Theme,
    update::update,
};

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Jobs that were in the list.
    pub rows: usize,
    /// From each key to the end of the frame that answers it.
    pub keys: Vec<Duration>,
    /// From the end of a filter that was typed, or of a change of the order, to the frame that shows it whole.
    pub whole: Vec<Duration>,
    /// Bytes that were written to the terminal.
    pub bytes: u64,
}

/// A terminal that counts what is written to it.
#[derive(Clone, Debug, Default)]
struct Sink(Arc<AtomicU64>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lists so many jobs on a screen of this size, presses keys of all kinds so many times, and draws a frame after each.
///
/// # Errors
/// None that is known: nothing is written to a real terminal.
pub fn measure(rows: usize, rounds: usize, size: (u16, u16)) -> std::io::Result<Measured> {
    let now = Timestamp::now();
    let mut model = Model::new(Setup::default(), now, size);
    load(&mut model, rows, now);
    let theme = Theme::default();
    let sink = Sink::default();
    let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
    let mut terminal =
        Terminal::with_options(CrosstermBackend::new(sink.clone()), TerminalOptions { viewport })?;
    terminal.draw(|frame| draw(&model, &theme, frame))?;
    let mut measured =
        Measured { rows: model.jobs.table.len(), keys: Vec::new(), whole: Vec::new(), bytes: 0 };
    let moves = "jjjjjjjjkkGgjj\u{4}\u{4}\u{4}\u{15}  A A>>>><<<<G=g=d";
    let typed = "/mail !slow attempt>1\n/queue:reports and -f rprt\n/\u{15}\n";
    for letter in moves.chars().chain(typed.chars()).collect::<Vec<_>>().repeat(rounds) {
        let chord = match letter {
            '\n' => Chord::Enter,
            '\u{4}' => Chord::Ctrl('d'),
            '\u{15}' => Chord::Ctrl('u'),
            'd' if model.overlay.is_none() => Chord::Char('-'),
            letter => Chord::Char(letter),
        };
        let pressed = Instant::now();
        update(&mut model, Event::Key(chord));
        // As the program does it: what was typed is seen at once, what fits the filter when all rows are looked through.
        terminal.draw(|frame| draw(&model, &theme, frame))?;
        measured.keys.push(pressed.elapsed());
        if model.has_work() {
            while model.has_work() {
                model.work();
            }
            terminal.draw(|frame| draw(&model, &theme, frame))?;
            measured.whole.push(pressed.elapsed());
        }
        if letter == 'd' {
            // Back from wherever that has led.
            update(&mut model, Event::Key(Chord::Char('2')));
        }
    }
    measured.bytes = sink.0.load(Ordering::Relaxed);
    Ok(measured)
}

/// Puts jobs in as a server's pages would.
fn load(model: &mut Model, rows: usize, now: Timestamp) {
    update(model, Event::Connected("http://127.0.0.1:8080".to_owned()));
    update(model, Event::Key(Chord::Char('2')));
    let mut left = rows;
    while left > 0 {
        let (generation, query) = (model.jobs.generation, model.jobs.query.clone());
        let page = left.min(PAGE as usize);
        let jobs = (0..page).map(|place| job(rows - left + place, now)).collect();
        left -= page;
        let next_cursor = (left > 0).then(|| left.to_string());
        let answer = Answer::Jobs(JobList { jobs, next_cursor });
        let effects =
            update(model, Event::Answered(Box::new(Request::Jobs(generation, query)), Box::new(Ok(answer))));
        // Nobody answers what is asked here but this.
        debug_assert!(!effects.contains(&Effect::Connect));
    }
}

/// The job at a place of the list, the same each time.
fn job(place: usize, now: Timestamp) -> JobSummary {
    const TYPES: [&str; 5] = ["send-mail", "resize-image", "make-report", "charge-card", "sync-account"];
    const QUEUES: [&str; 4] = ["default", "mail", "reports", "slow-things"];
    let state = JobState::ALL[place * 7 % 8];
    let at = now.saturating_sub(Duration::from_millis(place as u64 * 137));
    let millis = at.as_micros() as u64 / 1000;
    JobSummary {
        id: Uuid::from_u64_pair(
            millis << 16 | 0x7000 | place as u64 & 0xfff,
            0x8000_0000_0000_0000 | place as u64,
        ),
        job_type: TYPES[place % 5].to_owned(),
        queue: QUEUES[place * 3 % 4].to_owned(),
        state,
        status: state.status(true),
        attempt: (place % 4) as u32,
        max_attempts: 4,
        priority: (place % 7) as i16,
        tags: vec![format!("customer-{}", place % 1000)],
        partition_key: None,
        created_at: at,
        scheduled_at: at,
        started_at: Some(at),
        finished_at: state.is_final().then_some(now),
        wait_reason: None,
        last_error: (state == JobState::Discarded)
            .then(|| format!("the server at 10.0.0.{} is away", place % 256)),
        cause: None,
    }
}
