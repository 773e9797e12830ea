//! What the server is asked, and when.

use std::{collections::BTreeSet, time::Duration};

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
            Request::Lookup(Some(open).filter(|open| !open.is_empty())?)
        }
        "job" => Request::Job(subject?),
        "causes" => Request::Causes,
        "cron" => Request::Cron,
        "workflows" => Request::Workflows,
        "workflow" => Request::Workflow(subject?),
        "settings" => Request::Settings,
        "commands" => Request::Command(*model.commands.keys().next()?),
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
            wanted.retain(|topic| !FED.contains(topic));
        }
    }
    if !lost && !model.commands.is_empty() {
        wanted.insert("commands");
    }
    for topic in wanted {
        let is_due = model.due.get(topic).is_none_or(|due| *due <= model.now);
        if !is_due || model.asked.contains(topic) {
            continue;
        }
        let Some(request) = request(model, topic) else { continue };
        let every = OFTEN.iter().find(|(name, _)| *name == topic).map_or(RARELY, |(_, every)| *every);
        let every = if topic == "alerts" && model.outside.failures >= PATIENCE { RARELY } else { every };
        model.due.insert(topic, model.now.saturating_add(every));
        model.asked.insert(topic);
        model.ask(request);
    }
}

/// Asks for the jobs that the live feed may have passed over.
pub(super) fn catch_up(model: &mut Model) {
    for topic in ["newest", "lookup"] {
        if !model.asked.contains(topic)
            && let Some(request) = request(model, topic)
        {
            model.asked.insert(topic);
            model.ask(request);
        }
    }
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
