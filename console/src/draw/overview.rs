//! The overview.

use callboard_contracts::api::{Alert, AlertSeverity, Latency, Rates, StateTotals};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    put,
    text::{fitted, sparkline},
};
use crate::{
    format,
    model::Model,
    table::{Row, Tone},
    theme::Theme,
};

/// What somebody should look at, the worst first: the sign, what it means, what it says.
fn alerts(model: &Model) -> Vec<(char, Tone, String)> {
    let of = |alert: &Alert| {
        let (sign, tone) = match alert.severity {
            AlertSeverity::Critical => ('X', Tone::Dead),
            AlertSeverity::Warning => ('!', Tone::Retry),
        };
        let since =
            alert.since.map(|since| format!(" (for {})", format::age(since, model.now))).unwrap_or_default();
        (sign, tone, format!("{} {}: {}{since}", alert.source, alert.subject, alert.text))
    };
    let own = model.overview.iter().flat_map(|overview| &overview.alerts).map(of);
    let outside = model.outside.alerts.iter().map(|alert| ('!', Tone::Retry, alert.clone()));
    own.chain(outside).collect()
}

pub(super) fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let left = Rect { width: 28.min(area.width), ..area };
    let right = Rect { x: area.x + 28, width: area.width.saturating_sub(28), ..area };
    totals(model, theme, frame, left);
    lately(model, theme, frame, right);
    let below = Rect { y: area.y + 9, height: area.height.saturating_sub(9), ..area };
    let used = draw_alerts(model, theme, frame, below);
    let rest = Rect { y: below.y + used, height: below.height.saturating_sub(used), ..below };
    recent(model, theme, frame, rest);
}

/// Jobs in each state, each with a letter of its own.
fn totals(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    put(frame, area, 0, Line::styled(" TOTALS", theme.heading()));
    let totals = model.overview.as_ref().map(|overview| overview.totals);
    let total = |of: fn(&StateTotals) -> u64| {
        totals.as_ref().map_or("-".to_owned(), |totals| format::count(of(totals)))
    };
    let lines = [
        ("P pending", total(|now| now.pending), Tone::Paused),
        ("S scheduled", total(|now| now.scheduled), Tone::Plain),
        ("A available", total(|now| now.available), Tone::Plain),
        ("E executing", total(|now| now.executing), Tone::Running),
        ("R retryable", total(|now| now.retryable), Tone::Retry),
        ("C completed", total(|now| now.completed), Tone::Done),
        ("X cancelled", total(|now| now.cancelled), Tone::Cancelled),
        ("D discarded", total(|now| now.discarded), Tone::Dead),
    ];
    for (row, (name, value, tone)) in (1..).zip(lines) {
        let name = Span::styled(format!(" {name:<13}"), theme.tone(tone));
        put(frame, area, row, Line::from(vec![name, Span::raw(format!("{value:>12}"))]));
    }
}

/// How it went over the last minutes.
fn lately(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    put(frame, area, 0, Line::styled("NOW           LAST MINUTES", theme.heading()));
    let overview = model.overview.as_ref();
    let rate = |of: fn(&Rates) -> f64| {
        overview.map_or("-".to_owned(), |overview| format!("{}/s", format::rate(of(&overview.rates))))
    };
    let latency = |latency: Option<Latency>| {
        latency.map_or("-".to_owned(), |latency| {
            format!("{} {}", format::millis(latency.p50_ms), format::millis(latency.p99_ms))
        })
    };
    let oldest = model.queues.rows().filter_map(|row| row.view.oldest_available_at).min();
    let oldest = oldest.map_or("-".to_owned(), |at| format::span(model.now.saturating_since(at)));
    let lines = [
        ("submitted", rate(|now| now.submitted), "submitted", Tone::Plain),
        ("completed", rate(|now| now.completed), "completed", Tone::Done),
        ("failed", rate(|now| now.failed), "failed", Tone::Dead),
        ("retried", rate(|now| now.retried), "retried", Tone::Retry),
        (
            "executing",
            overview.map_or("-".to_owned(), |now| format::count(now.totals.executing)),
            "executing",
            Tone::Running,
        ),
        ("longest wait", oldest, "oldest_ms", Tone::Paused),
        ("wait p50 p99", latency(overview.and_then(|now| now.wait)), "wait_p99_ms", Tone::Plain),
        ("run p50 p99", latency(overview.and_then(|now| now.run)), "run_p99_ms", Tone::Running),
    ];
    let width = usize::from(area.width).saturating_sub(30);
    for (row, (name, value, series, tone)) in (1..).zip(lines) {
        let points = model.series.as_ref().and_then(|all| all.points.get(series));
        let line = points.map(|points| sparkline(points, width)).unwrap_or_default();
        put(
            frame,
            area,
            row,
            Line::from(vec![
                Span::raw(format!("{name:<13}")),
                Span::raw(format!("{value:>14}  ")),
                Span::styled(line, theme.tone(tone)),
            ]),
        );
    }
}

fn draw_alerts(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) -> u16 {
    let alerts = alerts(model);
    let mut heading = vec![Span::styled(format!(" ALERTS {}", alerts.len()), theme.heading())];
    if let (1.., Some(problem)) = (model.outside.failures, &model.outside.problem) {
        let said = if model.outside.failures >= 3 {
            "no alerts from outside"
        } else {
            "alerts from outside are late"
        };
        heading.push(Span::styled(format!("  {said}: {}", format::first_line(problem)), theme.dim()));
    }
    put(frame, area, 0, Line::from(heading));
    let room = usize::from(area.height / 3).max(1);
    if alerts.is_empty() {
        put(frame, area, 1, Line::styled(" - all is well", theme.tone(Tone::Done)));
    }
    let more = alerts.len().saturating_sub(room);
    for (row, (place, (sign, tone, text))) in (1..).zip(alerts.iter().take(room).enumerate()) {
        let tail = if place + 1 == room && more > 0 { format!("  (and {more} more)") } else { String::new() };
        put(
            frame,
            area,
            row,
            Line::styled(format!(" {sign} {}{tail}", format::first_line(text)), theme.tone(*tone)),
        );
    }
    u16::try_from(alerts.len().clamp(1, room)).unwrap_or(1) + 1
}

fn recent(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    put(frame, area, 0, Line::styled(" RECENT JOBS", theme.heading()));
    let height = usize::from(area.height.saturating_sub(1));
    let table = &model.jobs.table;
    if table.is_empty() {
        let said = if model.jobs.loaded { " no job yet; N adds one" } else { " loading …" };
        put(frame, area, 1, Line::styled(said, theme.dim()));
    }
    let from = (table.selected() + 1).saturating_sub(height.max(1));
    for (row, (position, job)) in (1..).zip((from..).zip(table.shown_from(from).take(height))) {
        let state = job.cell(1, model.now);
        let line = Line::from(vec![
            Span::raw(format!(" {} ", fitted(&job.cell(0, model.now).text, 13, false))),
            Span::styled(fitted(&state.text, 11, false), theme.tone(state.tone)),
            Span::raw(format!(
                "{} {} {:>4}  ",
                fitted(&job.cell(2, model.now).text, 18, false),
                fitted(&job.cell(3, model.now).text, 12, false),
                job.cell(5, model.now).text
            )),
            Span::styled(job.cell(9, model.now).text, theme.tone(job.cell(9, model.now).tone)),
        ]);
        let line = if position == table.selected() { line.style(theme.selected()) } else { line };
        put(frame, area, row, line);
    }
}
