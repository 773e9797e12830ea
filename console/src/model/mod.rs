//! All that the console knows, without anything that reaches out of it.

mod jobs;
mod list;
mod numbers;
mod overlay;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use callboard_contracts::{
    Timestamp,
    api::{CommandState, JobDetail, JobTypeView, Overview, Readiness, Series, TreeNode, WorkflowView},
};
use uuid::Uuid;

pub use jobs::{Jobs, MOST_JOBS, MOST_PAYLOADS, PAGE};
pub use list::List;
pub use numbers::Numbers;
pub use overlay::{
    AddJob, Confirm, EditJob, Extra, JobForm, MenuItem, Overlay, Prompt, PromptFor, TextPage, TypedField,
};

use crate::{
    exchange::{Change, Effect, Request},
    keys::Keys,
    rows::{
        CauseRow, CheckRow, CronRow, EdgeRow, EventRow, NodeRow, QueueRow, SettingRow, StepRow, TreeRow,
        WorkflowRow,
    },
    table::Table,
    view::{History, Place, View},
};

/// Events that are kept.
pub const MOST_EVENTS: usize = 5_000;
/// Lines of a job's log that are kept.
pub const MOST_LINES: usize = 20_000;
/// After what silence the live feed counts as lost; it speaks each second.
const FEED_SILENCE: Duration = Duration::from_secs(4);
/// Changes that somebody makes one by one and that may be under way at once.
const MOST_CHANGES: usize = 32;
/// Messages that are kept.
const MOST_MESSAGES: usize = 100;

/// How the console is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// Which keys are set.
    pub keys: Keys,
    /// Whether only ASCII may be drawn.
    pub ascii: bool,
    /// Whether a browser can be opened.
    pub has_display: bool,
    /// Whether a server can be started.
    pub can_start: bool,
}

/// Whether there is a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is looked for.
    Looking,
    /// There is none: what was tried, and what was wrong.
    None(Vec<(String, String)>),
    /// One is being started.
    Starting,
    /// It answers.
    Live,
    /// It does not answer any more, since then.
    Lost {
        /// Since when.
        since: Timestamp,
        /// What is wrong.
        problem: String,
    },
}

/// Something that was said to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
    /// Whether it is an error; those stay until something is done about them.
    pub is_error: bool,
}

/// The page of one job.
#[derive(Debug, Default)]
pub struct JobPage {
    /// The job, once it is loaded.
    pub detail: Option<Box<JobDetail>>,
    /// Why it is not.
    pub problem: Option<String>,
    /// Its payload as JSON, line by line.
    pub payload: Vec<String>,
    /// Its result as JSON, line by line.
    pub result: Vec<String>,
    /// The first line that is shown.
    pub scroll: usize,
}

/// What a job says.
#[derive(Debug, Default)]
pub struct Logs {
    /// Whose log it is.
    pub job: Option<Uuid>,
    /// When each line came, of what kind, and the line.
    pub lines: VecDeque<callboard_contracts::api::JobLogLine>,
    /// Lines that were dropped here because there are too many.
    pub dropped: u64,
    /// Whether the end is followed.
    pub follow: bool,
    /// Whether long lines are broken.
    pub wrap: bool,
    /// Whether times are shown.
    pub times: bool,
    /// The first line that is shown, while the end is not followed.
    pub scroll: usize,
    /// How it ended, if it has.
    pub ended: Option<String>,
}

/// Alerts from outside.
#[derive(Debug, Default)]
pub struct Outside {
    /// A line each.
    pub alerts: Vec<String>,
    /// Tries in a row that have failed.
    pub failures: u32,
    /// Why the last one has.
    pub problem: Option<String>,
}

/// Many changes that are made one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// Those that are still to be made.
    pub left: VecDeque<Change>,
    /// Those that were sent and are not answered.
    pub running: usize,
    /// How many there are in all.
    pub total: usize,
    /// How many worked.
    pub done: usize,
    /// How many did not.
    pub failed: usize,
}

/// A graph that is looked at.
#[derive(Debug, Default)]
pub struct Graph {
    /// The workflow.
    pub workflow: Option<WorkflowView>,
    /// Its steps.
    pub steps: Table<StepRow>,
    /// Whether it has more steps than these.
    pub truncated: bool,
}

