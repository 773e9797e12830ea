//! The pages: `/docs` shows what the server can be asked.
//!
//! The viewer is built apart (`scripts/pages`) into a folder, `web.pages_dir`. Where it is not there, the server itself
//! makes a plain page of the OpenAPI document.

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
};

/// The viewer's path; its files are below it.
pub(crate) const DOCS: &str = "/docs";
/// What a page may load: what this server serves, and nothing else. No script and no style stands in a page.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether this is of a page. Pages have no data in them, so they are shown without a token; what they show they ask for
/// with one.
pub(crate) fn is_page(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    reads && path.strip_prefix(DOCS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What serves the pages.
pub(crate) fn resources() -> [Resource; 2] {
    let get =
        || web::route().guard(actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head()));
    [
        web::resource(DOCS).route(get().to(docs)),
        web::resource([format!("{DOCS}/"), format!("{DOCS}/{{file}}")]).route(get().to(file)),
    ]
}

async fn docs(state: Data<State>, request: HttpRequest) -> HttpResponse {
    if let Some(page) = files::find(&state.settings, &request, "index.html").await {
        return page;
    }
    plain_page(&state).await.unwrap_or_else(|trouble| trouble.answer(&request))
}

async fn file(state: Data<State>, request: HttpRequest) -> HttpResponse {
    match request.match_info().get("file") {
        // Its links are those of the path without the slash.
        None => HttpResponse::PermanentRedirect().insert_header((header::LOCATION, DOCS)).finish(),
        Some(name) => match files::find(&state.settings, &request, name).await {
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
