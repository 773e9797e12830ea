//! The supervision tree.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a node of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// An actor.
    Actor,
    /// A supervisor of named children.
    Supervisor,
    /// A supervisor of children that come and go.
    DynamicSupervisor,
}

/// A crash that a supervisor has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrashView {
    /// When.
    pub at: Timestamp,
    /// The path of the actor that crashed, such as `edges/store`.
    pub actor: String,
    /// Its generation, from 0.
    pub generation: u64,
    /// The message it was handling, by type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// What the panic, or the failed start, said.
    pub reason: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

/// A node of the supervision tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TreeNode {
    /// Its path below the root, such as `edges/store`; the root's own is empty.
    pub path: String,
    /// Its name, the path's last part.
    pub name: String,
    /// What it is.
    pub kind: ActorKind,
    /// The Rust type that does the work.
    pub actor_type: String,
    /// `starting`, `running`, `suspended`, `backing_off`, `stopping`, `stopped`, `stuck` or `failed`.
    pub state: String,
    /// What it says about itself, where that is not just that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Restarts of this address so far.
    pub generation: u64,
    /// Restarts that count against the supervisor's intensity now.
    pub restarts: u32,
    /// Restarts the supervisor allows in its period; 0 for an actor.
    pub restarts_allowed: u32,
    /// Messages that wait.
    pub mailbox_depth: usize,
    /// Messages that may wait; 0 for no bound.
    pub mailbox_capacity: usize,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages handled.
    pub handled: u64,
    /// Panics of this address; for a dynamic supervisor, of all its children.
    pub crashes: u64,
    /// The message in hand, by type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_message: Option<String>,
    /// For how many milliseconds it has been in hand, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_message_ms: Option<u64>,
    /// The last crashes, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_crashes: Vec<CrashView>,
    /// Its children, in starting order; of a dynamic supervisor at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub children: Vec<TreeNode>,
}

impl TreeNode {
    /// The node with this path; the empty path is the root.
    ///
    /// ```
    /// # use callboard_contracts::api::TreeNode;
    /// # fn example(tree: &TreeNode) {
    /// if let Some(store) = tree.find("edges/store") {
    ///     println!("the store is {}", store.state);
    /// }
    /// # }
    /// ```
    pub fn find(&self, path: &str) -> Option<&TreeNode> {
        if self.path == path {
            return Some(self);
        }
        // Only one child can lead there.
        let leads = |child: &&TreeNode| {
            path.strip_prefix(child.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.children.iter().find(leads)?.find(path)
    }
}
