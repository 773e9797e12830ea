//! [`HttpServer`]: the actor that serves.

use std::{
    any::Any,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    App, HttpRequest, HttpResponse, Resource,
    dev::ServerHandle,
    guard::fn_guard,
    http::{Method, header},
    middleware::from_fn,
    web::{self, Data, Payload},
};
use callboard_actors::roles::Condition;
use callboard_supervisors::{
    Actor, ChildSpec, Context, OnExhausted, Placement, Shutdown, StartError, SupervisorSpec,
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    api::State,
    connections::Connections,
    credentials::check_role,
    guard::guard,
    live::{Board, HubArgs, LiveHub, Scene},
    observatory::{OldPort, routes_at},
    pages,
    problem::{Kind, Trouble},
    proxy::Proxy,
    rate_limit::RateLimit,
    route::Route,
    seats::STALLED,
    session::{Sessions, attempts::Attempts},
    settings::{WebDependencies, WebError, WebSettings},
    stream::SEATS,
    terminal::{self, Terminal},
};

/// The supervisor's name.
const SUBTREE: &str = "web";
/// The name of the server's actor.
const SERVER: &str = "server";
/// The name of the actor that looks at what is watched.
const LIVE_FEED: &str = "live-feed";
/// How long a client may take to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client that was answered before it had said all may go on: what it sends is thrown away, and it can take the
/// answer. Then it is cut off.
const HANG_UP: Duration = Duration::from_secs(2);
/// How long requests that are under way have when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What the outside may know of the endpoints.
#[derive(Clone, Debug)]
pub struct WebHandle {
    /// Where they are; `None` until the server listens.
    pub local_addr: watch::Receiver<Option<SocketAddr>>,
    /// Where the ports of the old system are.
    pub old_ports: Vec<(OldPort, watch::Receiver<Option<SocketAddr>>)>,
}

/// What an [`HttpServer`] is made from.
#[derive(Clone)]
pub struct ServerArgs {
    settings: WebSettings,
    roles: WebDependencies,
    port: Option<OldPort>,
    proxy: Proxy,
    rate_limit: Option<Arc<RateLimit>>,
    terminal: Option<Arc<Terminal>>,
    sessions: Arc<Sessions>,
    attempts: Arc<Attempts>,
    scene: Scene,
    board: Arc<Board>,
    address: watch::Sender<Option<SocketAddr>>,
}

/// The actor that serves.
pub struct HttpServer {
    args: ServerArgs,
    handle: ServerHandle,
    stopping: watch::Sender<bool>,
}

