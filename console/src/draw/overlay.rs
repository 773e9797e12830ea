//! What lies over a view.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::{Block, Clear, Widget},
};

use super::{
    form, put,
    text::{around, wrapped},
};
use crate::{
    format,
    keys::Binding,
    model::{AddJob, Confirm, Model, Overlay, Prompt},
    table::Tone,
    theme::Theme,
};

/// The keys that hold in an overlay, for the footer.
pub(super) fn keys(over: &Overlay) -> Vec<(String, String)> {
    let pairs: &[(&str, &str)] = match over {
        Overlay::Help(_) => &[("Esc", "close"), ("j k", "scroll")],
        Overlay::Text(_) => &[("Esc", "close"), ("j k", "scroll"), ("c", "copy all")],
        Overlay::Confirm(confirm) if confirm.word.is_some() => &[("Enter", "do it"), ("Esc", "leave it")],
        Overlay::Confirm(_) => &[("y", "do it"), ("n", "leave it"), ("Esc", "leave it")],
        Overlay::Prompt(_) => &[("Enter", "take it"), ("Esc", "leave it")],
        Overlay::Command(_) => &[("Enter", "do it"), ("Tab", "complete"), ("Esc", "leave it")],
        Overlay::Filter(..) => &[("Enter", "keep it"), ("Esc", "leave it as it was")],
        Overlay::Menu { .. } => &[("Enter", "choose"), ("j k", "up, down"), ("Esc", "close")],
        Overlay::AddJob(state) => match **state {
            AddJob::Choose(..) => &[("Enter", "choose"), ("Up Down", "select"), ("Esc", "close")],
            AddJob::Fill(_) => &[("Tab", "next field"), ("Ctrl-s", "submit"), ("Esc", "leave it")],
            AddJob::Loading | AddJob::Sent { .. } => &[("Esc", "close")],
        },
        Overlay::EditJob(_) => &[("Ctrl-s", "replay with this payload"), ("Esc", "leave it")],
    };
    pairs.iter().map(|(key, label)| ((*key).to_owned(), (*label).to_owned())).collect()
}

pub(super) fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>, over: &Overlay) {
    match over {
        Overlay::Help(scroll) => page(theme, frame, "Help", help(model), *scroll),
        Overlay::Text(text) => {
            let lines = text.lines.iter().map(|line| Line::from(line.as_str())).collect();
            page(theme, frame, &text.title, lines, text.scroll);
        }
        Overlay::Confirm(confirm) => confirmation(theme, frame, confirm),
        Overlay::Prompt(prompt) => question(theme, frame, prompt),
        Overlay::Menu { title, items, selected } => {
            let width = items.iter().map(|item| item.label.chars().count()).max().unwrap_or(0);
            let lines = items.iter().enumerate().map(|(place, item)| {
                let text =
                    format!(" {:<width$}  {} ", format::clean(&item.label), format::clean(&item.about));
                if place == *selected { Line::styled(text, theme.selected()) } else { Line::from(text) }
            });
            let lines: Vec<Line<'_>> = lines.collect();
            // A long list is moved so that the selected one is seen.
            let room = usize::from(frame.area().height).saturating_sub(8);
            let from = (selected + 1).saturating_sub(room.max(1));
            window(theme, frame, title, lines.into_iter().skip(from).collect());
        }
        Overlay::AddJob(state) => form::draw(model, theme, frame, state),
        Overlay::EditJob(edit) => form::draw_edit(theme, frame, edit),
        // These are typed into the line of messages.
        Overlay::Command(_) | Overlay::Filter(..) => {}
    }
}

/// The keys that are valid in the view, from the table by which they are dispatched.
fn help(model: &Model) -> Vec<Line<'static>> {
    let line = |binding: &Binding| {
        let keys: Vec<String> = model.setup.keys.of(binding).iter().map(ToString::to_string).collect();
        let mark = match (binding.changes, model.setup.read_only) {
            (true, true) => " (not while read-only)",
            (true, false) => " *",
            _ => "",
        };
        Line::from(format!(" {:<14} {}{mark}", keys.join(" "), binding.help))
    };
    let (own, everywhere): (Vec<_>, Vec<_>) =
        model.setup.keys.valid(model.view()).partition(|binding| !binding.views.is_empty());
    let mut lines = vec![Line::from(format!(" In the view {}:", model.view().name()))];
    if own.is_empty() {
        lines.push(Line::from(" nothing of its own"));
    }
    lines.extend(own.into_iter().map(line));
    lines.push(Line::from(""));
    lines.push(Line::from(" Everywhere:"));
    lines.extend(everywhere.into_iter().map(line));
    lines.push(Line::from(""));
    lines.push(Line::from(" * changes something on the server. Capitals that could do harm ask first."));
    lines.push(Line::from(""));
    lines.push(Line::from(" Filters: word   /regex/   !not   -f fuzzy   \"with spaces\"   and   or   ( )"));
    lines.push(Line::from("          field:value   field:a,b   field:/regex/   field>3   field<=5m"));
    if let Some(fields) = fields(model) {
        lines.push(Line::from(format!(" Fields:  {fields}")));
    }
    lines
}

