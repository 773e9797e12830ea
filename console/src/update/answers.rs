//! What the server has answered.

use std::sync::Arc;

use callboard_client::JobQuery;
use callboard_contracts::api::{CommandState, JobList, JobSummary, NodeAction, WorkflowGraph};

use super::{add_job, ask, feed, menus};
use crate::{
    exchange::{Answer, Change, Failure, Request},
    model::{AddJob, Link, MOST_JOBS, Model, Overlay},
    rows::{CauseRow, CronRow, EdgeRow, JobRow, NodeRow, SettingRow, StepRow, TreeRow, WorkflowRow},
    table::Row,
};

pub(super) fn is_live(model: &mut Model) {
    let was_lost = matches!(model.link, Link::Lost { .. });
    model.link = Link::Live;
    model.answered_at = Some(model.now);
    if was_lost {
        model.say("the server answers again");
        model.asked.clear();
        // The page that was asked for last may have gone down with the server.
        model.jobs.loading = false;
        if !model.jobs.loaded {
            ask::jobs_anew(model);
        }
        ask::again(model);
    }
}

pub(super) fn answered(model: &mut Model, request: Request, result: Result<Answer, Failure>) {
    if let Some(topic) = ask::topic_of(&request) {
        model.asked.remove(topic);
    }
    model.open.retain(|open| *open != request);
    let is_awaited = model.awaited.as_ref() == Some(&request);
    if is_awaited {
        model.awaited = None;
    }
    match &request {
        Request::Jobs(generation, _) if *generation == model.jobs.generation => model.jobs.loading = false,
        Request::Payload(_) => model.jobs.payloads_open = model.jobs.payloads_open.saturating_sub(1),
        _ => {}
    }
    match result {
        Ok(answer) => {
            if model.link != Link::Live {
                is_live(model);
            }
            model.answered_at = Some(model.now);
            ask::said(model, &request);
            take(model, request, answer, is_awaited);
        }
        Err(failure) => failed(model, request, failure),
    }
}

fn failed(model: &mut Model, request: Request, failure: Failure) {
    match request {
        Request::Change(change) => {
            change_failed(model, &change, &failure, false);
            return;
        }
        Request::OfBatch(change) => {
            change_failed(model, &change, &failure, true);
            return;
        }
        _ => {}
    }
    if failure.is_lost {
        if model.link == Link::Live {
            model.link = Link::Lost { since: model.now, problem: failure.text };
        }
        return;
    }
    let text = failure.text;
    match request {
        Request::Alerts => {
            model.outside.failures += 1;
            model.outside.problem = Some(text);
            if model.outside.failures >= ask::PATIENCE {
                model.outside.alerts.clear();
            }
        }
        Request::Job(id) if model.history.here().subject == Some(id) => {
            if failure.status == Some(404) {
                model.job.detail = None;
            }
            model.job.problem = Some(text);
        }
        Request::Payload(id) => {
            // One that is gone meanwhile has no payload.
            model.jobs.table.change(&id, |row| row.payload = Some(Arc::default()));
            model.jobs.table.judge_again();
        }
        Request::JobTypes => {
            if matches!(&model.overlay, Some(Overlay::AddJob(state)) if matches!(**state, AddJob::Loading)) {
                model.overlay = None;
            }
            model.complain(format!("the job types: {text}"));
        }
        Request::Jobs(generation, _) if generation == model.jobs.generation => {
            ask::page_refused(model);
            model.complain(text);
        }
        Request::Command(id) => {
            model.commands.remove(&id);
            model.complain(text);
        }
        _ if failure.status == Some(404) && matches!(request, Request::Workflow(_)) => {
            model.complain(text);
        }
        _ => {
            // The same trouble with what is asked each second is said once.
            if model.message.as_ref().is_none_or(|message| message.text != text) {
                model.complain(text);
            }
        }
    }
}

