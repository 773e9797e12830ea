//! What the server is asked, and when.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Bound,
    time::Duration,
};

use callboard_client::JobQuery;

use crate::{
    exchange::Request,
    filter::pushed_down,
    model::{Link, MOST_PAYLOADS, Model, PAGE},
    table::Row,
    view::View,
};

/// The newest jobs that are looked for each time.
const NEWEST: u32 = 100;
/// Jobs that are looked up at once; the server takes no more.
const LOOKUP: usize = 1000;
/// How often the next ones are looked up, or asked for, while there are more of them.
const NEXT: Duration = Duration::from_millis(250);
/// The longest pause after pages of jobs were refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Payloads that are asked for at once.
const PAYLOADS_AT_ONCE: usize = 8;

/// What can be asked again and again, by name; and how often.
const OFTEN: &[(&str, Duration)] = &[
    ("ready", Duration::from_secs(1)),
    ("overview", Duration::from_secs(1)),
    ("series", Duration::from_secs(2)),
    ("queues", Duration::from_secs(1)),
    ("nodes", Duration::from_secs(1)),
    ("edges", Duration::from_secs(1)),
    ("alerts", Duration::from_secs(10)),
    ("newest", Duration::from_secs(1)),
    ("lookup", Duration::from_secs(1)),
    ("job", Duration::from_secs(1)),
    ("causes", Duration::from_secs(3)),
    ("tree", Duration::from_secs(1)),
    ("cron", Duration::from_secs(2)),
    ("workflows", Duration::from_secs(2)),
    ("workflow", Duration::from_secs(1)),
    ("settings", Duration::from_secs(5)),
    ("commands", Duration::from_secs(1)),
];
/// What the live feed says.
const FED: [&str; 6] = ["overview", "queues", "nodes", "edges", "newest", "lookup"];
/// How often alerts are asked for that could not be had three times.
const RARELY: Duration = Duration::from_secs(60);
/// Tries that may fail before alerts are asked for rarely.
pub(super) const PATIENCE: u32 = 3;

/// What a view shows.
fn topics(view: View) -> &'static [&'static str] {
    match view {
        View::Overview => &["series", "alerts", "newest", "lookup"],
        View::Jobs => &["newest", "lookup"],
        View::Job | View::Logs => &["job"],
        View::Queues => &[],
        View::Dead => &["causes"],
        View::Tree => &["tree"],
        View::Cron => &["cron"],
        View::Workflows => &["workflows"],
        View::Workflow => &["workflow"],
        View::Nodes => &["nodes"],
        View::Edges => &["edges"],
        View::Events | View::Doctor => &[],
        View::Settings => &["settings"],
    }
}

/// By which name a request is one that is asked again and again.
pub(super) fn topic_of(request: &Request) -> Option<&'static str> {
    Some(match request {
        Request::Ready => "ready",
        Request::Overview => "overview",
        Request::Series => "series",
        Request::Queues => "queues",
        Request::Tree(_) => "tree",
        Request::Nodes => "nodes",
        Request::Edges => "edges",
        Request::Alerts => "alerts",
        Request::Newest(..) => "newest",
        Request::Lookup(_) => "lookup",
        Request::Job(_) => "job",
        Request::Causes => "causes",
        Request::Cron => "cron",
        Request::Workflows => "workflows",
        Request::Workflow(_) => "workflow",
        Request::Settings => "settings",
        Request::Command(_) => "commands",
        _ => return None,
    })
}

