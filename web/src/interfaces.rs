//! Web interfaces that somebody may want to open.

use actix_web::HttpResponse;
use callboard_contracts::api::InterfaceView;

use crate::{api::State, pages};

/// Those of the server itself, and then those that are configured.
pub(crate) fn list(state: &State) -> HttpResponse {
    let terminal = (pages::TERMINAL, "Terminal", "The console, in a browser");
    let own = [
        Some((pages::APP, "Pages", "What runs, waits and failed, and what can be done about it")),
        state.settings.terminal.as_ref().map(|_| terminal),
        Some((pages::DOCS, "API", "What the server can be asked, with requests to try")),
    ];
    let own = own.into_iter().flatten().map(|(path, name, about)| InterfaceView {
        name: name.to_owned(),
        url: path.to_owned(),
        about: Some(about.to_owned()),
    });
    let all: Vec<InterfaceView> = own.chain(state.settings.interfaces.iter().cloned()).collect();
    HttpResponse::Ok().json(all)
}
