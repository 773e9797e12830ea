//! The form for a new job, and the editor of a payload.

use callboard_contracts::api::FormField;
use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{
    overlay::{open, window},
    put,
    text::{around, fitted, wrapped},
};
use crate::{
    format,
    model::{AddJob, EditJob, Extra, JobForm, Model, TypedField},
    table::Tone,
    theme::Theme,
    update::fitting,
};

/// Lines of a field of several lines that are shown.
const AREA_LINES: usize = 5;

pub(super) fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>, state: &AddJob) {
    match state {
        AddJob::Loading => {
            window(theme, frame, "New job", vec![Line::from(" The job types are being asked for …")]);
        }
        AddJob::Choose(input, selected) => {
            let found = fitting(model, &input.text());
            let room = usize::from(frame.area().height).saturating_sub(10).max(3);
            let from = (selected + 1).saturating_sub(room);
            let width = usize::from(frame.area().width).saturating_sub(12).min(90);
            let (seen, column) = around(&input.text(), input.at(), width.saturating_sub(7));
            let mut lines = vec![Line::from(vec![Span::styled(" type: ", theme.dim()), Span::raw(seen)])];
            lines.push(Line::from(""));
            for (place, job_type) in found.iter().enumerate().skip(from).take(room) {
                let about = format::first_line(&job_type.description);
                let text =
                    fitted(&format!(" {:<24} {about}", format::clean(&job_type.job_type)), width, false);
                lines.push(if place == *selected {
                    Line::styled(text, theme.selected())
                } else {
                    Line::from(text)
                });
            }
            if found.is_empty() {
                lines.push(Line::styled(" no job type is called so", theme.dim()));
            }
            let inner = window(theme, frame, "New job", lines);
            let x = inner.x + 7 + column;
            frame.set_cursor_position(Position {
                x: x.min(inner.x + inner.width.saturating_sub(1)),
                y: inner.y,
            });
        }
        AddJob::Fill(form) => fill(theme, frame, form, None),
        AddJob::Sent { form, late, .. } => {
            let said = if *late {
                format!("The server has not answered for 2 s; it may still store the job as {}", form.id)
            } else {
                "Submitting …".to_owned()
            };
            fill(theme, frame, form, Some(said));
        }
    }
}

/// What is typed is not shown.
fn hidden(field: Option<&FormField>, text: String) -> String {
    if field.is_some_and(|field| field.secret) { "*".repeat(text.chars().count()) } else { text }
}

