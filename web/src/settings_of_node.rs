//! The settings of the node that is asked, and changes of them.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{ChangeSettings, GetSettings, Signed};
use serde::Deserialize;
use serde_json::{Number, Value, json};

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
    let patch: SettingsPatch = serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
        let needed = "an object of keys and values is needed, such as {\"retention.completed\": \"3d\"}; a value is a \
                      string, a number, true, false or null, and a list is text with commas";
        Trouble::new(Kind::Malformed, format!("{needed}: {error}"))
    })?;
    let settings = patch.0.into_iter().map(|(key, value)| (key, value.map(SettingValue::text))).collect();
    let signed = Signed { who: who(request), request: ChangeSettings { settings } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.change_settings, signed).await??))
}

/// Settings by their keys; `null` takes back what was set so.
#[derive(Debug, Deserialize)]
struct SettingsPatch(BTreeMap<String, Option<SettingValue>>);

/// The value of a setting, as of environment variables; a list is text with commas.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SettingValue {
    Text(String),
    Flag(bool),
    Number(Number),
}

/// What [`SettingsPatch`] looks like; keys have sections.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "Settings by their keys. A value is as of environment variables, a list is text with commas; `null` takes back \
                        what was set so.",
        "propertyNames": { "pattern": "^[^.]+[.].+$" },
        "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
    })
}

impl SettingValue {
    fn text(self) -> String {
        match self {
            SettingValue::Text(text) => text,
            SettingValue::Flag(value) => value.to_string(),
            SettingValue::Number(number) => number.to_string(),
        }
    }
}
