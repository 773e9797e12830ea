//! The inspector: shows other nodes what is in this one.

use std::sync::Arc;

use callboard_contracts::api::TreeNode;
use callboard_supervisors::{Actor, Context, Message, PlainHandler, StartError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node::Node;
use crate::edges::remote::RemoteMessage;

/// The name under which every node with a bus offers what can be asked of it.
pub const INSPECTOR: &str = "callboard";

/// Asks a node for its supervision tree, without backtraces. `None`: it is on its way out.
#[derive(Debug, Default, Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = Option<TreeNode>)]
pub struct GetTree {}

impl RemoteMessage for GetTree {
    const TYPE: &'static str = "tree";
}

/// Answers other nodes.
pub struct Inspector(Arc<Node>);

/// What an [`Inspector`] is made from.
#[derive(Clone)]
pub struct InspectorArgs(pub(super) Arc<Node>);

impl Actor for Inspector {
    type Args = InspectorArgs;

    async fn start(args: InspectorArgs, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Inspector(args.0))
    }
}

impl PlainHandler<GetTree> for Inspector {
    type Reply = Option<TreeNode>;

    fn handle(&mut self, GetTree {}: GetTree, _: &mut Context<Self>) -> Option<TreeNode> {
        self.0.standing.host()?.tree()
    }
}
