//! The ports of the old system, each with the routes that its service had.

use crate::{pages, route::Route, routes::routes, terminal};

/// A port of the old system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OldPort {
    /// Of the gateway: jobs come in; 3000 by habit.
    Gateway,
    /// Of the read model: what there is to be seen; 8080 by habit.
    ReadModel,
    /// Of the processor's metrics; 8000 by habit.
    Metrics,
    /// Of the page of the web terminal; 8081 by habit.
    Terminal,
    /// Of its WebSocket; 9000 by habit.
    TerminalSocket,
    /// Of its metrics; 9001 by habit.
    TerminalMetrics,
}

impl OldPort {
    /// All of them.
    pub const ALL: [OldPort; 6] = [
        OldPort::Gateway,
        OldPort::ReadModel,
        OldPort::Metrics,
        OldPort::Terminal,
        OldPort::TerminalSocket,
        OldPort::TerminalMetrics,
    ];

    /// Its name, as logs and the tree have it.
    pub fn as_str(self) -> &'static str {
        match self {
            OldPort::Gateway => "gateway",
            OldPort::ReadModel => "read-model",
            OldPort::Metrics => "metrics",
            OldPort::Terminal => "terminal",
            OldPort::TerminalSocket => "terminal-socket",
            OldPort::TerminalMetrics => "terminal-metrics",
        }
    }

    /// The paths that its service had.
    fn paths(self) -> &'static [&'static str] {
        match self {
            OldPort::Gateway => &[
                "/jobs",
                "/healthz",
                "/readyz",
                "/metrics",
                "/proxy/alerts",
                "/proxy/targets",
                "/openapi.json",
                pages::DOCS,
            ],
            OldPort::ReadModel => {
                &["/stats", "/jobs/recent", "/events", "/health", "/openapi.json", pages::DOCS]
            }
            OldPort::Metrics | OldPort::TerminalMetrics => &["/metrics"],
            // What the page asks for, too.
            OldPort::Terminal => {
                &[pages::TERMINAL, terminal::PATH, terminal::TICKETS, "/stats", "/jobs/recent", "/health"]
            }
            OldPort::TerminalSocket => &[terminal::PATH],
        }
    }

    /// Whether it has the WebSocket of the terminal.
    pub(crate) fn has_terminal(self) -> bool {
        self.paths().contains(&terminal::PATH)
    }

    /// Whether programs are run for whoever may use it.
    pub(crate) fn runs_programs(self) -> bool {
        matches!(self, OldPort::Terminal | OldPort::TerminalSocket)
    }

    /// Whether it has the pages.
    pub(crate) fn has_pages(self) -> bool {
        self.paths().contains(&pages::DOCS)
    }
}

impl std::fmt::Display for OldPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The routes of an old port, or all of them at the server's own address.
pub(crate) fn routes_at(port: Option<OldPort>) -> Vec<Route> {
    let mut routes = routes();
    if let Some(port) = port {
        routes.retain(|route| port.paths().contains(&route.path));
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_an_old_port_is_a_route_of_the_old_contract() {
        for port in OldPort::ALL {
            let routes = routes_at(Some(port));
            let ours = |route: &&Route| !route.is_contract() && route.path != terminal::TICKETS;
            assert_eq!(routes.iter().find(ours).map(|route| route.path), None, "{port}");
            let others = [port.has_pages(), port.has_terminal(), port == OldPort::Terminal];
            let others = others.into_iter().filter(|has| *has).count();
            assert_eq!(routes.len() + others, port.paths().len(), "{port}");
        }
    }

    #[test]
    fn the_old_contract_is_there_as_a_whole() {
        for route in routes().iter().filter(|route| route.is_contract()) {
            assert!(OldPort::ALL.iter().any(|port| port.paths().contains(&route.path)), "{}", route.path);
        }
    }
}
