//! The pages: `/ui/` shows what runs, `/terminal` a terminal, and `/docs` what the server can be asked.
//!
//! They are built apart (`scripts/pages`), into `ui/dist`; what is there when the program is built is in the program. Where
//! `web.pages_dir` names a folder, its files are served in their place. Where there are none at all, the server itself makes a
//! plain page of the OpenAPI document, and one that says where the others are to be had.

mod embedded;
mod files;
mod plain;

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::{Method, header},
    web::{self, Data},
};
use callboard_actors::roles::request::GetJobTypes;

use crate::{
    api::State,
    observatory::routes_at,
    openapi,
    problem::{Kind, Trouble},
    server::nowhere,
};

/// The viewer's path; its files are below it.
pub(crate) const DOCS: &str = "/docs";
/// Below this is everything else: the pages, which find their way themselves, and their files.
const UI: &str = "/ui";
/// Where the pages begin.
pub(crate) const APP: &str = "/ui/";
/// The terminal's path.
pub(crate) const TERMINAL: &str = "/terminal";
/// Below it are the files of the pages and of the terminal.
const ASSETS: &str = "assets/";
/// What a page may load: what this server serves, and nothing else. No script and no style stands in a page.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether this is of a page. Pages have no data in them, so they are shown without a token; what they show they ask for
/// with one.
pub(crate) fn is_page(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let below =
        |page: &str| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    reads && (path == "/" || [DOCS, UI, TERMINAL].into_iter().any(below))
}

/// What serves the viewer.
pub(crate) fn viewer() -> Vec<Resource> {
    vec![
        web::resource(DOCS).route(get().to(docs)),
        web::resource([format!("{DOCS}/"), format!("{DOCS}/{{file}}")]).route(get().to(file)),
    ]
}

/// What serves all other pages.
pub(crate) fn others() -> Vec<Resource> {
    vec![
        web::resource("/").route(get().to(root)),
        web::resource(UI).route(get().to(|| async { moved(APP) })),
        web::resource(format!("{APP}{{path:.*}}")).route(get().to(ui)),
        web::resource(TERMINAL).route(get().to(terminal)),
        web::resource(format!("{TERMINAL}/")).route(get().to(|| async { moved(TERMINAL) })),
    ]
}

/// What serves the page of the terminal, where nothing else is.
pub(crate) fn terminal_alone() -> Vec<Resource> {
    vec![
        web::resource(["/", TERMINAL]).route(get().to(terminal)),
        web::resource(format!("{UI}/{{path:assets/.*}}")).route(get().to(ui)),
    ]
}

fn get() -> actix_web::Route {
    web::route().guard(actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head()))
}

fn moved(to: &str) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, to)).finish()
}

/// Whoever comes with a browser and knows the address alone wants to see something; a program is told that nothing is here.
async fn root(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    match accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        true => HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, APP)).finish(),
        false => nowhere(state, request).await,
    }
}

async fn ui(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let path = request.match_info().get("path").unwrap_or_default();
    if !path.starts_with(ASSETS) {
        return page(&state, &request, "index.html").await;
    }
    match files::find(&state.settings, &request, path).await {
        Some(file) => file,
        None => Trouble::new(Kind::NotFound, "no page has such a file").answer(&request),
    }
}

async fn terminal(state: Data<State>, request: HttpRequest) -> HttpResponse {
    page(&state, &request, "terminal.html").await
}

async fn page(state: &State, request: &HttpRequest, name: &str) -> HttpResponse {
    match files::find(&state.settings, request, name).await {
        Some(page) => page,
        None => HttpResponse::NotFound().content_type("text/html; charset=utf-8").body(plain::not_built()),
    }
}

async fn docs(state: Data<State>, request: HttpRequest) -> HttpResponse {
    if let Some(page) = files::find(&state.settings, &request, "docs/index.html").await {
        return page;
    }
    plain_page(&state).await.unwrap_or_else(|trouble| trouble.answer(&request))
}

async fn file(state: Data<State>, request: HttpRequest) -> HttpResponse {
    match request.match_info().get("file") {
        // Its links are those of the path without the slash.
        None => moved(DOCS),
        Some(name) => match files::find(&state.settings, &request, &format!("docs/{name}")).await {
            Some(file) => file,
            None => Trouble::new(Kind::NotFound, "no page has such a file").answer(&request),
        },
    }
}

async fn plain_page(state: &State) -> Result<HttpResponse, Trouble> {
    // The routes are everybody's; which job types a server has is told to those who have a token, where there are any.
    let job_types = match state.settings.tokens.is_empty() {
        true => state.ask(&state.roles.get_job_types, GetJobTypes).await?,
        false => Vec::new(),
    };
    let document = openapi::build(state.roles.version, &routes_at(state.port), &job_types);
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(plain::page(&document)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_what_is_read_at_their_paths() {
        for path in ["/", "/ui", "/ui/", "/ui/jobs/1", "/terminal", "/docs", "/docs/docs.js"] {
            assert!(is_page(&Method::GET, path) && is_page(&Method::HEAD, path), "{path}");
            assert!(!is_page(&Method::POST, path), "{path}");
        }
        for path in ["", "/uix", "/docsy", "/terminals", "/api/v1/jobs", "/api/ui/", "//"] {
            assert!(!is_page(&Method::GET, path), "{path}");
        }
    }
}
