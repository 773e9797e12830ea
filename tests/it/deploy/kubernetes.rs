//! The Kubernetes manifests, as the API's own types.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Container, Namespace, PodSpec, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{commands::Invocation, document, documents, metrics, path, text};
use crate::server::{Options, Server, eventually};

const FOLDER: &str = "deploy/kubernetes";
const NAMESPACE: &str = "callboard";
/// Of the image (`Containerfile`).
const ACCOUNT: i64 = 10001;

/// Everything that the manifests make.
#[derive(Default)]
struct Manifests {
    namespaces: Vec<Namespace>,
    configs: Vec<ConfigMap>,
    secrets: Vec<Secret>,
    accounts: Vec<ServiceAccount>,
    services: Vec<Service>,
    deployments: Vec<Deployment>,
    budgets: Vec<PodDisruptionBudget>,
    policies: Vec<NetworkPolicy>,
    scalers: Vec<HorizontalPodAutoscaler>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kustomization {
    api_version: String,
    kind: String,
    namespace: String,
    resources: Vec<String>,
    images: Vec<BTreeMap<String, String>>,
}

/// What `prometheus-adapter`'s chart takes, as far as it is used.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adapter {
    prometheus: BTreeMap<String, serde_norway::Value>,
    rules: AdapterRules,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdapterRules {
    default: bool,
    external: Vec<AdapterRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AdapterRule {
    series_query: String,
    resources: BTreeMap<String, bool>,
    name: BTreeMap<String, String>,
    metrics_query: String,
}

/// Every file but what is for kustomize alone.
fn files() -> Vec<String> {
    let files = fs::read_dir(path(FOLDER)).expect("a folder");
    let mut names: Vec<String> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name != "kustomization.yaml");
    names.sort();
    names
}

fn manifests() -> Manifests {
    let mut all = Manifests::default();
    for file in files() {
        let name = format!("{FOLDER}/{file}");
        for (number, value) in documents(&name).into_iter().enumerate() {
            let place = format!("{name}, document {}", number + 1);
            let value = serde_json::to_value(&value).unwrap_or_else(|error| panic!("{place}: {error}"));
            let kind = (value["apiVersion"].as_str().unwrap_or(""), value["kind"].as_str().unwrap_or(""));
            match kind {
                ("v1", "Namespace") => all.namespaces.push(strict(&place, &value)),
                ("v1", "ConfigMap") => all.configs.push(strict(&place, &value)),
                ("v1", "Secret") => all.secrets.push(strict(&place, &value)),
                ("v1", "ServiceAccount") => all.accounts.push(strict(&place, &value)),
                ("v1", "Service") => all.services.push(strict(&place, &value)),
                ("apps/v1", "Deployment") => all.deployments.push(strict(&place, &value)),
                ("policy/v1", "PodDisruptionBudget") => all.budgets.push(strict(&place, &value)),
                ("networking.k8s.io/v1", "NetworkPolicy") => all.policies.push(strict(&place, &value)),
                ("autoscaling/v2", "HorizontalPodAutoscaler") => all.scalers.push(strict(&place, &value)),
                other => panic!("{place}: {other:?} is of no type that is checked"),
            }
        }
    }
    all
}

/// The typed object. Its types pass over fields that they do not know: so it is written again, and must say all that was read.
fn strict<T: DeserializeOwned + Serialize>(place: &str, value: &Value) -> T {
    let object: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    let again = serde_json::to_value(&object).expect("it was read");
    kept(place, value, &again);
    object
}

fn kept(place: &str, was: &Value, is: &Value) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (key, value) in was {
                let place = format!("{place}.{key}");
                // Nothing is as good as an empty list or object.
                match is.get(key) {
                    Some(again) => kept(&place, value, again),
                    None => panic!("{place}: the API has no such field"),
                }
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            assert_eq!(was.len(), is.len(), "{place}");
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                kept(&format!("{place}[{index}]"), was, is);
            }
        }
        _ => assert_eq!(was, is, "{place}"),
    }
}

fn labels_of(meta: Option<&ObjectMeta>) -> BTreeMap<String, String> {
    meta.and_then(|meta| meta.labels.clone()).unwrap_or_default()
}

