//! What is asked of the filled store, and what must be answered.

use callboard::contracts::JobState;
use uuid::Uuid;

use super::rows::{QUEUES, Row, Rows, TENANTS, TYPES, type_name};

/// Jobs of one page.
pub(super) const PAGE: usize = 50;

/// A question of one kind, with what differs from time to time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Filter {
    states: &'static [JobState],
    queue: Option<&'static str>,
    job_type: Option<usize>,
    tag: Option<Tag>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    Tenant(u64),
    Urgent,
    Incident,
    Nobodys,
}

/// Questions that are measured together.
pub(super) struct Case {
    /// What they are, in a report.
    pub(super) name: &'static str,
    filters: Vec<Filter>,
}

impl Filter {
    fn path(&self) -> String {
        let mut query = vec![format!("limit={PAGE}")];
        if !self.states.is_empty() {
            let states: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
            query.push(format!("state={}", states.join(",")));
        }
        query.extend(self.queue.map(|queue| format!("queue={queue}")));
        query.extend(self.job_type.map(|number| format!("type={}", type_name(number))));
        query.extend(self.tag.map(|tag| match tag {
            Tag::Tenant(number) => format!("tag=tenant-{number}"),
            Tag::Urgent => "tag=urgent".to_owned(),
            Tag::Incident => "tag=incident".to_owned(),
            Tag::Nobodys => "tag=nobodys".to_owned(),
        }));
        format!("/api/v1/jobs?{}", query.join("&"))
    }

    fn passes(&self, row: &Row) -> bool {
        (self.states.is_empty() || self.states.contains(&row.state))
            && self.queue.is_none_or(|queue| queue == row.queue)
            && self.job_type.is_none_or(|number| number == row.job_type)
            && self.tag.is_none_or(|tag| match tag {
                Tag::Tenant(number) => number == row.tenant,
                Tag::Urgent => row.is_urgent,
                Tag::Incident => row.is_incident,
                Tag::Nobodys => false,
            })
    }
}

impl Case {
    /// So many paths, each different one with the same ones again after it.
    pub(super) fn paths(&self, count: usize) -> impl Iterator<Item = String> {
        self.filters.iter().cycle().take(count).map(Filter::path)
    }

    /// Each different path, with the jobs of its first page.
    pub(super) fn answers(&self, rows: &Rows) -> impl Iterator<Item = (String, Vec<Uuid>)> {
        self.filters.iter().map(|filter| (filter.path(), rows.newest(PAGE, |row| filter.passes(row))))
    }
}

/// All lists: every filter, and those that go together.
pub(super) fn cases() -> Vec<Case> {
    use JobState::{Available, Cancelled, Completed, Discarded, Pending, Retryable, Scheduled};
    const STATES: [&[JobState]; 7] =
        [&[Completed], &[Available], &[Discarded], &[Scheduled], &[Cancelled], &[Retryable], &[Pending]];
    const SEVERAL: [&[JobState]; 3] = [
        &[Discarded, Cancelled],
        &[Pending, Scheduled, Available, Retryable],
        &[Completed, Discarded, Cancelled, Pending],
    ];
    let none = Filter::default();
    let case = |name, filters| Case { name, filters };
    // Some of all, spread: what the caches hold of one is no answer about the others.
    let tenants = (0..8).map(|number| Tag::Tenant(number * (TENANTS / 8)));
    let types = [0, 1, 4, 9, TYPES - 1];
    vec![
        case("everything", vec![none]),
        case("state", STATES.map(|states| Filter { states, ..none }).to_vec()),
        case("several states", SEVERAL.map(|states| Filter { states, ..none }).to_vec()),
        case("queue", QUEUES.map(|queue| Filter { queue: Some(queue), ..none }).to_vec()),
        case("type", types.map(|number| Filter { job_type: Some(number), ..none }).to_vec()),
        case("tag of 0.1 %", tenants.clone().map(|tag| Filter { tag: Some(tag), ..none }).collect()),
        case("tag of 1 %", vec![Filter { tag: Some(Tag::Urgent), ..none }]),
        case("tag of sixty jobs", vec![Filter { tag: Some(Tag::Incident), ..none }]),
        case("tag that no job has", vec![Filter { tag: Some(Tag::Nobodys), ..none }]),
        case(
            "state and queue",
            QUEUES.map(|queue| Filter { states: &[Discarded], queue: Some(queue), ..none }).to_vec(),
        ),
        case(
            "state and type",
            types.map(|number| Filter { states: &[Retryable], job_type: Some(number), ..none }).to_vec(),
        ),
        case(
            "queue and type",
            types.map(|number| Filter { queue: Some(QUEUES[5]), job_type: Some(number), ..none }).to_vec(),
        ),
        case(
            "tag of 0.1 % and state",
            tenants.map(|tag| Filter { states: &[Discarded], tag: Some(tag), ..none }).collect(),
        ),
        case(
            "tag of 1 % and queue",
            QUEUES.map(|queue| Filter { queue: Some(queue), tag: Some(Tag::Urgent), ..none }).to_vec(),
        ),
    ]
}
