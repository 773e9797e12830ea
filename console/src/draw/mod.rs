//! The screen. Only what is on it is looked at, whatever is loaded.

mod form;
mod job;
mod overlay;
mod overview;
mod table;
mod text;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

pub(crate) use job::last_scroll;
pub(crate) use overlay::help_lines;
pub(crate) use table::heading_at;

use crate::{
    filter::Filter,
    format,
    model::{Link, Model, Overlay},
    table::{Row, Table, Tone},
    theme::Theme,
    view::View,
};

/// The smallest screen that is drawn.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Draws the screen.
pub fn draw(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let said =
            format!("{}x{} is too small: at least {}x{}", area.width, area.height, SMALLEST.0, SMALLEST.1);
        put(frame, area, 0, Line::from(said));
    } else {
        match &model.link {
            Link::Looking | Link::None(_) | Link::Starting => loading(model, theme, frame),
            Link::Live | Link::Lost { .. } => whole(model, theme, frame),
        }
    }
    if model.setup.ascii {
        to_ascii(frame);
    }
}

/// Writes a line into a row of an area.
fn put(frame: &mut Frame<'_>, area: Rect, row: u16, line: Line<'_>) {
    if row < area.height {
        let place = Rect { y: area.y + row, height: 1, ..area };
        frame.render_widget(line, place);
    }
}

fn loading(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut lines = vec![Line::styled("  callboard console", theme.heading()), Line::from("")];
    match &model.link {
        Link::Looking => lines.push(Line::from("  Looking for a server …")),
        Link::Starting => lines.push(Line::from("  Starting a server …")),
        Link::None(tried) => {
            lines.push(Line::styled("  No server answers.", theme.tone(Tone::Dead)));
            lines.push(Line::from(""));
            for (url, problem) in tried {
                lines.push(Line::from(format!("  {}", format::clean(url))));
                lines.push(Line::styled(format!("      {}", format::first_line(problem)), theme.dim()));
            }
            lines.push(Line::from(""));
            if model.setup.can_start && !model.setup.read_only {
                lines.push(Line::from("  s  start a server here: it goes on when the console ends"));
            }
            lines.push(Line::from("  R  look again"));
        }
        Link::Live | Link::Lost { .. } => {}
    }
    lines.push(Line::from("  Q  quit"));
    if let Some(message) = model.message.as_ref().filter(|message| message.is_error) {
        lines.push(Line::from(""));
        for line in text::wrapped(&message.text, usize::from(area.width).saturating_sub(4)) {
            lines.push(Line::styled(format!("  {line}"), theme.tone(Tone::Dead)));
        }
    }
    for (row, line) in (1..).zip(lines) {
        put(frame, area, row, line);
    }
}

fn whole(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    put(frame, area, 0, header(model, theme, area.width));
    put(frame, area, 1, tabs(model, theme, area.width));
    let body = Rect { y: 2, height: area.height - 4, ..area };
    match model.view() {
        View::Overview => overview::draw(model, theme, frame, body),
        View::Jobs => list(model, theme, frame, body, &model.jobs.table, jobs_said(model)),
        View::Job => job::draw(model, theme, frame, body),
        View::Logs => job::draw_logs(model, theme, frame, body),
        View::Queues => list(model, theme, frame, body, &model.queues, String::new()),
        View::Dead => list(model, theme, frame, body, &model.causes, String::new()),
        View::Tree => list(model, theme, frame, body, &model.tree, tree_said(model)),
        View::Cron => list(model, theme, frame, body, &model.cron, String::new()),
        View::Workflows => list(model, theme, frame, body, &model.workflows, String::new()),
        View::Workflow => list(model, theme, frame, body, &model.graph.steps, graph_said(model)),
        View::Nodes => list(model, theme, frame, body, &model.nodes, String::new()),
        View::Edges => list(model, theme, frame, body, &model.edges, String::new()),
        View::Events => {
            let said = model.events_lost.as_ref().map(|problem| format!("not followed: {problem}"));
            list(model, theme, frame, body, &model.events, said.unwrap_or_default());
        }
        View::Settings => {
            let said = model.node.as_ref().map(|node| format!("of the node {node}")).unwrap_or_default();
            list(model, theme, frame, body, &model.settings, said);
        }
        View::Doctor => list(model, theme, frame, body, &model.checks, String::new()),
    }
    message(model, theme, frame);
    put(frame, area, area.height - 1, footer(model, theme, area.width));
    if let Some(over) = &model.overlay {
        overlay::draw(model, theme, frame, over);
    }
}

