//! [`Unanswered`]: what a handler answers when an actor does not.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use callboard_contracts::api::Problem;
use callboard_supervisors::{AskError, SendError};

use crate::problem::SOON;

/// An ask that got no answer, as the answer to an HTTP request: in a handler that returns `Result<_, Unanswered>`, `?` after
/// an `ask`, `send` or `tell` is enough. An [`ActorRef`](callboard_supervisors::ActorRef) is `Send`, `Sync` and one `Arc`, so
/// `web::Data<ActorRef<A>>` brings it to the handlers of every worker.
///
/// | why | status |
/// |---|---|
/// | `Full`, `Refused`, `Evicted`: there was no room | 503, with `Retry-After` |
/// | `Stopped` | 503, with `Retry-After` |
/// | `TimedOut` | 504: the message may still be handled |
/// | `Panicked` | 500 |
///
/// The body is an `application/problem+json` (RFC 9457) without the panic's text.
///
/// ```
/// use actix_web::{App, test, web};
/// use callboard_supervisors::*;
/// use callboard_web::Unanswered;
///
/// #[derive(Message)]
/// #[message(reply = u8)]
/// struct Add(u8);
///
/// struct Counter(u8);
///
/// impl Actor for Counter {
///     type Args = ();
///     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
///         Ok(Counter(200))
///     }
/// }
///
/// impl PlainHandler<Add> for Counter {
///     type Reply = u8;
///     fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u8 {
///         self.0 = self.0.checked_add(amount).expect("eight bits");
///         self.0
///     }
/// }
///
/// async fn add(counter: web::Data<ActorRef<Counter>>, amount: web::Path<u8>) -> Result<String, Unanswered> {
///     Ok(counter.ask(Add(*amount)).await?.to_string())
/// }
///
/// # actix_web::rt::System::new().block_on(async {
/// let spec = ChildSpec::<Counter>::new("counter", ());
/// let counter = web::Data::new(spec.actor_ref());
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let app = test::init_service(App::new().app_data(counter).route("/add/{amount}", web::post().to(add))).await;
/// let post = |path| test::TestRequest::post().uri(path).to_request();
/// assert_eq!(test::call_and_read_body(&app, post("/add/50")).await, "250");
/// assert_eq!(test::call_service(&app, post("/add/50")).await.status(), 500); // it panicked
/// assert_eq!(test::call_and_read_body(&app, post("/add/1")).await, "201"); // the next generation
/// assert!(system.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Unanswered(#[from] pub AskError);

impl<M> From<SendError<M>> for Unanswered {
    fn from(refused: SendError<M>) -> Self {
        Unanswered(refused.into())
    }
}

impl Unanswered {
    /// Status, the last part of the problem's type, its title.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self.0 {
            AskError::Full | AskError::Refused | AskError::Evicted | AskError::Stopped => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "This cannot be done now")
            }
            AskError::TimedOut(_) => {
                (StatusCode::GATEWAY_TIMEOUT, "no-answer-in-time", "No answer came in time")
            }
            // A panic, and whatever there may be one day.
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed", "The server failed at this"),
        }
    }
}

impl ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        self.parts().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, slug, title) = self.parts();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, SOON));
        }
        response.content_type("application/problem+json").json(Problem {
            problem_type: format!("urn:callboard:problem:{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            instance: None,
            errors: Vec::new(),
            job: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{body::to_bytes, rt::System};

    use super::*;

    fn answer(why: impl Into<Unanswered>) -> (u16, Option<String>, Problem) {
        let response = why.into().error_response();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header(header::CONTENT_TYPE), Some("application/problem+json"));
        let retry_after = header(header::RETRY_AFTER).map(str::to_owned);
        let status = response.status().as_u16();
        let body = System::new().block_on(to_bytes(response.into_body())).expect("a body");
        (status, retry_after, serde_json::from_slice(&body).expect("a problem"))
    }

    #[test]
    fn each_reason_has_its_status_and_says_when_to_ask_again() {
        let limit = Duration::from_secs(5);
        let busy = [AskError::Full, AskError::Refused, AskError::Evicted, AskError::Stopped];
        let rest = [(AskError::TimedOut(limit), 504), (AskError::Panicked, 500)];
        for (why, status) in busy.map(|why| (why, 503)).into_iter().chain(rest) {
            let (seen, retry_after, problem) = answer(why);
            assert_eq!((seen, problem.status), (status, status), "{why:?}");
            assert_eq!(retry_after.as_deref(), (status == 503).then_some("1"), "{why:?}");
            assert_eq!(problem.detail, why.to_string());
        }
    }

    #[test]
    fn a_message_that_was_not_taken_is_a_message_without_an_answer() {
        assert_eq!(Unanswered::from(SendError::Full("message")), Unanswered(AskError::Full));
        assert_eq!(Unanswered::from(SendError::Stopped("message")), Unanswered(AskError::Stopped));
    }
}
