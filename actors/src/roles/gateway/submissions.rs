//! The spans of jobs that are taken in.

use callboard_contracts::{TraceContext, api::Submitted};

use super::super::{
    node::Node,
    request::{Origin, Refusal},
    spans,
};
use crate::edges::{
    store::{StoreError, record::NewJob},
    telemetry::{OpenSpan, SpanKind, Telemetry},
};

/// The spans of one request's jobs. Where nothing is recorded there are none, and each job has the span of whoever sent it.
pub(super) struct Submissions<'n> {
    telemetry: &'n Telemetry,
    origin: Origin,
    open: Vec<(String, OpenSpan)>,
}

/// The span of the write, if it is recorded.
pub(super) struct Storing {
    span: Option<OpenSpan>,
    jobs: usize,
}

impl<'n> Submissions<'n> {
    pub(super) fn of(node: &'n Node, origin: Origin) -> Self {
        Submissions { telemetry: &node.config.telemetry, origin, open: Vec::new() }
    }

    /// A job of this type begins to be looked at. Gives the origin that the job is to have: its own span.
    pub(super) fn begin(&mut self, job_type: &str, origin: Origin) -> Origin {
        if !self.telemetry.is_on() {
            return origin;
        }
        let span = self.telemetry.open(SpanKind::Producer, origin.trace, origin.correlation_id);
        let trace = Some(span.context());
        self.open.push((job_type.to_owned(), span));
        Origin { trace, ..origin }
    }

    /// So many of the jobs begin to be written. For a single job that is part of its own span, else of the request's.
    pub(super) fn store(&self, jobs: usize) -> Storing {
        let alone: Option<TraceContext> = match &*self.open {
            [(_, span)] => Some(span.context()),
            _ => None,
        };
        let parent = alone.or(self.origin.trace).or_else(|| Some(self.open.first()?.1.context()));
        let on = jobs > 0 && self.telemetry.is_on();
        let span = on.then(|| self.telemetry.open(SpanKind::Internal, parent, self.origin.correlation_id));
        Storing { span, jobs }
    }

    /// Nothing became of any of them, for this reason.
    pub(super) fn refuse(&self, refusal: &Refusal) {
        for (job_type, span) in &self.open {
            span.end(|| spans::submission(job_type, &Err(refusal.clone())));
        }
    }

    /// This became of the jobs, in their order.
    pub(super) fn end(self, answers: &[Result<Submitted, Refusal>]) {
        for ((job_type, span), answer) in self.open.iter().zip(answers) {
            span.end(|| spans::submission(job_type, answer));
        }
    }
}

impl Storing {
    pub(super) fn end(self, failed: Option<&StoreError>) {
        if let Some(span) = self.span {
            span.end(|| spans::stored(self.jobs, failed.map(ToString::to_string)));
        }
    }
}

/// Makes a job for somebody else's transaction, in a span of its own.
pub(super) fn prepared(
    node: &Node,
    job_type: &str,
    origin: Origin,
    make: impl FnOnce(Origin) -> Result<Box<NewJob>, Refusal>,
) -> Result<Box<NewJob>, Refusal> {
    let telemetry = &node.config.telemetry;
    if !telemetry.is_on() {
        return make(origin);
    }
    let span = telemetry.open(SpanKind::Producer, origin.trace, origin.correlation_id);
    let made = make(Origin { trace: Some(span.context()), ..origin });
    span.end(|| spans::preparation(job_type, made.as_ref().map(|job| job.id)));
    made
}
