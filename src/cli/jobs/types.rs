//! `callboard jobs types`.

use std::{process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::api::{Form, FormField, JobTypeView, RetryView},
};
use clap::Args;
use serde_json::Value;

use super::super::{
    output::{Failure, Printer, clean_lines, first_line, line},
    style,
    table::{Cell, Table},
};

/// Width of the names before the values.
const NAMES: usize = 11;
/// Characters of a description in the table.
const DESCRIPTION: usize = 60;

/// Which job types are shown.
#[derive(Debug, Args)]
pub(crate) struct TypesArgs {
    /// One type alone, with the fields and the schemas of its payload and its result [default: all, as a table].
    name: Option<String>,
}

pub(super) async fn run(client: &Client, args: &TypesArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let types = client.job_types().await?;
    match &args.name {
        None if printer.json => printer.document(&types),
        None => table(printer).print(&rows(&types)),
        Some(name) => {
            let Some(found) = types.iter().find(|job_type| job_type.job_type == *name) else {
                let names: Vec<&str> = types.iter().map(|job_type| &*job_type.job_type).collect();
                let message = format!("the server has no job type {name:?}; there are {}", names.join(", "));
                return Err(Failure::failed(message));
            };
            if printer.json {
                printer.document(found);
            } else {
                view(found, printer).iter().for_each(|text| line(text));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(printer: Printer) -> Table {
    Table::new(printer, &["TYPE", "QUEUE", "ATTEMPTS", "RETRY", "TIMEOUT", "DESCRIPTION"])
}

fn rows(types: &[JobTypeView]) -> Vec<Vec<Cell>> {
    let row = |job_type: &JobTypeView| {
        vec![
            job_type.job_type.as_str().into(),
            job_type.queue.as_str().into(),
            Cell::number(job_type.max_attempts),
            retry(job_type.retry.as_ref()).into(),
            time(job_type.timeout_ms).into(),
            first_line(&job_type.description, DESCRIPTION).into(),
        ]
    };
    types.iter().map(row).collect()
}

fn view(job_type: &JobTypeView, printer: Printer) -> Vec<String> {
    let mut lines = vec![clean_lines(&job_type.job_type)];
    lines.extend(job_type.description.lines().map(|text| format!("  {}", clean_lines(text))));
    let mut add = |name: &str, value: &str| lines.push(format!("{name:<NAMES$}{}", clean_lines(value)));
    add("queue", &job_type.queue);
    add("attempts", &job_type.max_attempts.to_string());
    add("retry", &retry(job_type.retry.as_ref()));
    add("timeout", &format!("{} an attempt", time(job_type.timeout_ms)));
    if let Some(most) = job_type.max_payload {
        add("payload", &format!("at most {most} bytes"));
    }
    if !job_type.needs.is_empty() {
        add("needs", &job_type.needs.join(", "));
    }
    if !job_type.form.fields.is_empty() {
        lines.push(printer.paint(style::HEADING, "fields"));
        lines.extend(fields(&job_type.form, printer));
    }
    for (name, schema) in [("payload", &job_type.payload_schema), ("result", &job_type.result_schema)] {
        lines.push(printer.paint(style::HEADING, name));
        lines.extend(clean_lines(&pretty(schema)).lines().map(str::to_owned));
    }
    lines
}

/// What `callboard submit --field` takes.
fn fields(form: &Form, printer: Printer) -> Vec<String> {
    let row = |field: &FormField| {
        let needed = match (&field.required_within, &field.default) {
            _ if field.required => "yes".to_owned(),
            (Some(part), _) => format!("for {part}"),
            (None, Some(default)) => format!("else {default}"),
            (None, None) => "no".to_owned(),
        };
        let takes = field.control.wanted();
        let help = field.help.as_deref().unwrap_or_default();
        vec![
            field.pointer.as_str().into(),
            first_line(&takes, DESCRIPTION).into(),
            first_line(&needed, DESCRIPTION).into(),
            first_line(help, DESCRIPTION).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = form.fields.iter().map(row).collect();
    Table::new(printer, &["FIELD", "TAKES", "NEEDED", "MEANING"]).lines(&rows)
}

fn pretty(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).unwrap_or_default()
}

fn time(ms: u64) -> String {
    format!("{:?}", Duration::from_millis(ms))
}

fn retry(policy: Option<&RetryView>) -> String {
    match policy {
        None => "?".to_owned(),
        Some(RetryView::Never) => "never".to_owned(),
        Some(RetryView::Fixed { delay_ms }) => format!("after {}", time(*delay_ms)),
        Some(RetryView::Exponential { first_ms, max_ms, factor, .. }) => {
            format!("{} to {}, x{factor}", time(*first_ms), time(*max_ms))
        }
        Some(RetryView::Other) => "by its own rule".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Printer = Printer { json: false, quiet: false, colours: false };

    fn types() -> Vec<JobTypeView> {
        let view = |name: &str, retry: Value| {
            let schema = json!({"type": "object"});
            serde_json::from_value(json!({
                "type": name, "description": "Sends a letter.\nAnd waits.", "queue": "mail", "max_attempts": 3,
                "timeout_ms": 1500, "retry": retry, "payload_schema": schema, "result_schema": {"type": "null"},
            }))
            .unwrap()
        };
        vec![
            view(
                "letter",
                json!({"policy": "exponential", "first_ms": 1000, "max_ms": 600_000, "factor": 2.0, "jitter": 0.1}),
            ),
            view("once", json!({"policy": "never"})),
            view("later", json!({"policy": "fixed", "delay_ms": 250})),
            view("odd", json!({"policy": "lunar", "phase": 1})),
            view("old", Value::Null),
        ]
    }

    #[test]
    fn types_stand_in_a_table() {
        assert_eq!(
            table(PLAIN).lines(&rows(&types())),
            [
                "TYPE    QUEUE  ATTEMPTS  RETRY            TIMEOUT  DESCRIPTION",
                "letter  mail          3  1s to 600s, x2   1.5s     Sends a letter.",
                "once    mail          3  never            1.5s     Sends a letter.",
                "later   mail          3  after 250ms      1.5s     Sends a letter.",
                "odd     mail          3  by its own rule  1.5s     Sends a letter.",
                "old     mail          3  ?                1.5s     Sends a letter.",
            ]
        );
    }

    #[test]
    fn the_fields_of_a_type_stand_in_a_table() {
        let form = Form::of(&json!({"type": "object", "required": ["to"], "properties": {
            "to": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "description": "Whom.\nIndeed."}}},
            "from": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "copies": {"type": "integer", "minimum": 1, "default": 1},
            "paper": {"enum": ["white", "brown"]},
        }}));
        assert_eq!(
            fields(&form, PLAIN),
            [
                "FIELD       TAKES                         NEEDED     MEANING",
                "/to/name    a text                        yes        Whom.",
                "/copies     a whole number of at least 1  else 1",
                "/from/name  a text                        for /from",
                "/paper      one of white, brown           no",
            ]
        );
    }

    #[test]
    fn one_type_shows_its_schemas() {
        assert_eq!(
            view(&types()[1], PLAIN).join("\n"),
            "once\n  Sends a letter.\n  And waits.\nqueue      mail\nattempts   3\nretry      never\n\
             timeout    1.5s an attempt\npayload\n{\n  \"type\": \"object\"\n}\nresult\n{\n  \"type\": \"null\"\n}"
        );
    }
}
