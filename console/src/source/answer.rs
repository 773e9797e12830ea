//! Requests as calls of the client.

use callboard_client::{Client, ClientError, DeadCauseQuery, SeriesQuery, WorkflowQuery};
use callboard_contracts::api::{OrderNode, TreeNode};
use std::time::Duration;

use crate::exchange::{Answer, Change, Failure, Request};

/// The numbers over time that the overview shows.
const SERIES: [&str; 9] = [
    "completed",
    "failed",
    "retried",
    "submitted",
    "available",
    "executing",
    "oldest_ms",
    "wait_p99_ms",
    "run_p99_ms",
];
/// Causes and workflows that are shown at most.
const MOST_CAUSES: u32 = 200;
const MOST_WORKFLOWS: u32 = 1000;
/// Steps of a graph that are shown at most.
const MOST_STEPS: u32 = 1000;
/// How long another node may take to show its tree.
const OTHER_TREE: Duration = Duration::from_secs(5);

/// Asks the server.
pub(super) async fn ask(client: &Client, request: &Request) -> Result<Answer, Failure> {
    Ok(match request {
        Request::Ready => Answer::Ready(client.ready().await?),
        Request::Overview => Answer::Overview(Box::new(client.overview().await?)),
        Request::Series => {
            let names = SERIES.map(str::to_owned).to_vec();
            Answer::Series(Box::new(client.series(&SeriesQuery { names, ..SeriesQuery::default() }).await?))
        }
        Request::Queues => Answer::Queues(client.queues().await?),
        Request::Tree(node) => Answer::Tree(Box::new(tree(client, node.as_deref()).await?)),
        Request::Nodes => Answer::Nodes(client.nodes().await?),
        Request::Edges => Answer::Edges(client.edges().await?),
        Request::Alerts => Answer::Alerts(alerts(client).await?),
        Request::Jobs(_, query) | Request::Newest(_, query) => Answer::Jobs(client.jobs(query).await?),
        Request::Lookup(ids) => Answer::Lookup(client.lookup(ids).await?.jobs),
        Request::Job(id) | Request::Payload(id) => Answer::Job(Box::new(client.job(*id).await?)),
        Request::Compare(id) => Answer::Compare(Box::new(client.compare(*id).await?)),
        Request::Causes => {
            let query = DeadCauseQuery { limit: Some(MOST_CAUSES), ..DeadCauseQuery::default() };
            let list = client.dead_causes(&query).await?;
            Answer::Causes(list.causes, list.next_cursor.is_some())
        }
        Request::Cron => Answer::Cron(client.cron().await?),
        Request::Workflows => {
            let query = WorkflowQuery { limit: Some(MOST_WORKFLOWS), ..WorkflowQuery::default() };
            let list = client.workflows(&query).await?;
            Answer::Workflows(list.workflows, list.next_cursor.is_some())
        }
        Request::Workflow(id) => Answer::Workflow(Box::new(client.workflow_graph(*id, MOST_STEPS).await?)),
        Request::Settings => Answer::Settings(Box::new(client.settings().await?)),
        Request::JobTypes => Answer::JobTypes(client.job_types().await?),
        Request::Interfaces => {
            let interfaces = client.interfaces().await?;
            // What is the server's own has no more than a path.
            let whole =
                |url: String| if url.starts_with('/') { format!("{}{url}", client.url()) } else { url };
            Answer::Interfaces(interfaces.into_iter().map(|one| (one.name, whole(one.url))).collect())
        }
        Request::Preview(intent) => Answer::Preview(Box::new(client.preview_bulk(&intent.start).await?)),
        Request::Command(id) => Answer::Command(Box::new(client.command(*id).await?)),
        Request::Change(change) | Request::OfBatch(change) => make(client, change).await?,
    })
}

async fn tree(client: &Client, node: Option<&str>) -> Result<TreeNode, Failure> {
    Ok(match node {
        None => client.tree().await?,
        Some(node) => client.node_tree(node, OTHER_TREE).await?,
    })
}

async fn alerts(client: &Client) -> Result<Vec<String>, Failure> {
    let alerts = match client.outside_alerts().await {
        Ok(alerts) => alerts,
        Err(ClientError::Refused { problem, .. }) => match outside_problem(&problem.detail) {
            Some(text) => return Err(Failure { text, is_lost: false, status: Some(problem.status) }),
            None => return Ok(Vec::new()),
        },
        Err(error) => return Err(error.into()),
    };
    let line = |alert: &serde_json::Value| {
        let text = |pointer: &str| alert.pointer(pointer).and_then(serde_json::Value::as_str);
        let name = text("/labels/alertname").unwrap_or("alert");
        let about = text("/annotations/summary").or(text("/annotations/description")).unwrap_or("");
        format!("{name}: {about}")
    };
    Ok(alerts.iter().map(line).collect())
}

