//! The form for a new job, and the editor of a payload.

use std::time::Duration;

use callboard_contracts::{
    Timestamp,
    api::{FieldError, JobTypeView, RetryEdit, SubmitJob},
};
use serde_json::Value;
use uuid::Uuid;

use super::{go, overlay};
use crate::{
    exchange::{Change, Failure, Request},
    input::{Input, TextArea},
    keys::Chord,
    model::{AddJob, EditJob, Extra, JobForm, Model, Overlay, TypedField},
    view::{Place, View},
};

/// After what time it is said that the answer is late.
const LATE: Duration = Duration::from_secs(2);
/// How long a job may be put off by the form.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 86400);

pub(super) fn open(model: &mut Model) {
    model.overlay = Some(Overlay::AddJob(Box::new(AddJob::Loading)));
    model.ask(Request::JobTypes);
}

/// The types are there.
pub(super) fn types(model: &mut Model, mut types: Vec<JobTypeView>) {
    types.sort_by(|left, right| left.job_type.cmp(&right.job_type));
    model.job_types = types;
    if let Some(Overlay::AddJob(state)) = &mut model.overlay
        && matches!(**state, AddJob::Loading)
    {
        **state = AddJob::Choose(Input::default(), 0);
    }
}

/// The types that fit what is typed.
pub(crate) fn fitting<'m>(model: &'m Model, typed: &str) -> Vec<&'m JobTypeView> {
    let typed = typed.to_lowercase();
    model.job_types.iter().filter(|known| known.job_type.to_lowercase().contains(&typed)).collect()
}

pub(super) fn key(model: &mut Model, state: AddJob, chord: Chord) {
    let next = match state {
        AddJob::Loading if chord == Chord::Esc => None,
        AddJob::Loading => Some(AddJob::Loading),
        AddJob::Choose(input, selected) => choose_key(model, input, selected, chord),
        AddJob::Fill(form) => fill_key(model, form, chord),
        // What was sent was sent; its id is said when it is stored.
        AddJob::Sent { .. } if chord == Chord::Esc => None,
        sent @ AddJob::Sent { .. } => Some(sent),
    };
    if let Some(next) = next {
        model.overlay = Some(Overlay::AddJob(Box::new(next)));
    }
}

fn choose_key(model: &Model, mut input: Input, selected: usize, chord: Chord) -> Option<AddJob> {
    let found = fitting(model, &input.text());
    Some(match chord {
        Chord::Esc => return None,
        Chord::Up => AddJob::Choose(input, selected.saturating_sub(1)),
        Chord::Down => AddJob::Choose(input, (selected + 1).min(found.len().saturating_sub(1))),
        Chord::Enter => match found.get(selected) {
            Some(job_type) => AddJob::Fill(Box::new(JobForm::new((*job_type).clone(), Uuid::now_v7()))),
            None => AddJob::Choose(input, selected),
        },
        chord => {
            input.key(chord);
            AddJob::Choose(input, 0)
        }
    })
}

fn fill_key(model: &mut Model, mut form: Box<JobForm>, chord: Chord) -> Option<AddJob> {
    let button = form.typed.len();
    match chord {
        Chord::Esc => {
            model.say("no job was added");
            return None;
        }
        Chord::Ctrl('s') => return Some(send(model, form)),
        Chord::Tab => form.focus = (form.focus + 1) % (button + 1),
        Chord::BackTab => form.focus = (form.focus + button) % (button + 1),
        chord => match (form.typed.get_mut(form.focus), chord) {
            (None, Chord::Enter) => return Some(send(model, form)),
            (None, Chord::Up) => form.focus = form.focus.saturating_sub(1),
            (None, _) => {}
            (Some(TypedField::Line(_)), Chord::Down | Chord::Enter) => form.focus += 1,
            (Some(TypedField::Line(_)), Chord::Up) => form.focus = form.focus.saturating_sub(1),
            (Some(TypedField::Line(input)), chord) => {
                input.key(chord);
            }
            (Some(TypedField::Area(area)), Chord::Up) if area.at().0 == 0 => {
                form.focus = form.focus.saturating_sub(1);
            }
            (Some(TypedField::Area(area)), Chord::Down) if area.at().0 + 1 == area.lines().count() => {
                form.focus += 1;
            }
            (Some(TypedField::Area(area)), chord) => {
                area.key(chord);
            }
        },
    }
    Some(AddJob::Fill(form))
}

/// Takes a text that was pasted into the form.
pub(super) fn paste(state: &mut AddJob, text: &str) {
    match state {
        AddJob::Choose(input, _) => input.paste(text),
        AddJob::Fill(form) => {
            let focus = form.focus;
            match form.typed.get_mut(focus) {
                Some(TypedField::Line(input)) => input.paste(text),
                Some(TypedField::Area(area)) => area.paste(text),
                None => {}
            }
        }
        AddJob::Loading | AddJob::Sent { .. } => {}
    }
}

fn send(model: &mut Model, mut form: Box<JobForm>) -> AddJob {
    match submission(&form, model.now) {
        Err(errors) => {
            form.errors = errors;
            focus_on_error(&mut form);
            AddJob::Fill(form)
        }
        Ok(job) => {
            form.errors.clear();
            model.ask(Request::Change(Change::Submit(Box::new(job))));
            AddJob::Sent { at: model.now, form, late: false }
        }
    }
}

