//! Problems, in the form of `/api/v1` (RFC 9457) and of the old contract.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
    web::Data,
};
use callboard_actors::{
    edges::{remote::RemoteError, store::StoreError},
    roles::request::Refusal,
};
use callboard_contracts::api::{FieldError, Problem};
use callboard_supervisors::AskError;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{api::State, correlation::correlation_of};

/// When it is worth trying again what failed for a reason that passes by itself, in seconds.
pub(crate) const SOON: u64 = 1;

/// Why a request is not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    job: Option<Uuid>,
    /// In seconds.
    retry_after: Option<u64>,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal $title:literal,)+) => {
        /// Every kind of problem: its status, the last part of its type, its title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($name,)+ }

        impl Kind {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Kind] = &[$(Kind::$name),+];

            fn parts(self) -> (u16, &'static str, &'static str) {
                match self { $(Kind::$name => ($status, $slug, $title),)+ }
            }
        }
    };
}

kinds! {
    Malformed = 400 "malformed" "The request cannot be read",
    Invalid = 422 "invalid" "The request does not fit its schema",
    UnknownType = 422 "unknown-job-type" "Nobody handles this job type",
    Unauthorized = 401 "unauthorized" "A token is needed",
    Forbidden = 403 "forbidden" "This is not allowed",
    NotFound = 404 "not-found" "There is nothing here",
    MethodNotAllowed = 405 "method-not-allowed" "This cannot be done here",
    Timeout = 408 "timeout" "The request took too long",
    Conflict = 409 "conflict" "Another job has this id",
    NotUnique = 409 "not-unique" "There is another job of its kind",
    SignalConflict = 409 "signal-conflict" "Another signal of the job has this id",
    OtherBulk = 409 "bulk-conflict" "Another bulk operation has this id",
    KeyUnderWay = 409 "idempotency-key-under-way" "The first request under this key is not answered yet",
    KeyTaken = 422 "idempotency-key-taken" "Another request was made under this key",
    WrongState = 409 "wrong-state" "The job's state does not allow this",
    WorkflowConflict = 409 "workflow-conflict" "Another workflow has this id",
    WorkflowState = 409 "workflow-state" "The workflow's state does not allow this",
    Held = 409 "held" "This is to be changed elsewhere",
    TooLarge = 413 "too-large" "The request is too large",
    MediaType = 415 "media-type" "The content type is not accepted",
    Misdirected = 421 "misdirected" "The request names another host",
    NotHere = 421 "not-here" "This node does not do this",
    BacklogFull = 429 "backlog-full" "No more jobs are taken now",
    TooManyRequests = 429 "too-many-requests" "This client makes too many requests",
    TooManySignals = 429 "too-many-signals" "The job takes no more signals now",
    TooManyBulks = 429 "too-many-bulk-operations" "No more bulk operations are begun now",
    Unavailable = 503 "unavailable" "This cannot be done now",
    NodeRefused = 502 "node-refused" "The node has given no answer",
    NoBus = 503 "no-bus" "This node has no bus to ask others by",
    NodeAway = 503 "node-away" "The node cannot be reached",
    NodeTimeout = 504 "node-timeout" "The node has not answered in time",
}

impl Kind {
    /// The status, on a path of the old contract or on one of ours.
    pub(crate) fn status(self, contract: bool) -> u16 {
        match self.parts().0 {
            // The old contract knows no 422; nor does it know keys, so whoever uses one knows of it.
            422 if contract && self != Kind::KeyTaken => 400,
            status => status,
        }
    }

    /// The stable name.
    pub(crate) fn uri(self) -> String {
        format!("urn:callboard:problem:{}", self.parts().1)
    }

    pub(crate) fn title(self) -> &'static str {
        self.parts().2
    }
}

/// A problem as the old contract writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractProblem {
    /// What is wrong.
    error: String,
    /// Each field of the job that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<ContractDetail>,
}

/// A field of a job that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractDetail {
    /// Where, as a JSON pointer.
    path: String,
    /// What is wrong, and what would be right.
    message: String,
}

