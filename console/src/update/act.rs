//! What keys do.

use super::{add_job, answers, ask, describe, go, has_list, menus};
use crate::{
    exchange::{Effect, Request},
    input::Input,
    keys::{Action, Binding},
    model::{MOST_EVENTS, Model, Overlay},
    table::Row,
    view::{Place, View},
};

/// Does what a key is bound to.
pub(super) fn act(model: &mut Model, binding: &Binding) {
    if binding.changes && model.setup.read_only {
        model.complain(format!("{}: the console is read-only (--readonly)", binding.label));
        return;
    }
    let half = isize::try_from(model.table_height() / 2).unwrap_or(1).max(1);
    match binding.action {
        Action::Quit => model.quit = true,
        Action::Refresh => refresh(model),
        Action::AddJob => add_job::open(model),
        Action::Interfaces => model.ask_and_wait(Request::Interfaces),
        Action::Help => model.overlay = Some(Overlay::Help(0)),
        Action::Command => model.overlay = Some(Overlay::Command(Input::default())),
        Action::Filter => {
            let text = model.list().map(|list| list.filter_text().to_owned()).unwrap_or_default();
            model.overlay = Some(Overlay::Filter(Input::with(&text), text));
        }
        Action::Escape => go::escape(model),
        Action::Enter => go::into(model),
        Action::LastView => match model.history.last() {
            Some(last) => go::go(model, last),
            None => model.say("there is no view before this one"),
        },
        Action::Back => go::step(model, false),
        Action::Ahead => go::step(model, true),
        Action::NextView => turn(model, 1),
        Action::PreviousView => turn(model, View::MAIN.len() - 1),
        Action::GoTo(place) => go::go(model, Place::of(View::MAIN[place])),
        Action::Up => scroll(model, -1),
        Action::Down => scroll(model, 1),
        Action::HalfUp => scroll(model, -half),
        Action::HalfDown => scroll(model, half),
        Action::PageUp => scroll(model, -2 * half),
        Action::PageDown => scroll(model, 2 * half),
        Action::First => to_end(model, false),
        Action::Last => to_end(model, true),
        Action::SortNext | Action::SortPrevious | Action::SortReverse => sort(model, binding.action),
        Action::Mark => {
            model.jobs.table.toggle_mark();
            model.jobs.table.step(1);
        }
        Action::MarkAll => model.jobs.table.toggle_all(),
        Action::Freeze => freeze(model),
        Action::Messages => describe::messages(model),
        Action::Describe => describe::describe(model),
        Action::Json => describe::json(model),
        Action::Copy => copy(model),
        Action::Logs => {
            if let Some(id) = answers::selected_job(model) {
                go::go(model, Place::about(View::Logs, id));
            }
        }
        Action::Compare => {
            if let Some(id) = answers::selected_job(model) {
                model.ask_and_wait(Request::Compare(id));
            }
        }
        Action::Wrap => model.logs.wrap = !model.logs.wrap,
        Action::Times => model.logs.times = !model.logs.times,
        Action::Follow => {
            model.logs.follow = !model.logs.follow;
            model.logs.scroll = model.logs.lines.len().saturating_sub(model.page_height());
        }
        Action::Fold => fold(model),
        Action::FoldAll => fold_all(model),
        Action::Retry
        | Action::Cancel
        | Action::Edit
        | Action::Bulk
        | Action::Pause
        | Action::Resume
        | Action::Drain
        | Action::Concurrency
        | Action::Limit
        | Action::Purge
        | Action::Restart
        | Action::Suspend
        | Action::Stop
        | Action::Delete
        | Action::Trip
        | Action::Set
        | Action::TakeBack => menus::change(model, binding.action),
    }
}

fn refresh(model: &mut Model) {
    model.message = None;
    match model.view() {
        // The first page is on its way already.
        View::Jobs | View::Overview if model.jobs.loading && !model.jobs.loaded => {}
        View::Jobs | View::Overview => ask::jobs_anew(model),
        View::Doctor => model.effect(Effect::Examine),
        _ => {}
    }
    ask::again(model);
    model.say("everything is asked for again");
}

fn turn(model: &mut Model, by: usize) {
    let here = match model.view() {
        View::Job | View::Logs => View::Jobs,
        View::Workflow => View::Workflows,
        view => view,
    };
    let place = View::MAIN.iter().position(|view| *view == here).unwrap_or_default();
    go::go(model, Place::of(View::MAIN[(place + by) % View::MAIN.len()]));
}

