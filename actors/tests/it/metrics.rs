//! What `/metrics` says, and the page about it.

use std::{collections::BTreeSet, path::Path};

use callboard_actors::roles::MetricFamily;
use serde_json::json;

use crate::pipeline::harness::{Folder, Node};

fn reference(families: &[MetricFamily]) -> String {
    let mut families: Vec<&MetricFamily> = families.iter().collect();
    families.sort_by_key(|family| &family.name);
    let row = |family: &&MetricFamily| {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let of = if family.of_fleet { "fleet" } else { "node" };
        format!("| `{}` | {} | {} | {of} | {} |\n", family.name, family.kind, labels.join(", "), family.help)
    };
    let rows: String = families.iter().map(row).collect();
    format!("| name | kind | labels | of | meaning |\n|---|---|---|---|---|\n{rows}")
}

/// With `UPDATE_DOCS=1` in the environment this writes the table into the page.
#[tokio::test]
async fn the_page_has_every_family_and_no_other() {
    const BEGIN: &str = "<!-- reference: begin (from the program's own table) -->\n";
    const END: &str = "<!-- reference: end -->";
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let expected = reference(node.handles.metrics.families());
    node.stop().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, expected, "run this test with UPDATE_DOCS=1");
    }
}

#[tokio::test]
async fn jobs_are_counted_by_queue_and_type_and_all_that_is_said_is_described() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let ids = node.submit_all(vec![json!({"type": "noop"}), json!({"type": "noop"})]).await;
    for id in ids {
        node.reaches(id, callboard_contracts::JobState::Completed).await;
    }
    let metrics = &node.handles.metrics;
    let expected = [
        "callboard_attempts_started_total{queue=\"default\",type=\"noop\"} 2",
        "callboard_attempts_finished_total{outcome=\"completed\",queue=\"default\",type=\"noop\"} 2",
        "callboard_attempt_duration_seconds_count{queue=\"default\",type=\"noop\"} 2",
        "callboard_job_start_latency_seconds_count{queue=\"default\",type=\"noop\"} 2",
        "callboard_jobs_finished_total{outcome=\"completed\",queue=\"default\",type=\"noop\"} 2",
        "callboard_queue_running_jobs{queue=\"default\"} 0",
        "callboard_queue_oldest_available_seconds{queue=\"default\"} 0",
        "callboard_sessions_opened_total 1",
        "callboard_sessions_lost_total 0",
        "callboard_leader 1",
        "callboard_store_writes_failed_total 0",
    ];
    node.until("all of it is counted", async || {
        let text = metrics.render();
        expected.iter().all(|line| text.lines().any(|found| found == *line)).then_some(())
    })
    .await;
    let text = metrics.render();
    let described: BTreeSet<(&str, &str)> =
        metrics.families().iter().map(|family| (family.name.as_str(), family.kind)).collect();
    let said: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(said.len() > 20);
    for family in said {
        assert!(described.contains(&family), "{family:?} is not described");
    }
    let sizes = text.lines().find_map(|line| line.strip_prefix("callboard_store_batch_size_sum ")).unwrap();
    assert!(sizes.parse::<f64>().unwrap() >= 4.0, "{sizes}");
    node.stop().await;
}
