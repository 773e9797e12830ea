//! What a job asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::allow_list::printable;
use super::environment;

const MAX_ARGS: usize = 1024;
/// One argument; Linux itself stops at 128 KiB.
const MAX_ARG_BYTES: usize = 64 * 1024;
/// Arguments and variables together; Linux itself gives them 2 MiB with what counting costs.
const MAX_ARGS_AND_ENV_BYTES: usize = 512 * 1024;
pub(super) const MAX_ENV: usize = 128;
const MAX_ENV_VALUE_BYTES: usize = 32 * 1024;
const MAX_STDIN_BYTES: usize = 1024 * 1024;
const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A program to run: the payload of a `command` job.
///
/// There is no shell: `program` is looked up in the server's allow-list and gets `args` as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// The program: a bare name or an absolute path that the server allows.
    #[schemars(length(min = 1, max = 4096))]
    pub program: String,
    /// The arguments, one each, without the program's own name.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub args: Vec<String>,
    /// What the program reads on its standard input, at most 1 MiB; nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_048_576))]
    pub stdin: Option<String>,
    /// Variables of the program's environment, which is otherwise cleared. Names are letters, digits and `_`; those that
    /// make a loader or an interpreter run other code (`LD_*`, `PATH`, `BASH_ENV`, ...) and `CALLBOARD_*` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 128))]
    pub env: BTreeMap<String, String>,
    /// How long the program may run, in milliseconds, before it is ended; the server's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800_000))]
    pub timeout_ms: Option<u64>,
}

/// What is wrong with a request, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}` {problem}")]
pub struct InvalidRequest {
    /// The field, as a path: `args[3]`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl CommandRequest {
    /// Checks everything but whether the program is allowed.
    ///
    /// # Errors
    /// The first field that is out of bounds or not fit to be given to a program.
    pub fn validate(&self) -> Result<(), InvalidRequest> {
        if self.args.len() > MAX_ARGS {
            return invalid(
                "args",
                format!("has {} arguments; at most {MAX_ARGS} are taken", self.args.len()),
            );
        }
        let mut total = 0;
        for (index, arg) in self.args.iter().enumerate() {
            let field = || format!("args[{index}]");
            check_text(arg, MAX_ARG_BYTES).or_else(|problem| invalid(field(), problem))?;
            total += arg.len() + 1;
        }
        if self.env.len() > MAX_ENV {
            return invalid("env", format!("has {} variables; at most {MAX_ENV} are taken", self.env.len()));
        }
        for (name, value) in &self.env {
            let field = || format!("env[{}]", printable(name));
            environment::check_name(name).or_else(|problem| invalid(field(), problem.to_owned()))?;
            check_text(value, MAX_ENV_VALUE_BYTES).or_else(|problem| invalid(field(), problem))?;
            total += name.len() + value.len() + 2;
        }
        if total > MAX_ARGS_AND_ENV_BYTES {
            let problem =
                format!("and `env` have {total} bytes together; at most {MAX_ARGS_AND_ENV_BYTES} are taken");
            return invalid("args", problem);
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|stdin| stdin.len() > MAX_STDIN_BYTES) {
            let problem = format!("has {} bytes; at most {MAX_STDIN_BYTES} are taken", stdin.len());
            return invalid("stdin", problem);
        }
        match self.timeout() {
            Some(timeout) if timeout.is_zero() || timeout > MAX_TIMEOUT => {
                invalid("timeout_ms", format!("must be from 1 to {} (seven days)", MAX_TIMEOUT.as_millis()))
            }
            _ => Ok(()),
        }
    }

    /// [`Self::timeout_ms`] as a duration.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

fn invalid(field: impl Into<String>, problem: String) -> Result<(), InvalidRequest> {
    Err(InvalidRequest { field: field.into(), problem })
}

fn check_text(text: &str, max: usize) -> Result<(), String> {
    if text.len() > max {
        return Err(format!("has {} bytes; at most {max} are taken", text.len()));
    }
    if text.contains('\0') {
        return Err("holds a NUL character, which no program can be given".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut CommandRequest)) -> String {
        let mut request = CommandRequest { program: "true".into(), ..CommandRequest::default() };
        request.validate().unwrap();
        change(&mut request);
        request.validate().unwrap_err().to_string()
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_refused() {
        for text in [
            r#"{"program":"true","shell":true}"#,
            r#"{"program":"true","args":"-x"}"#,
            r#"{"program":"true","args":[1]}"#,
            r#"{"program":"true","timeout_ms":-1}"#,
            r#"{"args":[]}"#,
        ] {
            assert!(serde_json::from_str::<CommandRequest>(text).is_err(), "{text}");
        }
        let minimal: CommandRequest = serde_json::from_str(r#"{"program":"true"}"#).unwrap();
        assert_eq!(minimal, CommandRequest { program: "true".into(), ..CommandRequest::default() });
    }

    #[test]
    fn what_is_out_of_bounds_is_named_with_its_bound() {
        let text = |bytes| "x".repeat(bytes);
        assert_eq!(
            problem(|r| r.args = vec![String::new(); 1025]),
            "`args` has 1025 arguments; at most 1024 are taken"
        );
        assert_eq!(
            problem(|r| r.args = vec![String::new(), text(MAX_ARG_BYTES + 1)]),
            "`args[1]` has 65537 bytes; at most 65536 are taken"
        );
        assert!(problem(|r| r.args = vec![text(MAX_ARG_BYTES); 8]).starts_with("`args` and `env` have"));
        assert!(problem(|r| r.args = vec!["a\0b".into()]).starts_with("`args[0]` holds a NUL"));
        assert!(
            problem(|r| r.stdin = Some(text(MAX_STDIN_BYTES + 1))).starts_with("`stdin` has 1048577 bytes")
        );
        assert!(problem(|r| r.timeout_ms = Some(0)).starts_with("`timeout_ms` must be from 1"));
        assert!(problem(|r| r.timeout_ms = Some(u64::MAX)).starts_with("`timeout_ms` must be from 1"));
        assert!(
            problem(|r| r.env = BTreeMap::from([("A".into(), "\0".into())]))
                .starts_with("`env[\"A\"]` holds a NUL")
        );
        assert!(
            problem(|r| r.env = (0..129).map(|n| (format!("A{n}"), String::new())).collect())
                .contains("129 variables")
        );
        assert!(
            problem(|r| r.env = BTreeMap::from([("LD_PRELOAD".into(), "x".into())])).contains("LD_PRELOAD")
        );
    }

    #[test]
    fn the_schema_refuses_unknown_fields_and_knows_the_bounds() {
        let schema = serde_json::to_value(schemars::schema_for!(CommandRequest)).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["program"]));
        assert_eq!(schema["properties"]["args"]["maxItems"], MAX_ARGS);
        assert_eq!(schema["properties"]["stdin"]["maxLength"], MAX_STDIN_BYTES);
        assert_eq!(schema["properties"]["env"]["maxProperties"], MAX_ENV);
        assert_eq!(schema["properties"]["timeout_ms"]["maximum"], MAX_TIMEOUT.as_millis() as u64);
    }
}
