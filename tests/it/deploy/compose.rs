//! `deploy/compose.yaml`, read strictly: a key that is not named here is an error.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    commands::{Invocation, shared_settings},
    document, path, seconds, text,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    name: String,
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Empty>,
    volumes: BTreeMap<String, Empty>,
    secrets: BTreeMap<String, Secret>,
    #[serde(rename = "x-node")]
    _node: serde_norway::Value,
    #[serde(rename = "x-environment")]
    _environment: serde_norway::Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    environment: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Service {
    image: String,
    build: Option<Build>,
    profiles: Vec<String>,
    hostname: Option<String>,
    restart: String,
    user: Option<String>,
    read_only: bool,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    pids_limit: Option<u32>,
    mem_limit: Option<String>,
    shm_size: Option<String>,
    tmpfs: Vec<String>,
    volumes: Vec<String>,
    secrets: Vec<String>,
    stop_grace_period: Option<String>,
    networks: Vec<String>,
    ports: Vec<String>,
    depends_on: BTreeMap<String, Condition>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    healthcheck: Option<HealthCheck>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: String,
    dockerfile: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    condition: Needed,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Needed {
    ServiceStarted,
    ServiceHealthy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthCheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
}

fn compose() -> Compose {
    document("deploy/compose.yaml")
}

/// Variables that a text has as `${NAME:?..}`, and the text with a value in their place.
fn interpolated(text: &str) -> (Vec<String>, String) {
    let (mut names, mut whole, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = after.split_once('}').expect("a closing brace");
        let (name, message) = inside.split_once(":?").expect("a variable that must be set");
        assert!(!message.is_empty(), "{inside}");
        whole.push_str(before);
        whole.push_str("value0of0");
        whole.push_str(name);
        names.push(name.to_owned());
        rest = after;
    }
    whole.push_str(rest);
    (names, whole)
}

/// The services that run the program, and how they do.
pub(super) fn nodes() -> Vec<Invocation> {
    let nodes = compose().services.into_iter().filter(|(_, service)| service.build.is_some());
    let nodes = nodes.map(|(name, service)| {
        let environment = service.environment.iter();
        Invocation {
            place: format!("compose.yaml, {name}"),
            arguments: service.command,
            environment: environment.map(|(key, value)| (key.clone(), interpolated(value).1)).collect(),
            files: vec![shared_settings()],
        }
    });
    nodes.collect()
}

#[test]
fn the_fleet_is_there_with_its_servers() {
    let compose = compose();
    assert_eq!(compose.name, "callboard");
    for name in ["serve", "worker-1", "worker-2", "postgres", "rabbitmq", "redis", "mongodb"] {
        let service = compose.services.get(name).unwrap_or_else(|| panic!("no service {name}"));
        assert!(service.profiles.is_empty(), "{name} is started without being asked for");
    }
    let commands: Vec<String> = nodes().iter().map(|node| node.arguments[0].clone()).collect();
    assert_eq!(commands, ["serve", "worker", "worker"]);
}

#[test]
fn what_a_service_names_is_there() {
    let compose = compose();
    let keys = |map: &BTreeMap<String, Empty>| map.keys().cloned().collect::<BTreeSet<_>>();
    let (mut networks, mut volumes) = (keys(&compose.networks), keys(&compose.volumes));
    for (name, service) in &compose.services {
        assert_eq!(service.restart, "unless-stopped", "{name}");
        let (image, tag) = service.image.rsplit_once(':').expect("a tag");
        assert!(!image.is_empty() && !tag.is_empty() && tag != "latest", "{name}: {}", service.image);
        for network in &service.networks {
            assert!(compose.networks.contains_key(network), "{name}: {network}");
            networks.remove(network);
        }
        for volume in &service.volumes {
            let source = volume.split(':').next().expect("a source");
            match source.strip_prefix("./") {
                Some(file) => {
                    assert!(path("deploy").join(file).exists(), "{name}: {volume}");
                    assert!(volume.ends_with(":ro"), "{name}: {volume} may be written to");
                }
                None => {
                    assert!(compose.volumes.contains_key(source), "{name}: {volume}");
                    volumes.remove(source);
                }
            }
        }
        for secret in &service.secrets {
            assert!(compose.secrets.contains_key(secret), "{name}: {secret}");
        }
        for (needed, how) in &service.depends_on {
            let needed = compose.services.get(needed).unwrap_or_else(|| panic!("{name}: {needed}"));
            assert!(how.condition == Needed::ServiceStarted || needed.healthcheck.is_some(), "{name}");
        }
        for port in &service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to everybody");
        }
        if let Some(check) = &service.healthcheck {
            assert_eq!(check.test.first().map(String::as_str), Some("CMD"), "{name}");
            assert!(seconds(&check.timeout) < seconds(&check.interval) && check.retries > 0, "{name}");
        }
    }
    assert_eq!((networks, volumes), (BTreeSet::new(), BTreeSet::new()), "declared and not used");
}

