//! One job, and what it says.

use std::time::Duration;

use callboard_contracts::{
    JobState, Timestamp,
    api::{AttemptOutcome, AttemptView, JobDetail, LogLevel},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{crumbs, put, text::wrapped};
use crate::{format, model::Model, rows::state_tone, table::Tone, theme::Theme};

/// Columns of the bar that shows how long an attempt took.
const BAR: usize = 24;

pub(super) fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut title = vec![Span::styled(format!(" {}", crumbs(model)), theme.heading())];
    if let Some(problem) = &model.job.problem {
        title.push(Span::styled(format!("  {}", format::first_line(problem)), theme.tone(Tone::Dead)));
    }
    put(frame, area, 0, Line::from(title));
    let Some(detail) = &model.job.detail else {
        if model.job.problem.is_none() {
            put(frame, area, 1, Line::styled(" loading …", theme.dim()));
        }
        return;
    };
    let lines = lines(model, theme, detail, usize::from(area.width));
    let height = usize::from(area.height.saturating_sub(1));
    let from = model.job.scroll.min(lines.len().saturating_sub(height));
    for (row, line) in (1..).zip(lines.into_iter().skip(from).take(height)) {
        put(frame, area, row, line);
    }
}

/// How far the page of a job can be scrolled.
pub(crate) fn last_scroll(model: &Model) -> usize {
    let Some(detail) = &model.job.detail else { return 0 };
    let lines = lines(model, &Theme::default(), detail, usize::from(model.size.0)).len();
    lines.saturating_sub(model.page_height())
}

fn lines<'m>(model: &'m Model, theme: &Theme, detail: &'m JobDetail, width: usize) -> Vec<Line<'m>> {
    let job = &detail.summary;
    let mut lines = Vec::new();
    let field = |name: &str, value: String| {
        Line::from(vec![Span::styled(format!(" {name:<12}"), theme.dim()), Span::raw(value)])
    };
    lines.push(field("id", job.id.to_string()));
    lines.push(Line::from(vec![
        Span::styled(format!(" {:<12}", "state"), theme.dim()),
        Span::styled(job.state.as_str(), theme.tone(state_tone(job.state))),
        Span::raw(format!("   attempt {} of {}", job.attempt, job.max_attempts)),
    ]));
    lines.push(field(
        "type",
        format!("{}   queue {}", format::clean(&job.job_type), format::clean(&job.queue)),
    ));
    let limit = format::span(Duration::from_millis(detail.timeout_ms));
    let mut more = format!("{}   each attempt at most {limit}", job.priority);
    if let Some(key) = &job.partition_key {
        more.push_str(&format!("   key {}", format::clean(key)));
    }
    lines.push(field("priority", more));
    if !job.tags.is_empty() {
        lines.push(field("tags", format::clean(&job.tags.join(" ")).into_owned()));
    }
    if let Some(waits) = &detail.waits_for {
        lines.push(field("waits for", format::first_line(waits)));
    }
    if let Some(progress) = &detail.progress {
        let done = (progress.fraction.clamp(0.0, 1.0) * BAR as f64) as usize;
        let says = progress.message.as_deref().map(format::first_line).unwrap_or_default();
        let percent = (progress.fraction.clamp(0.0, 1.0) * 100.0).floor();
        lines.push(Line::from(vec![
            Span::styled(format!(" {:<12}", "progress"), theme.dim()),
            Span::styled("█".repeat(done), theme.tone(Tone::Running)),
            Span::raw(format!("{} {percent}%  {says}", "·".repeat(BAR - done))),
        ]));
    }
    if let Some(original) = detail.replay_of {
        lines.push(field("replay of", original.to_string()));
    }
    if detail.cancel_requested_at.is_some() {
        lines.push(field("cancel", "somebody has asked for it; the run is told to end".to_owned()));
    }
    lines.push(field("correlation", detail.correlation_id.to_string()));
    lines.push(Line::from(""));
    lines.push(Line::styled(" TIMELINE", theme.heading()));
    timeline(model.now, theme, detail, &mut lines);
    if let Some(error) = detail.attempts.last().and_then(|attempt| attempt.error.as_ref()) {
        lines.push(Line::from(""));
        lines.push(Line::styled(" LAST ERROR", theme.heading()));
        let text = wrapped(&error.message, width.saturating_sub(4));
        lines.extend(text.into_iter().map(|line| Line::styled(format!("   {line}"), theme.tone(Tone::Dead))));
        for line in error.backtrace.iter().flat_map(|backtrace| backtrace.lines()) {
            lines.push(Line::styled(format!("   {}", format::clean(line)), theme.dim()));
        }
    }
    let mut json = |title: &'static str, text: &'m [String]| {
        if !text.is_empty() {
            lines.push(Line::from(""));
            lines.push(Line::styled(title, theme.heading()));
            lines.extend(text.iter().map(|line| Line::from(format!("   {line}"))));
        }
    };
    json(" PAYLOAD", &model.job.payload);
    json(" RESULT", &model.job.result);
    if !detail.edits.is_empty() {
        lines.push(Line::from(""));
        lines.push(Line::styled(" EDITS", theme.heading()));
        for edit in &detail.edits {
            let why = edit
                .reason
                .as_deref()
                .map(|why| format!(": {}", format::first_line(why)))
                .unwrap_or_default();
            lines.push(Line::from(format!(
                "   {} {} -> {} by {}{why}",
                format::at(edit.at),
                edit.original,
                edit.replay,
                edit.by
            )));
        }
    }
    lines
}

