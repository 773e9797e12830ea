//! The table.

use super::{Action, Chord};
use crate::view::View;

/// What a key does, and where.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// By what the configuration knows it.
    pub name: &'static str,
    /// The views in which it holds; none: everywhere.
    pub views: &'static [View],
    /// The keys.
    pub keys: &'static [Chord],
    /// A word for the footer.
    pub label: &'static str,
    /// What it does, for the help.
    pub help: &'static str,
    /// What it does.
    pub action: Action,
    /// Whether it changes something on the server. It does not, when the console is read-only.
    pub changes: bool,
    /// Whether the footer shows it.
    pub footer: bool,
}

impl Binding {
    /// Whether it means the same in every view, whatever the configuration says.
    pub fn is_fixed(&self) -> bool {
        matches!(self.action, Action::AddJob | Action::Interfaces | Action::Refresh | Action::Quit)
    }
}

const fn all(
    name: &'static str,
    keys: &'static [Chord],
    label: &'static str,
    help: &'static str,
    action: Action,
) -> Binding {
    Binding { name, views: &[], keys, label, help, action, changes: false, footer: false }
}

const fn of(
    name: &'static str,
    views: &'static [View],
    keys: &'static [Chord],
    label: &'static str,
    help: &'static str,
    action: Action,
) -> Binding {
    Binding { name, views, keys, label, help, action, changes: false, footer: true }
}

impl Binding {
    const fn changes(self) -> Self {
        Binding { changes: true, ..self }
    }

    const fn in_footer(self) -> Self {
        Binding { footer: true, ..self }
    }

    const fn unseen(self) -> Self {
        Binding { footer: false, ..self }
    }
}

use Action as A;
use Chord::{Char, Ctrl};

const LISTS: &[View] = &[
    View::Jobs,
    View::Queues,
    View::Dead,
    View::Tree,
    View::Cron,
    View::Workflows,
    View::Workflow,
    View::Nodes,
    View::Edges,
    View::Events,
    View::Settings,
    View::Doctor,
];