fn request(model: &Model, topic: &str) -> Option<Request> {
    let subject = model.history.here().subject;
    Some(match topic {
        "ready" => Request::Ready,
        "overview" => Request::Overview,
        "series" => Request::Series,
        "queues" => Request::Queues,
        "tree" => Request::Tree(model.tree_of.clone()),
        "nodes" => Request::Nodes,
        "edges" => Request::Edges,
        "alerts" => Request::Alerts,
        "newest" if model.jobs.loaded => {
            let query = JobQuery { limit: Some(NEWEST), cursor: None, ..model.jobs.query.clone() };
            Request::Newest(model.jobs.generation, query)
        }
        "lookup" => {
            let height = model.table_height().max(20);
            let shown = model.jobs.table.shown_from(model.jobs.table.offset()).take(height);
            let open = shown.filter(|job| !job.summary.state.is_final()).map(Row::key).collect::<Vec<_>>();
            let shown: HashSet<_> = open.iter().copied().collect();
            let more = model.jobs.recheck.iter().copied().filter(|id| !shown.contains(id));
            let all: Vec<_> = open.iter().copied().chain(more).take(LOOKUP).collect();
            Request::Lookup(Some(all).filter(|all| !all.is_empty())?)
        }
        "job" => Request::Job(subject?),
        "causes" => Request::Causes,
        "cron" => Request::Cron,
        "workflows" => Request::Workflows,
        "workflow" => Request::Workflow(subject?),
        "settings" => Request::Settings,
        // One after the other, from the one behind the last.
        "commands" => {
            let last = model.command_asked.map_or(Bound::Unbounded, Bound::Excluded);
            let mut behind = model.commands.range((last, Bound::Unbounded));
            Request::Command(*behind.next().or_else(|| model.commands.first_key_value())?.0)
        }
        _ => return None,
    })
}

/// Asks for what is due.
pub(super) fn due(model: &mut Model) {
    let lost = match model.link {
        Link::Live => false,
        Link::Lost { .. } => true,
        Link::Looking | Link::None(_) | Link::Starting => return,
    };
    let mut wanted: BTreeSet<&'static str> = BTreeSet::new();
    if lost {
        wanted.insert("ready");
    } else if model.frozen.is_none() {
        wanted.extend(["overview", "queues", "nodes", "edges"]);
        wanted.extend(topics(model.view()));
        if model.is_fed() {
            wanted.retain(|topic| !FED.contains(topic) || model.missed.contains(topic));
        }
    }
    if !lost && !model.commands.is_empty() {
        wanted.insert("commands");
    }
    let looks_at_jobs = matches!(model.view(), View::Jobs | View::Overview);
    if !lost
        && model.frozen.is_none()
        && looks_at_jobs
        && !(model.jobs.loaded || model.jobs.loading)
        && model.jobs.again_at.is_some_and(|at| at <= model.now)
    {
        jobs_anew(model);
    }
    for topic in wanted {
        let is_due = model.due.get(topic).is_none_or(|due| *due <= model.now);
        if !is_due || model.asked.contains(topic) {
            continue;
        }
        let Some(request) = request(model, topic) else { continue };
        let every = OFTEN.iter().find(|(name, _)| *name == topic).map_or(RARELY, |(_, every)| *every);
        let every = if topic == "alerts" && model.outside.failures >= PATIENCE { RARELY } else { every };
        let has_more = match topic {
            "lookup" => !model.jobs.recheck.is_empty(),
            "commands" => model.commands.len() > 1,
            _ => false,
        };
        let every = if has_more { NEXT } else { every };
        if let Request::Command(id) = &request {
            model.command_asked = Some(*id);
        }
        model.due.insert(topic, model.now.saturating_add(every));
        model.asked.insert(topic);
        model.ask(request);
    }
}

/// The live feed has passed over jobs: new ones, and changes of any that are loaded. Until they are looked up, the feed does not count.
pub(super) fn missed_jobs(model: &mut Model) {
    model.missed.insert("newest");
    let jobs = &mut model.jobs;
    let newest = jobs.table.rows().map(|row| row.summary.created_at).next();
    jobs.behind = jobs.behind.or(newest);
    // Those that wait for it already keep their turn.
    let waiting: HashSet<_> = jobs.recheck.iter().copied().collect();
    let open = jobs.table.rows().filter(|job| !job.summary.state.is_final()).map(Row::key);
    jobs.recheck.extend(open.filter(|id| !waiting.contains(id)));
    if !jobs.recheck.is_empty() {
        model.missed.insert("lookup");
    }
    for topic in ["newest", "lookup"] {
        model.due.remove(topic);
    }
    due(model);
}

/// Asks for the jobs that are older than the newest ones that were told last.
pub(super) fn newest_before(model: &mut Model, cursor: String) {
    let query = JobQuery { limit: Some(PAGE), cursor: Some(cursor), ..model.jobs.query.clone() };
    model.asked.insert("newest");
    model.ask(Request::Newest(model.jobs.generation, query));
}