/// The way of the job, and how long each attempt took.
fn timeline<'m>(now: Timestamp, theme: &Theme, detail: &'m JobDetail, lines: &mut Vec<Line<'m>>) {
    let job = &detail.summary;
    lines.push(Line::from(format!("   {}  stored", format::at(job.created_at))));
    let ran = |attempt: &AttemptView| {
        attempt.finished_at.saturating_since(attempt.started_at.unwrap_or(attempt.claimed_at))
    };
    let running =
        (job.state == JobState::Executing).then(|| now.saturating_since(job.started_at.unwrap_or(now)));
    let longest = detail
        .attempts
        .iter()
        .map(ran)
        .chain(running)
        .max()
        .unwrap_or_default()
        .max(Duration::from_millis(1));
    let bar = |span: Duration| {
        let length = (span.as_secs_f64() / longest.as_secs_f64() * BAR as f64).round() as usize;
        "█".repeat(length.clamp(1, BAR))
    };
    for attempt in &detail.attempts {
        let (word, tone) = match attempt.outcome {
            AttemptOutcome::Completed => ("completed", Tone::Done),
            AttemptOutcome::Failed => ("failed", Tone::Retry),
            AttemptOutcome::Cancelled => ("cancelled", Tone::Cancelled),
            AttemptOutcome::Released => ("released", Tone::Plain),
        };
        let span = ran(attempt);
        let kind = attempt
            .error
            .as_ref()
            .map(|error| format!(" ({:?})", error.kind).to_lowercase())
            .unwrap_or_default();
        lines.push(Line::from(vec![
            Span::raw(format!("   {}  #{} ", format::at(attempt.claimed_at), attempt.attempt)),
            Span::styled(format!("{:<BAR$} ", bar(span)), theme.tone(tone)),
            Span::styled(format!("{word}{kind}"), theme.tone(tone)),
            Span::raw(format!(" after {} on {}", format::span(span), format::clean(&attempt.node))),
        ]));
    }
    if let Some(span) = running {
        lines.push(Line::from(vec![
            Span::raw(format!("   {}  #{} ", format::at(job.started_at.unwrap_or(now)), job.attempt)),
            Span::styled(format!("{:<BAR$} ", bar(span)), theme.tone(Tone::Running)),
            Span::styled(format!("runs for {}", format::span(span)), theme.tone(Tone::Running)),
        ]));
    }
    match job.state {
        JobState::Scheduled | JobState::Retryable => {
            let at = format!(
                "   {}  runs next ({})",
                format::at(job.scheduled_at),
                format::age(job.scheduled_at, now)
            );
            lines.push(Line::styled(at, theme.tone(Tone::Retry)));
        }
        _ => {
            if let Some(end) = job.finished_at {
                let whole = format::span(end.saturating_since(job.created_at));
                let line = format!("   {}  {}, {whole} after it was stored", format::at(end), job.state);
                lines.push(Line::styled(line, theme.tone(state_tone(job.state))));
            }
        }
    }
}

pub(super) fn draw_logs(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let logs = &model.logs;
    let mut title = vec![Span::styled(format!(" {}", crumbs(model)), theme.heading())];
    title.push(Span::raw(format!("  {}", format::plural(logs.lines.len(), "line"))));
    for (word, holds) in [("follows", logs.follow), ("wrapped", logs.wrap), ("times", logs.times)] {
        if holds {
            title.push(Span::styled(format!("  {word}"), theme.tone(Tone::Running)));
        }
    }
    if logs.dropped > 0 {
        title
            .push(Span::styled(format!("  the first {} are gone", format::count(logs.dropped)), theme.dim()));
    }
    if let Some(ended) = &logs.ended {
        title.push(Span::styled(format!("  end: {}", format::first_line(ended)), theme.dim()));
    }
    put(frame, area, 0, Line::from(title));
    let height = usize::from(area.height.saturating_sub(1));
    if logs.lines.is_empty() {
        put(frame, area, 1, Line::styled(" it has said nothing so far", theme.dim()));
    }
    // With the end in view at most as many lines are looked at as there are rows: each takes one at least.
    let from = if logs.follow { logs.lines.len().saturating_sub(height) } else { logs.scroll };
    let width = usize::from(area.width).saturating_sub(1);
    let mut shown: Vec<Line<'_>> = Vec::new();
    for line in logs.lines.iter().skip(from).take(height) {
        let tone = match line.level {
            LogLevel::Error | LogLevel::Stderr => Tone::Dead,
            LogLevel::Warn => Tone::Retry,
            LogLevel::Debug => Tone::Cancelled,
            LogLevel::Info | LogLevel::Stdout => Tone::Plain,
        };
        let time = if logs.times { format!("{} ", format::time_of_day(line.at)) } else { String::new() };
        let head = format!("{time}#{} {:<6} ", line.attempt, line.level.as_str());
        if line.dropped_before > 0 {
            shown.push(Line::styled(
                format!(" ({} lines before were not kept)", line.dropped_before),
                theme.dim(),
            ));
        }
        let room = width.saturating_sub(head.len()).max(10);
        let mut parts =
            if logs.wrap { wrapped(&line.text, room) } else { vec![format::clean(&line.text).into_owned()] };
        let rest = parts.split_off(1);
        shown.push(Line::from(vec![
            Span::styled(format!(" {head}"), theme.dim()),
            Span::styled(parts.remove(0), theme.tone(tone)),
        ]));
        let indent = " ".repeat(head.len() + 1);
        shown.extend(rest.into_iter().map(|part| Line::styled(format!("{indent}{part}"), theme.tone(tone))));
    }
    let cut = if logs.follow { shown.len().saturating_sub(height) } else { 0 };
    for (row, line) in (1..).zip(shown.into_iter().skip(cut).take(height)) {
        put(frame, area, row, line);
    }
}