/// All that the console knows.
#[derive(Debug)]
pub struct Model {
    /// How it is set up.
    pub setup: Setup,
    /// The server's address, once it is known.
    pub url: String,
    /// Whether there is a server.
    pub link: Link,
    /// How late it is.
    pub now: Timestamp,
    /// When the server last answered.
    pub answered_at: Option<Timestamp>,
    /// The screen's columns and rows.
    pub size: (u16, u16),
    /// Where somebody is.
    pub history: History,
    /// What lies over the view.
    pub overlay: Option<Overlay>,
    /// What was said.
    pub messages: VecDeque<Message>,
    /// The message that is shown.
    pub message: Option<Message>,
    /// Since when nothing changes on the screen, because somebody wants it so.
    pub frozen: Option<Timestamp>,
    /// Whether the server works.
    pub readiness: Option<Readiness>,
    /// The name of the node that is asked.
    pub node: Option<String>,
    /// What there is at one look.
    pub overview: Option<Box<Overview>>,
    /// Numbers over time.
    pub series: Option<Box<Series>>,
    /// When the live feed last said something; none while it is lost.
    pub feed_at: Option<Timestamp>,
    /// How fast the queues are.
    pub numbers: Numbers,
    /// Alerts from outside.
    pub outside: Outside,
    /// The jobs.
    pub jobs: Jobs,
    /// The job that is looked at.
    pub job: JobPage,
    /// What it says.
    pub logs: Logs,
    /// The queues.
    pub queues: Table<QueueRow>,
    /// Queues that somebody here drains.
    pub draining: BTreeSet<String>,
    /// Dead jobs by cause.
    pub causes: Table<CauseRow>,
    /// The tree as it was told.
    pub tree_root: Option<Box<TreeNode>>,
    /// Of which node the tree is; none for the one that is asked.
    pub tree_of: Option<String>,
    /// The tree, line by line.
    pub tree: Table<TreeRow>,
    /// Branches that are folded.
    pub folded: BTreeSet<String>,
    /// The cron table.
    pub cron: Table<CronRow>,
    /// The workflows.
    pub workflows: Table<WorkflowRow>,
    /// The workflow that is looked at.
    pub graph: Graph,
    /// The nodes.
    pub nodes: Table<NodeRow>,
    /// The edges.
    pub edges: Table<EdgeRow>,
    /// The events.
    pub events: Table<EventRow>,
    /// Why the events are not followed now.
    pub events_lost: Option<String>,
    /// The settings.
    pub settings: Table<SettingRow>,
    /// What the doctor has found.
    pub checks: Table<CheckRow>,
    /// The job types, once they are known.
    pub job_types: Vec<JobTypeView>,
    /// Changes that are made one after the other.
    pub batch: Batch,
    /// What nodes were told, and has no end yet.
    pub commands: BTreeMap<Uuid, (String, CommandState)>,
    /// When each thing is to be asked for again.
    pub due: HashMap<&'static str, Timestamp>,
    /// What was asked for again and is not answered, by its name.
    pub asked: BTreeSet<&'static str>,
    /// All requests that are not answered.
    pub open: Vec<Request>,
    /// The request whose answer somebody waits for: only that one may open something over the view.
    pub awaited: Option<Request>,
    /// What the live feed has not said, such as while the screen was held: it is asked for once.
    pub missed: BTreeSet<&'static str>,
    /// Events that came while the screen was held, the newest first.
    pub held: VecDeque<EventRow>,
    /// The command whose end was asked for last.
    pub command_asked: Option<Uuid>,
    /// What is to be done in the world.
    pub effects: Vec<Effect>,
    /// Whether the console is to end.
    pub quit: bool,
}

impl Model {
    /// Nothing is known yet, and a server is to be looked for.
    pub fn new(setup: Setup, now: Timestamp, size: (u16, u16)) -> Self {
        Model {
            setup,
            url: String::new(),
            link: Link::Looking,
            now,
            answered_at: None,
            size,
            history: History::new(Place::of(View::Overview)),
            overlay: None,
            messages: VecDeque::new(),
            message: None,
            frozen: None,
            readiness: None,
            node: None,
            overview: None,
            series: None,
            feed_at: None,
            numbers: Numbers::default(),
            outside: Outside::default(),
            jobs: Jobs::default(),
            job: JobPage::default(),
            logs: Logs { follow: true, ..Logs::default() },
            queues: Table::default(),
            draining: BTreeSet::new(),
            causes: Table::default(),
            tree_root: None,
            tree_of: None,
            tree: Table::default(),
            folded: BTreeSet::new(),
            cron: Table::default(),
            workflows: Table::default(),
            graph: Graph::default(),
            nodes: Table::default(),
            edges: Table::default(),
            events: Table::default(),
            events_lost: None,
            settings: Table::default(),
            checks: Table::default(),
            job_types: Vec::new(),
            batch: Batch::default(),
            commands: BTreeMap::new(),
            due: HashMap::new(),
            asked: BTreeSet::new(),
            open: Vec::new(),
            awaited: None,
            missed: BTreeSet::new(),
            held: VecDeque::new(),
            command_asked: None,
            effects: vec![Effect::Connect],
            quit: false,
        }
    }

