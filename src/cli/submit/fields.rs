//! `--field`: a payload from the fields of the job type's form.

use std::collections::BTreeMap;

use callboard::{
    client::Client,
    contracts::api::{Form, FormControl},
};

use super::super::output::Failure;

/// The payload that the fields make, as JSON text; what each means the form of the server's job type says.
pub(super) async fn payload(
    client: &Client,
    job_type: &str,
    fields: &[(String, String)],
) -> Result<String, Failure> {
    let types = client.job_types().await?;
    let Some(found) = types.iter().find(|known| known.job_type == job_type) else {
        let names: Vec<&str> = types.iter().map(|known| known.job_type.as_str()).collect();
        return Err(Failure::usage(format!(
            "the server has no job type {job_type:?}; there are {}",
            names.join(", ")
        )));
    };
    let payload = found.form.payload(&entries(&found.form, fields)?).map_err(|errors| {
        let errors = errors.iter().map(|error| format!("{}: {}", error.pointer, error.message));
        Failure::usage(format!("--field: {}", errors.collect::<Vec<_>>().join("; ")))
    })?;
    Ok(payload.to_string())
}

/// The entries by the form's pointers; of texts that stand one a line each flag is a line.
fn entries(form: &Form, fields: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in fields {
        let pointer = pointer(name);
        let lines =
            form.fields.iter().any(|field| field.pointer == pointer && field.control == FormControl::Texts);
        match entries.get_mut(&pointer) {
            None => drop(entries.insert(pointer, text.clone())),
            Some(before) if lines => {
                before.push('\n');
                before.push_str(text);
            }
            Some(_) => return Err(Failure::usage(format!("--field {name}: it is given twice"))),
        }
    }
    Ok(entries)
}

/// `url` is short for `/url`.
fn pointer(name: &str) -> String {
    if name.is_empty() || name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}

/// `NAME=VALUE`, for clap.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a field and its value are needed, such as url=https://example.com".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Form {
        Form::of(&json!({"type": "object", "properties": {
            "args": {"type": "array", "items": {"type": "string"}},
            "to": {"type": "object", "properties": {"name": {"type": "string"}}},
        }}))
    }

    fn of(fields: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let fields: Vec<(String, String)> = fields.iter().map(|field| parse(field).unwrap()).collect();
        entries(&form(), &fields).map_err(|failure| failure.message)
    }

    #[test]
    fn names_are_pointers_and_texts_are_gathered() {
        let gathered = of(&["args=-l", "/to/name=a=b", "args=x y"]).unwrap();
        let expected = [("/args", "-l\nx y"), ("/to/name", "a=b")];
        assert_eq!(gathered, expected.map(|(pointer, text)| (pointer.to_owned(), text.to_owned())).into());
        assert_eq!(of(&["/to/name=a", "to/name=b"]).unwrap_err(), "--field to/name: it is given twice");
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        assert!(parse("url").is_err() && parse("=x").is_err());
        assert_eq!(parse("url="), Ok(("url".to_owned(), String::new())));
    }
}
