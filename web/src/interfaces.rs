//! Web interfaces that somebody may want to open.

use actix_web::HttpResponse;
use callboard_contracts::api::InterfaceView;

use crate::{api::State, pages};

/// Those of the server itself, and then those that are configured.
pub(crate) fn list(state: &State) -> HttpResponse {
    let own = [
        (pages::APP, "Pages", "What runs, waits and failed, and what can be done about it"),
        (pages::DOCS, "API", "What the server can be asked, with requests to try"),
    ];
    let own = own.map(|(path, name, about)| InterfaceView {
        name: name.to_owned(),
        url: path.to_owned(),
        about: Some(about.to_owned()),
    });
    let all: Vec<InterfaceView> = own.into_iter().chain(state.settings.interfaces.iter().cloned()).collect();
    HttpResponse::Ok().json(all)
}
