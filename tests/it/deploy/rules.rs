//! Prometheus' configuration, the alerts and their tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use serde::Deserialize;
use tempfile::TempDir;

use super::{document, metrics, operations, path};
use crate::{
    observatory::{Monitor, is_installed},
    server::{Options, Server, eventually, request_at},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prometheus {
    global: BTreeMap<String, String>,
    rule_files: Vec<String>,
    pub(super) alerting: Alerting,
    pub(super) scrape_configs: Vec<Scrape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alerting {
    pub(super) alertmanagers: Vec<Alertmanagers>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alertmanagers {
    pub(super) static_configs: Vec<Targets>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Targets {
    pub(super) targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrape {
    pub(super) job_name: String,
    pub(super) authorization: Authorization,
    #[serde(default)]
    pub(super) dns_sd_configs: Vec<Discovered>,
    #[serde(default)]
    pub(super) kubernetes_sd_configs: Vec<InCluster>,
    #[serde(default)]
    pub(super) relabel_configs: Vec<Relabel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InCluster {
    pub(super) role: String,
    pub(super) namespaces: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Relabel {
    pub(super) source_labels: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) action: Option<String>,
    #[serde(rename = "target_label")]
    _target_label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorization {
    pub(super) credentials_file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discovered {
    pub(super) names: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
    pub(super) port: u16,
    refresh_interval: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    lasting: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
    runbook: String,
}

#[derive(Debug, Deserialize)]
struct Tests {
    rule_files: Vec<String>,
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    input_series: Vec<Series>,
    alert_rule_test: Vec<Expected>,
}

#[derive(Debug, Deserialize)]
struct Series {
    series: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(rename = "eval_time")]
    _eval_time: String,
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<serde_norway::Value>,
}

fn alerts() -> Vec<Alert> {
    let rules: Rules = document("deploy/prometheus/rules.yml");
    assert!(rules.groups.iter().all(|group| group.name.starts_with("callboard")));
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

#[test]
fn each_alert_says_what_is_the_matter_and_what_to_do() {
    let runbooks = operations::headings();
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = &alert.alert;
        assert!(name.starts_with("Callboard") && names.insert(name.clone()), "{name}");
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{name}: {severity:?}");
        assert!(alert.lasting.is_none_or(|time| super::seconds(&time) > 0), "{name}");
        assert!(!alert.annotations.summary.is_empty() && !alert.annotations.description.is_empty(), "{name}");
        assert_eq!(alert.annotations.runbook, format!("docs/operations.md#{}", name.to_lowercase()));
        assert!(runbooks.contains(name), "docs/operations.md has no runbook of {name}");
    }
    let runbooks: BTreeSet<String> =
        runbooks.into_iter().filter(|heading| heading.starts_with("Callboard")).collect();
    assert_eq!(runbooks, names, "a runbook without an alert");
}

#[test]
fn each_alert_is_tested_firing_and_quiet() {
    let tests: Tests = document("deploy/prometheus/rules_test.yml");
    assert_eq!(tests.rule_files, ["rules.yml"]);
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.alert).collect();
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for expected in tests.tests.iter().flat_map(|case| &case.alert_rule_test) {
        let set = if expected.exp_alerts.is_empty() { &mut quiet } else { &mut firing };
        set.insert(expected.alertname.clone());
    }
    assert_eq!(firing, names, "alerts that fire in no test, or are none");
    assert_eq!(quiet, names, "alerts that are quiet in no test, or are none");
}

#[test]
fn each_number_of_the_alerts_and_of_their_tests_is_one_of_the_server() {
    let known = metrics::Known::of_a_server();
    for alert in alerts() {
        known.check(&alert.alert, &alert.expr);
    }
    let tests: Tests = document("deploy/prometheus/rules_test.yml");
    for series in tests.tests.iter().flat_map(|case| &case.input_series) {
        known.check("rules_test.yml", &series.series);
    }
}

#[test]
fn the_scrape_configuration_names_the_rules_and_the_job_that_they_ask_for() {
    let config: Prometheus = document("deploy/prometheus/prometheus.yml");
    assert_eq!(config.rule_files, ["rules.yml"]);
    assert!(path("deploy/prometheus/rules.yml").is_file());
    assert_eq!(config.scrape_configs.len(), 1);
    let scrape = &config.scrape_configs[0];
    assert_eq!((&*scrape.job_name, &*scrape.dns_sd_configs[0].kind), ("callboard", "A"));
    let interval = super::seconds(&config.global["scrape_interval"]);
    assert!(interval <= 15 && super::seconds(&scrape.dns_sd_configs[0].refresh_interval) <= 30);
}

/// Runs promtool in the folder of the files, or leaves it out where it is not installed.
pub(super) fn promtool(arguments: &[&str]) -> Option<(bool, String)> {
    if !is_installed("promtool") {
        return None;
    }
    let output = Command::new("promtool").args(arguments).current_dir(path("deploy/prometheus")).output();
    let output = output.expect("it was found");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn promtool_takes_the_configuration_and_the_rules_and_their_tests_pass() {
    for arguments in [
        // The token's file is there when it runs, not when it is checked.
        &["check", "config", "--syntax-only", "prometheus.yml"][..],
        &["check", "rules", "rules.yml"],
        &["test", "rules", "rules_test.yml"],
    ] {
        let Some((passed, said)) = promtool(arguments) else { return };
        assert!(passed, "{arguments:?}: {said}");
    }
}

#[test]
fn promtool_takes_the_configuration_for_a_cluster() {
    // Debian's Prometheus was built without what looks nodes up in a cluster; the types have read that part.
    let config = super::text("deploy/prometheus/prometheus.kubernetes.yml");
    let (before, rest) = config.split_once("    kubernetes_sd_configs:\n").expect("the part");
    let (_, after) = rest.split_once("    relabel_configs:\n").expect("what follows");
    let folder = TempDir::new().expect("a folder");
    fs::copy(path("deploy/prometheus/rules.yml"), folder.path().join("rules.yml")).expect("a file");
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, format!("{before}    relabel_configs:\n{after}")).expect("a file");
    let arguments = ["check", "config", "--syntax-only", file.to_str().expect("UTF-8")];
    let Some((passed, said)) = promtool(&arguments) else { return };
    assert!(passed, "{said}");
}

#[test]
fn a_real_prometheus_evaluates_the_rules_on_a_real_server() {
    if !is_installed("prometheus") {
        return;
    }
    let server = Server::start(&Options::default());
    assert_eq!(server.post("/api/v1/jobs", r#"{"type":"noop"}"#).status, 202);
    let prometheus = Monitor::prometheus(&format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\n\
         scrape_configs:\n  - job_name: callboard\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
        path("deploy/prometheus/rules.yml").display(),
        server.address
    ));
    let ask = |path: &str| request_at(prometheus.address, "GET", path, &[], "").json();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut rules = Vec::new();
    eventually("each rule is evaluated", || {
        let groups = list(&ask("/api/v1/rules")["data"]["groups"]);
        rules = groups.iter().flat_map(|group| list(&group["rules"])).collect();
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    });
    let broken: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert_eq!((rules.len(), &*broken), (alerts().len(), &[][..]));
    // Before the first scrape there was no node.
    eventually("nothing is the matter", || {
        let up = ask("/api/v1/query?query=up");
        up["data"]["result"][0]["value"][1] == "1"
            && list(&ask("/api/v1/alerts")["data"]["alerts"]).is_empty()
    });
    let killed = server.kill();
    eventually("the server is missed", || {
        let alerts = list(&ask("/api/v1/alerts")["data"]["alerts"]);
        alerts.iter().any(|alert| alert["labels"]["alertname"] == "CallboardDown")
    });
    drop(killed);
}

/// Each of these is understood by Prometheus.
pub(super) fn are_expressions(expressions: &BTreeMap<String, String>) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("rules.yml");
    let rules: Vec<_> = (0..)
        .zip(expressions.values())
        .map(|(number, expr)| serde_json::json!({ "record": format!("checked:{number}"), "expr": expr }))
        .collect();
    // JSON is YAML.
    let group = serde_json::json!({ "groups": [{ "name": "checked", "rules": rules }] });
    fs::write(&file, group.to_string()).expect("a file");
    if let Some((passed, said)) = promtool(&["check", "rules", file.to_str().expect("UTF-8")]) {
        assert!(passed, "{said} in {expressions:#?}");
    }
}
