//! The job types that a node knows.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use callboard_contracts::{
    api::{FieldError, Form, JobTypeView},
    name,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{
    CheckError, Job, JobContext, JobDefaults, JobError, JobOptions, States,
    options::{MAX_ATTEMPTS, MAX_NEEDS},
    unique,
};
use crate::encryption::fields::{SecretFields, TypeSecrets};

/// The bytes of an empty object.
pub(crate) const LEAST_PAYLOAD: usize = 2;
/// Errors that are listed for one payload at most.
const MAX_ERRORS: usize = 32;
/// Bytes of one error's text at most: it can quote the payload.
const MAX_ERROR_BYTES: usize = 300;

/// Why a registry cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A type's name breaks the rule.
    #[error("job type: {0}")]
    Name(String),
    /// Two types have one name.
    #[error("job type {0:?} is registered twice: give one of the two another `TYPE`")]
    Duplicate(&'static str),
    /// A type's options make no sense.
    #[error("job type {job_type:?}: {problem}")]
    Options {
        /// The type.
        job_type: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A type's schema cannot be used.
    #[error("job type {job_type:?}: its schema cannot be used: {problem}")]
    Schema {
        /// The type.
        job_type: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// How a run did not come to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunError {
    /// The job says so.
    Job(JobError),
    /// The payload does not fit the type.
    Payload(String),
    /// The result cannot be written as JSON.
    Output(String),
}

type Upcast = fn(Map<String, Value>) -> Option<Map<String, Value>>;
type Run = fn(&str, JobContext) -> LocalBoxFuture<'static, Result<Option<String>, RunError>>;

/// A job type with its code.
pub struct JobType {
    name: &'static str,
    description: String,
    options: JobOptions,
    payload_schema: Value,
    result_schema: Value,
    validator: Validator,
    secrets: TypeSecrets,
    check: fn(&str, &States) -> Result<(), CheckError>,
    upcast: Upcast,
    fits: fn(&str) -> Result<(), FieldError>,
    run: Run,
}

impl JobType {
    fn new<J: Job>() -> Result<Self, RegistryError> {
        let job_type = J::TYPE;
        name::check(job_type).map_err(|error| RegistryError::Name(error.to_string()))?;
        let options = J::options();
        let refuse = |problem: String| Err(RegistryError::Options { job_type, problem });
        if let Some(queue) = &options.queue
            && let Err(error) = name::check(queue)
        {
            return refuse(format!("its queue: {error}"));
        }
        if options.max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts)) {
            return refuse(format!("max_attempts must be from 1 to {MAX_ATTEMPTS}"));
        }
        if options.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return refuse("timeout must be longer than nothing".to_owned());
        }
        if options.needs.len() > MAX_NEEDS {
            return refuse(format!("it may need {MAX_NEEDS} edges at most"));
        }
        if let Some(error) = options.needs.iter().find_map(|edge| name::check(edge).err()) {
            return refuse(format!("an edge that it needs: {error}"));
        }
        if let Some(error) =
            options.unique.iter().find_map(|unique| unique::check(unique, "").into_iter().next())
        {
            return refuse(format!("unique{}: {}", error.pointer, error.message));
        }
        if options.max_payload.is_some_and(|most| most < LEAST_PAYLOAD) {
            return refuse(format!("max_payload must be at least {LEAST_PAYLOAD}: no object is shorter"));
        }
        let unusable = |problem: String| RegistryError::Schema { job_type, problem };
        let payload_schema = schemars::schema_for!(J).to_value();
        let validator = Validator::new(&payload_schema).map_err(|error| unusable(error.to_string()))?;
        let result_schema = schemars::schema_for!(J::Output).to_value();
        let named = |what: &str, fields: &[String]| {
            SecretFields::parse(fields)
                .map_err(|problem| RegistryError::Options { job_type, problem: format!("{what}: {problem}") })
        };
        let secrets = TypeSecrets {
            payload: SecretFields::of_schema(&payload_schema)
                .and(named("secret_fields", &options.secret_fields)?),
            result: SecretFields::of_schema(&result_schema)
                .and(named("secret_results", &options.secret_results)?),
            required: options.encryption_required,
            outside: false,
        };
        if secrets.required && !secrets.has_any() {
            return refuse("encryption_required, but nothing of it is secret".to_owned());
        }
        Ok(JobType {
            name: job_type,
            description: payload_schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            options,
            result_schema,
            payload_schema,
            validator,
            secrets,
            check: check::<J>,
            upcast: J::upcast,
            fits: |payload| parse::<J>(payload).map(drop),
            run: run::<J>,
        })
    }

    /// Whether this is the schema of its payload.
    pub(crate) fn has_schema(&self, payload_schema: &str) -> bool {
        serde_json::from_str::<Value>(payload_schema).is_ok_and(|known| known == self.payload_schema)
    }

    /// Whether a job with this payload would run: as it stands, or as the type's upcaster makes it.
    ///
    /// # Errors
    /// What is wrong with it as it stands.
    pub(crate) fn runs_with(&self, payload: &str) -> Result<(), FieldError> {
        let wrong = match (self.fits)(payload) {
            Ok(()) => return Ok(()),
            Err(wrong) => wrong,
        };
        let old: Option<Value> = serde_json::from_str(payload).ok();
        let new = old.and_then(|old| self.upcast(&old));
        if new.is_some_and(|new| (self.fits)(&new.to_string()).is_ok()) { Ok(()) } else { Err(wrong) }
    }

    /// Which of its values are secret.
    pub(crate) fn secrets(&self) -> &TypeSecrets {
        &self.secrets
    }

    /// What the type's upcaster makes of a payload.
    pub(crate) fn upcast(&self, payload: &Value) -> Option<Value> {
        payload.as_object().cloned().and_then(self.upcast).map(Value::Object)
    }

    /// The type's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where the type differs from the server's defaults.
    pub fn options(&self) -> &JobOptions {
        &self.options
    }

    /// How the outside sees it.
    pub fn view(&self, defaults: &JobDefaults) -> JobTypeView {
        let settings = self.options.resolve(defaults);
        JobTypeView {
            job_type: self.name.to_owned(),
            description: self.description.clone(),
            queue: settings.queue,
            max_attempts: settings.max_attempts,
            timeout_ms: u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX),
            retry: Some(settings.retry.view()),
            max_payload: self.options.max_payload.map(|most| u64::try_from(most).unwrap_or(u64::MAX)),
            needs: self.options.needs.clone(),
            unique: self.options.unique.clone(),
            form: Form::of(&self.payload_schema),
            payload_schema: self.payload_schema.clone(),
            result_schema: self.result_schema.clone(),
        }
    }
}

