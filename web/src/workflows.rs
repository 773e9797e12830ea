//! Workflows.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType},
    web,
};
use callboard_actors::{
    edges::store::workflow::{StepQuery, WorkflowFilter},
    roles::request::{
        CancelWorkflow, GetGraph, GetInputs, GetWorkflow, ListSteps, ListWorkflows, Origin, ResumeWorkflow,
        Signed, SubmitWorkflow,
    },
};
use callboard_contracts::workflow::check_name;
use uuid::Uuid;

use crate::{
    api::{State, job_id, query},
    body,
    correlation::{correlation_of, span_of},
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

/// What a list gives that was not told how much.
const PAGE: u32 = 50;
/// Steps of a graph that was not told how many.
const GRAPH: u32 = 1000;
/// A workflow is as many jobs in one body: it may have so many times the bytes of another request.
const BODIES: usize = 16;
/// The media type of a graph as Mermaid draws it.
pub(crate) const MERMAID: &str = "text/vnd.mermaid";

pub(crate) async fn submit(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let limit = state.settings.max_body.saturating_mul(BODIES);
    let read = body::read_up_to(request, payload, limit).await?;
    let workflow = body::json(&read, &state.settings)?;
    let correlation_id = correlation_of(request).unwrap_or_else(Uuid::now_v7);
    let origin = Origin { correlation_id, trace: span_of(request) };
    let submitted = state.ask(&state.roles.submit_workflow, SubmitWorkflow { workflow, origin }).await??;
    let place = format!("/api/v1/workflows/{}", submitted.id);
    Ok(HttpResponse::Accepted().insert_header((header::LOCATION, place)).json(submitted))
}

pub(crate) async fn list(state: &State, request: &HttpRequest) -> Answer {
    let mut filter = WorkflowFilter::default();
    let mut limit = PAGE;
    for (name, value) in query(request) {
        match &*name {
            "state" => filter.state = Some(parsed("state", &value)?),
            "name" => {
                check_name(&value).map_err(|error| Trouble::parameter("name", error.to_string()))?;
                filter.name = Some(value);
            }
            "limit" => limit = number(&value, 1000)?,
            "cursor" => filter.before = Some(cursor(&value)?),
            other => return Err(unknown(other, "there are state, name, limit and cursor")),
        }
    }
    let request = ListWorkflows { filter, limit };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.list_workflows, request).await??))
}

pub(crate) async fn one(state: &State, id: &str) -> Answer {
    let id = workflow_id(id)?;
    match state.ask(&state.roles.get_workflow, GetWorkflow { id }).await?? {
        Some(workflow) => Ok(HttpResponse::Ok().json(workflow)),
        None => Err(missing(id)),
    }
}

pub(crate) async fn steps(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let id = workflow_id(id)?;
    let mut asked = StepQuery { limit: PAGE, ..StepQuery::default() };
    for (name, value) in query(request) {
        match &*name {
            "state" => asked.state = Some(parsed("state", &value)?),
            "limit" => asked.limit = number(&value, 1000)?,
            "cursor" => asked.after = Some(cursor(&value)?),
            other => return Err(unknown(other, "there are state, limit and cursor")),
        }
    }
    match state.ask(&state.roles.list_steps, ListSteps { id, query: asked }).await?? {
        Some(steps) => Ok(HttpResponse::Ok().json(steps)),
        None => Err(missing(id)),
    }
}

pub(crate) async fn graph(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let id = workflow_id(id)?;
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut mermaid = accepts.is_some_and(|accept| accept.contains(MERMAID));
    let mut limit = GRAPH;
    for (name, value) in query(request) {
        match (&*name, &*value) {
            ("format", "json") => mermaid = false,
            ("format", "mermaid") => mermaid = true,
            ("format", _) => return Err(Trouble::parameter("format", "there are json and mermaid")),
            ("limit", value) => limit = number(value, 10_000)?,
            (other, _) => return Err(unknown(other, "there are format and limit")),
        }
    }
    let Some(graph) = state.ask(&state.roles.get_graph, GetGraph { id, limit }).await?? else {
        return Err(missing(id));
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "accept"));
    if mermaid {
        return Ok(response.insert_header((header::CONTENT_TYPE, MERMAID)).body(graph.mermaid()));
    }
    Ok(response.content_type(ContentType::json()).json(graph))
}

pub(crate) async fn cancel(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let signed = Signed { who: who(request), request: CancelWorkflow { id: workflow_id(id)? } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.cancel_workflow, signed).await??))
}

pub(crate) async fn resume(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let signed = Signed { who: who(request), request: ResumeWorkflow { id: workflow_id(id)? } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.resume_workflow, signed).await??))
}

pub(crate) async fn inputs(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let job = job_id(id)?;
    let (mut limit, mut after) = (PAGE, None);
    for (name, value) in query(request) {
        match &*name {
            "limit" => limit = number(&value, 1000)?,
            "cursor" => after = Some(cursor(&value)?),
            other => return Err(unknown(other, "there are limit and cursor")),
        }
    }
    match state.ask(&state.roles.get_inputs, GetInputs { job, after, limit }).await?? {
        Some(inputs) => Ok(HttpResponse::Ok().json(inputs)),
        None => Err(Trouble::new(Kind::NotFound, format!("job {job} is not there, or of no workflow"))),
    }
}

fn workflow_id(text: &str) -> Result<Uuid, Trouble> {
    Uuid::try_parse(text).map_err(|_| {
        Trouble::parameter("id", "a workflow's id is a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057")
    })
}

fn missing(id: Uuid) -> Trouble {
    Trouble::new(Kind::NotFound, format!("there is no workflow {id}"))
}

fn unknown(name: &str, known: &str) -> Trouble {
    Trouble::parameter(&name.chars().take(50).collect::<String>(), known)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<T, Trouble> {
    value.parse().map_err(|error| Trouble::parameter(name, format!("{error}")))
}

fn number(value: &str, most: u32) -> Result<u32, Trouble> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Trouble::parameter("limit", format!("a number from 1 to {most} is needed")))
}

fn cursor<T: std::str::FromStr>(value: &str) -> Result<T, Trouble> {
    value.parse().map_err(|_| Trouble::parameter("cursor", "this is no cursor of ours"))
}
