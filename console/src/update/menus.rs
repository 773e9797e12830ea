//! Questions before something is changed, and lists to choose from.

use std::collections::BTreeMap;

use callboard_contracts::{
    JobState,
    api::{
        BulkAction, BulkFilter, BulkPreview, Change as Changed, JobComparison, NodeAction, PutEdge, StartBulk,
    },
};

use super::{add_job, answers::selected_job, overlay};
use crate::{
    exchange::{Change, Effect, Intent, Request},
    filter::{Node, pushed_down},
    format,
    input::Input,
    keys::Action,
    model::{Confirm, MenuItem, Model, Overlay, Prompt, PromptFor, TextPage},
    table::Row,
    view::View,
};

/// Asks for a yes.
fn confirm(model: &mut Model, question: String, details: Vec<String>, changes: Vec<Change>) {
    let typed = Input::default();
    model.overlay = Some(Overlay::Confirm(Confirm { question, details, word: None, typed, changes }));
}

/// Asks for a yes that has to be typed.
fn confirm_typed(
    model: &mut Model,
    question: String,
    details: Vec<String>,
    word: String,
    changes: Vec<Change>,
) {
    let typed = Input::default();
    model.overlay = Some(Overlay::Confirm(Confirm { question, details, word: Some(word), typed, changes }));
}

fn prompt(model: &mut Model, question: String, hint: &str, text: &str, purpose: PromptFor) {
    let input = Input::with(text);
    let prompt = Prompt { question, hint: hint.to_owned(), input, problem: None, purpose };
    model.overlay = Some(Overlay::Prompt(prompt));
}

/// Prepares a change of what is selected.
pub(super) fn change(model: &mut Model, action: Action) {
    match model.view() {
        View::Jobs | View::Job | View::Logs => jobs(model, action),
        View::Queues => queues(model, action),
        View::Dead => dead(model),
        View::Tree => tree(model, action),
        View::Cron => cron(model, action),
        View::Workflows | View::Workflow => workflows(model, action),
        View::Nodes => nodes(model, action),
        View::Edges => edges(model, action),
        View::Settings => settings(model, action),
        View::Overview | View::Events | View::Doctor => {}
    }
}

fn jobs(model: &mut Model, action: Action) {
    match action {
        Action::Edit => {
            if let Some(id) = selected_job(model) {
                add_job::edit(model, id);
            }
            return;
        }
        Action::Bulk => {
            bulk(model);
            return;
        }
        _ => {}
    }
    let one = |id| if action == Action::Retry { Change::Retry(id) } else { Change::Cancel(id) };
    let marked: Vec<uuid::Uuid> = match model.view() {
        View::Jobs => model.jobs.table.marked_rows().map(Row::key).collect(),
        _ => Vec::new(),
    };
    let word = if action == Action::Retry { "Run" } else { "Cancel" };
    let again = if action == Action::Retry { " again" } else { "" };
    if !marked.is_empty() {
        let mut states: BTreeMap<&'static str, usize> = BTreeMap::new();
        for job in model.jobs.table.marked_rows() {
            *states.entry(job.summary.state.as_str()).or_default() += 1;
        }
        let mut details: Vec<String> =
            states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let hidden = model.jobs.table.marked_hidden();
        if hidden > 0 {
            details.push(format!(
                "{} of them do not fit the filter and are not shown.",
                format::count(hidden as u64)
            ));
        }
        let question = format!("{word} {}{again}?", format::plural(marked.len(), "marked job"));
        confirm(model, question, details, marked.into_iter().map(one).collect());
    } else if let Some(id) = selected_job(model) {
        if action == Action::Retry {
            overlay::make(model, vec![one(id)]);
        } else {
            let known = model.jobs.table.get(&id).map(|job| job.summary.clone());
            let known = known.or_else(|| {
                model.job.detail.as_ref().filter(|job| job.summary.id == id).map(|job| job.summary.clone())
            });
            let details =
                known.map(|job| format!("{} of the queue {}, {}", job.job_type, job.queue, job.state));
            confirm(model, format!("Cancel the job {id}?"), details.into_iter().collect(), vec![one(id)]);
        }
    }
}

/// What of a filter a bulk operation can be given; none if the filter says more than that.
fn bulk_filter(node: &Node) -> Option<BulkFilter> {
    fn is_whole(node: &Node) -> bool {
        match node {
            Node::All => true,
            Node::And(left, right) => is_whole(left) && is_whole(right),
            Node::Is(field, crate::filter::Pattern::Same(words)) => match field.as_str() {
                "state" => true,
                "queue" | "type" | "worker" | "tag" | "cause" => words.len() == 1,
                _ => false,
            },
            _ => false,
        }
    }
    let query = is_whole(node).then(|| pushed_down(node))?;
    Some(BulkFilter {
        state: query.states,
        cause: query.cause,
        queue: query.queue,
        job_type: query.job_type,
        tag: query.tag,
    })
}