fn focus_on_error(form: &mut JobForm) {
    let Some(first) = form.errors.first() else { return };
    let pointer = first.pointer.strip_prefix("/payload").unwrap_or(&first.pointer);
    let field = form.job_type.form.fields.iter().position(|field| field.pointer == pointer);
    let extra = Extra::ALL.iter().position(|extra| extra.label() == pointer.trim_start_matches('/'));
    let extra = extra.map(|place| form.job_type.form.fields.len() + place);
    if let Some(focus) = field.or(extra) {
        form.focus = focus;
    }
}

/// The job that a form makes.
fn submission(form: &JobForm, now: Timestamp) -> Result<SubmitJob, Vec<FieldError>> {
    let mut errors = Vec::new();
    let payload = match form.job_type.form.payload(&form.entries()) {
        Ok(Value::Object(payload)) => payload,
        Ok(_) => Default::default(),
        Err(wrong) => {
            errors = wrong;
            Default::default()
        }
    };
    let mut wrong = |extra: Extra| {
        let message = format!("{} is needed", extra.wanted());
        errors.push(FieldError { pointer: extra.label().to_owned(), message });
    };
    let given = |extra| Some(form.extra(extra)).filter(|text| !text.is_empty());
    let priority = match given(Extra::Priority).map(|text| text.parse::<i16>()) {
        None => None,
        Some(Ok(priority)) if callboard_contracts::api::PRIORITIES.contains(&priority) => Some(priority),
        Some(_) => {
            wrong(Extra::Priority);
            None
        }
    };
    let delay = match given(Extra::Delay).map(|text| delay(&text)) {
        None => None,
        Some(Some(delay)) => Some(delay),
        Some(None) => {
            wrong(Extra::Delay);
            None
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let tags = form.extra(Extra::Tags);
    let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    Ok(SubmitJob {
        job_type: form.job_type.job_type.clone(),
        payload,
        id: Some(form.id),
        queue: given(Extra::Queue),
        priority,
        tags,
        scheduled_at: delay.map(|delay| now.saturating_add(delay)),
        ..SubmitJob::default()
    })
}

fn delay(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    let delay = Duration::from_secs(number.checked_mul(unit)?);
    (delay <= LONGEST_DELAY).then_some(delay)
}

/// Says when an answer is late, so that nobody waits before a form that does nothing.
pub(super) fn watch(model: &mut Model) {
    let now = model.now;
    if let Some(Overlay::AddJob(state)) = &mut model.overlay
        && let AddJob::Sent { at, late, .. } = &mut **state
        && !*late
        && now.saturating_since(*at) >= LATE
    {
        *late = true;
    }
}

/// The job is stored.
pub(super) fn stored(model: &mut Model, id: Uuid) {
    if let Some(Overlay::AddJob(state)) = &model.overlay
        && let AddJob::Sent { form, .. } = &**state
        && form.id == id
    {
        model.overlay = None;
    }
    model.say(format!("job {id} is stored"));
    model.due.remove("newest");
}

/// The job, or the edited payload, was refused. Says whether it was one of these.
pub(super) fn refused(model: &mut Model, change: &Change, failure: &Failure) -> bool {
    let Change::Submit(job) = change else { return false };
    let Some(Overlay::AddJob(state)) = &mut model.overlay else { return false };
    let AddJob::Sent { form, .. } = &**state else { return false };
    if Some(form.id) != job.id {
        return false;
    }
    let mut form = form.clone();
    form.errors = vec![FieldError { pointer: String::new(), message: failure.text.clone() }];
    // A lost connection leaves open whether it was stored: the same id makes that sending it again makes no second one.
    **state = AddJob::Fill(form);
    true
}

/// Opens the editor for the payload of a job.
pub(super) fn edit(model: &mut Model, id: Uuid) {
    let detail = model.job.detail.as_ref().filter(|detail| detail.summary.id == id);
    let Some(detail) = detail else {
        go::go(model, Place::about(View::Job, id));
        model.say("E again edits the payload, once the job is loaded");
        return;
    };
    if !detail.summary.state.is_final() {
        model.complain("only a finished job can be replayed with another payload; cancel it first");
        return;
    }
    let text = serde_json::to_string_pretty(&detail.payload).unwrap_or_default();
    let edit = EditJob { job: id, area: TextArea::with(&text), problem: None };
    model.overlay = Some(Overlay::EditJob(Box::new(edit)));
}

pub(super) fn edit_key(model: &mut Model, mut edit: Box<EditJob>, chord: Chord) {
    match chord {
        Chord::Esc => model.say("nothing was changed"),
        Chord::Ctrl('s') => match serde_json::from_str::<Value>(&edit.area.text()) {
            Ok(Value::Object(payload)) => {
                let reason = Some("edited in the console".to_owned());
                let change = RetryEdit { payload: Some(payload), patch: None, reason };
                overlay::make(model, vec![Change::RetryEdited(edit.job, Box::new(change))]);
            }
            Ok(_) => {
                edit.problem = Some("a JSON object is needed".to_owned());
                model.overlay = Some(Overlay::EditJob(edit));
            }
            Err(error) => {
                edit.problem = Some(format!("this is no JSON: {error}"));
                model.overlay = Some(Overlay::EditJob(edit));
            }
        },
        chord => {
            edit.problem = None;
            edit.area.key(chord);
            model.overlay = Some(Overlay::EditJob(edit));
        }
    }
}
