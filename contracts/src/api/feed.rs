//! What the live feed says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EdgeView, JobSummary, NodeView, QueueView, TreeNode};

/// What can be watched. A frame of the feed is an event of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FeedTopic {
    /// An [`Overview`](super::Overview), as a whole.
    Overview,
    /// [`QueueChanges`].
    Queues,
    /// [`NodeChanges`].
    Nodes,
    /// [`EdgeChanges`].
    Edges,
    /// [`TreeChanges`].
    Tree,
    /// [`JobChanges`].
    Jobs,
}

impl FeedTopic {
    /// All of them.
    pub const ALL: [FeedTopic; 6] = [
        FeedTopic::Overview,
        FeedTopic::Queues,
        FeedTopic::Nodes,
        FeedTopic::Edges,
        FeedTopic::Tree,
        FeedTopic::Jobs,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FeedTopic::Overview => "overview",
            FeedTopic::Queues => "queues",
            FeedTopic::Nodes => "nodes",
            FeedTopic::Edges => "edges",
            FeedTopic::Tree => "tree",
            FeedTopic::Jobs => "jobs",
        }
    }
}

/// What has changed of the queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueChanges {
    /// Whether these are all there are; what was known before is forgotten.
    pub full: bool,
    /// Those that are new or other than before.
    pub changed: Vec<QueueView>,
    /// Names of those that are gone.
    pub removed: Vec<String>,
}

/// What has changed of the nodes of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeChanges {
    /// Whether these are all there are; what was known before is forgotten.
    pub full: bool,
    /// Those that are new or other than before.
    pub changed: Vec<NodeView>,
    /// Names of those that are gone.
    pub removed: Vec<String>,
}

/// What has changed of the edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeChanges {
    /// Whether these are all there are; what was known before is forgotten.
    pub full: bool,
    /// Those that are new or other than before.
    pub changed: Vec<EdgeView>,
    /// Names of those that are gone.
    pub removed: Vec<String>,
}

/// A node of the tree, without what is below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TreeEntry {
    /// The path of what it is below; null for the root.
    pub parent: Option<String>,
    /// Its place among its siblings, from 0.
    pub index: usize,
    /// What it is. It has no `children`, and its crashes no backtraces: `GET /api/v1/tree` has them.
    #[serde(flatten)]
    pub node: TreeNode,
}

/// What has changed of the supervision tree of the node that is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TreeChanges {
    /// Whether these are all there are; what was known before is forgotten.
    pub full: bool,
    /// Those that are new or other than before, what is above before what is below.
    pub changed: Vec<TreeEntry>,
    /// Paths of those that are gone, each for itself.
    pub removed: Vec<String>,
}

/// The jobs of which something was said since the last frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobChanges {
    /// Whether the watching begins here: there is nothing before it.
    pub full: bool,
    /// Those jobs as they are now, at most 100.
    pub changed: Vec<JobSummary>,
    /// Events that were passed over, since there were too many: lists of jobs are to be read again.
    pub more: u64,
}

impl TreeEntry {
    /// All nodes of a tree, each before what is below it.
    ///
    /// ```
    /// # use callboard_contracts::api::{TreeEntry, TreeNode};
    /// # fn example(tree: TreeNode) {
    /// for entry in TreeEntry::flatten(tree) {
    ///     println!("{} is below {:?}", entry.node.path, entry.parent);
    /// }
    /// # }
    /// ```
    pub fn flatten(root: TreeNode) -> Vec<TreeEntry> {
        let mut entries = Vec::new();
        let mut open = vec![(None, 0, root)];
        while let Some((parent, index, mut node)) = open.pop() {
            let children = std::mem::take(&mut node.children);
            let below = children.into_iter().enumerate().rev();
            open.extend(below.map(|(index, child)| (Some(node.path.clone()), index, child)));
            entries.push(TreeEntry { parent, index, node });
        }
        entries
    }
}
