//! The nodes of the fleet, what they are told, and the audit trail.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use callboard_actors::{
    edges::remote::Remote,
    roles::request::{GetAudit, GetNodes, ListCommands, Order, Signed},
};
use callboard_contracts::api::OrderNode;

use crate::{
    api::{State, job_id, query},
    body,
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

/// What a list gives that was not told how much.
const PAGE: u32 = 50;
/// How long a node may take to answer, unless that is said.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn list(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_nodes, GetNodes).await??))
}

/// Asks a node for its tree.
pub(crate) async fn tree(state: &State, request: &HttpRequest, name: &str) -> Answer {
    let mut limit = ANSWERS_WITHIN;
    for (parameter, value) in query(request) {
        if parameter != "timeout_ms" {
            let parameter: String = parameter.chars().take(50).collect();
            return Err(Trouble::parameter(&parameter, "there is timeout_ms"));
        }
        let longest = Remote::LONGEST.as_millis();
        let number = value.parse().ok().filter(|number| (1..=longest).contains(&u128::from(*number)));
        let number = number.ok_or_else(|| {
            Trouble::parameter("timeout_ms", format!("a number from 1 to {longest} is needed"))
        })?;
        limit = Duration::from_millis(number);
    }
    let known = state.ask(&state.roles.get_nodes, GetNodes).await??;
    if !known.iter().any(|node| node.name == name) {
        let names: Vec<&str> = known.iter().map(|node| node.name.as_str()).take(20).collect();
        let shown: String = name.chars().take(50).collect();
        let detail = format!("there is no node {shown:?}; there are {}", names.join(", "));
        return Err(Trouble::new(Kind::NotFound, detail));
    }
    // That the node is silent is to be said before this request has taken too long itself.
    let limit = limit.min(state.settings.request_timeout / 10 * 9);
    Ok(HttpResponse::Ok().json((state.roles.node_tree)(name.to_owned(), limit).await?))
}

/// Tells a node to do something.
pub(crate) async fn order(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let order: OrderNode = serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
        let needed = "{\"action\": \"pause\", \"resume\", \"drain\", \"restart_actor\", \"suspend_actor\", \"resume_actor\" or \"stop_actor\" \
                          (with \"actor\"), \"log_level\" (with \"level\") or \"set\" (with \"settings\")} is needed, and may have valid_for_ms";
        Trouble::new(Kind::Malformed, format!("{needed}: {error}"))
    })?;
    let signed = Signed { who: who(request), request: Order { node: name.to_owned(), order } };
    let command = state.ask(&state.roles.order, signed).await??;
    let place = format!("/api/v1/commands/{}", command.id);
    Ok(HttpResponse::Accepted().insert_header((header::LOCATION, place)).json(command))
}

pub(crate) async fn commands(state: &State, request: &HttpRequest) -> Answer {
    let (limit, _) = page(request, false)?;
    let request = ListCommands { id: None, limit };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.list_commands, request).await??))
}

pub(crate) async fn command(state: &State, id: &str) -> Answer {
    let id = job_id(id)?;
    let found = state.ask(&state.roles.list_commands, ListCommands { id: Some(id), limit: 1 }).await??;
    match found.into_iter().next() {
        Some(command) => Ok(HttpResponse::Ok().json(command)),
        None => Err(Trouble::new(Kind::NotFound, format!("there is no command {id}"))),
    }
}

pub(crate) async fn audit(state: &State, request: &HttpRequest) -> Answer {
    let (limit, before) = page(request, true)?;
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_audit, GetAudit { before, limit }).await??))
}

/// Which page is asked for: how much, and where it begins.
fn page(request: &HttpRequest, paged: bool) -> Result<(u32, Option<u64>), Trouble> {
    let (mut limit, mut before) = (PAGE, None);
    for (name, value) in query(request) {
        match name.as_str() {
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
                limit =
                    number.ok_or_else(|| Trouble::parameter("limit", "a number from 1 to 1000 is needed"))?;
            }
            "cursor" if paged => {
                let cursor = value.parse().ok();
                before =
                    Some(cursor.ok_or_else(|| Trouble::parameter("cursor", "this is no cursor of ours"))?);
            }
            other => {
                let known = if paged { "there are limit and cursor" } else { "there is limit" };
                return Err(Trouble::parameter(&other.chars().take(50).collect::<String>(), known));
            }
        }
    }
    Ok((limit, before))
}
