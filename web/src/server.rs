//! [`HttpServer`]: the actor that serves.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, Resource,
    dev::ServerHandle,
    http::{Method, header},
    middleware::from_fn,
    web::{self, Data, Payload},
};
use callboard_actors::roles::Condition;
use callboard_supervisors::{
    Actor, ChildSpec, Context, OnExhausted, Placement, Shutdown, StartError, SupervisorSpec,
};
use tokio::{sync::watch, time::timeout};

use crate::{
    api::{self, State},
    contract,
    guard::guard,
    openapi,
    problem::{Kind, Trouble},
    settings::{WebDependencies, WebError, WebSettings},
    sse,
};

/// The server's place on the board of conditions.
const PATH: &str = "web/server";
/// How long a client may take to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long requests that are under way have when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What the outside may know of the endpoints.
#[derive(Clone, Debug)]
pub struct WebHandle {
    /// Where they are; `None` until the server listens.
    pub local_addr: watch::Receiver<Option<SocketAddr>>,
}

/// What an [`HttpServer`] is made from.
#[derive(Clone)]
pub struct ServerArgs {
    settings: WebSettings,
    roles: WebDependencies,
    address: watch::Sender<Option<SocketAddr>>,
}

/// The actor that serves.
pub struct HttpServer {
    args: ServerArgs,
    handle: ServerHandle,
}

/// The subtree `web`, and where it listens once it does.
///
/// # Errors
/// [`WebError::NeedsToken`]: other machines could reach it, and nobody would be asked for a token.
pub fn web(settings: WebSettings, roles: WebDependencies) -> Result<(SupervisorSpec, WebHandle), WebError> {
    if !settings.listen.ip().is_loopback() && settings.tokens.is_empty() {
        return Err(WebError::NeedsToken(settings.listen));
    }
    let (address, local_addr) = watch::channel(None);
    let server = ChildSpec::<HttpServer>::new("server", ServerArgs { settings, roles, address })
        .placement(Placement::Control)
        .shutdown(Shutdown::Timeout(STOP_LIMIT + Duration::from_secs(1)));
    let spec = SupervisorSpec::new("web").on_exhausted(OnExhausted::RetryAtMaxBackoff).child(server);
    Ok((spec, WebHandle { local_addr }))
}

impl Actor for HttpServer {
    type Args = ServerArgs;