impl fmt::Debug for JobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobType")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The value of a payload; else where it does not fit, and why.
fn parse<J: Job>(text: &str) -> Result<J, FieldError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| FieldError {
        pointer: pointer(error.path()),
        message: bounded(error.inner().to_string()),
    })
}

fn check<J: Job>(text: &str, states: &States) -> Result<(), CheckError> {
    parse::<J>(text).map_err(|error| CheckError::Invalid(vec![error]))?.check(states)
}

fn run<J: Job>(payload: &str, cx: JobContext) -> LocalBoxFuture<'static, Result<Option<String>, RunError>> {
    let job = serde_json::from_str::<J>(payload).or_else(|error| {
        let old: Option<Map<String, Value>> = serde_json::from_str(payload).ok();
        let new = old.and_then(J::upcast).map(|new| serde_json::from_value(Value::Object(new)));
        // What the upcaster makes nothing of is told as it is.
        new.and_then(Result::ok).ok_or(error)
    });
    async move {
        let job = job.map_err(|error| RunError::Payload(bounded(error.to_string())))?;
        let output = job.run(&cx).await.map_err(RunError::Job)?;
        let text = serde_json::to_string(&output).map_err(|error| RunError::Output(error.to_string()))?;
        Ok((text != "null").then_some(text))
    }
    .boxed_local()
}

/// The JSON pointer of a path; what a pointer cannot say (an enum's variant) is left out.
pub(crate) fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Cuts an error's text to a readable length.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MAX_ERROR_BYTES {
        let end = text.floor_char_boundary(MAX_ERROR_BYTES);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The job types that a node knows, with their code and what they share. Clones share everything.
#[derive(Clone, Debug)]
pub struct JobRegistry {
    types: Arc<BTreeMap<&'static str, JobType>>,
    states: States,
}

impl JobRegistry {
    /// Begins an empty registry.
    pub fn builder() -> JobRegistryBuilder {
        JobRegistryBuilder { types: BTreeMap::new(), states: HashMap::new(), error: None }
    }

    /// Whether there is a type of this name.
    pub fn knows(&self, job_type: &str) -> bool {
        self.types.contains_key(job_type)
    }

    /// The type of this name.
    pub fn get(&self, job_type: &str) -> Option<&JobType> {
        self.types.get(job_type)
    }