fn fill(theme: &Theme, frame: &mut Frame<'_>, form: &JobForm, said: Option<String>) {
    let whole = frame.area();
    let area = Rect { y: 1, height: whole.height - 2, ..whole };
    let inner = open(theme, frame, area, &format!("New job of the type {}", form.job_type.job_type));
    let width = usize::from(inner.width).saturating_sub(2);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut cursor = None;
    let mut focus_line = 0;
    for line in wrapped(form.job_type.description.lines().next().unwrap_or(""), width) {
        lines.push(Line::styled(format!(" {line}"), theme.dim()));
    }
    for error in form.errors.iter().filter(|error| error.pointer.is_empty()) {
        for line in wrapped(&error.message, width) {
            lines.push(Line::styled(format!(" {line}"), theme.tone(Tone::Dead)));
        }
    }
    let asked = form.job_type.form.fields.iter().map(Some).chain(Extra::ALL.map(|_| None));
    for (place, (field, typed)) in asked.zip(&form.typed).enumerate() {
        let has_focus = place == form.focus;
        if has_focus {
            focus_line = lines.len();
        }
        let extra =
            place.checked_sub(form.job_type.form.fields.len()).and_then(|place| Extra::ALL.get(place));
        let label = match (field, extra) {
            (Some(field), _) if field.required => format!("{} (needed)", format::clean(&field.label)),
            (Some(field), _) => format::clean(&field.label).into_owned(),
            (None, Some(extra)) => extra.label().to_owned(),
            (None, None) => String::new(),
        };
        let pointer = match (field, extra) {
            (Some(field), _) => field.pointer.as_str(),
            (None, extra) => extra.map_or("", |extra| extra.label()),
        };
        lines.push(Line::styled(format!(" {label}"), if has_focus { theme.heading() } else { theme.dim() }));
        if has_focus {
            let mut hint = match (field, extra) {
                (Some(field), _) => field.control.wanted(),
                (None, extra) => extra.map_or(String::new(), |extra| extra.wanted().to_owned()),
            };
            if let Some(default) = field.and_then(|field| field.default.as_ref()) {
                hint.push_str(&format!("; left out: {default}"));
            }
            if let Some(help) = field.and_then(|field| field.help.as_deref()) {
                hint.push_str(&format!("; {}", format::first_line(help)));
            }
            lines.extend(
                wrapped(&hint, width.saturating_sub(2))
                    .into_iter()
                    .map(|line| Line::styled(format!("   {line}"), theme.dim())),
            );
        }
        for error in form.errors.iter().filter(|error| !pointer.is_empty() && error.pointer == pointer) {
            for line in wrapped(&error.message, width.saturating_sub(2)) {
                lines.push(Line::styled(format!("   {line}"), theme.tone(Tone::Dead)));
            }
        }
        match typed {
            TypedField::Line(input) => {
                let text = hidden(field, input.text());
                if has_focus {
                    let (seen, column) = around(&text, input.at(), width.saturating_sub(3));
                    cursor = Some((lines.len(), column));
                    lines.push(Line::styled(format!("   {seen:<40}"), theme.selected()));
                } else {
                    lines.push(Line::from(format!("   {text}")));
                }
            }
            TypedField::Area(area) => {
                let (row, column) = area.at();
                let from = if has_focus { (row + 1).saturating_sub(AREA_LINES) } else { 0 };
                let shown = if has_focus { AREA_LINES } else { 1 };
                for (at, text) in area.lines().enumerate().skip(from).take(shown) {
                    let text = hidden(field, text);
                    if has_focus && at == row {
                        let (seen, column) = around(&text, column, width.saturating_sub(3));
                        cursor = Some((lines.len(), column));
                        lines.push(Line::styled(format!("   {seen:<40}"), theme.selected()));
                    } else {
                        lines.push(Line::from(format!("   {text}")));
                    }
                }
            }
        }
    }
    lines.push(Line::from(""));
    let button = form.focus >= form.typed.len();
    if button {
        focus_line = lines.len();
    }
    lines.push(Line::styled("  [ Submit ]  ", if button { theme.selected() } else { theme.heading() }));
    if let Some(said) = said {
        focus_line = lines.len();
        lines.push(Line::styled(format!(" {said}"), theme.tone(Tone::Running)));
    }
    let height = usize::from(inner.height);
    // The field that has the cursor is seen with all that belongs to it.
    let from = (focus_line + AREA_LINES + 3).saturating_sub(height).min(lines.len().saturating_sub(height));
    for (row, line) in (0..).zip(lines.into_iter().skip(from).take(height)) {
        put(frame, inner, row, line);
    }
    if let Some((line, column)) = cursor.filter(|(line, _)| *line >= from && *line < from + height) {
        let x = inner.x + 3 + column.min(inner.width.saturating_sub(4));
        let y = inner.y + u16::try_from(line - from).unwrap_or(0);
        frame.set_cursor_position(Position { x, y });
    }
}

/// How many letters stand before a column.
fn seen_before(seen: &str, column: u16) -> usize {
    let mut used = 0;
    let before = seen.chars().take_while(|letter| {
        used += Span::raw(letter.to_string()).width();
        used <= usize::from(column)
    });
    before.count()
}

pub(super) fn draw_edit(theme: &Theme, frame: &mut Frame<'_>, edit: &EditJob) {
    let whole = frame.area();
    let area = Rect { y: 1, height: whole.height - 2, ..whole };
    let inner = open(theme, frame, area, &format!("Payload for a replay of {}", edit.job));
    let said = match &edit.problem {
        Some(problem) => Line::styled(format!(" {}", format::first_line(problem)), theme.tone(Tone::Dead)),
        None => Line::styled(" A new job gets this payload; the old one stays as it is.", theme.dim()),
    };
    put(frame, inner, 0, said);
    let text = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let height = usize::from(text.height);
    let (row, column) = edit.area.at();
    let from = (row + 1).saturating_sub(height.max(1));
    let width = usize::from(text.width).saturating_sub(6).max(1);
    let line = edit.area.lines().nth(row).unwrap_or_default();
    let (seen, at) = around(&line, column, width);
    // All lines are moved aside as far as that of the cursor.
    let before = column - seen_before(&seen, at);
    for (screen, (number, line)) in (0..).zip(edit.area.lines().enumerate().skip(from).take(height)) {
        let seen: String = line.chars().skip(before).collect();
        let line =
            Line::from(vec![Span::styled(format!("{:>4} ", number + 1), theme.dim()), Span::raw(seen)]);
        put(frame, text, screen, line);
    }
    let x = text.x + 5 + at;
    let y = text.y + u16::try_from(row - from).unwrap_or(0);
    frame.set_cursor_position(Position { x, y });
}
