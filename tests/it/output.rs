//! What programs write, up to the bounds.

use crate::server::{Options, Server};

/// JSON writes each of these bytes with six, and the result must still be within its bound.
#[test]
fn the_longest_output_fits_into_a_result() {
    let server = Server::start(&Options::arguments(&["--allow-program", "head"]));
    let output =
        server.cli(&["submit", "command", "--wait", "--json", "--", "head", "-c", "1100000", "/dev/zero"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ended: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let id = ended["id"].as_str().expect("an id");
    let job = server.get(&format!("/api/v1/jobs/{id}")).json();
    assert_eq!(job["state"], "completed");
    let result = &job["result"];
    assert_eq!(result["stdout"].as_str().expect("text"), "\0".repeat(1024 * 1024));
    assert_eq!((&result["stdout_truncated"], &result["stdout_bytes"]), (&true.into(), &1_100_000.into()));
}
