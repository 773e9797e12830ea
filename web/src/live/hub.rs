//! [`LiveHub`]: looks once a second at what is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_actors::roles::request::{GetJobs, ReadLog};
use callboard_contracts::api::{
    EdgeChanges, EdgeView, FeedTopic, JobChanges, LogCursor, NodeChanges, NodeView, QueueChanges, QueueView,
    TreeChanges, TreeEntry,
};
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{
    board::{Board, Told},
    changes::changes,
    overview::Scene,
};
use crate::problem::Trouble;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Events of the log that are read for one frame of jobs.
const EVENTS: u32 = 256;
/// Jobs in one frame.
const JOBS: usize = 100;

/// What a [`LiveHub`] is made from.
#[derive(Clone)]
pub(crate) struct HubArgs {
    pub(crate) scene: Scene,
    pub(crate) board: Arc<Board>,
}

/// Looks once a second at what somebody watches, and puts on the board what has changed. While nobody watches, it does nothing.
pub(crate) struct LiveHub;

impl Actor for LiveHub {
    type Args = HubArgs;

    async fn start(args: HubArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let HubArgs { scene, board } = args;
        // What the generation before had seen is gone with it: what has changed since then cannot be said.
        board.forget();
        cx.spawn(async move {
            let mut hub = Hub { scene, board, known: Known::default() };
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                // Somebody who begins to watch is not to wait for the next second.
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = hub.board.wanted.notified() => {}
                }
                hub.look().await;
            }
        });
        Ok(LiveHub)
    }
}

/// What was seen last of what is watched.
#[derive(Default)]
struct Known {
    queues: BTreeMap<String, QueueView>,
    nodes: BTreeMap<String, NodeView>,
    edges: BTreeMap<String, EdgeView>,
    tree: BTreeMap<String, TreeEntry>,
    /// How far the log was read.
    jobs: Option<LogCursor>,
    watched: BTreeSet<FeedTopic>,
}

struct Hub {
    scene: Scene,
    board: Arc<Board>,
    known: Known,
}

impl Hub {
    async fn look(&mut self) {
        let watched = self.board.watched(Instant::now());
        // What is watched anew is told as a whole, whatever was known of it.
        if !self.known.watched.contains(&FeedTopic::Jobs) {
            self.known.jobs = None;
        }
        self.known.watched.clone_from(&watched);
        if watched.is_empty() {
            return;
        }
        if let Err(trouble) = self.look_at(&watched).await {
            // The overview says what is the matter; the rest stays as it was told.
            tracing::debug!(?trouble, "what is watched cannot be looked at");
            if watched.contains(&FeedTopic::Overview) {
                let known = &self.known;
                let (queues, nodes, edges) =
                    (values(&known.queues), values(&known.nodes), values(&known.edges));
                self.tell_overview(&queues, &nodes, &edges);
            }
        }
    }

    async fn look_at(&mut self, watched: &BTreeSet<FeedTopic>) -> Result<(), Trouble> {
        let is = |topic| watched.contains(&topic);
        if is(FeedTopic::Tree) {
            self.look_at_tree();
        }
        if is(FeedTopic::Jobs) {
            self.look_at_jobs().await?;
        }
        let overview = is(FeedTopic::Overview);
        let (mut queues, mut nodes, mut edges) = (Vec::new(), Vec::new(), Vec::new());
        if overview || is(FeedTopic::Queues) {
            queues = self.scene.queues().await?;
            let (changed, removed) = changes(&mut self.known.queues, &queues, |queue| &queue.name);
            let news = !(changed.is_empty() && removed.is_empty());
            if is(FeedTopic::Queues) {
                let whole = QueueChanges { full: true, changed: queues.clone(), removed: Vec::new() };
                let changes = QueueChanges { full: false, changed, removed };
                self.board.tell(Told::Queues(whole), news.then_some(Told::Queues(changes)));
            }
        }
        if overview || is(FeedTopic::Nodes) {
            nodes = self.scene.nodes().await?;
            let (changed, removed) = changes(&mut self.known.nodes, &nodes, |node| &node.name);
            let news = !(changed.is_empty() && removed.is_empty());
            if is(FeedTopic::Nodes) {
                let whole = NodeChanges { full: true, changed: nodes.clone(), removed: Vec::new() };
                let changes = NodeChanges { full: false, changed, removed };
                self.board.tell(Told::Nodes(whole), news.then_some(Told::Nodes(changes)));
            }
        }
        if overview || is(FeedTopic::Edges) {
            edges = self.scene.edges().await?;
            let (changed, removed) = changes(&mut self.known.edges, &edges, |edge| &edge.name);
            let news = !(changed.is_empty() && removed.is_empty());
            if is(FeedTopic::Edges) {
                let whole = EdgeChanges { full: true, changed: edges.clone(), removed: Vec::new() };
                let changes = EdgeChanges { full: false, changed, removed };
                self.board.tell(Told::Edges(whole), news.then_some(Told::Edges(changes)));
            }
        }
        if overview {
            self.tell_overview(&queues, &nodes, &edges);
        }
        Ok(())
    }

    fn tell_overview(&self, queues: &[QueueView], nodes: &[NodeView], edges: &[EdgeView]) {
        let overview =
            Told::Overview(Box::new(self.scene.overview(&self.scene.tree(), queues, nodes, edges)));
        self.board.tell(overview.clone(), Some(overview));
    }

    fn look_at_tree(&mut self) {
        let entries = TreeEntry::flatten(self.scene.tree());
        let (changed, removed) = changes(&mut self.known.tree, &entries, |entry| &entry.node.path);
        let news = !(changed.is_empty() && removed.is_empty());
        let whole = TreeChanges { full: true, changed: entries, removed: Vec::new() };
        let changes = TreeChanges { full: false, changed, removed };
        self.board.tell(Told::Tree(whole), news.then_some(Told::Tree(changes)));
    }

    async fn look_at_jobs(&mut self) -> Result<(), Trouble> {
        let whole = || Told::Jobs(JobChanges { full: true, ..JobChanges::default() });
        let newest = *self.scene.roles.committed.borrow();
        let Some(after) = self.known.jobs.filter(|after| after.epoch == newest.epoch) else {
            // Where the watching begins; an import has begun another log.
            let begun = self.known.jobs.replace(newest).is_some();
            let changes = JobChanges { full: true, ..JobChanges::default() };
            self.board.tell(whole(), begun.then_some(Told::Jobs(changes)));
            return Ok(());
        };
        if after == newest {
            return Ok(());
        }
        let read_log = ReadLog { after, job: None, limit: EVENTS };
        let page = self.scene.ask(&self.scene.roles.read_log, read_log).await??;
        let read = page.events.last().map_or(after, |event| event.cursor);
        let mut ids = Vec::new();
        let mut more = newest.position.saturating_sub(read.position);
        for event in &page.events {
            let id = event.event.payload.get("id").and_then(|id| id.as_str());
            let Some(id) = id.and_then(|id| Uuid::try_parse(id).ok()) else { continue };
            if ids.contains(&id) {
                continue;
            }
            if ids.len() == JOBS {
                more += 1;
            } else {
                ids.push(id);
            }
        }
        let jobs = self.scene.ask(&self.scene.roles.get_jobs, GetJobs { ids }).await??.jobs;
        self.known.jobs = Some(newest.max(read));
        let changes = JobChanges { full: false, changed: jobs, more };
        self.board.tell(whole(), Some(Told::Jobs(changes)));
        Ok(())
    }
}

fn values<T: Clone>(known: &BTreeMap<String, T>) -> Vec<T> {
    known.values().cloned().collect()
}
