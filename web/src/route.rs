//! [`Route`]: what is done at a path, and how it is described.

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{Data, Payload},
};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::{
    api::State,
    idempotency::HEADER,
    problem::{Kind, Trouble},
    settings::Role,
};

/// Carries a request out.
pub(crate) type Handler =
    fn(Data<State>, HttpRequest, Payload) -> LocalBoxFuture<'static, Result<HttpResponse, Trouble>>;

/// One method of one path. The server is made from these, and so is the OpenAPI document: neither can know a route
/// that the other does not.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: Handler,
    /// The lowest role that may, where tokens are configured; `None`: everybody may.
    pub(crate) needs: Option<Role>,
    /// Unique; what generated clients call it.
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
    /// Beyond those that any request of its method can have.
    pub(crate) problems: Vec<Kind>,
    /// Whether it reads `Idempotency-Key`.
    pub(crate) keyed: bool,
}

/// A parameter of a request.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// `path`, `query` or `header`.
    pub(crate) place: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: Value,
    /// Whether it must be given.
    pub(crate) required: bool,
}

/// The body of a request.
pub(crate) struct Body {
    /// As `application/json`, with an example.
    pub(crate) json: Option<(Schema, Value)>,
    /// As `application/x-ndjson`: one value of this schema a line.
    pub(crate) lines: Option<Schema>,
    /// Whether it must be there.
    pub(crate) required: bool,
}

/// What a request is answered with if it is carried out.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    pub(crate) media: &'static str,
    pub(crate) schema: Schema,
}

/// What a body or an answer looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema {
    /// A schema of the document's components.
    Named(&'static str),
    /// An array of such.
    ListOf(&'static str),
    /// An object that says how things are.
    Object,
    /// JSON of others.
    Anything,
    /// Plain text.
    Text,
    /// No body.
    Nothing,
}

impl Route {
    /// A request that changes nothing; a viewer may make it.
    pub(crate) fn get(path: &'static str, id: &'static str, handler: Handler) -> Self {
        Route {
            method: Method::GET,
            path,
            handler,
            needs: Some(Role::Viewer),
            id,
            tag: "",
            summary: "",
            description: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            keyed: false,
        }
    }

    /// A request that changes something, or has a body; an operator may make it.
    pub(crate) fn post(path: &'static str, id: &'static str, handler: Handler) -> Self {
        Route { method: Method::POST, needs: Some(Role::Operator), ..Route::get(path, id, handler) }
    }

    /// A request that says how something is to be.
    pub(crate) fn put(path: &'static str, id: &'static str, handler: Handler) -> Self {
        Route { method: Method::PUT, ..Route::post(path, id, handler) }
    }

    /// A request that takes something away.
    pub(crate) fn delete(path: &'static str, id: &'static str, handler: Handler) -> Self {
        Route { method: Method::DELETE, ..Route::post(path, id, handler) }
    }

    /// A request that changes a part of something.
    pub(crate) fn patch(path: &'static str, id: &'static str, handler: Handler) -> Self {
        Route { method: Method::PATCH, ..Route::post(path, id, handler) }
    }

    /// Whoever makes it must have this role.
    pub(crate) fn needs(mut self, role: Role) -> Self {
        self.needs = Some(role);
        self
    }

    /// Whoever makes it needs no token.
    pub(crate) fn open(mut self) -> Self {
        self.needs = None;
        self
    }

    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    pub(crate) fn says(mut self, summary: &'static str, description: &'static str) -> Self {
        (self.summary, self.description) = (summary, description);
        self
    }

    pub(crate) fn parameter(
        mut self,
        place: &'static str,
        name: &'static str,
        description: &'static str,
        schema: Value,
    ) -> Self {
        self.parameters.push(Parameter { name, place, description, schema, required: place == "path" });
        self
    }

    /// The parameter that was added last must be given. Its schema has an example.
    pub(crate) fn required(mut self) -> Self {
        if let Some(last) = self.parameters.last_mut() {
            last.required = true;
        }
        self
    }

    pub(crate) fn body(mut self, schema: Schema, example: Value) -> Self {
        self.body = Some(Body { json: Some((schema, example)), lines: None, required: true });
        self
    }

    /// As [`body`](Self::body), and it may be missing.
    pub(crate) fn optional_body(mut self, schema: Schema, example: Value) -> Self {
        self.body = Some(Body { json: Some((schema, example)), lines: None, required: false });
        self
    }

    /// As [`body`](Self::body), and lines are read too.
    pub(crate) fn body_or_lines(mut self, schema: Schema, example: Value, line: Schema) -> Self {
        self.body = Some(Body { json: Some((schema, example)), lines: Some(line), required: true });
        self
    }

    /// Only lines are read.
    pub(crate) fn lines(mut self, line: Schema) -> Self {
        self.body = Some(Body { json: None, lines: Some(line), required: true });
        self
    }

    pub(crate) fn answer(self, status: u16, description: &'static str, schema: Schema) -> Self {
        let media = if matches!(schema, Schema::Text) { "text/plain" } else { "application/json" };
        self.answer_as(status, description, media, schema)
    }

    pub(crate) fn answer_as(
        mut self,
        status: u16,
        description: &'static str,
        media: &'static str,
        schema: Schema,
    ) -> Self {
        self.answers.push(Answer { status, description, media, schema });
        self
    }

    pub(crate) fn problems(mut self, kinds: &[Kind]) -> Self {
        self.problems.extend_from_slice(kinds);
        self
    }

    /// It reads `Idempotency-Key`.
    pub(crate) fn keyed(mut self) -> Self {
        self.keyed = true;
        let said = "The request is carried out once for this key, for as long as `retention.idempotency_keys` says: the same \
                    body again is given the first answer again, with `Idempotent-Replayed: true`. A request of which no \
                    job was stored leaves no key. Keys are the caller's (its token) and the route's.";
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        self.parameter("header", HEADER, said, schema).problems(&[Kind::KeyUnderWay, Kind::KeyTaken])
    }

    /// Whether it is of the old contract, which has its own form of problems.
    pub(crate) fn is_contract(&self) -> bool {
        !self.path.starts_with("/api/")
    }

    /// Every kind of problem that it can be answered with.
    pub(crate) fn all_problems(&self) -> Vec<Kind> {
        let mut kinds = vec![
            Kind::Unauthorized,
            Kind::Forbidden,
            Kind::Misdirected,
            Kind::NotHere,
            Kind::Timeout,
            Kind::TooManyRequests,
            Kind::Unavailable,
        ];
        if self.method != Method::GET {
            kinds.push(Kind::MediaType);
        }
        if self.body.is_some() {
            kinds.extend([Kind::Malformed, Kind::TooLarge]);
        }
        for kind in &self.problems {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }
}