impl Trouble {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let retry_after = matches!(kind, Kind::Unavailable | Kind::KeyUnderWay).then_some(SOON);
        Trouble { kind, detail: detail.into(), errors: Vec::new(), job: None, retry_after }
    }

    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match &*errors {
            [only] => format!("{}: {}", only.pointer, only.message),
            several => format!("{} fields are wrong", several.len()),
        };
        Trouble { errors, ..Trouble::new(Kind::Invalid, detail) }
    }

    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let error = FieldError { pointer: name.to_owned(), message: message.into() };
        Trouble { kind: Kind::Malformed, ..Trouble::invalid(vec![error]) }
    }

    /// When it is worth trying again.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(whole_seconds(wait));
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.kind.status(false)
    }

    /// The problem as `/api/v1` writes it.
    pub(crate) fn problem(self, instance: Option<String>) -> Problem {
        Problem {
            problem_type: self.kind.uri(),
            title: self.kind.title().to_owned(),
            status: self.status(),
            detail: self.detail,
            instance,
            errors: self.errors,
            job: self.job,
        }
    }

    /// The answer, in the form that the request's path has.
    pub(crate) fn answer(self, request: &HttpRequest) -> HttpResponse {
        // The ports of the old system know its form alone.
        let old = request.app_data::<Data<State>>().is_some_and(|state| state.port.is_some());
        let path = if old { "/" } else { request.path() };
        self.respond(path, correlation_of(request).map(|id| id.to_string()))
    }

    pub(crate) fn respond(self, path: &str, instance: Option<String>) -> HttpResponse {
        let old = !path.starts_with("/api/");
        let status = StatusCode::from_u16(self.kind.status(old)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponseBuilder::new(status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.kind == Kind::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"callboard\""));
        }
        if old {
            return response.json(self.old());
        }
        response.content_type("application/problem+json").json(self.problem(instance))
    }

    fn old(self) -> ContractProblem {
        if self.kind != Kind::Invalid {
            return ContractProblem { error: self.detail, details: Vec::new() };
        }
        let detail = |error: FieldError| ContractDetail { path: error.pointer, message: error.message };
        ContractProblem {
            error: "Invalid job data".to_owned(),
            details: self.errors.into_iter().map(detail).collect(),
        }
    }
}

/// Not less than it is.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let kind = match refusal {
            Refusal::Invalid(errors) => return Trouble::invalid(errors),
            Refusal::Unavailable(error) => return error.into(),
            Refusal::BacklogFull { retry_after, .. } | Refusal::StoreFull { retry_after, .. } => {
                return Trouble::new(Kind::BacklogFull, detail).retry_after(retry_after);
            }
            Refusal::NoRoom(_) => {
                return Trouble::new(Kind::BacklogFull, detail).retry_after(Duration::from_secs(SOON));
            }
            Refusal::UnknownType { .. } => Kind::UnknownType,
            Refusal::Forbidden(_) => Kind::Forbidden,
            Refusal::Conflict(_) => Kind::Conflict,
            Refusal::NotUnique { id, .. } => {
                return Trouble { job: Some(id), ..Trouble::new(Kind::NotUnique, detail) };
            }
            Refusal::KeyTaken => Kind::KeyTaken,
            Refusal::KeyUnderWay => Kind::KeyUnderWay,
            Refusal::TooLarge { .. } => Kind::TooLarge,
            Refusal::NotFound(_)
            | Refusal::NoSuchQueue(_)
            | Refusal::NoSuchNode(_)
            | Refusal::NoSuchBulk(_)
            | Refusal::NoSuchCron(_)
            | Refusal::NoSuchWorkflow(_) => Kind::NotFound,
            Refusal::CronHeld(_) => Kind::Held,
            Refusal::WorkflowConflict(_) => Kind::WorkflowConflict,
            Refusal::WorkflowState { .. } => Kind::WorkflowState,
            Refusal::OtherSignal(_) => Kind::SignalConflict,
            Refusal::TooManySignals { .. } => Kind::TooManySignals,
            Refusal::SignalTooLarge { .. } => Kind::TooLarge,
            Refusal::SignalOutside => Kind::WrongState,
            Refusal::OtherBulk(_) => Kind::OtherBulk,
            Refusal::TooManyBulks { .. } => Kind::TooManyBulks,
            Refusal::WrongState { .. } => Kind::WrongState,
            Refusal::Stopping => Kind::Unavailable,
        };
        Trouble::new(kind, detail)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::new(Kind::Unavailable, error.to_string())
    }
}

impl From<RemoteError> for Trouble {
    fn from(error: RemoteError) -> Self {
        let kind = match error {
            RemoteError::NoBus(_) => Kind::NoBus,
            RemoteError::NotConnected(_) | RemoteError::NoNode(_) | RemoteError::NotSent(_) => Kind::NodeAway,
            RemoteError::Busy(_) => Kind::Unavailable,
            RemoteError::TimedOut(_) => Kind::NodeTimeout,
            _ => Kind::NodeRefused,
        };
        Trouble::new(kind, error.to_string())
    }
}

impl From<AskError> for Trouble {
    fn from(error: AskError) -> Self {
        Trouble::new(
            Kind::Unavailable,
            format!("the server is too busy, or restarting a part of itself: {error}"),
        )
    }
}