/// What is wrong with the alerts from outside, from the server's own words, which may be JSON; none if no Alertmanager is configured.
fn outside_problem(said: &str) -> Option<String> {
    let json = serde_json::from_str::<serde_json::Value>(said).ok();
    let word = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = word("details").or_else(|| word("error")).unwrap_or_else(|| said.to_owned());
    (text != "proxy.alertmanager_url is not set").then_some(text)
}

async fn make(client: &Client, change: &Change) -> Result<Answer, Failure> {
    let said = match change {
        Change::Retry(id) => return Ok(Answer::Retried(client.retry(*id).await?.id)),
        Change::RetryEdited(id, edit) => {
            return Ok(Answer::Retried(client.retry_edited(*id, edit).await?.id));
        }
        Change::Cancel(id) => {
            let cancelled = client.cancel(*id).await?;
            if cancelled.state.is_final() {
                format!("{id} is cancelled")
            } else {
                format!("{id} is told to end")
            }
        }
        Change::Submit(job) => {
            let submitted = client.submit((**job).clone()).await?;
            return Ok(Answer::Submitted(submitted.id));
        }
        Change::Bulk(start) => {
            let bulk = client.start_bulk(start).await?;
            format!("begun with {} jobs, as the bulk operation {}", bulk.matched, bulk.id)
        }
        Change::PauseQueue(name) => {
            client.pause_queue(name).await?;
            format!("{name} is paused")
        }
        Change::DrainQueue(name) => {
            client.pause_queue(name).await?;
            format!("{name} is paused; what runs goes on")
        }
        Change::ResumeQueue(name) => {
            client.resume_queue(name).await?;
            format!("{name} goes on")
        }
        Change::LimitQueue(name, limits) => match client.limit_queue(name, limits).await?.max_running {
            Some(most) => format!("{name}: all nodes together run at most {most} jobs at once"),
            None => format!("{name} has no such limit any more"),
        },
        Change::PauseCron(name) => {
            client.pause_cron(name).await?;
            format!("{name} is paused")
        }
        Change::ResumeCron(name) => {
            client.resume_cron(name).await?;
            format!("{name} goes on")
        }
        Change::RunCron(name) => format!("job {} is stored", client.run_cron(name).await?.job_id),
        Change::DeleteCron(name) => {
            client.delete_cron(name).await?;
            format!("{name} is gone")
        }
        Change::CancelWorkflow(id) => {
            let cancelled = client.cancel_workflow(*id).await?;
            format!("the workflow is {}; {} steps run still", cancelled.state, cancelled.running)
        }
        Change::ResumeWorkflow(id) => format!("{} steps run again", client.resume_workflow(*id).await?.steps),
        Change::Order(node, action) => {
            let order = OrderNode { action: action.clone(), valid_for_ms: None };
            return Ok(Answer::Command(Box::new(client.order_node(node, &order).await?)));
        }
        Change::Edge(name, set) => format!("{name} is {}", client.put_edge(name, set).await?.state.as_str()),
        Change::Settings(settings) => {
            let changed = client.change_settings(settings).await?;
            let applied: Vec<String> = changed
                .applied
                .iter()
                .map(|change| format!("{} = {}", change.key, change.new.as_deref().unwrap_or("(gone)")))
                .collect();
            if applied.is_empty() { "nothing has changed".to_owned() } else { applied.join(", ") }
        }
    };
    Ok(Answer::Changed(said))
}

#[cfg(test)]
mod tests {
    use super::outside_problem;

    #[test]
    fn no_alertmanager_is_no_problem_and_others_are_told_in_words() {
        let unset = r#"{"error":"Alertmanager unavailable","details":"proxy.alertmanager_url is not set"}"#;
        assert_eq!(outside_problem(unset), None);
        let refused = r#"{"error":"Alertmanager unavailable","details":"connection refused"}"#;
        assert_eq!(outside_problem(refused).as_deref(), Some("connection refused"));
        assert_eq!(
            outside_problem(r#"{"error":"Alertmanager timeout"}"#).as_deref(),
            Some("Alertmanager timeout")
        );
        assert_eq!(outside_problem("the answer is empty").as_deref(), Some("the answer is empty"));
    }
}