fn bulk(model: &mut Model) {
    let Some(filter) = bulk_filter(&model.jobs.table.filter().node) else {
        model.complain(
            "the server finds jobs by state:, queue:, type:, tag: and cause: alone; change the filter so, or mark jobs \
             (A marks all that are loaded)",
        );
        return;
    };
    let start = |action, states: &[JobState]| {
        let mut filter = filter.clone();
        if filter.state.is_empty() && filter.cause.is_none() {
            filter.state = states.to_vec();
        }
        StartBulk { id: None, action, filter, patch: None, reason: None, dry_run: false }
    };
    let waiting = [JobState::Pending, JobState::Scheduled, JobState::Available, JobState::Retryable];
    let item = |label: &str, about: &str, start| MenuItem {
        label: label.to_owned(),
        about: about.to_owned(),
        effect: None,
        preview: Some(start),
    };
    let items = vec![
        item(
            "retry",
            "run them again; without state: in the filter, the dead ones",
            start(BulkAction::Retry, &[JobState::Discarded]),
        ),
        item(
            "cancel",
            "call them off; without state: in the filter, those that wait",
            start(BulkAction::Cancel, &waiting),
        ),
    ];
    let title = "With all jobs on the server that fit the filter".to_owned();
    model.overlay = Some(Overlay::Menu { title, items, selected: 0 });
}

/// Asks whether a bulk operation is to be begun, now that it is known what it would do.
pub(super) fn bulk_question(model: &mut Model, intent: Intent, preview: &BulkPreview) {
    let Intent { start, purges } = intent;
    if preview.matched == 0 {
        model.say("no job fits");
        return;
    }
    let more = if preview.at_least { "at least " } else { "" };
    let count = usize::try_from(preview.matched).unwrap_or(usize::MAX);
    let jobs = format::plural(count, "job");
    let question = match start.action {
        BulkAction::Retry => format!("Run {more}{jobs} again?"),
        BulkAction::Cancel => format!("Cancel {more}{jobs}?"),
    };
    let mut details = vec!["Such as:".to_owned()];
    details.extend(
        preview
            .sample
            .iter()
            .take(5)
            .map(|job| format!("  {} {} of the queue {}", job.state, job.job_type, job.queue)),
    );
    let changes = vec![Change::Bulk(Box::new(start))];
    match purges {
        Some(queue) => confirm_typed(model, question, details, queue, changes),
        None if preview.matched > 100 => {
            confirm_typed(model, question, details, preview.matched.to_string(), changes)
        }
        None => confirm(model, question, details, changes),
    }
}

fn queues(model: &mut Model, action: Action) {
    let Some(queue) = model.queues.current().map(|row| row.view.clone()) else { return };
    let name = queue.name.clone();
    match action {
        Action::Pause => {
            let details = vec![format!("{} wait, {} run and go on", queue.available, queue.executing)];
            confirm(model, format!("Pause the queue {name}?"), details, vec![Change::PauseQueue(name)]);
        }
        Action::Resume => {
            overlay::make(model, vec![Change::ResumeQueue(name)]);
        }
        Action::Drain => {
            let details = vec![
                format!(
                    "It is paused; it shows \"drained\" when the {} that run have ended.",
                    queue.executing
                ),
                "o lets it go on.".to_owned(),
            ];
            confirm(model, format!("Drain the queue {name}?"), details, vec![Change::DrainQueue(name)]);
        }
        Action::Concurrency => {
            let hint =
                "a whole number of at least 1 for every node that serves it; leave it empty to take it back";
            let question = format!("How many jobs of {name} does each node run at once?");
            model.ask(Request::Nodes);
            prompt(model, question, hint, &queue.concurrency.to_string(), PromptFor::Concurrency(name));
        }
        Action::Limit => {
            let hint = "a whole number of at least 1; leave it empty to take the limit away";
            let question = format!("How many jobs of {name} do all nodes together run at once?");
            let now = queue.max_running.map(|most| most.to_string()).unwrap_or_default();
            prompt(model, question, hint, &now, PromptFor::Limit(name));
        }
        Action::Purge => {
            let waiting =
                vec![JobState::Pending, JobState::Scheduled, JobState::Available, JobState::Retryable];
            let filter = BulkFilter { state: waiting, queue: Some(name.clone()), ..BulkFilter::default() };
            let reason = Some("purged in the console".to_owned());
            let start = StartBulk {
                id: None,
                action: BulkAction::Cancel,
                filter,
                patch: None,
                reason,
                dry_run: false,
            };
            model.ask_and_wait(Request::Preview(Intent { start, purges: Some(name) }));
        }
        _ => {}
    }
}

