//! `callboard tree`.

mod draw;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use callboard::{
    client::{Client, ClientError},
    contracts::api::TreeNode,
};
use clap::Args;

use super::{
    output::{Failure, NO_SERVER, Printer, line},
    values,
};

/// Moves the cursor to the top and clears what is below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// How the tree is drawn.
#[derive(Debug, Args)]
pub(super) struct TreeArgs {
    /// The tree of this process of the fleet, asked over the bus; `callboard nodes` lists them. Backtraces stay there.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// How long that process has to answer, up to 60s.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration, requires = "node")]
    answer_within: Duration,
    /// Only the node with this path and what is below it, such as queues/queue-default.
    #[arg(long)]
    path: Option<String>,
    /// Levels below the first node that are shown; with 0 the node alone.
    #[arg(long, value_name = "LEVELS")]
    depth: Option<usize>,
    /// Draw with ASCII characters alone.
    #[arg(long)]
    ascii: bool,
    /// Draw again and again, this often, until interrupted; with --json one object a line.
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1s",
        value_parser = values::duration,
    )]
    watch: Option<Duration>,
}

pub(super) async fn run(client: &Client, args: &TreeArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let Some(interval) = args.watch else {
        let tree = part(ask(client, args).await?, args)?;
        if printer.json {
            printer.document(&tree);
        } else {
            draw::lines(&tree, args.ascii, printer).iter().for_each(|text| line(text));
        }
        return Ok(ExitCode::SUCCESS);
    };
    // Ends by the signal itself: there is nothing to put in order.
    let mut seen = false;
    loop {
        match ask(client, args).await.map_err(Failure::from).and_then(|tree| part(tree, args)) {
            Ok(tree) if printer.json => printer.record(&tree),
            Ok(tree) => {
                let clear = if io::stdout().is_terminal() { CLEAR } else { "" };
                line(&format!("{clear}{}", draw::lines(&tree, args.ascii, printer).join("\n")));
            }
            // One that is being restarted comes back.
            Err(failure) if seen && failure.code == NO_SERVER => {
                printer.failure(&failure);
            }
            Err(failure) => return Err(failure),
        }
        seen = true;
        tokio::time::sleep(interval.max(Duration::from_millis(100))).await;
    }
}

async fn ask(client: &Client, args: &TreeArgs) -> Result<TreeNode, ClientError> {
    match &args.node {
        Some(node) => client.node_tree(node, args.answer_within).await,
        None => client.tree().await,
    }
}

/// What was asked for of the tree.
fn part(tree: TreeNode, args: &TreeArgs) -> Result<TreeNode, Failure> {
    let mut part = match args.path.as_deref().map(|path| path.trim_matches('/')) {
        None | Some("" | "root") => tree,
        Some(path) => match tree.find(path) {
            Some(node) => node.clone(),
            None => return Err(no_such_node(&tree, path)),
        },
    };
    if let Some(depth) = args.depth {
        cut(&mut part, depth);
    }
    Ok(part)
}

fn cut(node: &mut TreeNode, depth: usize) {
    if depth == 0 {
        node.children.clear();
    }
    node.children.iter_mut().for_each(|child| cut(child, depth.saturating_sub(1)));
}

/// Says which part of the path is right, and what there is below it.
fn no_such_node(tree: &TreeNode, path: &str) -> Failure {
    let mut known = tree;
    let mut end = 0;
    for part in path.split('/') {
        let next = if end == 0 { part.len() } else { end + 1 + part.len() };
        let Some(node) = tree.find(&path[..next]) else { break };
        (known, end) = (node, next);
    }
    let place = if end == 0 { "the root".to_owned() } else { format!("{:?}", &path[..end]) };
    let names: Vec<&str> = known.children.iter().map(|child| child.name.as_str()).collect();
    let below = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Failure::failed(format!("there is no node {path:?} in the tree; below {place} there is {below}"))
}

#[cfg(test)]
mod tests {
    use super::{draw::tests::tree, *};

    fn asked(path: &str, depth: Option<usize>) -> Result<TreeNode, String> {
        let path = Some(path.to_owned());
        let args =
            TreeArgs { node: None, answer_within: Duration::ZERO, path, depth, ascii: true, watch: None };
        part(tree(), &args).map_err(|failure| failure.message)
    }

    #[test]
    fn a_part_is_found_by_its_path() {
        for path in ["", "/", "root"] {
            assert_eq!(asked(path, None).unwrap(), tree());
        }
        assert_eq!(asked("queues", None).unwrap(), tree().children[0]);
        assert_eq!(asked("/queues/producer/", None).unwrap().name, "producer");
        assert!(asked("queues", Some(0)).unwrap().children.is_empty());
        let one_level = asked("", Some(1)).unwrap();
        assert!(!one_level.children.is_empty() && one_level.children[0].children.is_empty());
    }

    #[test]
    fn a_wrong_path_is_told_where_it_is_wrong() {
        let said = "there is no node \"queue/producer\" in the tree; below the root there is queues, gateway";
        assert_eq!(asked("queue/producer", None).unwrap_err(), said);
        let said = "there is no node \"queues/x/y\" in the tree; below \"queues\" there is producer";
        assert_eq!(asked("queues/x/y", None).unwrap_err(), said);
        let said =
            "there is no node \"queues/producer/x\" in the tree; below \"queues/producer\" there is nothing";
        assert_eq!(asked("queues/producer/x", None).unwrap_err(), said);
    }
}