fn list<R: Row>(
    model: &Model,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
    table: &Table<R>,
    said: String,
) {
    let mut spans = vec![Span::styled(format!(" {}", crumbs(model)), theme.heading())];
    let shown = table.shown();
    let of = if shown == table.len() {
        String::new()
    } else {
        format!(" of {}", format::count(table.len() as u64))
    };
    let position = if shown == 0 { 0 } else { table.selected() + 1 };
    spans.push(Span::raw(format!(
        "  {}/{}{of}",
        format::count(position as u64),
        format::count(shown as u64)
    )));
    if table.marked() > 0 {
        spans.push(Span::styled(format!("  {} marked", table.marked()), theme.badge(Tone::Retry)));
    }
    let filter: &Filter = table.filter();
    if !filter.text.is_empty() {
        spans.push(Span::styled(format!("  /{}", format::clean(&filter.text)), theme.tone(Tone::Running)));
    }
    if let Some((column, reversed)) = table.sort() {
        let name = R::COLUMNS.get(column).map_or("", |column| column.name).to_lowercase();
        spans.push(Span::styled(
            format!("  by {name}{}", if reversed { ", reversed" } else { "" }),
            theme.dim(),
        ));
    }
    if !said.is_empty() {
        spans.push(Span::styled(format!("  {}", format::first_line(&said)), theme.dim()));
    }
    put(frame, area, 0, Line::from(spans));
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    table::draw(model, theme, frame, rows, table);
}

fn jobs_said(model: &Model) -> String {
    let jobs = &model.jobs;
    let mut parts = Vec::new();
    if jobs.is_full() && jobs.has_more() {
        parts.push(format!(
            "the newest {} are loaded, the server has more",
            format::count(jobs.table.len() as u64)
        ));
    } else if jobs.loading {
        parts.push("loading …".to_owned());
    } else if jobs.has_more() {
        parts.push("more on the server".to_owned());
    }
    if jobs.behind.is_some() {
        parts.push("newer ones are being loaded".to_owned());
    }
    if jobs.table.unknown() > 0 {
        parts.push(format!(
            "{} not judged by their payloads (at most the newest {} are)",
            format::count(jobs.table.unknown() as u64),
            format::count(crate::model::MOST_PAYLOADS as u64)
        ));
    }
    if model.batch.total > 0 {
        let batch = &model.batch;
        parts.insert(0, format!("{}/{} done, {} failed", batch.done, batch.total, batch.failed));
    }
    parts.join("; ")
}

fn tree_said(model: &Model) -> String {
    let node = model.tree_of.as_ref().or(model.node.as_ref());
    node.map(|node| format!("of the node {node}")).unwrap_or_default()
}

fn graph_said(model: &Model) -> String {
    let Some(workflow) = &model.graph.workflow else { return "loading …".to_owned() };
    let cut = if model.graph.truncated { "; not all steps are shown" } else { "" };
    format!("{}: {} of {} steps done{cut}", workflow.state, workflow.completed, workflow.steps)
}

/// Where somebody is, from the top.
fn crumbs(model: &Model) -> String {
    let here = model.history.here();
    let subject = |id: uuid::Uuid| {
        let id = id.simple().to_string();
        format!("{}~{}", &id[..4], &id[24..])
    };
    match (here.view, here.subject) {
        (View::Job, Some(id)) => format!("jobs › {}", subject(id)),
        (View::Logs, Some(id)) => format!("jobs › {} › logs", subject(id)),
        (View::Workflow, Some(id)) => {
            let name = model.graph.workflow.as_ref().and_then(|workflow| workflow.name.clone());
            format!("workflows › {}", format::clean(&name.unwrap_or_else(|| subject(id))))
        }
        (view, _) => view.name().to_owned(),
    }
}

fn header<'m>(model: &'m Model, theme: &Theme, width: u16) -> Line<'m> {
    let mut spans = vec![Span::styled(" callboard ", theme.heading())];
    match &model.link {
        Link::Lost { since, problem } => {
            let age = model.answered_at.map(|at| format::age(at, model.now)).unwrap_or_default();
            spans.push(Span::styled(format!(" STALE {age} "), theme.badge(Tone::Dead)));
            marks(model, theme, &mut spans);
            let down = format::age(*since, model.now);
            let problem = format::first_line(problem);
            spans.push(Span::raw(format!("  reconnecting since {down}: {problem}")));
        }
        _ => {
            let status = model.readiness.as_ref().map_or("…", |readiness| readiness.status.as_str());
            let tone = match status {
                "ready" => Tone::Done,
                "starting" | "stopping" => Tone::Running,
                "degraded" => Tone::Retry,
                _ => Tone::Plain,
            };
            spans.push(Span::styled(format!(" {} ", status.to_uppercase()), theme.badge(tone)));
            marks(model, theme, &mut spans);
            if width >= 100 {
                let node = model.node.as_deref().unwrap_or("");
                let version = model.readiness.as_ref().map_or("", |readiness| readiness.version.as_str());
                spans.push(Span::styled(
                    format!("  {}  {}", format::clean(node), format::clean(version)),
                    theme.dim(),
                ));
            }
        }
    }
    Line::from(spans)
}

/// What holds whether the server answers or not.
fn marks<'m>(model: &'m Model, theme: &Theme, spans: &mut Vec<Span<'m>>) {
    if model.frozen.is_some() {
        spans.push(Span::raw(" "));
        spans.push(Span::styled(" FROZEN ", theme.badge(Tone::Paused)));
    }
    if model.setup.read_only {
        spans.push(Span::raw(" "));
        spans.push(Span::styled(" READ-ONLY ", theme.badge(Tone::Cancelled)));
    }
    spans.push(Span::raw(format!(" {}", format::clean(&model.url))));
}