/// Every key there is.
pub const BINDINGS: &[Binding] = &[
    // Jobs and a job.
    of(
        "jobs.retry",
        &[View::Jobs, View::Job, View::Logs],
        &[Char('r')],
        "retry",
        "Run the job, or the marked ones, again: a waiting job now, a finished one as a new job",
        A::Retry,
    )
    .changes(),
    of(
        "jobs.cancel",
        &[View::Jobs, View::Job, View::Logs],
        &[Char('C')],
        "cancel",
        "Call the job, or the marked ones, off",
        A::Cancel,
    )
    .changes(),
    of(
        "jobs.edit",
        &[View::Jobs, View::Job],
        &[Char('E')],
        "edit+replay",
        "Change the payload of a finished job and run it again as a new one",
        A::Edit,
    )
    .changes(),
    of("jobs.logs", &[View::Jobs, View::Job], &[Char('l')], "logs", "What the job says, live", A::Logs),
    of("jobs.mark", &[View::Jobs], &[Char(' ')], "mark", "Mark the job, or take its mark away", A::Mark),
    of(
        "jobs.mark-all",
        &[View::Jobs],
        &[Char('A')],
        "all",
        "Mark all jobs that fit the filter, or none",
        A::MarkAll,
    ),
    of(
        "jobs.bulk",
        &[View::Jobs],
        &[Char('B')],
        "bulk",
        "Retry or cancel all jobs on the server that fit the filter, also those that are not loaded",
        A::Bulk,
    )
    .changes(),
    of(
        "jobs.compare",
        &[View::Job],
        &[Char('m')],
        "compare",
        "Compare the job with the last success of its type",
        A::Compare,
    ),
    // What a job says.
    of("logs.follow", &[View::Logs], &[Char('f')], "follow", "Follow the end of the log, or not", A::Follow),
    of("logs.wrap", &[View::Logs], &[Char('w')], "wrap", "Break long lines, or not", A::Wrap),
    of("logs.times", &[View::Logs], &[Char('t')], "times", "Show the time of each line, or not", A::Times),
    // Queues.
    of(
        "queues.pause",
        &[View::Queues],
        &[Char('P')],
        "pause",
        "Start no more jobs of the queue, on any node",
        A::Pause,
    )
    .changes(),
    of("queues.resume", &[View::Queues], &[Char('o')], "go on", "Let a paused queue go on", A::Resume)
        .changes(),
    of(
        "queues.drain",
        &[View::Queues],
        &[Char('D')],
        "drain",
        "Pause the queue, and say when nothing of it runs any more",
        A::Drain,
    )
    .changes(),
    of(
        "queues.concurrency",
        &[View::Queues],
        &[Char('K')],
        "conc.",
        "How many of its jobs each node runs at once (the setting queues.NAME.concurrency)",
        A::Concurrency,
    )
    .changes(),
    of(
        "queues.limit",
        &[View::Queues],
        &[Char('L')],
        "limit",
        "How many of its jobs all nodes together run at once",
        A::Limit,
    )
    .changes(),
    of(
        "queues.purge",
        &[View::Queues],
        &[Char('X')],
        "purge",
        "Call off all jobs of the queue that wait; its name is to be typed",
        A::Purge,
    )
    .changes(),
    // Dead jobs.
    of(
        "dead.retry",
        &[View::Dead],
        &[Char('r')],
        "retry all",
        "Run all dead jobs of the cause again",
        A::Retry,
    )
    .changes(),
    of(
        "dead.compare",
        &[View::Dead],
        &[Char('m')],
        "compare",
        "Compare the last of them with a success",
        A::Compare,
    ),
    // The tree.
    of("tree.fold", &[View::Tree], &[Char('t')], "fold", "Fold the branch, or unfold it", A::Fold),
    of(
        "tree.fold-all",
        &[View::Tree],
        &[Char('e')],
        "fold all",
        "Fold all branches below the first, or unfold all",
        A::FoldAll,
    )
    .unseen(),
    of(
        "tree.restart",
        &[View::Tree],
        &[Char('T')],
        "restart",
        "Restart the actor, or the supervisor with all below it",
        A::Restart,
    )
    .changes(),
    of(
        "tree.suspend",
        &[View::Tree],
        &[Char('S')],
        "suspend",
        "Let the actor handle no messages for a while",
        A::Suspend,
    )
    .changes(),
    of("tree.resume", &[View::Tree], &[Char('o')], "go on", "Let a suspended actor go on", A::Resume)
        .changes(),
    of("tree.stop", &[View::Tree], &[Char('X')], "stop", "Stop the actor; its path is to be typed", A::Stop)
        .changes(),
    // The cron table.
    of(
        "cron.run",
        &[View::Cron],
        &[Char('r')],
        "run now",
        "Store a job of the entry now, whatever its times",
        A::Retry,
    )
    .changes(),
    of("cron.pause", &[View::Cron], &[Char('P')], "pause", "Store no more jobs of the entry", A::Pause)
        .changes(),
    of("cron.resume", &[View::Cron], &[Char('o')], "go on", "Let a paused entry go on", A::Resume).changes(),
    of(
        "cron.delete",
        &[View::Cron],
        &[Char('X')],
        "delete",
        "Take the entry out of the table; its name is to be typed",
        A::Delete,
    )
    .changes(),
    // Workflows.
    of(
        "workflows.resume",
        &[View::Workflows, View::Workflow],
        &[Char('r')],
        "resume",
        "Run the failed steps again",
        A::Resume,
    )
    .changes(),
    of(
        "workflows.cancel",
        &[View::Workflows, View::Workflow],
        &[Char('C')],
        "cancel",
        "Call the workflow off",
        A::Cancel,
    )
    .changes(),
    // Nodes.
    of("nodes.pause", &[View::Nodes], &[Char('P')], "pause", "Let the node claim no more jobs", A::Pause)
        .changes(),
    of("nodes.resume", &[View::Nodes], &[Char('o')], "go on", "Let the node claim jobs again", A::Resume)
        .changes(),
    of(
        "nodes.drain",
        &[View::Nodes],
        &[Char('D')],
        "drain",
        "Let the node end what it runs, and exit; its name is to be typed",
        A::Drain,
    )
    .changes(),
    // Edges.
    of("edges.trip", &[View::Edges], &[Char('T')], "trip", "Let all jobs wait that need the edge", A::Trip)
        .changes(),
    of(
        "edges.ready",
        &[View::Edges],
        &[Char('o')],
        "ready",
        "Let the jobs run again that need the edge",
        A::Resume,
    )
    .changes(),
    // Settings.
    of(
        "settings.set",
        &[View::Settings],
        &[Char('S')],
        "set",
        "Change a live setting of the node until it ends",
        A::Set,
    )
    .changes(),
    of(
        "settings.take-back",
        &[View::Settings],
        &[Char('X')],
        "take back",
        "Take back what was changed so",
        A::TakeBack,
    )
    .changes(),
    // All lists, and what can be looked at.
    of(
        "describe",
        &[
            View::Queues,
            View::Dead,
            View::Tree,
            View::Cron,
            View::Workflows,
            View::Workflow,
            View::Nodes,
            View::Edges,
            View::Events,
            View::Settings,
            View::Doctor,
            View::Jobs,
        ],
        &[Char('d')],
        "describe",
        "All there is to know about it",
        A::Describe,
    ),
    of(
        "json",
        &[
            View::Jobs,
            View::Job,
            View::Queues,
            View::Dead,
            View::Tree,
            View::Cron,
            View::Workflows,
            View::Workflow,
            View::Nodes,
            View::Edges,
            View::Events,
            View::Settings,
        ],
        &[Char('y')],
        "json",
        "The same as JSON",
        A::Json,
    ),
    of(
        "copy",
        &[
            View::Jobs,
            View::Job,
            View::Logs,
            View::Queues,
            View::Dead,
            View::Tree,
            View::Cron,
            View::Workflows,
            View::Workflow,
            View::Nodes,
            View::Edges,
            View::Events,
            View::Settings,
            View::Doctor,
        ],
        &[Char('c')],
        "copy",
        "Copy its id or name by the terminal (OSC 52)",
        A::Copy,
    )
    .unseen(),
    of("sort.next", LISTS, &[Char('>')], "sort", "Sort by the next column", A::SortNext).unseen(),
    of("sort.previous", LISTS, &[Char('<')], "sort", "Sort by the column before", A::SortPrevious).unseen(),
    of("sort.reverse", LISTS, &[Char('=')], "reverse", "Sort the other way round", A::SortReverse).unseen(),
    of("filter", LISTS, &[Char('/')], "filter", "Show only what fits a filter", A::Filter),
    // Everywhere.
    all("enter", &[Chord::Enter], "open", "Go into what is selected", A::Enter),
    all("escape", &[Chord::Esc], "back", "Clear the filter and the marks, then go up", A::Escape),
    all("up", &[Char('k'), Chord::Up], "up", "One line up", A::Up),
    all("down", &[Char('j'), Chord::Down], "down", "One line down", A::Down),
    all("half-up", &[Ctrl('u')], "half up", "Half a screen up", A::HalfUp),
    all("half-down", &[Ctrl('d')], "half down", "Half a screen down", A::HalfDown),
    all("page-up", &[Chord::PageUp, Ctrl('b')], "page up", "A screen up", A::PageUp),
    all("page-down", &[Chord::PageDown], "page down", "A screen down", A::PageDown),
    all("first", &[Char('g'), Chord::Home], "first", "To the first line", A::First),
    all("last", &[Char('G'), Chord::End], "last", "To the last line", A::Last),
    all("next-view", &[Chord::Tab], "next view", "The next view", A::NextView),
    all("previous-view", &[Chord::BackTab], "view before", "The view before", A::PreviousView),
    all("last-view", &[Char('-')], "last view", "Where you were before", A::LastView),
    all("back", &[Char('[')], "back", "One place back in the history", A::Back),
    all("ahead", &[Char(']')], "ahead", "One place ahead in the history", A::Ahead),
    all("view.overview", &[Char('1')], "overview", "The overview", A::GoTo(0)),
    all("view.jobs", &[Char('2')], "jobs", "The jobs", A::GoTo(1)),
    all("view.queues", &[Char('3')], "queues", "The queues", A::GoTo(2)),
    all("view.dead", &[Char('4')], "dead", "Dead jobs by what they died of", A::GoTo(3)),
    all("view.tree", &[Char('5')], "tree", "The supervision tree", A::GoTo(4)),
    all("view.cron", &[Char('6')], "cron", "The cron table", A::GoTo(5)),
    all("view.workflows", &[Char('7')], "workflows", "The workflows", A::GoTo(6)),
    all("view.nodes", &[Char('8')], "nodes", "The nodes", A::GoTo(7)),
    all("view.events", &[Char('9')], "events", "The events, live", A::GoTo(8)),
    all(
        "view.edges",
        &[Char('0')],
        "edges",
        "The edges (settings and doctor: Tab, or :settings and :doctor)",
        A::GoTo(9),
    ),
    all("freeze", &[Char('f')], "freeze", "Hold what is shown, or let it go on", A::Freeze),
    all("messages", &[Char('!')], "messages", "The last messages and errors", A::Messages),
    all("command", &[Char(':')], "command", "Type a command; Tab completes it", A::Command).in_footer(),
    all("help", &[Char('?')], "help", "All keys that are valid here", A::Help).in_footer(),
    all("add-job", &[Char('N')], "new job", "Add a job, by a form that its type's schema makes", A::AddJob)
        .changes()
        .in_footer(),
    all("interfaces", &[Char('U')], "web", "List the web interfaces, and open one", A::Interfaces)
        .in_footer(),
    all("refresh", &[Char('R')], "refresh", "Ask for everything again, now", A::Refresh).in_footer(),
    all("quit", &[Char('Q'), Ctrl('c')], "quit", "Leave the console", A::Quit).in_footer(),
];