fn selects(selector: Option<&BTreeMap<String, String>>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    assert!(selector.match_expressions.is_none(), "not checked");
    selector.match_labels.as_ref().is_none_or(|wanted| selects(Some(wanted), labels))
}

fn name(meta: &ObjectMeta) -> String {
    meta.name.clone().expect("a name")
}

/// The pods of a deployment: its name, their labels, what they are.
fn pods(manifests: &Manifests) -> Vec<(String, BTreeMap<String, String>, PodSpec)> {
    let pods = manifests.deployments.iter().map(|deployment| {
        let spec = deployment.spec.as_ref().expect("a spec");
        let labels = labels_of(spec.template.metadata.as_ref());
        assert!(matches(&spec.selector, &labels), "{:?}", deployment.metadata.name);
        (name(&deployment.metadata), labels, spec.template.spec.clone().expect("a spec"))
    });
    let pods: Vec<_> = pods.collect();
    assert_eq!(pods.len(), 2);
    pods
}

fn container(pod: &PodSpec) -> &Container {
    assert_eq!((pod.containers.len(), pod.init_containers.is_none()), (1, true));
    &pod.containers[0]
}

/// How the pods run the program.
pub(super) fn nodes() -> Vec<Invocation> {
    let manifests = manifests();
    let nodes = pods(&manifests).into_iter().map(|(name, _, pod)| {
        let container = container(&pod);
        let mut environment = Vec::new();
        for from in container.env_from.iter().flatten() {
            let wanted = &from.secret_ref.as_ref().expect("a secret").name;
            let secret =
                manifests.secrets.iter().find(|secret| secret.metadata.name.as_ref() == Some(wanted));
            let secret = secret.unwrap_or_else(|| panic!("{name}: no secret {wanted}"));
            environment.extend(secret.string_data.clone().expect("values"));
        }
        for variable in container.env.iter().flatten() {
            let value = match &variable.value_from {
                Some(source) => source.field_ref.as_ref().expect("a field of the pod").field_path.clone(),
                None => variable.value.clone().expect("a value"),
            };
            environment.push((variable.name.clone(), value));
        }
        let files = pod.volumes.iter().flatten().filter_map(|volume| {
            let wanted = &volume.config_map.as_ref()?.name;
            let config =
                manifests.configs.iter().find(|config| config.metadata.name.as_ref() == Some(wanted));
            let config = config.unwrap_or_else(|| panic!("{name}: no config map {wanted}"));
            let mounts = container.volume_mounts.iter().flatten();
            let mount = mounts.clone().find(|mount| mount.name == volume.name).expect("it is mounted");
            let data = config.data.clone().expect("files");
            Some(data.into_iter().map(|(file, content)| (format!("{}/{file}", mount.mount_path), content)))
        });
        Invocation {
            place: format!("kubernetes, {name}"),
            arguments: container.args.clone().expect("arguments"),
            environment,
            files: files.flatten().collect(),
        }
    });
    nodes.collect()
}

#[test]
fn a_field_that_the_api_has_not_is_found() {
    let right = serde_json::json!({ "metadata": { "name": "x" }, "spec": { "minAvailable": 1 } });
    let wrong = serde_json::json!({ "metadata": { "name": "x" }, "spec": { "minAvailible": 1 } });
    let passes =
        |value: &Value| std::panic::catch_unwind(|| drop(strict::<PodDisruptionBudget>("x", value))).is_ok();
    let typed = |mut value: Value| {
        value["apiVersion"] = "policy/v1".into();
        value["kind"] = "PodDisruptionBudget".into();
        value
    };
    assert!(passes(&typed(right)));
    assert!(!passes(&typed(wrong)));
}

