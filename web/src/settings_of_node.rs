//! The settings of the node that is asked, and changes of them.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{ChangeSettings, GetSettings, Signed};
use serde_json::Value;

use crate::{
    api::State,
    body,
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

pub(crate) async fn show(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_settings, GetSettings).await?))
}

pub(crate) async fn change(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let Value::Object(members) = body::json(&read, &state.settings)? else {
        let needed = "an object of keys and values is needed, such as {\"retention.completed\": \"3d\"}";
        return Err(Trouble::new(Kind::Malformed, needed));
    };
    let settings = members.into_iter().map(setting).collect::<Result<BTreeMap<_, _>, _>>()?;
    let signed = Signed { who: who(request), request: ChangeSettings { settings } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.change_settings, signed).await??))
}

/// The value as text, as environment variables have it.
fn setting((key, value): (String, Value)) -> Result<(String, Option<String>), Trouble> {
    match value {
        Value::Null => Ok((key, None)),
        Value::String(text) => Ok((key, Some(text))),
        Value::Number(number) => Ok((key, Some(number.to_string()))),
        Value::Bool(value) => Ok((key, Some(value.to_string()))),
        Value::Array(_) | Value::Object(_) => {
            let message = "a string, a number, true, false or null is needed; a list is text with commas";
            Err(Trouble::parameter(&format!("/{key}"), message))
        }
    }
}
