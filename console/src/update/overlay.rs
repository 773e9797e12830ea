//! Keys while something lies over the view.

use std::collections::BTreeMap;

use callboard_contracts::api::{NodeAction, PutEdge, QueueLimits};

use super::{act, add_job, answers, command};
use crate::{
    exchange::{Change, Effect, Intent, Request},
    keys::Chord,
    model::{Batch, Confirm, Model, Overlay, Prompt, PromptFor, TextPage},
};

pub(super) fn key(model: &mut Model, chord: Chord) {
    let Some(overlay) = model.overlay.take() else { return };
    match overlay {
        Overlay::Help(scroll) => {
            if let Some(scroll) = scrolled(scroll, chord, model.page_height(), &['?']) {
                let last = crate::draw::help_lines(model).saturating_sub(model.overlay_height());
                model.overlay = Some(Overlay::Help(scroll.min(last)));
            }
        }
        Overlay::Text(page) => {
            let text = page.lines.join("\n");
            if chord == Chord::Char('c') {
                model.say(format!("copied: {}", page.title));
                model.effect(Effect::Copy(text));
                model.overlay = Some(Overlay::Text(page));
            } else if let Some(scroll) = scrolled(page.scroll, chord, model.page_height(), &['d', 'y', '!']) {
                let last = page.lines.len().saturating_sub(model.overlay_height());
                model.overlay = Some(Overlay::Text(TextPage { scroll: scroll.min(last), ..page }));
            }
        }
        Overlay::Confirm(confirm) => confirm_key(model, confirm, chord),
        Overlay::Prompt(prompt) => prompt_key(model, prompt, chord),
        Overlay::Command(mut input) => match chord {
            Chord::Esc => {}
            Chord::Enter => command::run(model, input.text().trim()),
            Chord::Tab => {
                if let Some(longer) = command::complete(model, &input.text()) {
                    input = crate::input::Input::with(&longer);
                }
                model.overlay = Some(Overlay::Command(input));
            }
            Chord::Backspace if input.is_empty() => {}
            chord => {
                input.key(chord);
                model.overlay = Some(Overlay::Command(input));
            }
        },
        Overlay::Filter(mut input, before) => match chord {
            Chord::Esc => {
                set_filter(model, &before);
                act::filter_typed(model);
            }
            Chord::Enter => {
                if set_filter(model, &input.text()) {
                    model.message = None;
                    act::filter_typed(model);
                } else {
                    model.overlay = Some(Overlay::Filter(input, before));
                }
            }
            chord => {
                input.key(chord);
                live_filter(model, &input.text());
                model.overlay = Some(Overlay::Filter(input, before));
            }
        },
        Overlay::Menu { title, items, selected } => match chord {
            Chord::Esc => {}
            Chord::Enter => {
                let Some(item) = items.into_iter().nth(selected) else { return };
                if let Some(start) = item.preview {
                    model.ask_and_wait(Request::Preview(Intent { start, purges: None }));
                }
                if let Some(effect) = item.effect {
                    if let Effect::Open(url) = &effect
                        && !model.setup.has_display
                    {
                        model.say(format!("{}: {url}", item.label));
                    } else {
                        model.effect(effect);
                    }
                }
            }
            chord => {
                let last = items.len().saturating_sub(1);
                let selected = match chord {
                    Chord::Up | Chord::Char('k') => selected.saturating_sub(1),
                    Chord::Down | Chord::Char('j') => (selected + 1).min(last),
                    _ => selected,
                };
                model.overlay = Some(Overlay::Menu { title, items, selected });
            }
        },
        Overlay::AddJob(state) => add_job::key(model, *state, chord),
        Overlay::EditJob(edit) => add_job::edit_key(model, edit, chord),
    }
}

/// Takes a text that was pasted to where the cursor is.
pub(super) fn paste(model: &mut Model, text: &str) {
    let live = match &mut model.overlay {
        Some(Overlay::Command(input)) => {
            input.paste(text);
            None
        }
        Some(Overlay::Filter(input, _)) => {
            input.paste(text);
            Some(input.text())
        }
        Some(Overlay::Prompt(prompt)) => {
            prompt.input.paste(text);
            None
        }
        Some(Overlay::EditJob(edit)) => {
            edit.area.paste(text);
            None
        }
        Some(Overlay::AddJob(state)) => {
            add_job::paste(state, text);
            None
        }
        // What is to be typed for a yes is to be typed.
        _ => None,
    };
    if let Some(text) = live {
        live_filter(model, &text);
    }
}

