//! The trait that every job type implements.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    context::JobContext,
    error::{CheckError, JobError},
    options::JobOptions,
    states::States,
};

/// A type of job: a value that says what is to be done, and how it is done.
///
/// The value is the job's payload: it is submitted and stored as a JSON object, so the type must be a struct with named
/// fields (or none: `struct Sweep {}`), or an enum that serialises as one. Its schema is checked at the gate and shown
/// in OpenAPI; the type's documentation is its description there. `#[serde(deny_unknown_fields)]` makes misspelt fields
/// an error instead of nothing.
///
/// ```
/// use callboard_actors::jobs::{Job, JobContext, JobError, JobOptions, JobRegistry};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// struct Mailer;
/// impl Mailer {
///     async fn send(&self, to: &str) -> Result<u64, std::io::Error> {
///         Ok(to.len() as u64)
///     }
/// }
///
/// /// Sends a letter of welcome.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Welcome {
///     /// The address.
///     to: String,
/// }
///
/// impl Job for Welcome {
///     const TYPE: &'static str = "welcome";
///     type Output = u64;
///
///     fn options() -> JobOptions {
///         JobOptions::new().max_attempts(3)
///     }
///
///     async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
///         if !self.to.contains('@') {
///             return Err(JobError::fatal("no address"));
///         }
///         Ok(cx.state::<Mailer>()?.send(&self.to).await?)
///     }
/// }
///
/// let registry = JobRegistry::builder().register::<Welcome>().state(Mailer).build()?;
/// assert!(registry.knows("welcome"));
/// # Ok::<(), callboard_actors::jobs::RegistryError>(())
/// ```
pub trait Job: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The type's name on every wire: 1 to 50 letters, digits, `-`, `_` and `.`.
    const TYPE: &'static str;

    /// What a successful run gives; kept with the job as JSON. `()` keeps nothing.
    type Output: Serialize + JsonSchema;

    /// Where the type differs from the server's defaults.
    fn options() -> JobOptions {
        JobOptions::default()
    }

    /// Checks what the schema cannot say, before the job is accepted. It is called on every submission, so it must be
    /// quick and must not block.
    ///
    /// # Errors
    /// Why the job is not accepted.
    fn check(&self, states: &States) -> Result<(), CheckError> {
        let _ = states;
        Ok(())
    }

    /// Brings a payload of an earlier version of the type into the form that it has now. Jobs can wait for days, and programs that submit
    /// them are not all renewed at once: what does not fit the type any more comes here, when it is submitted and before it runs, and what
    /// this gives is taken in its place if that fits. It is asked again each time; what is stored of a waiting job stays as it is.
    ///
    /// Several earlier forms are told apart by their fields. It must be quick and must not block. Default: nothing is known of earlier
    /// versions.
    ///
    /// ```
    /// # use callboard_actors::jobs::{Job, JobContext, JobError};
    /// # use schemars::JsonSchema;
    /// # use serde::{Deserialize, Serialize};
    /// use serde_json::{Map, Value};
    ///
    /// #[derive(Serialize, Deserialize, JsonSchema)]
    /// struct Welcome {
    ///     /// Whom to write to. Before, there was one of them, in `to`.
    ///     recipients: Vec<String>,
    /// }
    ///
    /// impl Job for Welcome {
    ///     const TYPE: &'static str = "welcome";
    ///     type Output = ();
    ///
    ///     fn upcast(mut payload: Map<String, Value>) -> Option<Map<String, Value>> {
    ///         let to = payload.remove("to")?;
    ///         payload.insert("recipients".to_owned(), Value::Array(vec![to]));
    ///         Some(payload)
    ///     }
    ///
    ///     async fn run(self, _: &JobContext) -> Result<(), JobError> {
    ///         // …
    /// #       Ok(())
    ///     }
    /// }
    /// # let old = serde_json::from_str(r#"{"to":"ada"}"#).unwrap();
    /// # assert_eq!(Value::Object(Welcome::upcast(old).unwrap()).to_string(), r#"{"recipients":["ada"]}"#);
    /// ```
    fn upcast(payload: Map<String, Value>) -> Option<Map<String, Value>> {
        let _ = payload;
        None
    }

    /// Does the work of one attempt.
    ///
    /// The future runs in an actor of its own and need not be `Send`. It shares its thread with other jobs: work that
    /// keeps the processor busy belongs into `tokio::task::spawn_blocking`. A panic, an error or the end of its time
    /// ends this attempt alone, and the retry policy decides about the next. When the attempt is cancelled or its time
    /// is over, [`JobContext::cancelled`] resolves; the future has a grace to come to an end and is dropped after that.
    ///
    /// The same job can run more than once (after a crash, or when its node was lost), so what it does to the outside
    /// should bear repetition.
    ///
    /// # Errors
    /// Why the attempt failed. Any [`std::error::Error`] becomes one that is tried again; [`JobError::fatal`] is not.
    fn run(self, cx: &JobContext) -> impl Future<Output = Result<Self::Output, JobError>>;
}