    /// The types, by name.
    pub fn types(&self) -> impl Iterator<Item = &JobType> {
        self.types.values()
    }

    /// The names of the types, sorted.
    pub fn names(&self) -> Vec<String> {
        self.types.keys().map(|name| (*name).to_owned()).collect()
    }

    /// How the outside sees the types, by name.
    pub fn views(&self, defaults: &JobDefaults) -> Vec<JobTypeView> {
        self.types().map(|job_type| job_type.view(defaults)).collect()
    }

    /// What the jobs share.
    pub fn states(&self) -> &States {
        &self.states
    }

    /// Checks a payload: by the type's schema, then by making the value of it, so that what passes runs, then by the
    /// type's own [`Job::check`]. `text` is the payload as it will be stored. Pointers begin at the payload.
    ///
    /// # Errors
    /// What is wrong, and where: all that the schema finds (at most 32), else the first that it cannot know.
    pub fn validate(&self, job_type: &JobType, payload: &Value, text: &str) -> Result<(), CheckError> {
        self.validate_without(job_type, payload, text, &job_type.secrets.payload)
    }

    /// The same, of a type of which these values are secret: what is said about them does not quote them.
    pub(crate) fn validate_without(
        &self,
        job_type: &JobType,
        payload: &Value,
        text: &str,
        secrets: &SecretFields,
    ) -> Result<(), CheckError> {
        if !job_type.validator.is_valid(payload) {
            let errors = job_type.validator.iter_errors(payload).take(MAX_ERRORS);
            let errors = errors.map(|error| field_error(&error, &job_type.payload_schema, secrets));
            return Err(CheckError::Invalid(errors.collect()));
        }
        if !secrets.is_empty() {
            // What serde says quotes what it has found; what the type's own check says are the words of its author.
            (job_type.fits)(text).map_err(|error| CheckError::Invalid(vec![unquoted(error, secrets)]))?;
        }
        (job_type.check)(text, &self.states)
    }

    /// Runs a job of this type; `None` is the result of a type that gives none.
    pub(crate) fn run(
        &self,
        job_type: &JobType,
        payload: &str,
        cx: JobContext,
    ) -> LocalBoxFuture<'static, Result<Option<String>, RunError>> {
        #[cfg(feature = "testkit")]
        if let Ok(faults) = self.states.get::<super::faults::JobFaults>().cloned() {
            let (at, run) = ((job_type.name, cx.attempt()), (job_type.run)(payload, cx));
            return async move { faults.meet(at, run).await }.boxed_local();
        }
        (job_type.run)(payload, cx)
    }
}

/// What is wrong with a place, without a value that is there, if it may be secret.
pub(crate) fn unquoted(error: FieldError, secrets: &SecretFields) -> FieldError {
    if !secrets.concerns(&error.pointer) {
        return error;
    }
    FieldError {
        message: "it does not fit the job type (the value is secret, and not shown)".to_owned(),
        ..error
    }
}

/// What is wrong with a field, in words of ours where the validator's are those of schemas. A secret is not quoted.
fn field_error(error: &ValidationError<'_>, schema: &Value, secrets: &SecretFields) -> FieldError {
    let pointer = error.instance_path().as_str().to_owned();
    let known = schema["properties"].as_object().filter(|_| pointer.is_empty());
    let known: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let message = match error.kind() {
        // Of a type without fields the validator does not even say which field it is.
        ValidationErrorKind::FalseSchema if pointer.is_empty() => "no fields are known here".to_owned(),
        ValidationErrorKind::AdditionalProperties { .. } if !known.is_empty() => {
            format!("{error}; there are {}", known.join(", "))
        }
        _ if secrets.concerns(&pointer) => error.masked_with("the value (secret, and not shown)").to_string(),
        _ => error.to_string(),
    };
    FieldError { pointer, message: bounded(message) }
}

/// Gathers job types and what they share.
#[must_use = "call `build`"]
pub struct JobRegistryBuilder {
    types: BTreeMap<&'static str, JobType>,
    states: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    error: Option<RegistryError>,
}

impl JobRegistryBuilder {
    /// Adds a job type.
    pub fn register<J: Job>(mut self) -> Self {
        let added = JobType::new::<J>().and_then(|job_type| match self.types.insert(J::TYPE, job_type) {
            Some(_) => Err(RegistryError::Duplicate(J::TYPE)),
            None => Ok(()),
        });
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Gives jobs a value of type `T`, to be had by [`JobContext::state`]; it replaces an earlier one of this type.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(TypeId::of::<T>(), Box::new(value));
        self
    }