#[test]
fn kustomize_applies_every_manifest_but_the_example() {
    let kustomization: Kustomization = document(&format!("{FOLDER}/kustomization.yaml"));
    assert_eq!(kustomization.api_version, "kustomize.config.k8s.io/v1beta1");
    assert_eq!((&*kustomization.kind, &*kustomization.namespace), ("Kustomization", NAMESPACE));
    let applied: BTreeSet<String> = kustomization.resources.into_iter().collect();
    let there: BTreeSet<String> = files().into_iter().filter(|file| !file.contains(".example.")).collect();
    assert_eq!(applied, there);
    let image = &kustomization.images[0];
    assert!(image["newTag"] != "latest" && !image["newTag"].is_empty());
    for (_, _, pod) in pods(&manifests()) {
        assert_eq!(container(&pod).image.as_ref(), Some(&image["name"]));
    }
}

#[test]
fn everything_is_in_one_namespace_and_bears_the_name() {
    let all = manifests();
    assert_eq!(
        all.namespaces.iter().map(|namespace| name(&namespace.metadata)).collect::<Vec<_>>(),
        [NAMESPACE]
    );
    let metas = all
        .configs
        .iter()
        .map(|object| &object.metadata)
        .chain(all.secrets.iter().map(|object| &object.metadata))
        .chain(all.accounts.iter().map(|object| &object.metadata))
        .chain(all.services.iter().map(|object| &object.metadata))
        .chain(all.deployments.iter().map(|object| &object.metadata))
        .chain(all.budgets.iter().map(|object| &object.metadata))
        .chain(all.policies.iter().map(|object| &object.metadata))
        .chain(all.scalers.iter().map(|object| &object.metadata));
    for meta in metas {
        assert_eq!(meta.namespace.as_deref(), Some(NAMESPACE), "{meta:?}");
        assert_eq!(
            labels_of(Some(meta)).get("app.kubernetes.io/name").map(String::as_str),
            Some("callboard")
        );
    }
}

#[test]
fn pods_have_no_rights() {
    let all = manifests();
    for (name, _, pod) in pods(&all) {
        let context = pod.security_context.as_ref().expect("a context");
        assert_eq!((context.run_as_non_root, context.run_as_user), (Some(true), Some(ACCOUNT)), "{name}");
        let seccomp = context.seccomp_profile.as_ref().map(|profile| profile.type_.as_str());
        assert_eq!(seccomp, Some("RuntimeDefault"), "{name}");
        assert_eq!(pod.automount_service_account_token, Some(false), "{name}");
        let account = pod.service_account_name.as_ref().expect("an account");
        assert!(all.accounts.iter().any(|known| known.metadata.name.as_ref() == Some(account)), "{name}");
        assert!(
            [pod.host_network, pod.host_pid, pod.host_ipc].iter().all(|shared| shared.is_none()),
            "{name}"
        );
        let container = container(&pod);
        let context = container.security_context.as_ref().expect("a context");
        assert_eq!(context.read_only_root_filesystem, Some(true), "{name}");
        assert_eq!(context.allow_privilege_escalation, Some(false), "{name}");
        let dropped = context.capabilities.as_ref().and_then(|capabilities| capabilities.drop.clone());
        assert_eq!(dropped, Some(vec!["ALL".to_owned()]), "{name}");
        let resources = container.resources.as_ref().expect("resources");
        let limits = resources.limits.as_ref().expect("limits");
        assert!(limits.contains_key("memory") && !limits.contains_key("cpu"), "{name}");
        assert!(
            ["cpu", "memory"].iter().all(|kind| resources
                .requests
                .as_ref()
                .expect("requests")
                .contains_key(*kind))
        );
        // What may be written to.
        let written = container.volume_mounts.iter().flatten().filter(|mount| mount.read_only != Some(true));
        let written: Vec<&str> = written.map(|mount| mount.mount_path.as_str()).collect();
        assert_eq!(written, ["/var/lib/callboard", "/tmp"], "{name}");
        for mount in container.volume_mounts.iter().flatten() {
            assert!(
                pod.volumes.iter().flatten().any(|volume| volume.name == mount.name),
                "{name}: {}",
                mount.name
            );
        }
        for volume in pod.volumes.iter().flatten() {
            assert!(
                volume.config_map.is_some()
                    || volume.empty_dir.as_ref().is_some_and(|dir| dir.size_limit.is_some())
            );
        }
    }
}