/// The tabs as they are written, each with the columns that it takes.
fn tab_places(model: &Model, width: u16) -> Vec<(View, String, std::ops::Range<u16>)> {
    let here = match model.view() {
        View::Job | View::Logs => View::Jobs,
        View::Workflow => View::Workflows,
        view => view,
    };
    // On a narrow screen the names are cut to what tells them apart.
    let short = width < 130;
    let mut at = 0;
    let mut places = Vec::new();
    for (place, view) in View::MAIN.into_iter().enumerate() {
        let name = view.name();
        let name = if short && view != here { &name[..name.len().min(4)] } else { name };
        let digit = match place {
            0..=8 => char::from_digit(place as u32 + 1, 10),
            9 => Some('0'),
            _ => None,
        };
        let text = match digit {
            Some(digit) => format!("{digit}{name}"),
            None => name.to_owned(),
        };
        let length = text.len() as u16;
        places.push((view, text, at + 1..at + 1 + length));
        at += length + 1;
    }
    places
}

fn tabs<'m>(model: &Model, theme: &Theme, width: u16) -> Line<'m> {
    let here = model.view();
    let mut spans = Vec::new();
    for (view, text, _) in tab_places(model, width) {
        let chosen = view == here
            || matches!(
                (here, view),
                (View::Job | View::Logs, View::Jobs) | (View::Workflow, View::Workflows)
            );
        spans.push(Span::raw(" "));
        spans.push(Span::styled(text, if chosen { theme.selected() } else { theme.dim() }));
    }
    Line::from(spans)
}

/// The view whose tab is in this column.
pub(crate) fn tab_at(model: &Model, column: u16) -> Option<View> {
    tab_places(model, model.size.0)
        .into_iter()
        .find(|(_, _, columns)| columns.contains(&column))
        .map(|(view, ..)| view)
}

fn message(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let row = area.height - 2;
    let typed = match &model.overlay {
        Some(Overlay::Command(input)) => Some((":", input)),
        Some(Overlay::Filter(input, _)) => Some(("/", input)),
        _ => None,
    };
    if let Some((sign, input)) = typed {
        let (seen, column) = text::around(&input.text(), input.at(), usize::from(area.width) - 1);
        let mut spans = vec![Span::styled(sign, theme.heading()), Span::raw(seen)];
        let hint = match &model.overlay {
            Some(Overlay::Command(input)) => {
                let found = crate::update::completions(&input.text());
                found.into_iter().take(8).collect::<Vec<_>>().join(" ")
            }
            _ => match &model.message {
                Some(message) if message.is_error => message.text.clone(),
                _ => "word, /regex/, !not, -f fuzzy, field:value, field>3, and, or".to_owned(),
            },
        };
        spans.push(Span::styled(format!("   {hint}"), theme.dim()));
        put(frame, area, row, Line::from(spans));
        frame.set_cursor_position(Position { x: 1 + column, y: row });
        return;
    }
    let Some(message) = &model.message else { return };
    let style = if message.is_error { theme.tone(Tone::Dead) } else { Style::new() };
    let mark = if message.is_error { "! " } else { "" };
    put(frame, area, row, Line::styled(format!(" {mark}{}", format::first_line(&message.text)), style));
}

/// The keys that are valid here, as many as there is room for.
fn footer<'m>(model: &Model, theme: &Theme, width: u16) -> Line<'m> {
    let pairs: Vec<(String, String)> = match &model.overlay {
        None => {
            let valid = model.setup.keys.valid(model.view()).filter(|binding| binding.footer);
            let allowed = valid.filter(|binding| !(binding.changes && model.setup.read_only));
            let key = |binding: &crate::keys::Binding| {
                model.setup.keys.of(binding).first().map(ToString::to_string).unwrap_or_default()
            };
            // What holds everywhere comes first, so that it is never cut off.
            let (everywhere, own): (Vec<_>, Vec<_>) = allowed.partition(|binding| binding.views.is_empty());
            everywhere.iter().chain(&own).map(|binding| (key(binding), binding.label.to_owned())).collect()
        }
        Some(over) => overlay::keys(over),
    };
    let mut spans = Vec::new();
    let mut used = 0;
    for (key, label) in pairs {
        let length = key.chars().count() + label.chars().count() + 3;
        if used + length > usize::from(width) {
            break;
        }
        used += length;
        spans.push(Span::raw(" "));
        spans.push(Span::styled(key, theme.heading()));
        spans.push(Span::raw(format!(" {label} ")));
    }
    Line::from(spans)
}

/// Signs that not every terminal has, and what is written in their place.
fn to_ascii(frame: &mut Frame<'_>) {
    for cell in &mut frame.buffer_mut().content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let plain = match symbol {
            "│" => "|",
            "─" => "-",
            "├" | "┌" | "┐" | "┘" | "└" => "+",
            "…" | "·" => ".",
            "›" => ">",
            "▁" | "▂" => "_",
            "▃" | "▄" => "-",
            "▅" | "▆" => "=",
            "▇" | "█" => "#",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}

#[cfg(test)]
mod tests;