fn dead(model: &mut Model) {
    let Some(cause) = model.causes.current().map(|row| row.0.clone()) else { return };
    let filter = BulkFilter {
        state: vec![JobState::Discarded],
        cause: Some(cause.cause),
        queue: Some(cause.queue),
        job_type: Some(cause.job_type),
        tag: None,
    };
    let start =
        StartBulk { id: None, action: BulkAction::Retry, filter, patch: None, reason: None, dry_run: false };
    model.ask_and_wait(Request::Preview(Intent { start, purges: None }));
}

fn tree(model: &mut Model, action: Action) {
    let Some(row) = model.tree.current() else { return };
    let (path, state) = (row.key(), row.node.state.clone());
    let Some(node) = model.tree_of.clone().or_else(|| model.node.clone()) else {
        model.complain("it is not known yet which node this is; try again in a moment");
        return;
    };
    if path.is_empty() {
        model.complain("the root is the node itself: see the view of the nodes");
        return;
    }
    let below =
        model.tree_root.as_ref().and_then(|root| root.find(&path)).map_or(0, |found| found.children.len());
    let mut details = vec![format!("It is {state}, on the node {node}.")];
    if below > 0 {
        details.push(format!("{} below it are concerned, too.", format::plural(below, "child")));
    }
    let actor = path.clone();
    match action {
        Action::Restart => {
            let change = Change::Order(node, NodeAction::RestartActor { actor });
            confirm(model, format!("Restart {path}?"), details, vec![change]);
        }
        Action::Suspend => {
            details.push(
                "It handles no messages until somebody lets it go on; its mailbox takes them.".to_owned(),
            );
            let change = Change::Order(node, NodeAction::SuspendActor { actor });
            confirm(model, format!("Suspend {path}?"), details, vec![change]);
        }
        Action::Resume => overlay::make(model, vec![Change::Order(node, NodeAction::ResumeActor { actor })]),
        _ => {
            details.push("It is there again when what is above it is restarted.".to_owned());
            let change = Change::Order(node, NodeAction::StopActor { actor });
            confirm_typed(model, format!("Stop {path}?"), details, path, vec![change]);
        }
    }
}

fn cron(model: &mut Model, action: Action) {
    let Some(entry) = model.cron.current().map(|row| row.0.clone()) else { return };
    let name = entry.name;
    match action {
        Action::Retry => {
            let details = vec![format!("A job of the type {} is stored now.", entry.definition.job.job_type)];
            confirm(model, format!("Run {name} now?"), details, vec![Change::RunCron(name)]);
        }
        Action::Pause => {
            confirm(model, format!("Pause {name}?"), vec![entry.description], vec![Change::PauseCron(name)]);
        }
        Action::Resume => overlay::make(model, vec![Change::ResumeCron(name)]),
        Action::Delete => {
            let details = vec![entry.description, "Its jobs stay.".to_owned()];
            let changes = vec![Change::DeleteCron(name.clone())];
            confirm_typed(model, format!("Take {name} out of the cron table?"), details, name, changes);
        }
        _ => {}
    }
}

fn workflows(model: &mut Model, action: Action) {
    let workflow = match model.view() {
        View::Workflow => model.graph.workflow.clone(),
        _ => model.workflows.current().map(|row| row.0.clone()),
    };
    let Some(workflow) = workflow else { return };
    let name = workflow.name.clone().unwrap_or_else(|| workflow.id.to_string());
    match action {
        Action::Resume => overlay::make(model, vec![Change::ResumeWorkflow(workflow.id)]),
        _ => {
            let details = vec![format!(
                "{} of {} steps wait or run; what is done stays done.",
                workflow.waiting + workflow.active,
                workflow.steps
            )];
            confirm(
                model,
                format!("Cancel the workflow {name}?"),
                details,
                vec![Change::CancelWorkflow(workflow.id)],
            );
        }
    }
}

