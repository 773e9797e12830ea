//! What happens with the model when something happens. Nothing here reaches out of it.

mod act;
mod add_job;
mod answers;
mod ask;
mod command;
mod describe;
mod feed;
mod go;
mod menus;
mod overlay;

use callboard_contracts::Timestamp;

use crate::{
    exchange::{Effect, Event, News, Pointer},
    keys::Chord,
    model::{Link, MOST_EVENTS, MOST_LINES, Model},
    rows::EventRow,
    view::View,
};

pub(crate) use add_job::fitting;
pub use command::completions;

/// Takes what happens; gives back what is to be done in the world.
pub fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(chord) => key(model, chord),
        Event::Paste(text) => {
            model.awaited = None;
            overlay::paste(model, &text);
        }
        Event::Mouse(pointer) => {
            model.awaited = None;
            mouse(model, pointer);
        }
        Event::Resize(columns, rows) => model.size = (columns, rows),
        Event::Tick(now) => tick(model, now),
        Event::Connected(url) => {
            model.url = url;
            answers::is_live(model);
            go::enter_place(model);
        }
        Event::NoServer(tried) => model.link = Link::None(tried),
        Event::Answered(request, result) => answers::answered(model, *request, *result),
        Event::News(news) => take_news(model, news),
        Event::Checked(checks) => {
            let now = model.now;
            model.checks.replace(checks.into_iter().map(crate::rows::CheckRow).collect(), now);
        }
        Event::Done(Ok(said)) => model.say(said),
        Event::Done(Err(problem)) => model.complain(problem),
        Event::Terminate => model.quit = true,
    }
    settle(model);
    std::mem::take(&mut model.effects)
}

/// Brings what hangs together back together.
fn settle(model: &mut Model) {
    let height = model.table_height();
    if let Some(list) = model.list() {
        list.fit_to(height);
    }
    if !matches!(model.link, Link::Looking | Link::None(_) | Link::Starting) {
        ask::more_jobs(model);
        ask::payloads(model);
    }
}

fn tick(model: &mut Model, now: Timestamp) {
    model.now = now;
    model.count();
    add_job::watch(model);
    ask::due(model);
}

fn key(model: &mut Model, chord: Chord) {
    // Who does something else does not wait any more; what opened now would take keys that are not meant for it.
    model.awaited = None;
    if chord == Chord::Ctrl('c') {
        model.quit = true;
        return;
    }
    match &model.link {
        Link::Looking | Link::Starting => {
            if matches!(chord, Chord::Char('Q')) {
                model.quit = true;
            }
            return;
        }
        Link::None(_) => {
            match chord {
                Chord::Char('Q') => model.quit = true,
                Chord::Char('R') => {
                    model.link = Link::Looking;
                    model.effect(Effect::Connect);
                }
                Chord::Char('s') if model.setup.can_start && !model.setup.read_only => {
                    model.link = Link::Starting;
                    model.effect(Effect::StartServer);
                }
                _ => {}
            }
            return;
        }
        Link::Live | Link::Lost { .. } => {}
    }
    if model.overlay.is_some() {
        overlay::key(model, chord);
        return;
    }
    if let Some(binding) = model.setup.keys.find(model.view(), chord) {
        act::act(model, binding);
    }
}

fn mouse(model: &mut Model, pointer: Pointer) {
    if model.overlay.is_some() {
        return;
    }
    match pointer {
        Pointer::Wheel(up) => {
            let by = if up { -3 } else { 3 };
            act::scroll(model, by);
        }
        Pointer::Click(column, row) => {
            // The second line has the tabs, the fourth the headings.
            if row == 1 {
                if let Some(view) = crate::draw::tab_at(model, column) {
                    go::go(model, crate::view::Place::of(view));
                }
                return;
            }
            let (width, height) = (model.size.0, model.table_height());
            let Some(list) = model.list() else { return };
            if row == 3 {
                if let Some(heading) = crate::draw::heading_at(list.columns(), width, column) {
                    list.sort_by(heading);
                }
            } else if let Some(line) = usize::from(row).checked_sub(4).filter(|line| *line < height) {
                let position = list.offset() + line;
                if position < list.shown() {
                    let again = list.selected() == position;
                    list.go_to(position);
                    if again {
                        go::into(model);
                    }
                }
            }
        }
    }
}

fn take_news(model: &mut Model, news: News) {
    let now = model.now;
    match news {
        News::Events(events) => {
            model.events_lost = None;
            if model.frozen.is_some() {
                for event in events {
                    model.held.push_front(EventRow(event));
                }
                model.held.truncate(MOST_EVENTS);
            } else {
                let mut rows: Vec<EventRow> = events.into_iter().map(EventRow).collect();
                rows.reverse();
                model.events.prepend(rows, MOST_EVENTS, now);
            }
        }
        News::Feed(item) => feed::take(model, *item),
        News::FeedLost(problem) => feed::lost(model, problem),
        News::EventsMissed => model.say("some events were missed: they are no longer kept"),
        News::EventsLost(problem) => model.events_lost = Some(problem),
        News::Lines(job, lines) if model.logs.job == Some(job) => {
            for line in lines {
                if model.logs.lines.len() == MOST_LINES {
                    model.logs.lines.pop_front();
                    model.logs.dropped += 1;
                    model.logs.scroll = model.logs.scroll.saturating_sub(1);
                }
                model.logs.lines.push_back(line);
            }
        }
        News::LogEnd(job, state) if model.logs.job == Some(job) => {
            let ended = state.map_or("the job is deleted".to_owned(), |state| format!("the job is {state}"));
            model.logs.ended = Some(ended);
        }
        News::LogLost(job, problem) if model.logs.job == Some(job) => model.logs.ended = Some(problem),
        News::Lines(..) | News::LogEnd(..) | News::LogLost(..) => {}
    }
}

/// The view that is looked at has a list.
fn has_list(view: View) -> bool {
    !matches!(view, View::Overview | View::Job | View::Logs)
}

#[cfg(test)]
mod tests;