/// The live feed was not listened to for a while.
pub(super) fn missed_all(model: &mut Model) {
    model.missed.extend(["overview", "queues", "nodes", "edges"]);
    missed_jobs(model);
}

/// The server has said what was missed.
pub(super) fn said(model: &mut Model, request: &Request) {
    if let Some(topic) = topic_of(request)
        && !matches!(request, Request::Lookup(_))
    {
        model.missed.remove(topic);
    }
}

/// These jobs are as they are now.
pub(super) fn looked_up(model: &mut Model, ids: &[uuid::Uuid]) {
    let ids: HashSet<_> = ids.iter().collect();
    model.jobs.recheck.retain(|id| !ids.contains(id));
    if model.jobs.recheck.is_empty() {
        model.missed.remove("lookup");
    }
}

/// A page of jobs was refused: the next try waits, the longer the more often that was so.
pub(super) fn page_refused(model: &mut Model) {
    let pause = Duration::from_secs(1 << model.jobs.refused.min(5)).min(LONGEST_PAUSE);
    model.jobs.refused += 1;
    model.jobs.again_at = Some(model.now.saturating_add(pause));
}

/// Asks for all that the view shows, now.
pub(super) fn again(model: &mut Model) {
    model.due.clear();
    due(model);
}

/// Loads the jobs from the beginning, with what of the filter the server applies.
pub(super) fn jobs_anew(model: &mut Model) {
    model.jobs.query = pushed_down(&model.jobs.table.filter().node);
    model.jobs.generation += 1;
    model.jobs.table.clear();
    model.jobs.next = None;
    model.jobs.loaded = false;
    model.jobs.loading = true;
    model.jobs.want_all = false;
    model.jobs.payloads_asked = 0;
    model.jobs.recheck.clear();
    (model.jobs.behind, model.jobs.pages) = (None, 0);
    model.missed.retain(|topic| !["newest", "lookup"].contains(topic));
    let query = JobQuery { limit: Some(PAGE), ..model.jobs.query.clone() };
    model.ask(Request::Jobs(model.jobs.generation, query));
}

/// Loads jobs anew, if the filter asks the server for others than those that are loaded.
pub(super) fn filter_changed(model: &mut Model) {
    model.jobs.payloads_asked = 0;
    if pushed_down(&model.jobs.table.filter().node) != model.jobs.query
        || !(model.jobs.loaded || model.jobs.loading)
    {
        jobs_anew(model);
    }
}

/// Loads the next page, when somebody comes near the end of what is loaded, or wants all.
pub(super) fn more_jobs(model: &mut Model) {
    let jobs = &model.jobs;
    if jobs.loading
        || jobs.is_full()
        || model.view() != View::Jobs
        || model.frozen.is_some()
        || model.link != Link::Live
        || jobs.again_at.is_some_and(|at| at > model.now)
    {
        return;
    }
    let Some(cursor) = jobs.next.clone() else { return };
    // What is filtered or sorted here is so over all that may be held.
    let local = jobs.table.sort().is_some() || !jobs.table.filter().is_empty();
    let near = jobs.table.selected() + PAGE as usize / 2 >= jobs.table.shown();
    if !(near || local || jobs.want_all) {
        return;
    }
    let query = JobQuery { limit: Some(PAGE), cursor: Some(cursor), ..jobs.query.clone() };
    model.jobs.loading = true;
    model.ask(Request::Jobs(model.jobs.generation, query));
}

/// Loads payloads that the filter asks for.
pub(super) fn payloads(model: &mut Model) {
    let jobs = &model.jobs;
    let room = MOST_PAYLOADS.saturating_sub(jobs.payloads_asked).min(PAYLOADS_AT_ONCE);
    let idle = jobs.table.unknown() > 0 && jobs.payloads_open == 0 && !jobs.table.has_work();
    if !idle || room == 0 || model.view() != View::Jobs || model.link != Link::Live {
        return;
    }
    let wanted = jobs.table.unknown_rows(room, model.now);
    model.jobs.payloads_asked += wanted.len();
    model.jobs.payloads_open += wanted.len();
    for id in wanted {
        model.ask(Request::Payload(id));
    }
}