fn nodes(model: &mut Model, action: Action) {
    let Some(node) = model.nodes.current().map(|row| row.0.clone()) else { return };
    let name = node.name.clone();
    let runs =
        vec![format!("{} run on it.", format::plural(usize::try_from(node.running).unwrap_or(0), "job"))];
    match action {
        Action::Pause => {
            let changes = vec![Change::Order(name.clone(), NodeAction::Pause)];
            confirm(model, format!("Let {name} claim no more jobs?"), runs, changes);
        }
        Action::Resume => overlay::make(model, vec![Change::Order(name, NodeAction::Resume)]),
        _ => {
            let mut details = runs;
            details.push("It ends them or hands them back, and exits.".to_owned());
            let changes = vec![Change::Order(name.clone(), NodeAction::Drain)];
            confirm_typed(model, format!("Drain {name}?"), details, name, changes);
        }
    }
}

fn edges(model: &mut Model, action: Action) {
    let Some(name) = model.edges.current().map(Row::key) else { return };
    match action {
        Action::Trip => {
            let question = format!("Why are all jobs to wait that need {name}?");
            prompt(
                model,
                question,
                "a reason for people, or nothing; Esc leaves it as it is",
                "",
                PromptFor::Trip(name),
            );
        }
        _ => overlay::make(model, vec![Change::Edge(name, PutEdge::ready())]),
    }
}

fn settings(model: &mut Model, action: Action) {
    let Some(setting) = model.settings.current().map(|row| row.view.clone()) else { return };
    if !setting.live {
        model.complain(format!("{} needs a restart: change it in the configuration", setting.key));
        return;
    }
    match action {
        Action::Set => {
            let question = format!("{} is to be?", setting.key);
            let hint = "as in an environment variable: no quotation marks; holds until the node ends";
            let value = setting.value.trim_matches('"').to_owned();
            prompt(model, question, hint, &value, PromptFor::Setting(setting.key));
        }
        _ => {
            let changes = vec![Change::Settings(BTreeMap::from([(setting.key.clone(), None)]))];
            confirm(
                model,
                format!("Take back what was set for {}?", setting.key),
                vec![setting.source],
                changes,
            );
        }
    }
}

/// Lists the web interfaces.
pub(super) fn interfaces(model: &mut Model, interfaces: Vec<(String, String)>) {
    let items: Vec<MenuItem> = interfaces
        .into_iter()
        .map(|(label, url)| MenuItem {
            label,
            about: url.clone(),
            effect: Some(Effect::Open(url)),
            preview: None,
        })
        .collect();
    if items.is_empty() {
        model.say("no web interfaces are registered (settings interfaces.NAME)");
        return;
    }
    let title = "Web interfaces".to_owned();
    model.overlay = Some(Overlay::Menu { title, items, selected: 0 });
}

/// Shows how a job differs from a success.
pub(super) fn comparison(model: &mut Model, comparison: &JobComparison) {
    let job = &comparison.job;
    let Some(success) = &comparison.success else {
        model.say("no success of its type and queue was found to compare it with");
        return;
    };
    let ran = |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| format::millis(ms as f64));
    let node = |node: &Option<String>| node.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        format!("{:<12} {:<38} {}", "", "this job", "last success"),
        format!("{:<12} {:<38} {}", "id", job.id, success.id),
        format!("{:<12} {:<38} {}", "state", job.state, success.state),
        format!(
            "{:<12} {:<38} {}",
            "attempts",
            format!("{} of {}", job.attempt, job.max_attempts),
            format!("{} of {}", success.attempt, success.max_attempts)
        ),
        format!("{:<12} {:<38} {}", "node", node(&job.node), node(&success.node)),
        format!("{:<12} {:<38} {}", "ran", ran(job.ran_ms), ran(success.ran_ms)),
        String::new(),
    ];
    if comparison.differences.is_empty() {
        lines.push("The payloads are the same.".to_owned());
    }
    for difference in &comparison.differences {
        let shown = |value: &Option<serde_json::Value>| {
            value
                .as_ref()
                .map_or("(nothing)".to_owned(), |value| format::clean(&value.to_string()).into_owned())
        };
        let sign = match difference.change {
            Changed::Added => "+",
            Changed::Removed => "-",
            Changed::Changed => "~",
        };
        lines.push(format!("{sign} {}", format::clean(&difference.pointer)));
        lines.push(format!("    this job      {}", shown(&difference.job)));
        lines.push(format!("    last success  {}", shown(&difference.success)));
    }
    if comparison.more_differences {
        lines.push("There are more differences.".to_owned());
    }
    let title = "Compared with the last success".to_owned();
    model.overlay = Some(Overlay::Text(TextPage { title, lines, scroll: 0 }));
}