/// Moves the selection, or the text.
pub(super) fn scroll(model: &mut Model, by: isize) {
    match model.view() {
        View::Job => {
            let last = crate::draw::last_scroll(model);
            model.job.scroll = model.job.scroll.min(last).saturating_add_signed(by).min(last);
        }
        View::Overview => model.jobs.table.step(by),
        View::Logs => {
            if model.logs.follow {
                model.logs.scroll = model.logs.lines.len().saturating_sub(model.page_height());
                model.logs.follow = false;
            }
            // Where long lines are broken, how many of them fit is not known here.
            let fit = if model.logs.wrap { 1 } else { model.page_height() };
            let last = model.logs.lines.len().saturating_sub(fit);
            model.logs.scroll = model.logs.scroll.saturating_add_signed(by).min(last);
        }
        _ => {
            if let Some(list) = model.list() {
                list.step(by);
            }
        }
    }
}

fn to_end(model: &mut Model, last: bool) {
    match model.view() {
        View::Job => model.job.scroll = if last { crate::draw::last_scroll(model) } else { 0 },
        View::Logs if last => model.logs.follow = true,
        View::Logs => {
            model.logs.follow = false;
            model.logs.scroll = 0;
        }
        View::Jobs if last => {
            model.jobs.want_all = model.jobs.has_more();
            model.jobs.table.go_to(usize::MAX);
        }
        _ => {
            if let Some(list) = model.list() {
                list.go_to(if last { usize::MAX } else { 0 });
            }
        }
    }
}

fn sort(model: &mut Model, action: Action) {
    let Some(list) = model.list() else { return };
    match action {
        Action::SortNext => list.sort_by_next(true),
        Action::SortPrevious => list.sort_by_next(false),
        _ => list.sort_reversed(),
    }
}

fn freeze(model: &mut Model) {
    if model.frozen.take().is_none() {
        model.frozen = Some(model.now);
        model.say("frozen: nothing is asked for until f is pressed again");
    } else {
        model.say("live again");
        let (held, now) = (std::mem::take(&mut model.held), model.now);
        model.events.prepend(held.into(), MOST_EVENTS, now);
        // What the feed has said meanwhile is asked for.
        ask::missed_all(model);
        ask::again(model);
    }
}

fn copy(model: &mut Model) {
    let text = match model.view() {
        View::Job | View::Logs => model.history.here().subject.map(|id| id.to_string()),
        View::Jobs => model.jobs.table.current().map(|job| job.summary.id.to_string()),
        View::Queues => model.queues.current().map(Row::key),
        View::Dead => model.causes.current().map(|cause| cause.0.cause.clone()),
        View::Tree => model.tree.current().map(Row::key),
        View::Cron => model.cron.current().map(Row::key),
        View::Workflows => model.workflows.current().map(|flow| flow.0.id.to_string()),
        View::Workflow => model.graph.steps.current().map(|step| step.view.job.to_string()),
        View::Nodes => model.nodes.current().map(Row::key),
        View::Edges => model.edges.current().map(Row::key),
        View::Events => model.events.current().and_then(|event| event.job()).map(|id| id.to_string()),
        View::Settings => {
            model.settings.current().map(|setting| format!("{} = {}", setting.view.key, setting.view.value))
        }
        View::Doctor => model.checks.current().and_then(|check| check.0.remedy.clone()),
        View::Overview => None,
    };
    match text {
        Some(text) => {
            model.say(format!("copied: {text}"));
            model.effect(Effect::Copy(text));
        }
        None => model.say("there is nothing to copy here"),
    }
}

fn fold(model: &mut Model) {
    let Some(row) = model.tree.current() else { return };
    if !row.has_children {
        model.say("nothing is below it");
        return;
    }
    let path = row.key();
    if !model.folded.remove(&path) {
        model.folded.insert(path);
    }
    answers::lay_tree(model);
}

fn fold_all(model: &mut Model) {
    if model.folded.is_empty() {
        let tops = model.tree_root.iter().flat_map(|root| &root.children);
        model.folded = tops.map(|child| child.path.clone()).collect();
    } else {
        model.folded.clear();
    }
    answers::lay_tree(model);
}

/// Takes a filter that was typed to its end.
pub(super) fn filter_typed(model: &mut Model) {
    if !has_list(model.view()) {
        return;
    }
    if model.view() == View::Jobs {
        ask::filter_changed(model);
    }
}
