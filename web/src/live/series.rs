//! `GET /api/v1/series`.

use actix_web::{HttpRequest, HttpResponse};
use callboard_actors::roles::{InvalidResolution, NoSeries, SeriesQuery, TimeSeries};

use crate::{
    api::query,
    problem::{Kind, Trouble},
};

pub(crate) fn series(series: &TimeSeries, request: &HttpRequest) -> Result<HttpResponse, Trouble> {
    let mut wanted = SeriesQuery::default();
    for (name, value) in query(request) {
        match name.as_str() {
            "names" => wanted.names.extend(value.split(',').map(str::to_owned)),
            "queue" => wanted.queue = Some(value),
            "resolution" => {
                wanted.resolution = value.parse().map_err(|error: InvalidResolution| {
                    Trouble::parameter("resolution", error.to_string())
                })?;
            }
            other => {
                let other: String = other.chars().take(50).collect();
                return Err(Trouble::parameter(&other, "there are names, queue and resolution"));
            }
        }
    }
    match series.read(&wanted) {
        Ok(series) => Ok(HttpResponse::Ok().json(series)),
        Err(error @ NoSeries::Name { .. }) => Err(Trouble::parameter("names", error.to_string())),
        Err(error) => Err(Trouble::new(Kind::NotFound, error.to_string())),
    }
}
