//! Whose pages may use the terminal.

use std::net::{IpAddr, SocketAddr};

/// Whether a page of this origin may. `host`: what the request names, which was checked to be a name of this server. `ports`: where
/// the server listens besides. `others`: what the operator allows.
pub(super) fn is_allowed(
    origin: &str,
    host: &str,
    https: bool,
    ports: &[SocketAddr],
    others: &[String],
) -> bool {
    // Whoever speaks TLS in front of the server need not have said so.
    let own = origin == format!("https://{host}") || (!https && origin == format!("http://{host}"));
    if own || others.iter().any(|other| other == origin) {
        return true;
    }
    let name = name(host);
    let names: &[&str] = match is_loopback(name) {
        true => &["localhost", "127.0.0.1", "[::1]"],
        false => &[name],
    };
    ports.iter().any(|at| names.iter().any(|name| origin == format!("http://{name}:{}", at.port())))
}

/// Without the port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_origin_is_allowed() {
        let ports = ["127.0.0.1:8080", "127.0.0.1:8081"].map(|at| at.parse().expect("an address"));
        let others = ["https://ops.example.com".to_owned()];
        let allowed = |origin: &str, host: &str| is_allowed(origin, host, false, &ports, &others);
        for origin in [
            "http://127.0.0.1:9000",
            "http://127.0.0.1:8081",
            "http://localhost:8081",
            "http://[::1]:8080",
            "https://ops.example.com",
        ] {
            assert!(allowed(origin, "127.0.0.1:9000"), "{origin}");
        }
        for origin in [
            "",
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:9001",
            "https://127.0.0.1:8081",
            "http://127.0.0.1:8081/",
            "http://127.0.0.1:80810",
            "http://127.0.0.1:8081.evil.example",
            "http://evil.example",
            "http://evil.example:8081",
            "https://ops.example.com.evil.example",
            "https://ops.example.com:443",
            "http://ops.example.com",
        ] {
            assert!(!allowed(origin, "127.0.0.1:9000"), "{origin}");
        }
        assert!(allowed("http://callboard.internal:8081", "callboard.internal:9000"));
        assert!(!allowed("http://localhost:8081", "callboard.internal:9000"));
        assert!(allowed("http://callboard.internal", "callboard.internal"));
        assert!(allowed("https://callboard.internal", "callboard.internal"));
        assert!(is_allowed("https://callboard.internal", "callboard.internal", true, &[], &[]));
        assert!(!is_allowed("http://callboard.internal", "callboard.internal", true, &[], &[]));
    }
}