fn change_failed(model: &mut Model, change: &Change, failure: &Failure, of_batch: bool) {
    if add_job::refused(model, change, failure) {
        return;
    }
    if of_batch {
        model.batch.running = model.batch.running.saturating_sub(1);
        model.batch.failed += 1;
        // What is marked still can be tried again.
        if failure.is_lost {
            model.batch.left.clear();
        }
    }
    model.complain(format!("{change}: {}", failure.text));
    go_on_with_batch(model);
}

fn take(model: &mut Model, request: Request, answer: Answer, is_awaited: bool) {
    let now = model.now;
    match (request, answer) {
        (Request::Ready, Answer::Ready(readiness)) => model.readiness = Some(readiness),
        (Request::Overview, Answer::Overview(overview)) => feed::see_overview(model, overview),
        (Request::Series, Answer::Series(series)) => model.series = Some(series),
        (Request::Queues, Answer::Queues(queues)) => feed::see_queues(model, queues),
        (Request::Tree(of), Answer::Tree(root)) if of == model.tree_of => {
            model.tree_root = Some(root);
            lay_tree(model);
        }
        (Request::Nodes, Answer::Nodes(nodes)) => {
            model.nodes.replace(nodes.into_iter().map(NodeRow).collect(), now)
        }
        (Request::Edges, Answer::Edges(edges)) => {
            model.edges.replace(edges.into_iter().map(EdgeRow).collect(), now)
        }
        (Request::Alerts, Answer::Alerts(alerts)) => {
            model.outside = crate::model::Outside { alerts, failures: 0, problem: None };
        }
        (Request::Jobs(generation, _), Answer::Jobs(list)) if generation == model.jobs.generation => {
            model.jobs.loaded = true;
            (model.jobs.refused, model.jobs.again_at) = (0, None);
            model.jobs.next = list.next_cursor;
            model.jobs.table.append(list.jobs.into_iter().map(JobRow::from).collect(), MOST_JOBS, now);
            if model.jobs.is_full() || model.jobs.next.is_none() {
                model.jobs.want_all = false;
            }
        }
        (Request::Newest(generation, query), Answer::Jobs(list)) if generation == model.jobs.generation => {
            newest(model, list, query);
        }
        (Request::Lookup(ids), Answer::Lookup(jobs)) => {
            ask::looked_up(model, &ids);
            for job in jobs {
                let id = job.id;
                model.jobs.table.change(&id, |row| row.summary = job);
            }
            model.jobs.table.judge_again();
        }
        (Request::Job(id), Answer::Job(detail)) if model.history.here().subject == Some(id) => {
            let before = model.job.detail.take();
            if before.as_ref().is_none_or(|before| before.payload != detail.payload) {
                model.job.payload = crate::format::json_lines(&detail.payload);
            }
            if before.as_ref().is_none_or(|before| before.result != detail.result) {
                model.job.result = detail.result.as_ref().map(crate::format::json_lines).unwrap_or_default();
            }
            model.job.problem = None;
            model.job.detail = Some(detail);
        }
        (Request::Payload(id), Answer::Job(detail)) => {
            let payload = Arc::new(detail.payload);
            model.jobs.table.change(&id, |row| row.payload = Some(payload));
            model.jobs.table.judge_again();
        }
        (request @ (Request::Compare(_) | Request::Interfaces | Request::Preview(_)), answer) => {
            if is_awaited && model.overlay.is_none() {
                over_the_view(model, request, answer);
            } else {
                model.say("an answer came after another key was pressed, and is not shown; ask again");
            }
        }
        (Request::Causes, Answer::Causes(causes, more)) => {
            model.causes.replace(causes.into_iter().map(CauseRow).collect(), now);
            if more {
                model.say("there are more causes than the first 200");
            }
        }
        (Request::Cron, Answer::Cron(entries)) => {
            model.cron.replace(entries.into_iter().map(CronRow).collect(), now)
        }
        (Request::Workflows, Answer::Workflows(workflows, _)) => {
            model.workflows.replace(workflows.into_iter().map(WorkflowRow).collect(), now);
        }
        (Request::Workflow(id), Answer::Workflow(graph)) if model.history.here().subject == Some(id) => {
            model.graph.steps.replace(laid_out(&graph), now);
            model.graph.truncated = graph.truncated;
            model.graph.workflow = Some(graph.workflow);
        }
        (Request::Settings, Answer::Settings(view)) => {
            model.node = Some(view.node);
            let waits = |key: &str| {
                view.waiting.iter().find(|change| change.key == key).and_then(|change| change.new.clone())
            };
            let rows = view
                .settings
                .into_iter()
                .map(|setting| SettingRow { waits: waits(&setting.key), view: setting });
            model.settings.replace(rows.collect(), now);
            if let Some(problem) = view.problem
                && model.view() == crate::view::View::Settings
                && model.message.as_ref().is_none_or(|message| message.text != problem)
            {
                model.complain(problem);
            }
        }
        (Request::JobTypes, Answer::JobTypes(types)) => add_job::types(model, types),
        (Request::Command(id), Answer::Command(view)) => {
            if view.state != CommandState::Waiting
                && let Some((what, _)) = model.commands.remove(&id)
            {
                let outcome = view.outcome.map(|outcome| format!(": {outcome}")).unwrap_or_default();
                match view.state {
                    CommandState::Done => model.say(format!("done: {what}{outcome}")),
                    state => model.complain(format!("{what} {}{outcome}", state.as_str())),
                }
                ask::again(model);
            }
        }
        (Request::Change(change), answer) => changed(model, change, answer, false),
        (Request::OfBatch(change), answer) => changed(model, change, answer, true),
        // An answer to something that nobody looks at any more.
        _ => {}
    }
}

