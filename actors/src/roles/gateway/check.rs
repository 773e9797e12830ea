//! What a submitted job must be like.

use std::{sync::LazyLock, time::Duration};

use callboard_contracts::{
    ContractJob, Timestamp,
    api::{FieldError, PRIORITIES, SubmitJob, Unique, UniquePolicy},
    name, partition_key,
    tag::{self, MAX_TAGS},
};
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::secrets;
use super::{
    super::{
        bounds::{max_payload, needs},
        request::{Form, Origin, Refusal},
        settings::UnknownTypes,
    },
    fingerprint::Fingerprint,
    unique::{due, uniqueness},
};
use crate::{
    edges::store::record::NewJob,
    encryption::vault::Vault,
    jobs::{
        CheckError, MAX_ATTEMPTS,
        registry::{bounded, pointer},
        unique,
    },
    roles::node::Node,
};

/// The longest timeout that a submission may ask for.
const MAX_TIMEOUT_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Errors that are listed for one job at most.
const MAX_ERRORS: usize = 32;

/// The contract's schema, with formats checked.
static CONTRACT: LazyLock<Validator> = LazyLock::new(|| {
    let schema = schemars::schema_for!(ContractJob).to_value();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).expect("the schema of the contract's own type is valid, which a test proves")
});

/// A submission that has the right form.
struct Parsed {
    id: Option<Uuid>,
    job_type: String,
    queue: Option<String>,
    max_attempts: Option<u32>,
    timeout: Option<Duration>,
    payload: Map<String, Value>,
    metadata: Option<Map<String, Value>>,
    document: Option<String>,
    scheduled_at: Option<Timestamp>,
    priority: i16,
    tags: Vec<String>,
    partition_key: Option<String>,
    unique: Option<Unique>,
    fingerprint: [u8; 32],
}

