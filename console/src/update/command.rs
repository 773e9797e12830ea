//! What is typed behind `:`.

use uuid::Uuid;

use super::{act, ask, go};
use crate::{
    keys::BINDINGS,
    model::Model,
    view::{Place, View},
};

/// Other names of views.
const ALIASES: &[(&str, View)] = &[
    ("home", View::Overview),
    ("j", View::Jobs),
    ("q", View::Queues),
    ("dlq", View::Dead),
    ("dead-jobs", View::Dead),
    ("actors", View::Tree),
    ("supervisors", View::Tree),
    ("schedules", View::Cron),
    ("flows", View::Workflows),
    ("wf", View::Workflows),
    ("fleet", View::Nodes),
    ("log", View::Events),
    ("services", View::Edges),
    ("config", View::Settings),
    ("configuration", View::Settings),
];

/// All commands: views, their other names, and what keys do by its name.
fn names() -> impl Iterator<Item = &'static str> {
    let views = View::MAIN.into_iter().map(View::name);
    let aliases = ALIASES.iter().map(|(name, _)| *name);
    let keys = BINDINGS.iter().map(|binding| binding.name).filter(|name| !name.starts_with("view."));
    views.chain(aliases).chain(["job", "filter", "sort"]).chain(keys)
}

/// The commands that begin so, in the order of the alphabet.
pub fn completions(typed: &str) -> Vec<&'static str> {
    let mut found: Vec<&str> = names().filter(|name| name.starts_with(typed)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What is typed, as far as all commands agree that begin so.
pub(super) fn complete(model: &Model, typed: &str) -> Option<String> {
    if let Some((command, word)) = typed.rsplit_once(' ') {
        // Behind the name of a view stands a filter, whose fields are known.
        let fields: &[&str] = match view_of(command.split(' ').next()?)? {
            View::Jobs => <crate::rows::JobRow as crate::table::Row>::FIELDS,
            View::Queues => <crate::rows::QueueRow as crate::table::Row>::FIELDS,
            _ => return None,
        };
        if let Some(part) = word.strip_prefix("queue:") {
            let queues = model.queues.rows().map(|queue| queue.view.name.as_str());
            let found = common(queues.filter(|name| name.starts_with(part)))?;
            return Some(format!("{command} queue:{found}"));
        }
        let found = common(fields.iter().copied().filter(|field| field.starts_with(word)))?;
        return Some(format!("{command} {found}"));
    }
    common(completions(typed).into_iter())
}

/// What all texts begin with.
fn common<'t>(mut texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let first = texts.next()?.to_owned();
    Some(texts.fold(first, |common, text| {
        common
            .chars()
            .zip(text.chars())
            .take_while(|(left, right)| left == right)
            .map(|(letter, _)| letter)
            .collect()
    }))
}

fn view_of(name: &str) -> Option<View> {
    let view = View::MAIN.into_iter().find(|view| view.name() == name);
    view.or_else(|| ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, view)| *view))
}

/// Does what was typed.
pub(super) fn run(model: &mut Model, text: &str) {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if name.is_empty() {
        return;
    }
    #[cfg(feature = "failpoints")]
    if name == "panic" {
        panic!("a panic was asked for");
    }
    if let Some(view) = view_of(name) {
        let place = if rest.is_empty() { Place::of(view) } else { Place::filtered(view, rest) };
        go::go(model, place);
        return;
    }
    match name {
        "job" => match rest.parse::<Uuid>() {
            Ok(id) => go::go(model, Place::about(View::Job, id)),
            Err(_) => model.complain(format!("{rest:?} is no id of a job: `:job ID`")),
        },
        "filter" => {
            let result = model.list().map(|list| list.set_filter(rest));
            match result {
                None => model.complain("nothing is filtered in this view"),
                Some(Err(error)) => model.complain(error.to_string()),
                Some(Ok(())) if model.view() == View::Jobs => ask::filter_changed(model),
                Some(Ok(())) => {}
            }
        }
        "sort" => {
            let wanted = rest.to_uppercase();
            let names = model.list().map(|list| list.columns());
            let Some(columns) = names else {
                model.complain("nothing is sorted in this view");
                return;
            };
            match columns.iter().position(|column| column.name == wanted) {
                Some(column) => {
                    if let Some(list) = model.list() {
                        list.sort_by(column);
                    }
                }
                None => {
                    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
                    model.complain(format!(
                        "there is no column {rest:?}; there are {}",
                        names.join(", ").to_lowercase()
                    ));
                }
            }
        }
        name => {
            let view = model.view();
            let found = BINDINGS.iter().find(|binding| binding.name == name);
            match found {
                Some(binding) if binding.views.is_empty() || binding.views.contains(&view) => {
                    act::act(model, binding)
                }
                Some(binding) => {
                    let views: Vec<&str> = binding.views.iter().map(|view| view.name()).collect();
                    model.complain(format!("{name} is there in {}", views.join(", ")));
                }
                None => {
                    let near = names().min_by_key(|known| strsim::damerau_levenshtein(known, name));
                    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                    model.complain(format!("there is no command {name:?}{near} (Tab completes)"));
                }
            }
        }
    }
}
