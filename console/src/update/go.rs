//! Going from view to view.

use super::{answers, ask, has_list};
use crate::{
    exchange::Effect,
    model::{JobPage, Model},
    table::Row,
    view::{Place, View},
};

/// Goes to a place.
pub(super) fn go(model: &mut Model, place: Place) {
    leave(model);
    model.history.go(place);
    enter_place(model);
}

/// Goes one place back or ahead.
pub(super) fn step(model: &mut Model, ahead: bool) {
    leave(model);
    if !model.history.step(ahead) {
        model.say(if ahead { "there is nothing ahead" } else { "there is nothing before" });
    }
    enter_place(model);
}

fn leave(model: &mut Model) {
    let filter = model.list().map(|list| list.filter_text().to_owned());
    if let Some(filter) = filter {
        model.history.keep_filter(&filter);
    }
    if model.view() == View::Logs {
        model.effect(Effect::UnfollowLog);
    }
}

/// Sets up the view of the place where somebody is now.
pub(super) fn enter_place(model: &mut Model) {
    let place = model.history.here().clone();
    if let (Some(filter), true) = (&place.filter, has_list(place.view))
        && let Some(list) = model.list()
        && let Err(error) = list.set_filter(filter)
    {
        model.complain(error.to_string());
    }
    match place.view {
        View::Jobs => ask::filter_changed(model),
        View::Overview if !model.jobs.loaded && !model.jobs.loading => ask::jobs_anew(model),
        View::Job | View::Logs => {
            let known = model.job.detail.as_ref().map(|detail| detail.summary.id);
            if known != place.subject {
                model.job = JobPage::default();
            }
            if let (View::Logs, Some(job)) = (place.view, place.subject) {
                if model.logs.job != Some(job) {
                    let (wrap, times) = (model.logs.wrap, model.logs.times);
                    model.logs = crate::model::Logs {
                        job: Some(job),
                        follow: true,
                        wrap,
                        times,
                        ..Default::default()
                    };
                } else {
                    model.logs.lines.clear();
                    model.logs.dropped = 0;
                    model.logs.ended = None;
                }
                model.effect(Effect::FollowLog(job));
            }
        }
        View::Workflow if model.graph.workflow.as_ref().map(|workflow| workflow.id) != place.subject => {
            model.graph = crate::model::Graph::default();
        }
        View::Tree => answers::lay_tree(model),
        View::Doctor if model.checks.is_empty() => model.effect(Effect::Examine),
        _ => {}
    }
    ask::again(model);
}

/// Goes into what is selected.
pub(super) fn into(model: &mut Model) {
    let place = match model.view() {
        View::Jobs | View::Overview | View::Events | View::Workflow => {
            answers::selected_job(model).map(|id| Place::about(View::Job, id))
        }
        View::Job => model.history.here().subject.map(|id| Place::about(View::Logs, id)),
        View::Queues => model
            .queues
            .current()
            .map(|queue| Place::filtered(View::Jobs, format!("queue:{}", queue.view.name))),
        View::Dead => model.causes.current().map(|row| {
            let cause = &row.0;
            let filter = format!("cause:{} type:{} queue:{}", cause.cause, cause.job_type, cause.queue);
            Place::filtered(View::Jobs, filter)
        }),
        View::Cron => {
            model.cron.current().map(|row| Place::filtered(View::Jobs, format!("tag:cron:{}", row.0.name)))
        }
        View::Workflows => model.workflows.current().map(|row| Place::about(View::Workflow, row.key())),
        View::Nodes => {
            let Some(node) = model.nodes.current().map(Row::key) else { return };
            model.tree_of = Some(node).filter(|node| model.node.as_ref() != Some(node));
            model.tree_root = None;
            model.tree.clear();
            Some(Place::of(View::Tree))
        }
        View::Tree | View::Edges | View::Settings | View::Doctor => {
            super::describe::describe(model);
            return;
        }
        View::Logs => None,
    };
    if let Some(place) = place {
        go(model, place);
    }
}

/// Clears the message, the marks and the filter, one after the other; then goes up.
pub(super) fn escape(model: &mut Model) {
    if model.message.take().is_some_and(|message| message.is_error) {
        return;
    }
    if let Some(list) = model.list() {
        if list.unmark_all() {
            return;
        }
        if !list.filter_text().is_empty() {
            // An empty filter can always be read.
            let cleared = list.set_filter("");
            if let Err(error) = cleared {
                model.complain(error.to_string());
            }
            if model.view() == View::Jobs {
                ask::filter_changed(model);
            }
            return;
        }
    }
    let here = model.history.here().clone();
    let Some(parent) = here.view.parent() else { return };
    // Back to where somebody came from, if that is where it leads up to.
    let came_from = model.history.last().filter(|last| last.subject.is_none() || last.view == parent);
    match (came_from, here.view) {
        (Some(last), View::Job | View::Workflow | View::Logs) => go(model, last),
        (_, View::Logs) => go(model, Place { view: View::Job, ..here }),
        _ => go(model, Place::of(parent)),
    }
}