/// Makes a job of what was submitted.
pub(in crate::roles) fn check(
    node: &Node,
    form: Form,
    value: Value,
    origin: Origin,
) -> Result<NewJob, Refusal> {
    let vault = node.vault();
    let parsed = match form {
        Form::Api | Form::Step | Form::Cron => submission(node, &vault, value)?,
        Form::Contract => contract(node, &vault, value)?,
    };
    let mut errors = Vec::new();
    let job_type = node.registry.get(&parsed.job_type);
    let tuned = node.tuned();
    let defaults = &tuned.defaults;
    let options = job_type.map(|job_type| job_type.options());
    let configured = node.config.job_types.get(&parsed.job_type).and_then(|bounds| bounds.queue.clone());
    let queue = parsed
        .queue
        .or(configured)
        .or_else(|| options.and_then(|options| options.queue.clone()))
        .unwrap_or_else(|| defaults.queue.clone());
    let held = match (job_type, form, node.config.unknown_types) {
        (Some(_), ..) => None,
        // Workers outside know it, or not: nobody here can tell.
        (None, ..) if node.config.outlets.contains_key(&queue) => None,
        (None, Form::Contract, UnknownTypes::Hold) | (None, Form::Cron, _) => {
            Some(format!("no handler for job type {:?}", parsed.job_type))
        }
        (None, ..) => {
            return Err(Refusal::UnknownType { job_type: parsed.job_type, known: node.registry.names() });
        }
    };
    let served = node.queues.get(&queue);
    // What leads need not serve all queues of the fleet: whoever asks for this looks in the store.
    let anywhere = form == Form::Cron;
    if served.is_none() && !anywhere {
        let known: Vec<&str> = node.queues.keys().map(String::as_str).collect();
        errors.push(error("/queue", format!("there is no queue {queue:?}; there are: {}", known.join(", "))));
    }

    let mut payload = Value::Object(parsed.payload);
    errors.extend(secrets::reserved_field(&payload));
    if node.config.outlets.contains_key(&queue) {
        secrets::may_leave(&vault, &parsed.job_type, &queue)?;
    }
    let mut text = payload.to_string();
    let metadata = parsed.metadata.map(|metadata| Value::Object(metadata).to_string());
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let rest = length(&metadata) + length(&parsed.document);
    let size = text.len() + rest;
    let (limit, of) = max_payload(&tuned, &parsed.job_type, options, &queue);
    if size > limit {
        return Err(Refusal::TooLarge { size, limit, of });
    }
    if let Some(job_type) = job_type {
        let secret = secrets::payload_fields(&vault, &parsed.job_type);
        let validate =
            |payload: &Value, text: &str| node.registry.validate_without(job_type, payload, text, &secret);
        let mut checked = validate(&payload, &text);
        // Whoever submits may know an earlier form of the type.
        if matches!(checked, Err(CheckError::Invalid(_)))
            && let Some(new) = job_type.upcast(&payload)
        {
            let new_text = new.to_string();
            if new_text.len() + rest <= limit && validate(&new, &new_text).is_ok() {
                (payload, text, checked) = (new, new_text, Ok(()));
            }
        }
        match checked {
            Ok(()) => {}
            Err(CheckError::Forbidden(why)) if errors.is_empty() => return Err(Refusal::Forbidden(why)),
            Err(CheckError::Forbidden(_)) => {}
            Err(CheckError::Invalid(found)) => {
                errors.extend(
                    found
                        .into_iter()
                        .map(|found| FieldError { pointer: format!("/payload{}", found.pointer), ..found }),
                );
            }
        }
    }
    // What comes in the contract's form is of programs that know nothing of this, and are not to be refused for it.
    let unique = match form {
        Form::Api => parsed.unique.or_else(|| options.and_then(|options| options.unique.clone())),
        Form::Contract | Form::Step | Form::Cron => None,
    };
    let debounced = unique.as_ref().is_some_and(|unique| unique.policy == UniquePolicy::Debounce);
    if debounced && parsed.scheduled_at.is_some() {
        let why = "the policy `debounce` says when the job may run; leave scheduled_at out";
        errors.push(error("/scheduled_at", why.to_owned()));
    }
    if let Some(unique) = &unique {
        errors.extend(secrets::kind(&vault, &parsed.job_type, unique));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let needs = needs(&node.config, &parsed.job_type, options);
    let place = unique.as_ref().map(|unique| {
        let compared = secrets::blinded(&vault, &parsed.job_type, &payload);
        uniqueness(unique, &parsed.job_type, &queue, &compared)
    });
    if let Some(sealed) = secrets::sealed(&vault, &parsed.job_type, payload)? {
        text = sealed;
    }
    let quiet_at = unique.as_ref().and_then(|unique| due(unique, node.store.now()));
    Ok(NewJob {
        id: parsed.id.unwrap_or_else(Uuid::now_v7),
        job_type: parsed.job_type,
        queue,
        payload: text,
        metadata,
        document: parsed.document,
        fingerprint: parsed.fingerprint,
        max_attempts: parsed
            .max_attempts
            .or_else(|| options.and_then(|options| options.max_attempts))
            .unwrap_or(defaults.max_attempts),
        timeout: parsed
            .timeout
            .or_else(|| options.and_then(|options| options.timeout))
            .unwrap_or(defaults.timeout),
        held,
        correlation_id: origin.correlation_id,
        trace: origin.trace,
        event_id: Uuid::now_v7(),
        max_backlog: served.map_or(u64::MAX, |served| served.max_backlog()),
        max_total: tuned.max_backlog,
        scheduled_at: quiet_at.or(parsed.scheduled_at),
        priority: parsed.priority,
        tags: parsed.tags,
        needs,
        partition_key: parsed.partition_key,
        unique: place,
    })
}

fn submission(node: &Node, vault: &Vault, value: Value) -> Result<Parsed, Refusal> {
    let job: SubmitJob = read(value)?;
    let mut errors = Vec::new();
    if let Err(problem) = name::check(&job.job_type) {
        errors.push(error("/type", problem.to_string()));
    }
    if let Some(Err(problem)) = job.queue.as_deref().map(name::check) {
        errors.push(error("/queue", problem.to_string()));
    }
    if job.max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts)) {
        errors.push(error("/max_attempts", format!("must be from 1 to {MAX_ATTEMPTS}")));
    }
    if job.timeout_ms.is_some_and(|time| !(1..=MAX_TIMEOUT_MS).contains(&time)) {
        errors.push(error("/timeout_ms", format!("must be from 1 to {MAX_TIMEOUT_MS} (seven days)")));
    }
    if job.priority.is_some_and(|priority| !PRIORITIES.contains(&priority)) {
        let (least, most) = (PRIORITIES.start(), PRIORITIES.end());
        errors.push(error("/priority", format!("must be from {least} to {most}")));
    }
    if job.tags.len() > MAX_TAGS {
        errors.push(error("/tags", format!("{} tags; a job may have {MAX_TAGS}", job.tags.len())));
    }
    for (index, tag) in job.tags.iter().take(MAX_TAGS).enumerate() {
        if let Err(problem) = tag::check(tag) {
            errors.push(error(format!("/tags/{index}"), problem.to_string()));
        }
        if job.tags[..index].contains(tag) {
            errors.push(error(format!("/tags/{index}"), "it is there twice".to_owned()));
        }
    }
    if let Some(Err(problem)) = job.partition_key.as_deref().map(partition_key::check) {
        errors.push(error("/partition_key", problem.to_string()));
    }
    if let Some(unique) = &job.unique {
        errors.extend(unique::check(unique, "/unique"));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let fingerprint = match vault.has_secrets(&job.job_type) {
        true => Fingerprint::of_submission(&secrets::blinded_submission(node, vault, &job)),
        false => Fingerprint::of_submission(&job),
    };
    Ok(Parsed {
        id: job.id,
        job_type: job.job_type,
        queue: job.queue,
        max_attempts: job.max_attempts,
        timeout: job.timeout_ms.map(Duration::from_millis),
        payload: job.payload,
        metadata: job.metadata,
        document: None,
        scheduled_at: job.scheduled_at,
        priority: job.priority.unwrap_or(0),
        tags: job.tags,
        partition_key: job.partition_key,
        unique: job.unique,
        fingerprint,
    })
}

