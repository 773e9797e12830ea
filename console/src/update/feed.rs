//! What the live feed says.

use std::collections::{BTreeMap, HashSet};

use callboard_client::{FeedItem, JobQuery};
use callboard_contracts::api::{JobChanges, JobSummary, Overview, QueueView};

use super::{answers, ask};
use crate::{
    model::{Link, MOST_JOBS, Model},
    rows::{EdgeRow, JobRow, NodeRow, QueueRow},
    table::{Row, Table},
};

/// Takes an item of the feed.
pub(super) fn take(model: &mut Model, item: FeedItem) {
    if let FeedItem::Lost(problem) = item {
        lost(model, problem);
        return;
    }
    model.feed_at = Some(model.now);
    if model.link != Link::Live {
        answers::is_live(model);
    }
    model.answered_at = Some(model.now);
    if model.frozen.is_some() {
        return;
    }
    let now = model.now;
    match item {
        FeedItem::Overview(overview) => see_overview(model, overview),
        FeedItem::Queues(changes) => {
            let before = model.queues.rows().map(|row| row.view.clone());
            let views =
                merged(before, changes.full, changes.changed, &changes.removed, |view| view.name.clone());
            see_queues(model, views);
        }
        FeedItem::Nodes(changes) => {
            let before = model.nodes.rows().map(|row| row.0.clone());
            let views =
                merged(before, changes.full, changes.changed, &changes.removed, |view| view.name.clone());
            model.nodes.replace(views.into_iter().map(NodeRow).collect(), now);
        }
        FeedItem::Edges(changes) => {
            let before = model.edges.rows().map(|row| row.0.clone());
            let views =
                merged(before, changes.full, changes.changed, &changes.removed, |view| view.name.clone());
            model.edges.replace(views.into_iter().map(EdgeRow).collect(), now);
        }
        FeedItem::Jobs(changes) => see_jobs(model, changes),
        FeedItem::Reset => ask::missed_jobs(model),
        _ => {}
    }
}

/// The feed is lost; until it is there again the server is asked.
pub(super) fn lost(model: &mut Model, problem: String) {
    model.feed_at = None;
    tracing::debug!(problem, "the feed is lost");
    // Whether the server is lost, too, the next answer says.
    model.due.clear();
    ask::due(model);
}

/// What was known with what has changed of it, by name.
fn merged<V>(
    before: impl Iterator<Item = V>,
    full: bool,
    changed: Vec<V>,
    removed: &[String],
    name: impl Fn(&V) -> String,
) -> Vec<V> {
    let mut all: BTreeMap<String, V> = BTreeMap::new();
    if !full {
        all.extend(before.map(|view| (name(&view), view)));
    }
    for gone in removed {
        all.remove(gone);
    }
    all.extend(changed.into_iter().map(|view| (name(&view), view)));
    all.into_values().collect()
}

pub(super) fn see_overview(model: &mut Model, overview: Box<Overview>) {
    model.readiness = Some(overview.readiness.clone());
    model.node = Some(overview.node.clone());
    model.overview = Some(overview);
}

pub(super) fn see_queues(model: &mut Model, views: Vec<QueueView>) {
    model.draining.retain(|name| views.iter().any(|queue| queue.name == *name && queue.paused_at.is_some()));
    let rows = views.into_iter().map(|view| QueueRow {
        throughput: model.numbers.throughput(&view.name),
        draining: model.draining.contains(&view.name),
        view,
    });
    let rows = rows.collect();
    let now = model.now;
    model.queues.replace(rows, now);
}

/// Whether the server would list a job for this query.
fn fits(query: &JobQuery, job: &JobSummary) -> bool {
    (query.states.is_empty() || query.states.contains(&job.state))
        && query.queue.as_ref().is_none_or(|queue| *queue == job.queue)
        && query.job_type.as_ref().is_none_or(|job_type| *job_type == job.job_type)
        && query.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
        && query.cause.as_ref().is_none_or(|cause| job.cause.as_ref() == Some(cause))
}

fn see_jobs(model: &mut Model, changes: JobChanges) {
    if !model.jobs.loaded {
        return;
    }
    if changes.more > 0 || changes.full {
        ask::missed_jobs(model);
    }
    see(model, changes.changed);
}

/// Takes jobs as they are now: brings those that are loaded up to date, and puts those in their places that are missing.
pub(super) fn see(model: &mut Model, jobs: Vec<JobSummary>) {
    if jobs.is_empty() {
        return;
    }
    let now = model.now;
    let jobs_model = &mut model.jobs;
    // Where more may follow behind the last loaded job, an older one is not put in: its page will have it.
    let oldest = last_of(&jobs_model.table).filter(|_| jobs_model.next.is_some());
    let mut new = Vec::new();
    let mut seen = HashSet::new();
    for job in jobs {
        let id = job.id;
        let known = jobs_model.table.get(&id).map(|row| row.payload.clone());
        match known {
            Some(_) => {
                jobs_model.table.change(&id, |row| row.summary = job);
            }
            None if fits(&jobs_model.query, &job)
                && oldest.is_none_or(|oldest| job.created_at >= oldest)
                && seen.insert(id) =>
            {
                new.push(JobRow::from(job));
            }
            None => {}
        }
    }
    new.sort_by_key(|row| std::cmp::Reverse((row.summary.created_at, row.key())));
    jobs_model.table.prepend(new, MOST_JOBS, now);
    jobs_model.table.judge_again();
}

fn last_of(table: &Table<JobRow>) -> Option<callboard_contracts::Timestamp> {
    table.oldest().map(|row| row.summary.created_at)
}
