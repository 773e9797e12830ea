//! The old system's ports, and what passes the Alertmanager's and Prometheus' answers on.

mod monitoring;
mod ports;
mod proxy;
mod upstream;

use std::net::SocketAddr;

use serde_json::Value;

pub(crate) use self::monitoring::{Monitor, is_installed};

use crate::server::{Answer, Options, Server, request_at};

/// A server with the old ports, wherever the system wants them.
pub(crate) fn options(more: &[&str]) -> Options {
    let ports = ["gateway", "read_model", "metrics", "terminal", "terminal_socket", "terminal_metrics"]
        .map(|port| format!("observatory.{port}_listen=127.0.0.1:0"));
    let mut arguments = vec!["--observatory".to_owned()];
    for setting in ports.iter().map(String::as_str).chain(more.iter().copied()) {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    Options { arguments, ..Options::default() }
}

/// Where an old port of the server is. It was logged before the server said where it is itself.
pub(crate) fn old_port(server: &Server, name: &str) -> SocketAddr {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut opened = lines.filter(|line| line["message"] == "listening as the old system did");
    let line = opened.find(|line| line["port"] == name).unwrap_or_else(|| panic!("no port {name} in {log}"));
    line["address"].as_str().expect("an address").parse().expect("an address")
}

fn get(address: SocketAddr, path: &str) -> Answer {
    request_at(address, "GET", path, &[], "")
}

fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    request_at(address, "POST", path, &[("Content-Type", "application/json")], body)
}