/// How many lines the page about keys has.
pub(crate) fn help_lines(model: &Model) -> usize {
    help(model).len()
}

/// The fields that a filter may ask for in the view.
fn fields(model: &Model) -> Option<String> {
    use crate::{rows, table::Row, view::View};
    let fields: &[&str] = match model.view() {
        View::Jobs => rows::JobRow::FIELDS,
        View::Queues => rows::QueueRow::FIELDS,
        View::Dead => rows::CauseRow::FIELDS,
        View::Tree => rows::TreeRow::FIELDS,
        View::Cron => rows::CronRow::FIELDS,
        View::Workflows => rows::WorkflowRow::FIELDS,
        View::Workflow => rows::StepRow::FIELDS,
        View::Nodes => rows::NodeRow::FIELDS,
        View::Edges => rows::EdgeRow::FIELDS,
        View::Events => rows::EventRow::FIELDS,
        View::Settings => rows::SettingRow::FIELDS,
        View::Doctor => rows::CheckRow::FIELDS,
        View::Overview | View::Job | View::Logs => return None,
    };
    Some(fields.join(" "))
}

/// A page that takes the whole screen but for its first and last lines.
fn page(theme: &Theme, frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>, scroll: usize) {
    let whole = frame.area();
    let area = Rect { y: 1, height: whole.height - 2, ..whole };
    let inner = open(theme, frame, area, title);
    let height = usize::from(inner.height);
    let from = scroll.min(lines.len().saturating_sub(height));
    for (row, line) in (0..).zip(lines.into_iter().skip(from).take(height)) {
        put(frame, inner, row, line);
    }
}

/// A frame with a title; the area within it.
pub(super) fn open(theme: &Theme, frame: &mut Frame<'_>, area: Rect, title: &str) -> Rect {
    Clear.render(area, frame.buffer_mut());
    let title = Line::styled(format!(" {} ", format::clean(title)), theme.heading());
    let block =
        Block::bordered().border_set(ratatui::symbols::border::PLAIN).title(title).border_style(theme.dim());
    let inner = block.inner(area);
    block.render(area, frame.buffer_mut());
    inner
}

/// A window in the middle that is as large as its lines; the area within it.
pub(super) fn window(theme: &Theme, frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>) -> Rect {
    let whole = frame.area();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(title.chars().count() + 4) + 4;
    let width =
        u16::try_from(widest).unwrap_or(u16::MAX).clamp(30.min(whole.width), whole.width.saturating_sub(2));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(whole.height.saturating_sub(4));
    let area = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 2, width, height };
    let inner = open(theme, frame, area, title);
    for (row, line) in (0..).zip(lines) {
        put(frame, inner, row, line);
    }
    inner
}

/// How wide texts in a window may be.
fn room(frame: &Frame<'_>) -> usize {
    usize::from(frame.area().width).saturating_sub(10).min(90)
}

fn confirmation(theme: &Theme, frame: &mut Frame<'_>, confirm: &Confirm) {
    let mut lines: Vec<Line<'_>> = vec![Line::from("")];
    for detail in &confirm.details {
        lines.extend(wrapped(detail, room(frame)).into_iter().map(|line| Line::from(format!(" {line}"))));
    }
    lines.push(Line::from(""));
    let (typed, column) = around(&confirm.typed.text(), confirm.typed.at(), room(frame));
    match &confirm.word {
        None => lines.push(Line::from(vec![
            Span::styled(" y", theme.heading()),
            Span::raw(" yes   "),
            Span::styled("n", theme.heading()),
            Span::raw(" no"),
        ])),
        Some(word) => {
            lines.push(Line::from(format!(" To do it, type {word} and Enter:")));
            lines.push(Line::styled(format!(" {typed} "), theme.selected()));
        }
    }
    let inner = window(theme, frame, &confirm.question, lines);
    if confirm.word.is_some() {
        let x = inner.x + 1 + column;
        let y = inner.y + inner.height.saturating_sub(1);
        frame.set_cursor_position(Position { x: x.min(inner.x + inner.width), y });
    }
}

fn question(theme: &Theme, frame: &mut Frame<'_>, prompt: &Prompt) {
    let room = room(frame);
    let mut lines: Vec<Line<'_>> = wrapped(&prompt.hint, room)
        .into_iter()
        .map(|line| Line::styled(format!(" {line}"), theme.dim()))
        .collect();
    if let Some(problem) = &prompt.problem {
        let problem = wrapped(problem, room).into_iter();
        lines.extend(problem.map(|line| Line::styled(format!(" {line}"), theme.tone(Tone::Dead))));
    }
    lines.push(Line::from(""));
    let (seen, column) = around(&prompt.input.text(), prompt.input.at(), room);
    lines.push(Line::styled(format!(" {seen:<40} "), theme.selected()));
    let inner = window(theme, frame, &prompt.question, lines);
    let x = inner.x + 1 + column;
    frame.set_cursor_position(Position { x, y: inner.y + inner.height.saturating_sub(1) });
}
