//! Grafana's dashboard.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{document, metrics, path, rules, text};

#[derive(Debug, Deserialize)]
struct Dashboard {
    title: String,
    uid: String,
    templating: Templating,
    panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
struct Templating {
    list: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
struct Variable {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    definition: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    id: u32,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(rename = "gridPos")]
    place: Place,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    datasource: Option<Source>,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "fieldConfig")]
    _field_config: Value,
    #[serde(default, rename = "options")]
    _options: Value,
    #[serde(default, rename = "collapsed")]
    _collapsed: bool,
    #[serde(default, rename = "panels")]
    _panels: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    h: u32,
    w: u32,
    x: u32,
    y: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    #[serde(rename = "refId")]
    reference: String,
    datasource: Source,
    expr: String,
    #[serde(rename = "legendFormat")]
    _legend: String,
    range: bool,
}

fn dashboard() -> Dashboard {
    serde_json::from_str(&text("deploy/grafana/callboard.json")).expect("a dashboard")
}

/// Every expression, with variables as Grafana would fill them in, by where it stands.
fn expressions() -> BTreeMap<String, String> {
    let mut expressions = BTreeMap::new();
    for panel in dashboard().panels {
        for target in panel.targets {
            let place = format!("{}, {}", panel.title, target.reference);
            let before = expressions.insert(place.clone(), target.expr.replace("$queue", "default"));
            assert_eq!(before, None, "{place} is there twice");
        }
    }
    expressions
}

#[test]
fn panels_lie_beside_each_other_and_ask_the_source_that_is_chosen() {
    let dashboard = dashboard();
    assert_eq!((&*dashboard.title, &*dashboard.uid), ("Callboard", "callboard"));
    let variables: Vec<(&str, &str)> =
        dashboard.templating.list.iter().map(|variable| (&*variable.name, &*variable.kind)).collect();
    assert_eq!(variables, [("datasource", "datasource"), ("queue", "query")]);
    let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in &dashboard.panels {
        let title = &panel.title;
        assert!(ids.insert(panel.id), "{title}: its id is another's");
        for x in panel.place.x..panel.place.x + panel.place.w {
            for y in panel.place.y..panel.place.y + panel.place.h {
                assert!(x < 24 && taken.insert((x, y)), "{title} lies on another panel, or beyond the edge");
            }
        }
        assert_eq!(panel.kind == "row", panel.targets.is_empty(), "{title}");
        let sources = panel.datasource.iter().chain(panel.targets.iter().map(|target| &target.datasource));
        for source in sources {
            assert_eq!((&*source.kind, &*source.uid), ("prometheus", "${datasource}"), "{title}");
        }
        assert!(panel.targets.iter().all(|target| target.range), "{title}");
    }
}

#[test]
fn each_number_is_one_of_the_server_and_each_expression_one_of_prometheus() {
    let known = metrics::Known::of_a_server();
    let expressions = expressions();
    assert!(expressions.len() > 40);
    for (place, expression) in &expressions {
        known.check(place, expression);
    }
    for variable in dashboard().templating.list.iter().filter(|variable| variable.kind == "query") {
        let asked = variable.definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) =
            asked.and_then(|asked| asked.split_once(", ")).expect("label_values(NUMBER, LABEL)");
        known.check(&variable.name, &format!("sum by ({label}) ({metric})"));
    }
    rules::are_expressions(&expressions);
}

#[test]
fn grafana_finds_the_dashboard_and_prometheus() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Sources {
        api_version: u32,
        datasources: Vec<BTreeMap<String, serde_norway::Value>>,
    }
    let sources: Sources = document("deploy/grafana/provisioning/datasources/prometheus.yaml");
    let source = &sources.datasources[0];
    assert_eq!((sources.api_version, source["url"].as_str()), (1, Some("http://prometheus:9090")));
    let boards: serde_norway::Value = document("deploy/grafana/provisioning/dashboards/callboard.yaml");
    assert_eq!(boards["providers"][0]["options"]["path"].as_str(), Some("/var/lib/grafana/dashboards"));
    let compose = text("deploy/compose.yaml");
    assert!(compose.contains("./grafana/callboard.json:/var/lib/grafana/dashboards/callboard.json:ro"));
    assert!(path("deploy/grafana/callboard.json").is_file());
}
