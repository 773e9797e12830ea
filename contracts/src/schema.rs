//! The JSON Schemas of the contract, made from the types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    ContractJob, DeadLetter, EventEnvelope, JobAccepted, WorkerAttempt, job::JOB_VERSION,
    outside::WORKER_ATTEMPT_VERSION,
};

/// The newest version of the event envelope: 1.1.0 knows more event types than 1.0.0.
pub const ENVELOPE_VERSION: &str = "1.1.0";

/// A schema of the contract.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractSchema {
    /// Its file under `contracts/schemas/`.
    pub file: &'static str,
    /// The schema, JSON Schema 2020-12, with `$id` and `$version`.
    pub schema: Value,
}

/// Every schema of the contract, as the types have it now. `contracts/schemas/` holds the same; a test compares them.
pub fn all() -> Vec<ContractSchema> {
    vec![
        contract::<EventEnvelope>("event-envelope.json", ENVELOPE_VERSION),
        contract::<ContractJob>("job.json", JOB_VERSION),
        contract::<JobAccepted>("job-accepted.json", "1.0.0"),
        contract::<DeadLetter>("dead-letter.json", "1.0.0"),
        contract::<WorkerAttempt>("worker-attempt.json", WORKER_ATTEMPT_VERSION),
    ]
}

fn contract<T: JsonSchema>(file: &'static str, version: &str) -> ContractSchema {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    let name = file.trim_end_matches(".json");
    schema.insert("$id".into(), json!(format!("urn:callboard:contract:{name}:{version}")));
    schema.insert("$version".into(), json!(version));
    ContractSchema { file, schema: schema.to_value() }
}

/// A schema as its file holds it.
pub fn render(schema: &Value) -> String {
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_files_are_what_the_types_say() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let schemas = all();
        for ContractSchema { file, schema } in &schemas {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert_eq!(
                text,
                render(schema),
                "contracts/schemas/{file} is not current; `cargo run -p callboard-contracts --example schemas` makes it"
            );
        }
        let files = fs::read_dir(folder).unwrap().count();
        assert_eq!(files, schemas.len(), "no file without a type");
    }

    #[test]
    fn envelopes_require_all_eight_fields() {
        let schemas = all();
        let required = schemas[0].schema["required"].as_array().unwrap();
        assert_eq!(required.len(), 8, "{required:?}");
        let accepted = &schemas[2].schema;
        assert_eq!(accepted["additionalProperties"], false);
        assert_eq!(accepted["required"].as_array().unwrap().len(), 2);
    }
}