fn contract(node: &Node, vault: &Vault, mut value: Value) -> Result<Parsed, Refusal> {
    if !CONTRACT.is_valid(&value) {
        let errors = CONTRACT.iter_errors(&value).take(MAX_ERRORS);
        // What is at the payload's place, or is no document at all, may be secret.
        let said = |found: &jsonschema::ValidationError<'_>| match found.instance_path().as_str() {
            "" | "/payload" => found.masked().to_string(),
            _ => found.to_string(),
        };
        let errors = errors.map(|found| error(found.instance_path().as_str(), bounded(said(&found))));
        return Err(Refusal::Invalid(errors.collect()));
    }
    let fingerprint = Fingerprint::of_document(&secrets::blinded_document(node, vault, &value));
    let mut take = |field: &str| value.as_object_mut().and_then(|document| document.remove(field));
    // The schema lets null pass where a field may be missing.
    let object = |value: Option<Value>| match value {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    };
    let (payload, metadata) = (object(take("payload")), object(take("metadata")));
    // What is left must be of the types that the schema cannot express, such as a time that exists.
    let document = value.to_string();
    let job: ContractJob = read(value)?;
    Ok(Parsed {
        id: Some(job.id),
        job_type: job.job_type,
        queue: None,
        max_attempts: None,
        timeout: None,
        payload: payload.unwrap_or_default(),
        metadata,
        document: Some(document),
        scheduled_at: None,
        priority: 0,
        tags: Vec::new(),
        partition_key: None,
        unique: None,
        fingerprint,
    })
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    // An array would be read as the fields in their order.
    if !value.is_object() {
        return Err(Refusal::Invalid(vec![error("", "a job is a JSON object".to_owned())]));
    }
    serde_path_to_error::deserialize(value).map_err(|found| {
        let pointer = pointer(found.path());
        // What stands in the payload's place may be secret.
        let message = match &*pointer {
            "/payload" => "must be a JSON object".to_owned(),
            _ => bounded(found.inner().to_string()),
        };
        Refusal::Invalid(vec![error(pointer, message)])
    })
}

fn error(pointer: impl Into<String>, message: String) -> FieldError {
    FieldError { pointer: pointer.into(), message }
}
