//! The routes of what is watched.

use callboard_contracts::api::FeedTopic;
use serde_json::json;

use crate::{
    interfaces, live,
    problem::Kind,
    route::{Route, Schema::*},
};

pub(crate) fn watching() -> Vec<Route> {
    let topics = FeedTopic::ALL.map(FeedTopic::as_str);
    vec![
        Route::get("/api/v1/overview", "getOverview", |state, _, _| {
            Box::pin(async move { live::overview(&state.scene).await })
        })
        .says(
            "What there is, and how it goes, at one look",
            "Totals, rates, latencies, and what a person should look at: of the whole fleet, as the node that is asked has seen it since its \
             start.",
        )
        .answer(200, "The overview.", Named("Overview")),
        Route::get("/api/v1/series", "getSeries", |state, request, _| {
            Box::pin(async move { live::series(&state.roles.series, &request) })
        })
        .says(
            "Numbers over time",
            "Of the whole fleet, as the node that is asked has seen it since its start; it keeps them in memory.",
        )
        .parameter("query", "names", "Only these numbers, with commas between them.", json!({
            "type": "array", "items": { "type": "string" },
        }))
        .parameter("query", "queue", "Those of this queue alone.", json!({ "type": "string" }))
        .parameter(
            "query",
            "resolution",
            "The length of a step: a second (of the last ten minutes), ten (of two hours) or a minute (of a day).",
            json!({ "type": "string", "enum": ["1s", "10s", "1m"], "default": "1s" }),
        )
        .answer(200, "The numbers.", Named("Series"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/feed", "watchFeed", |state, request, _| {
            Box::pin(async move { live::feed(&state, &request) })
        })
        .says(
            "Watch what there is",
            "Server-sent events, made once a second for all who watch: each has a topic as `event`, and as `data` an `Overview`, or \
             `QueueChanges`, `NodeChanges`, `EdgeChanges`, `TreeChanges` or `JobChanges`. The first of each topic has all there is, with \
             `full`; those after it what has changed. A lost stream is resumed by `Last-Event-ID`, with the same topics. \
             Who is away for too long, or does not read as fast as is told, gets `event: reset` and all there is again. It takes one of \
             the `web.sse_max_clients` seats.",
        )
        .parameter("header", "Last-Event-ID", "Begin after this frame.", json!({ "type": "string" }))
        .parameter("query", "topics", "Only these, with commas between them. Default: all.", json!({
            "type": "array", "items": { "type": "string", "enum": topics },
        }))
        .answer_as(200, "The stream. It has no end.", "text/event-stream", Text)
        .problems(&[Kind::Malformed]),
        Route::get("/api/v1/interfaces", "listInterfaces", |state, _, _| {
            Box::pin(async move { Ok(interfaces::list(&state)) })
        })
        .says(
            "Web interfaces that belong to the system",
            "Those of the server that is asked, by their paths, and then those of the setting `web.interfaces`.",
        )
        .answer(200, "The interfaces.", ListOf("InterfaceView")),
    ]
    .into_iter()
    .map(|route| route.tag("Watching"))
    .collect()
}