#[test]
fn every_command_flag_and_setting_is_one_of_the_program_and_there_is_time_to_stop() {
    let nodes = nodes();
    let commands: Vec<&str> = nodes.iter().map(|node| &*node.arguments[0]).collect();
    assert_eq!(commands, ["serve", "worker"]);
    let all = manifests();
    for (node, (_, _, pod)) in nodes.iter().zip(pods(&all)) {
        let effective = node.check();
        assert_eq!(effective.get("store.backend"), "\"postgres\"", "{}", node.place);
        node.listens_at("0.0.0.0:8080", &effective);
        let before = container(&pod).lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let pause =
            before.and_then(|before| before.exec.clone()).and_then(|exec| exec.command).expect("a pause");
        assert_eq!(pause[0], "sleep");
        let given = pod.termination_grace_period_seconds.expect("a time");
        node.has_time_to_stop(given.try_into().expect("a time"), pause[1].parse().expect("seconds"));
    }
}

#[test]
fn probes_are_answered_by_the_server() {
    let server = Server::start(&Options::arguments(&["--set", "web.token=hush"]));
    for (name, _, pod) in pods(&manifests()) {
        let container = container(&pod);
        let ports = container.ports.as_ref().expect("ports");
        let probes = [&container.startup_probe, &container.liveness_probe, &container.readiness_probe];
        for probe in probes {
            let probe = probe.as_ref().and_then(|probe| probe.http_get.as_ref()).expect("a probe over HTTP");
            assert!(ports.iter().any(
                |port| matches!(&probe.port, IntOrString::String(name) if port.name.as_ref() == Some(name))
            ));
            // As the kubelet asks: by the pod's address, and without a token.
            let path = probe.path.as_ref().expect("a path");
            let request = format!("GET {path} HTTP/1.1\r\nHost: 10.1.2.3:8080\r\nConnection: close\r\n\r\n");
            eventually(&format!("{name} answers {path}"), || server.raw(request.as_bytes()).status == 200);
        }
    }
}

#[test]
fn services_budgets_and_policies_mean_pods_that_there_are() {
    let all = manifests();
    let pods = pods(&all);
    for service in &all.services {
        let spec = service.spec.as_ref().expect("a spec");
        let meant: Vec<_> =
            pods.iter().filter(|(_, labels, _)| selects(spec.selector.as_ref(), labels)).collect();
        assert!(!meant.is_empty(), "{:?}", service.metadata.name);
        for (pod, port) in
            meant.iter().flat_map(|pod| spec.ports.iter().flatten().map(move |port| (pod, port)))
        {
            let Some(IntOrString::String(target)) = &port.target_port else { panic!("{port:?}") };
            let ports = container(&pod.2).ports.as_ref().expect("ports");
            assert!(ports.iter().any(|known| known.name.as_ref() == Some(target)), "{target}");
        }
    }
    let serve =
        all.services.iter().find(|service| name(&service.metadata) == "callboard").expect("a service");
    let selector = serve.spec.as_ref().and_then(|spec| spec.selector.clone());
    let clients: Vec<&str> = pods
        .iter()
        .filter(|(_, labels, _)| selects(selector.as_ref(), labels))
        .map(|(name, ..)| &**name)
        .collect();
    assert_eq!(clients, ["callboard-serve"], "clients do not come to workers");

    let mut guarded = Vec::new();
    for budget in &all.budgets {
        let spec = budget.spec.as_ref().expect("a spec");
        assert!(spec.min_available.is_some() != spec.max_unavailable.is_some());
        let selector = spec.selector.as_ref().expect("a selector");
        guarded.extend(
            pods.iter().filter(|(_, labels, _)| matches(selector, labels)).map(|(name, ..)| name.clone()),
        );
    }
    guarded.sort();
    assert_eq!(guarded, ["callboard-serve", "callboard-worker"]);
    for deployment in &all.deployments {
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
        // Of one alone a budget lets none go.
        assert!(replicas.is_none_or(|replicas| replicas > 1), "{:?}", deployment.metadata.name);
    }

    let mut closed = false;
    for policy in &all.policies {
        let spec = policy.spec.as_ref().expect("a spec");
        let selector = spec.pod_selector.clone().unwrap_or_default();
        assert!(pods.iter().all(|(_, labels, _)| matches(&selector, labels)), "{:?}", policy.metadata.name);
        let kinds = spec.policy_types.as_ref().expect("types");
        closed |= kinds.len() == 2 && spec.ingress.is_none() && spec.egress.is_none();
        let ports = spec.ingress.iter().flatten().flat_map(|rule| rule.ports.iter().flatten());
        for port in ports {
            assert!(matches!(&port.port, Some(IntOrString::String(name)) if name == "http"), "{port:?}");
        }
    }
    assert!(closed, "what is not allowed is forbidden");
}