#[test]
fn every_variable_is_in_the_example_and_no_secret_is_in_the_file() {
    let compose = compose();
    let texts = compose.services.values().flat_map(|service| service.environment.values());
    let mut used: BTreeSet<String> = texts.flat_map(|value| interpolated(value).0).collect();
    used.extend(compose.secrets.values().map(|secret| secret.environment.clone()));
    let example = text("deploy/compose.env.example");
    let lines = example.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let known: BTreeSet<String> = lines
        .map(|line| {
            line.strip_suffix('=').unwrap_or_else(|| panic!("{line}: a value in the example")).to_owned()
        })
        .collect();
    assert_eq!(used, known);
    for (name, service) in &compose.services {
        for (key, value) in &service.environment {
            let secret = ["PASS", "TOKEN"].iter().any(|word| key.contains(word)) || value.contains('@');
            assert!(!secret || value.contains("${"), "{name}: {key}");
        }
    }
}

#[test]
fn nodes_have_no_rights_and_time_to_stop() {
    let compose = compose();
    for (name, service) in compose.services.iter().filter(|(_, service)| service.build.is_some()) {
        assert!(service.read_only, "{name}");
        assert_eq!(service.user.as_deref(), Some("10001:10001"), "{name}");
        assert_eq!(
            (&service.cap_drop[..], &service.security_opt[..]),
            (&["ALL".to_owned()][..], &["no-new-privileges:true".to_owned()][..])
        );
        assert!(service.pids_limit.is_some() && service.mem_limit.is_some(), "{name}");
        let build = service.build.as_ref().expect("filtered");
        assert!(path("deploy").join(&build.context).join(&build.dockerfile).is_file(), "{name}");
        // Where the image keeps its data, and nowhere else.
        assert!(
            service.tmpfs.iter().any(|mount| mount.starts_with("/var/lib/callboard:uid=10001,")),
            "{name}"
        );
        let grace = service.stop_grace_period.as_deref().expect("a period");
        let node =
            nodes().into_iter().find(|node| node.place.ends_with(&format!(", {name}"))).expect("a node");
        node.has_time_to_stop(seconds(grace), 0);
    }
    // What is kept in a volume needs its time, too.
    for (name, service) in compose.services.iter().filter(|(_, service)| service.shm_size.is_some()) {
        assert!(service.stop_grace_period.is_some(), "{name}");
    }
}

#[test]
fn every_command_flag_and_setting_is_one_of_the_program() {
    let nodes = nodes();
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let effective = node.check();
        node.listens_at("0.0.0.0:8080", &effective);
        assert_eq!(effective.get("store.backend"), "\"postgres\"", "{}", node.place);
    }
}

#[test]
fn prometheus_scrapes_every_node_where_it_is() {
    let config: super::rules::Prometheus = document("deploy/prometheus/prometheus.yml");
    let compose = compose();
    let scrape = config.scrape_configs.iter().find(|scrape| scrape.job_name == "callboard").expect("a job");
    let discovered = &scrape.dns_sd_configs[0];
    let nodes: BTreeSet<&String> = compose
        .services
        .iter()
        .filter(|(_, service)| service.build.is_some())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(discovered.names.iter().collect::<BTreeSet<_>>(), nodes);
    assert_eq!(discovered.port, 8080);
    let secret = scrape.authorization.credentials_file.strip_prefix("/run/secrets/").expect("a secret");
    assert!(compose.services["prometheus"].secrets.iter().any(|known| known == secret));
    let alerts = &config.alerting.alertmanagers[0].static_configs[0].targets;
    assert_eq!(alerts, &["alertmanager:9093".to_owned()]);
    assert!(compose.services.contains_key("alertmanager"));
    // And where the server's own proxy looks for them.
    let proxied = &compose.services["serve"].environment;
    assert_eq!(proxied["CALLBOARD__PROXY__ALERTMANAGER_URL"], "http://alertmanager:9093");
    assert_eq!(proxied["CALLBOARD__PROXY__PROMETHEUS_URL"], "http://prometheus:9090");
}
