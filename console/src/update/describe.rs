//! Pages of text about what is selected.

use callboard_contracts::api::TreeNode;
use serde::Serialize;

use super::{answers::selected_job, go};
use crate::{
    format,
    model::{Model, Overlay, TextPage},
    view::{Place, View},
};

fn show(model: &mut Model, title: impl Into<String>, lines: Vec<String>) {
    model.overlay = Some(Overlay::Text(TextPage { title: title.into(), lines, scroll: 0 }));
}

/// The last messages.
pub(super) fn messages(model: &mut Model) {
    let lines = model.messages.iter().rev().flat_map(|message| {
        let kind = if message.is_error { "error" } else { "     " };
        let mut said = message.text.lines();
        let first = format!(
            "{} {kind} {}",
            format::time_of_day(message.at),
            format::clean(said.next().unwrap_or(""))
        );
        let rest: Vec<String> = said.map(|line| format!("{:19}{}", "", format::clean(line))).collect();
        std::iter::once(first).chain(rest)
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        lines.push("Nothing was said so far.".to_owned());
    }
    show(model, "Messages, newest first", lines);
}

/// All there is to know about what is selected.
pub(super) fn describe(model: &mut Model) {
    let page = match model.view() {
        View::Jobs | View::Overview => {
            if let Some(id) = selected_job(model) {
                go::go(model, Place::about(View::Job, id));
            }
            None
        }
        View::Tree => model.tree.current().map(|row| (format!("Actor {}", row.name()), actor(&row.node))),
        View::Queues => model.queues.current().map(|row| (format!("Queue {}", row.view.name), queue(row))),
        View::Edges => model.edges.current().map(|row| (format!("Edge {}", row.0.name), fields(&row.0))),
        View::Nodes => model.nodes.current().map(|row| (format!("Node {}", row.0.name), fields(&row.0))),
        View::Cron => model.cron.current().map(|row| (format!("Cron entry {}", row.0.name), cron(&row.0))),
        View::Workflows => {
            model.workflows.current().map(|row| (format!("Workflow {}", row.0.id), fields(&row.0)))
        }
        View::Workflow => {
            model.graph.steps.current().map(|row| (format!("Step {}", row.view.name), fields(&row.view)))
        }
        View::Dead => model.causes.current().map(|row| (format!("Cause {}", row.0.cause), fields(&row.0))),
        View::Events => model.events.current().map(|row| (format!("Event {}", row.0.cursor), fields(&row.0))),
        View::Settings => model.settings.current().map(|row| {
            let mut lines = fields(&row.view);
            lines.extend(row.waits.iter().map(|waits| format!("after a restart: {}", format::clean(waits))));
            (format!("Setting {}", row.view.key), lines)
        }),
        View::Doctor => model.checks.current().map(|row| {
            let check = &row.0;
            let mut lines = vec![format!("{}: {}", check.verdict.as_str(), check.found), String::new()];
            lines.extend(check.about.lines().map(str::to_owned));
            if let Some(remedy) = &check.remedy {
                lines.extend([String::new(), "To mend it:".to_owned()]);
                lines.extend(remedy.lines().map(|line| format!("    {line}")));
            }
            (format!("Check {}", check.name), lines)
        }),
        _ => None,
    };
    if let Some((title, lines)) = page {
        show(model, title, lines);
    }
}

/// What is selected, as JSON.
pub(super) fn json(model: &mut Model) {
    let lines = match model.view() {
        View::Jobs => model.jobs.table.current().map(|row| format::json_lines(&row.summary)),
        View::Job => model.job.detail.as_ref().map(format::json_lines),
        View::Queues => model.queues.current().map(|row| format::json_lines(&row.view)),
        View::Dead => model.causes.current().map(|row| format::json_lines(&row.0)),
        View::Tree => {
            let path = model.tree.current().map(|row| row.node.path.clone());
            path.and_then(|path| model.tree_root.as_ref()?.find(&path).map(format::json_lines))
        }
        View::Cron => model.cron.current().map(|row| format::json_lines(&row.0)),
        View::Workflows => model.workflows.current().map(|row| format::json_lines(&row.0)),
        View::Workflow => model.graph.steps.current().map(|row| format::json_lines(&row.view)),
        View::Nodes => model.nodes.current().map(|row| format::json_lines(&row.0)),
        View::Edges => model.edges.current().map(|row| format::json_lines(&row.0)),
        View::Events => model.events.current().map(|row| format::json_lines(&row.0)),
        View::Settings => model.settings.current().map(|row| format::json_lines(&row.view)),
        View::Overview | View::Logs | View::Doctor => None,
    };
    match lines {
        Some(lines) => show(model, "As JSON", lines),
        None => model.say("nothing is selected"),
    }
}

/// Each field of a thing in a line.
fn fields(thing: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(thing).unwrap_or_default();
    let Some(object) = value.as_object() else { return format::json_lines(&value) };
    let width = object.keys().map(String::len).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in object {
        match value {
            serde_json::Value::String(text) => {
                let mut parts = text.lines();
                lines.push(format!("{name:<width$}  {}", format::clean(parts.next().unwrap_or(""))));
                lines.extend(parts.map(|line| format!("{:<width$}  {}", "", format::clean(line))));
            }
            value if value.is_object() || value.is_array() => {
                lines.push(format!("{name:<width$}  :"));
                lines.extend(format::json_lines(value).into_iter().map(|line| format!("    {line}")));
            }
            value => lines.push(format!("{name:<width$}  {value}")),
        }
    }
    lines
}

fn actor(node: &TreeNode) -> Vec<String> {
    let mut lines = vec![
        format!("path        {}", if node.path.is_empty() { "(root)" } else { &node.path }),
        format!("type        {}", format::clean(&node.actor_type)),
        format!("state       {}", format::clean(&node.state)),
    ];
    lines.extend(node.condition.iter().map(|says| format!("says        {}", format::clean(says))));
    lines.push(format!("generation  {}", node.generation));
    if node.restarts_allowed > 0 {
        lines.push(format!(
            "restarts    {} of {} that its budget allows",
            node.restarts, node.restarts_allowed
        ));
    }
    let capacity =
        if node.mailbox_capacity == 0 { "no bound".to_owned() } else { node.mailbox_capacity.to_string() };
    lines.push(format!(
        "mailbox     {} of {capacity}, {} refused",
        node.mailbox_depth,
        format::count(node.refused)
    ));
    lines.push(format!("handled     {}", format::count(node.handled)));
    if let Some(message) = &node.current_message {
        let since = node
            .current_message_ms
            .map(|ms| format!(", for {}", format::millis(ms as f64)))
            .unwrap_or_default();
        lines.push(format!("handles     {}{since}", format::clean(message)));
    }
    lines.push(format!("crashes     {}", node.crashes));
    for crash in &node.last_crashes {
        lines.push(String::new());
        lines.push(format!(
            "{}  {} (generation {}) crashed{}",
            format::at(crash.at),
            format::clean(&crash.actor),
            crash.generation,
            crash
                .message_type
                .as_ref()
                .map(|message| format!(" on {}", format::clean(message)))
                .unwrap_or_default()
        ));
        lines.extend(crash.reason.lines().map(|line| format!("    {}", format::clean(line))));
        if let Some(backtrace) = &crash.backtrace {
            lines.extend(backtrace.lines().map(|line| format!("    {}", format::clean(line))));
        }
    }
    lines
}

fn queue(row: &crate::rows::QueueRow) -> Vec<String> {
    let mut lines = vec![format!("condition  {}", row.condition().0)];
    if let Some(pause) = &row.view.pause {
        lines.push(format!(
            "paused by  {} ({})",
            format::clean(&pause.by),
            pause.cause.as_str().replace('_', " ")
        ));
        lines.extend(pause.reason.iter().map(|reason| format!("because    {}", format::clean(reason))));
    }
    lines.push(String::new());
    lines.extend(fields(&row.view));
    lines
}

fn cron(entry: &callboard_contracts::api::CronView) -> Vec<String> {
    let definition = &entry.definition;
    let mut lines = vec![
        format!(
            "expression  {} ({})",
            format::clean(&definition.expression),
            format::clean(&definition.time_zone)
        ),
        format!("in words    {}", format::clean(&entry.description)),
        format!("from        {}, set by {}", entry.source.as_str(), format::clean(&entry.set_by)),
        format!("counts      fired {}, skipped {}, missed {}", entry.fired, entry.skipped, entry.missed),
        String::new(),
        "Next times:".to_owned(),
    ];
    lines
        .extend(entry.next_times.iter().map(|time| format!("    {}  ({})", time.local, format::at(time.at))));
    lines.extend([String::new(), "Last times:".to_owned()]);
    lines.extend(entry.firings.iter().map(|firing| {
        let job = firing.job_id.map(|id| id.to_string()).unwrap_or_default();
        let reason = firing.reason.as_deref().unwrap_or("");
        format!(
            "    {}  {:<8} {job} {}",
            format::at(firing.due),
            firing.result.as_str(),
            format::clean(reason)
        )
    }));
    lines.extend([String::new(), "The job:".to_owned()]);
    lines.extend(format::json_lines(&definition.job).into_iter().map(|line| format!("    {line}")));
    lines
}