    /// The view that is looked at.
    pub fn view(&self) -> View {
        self.history.here().view
    }

    /// The rows of a table that fit on the screen.
    pub fn table_height(&self) -> usize {
        // The header, the tabs, the view's own line, the headings, the message and the footer.
        usize::from(self.size.1).saturating_sub(6).max(1)
    }

    /// The rows of a page of text that fit on the screen.
    pub fn page_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(5).max(1)
    }

    /// The lines of a page over the view that fit on the screen.
    pub fn overlay_height(&self) -> usize {
        // The header, the footer, and the frame.
        usize::from(self.size.1).saturating_sub(4).max(1)
    }

    /// Whether the live feed says what happens, so that the server need not be asked.
    pub fn is_fed(&self) -> bool {
        self.feed_at.is_some_and(|at| self.now.saturating_since(at) < FEED_SILENCE)
    }

    /// Counts what the queues have done, once a second.
    pub fn count(&mut self) {
        if self.link == Link::Live && self.frozen.is_none() && self.numbers.is_due(self.now) {
            let ended: Vec<(String, u64)> =
                self.queues.rows().map(|row| (row.view.name.clone(), QueueRow::ended(&row.view))).collect();
            self.numbers.take(&ended, self.now);
            for (name, _) in ended {
                let throughput = self.numbers.throughput(&name);
                self.queues.change(&name, |row| row.throughput = throughput);
            }
        }
    }

    /// Does something in the world.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Asks the server, unless it is asked that already.
    pub fn ask(&mut self, request: Request) {
        if !self.open.contains(&request) {
            self.open.push(request.clone());
            self.effect(Effect::Ask(request));
        }
    }

    /// Asks the server for what is to be shown over the view, if nothing else is done until it comes.
    pub fn ask_and_wait(&mut self, request: Request) {
        // For as long as it lasts; nobody wants to read of it later.
        let text = "the server is asked …".to_owned();
        self.message = Some(Message { at: self.now, text, is_error: false });
        self.awaited = Some(request.clone());
        self.ask(request);
    }

    /// Has the server make a change, unless that change, or too many, are under way.
    pub fn make(&mut self, change: Change) {
        let request = Request::Change(change);
        if self.open.contains(&request) {
            self.say("that is under way already");
        } else if self.open.iter().filter(|open| matches!(open, Request::Change(_))).count() >= MOST_CHANGES {
            self.complain(format!("{MOST_CHANGES} changes are under way; wait until some are done"));
        } else {
            if let Request::Change(change) = &request {
                self.say(format!("{change} …"));
            }
            self.ask(request);
        }
    }

    /// Tells the person.
    pub fn say(&mut self, text: impl Into<String>) {
        self.tell(text.into(), false);
    }

    /// Tells the person what went wrong. It is shown until something else works, or Esc.
    pub fn complain(&mut self, text: impl Into<String>) {
        self.tell(text.into(), true);
    }

    fn tell(&mut self, text: String, is_error: bool) {
        let message = Message { at: self.now, text, is_error };
        if self.messages.len() == MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
        self.message = Some(message);
    }

    /// Whether rows are still looked through.
    pub fn has_work(&self) -> bool {
        self.jobs.table.has_work()
            || self.queues.has_work()
            || self.causes.has_work()
            || self.tree.has_work()
            || self.cron.has_work()
            || self.workflows.has_work()
            || self.graph.steps.has_work()
            || self.nodes.has_work()
            || self.edges.has_work()
            || self.events.has_work()
            || self.settings.has_work()
            || self.checks.has_work()
    }

    /// Looks through the next rows.
    pub fn work(&mut self) {
        let now = self.now;
        self.jobs.table.work(now);
        self.queues.work(now);
        self.causes.work(now);
        self.tree.work(now);
        self.cron.work(now);
        self.workflows.work(now);
        self.graph.steps.work(now);
        self.nodes.work(now);
        self.edges.work(now);
        self.events.work(now);
        self.settings.work(now);
        self.checks.work(now);
    }

    /// The list of the view that is looked at, if it is one.
    pub fn list(&mut self) -> Option<&mut dyn List> {
        Some(match self.view() {
            View::Jobs => &mut self.jobs.table,
            View::Queues => &mut self.queues,
            View::Dead => &mut self.causes,
            View::Tree => &mut self.tree,
            View::Cron => &mut self.cron,
            View::Workflows => &mut self.workflows,
            View::Workflow => &mut self.graph.steps,
            View::Nodes => &mut self.nodes,
            View::Edges => &mut self.edges,
            View::Events => &mut self.events,
            View::Settings => &mut self.settings,
            View::Doctor => &mut self.checks,
            View::Overview | View::Job | View::Logs => return None,
        })
    }
}
