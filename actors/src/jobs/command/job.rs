//! The job type `command`.

use super::{
    AttemptName, CommandError, CommandOutput, CommandRequest, CommandRunner, InvalidRequest, OutputLog,
    Refusal, request::MAX_ENV,
};
use crate::jobs::{CheckError, Job, JobContext, JobError, States};

/// The variable by which programs know the span that they run in.
const TRACEPARENT: &str = "TRACEPARENT";
/// Bytes of what a failed program wrote last that its error quotes.
const QUOTED_BYTES: usize = 2048;

/// Needs a [`CommandRunner`] as a state of the registry. A program that exits with another code than 0, or dies by a
/// signal, has failed.
impl Job for CommandRequest {
    const TYPE: &'static str = "command";
    type Output = CommandOutput;

    fn check(&self, states: &States) -> Result<(), CheckError> {
        self.validate().map_err(invalid)?;
        let runner: &CommandRunner =
            states.get().map_err(|_| CheckError::forbidden("this server is not set up to run programs"))?;
        match runner.allow.resolve(&self.program) {
            Ok(_) => Ok(()),
            Err(refusal @ Refusal::BadName { .. }) => {
                Err(CheckError::invalid("/program", refusal.to_string()))
            }
            Err(refusal) => Err(CheckError::forbidden(refusal.to_string())),
        }
    }

    async fn run(self, cx: &JobContext) -> Result<CommandOutput, JobError> {
        let runner: &CommandRunner = cx.state()?;
        let job = cx.id().to_string();
        let attempt = AttemptName { job: &job, attempt: cx.attempt() };
        let mut request = self;
        if request.env.len() < MAX_ENV {
            let trace = || cx.trace().to_string();
            request.env.entry(TRACEPARENT.to_owned()).or_insert_with(trace);
        }
        let said = cx.clone();
        let log = OutputLog::new(move |line| said.log_line(line.level, line.text, line.bytes));
        match runner.run_logged(&request, attempt, cx.cancellation().clone(), log).await {
            Ok(output) if output.succeeded() => Ok(output),
            Ok(output) => Err(JobError::retry(failure(&output))),
            Err(error) => Err(refused(error)),
        }
    }
}

fn refused(error: CommandError) -> JobError {
    if error.is_final() { JobError::fatal(error.to_string()) } else { JobError::from(error) }
}

/// The request's field as a JSON pointer: `args[3]` is `/args/3`.
fn invalid(error: InvalidRequest) -> CheckError {
    let InvalidRequest { field, problem } = error;
    let pointer = match field.split_once('[') {
        Some((field, key)) => {
            let key = key.trim_end_matches(']').trim_matches('"');
            format!("/{field}/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        None => format!("/{field}"),
    };
    CheckError::invalid(pointer, problem)
}

/// How the program failed, and what it wrote last.
fn failure(output: &CommandOutput) -> String {
    let how = match (output.exit_code, output.signal) {
        (Some(code), _) => format!("the program exited with code {code}"),
        (None, Some(signal)) => format!("the program was killed by signal {signal}"),
        (None, None) => "the program's end was not seen".to_owned(),
    };
    let said = output.stderr.trim_end();
    if said.is_empty() {
        return how;
    }
    let from = said.ceil_char_boundary(said.len().saturating_sub(QUOTED_BYTES));
    format!("{how}: {}{}", if from > 0 { "…" } else { "" }, &said[from..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jobs::{JobRegistry, command::AllowList};

    fn check(allowed: &[&str], payload: serde_json::Value) -> Result<(), CheckError> {
        let runner = CommandRunner::new(AllowList::new(allowed).unwrap(), "unused").unwrap();
        let registry = JobRegistry::builder().register::<CommandRequest>().state(runner).build().unwrap();
        registry.validate(registry.get("command").unwrap(), &payload, &payload.to_string())
    }

    #[test]
    fn programs_are_refused_at_the_gate_until_they_are_allowed() {
        assert_eq!(check(&["true"], json!({"program": "true"})), Ok(()));
        let refused = check(&[], json!({"program": "sha256sum"})).unwrap_err();
        assert!(matches!(&refused, CheckError::Forbidden(why) if why.contains("--allow-program sha256sum")));
        let bare = JobRegistry::builder().register::<CommandRequest>().build().unwrap();
        let refused =
            bare.validate(bare.get("command").unwrap(), &json!({"program": "true"}), r#"{"program":"true"}"#);
        assert!(matches!(refused, Err(CheckError::Forbidden(_))));
    }

    #[test]
    fn what_is_wrong_with_a_request_has_a_pointer() {
        let pointer = |payload| match check(&["true"], payload).unwrap_err() {
            CheckError::Invalid(errors) => errors[0].pointer.clone(),
            other => panic!("{other}"),
        };
        assert_eq!(pointer(json!({"program": "true", "args": ["a", "b\0"]})), "/args/1");
        assert_eq!(pointer(json!({"program": "true", "env": {"LD_PRELOAD": "x"}})), "/env/LD_PRELOAD");
        assert_eq!(pointer(json!({"program": "../true"})), "/program");
        assert_eq!(pointer(json!({"program": "true", "args": [1]})), "/args/0");
    }

    #[test]
    fn a_failure_quotes_the_end_of_what_the_program_said() {
        let output = CommandOutput {
            exit_code: Some(3),
            stderr: "ä".repeat(5000) + "!\n",
            ..CommandOutput::default()
        };
        let text = failure(&output);
        assert!(text.starts_with("the program exited with code 3: …ä") && text.ends_with("ä!"), "{text}");
        assert!(text.len() < QUOTED_BYTES + 100);
        assert_eq!(
            failure(&CommandOutput { signal: Some(9), ..CommandOutput::default() }),
            "the program was killed by signal 9"
        );
    }
}