/// Opens over the view what somebody waits for.
fn over_the_view(model: &mut Model, request: Request, answer: Answer) {
    model.message = None;
    match (request, answer) {
        (Request::Compare(_), Answer::Compare(comparison)) => menus::comparison(model, &comparison),
        (Request::Interfaces, Answer::Interfaces(interfaces)) => menus::interfaces(model, interfaces),
        (Request::Preview(intent), Answer::Preview(preview)) => {
            menus::bulk_question(model, intent, &preview);
        }
        // No request has another answer than its own.
        _ => {}
    }
}

/// Pages of jobs that are loaded at most to close a gap between the newest ones and those that were known.
const MOST_PAGES: u32 = 20;

/// Puts the newest jobs in. What is missing between them and those that were known is loaded, too; if that is too much, all are
/// loaded anew.
fn newest(model: &mut Model, list: JobList, query: JobQuery) {
    let known = |job: &JobSummary| model.jobs.table.get(&job.id).is_some();
    let is_full = list.jobs.len() >= query.limit.unwrap_or(0) as usize;
    let gap = match model.jobs.behind {
        // The feed may have brought some of the new ones and not those before them: only the time tells.
        Some(behind) => is_full && list.jobs.iter().all(|job| job.created_at > behind),
        None => is_full && !list.jobs.iter().any(known) && !model.jobs.table.is_empty(),
    };
    if !gap {
        (model.jobs.behind, model.jobs.pages) = (None, 0);
        feed::see(model, list.jobs);
        return;
    }
    let first_known = model.jobs.table.rows().next().map(|row| row.summary.created_at);
    model.jobs.behind = model.jobs.behind.or(first_known);
    model.missed.insert("newest");
    match list.next_cursor {
        Some(cursor) if model.jobs.pages < MOST_PAGES => {
            model.jobs.pages += 1;
            feed::see(model, list.jobs);
            ask::newest_before(model, cursor);
        }
        _ => {
            model.jobs.pages = 0;
            // Somebody who looks at the first rows sees the newest; who is further down is not torn away from there.
            if model.jobs.table.offset() == 0 && model.jobs.table.marked() == 0 {
                ask::jobs_anew(model);
            }
        }
    }
}

/// Draws the tree anew, after it or what is folded has changed.
pub(super) fn lay_tree(model: &mut Model) {
    let Some(root) = &model.tree_root else { return };
    let rows = TreeRow::lines(root, &|path| model.folded.contains(path));
    let now = model.now;
    model.tree.replace(rows, now);
}