#[test]
fn prometheus_finds_every_node_of_the_cluster() {
    let config: super::rules::Prometheus = document("deploy/prometheus/prometheus.kubernetes.yml");
    let scrape = &config.scrape_configs[0];
    let discovered = &scrape.kubernetes_sd_configs[0];
    // The alerts know the nodes by it.
    assert_eq!((&*scrape.job_name, &*discovered.role), ("callboard", "endpoints"));
    assert_eq!(discovered.namespaces["names"], [NAMESPACE]);
    let kept = &scrape.relabel_configs[0];
    assert_eq!(
        (kept.action.as_deref(), &*kept.source_labels[0]),
        (Some("keep"), "__meta_kubernetes_service_name")
    );
    let all = manifests();
    let service =
        all.services.iter().find(|service| service.metadata.name == kept.regex).expect("the service");
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
    assert!(pods(&all).iter().all(|(_, labels, _)| selects(selector.as_ref(), labels)), "workers, too");
}

#[test]
fn workers_are_scaled_on_a_number_that_there_is() {
    let all = manifests();
    let spec = all.scalers[0].spec.as_ref().expect("a spec");
    let target =
        all.deployments.iter().find(|deployment| name(&deployment.metadata) == spec.scale_target_ref.name);
    let target = target.and_then(|target| target.spec.as_ref()).expect("the deployment that is scaled");
    assert_eq!(target.replicas, None, "two would say how many there are");
    assert!(spec.min_replicas.is_some_and(|least| least >= 2 && least < spec.max_replicas));
    let metric =
        spec.metrics.as_ref().and_then(|metrics| metrics[0].external.as_ref()).expect("an external metric");
    assert_eq!(metric.target.type_, "Value");
    let wanted =
        metric.metric.selector.as_ref().and_then(|selector| selector.match_labels.clone()).expect("labels");

    let adapter: Adapter = document("deploy/prometheus/adapter.yaml");
    assert!(!adapter.rules.default && adapter.prometheus.contains_key("url"));
    let rule = &adapter.rules.external[0];
    assert_eq!(rule.name["as"], metric.metric.name);
    assert_eq!(rule.name["matches"], format!("^{}$", metric.metric.name));
    assert!(!rule.resources["namespaced"], "it is of the fleet, not of a namespace");
    // What the adapter asks Prometheus, with what it fills in.
    let matchers: Vec<String> = wanted.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let asked = rule.metrics_query.replace("<<.Series>>", &metric.metric.name);
    let asked = asked.replace("<<.LabelMatchers>>", &matchers.join(","));
    let known = metrics::Known::of_a_server();
    known.check("adapter.yaml", &asked);
    known.check("adapter.yaml", &rule.series_query);
    super::rules::are_expressions(&BTreeMap::from([("adapter.yaml".to_owned(), asked)]));
    // The queue that is scaled on is one that the workers serve.
    let queue = &wanted["queue"];
    let worker = nodes().into_iter().find(|node| node.arguments[0] == "worker").expect("a worker");
    assert!(worker.arguments.contains(queue), "{queue}");
}

#[test]
fn the_shared_settings_say_the_same_as_the_config_map() {
    // Beside the names and the times of a cluster.
    let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
    let all = manifests();
    let (config, file) = (
        table(&all.configs[0].data.as_ref().expect("files")["callboard.toml"]),
        table(&text("deploy/callboard.toml")),
    );
    for section in ["store", "log", "queues"] {
        assert_eq!(config[section], file[section], "{section}");
    }
}