    async fn start(args: ServerArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let settings = &args.settings;
        // After a restart the port of before, so that clients find it again.
        let listen = args.address.borrow().unwrap_or(settings.listen);
        let listener = std::net::TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr()?;
        let state =
            Data::new(State { settings: settings.clone(), roles: args.roles.clone(), seats: Arc::default() });
        let server = actix_web::HttpServer::new(move || {
            let app = App::new().app_data(state.clone()).wrap(from_fn(guard));
            routes().into_iter().fold(app, App::service).default_service(web::to(nowhere))
        })
        .workers(settings.workers)
        .max_connections(settings.max_connections.div_ceil(settings.workers.max(1)))
        .client_request_timeout(HEAD_LIMIT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(STOP_LIMIT.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        cx.spawn_then(server, |ended, _, cx| {
            // It ends by itself only when its threads are gone.
            tracing::error!(?ended, "the web server ended");
            cx.stop();
        });
        args.address.send_replace(Some(address));
        args.roles.conditions.set(PATH, Condition::Ready);
        tracing::info!(%address, "listening");
        Ok(HttpServer { args, handle })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.args.roles.conditions.set(PATH, Condition::Stopping);
        // What does not end in time ends with the process.
        let _ = timeout(STOP_LIMIT, self.handle.stop(true)).await;
    }
}

/// Makes a route of a function of the state, the request and the body.
macro_rules! route {
    ($path:literal, $($method:ident => |$state:ident, $request:ident, $payload:ident| $answer:expr),+ $(,)?) => {{
        let resource = web::resource($path).name($path);
        $(let resource = resource.route(web::method(Method::$method).to(
            |$state: Data<State>, $request: HttpRequest, $payload: Payload| async move {
                let _ = &$payload;
                // A stream's head comes at once; only its body has no end.
                let limit = $state.settings.request_timeout;
                let answer: Result<HttpResponse, Trouble> =
                    timeout(limit, async { $answer }).await.unwrap_or_else(|_| {
                        Err(Trouble::new(Kind::Timeout, format!("it took longer than {limit:?}")))
                    });
                answer.unwrap_or_else(|trouble| trouble.answer(&$request))
            },
        ));)+
        let methods = [$(stringify!($method)),+].join(", ");
        otherwise(resource, methods)
    }};
}

/// What a route does not do.
fn otherwise(resource: Resource, methods: String) -> Resource {
    resource.default_service(web::to(move |request: HttpRequest| {
        let methods = methods.clone();
        async move {
            if request.method() == Method::OPTIONS {
                return HttpResponse::NoContent().insert_header((header::ALLOW, methods)).finish();
            }
            let detail = format!("{} is not possible here; there are {methods}", request.method());
            let mut answer = Trouble::new(Kind::MethodNotAllowed, detail).answer(&request);
            if let Ok(allow) = header::HeaderValue::from_str(&methods) {
                answer.headers_mut().insert(header::ALLOW, allow);
            }
            answer
        }
    }))
}

fn part<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or("")
}

/// Every route; `openapi.rs` describes the same.
fn routes() -> Vec<Resource> {
    vec![
        route!("/jobs", POST => |state, request, payload| contract::submit(&state, &request, payload).await),
        route!("/jobs/recent", GET => |state, request, payload| contract::recent_jobs(&state).await),
        route!("/stats", GET => |state, request, payload| contract::stats(&state).await),
        route!("/events", GET => |state, request, payload| contract::recent_events(&state, &request).await),
        route!("/health", GET => |state, request, payload| Ok(contract::alive(&state))),
        route!("/readyz", GET => |state, request, payload| Ok(contract::alive(&state))),
        route!("/healthz", GET => |state, request, payload| Ok(contract::healthz(&state))),
        route!("/metrics", GET => |state, request, payload| Ok(contract::metrics(&state))),
        route!("/openapi.json", GET => |state, request, payload| Ok(openapi::document(&state))),
        route!("/api/v1/jobs",
            POST => |state, request, payload| api::submit(&state, &request, payload).await,
            GET => |state, request, payload| api::list(&state, &request).await),
        route!("/api/v1/jobs/batch", POST => |state, request, payload| api::submit_many(&state, &request, payload).await),
        route!("/api/v1/jobs/lookup", POST => |state, request, payload| api::lookup(&state, &request, payload).await),
        route!("/api/v1/jobs/{id}", GET => |state, request, payload| api::job(&state, part(&request, "id")).await),
        route!("/api/v1/jobs/{id}/cancel", POST => |state, request, payload| api::cancel(&state, part(&request, "id")).await),
        route!("/api/v1/jobs/{id}/retry", POST => |state, request, payload| api::retry(&state, part(&request, "id")).await),
        route!("/api/v1/queues", GET => |state, request, payload| api::queues(&state).await),
        route!("/api/v1/queues/{name}", GET => |state, request, payload| api::queue(&state, part(&request, "name")).await),
        route!("/api/v1/job-types", GET => |state, request, payload| api::job_types(&state).await),
        route!("/api/v1/tree", GET => |state, request, payload| api::tree(&state).await),
        route!("/api/v1/stats", GET => |state, request, payload| api::stats(&state).await),
        route!("/api/v1/live", GET => |state, request, payload| Ok(api::live(&state))),
        route!("/api/v1/ready", GET => |state, request, payload| Ok(api::ready(&state))),
        route!("/api/v1/events", GET => |state, request, payload| sse::events(&state, &request)),
    ]
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    Trouble::new(Kind::NotFound, "there is nothing at this path; /openapi.json lists what there is")
        .answer(&request)
}