    /// The registry.
    ///
    /// # Errors
    /// The first type that cannot be used.
    pub fn build(self) -> Result<JobRegistry, RegistryError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(JobRegistry { types: Arc::new(self.types), states: States::new(self.states) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::api::FormControl;
    use proptest::prelude::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::jobs::{Noop, Sleep};

    /// Knows what a schema does not.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Careful {
        #[schemars(with = "String")]
        address: std::net::IpAddr,
        items: Vec<Item>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Item {
        #[serde(rename = "a/b")]
        size: u8,
    }

    impl Job for Careful {
        const TYPE: &'static str = "careful";
        type Output = ();

        fn check(&self, states: &States) -> Result<(), CheckError> {
            let allowed: &Vec<u8> = states.get().map_err(|error| CheckError::forbidden(error.to_string()))?;
            match self.items.iter().position(|item| !allowed.contains(&item.size)) {
                Some(index) => Err(CheckError::invalid(format!("/items/{index}"), "not allowed")),
                None => Ok(()),
            }
        }

        async fn run(self, _: &JobContext) -> Result<(), JobError> {
            Ok(())
        }
    }

    macro_rules! job {
        ($name:ident, $type:literal, $options:expr) => {
            #[derive(Serialize, Deserialize, JsonSchema)]
            struct $name {}
            impl Job for $name {
                const TYPE: &'static str = $type;
                type Output = ();
                fn options() -> JobOptions {
                    $options
                }
                async fn run(self, _: &JobContext) -> Result<(), JobError> {
                    Ok(())
                }
            }
        };
    }
    job!(SecondNoop, "noop", JobOptions::new());
    job!(Space, "a b", JobOptions::new());
    job!(NoAttempt, "x", JobOptions::new().max_attempts(0));
    job!(NoTime, "x", JobOptions::new().timeout(std::time::Duration::ZERO));
    job!(NoQueue, "x", JobOptions::new().queue("ä"));

    fn validate(registry: &JobRegistry, job_type: &str, payload: Value) -> Result<(), CheckError> {
        registry.validate(registry.get(job_type).unwrap(), &payload, &payload.to_string())
    }

    fn pointers(result: Result<(), CheckError>) -> Vec<String> {
        match result.unwrap_err() {
            CheckError::Invalid(errors) => errors.into_iter().map(|error| error.pointer).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn payloads_are_checked_by_schema_then_by_type_then_by_the_job() {
        let registry = JobRegistry::builder().register::<Careful>().state(vec![1_u8, 2]).build().unwrap();
        let check = |payload| validate(&registry, "careful", payload);
        assert_eq!(check(json!({"address": "::1", "items": [{"a/b": 1}]})), Ok(()));
        assert_eq!(pointers(check(json!({"address": 1, "items": [{"a/b": "x"}, {}]}))).len(), 3);
        assert_eq!(pointers(check(json!({"address": "x", "items": []}))), ["/address"]);
        assert_eq!(pointers(check(json!({"address": "::1", "items": [{"a/b": 300}]}))), ["/items/0/a~1b"]);
        assert_eq!(
            pointers(check(json!({"address": "::1", "items": [{"a/b": 1}, {"a/b": 3}]}))),
            ["/items/1"]
        );

        let bare = JobRegistry::builder().register::<Careful>().build().unwrap();
        let refused = validate(&bare, "careful", json!({"address": "::1", "items": []})).unwrap_err();
        assert!(refused.to_string().contains(".state("), "{refused}");
    }

    #[test]
    fn built_in_types_refuse_what_they_do_not_know() {
        let registry = JobRegistry::builder().register::<Noop>().register::<Sleep>().build().unwrap();
        assert_eq!(validate(&registry, "noop", json!({})), Ok(()));
        let refused = validate(&registry, "noop", json!({"x": 1})).unwrap_err().to_string();
        assert!(refused.contains("no fields are known here"), "{refused}");
        let refused = validate(&registry, "sleep", json!({"ms": 1, "x": 1})).unwrap_err().to_string();
        assert!(refused.contains("'x' was unexpected); there are ms"), "{refused}");
        assert_eq!(validate(&registry, "sleep", json!({"ms": 1})), Ok(()));
        for bad in [
            json!({}),
            json!({"ms": -1}),
            json!({"ms": 86_400_001}),
            json!({"ms": 1, "s": 1}),
            json!({"ms": 1.5}),
        ] {
            assert!(validate(&registry, "sleep", bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_of_errors_are_bounded() {
        let registry = JobRegistry::builder().register::<Sleep>().build().unwrap();
        let CheckError::Invalid(errors) =
            validate(&registry, "sleep", json!({"ms": "ä".repeat(10_000)})).unwrap_err()
        else {
            panic!("forbidden");
        };
        assert!(errors[0].message.len() <= MAX_ERROR_BYTES + 3);
    }

    #[test]
    fn types_that_cannot_work_are_refused() {
        let build = |builder: JobRegistryBuilder| builder.build().unwrap_err().to_string();
        let builder = JobRegistry::builder;
        assert!(build(builder().register::<Noop>().register::<SecondNoop>()).contains("registered twice"));
        assert!(build(builder().register::<Space>()).contains("no valid name"));
        assert!(build(builder().register::<NoAttempt>()).contains("max_attempts"));
        assert!(build(builder().register::<NoTime>()).contains("timeout"));
        assert!(build(builder().register::<NoQueue>()).contains("queue"));
    }

    #[test]
    fn views_show_defaults_and_schemas() {
        let registry = JobRegistry::builder().register::<Noop>().build().unwrap();
        let view = registry.views(&JobDefaults::default()).remove(0);
        assert_eq!((&*view.job_type, &*view.queue, view.max_attempts), ("noop", "default", 5));
        assert_eq!(view.description, "Does nothing, to measure and to try things out.");
        assert_eq!(view.payload_schema["additionalProperties"], json!(false));
        assert_eq!(
            serde_json::to_value(view.retry).unwrap(),
            json!({"policy": "exponential", "first_ms": 1000, "max_ms": 600_000, "factor": 2.0, "jitter": 0.1})
        );
    }

    /// What a form can ask for, in every way it can.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Order {
        from: Place,
        to: Option<Place>,
        #[schemars(range(min = 1, max = 40))]
        pieces: u16,
        balance: i64,
        share: f64,
        fragile: Option<bool>,
        size: Size,
        notes: Vec<String>,
        extra: Option<Value>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Place {
        town: String,
        street: Option<String>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum Size {
        Small,
        Large,
    }

    impl Job for Order {
        const TYPE: &'static str = "order";
        type Output = ();

        async fn run(self, _: &JobContext) -> Result<(), JobError> {
            Ok(())
        }
    }

    /// What a person could enter into a field.
    fn entry(control: &FormControl) -> BoxedStrategy<String> {
        match control {
            FormControl::Text { .. } => "[a-z ]{0,9}".boxed(),
            FormControl::Texts => "[a-z\n]{0,9}".boxed(),
            FormControl::Integer { minimum, maximum } => {
                let bound =
                    |bound: &Option<serde_json::Number>| bound.as_ref().and_then(serde_json::Number::as_i64);
                (bound(minimum).unwrap_or(i64::MIN)..=bound(maximum).unwrap_or(i64::MAX))
                    .prop_map(|number| number.to_string())
                    .boxed()
            }
            FormControl::Number { .. } => (-1e9..1e9).prop_map(|number: f64| number.to_string()).boxed(),
            FormControl::Boolean => any::<bool>().prop_map(|answer| answer.to_string()).boxed(),
            FormControl::Choice { values } => proptest::sample::select(values.clone())
                .prop_map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .boxed(),
            FormControl::Json => Just(r#"{"any": [1]}"#.to_owned()).boxed(),
        }
    }

    proptest! {
        #[test]
        fn what_a_form_takes_passes_the_gate(
            entries in Form::of(&schemars::schema_for!(Order).to_value()).fields.into_iter()
                .map(|field| (Just(field.pointer), proptest::option::of(entry(&field.control))))
                .collect::<Vec<_>>()
        ) {
            let registry = JobRegistry::builder().register::<Order>().build().unwrap();
            let form = registry.views(&JobDefaults::default()).remove(0).form;
            let entries: BTreeMap<String, String> =
                entries.into_iter().filter_map(|(pointer, text)| Some((pointer, text?))).collect();
            let needed = form.fields.iter().filter(|field| field.required).any(|field| !entries.contains_key(&field.pointer));
            let half = entries.contains_key("/to/street") && !entries.contains_key("/to/town");
            match form.payload(&entries) {
                Ok(payload) => {
                    prop_assert!(!needed && !half);
                    prop_assert_eq!(validate(&registry, "order", payload), Ok(()));
                }
                Err(errors) => prop_assert!(needed || half, "{errors:?}"),
            }
        }
    }
}