/// Where a page is scrolled to by a key; none if the key closes it.
fn scrolled(scroll: usize, chord: Chord, height: usize, closing: &[char]) -> Option<usize> {
    Some(match chord {
        Chord::Esc | Chord::Enter | Chord::Char('q') => return None,
        Chord::Char(letter) if closing.contains(&letter) => return None,
        Chord::Up | Chord::Char('k') => scroll.saturating_sub(1),
        Chord::Down | Chord::Char('j') => scroll + 1,
        Chord::PageUp | Chord::Ctrl('u') | Chord::Ctrl('b') => scroll.saturating_sub(height / 2),
        Chord::PageDown | Chord::Ctrl('d') | Chord::Char(' ') => scroll + height / 2,
        Chord::Home | Chord::Char('g') => 0,
        Chord::End | Chord::Char('G') => usize::MAX / 2,
        _ => scroll,
    })
}

fn set_filter(model: &mut Model, text: &str) -> bool {
    let result = model.list().map(|list| list.set_filter(text));
    match result {
        Some(Err(error)) => {
            model.complain(error.to_string());
            false
        }
        _ => true,
    }
}

/// What is typed so far holds already, if it can be read.
fn live_filter(model: &mut Model, text: &str) {
    model.message = None;
    if let Some(list) = model.list()
        && list.set_filter(text).is_ok()
    {
        list.go_to(0);
    }
}

fn confirm_key(model: &mut Model, mut confirm: Confirm, chord: Chord) {
    let yes = match (&confirm.word, chord) {
        (_, Chord::Esc) => {
            model.say("nothing was changed");
            return;
        }
        (None, Chord::Char('y' | 'Y')) => true,
        (None, Chord::Char('n')) => {
            model.say("nothing was changed");
            return;
        }
        (None, _) => false,
        (Some(word), Chord::Enter) => confirm.typed.text() == *word,
        (Some(_), chord) => {
            confirm.typed.key(chord);
            false
        }
    };
    if yes {
        make(model, confirm.changes);
    } else {
        model.overlay = Some(Overlay::Confirm(confirm));
    }
}

/// Makes changes: one at once, several one after the other.
pub(super) fn make(model: &mut Model, changes: Vec<Change>) {
    if let [change] = changes.as_slice() {
        model.make(change.clone());
        return;
    }
    if model.batch.total > 0 {
        model.complain("other changes are under way; wait until they are done");
        return;
    }
    model.batch = Batch { total: changes.len(), left: changes.into(), ..Batch::default() };
    answers::go_on_with_batch(model);
}

fn prompt_key(model: &mut Model, mut prompt: Prompt, chord: Chord) {
    match chord {
        Chord::Esc => model.say("nothing was changed"),
        Chord::Enter => match change_of(model, &prompt) {
            Ok(changes) => make(model, changes),
            Err(problem) => {
                prompt.problem = Some(problem);
                model.overlay = Some(Overlay::Prompt(prompt));
            }
        },
        chord => {
            prompt.problem = None;
            prompt.input.key(chord);
            model.overlay = Some(Overlay::Prompt(prompt));
        }
    }
}

/// What is changed by what was entered.
fn change_of(model: &Model, prompt: &Prompt) -> Result<Vec<Change>, String> {
    let text = prompt.input.text();
    let text = text.trim();
    let number = |least: u32| match text.parse::<u32>() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("{text:?} is no whole number of at least {least}")),
    };
    Ok(match &prompt.purpose {
        PromptFor::Concurrency(queue) => {
            let key = format!("queues.{queue}.concurrency");
            let value = if text.is_empty() { None } else { Some(number(1)?.to_string()) };
            let settings = BTreeMap::from([(key, value)]);
            let serves = model.nodes.rows().filter(|node| node.0.queues.iter().any(|one| one.name == *queue));
            let mut orders: Vec<Change> = serves
                .map(|node| {
                    Change::Order(node.0.name.clone(), NodeAction::Set { settings: settings.clone() })
                })
                .collect();
            if orders.is_empty() {
                orders.push(Change::Settings(settings));
            }
            orders
        }
        PromptFor::Limit(queue) => {
            let most = if text.is_empty() { None } else { Some(number(1)?) };
            let limits = QueueLimits { max_running: Some(most), ..QueueLimits::default() };
            vec![Change::LimitQueue(queue.clone(), limits)]
        }
        PromptFor::Trip(edge) => {
            let reason = Some(text.to_owned()).filter(|text| !text.is_empty());
            vec![Change::Edge(edge.clone(), PutEdge { reason, ..PutEdge::tripped() })]
        }
        PromptFor::Setting(key) => {
            vec![Change::Settings(BTreeMap::from([(key.clone(), Some(text.to_owned()))]))]
        }
    })
}
