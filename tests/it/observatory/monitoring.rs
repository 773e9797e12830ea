//! A real Alertmanager and a real Prometheus, where they are installed (`scripts/check-deploy` does it).

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{get, old_port, options};
use crate::server::{PATIENCE, Server, eventually, request_at};

/// A server of Prometheus' family. Dropped, it is killed and its folder removed.
pub(crate) struct Monitor {
    pub(crate) address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl Monitor {
    /// Starts the program with this configuration, on a free port.
    fn start(program: &str, config: &str, storage: &str, more: &[&str]) -> Monitor {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("config.yml");
        fs::write(&file, config).expect("a file");
        // Somebody else may take the port first.
        for _ in 0..5 {
            let address =
                TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
            let log = fs::File::create(folder.path().join("log")).expect("a file");
            let mut process = Command::new(program)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("{storage}={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("it was found");
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && process.try_wait().expect("a child").is_none() {
                if std::net::TcpStream::connect(address).is_ok() && get(address, "/-/ready").status == 200 {
                    return Monitor { address, process, folder };
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!(
            "{program} does not start: {}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
    }

    pub(crate) fn prometheus(config: &str) -> Monitor {
        Monitor::start("prometheus", config, "--storage.tsdb.path", &[])
    }

    fn alertmanager(config: &str) -> Monitor {
        Monitor::start("prometheus-alertmanager", config, "--storage.path", &["--cluster.listen-address="])
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The program's own folder.
    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the program is installed; without it a test of it is left out, unless CALLBOARD_TEST_MONITORING says that it may not.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    assert!(
        found || std::env::var_os("CALLBOARD_TEST_MONITORING").is_none(),
        "{program} is not installed; scripts/check-deploy installs it"
    );
    if !found {
        eprintln!("left out: {program} is not installed (scripts/check-deploy)");
    }
    found
}

#[test]
fn a_real_alertmanagers_alerts_and_a_real_prometheus_targets_are_passed_on() {
    if !is_installed("prometheus") || !is_installed("prometheus-alertmanager") {
        return;
    }
    let alertmanager = Monitor::alertmanager("route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
    // It scrapes the server, which is told where it is only when it runs: by a file that is written then.
    let discovery = "targets.json";
    let prometheus = Monitor::prometheus(&format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n  - job_name: callboard\n    file_sd_configs: [{{ files: [{discovery}], refresh_interval: 1s }}]\n"
    ));
    let urls = [("alertmanager", alertmanager.url()), ("prometheus", prometheus.url())]
        .map(|(name, url)| format!("proxy.{name}_url={url}"));
    let server = Server::start(&options(&[&urls[0], &urls[1]]));
    let gateway = old_port(&server, "gateway");

    assert_eq!(get(gateway, "/proxy/alerts").json(), json!([]));
    let alert = json!([{ "labels": { "alertname": "CallboardDown", "severity": "critical" } }]).to_string();
    let headers = [("Content-Type", "application/json")];
    let told = request_at(alertmanager.address, "POST", "/api/v2/alerts", &headers, &alert);
    assert_eq!(told.status, 200, "{told:?}");
    eventually("the alert is passed on", || {
        let alerts = get(gateway, "/proxy/alerts").json();
        alerts[0]["labels"]["alertname"] == "CallboardDown" && alerts[0]["status"]["state"] == "active"
    });

    let targets = json!([{ "targets": [server.address.to_string()] }]).to_string();
    let partial = prometheus.folder().join("partial.json");
    fs::write(&partial, targets).expect("a file");
    fs::rename(&partial, prometheus.folder().join(discovery)).expect("the same folder");
    let mut seen = Value::Null;
    eventually("Prometheus scrapes the server", || {
        seen = get(gateway, "/proxy/targets").json();
        seen["data"]["activeTargets"][0]["health"] == "up"
    });
    let target = &seen["data"]["activeTargets"][0];
    assert_eq!(
        (&seen["status"], &target["labels"]["job"]),
        (&json!("success"), &json!("callboard")),
        "{seen}"
    );
    assert_eq!(target["scrapeUrl"], format!("{}/metrics", server.url()));
}