/// The subtree `web`, and where it listens once it does.
///
/// # Errors
/// [`WebError`]: other machines could reach it, and nobody would be asked for a token; or a server that it is to ask has no
/// address.
pub fn web(settings: WebSettings, roles: WebDependencies) -> Result<(SupervisorSpec, WebHandle), WebError> {
    if !settings.listen.ip().is_loopback() && settings.tokens.is_empty() {
        return Err(WebError::NeedsToken(settings.listen));
    }
    let proxy = Proxy::new(&settings.proxy)?;
    let rate_limit = RateLimit::new(
        settings.rate_limit,
        settings.rate_limit_window,
        roles.windows.clone(),
        roles.request_refused.clone(),
    )
    .map(Arc::new);
    let addresses = Arc::default();
    let asks_for_tokens = !settings.tokens.is_empty();
    let (terminals, terminal) = settings
        .terminal
        .clone()
        .map(|settings| terminal::terminal(settings, &roles, asks_for_tokens, Arc::clone(&addresses)))
        .unzip();
    let sessions = Arc::new(Sessions::new(&settings));
    let attempts =
        Attempts::new(settings.sign_in_limit, roles.windows.clone(), roles.request_refused.clone());
    let attempts = Arc::new(attempts);
    let scene = Scene::new(roles.clone(), settings.request_timeout);
    // Whatever ran before this counts other frames.
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let board = Arc::new(Board::new(u64::try_from(began.as_micros()).unwrap_or(u64::MAX)));
    let server = |settings: WebSettings, port| {
        let (address, local_addr) = watch::channel(None);
        let args = ServerArgs {
            settings,
            roles: roles.clone(),
            port,
            proxy: proxy.clone(),
            rate_limit: rate_limit.clone(),
            terminal: terminal.clone(),
            sessions: sessions.clone(),
            attempts: attempts.clone(),
            scene: scene.clone(),
            board: board.clone(),
            address,
        };
        let server = ChildSpec::<HttpServer>::new(name(port), args)
            .placement(Placement::Control)
            .shutdown(Shutdown::Timeout(STOP_LIMIT + Duration::from_secs(1)));
        (server, local_addr)
    };
    let (own, local_addr) = server(settings.clone(), None);
    let mut spec = SupervisorSpec::new(SUBTREE).on_exhausted(OnExhausted::RetryAtMaxBackoff);
    // Whoever serves stops first: nobody comes to sessions that end.
    if let Some(terminals) = terminals {
        spec = spec.supervisor(terminals);
    }
    let hub = HubArgs { scene: scene.clone(), board: board.clone() };
    let hub = ChildSpec::<LiveHub>::new(LIVE_FEED, hub).placement(Placement::Control);
    spec = spec.child(own).child(hub);
    let mut old_ports = Vec::new();
    for &(port, listen) in &settings.old_ports {
        let mut settings = WebSettings { listen, ..settings.clone() };
        if port.runs_programs() {
            // A console does whatever its user may: nobody gets one unasked.
            if !listen.ip().is_loopback() && settings.tokens.is_empty() {
                return Err(WebError::TerminalNeedsToken { port, listen });
            }
        } else if settings.allow_unauthenticated {
            settings.tokens.clear();
        } else if !listen.ip().is_loopback() && settings.tokens.is_empty() {
            return Err(WebError::OldPortNeedsToken { port, listen });
        }
        if matches!(port, OldPort::Metrics | OldPort::TerminalMetrics) {
            settings.workers = 1;
        }
        let (old, local_addr) = server(settings, Some(port));
        spec = spec.child(old);
        old_ports.push((port, local_addr));
    }
    let all = old_ports.iter().map(|(_, address)| address);
    // Nobody has set them before.
    let _ = addresses.set([&local_addr].into_iter().chain(all).cloned().collect());
    Ok((spec, WebHandle { local_addr, old_ports }))
}

/// The name of the actor that serves there.
fn name(port: Option<OldPort>) -> String {
    port.map_or_else(|| SERVER.to_owned(), |port| format!("observatory-{port}"))
}

/// Its place on the board of conditions.
fn place(port: Option<OldPort>) -> String {
    format!("{SUBTREE}/{}", name(port))
}

impl Actor for HttpServer {
    type Args = ServerArgs;

    async fn start(args: ServerArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let settings = &args.settings;
        // After a restart the port of before, so that clients find it again.
        let listen = args.address.borrow().unwrap_or(settings.listen);
        let listener = std::net::TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr()?;
        let (stopping, stops) = watch::channel(false);
        let state = Data::new(State {
            settings: settings.clone(),
            roles: args.roles.clone(),
            port: args.port,
            proxy: args.proxy.clone(),
            rate_limit: args.rate_limit.clone(),
            terminal: args.terminal.clone(),
            sessions: args.sessions.clone(),
            attempts: args.attempts.clone(),
            seats: Arc::default(),
            feed: Arc::default(),
            scene: args.scene.clone(),
            board: args.board.clone(),
            streams: Arc::new(Semaphore::new(SEATS)),
            stopping: stops,
        });
        let port = args.port;
        let (connections, most_of_address) =
            (Arc::new(Connections::default()), settings.max_connections_per_address);
        let server = actix_web::HttpServer::new(move || {
            let app = App::new().app_data(state.clone()).wrap(from_fn(guard));
            all_resources(port).into_iter().fold(app, App::service).default_service(web::to(nowhere))
        })
        .workers(settings.workers)
        .max_connections(settings.max_connections.div_ceil(settings.workers.max(1)))
        .client_request_timeout(HEAD_LIMIT)
        .keep_alive(KEEP_ALIVE)
        .client_disconnect_timeout(HANG_UP)
        .shutdown_timeout(STOP_LIMIT.as_secs())
        .disable_signals()
        .on_connect(move |connection, kept| {
            limit_silence(connection);
            connections.count(connection, kept, most_of_address);
        })
        .listen(listener)?
        .run();
        let handle = server.handle();
        cx.spawn_then(server, |ended, server, cx| {
            // It ends by itself only when its threads are gone.
            if !*server.stopping.borrow() {
                tracing::error!(?ended, "the web server ended");
                cx.stop();
            }
        });
        args.address.send_replace(Some(address));
        args.roles.conditions.set(&place(args.port), Condition::Ready);
        match args.port {
            None => tracing::info!(%address, "listening"),
            Some(port) => tracing::info!(%address, port = port.as_str(), "listening as the old system did"),
        }
        Ok(HttpServer { args, handle, stopping })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.args.roles.conditions.set(&place(self.args.port), Condition::Stopping);
        self.stopping.send_replace(true);
        // What does not end in time ends with the process.
        let _ = timeout(STOP_LIMIT, self.handle.stop(true)).await;
    }
}