/// The steps of a graph in an order in which each comes after those that it waits for, and how far from the beginning.
fn laid_out(graph: &WorkflowGraph) -> Vec<StepRow> {
    let place = |number: u32| graph.steps.iter().position(|step| step.number == number);
    let mut levels = vec![0_usize; graph.steps.len()];
    let edges: Vec<(usize, usize)> =
        graph.edges.iter().filter_map(|(from, to)| Some((place(*from)?, place(*to)?))).collect();
    // As often as there are steps at most; a graph with a circle, which no server has, stops there.
    for _ in 0..graph.steps.len() {
        let mut moved = false;
        for (from, to) in &edges {
            if levels[*to] <= levels[*from] {
                levels[*to] = levels[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut rows: Vec<StepRow> = graph
        .steps
        .iter()
        .zip(&levels)
        .enumerate()
        .map(|(at, (step, level))| {
            let after =
                edges.iter().filter(|(_, to)| *to == at).map(|(from, _)| graph.steps[*from].name.clone());
            StepRow { view: step.clone(), level: *level, after: after.collect() }
        })
        .collect();
    rows.sort_by_key(|row| (row.level, row.view.number));
    rows
}

fn changed(model: &mut Model, change: Change, answer: Answer, in_batch: bool) {
    if in_batch {
        model.batch.running = model.batch.running.saturating_sub(1);
        model.batch.done += 1;
    }
    if let Change::Retry(id) | Change::Cancel(id) = &change {
        model.jobs.table.unmark(id);
    }
    match &change {
        Change::DrainQueue(name) => {
            model.draining.insert(name.clone());
        }
        Change::PauseQueue(name) | Change::ResumeQueue(name) => {
            model.draining.remove(name);
        }
        _ => {}
    }
    match answer {
        Answer::Submitted(id) => add_job::stored(model, id),
        Answer::Retried(id) if !in_batch => model.say(format!("it runs again as {id}")),
        Answer::Retried(_) => {}
        Answer::Command(view) => {
            model.say(format!("{change}: told, waiting for the node"));
            model.commands.insert(view.id, (change.to_string(), view.state));
        }
        Answer::Changed(said) if !in_batch => model.say(said),
        _ => {}
    }
    if let Change::Order(_, NodeAction::Set { .. }) | Change::Settings(_) = &change {
        model.due.remove("settings");
    }
    for topic in [
        "queues",
        "newest",
        "lookup",
        "job",
        "causes",
        "cron",
        "workflows",
        "workflow",
        "nodes",
        "edges",
        "tree",
    ] {
        model.due.remove(topic);
    }
    go_on_with_batch(model);
    ask::due(model);
}

/// Changes that are made at once.
const AT_ONCE: usize = 4;

/// Sends the next changes of a batch.
pub(super) fn go_on_with_batch(model: &mut Model) {
    while model.batch.running < AT_ONCE {
        let Some(change) = model.batch.left.pop_front() else { break };
        model.batch.running += 1;
        model.ask(Request::OfBatch(change));
    }
    let batch = &model.batch;
    if batch.total > 0 && batch.running == 0 && batch.left.is_empty() {
        let (done, failed, total) = (batch.done, batch.failed, batch.total);
        model.batch = crate::model::Batch::default();
        if failed > 0 || done < total {
            let last =
                model.message.as_ref().filter(|message| message.is_error).map(|message| message.text.clone());
            let last = last.map(|text| format!("; the last: {text}")).unwrap_or_default();
            model.complain(format!("{done} of {total} done; what is not is marked still{last}"));
        } else {
            model.say(format!("{done} of {total} done"));
        }
    }
}

/// The key of the row that a change is about; for lists that are looked at.
pub(super) fn selected_job(model: &Model) -> Option<uuid::Uuid> {
    use crate::view::View;
    match model.view() {
        View::Jobs => model.jobs.table.current().map(Row::key),
        View::Overview => model.jobs.table.current().map(Row::key),
        View::Job | View::Logs => model.history.here().subject,
        View::Events => model.events.current()?.job(),
        View::Workflow => model.graph.steps.current().map(|step| step.view.job),
        View::Dead => model.causes.current().map(|cause| cause.0.sample),
        _ => None,
    }
}