/// What is served there.
fn all_resources(port: Option<OldPort>) -> Vec<Resource> {
    let viewer = pages::viewer().into_iter().filter(|_| port.is_none_or(OldPort::has_pages));
    let others = pages::others().into_iter().filter(|_| port.is_none());
    let terminal = pages::terminal_alone().into_iter().filter(|_| port == Some(OldPort::Terminal));
    let pages = viewer.chain(others).chain(terminal).map(|page| otherwise(page, "GET, HEAD".to_owned()));
    let sockets = terminal::resources().into_iter().filter(|_| port.is_none_or(OldPort::has_terminal));
    let sockets = sockets.map(|socket| otherwise(socket, "GET".to_owned()));
    resources(port).into_iter().chain(pages).chain(sockets).collect()
}

/// What the routes say: one resource a path.
fn resources(port: Option<OldPort>) -> Vec<Resource> {
    let mut paths: Vec<(&'static str, Vec<Route>)> = Vec::new();
    for route in routes_at(port) {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.path, vec![route])),
        }
    }
    // A path that is spelled out stands above one with a parameter in that place.
    paths.sort_by_key(|(path, _)| path.contains('{'));
    paths.into_iter().map(|(path, routes)| resource(path, routes)).collect()
}

/// A client that has taken nothing for so long of what it was sent is cut off, whatever that was; nobody else would notice.
fn limit_silence(connection: &dyn Any) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        let limit = u32::try_from((2 * STALLED).as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, limit) {
            tracing::debug!(%error, "clients that do not read are not cut off");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}

fn resource(path: &'static str, routes: Vec<Route>) -> Resource {
    let allowed: Vec<&str> = routes.iter().flat_map(|route| methods(&route.method)).copied().collect();
    let resource = routes.into_iter().fold(web::resource(path), |resource, route| {
        let (handler, needs) = (route.handler, route.needs);
        let served = move |state: Data<State>, request: HttpRequest, payload: Payload| async move {
            if let Some(needed) = needs
                && let Err(trouble) = check_role(&request, needed)
            {
                return trouble.answer(&request);
            }
            // A stream's head comes at once; only its body has no end.
            let limit = state.settings.request_timeout;
            let answer =
                timeout(limit, handler(state, request.clone(), payload)).await.unwrap_or_else(|_| {
                    Err(Trouble::new(Kind::Timeout, format!("it took longer than {limit:?}")))
                });
            answer.unwrap_or_else(|trouble| trouble.answer(&request))
        };
        // Of an answer to HEAD, only the head is sent.
        let answered = methods(&route.method);
        let guard = fn_guard(move |request| answered.contains(&request.head().method.as_str()));
        resource.route(web::route().guard(guard).to(served))
    });
    otherwise(resource, allowed.join(", "))
}

/// What a route of this method answers: HEAD wherever it answers GET.
fn methods(method: &Method) -> &'static [&'static str] {
    match *method {
        Method::GET => &["GET", "HEAD"],
        Method::PUT => &["PUT"],
        Method::PATCH => &["PATCH"],
        Method::DELETE => &["DELETE"],
        _ => &["POST"],
    }
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

/// There is nothing at this path.
pub(crate) async fn nowhere(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = state.port.is_none_or(OldPort::has_pages);
    let detail = "there is nothing at this path";
    let detail =
        if told { format!("{detail}; /openapi.json lists what there is") } else { detail.to_owned() };
    Trouble::new(Kind::NotFound, detail).answer(&request)
}
