use callboard_contracts::{
    Timestamp,
    api::{JobChanges, JobList, NodeAction},
};
use serde_json::json;
use std::time::Duration;

use super::*;
use crate::{
    exchange::{Answer, Change, Failure, Request},
    model::{AddJob, MOST_JOBS, Overlay},
    sample::{self, look_at, press, read},
    table::Row,
};

/// The requests among effects.
fn asked(effects: &[Effect]) -> Vec<&Request> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask(request) => Some(request),
            _ => None,
        })
        .collect()
}

fn changes(effects: &[Effect]) -> Vec<&Change> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask(Request::Change(change) | Request::OfBatch(change)) => Some(change),
            _ => None,
        })
        .collect()
}

/// Presses keys; what the last one wants done.
fn keys(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut wanted = Vec::new();
    for letter in keys.chars() {
        let chord = match letter {
            '\n' => Chord::Enter,
            '\u{1b}' => Chord::Esc,
            letter => Chord::Char(letter),
        };
        wanted = update(model, Event::Key(chord));
    }
    wanted
}

fn fail(model: &mut Model, request: Request, text: &str, is_lost: bool) {
    let failure = Failure { text: text.to_owned(), is_lost, status: (!is_lost).then_some(409) };
    update(model, Event::Answered(Box::new(request), Box::new(Err(failure))));
}

#[test]
fn destructive_keys_ask_and_no_is_no() {
    let mut model = sample::model((100, 30));
    assert!(changes(&keys(&mut model, "2C")).is_empty());
    assert!(changes(&keys(&mut model, "n")).is_empty() && model.overlay.is_none());
    let wanted = keys(&mut model, "Cy");
    assert!(matches!(changes(&wanted)[..], [Change::Cancel(_)]), "{wanted:?}");
    // A queue's name has to be typed whole.
    look_at(&mut model, "cron");
    assert!(changes(&keys(&mut model, "Xnight\n")).is_empty());
    let wanted = keys(&mut model, "\u{1b}Xnightly\n");
    assert_eq!(changes(&wanted), [&Change::DeleteCron("nightly".to_owned())]);
}

#[test]
fn a_read_only_console_changes_nothing() {
    let mut model = sample::model((100, 30));
    model.setup.read_only = true;
    for view in crate::view::View::MAIN {
        look_at(&mut model, view.name());
        for binding in crate::keys::BINDINGS.iter().filter(|binding| binding.changes) {
            for key in
                binding.keys.iter().filter(|_| binding.views.is_empty() || binding.views.contains(&view))
            {
                let wanted = update(&mut model, Event::Key(*key));
                assert!(
                    changes(&wanted).is_empty() && model.overlay.is_none(),
                    "{} in {view:?}",
                    binding.name
                );
                assert!(model.message.as_ref().is_some_and(|message| message.text.contains("read-only")));
            }
        }
    }
}

#[test]
fn a_bulk_action_takes_marks_away_as_it_succeeds() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2/state:discarded\nA");
    assert_eq!(model.jobs.table.marked(), 3);
    let wanted = keys(&mut model, "r");
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("a question: {wanted:?}") };
    assert_eq!(confirm.question, "Run 3 marked jobs again?");
    let wanted: Vec<Change> = changes(&keys(&mut model, "y")).into_iter().cloned().collect();
    assert_eq!(wanted.len(), 3);
    for (place, change) in wanted.into_iter().enumerate() {
        let request = Request::OfBatch(change.clone());
        if place == 1 {
            fail(&mut model, request, "it waits for its turn", false);
        } else {
            let answer = Answer::Retried(uuid::Uuid::nil());
            update(&mut model, Event::Answered(Box::new(request), Box::new(Ok(answer))));
        }
    }
    assert_eq!(model.jobs.table.marked(), 1, "what has failed is marked still");
    let said = &model.message.as_ref().unwrap().text;
    assert!(said.starts_with("2 of 3 done") && said.contains("waits for its turn"), "{said}");
    assert!(!changes(&keys(&mut model, "\u{1b}ry")).is_empty(), "and can be tried again");
}

#[test]
fn what_the_server_can_filter_it_filters() {
    let mut model = sample::model((100, 30));
    keys(&mut model, "2");
    let wanted = keys(&mut model, "/queue:mail attempt>1\n");
    let [Request::Jobs(generation, query)] = asked(&wanted)[..] else { panic!("{wanted:?}") };
    assert_eq!((query.queue.as_deref(), *generation), (Some("mail"), model.jobs.generation));
    // An answer to the earlier question is of no use any more.
    let late = Request::Jobs(generation - 1, query.clone());
    let list = read::<JobList>(json!({ "jobs": [sample::job(40, "available")] }));
    update(&mut model, Event::Answered(Box::new(late), Box::new(Ok(Answer::Jobs(list)))));
    assert!(model.jobs.table.is_empty());
    // Esc takes the filter away, and then goes up.
    sample::press(&mut model, "\u{1b}");
    assert!(model.jobs.table.filter().is_empty() && model.view() == View::Jobs);
    sample::press(&mut model, "\u{1b}");
    assert_eq!(model.view(), View::Overview);
}

#[test]
fn pages_are_loaded_up_to_the_bound() {
    let mut model = sample::model((100, 30));
    keys(&mut model, "2");
    let mut wanted = keys(&mut model, "R");
    let mut pages = 0;
    loop {
        let jobs = asked(&wanted).into_iter().find_map(|request| match request {
            Request::Jobs(generation, query) => Some((*generation, query.clone())),
            _ => None,
        });
        let Some((generation, query)) = jobs else { break };
        let jobs = (0..1000).map(|place| {
            let number = pages * 1000 + place;
            let mut job = sample::job(1, "completed");
            job["id"] = json!(uuid::Uuid::from_u128(u128::MAX - number));
            read(job)
        });
        let list = JobList { jobs: jobs.collect(), next_cursor: Some(format!("{pages}")) };
        pages += 1;
        let request = Request::Jobs(generation, query);
        wanted = update(&mut model, Event::Answered(Box::new(request), Box::new(Ok(Answer::Jobs(list)))));
        if pages == 1 {
            assert!(asked(&wanted).is_empty(), "nobody has come near the end");
            wanted = keys(&mut model, "G");
        }
    }
    assert_eq!((pages, model.jobs.table.len()), (100, MOST_JOBS));
    assert!(model.jobs.is_full() && model.jobs.has_more());
}

#[test]
fn payloads_are_loaded_for_filters_that_ask_for_them() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let mut open = keys(&mut model, "/args.user.id:7 state:discarded\n");
    let mut asked_for = 0;
    while let Some(effect) = open.pop() {
        let Effect::Ask(request) = effect else { continue };
        let answer = match &request {
            Request::Payload(id) => {
                asked_for += 1;
                let mut detail: callboard_contracts::api::JobDetail = match sample::answer(&Request::Job(*id))
                {
                    Some(Answer::Job(detail)) => *detail,
                    other => panic!("{other:?}"),
                };
                if asked_for == 2 {
                    detail.payload.clear();
                }
                Some(Answer::Job(Box::new(detail)))
            }
            request => sample::answer(request),
        };
        if let Some(answer) = answer {
            open.extend(update(&mut model, Event::Answered(Box::new(request), Box::new(Ok(answer)))));
            while model.has_work() {
                model.work();
            }
            open.extend(update(&mut model, Event::Resize(100, 30)));
        }
    }
    assert_eq!(asked_for, 3, "only of those that fit otherwise");
    assert_eq!((model.jobs.table.shown(), model.jobs.table.unknown()), (2, 0));
}

#[test]
fn the_form_makes_a_job_and_says_when_the_answer_is_late() {
    let mut model = sample::model((100, 30));
    press(&mut model, "Nsend\n");
    let refused = update(&mut model, Event::Key(Chord::Ctrl('s')));
    assert!(changes(&refused).is_empty());
    let Some(Overlay::AddJob(state)) = &model.overlay else { panic!("a form") };
    let AddJob::Fill(form) = &**state else { panic!("a form: {state:?}") };
    assert_eq!(form.errors[0].pointer, "/to");
    press(&mut model, "ada\n3");
    let wanted = update(&mut model, Event::Key(Chord::Ctrl('s')));
    let [Change::Submit(job)] = changes(&wanted)[..] else { panic!("{wanted:?}") };
    assert_eq!(serde_json::Value::from(job.payload.clone()), json!({ "to": "ada", "copies": 3 }));
    let id = job.id.expect("an id, so that it can be sent again");
    let request = Request::Change(Change::Submit(job.clone()));
    let late = |model: &Model| matches!(&model.overlay, Some(Overlay::AddJob(state)) if matches!(&**state, AddJob::Sent { late: true, .. }));
    let later = |model: &Model, ms| model.now.saturating_add(Duration::from_millis(ms));
    let at = later(&model, 1900);
    update(&mut model, Event::Tick(at));
    assert!(!late(&model));
    let at = later(&model, 200);
    update(&mut model, Event::Tick(at));
    assert!(late(&model), "after two seconds");
    // A lost connection leaves the form, under the same id.
    fail(&mut model, request.clone(), "the connection was lost", true);
    let again = update(&mut model, Event::Key(Chord::Ctrl('s')));
    let [Change::Submit(job)] = changes(&again)[..] else { panic!("{again:?}") };
    assert_eq!(job.id, Some(id));
    update(&mut model, Event::Answered(Box::new(request), Box::new(Ok(Answer::Submitted(id)))));
    assert!(model.overlay.is_none() && model.message.as_ref().unwrap().text.contains(&id.to_string()));
}

#[test]
fn a_lost_server_is_looked_for_and_found_again() {
    let mut model = sample::model((100, 30));
    fail(&mut model, Request::Queues, "the connection was lost", true);
    assert!(matches!(model.link, Link::Lost { .. }));
    assert_eq!(model.queues.len(), 3, "what was known stays");
    let at = model.now.saturating_add(Duration::from_secs(2));
    let wanted = update(&mut model, Event::Tick(at));
    assert_eq!(asked(&wanted), [&Request::Ready], "nothing else is asked for meanwhile");
    let ready = read(json!({ "status": "ready", "version": "0.5.0", "reasons": [] }));
    let wanted =
        update(&mut model, Event::Answered(Box::new(Request::Ready), Box::new(Ok(Answer::Ready(ready)))));
    assert_eq!(model.link, Link::Live);
    assert!(asked(&wanted).contains(&&Request::Queues), "{wanted:?}");
}

#[test]
fn alerts_from_outside_degrade_after_three_tries() {
    let mut model = sample::model((100, 30));
    for tries in 1..=3_u64 {
        fail(&mut model, Request::Alerts, "502", false);
        assert_eq!(model.outside.failures, tries as u32);
    }
    assert!(model.message.is_none(), "that is no message of its own");
    let at = model.now.saturating_add(Duration::from_secs(11));
    let wanted = update(&mut model, Event::Tick(at));
    sample::serve(&mut model, wanted);
    let at = model.now.saturating_add(Duration::from_secs(11));
    let wanted = update(&mut model, Event::Tick(at));
    assert!(!asked(&wanted).contains(&&Request::Alerts), "rarely from then on");
    assert!(!asked(&wanted).is_empty(), "the rest goes on");
}

#[test]
fn a_frozen_screen_asks_for_nothing() {
    let mut model = sample::model((100, 30));
    press(&mut model, "3f");
    let at = model.now.saturating_add(Duration::from_secs(5));
    assert_eq!(update(&mut model, Event::Tick(at)), []);
    let wanted = keys(&mut model, "f");
    assert!(asked(&wanted).contains(&&Request::Queues));
}

#[test]
fn the_feed_brings_jobs_to_their_places() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let before = model.jobs.table.len();
    let mut new = sample::job(30, "available");
    new["created_at"] = json!("2026-11-22T11:59:59Z");
    let known = sample::job(0, "completed");
    let changes = read::<JobChanges>(json!({ "full": false, "changed": [known, new], "more": 0 }));
    let item = callboard_client::FeedItem::Jobs(changes);
    let wanted = update(&mut model, Event::News(News::Feed(Box::new(item))));
    assert_eq!(wanted, [], "nothing has to be asked for");
    let first: Vec<_> =
        model.jobs.table.shown_from(0).take(2).map(|row| row.summary.state.as_str()).collect();
    assert_eq!((model.jobs.table.len(), first), (before + 1, vec!["available", "completed"]));
    assert!(model.is_fed());
    let at: Timestamp = model.now.saturating_add(Duration::from_secs(2));
    let wanted = update(&mut model, Event::Tick(at));
    assert_eq!(asked(&wanted), Vec::<&Request>::new(), "the feed says all that this view shows");
    let at = model.now.saturating_add(Duration::from_secs(4));
    let wanted = update(&mut model, Event::Tick(at));
    assert!(asked(&wanted).contains(&&Request::Overview), "a silent feed is not waited for");
}

#[test]
fn actors_are_told_through_their_node() {
    let mut model = sample::model((100, 30));
    look_at(&mut model, "tree");
    press(&mut model, "/producer\n");
    assert_eq!(model.tree.current().map(Row::key).as_deref(), Some("queues/queue-mail/producer"));
    let actor = "queues/queue-mail/producer".to_owned();
    for (typed, action) in [
        ("Ty", NodeAction::RestartActor { actor: actor.clone() }),
        ("Sy", NodeAction::SuspendActor { actor: actor.clone() }),
        ("o", NodeAction::ResumeActor { actor: actor.clone() }),
        ("Xqueues/queue-mail/producer\n", NodeAction::StopActor { actor: actor.clone() }),
    ] {
        let wanted = keys(&mut model, typed);
        assert_eq!(changes(&wanted), [&Change::Order("node-1".to_owned(), action)]);
    }
}

#[test]
fn commands_are_completed_and_wrong_ones_are_told_what_is_near() {
    let mut model = sample::model((100, 30));
    press(&mut model, ":que\tx");
    let Some(Overlay::Command(input)) = &model.overlay else { panic!("a command") };
    assert_eq!(input.text(), "queuesx");
    press(&mut model, "\n");
    assert!(model.message.as_ref().unwrap().text.contains("did you mean queues?"));
    look_at(&mut model, "dlq");
    assert_eq!(model.view(), View::Dead);
    look_at(&mut model, "jobs state:discarded");
    assert_eq!((model.view(), model.jobs.table.shown()), (View::Jobs, 3));
    press(&mut model, "-");
    assert_eq!(model.view(), View::Dead);
    press(&mut model, "[");
    assert_eq!(model.view(), View::Jobs);
}

#[test]
fn a_queue_is_drained_when_nothing_of_it_runs() {
    let mut model = sample::model((100, 30));
    press(&mut model, "3/mail\n");
    let wanted = keys(&mut model, "Dy");
    let drain = Change::DrainQueue("mail".to_owned());
    assert_eq!(changes(&wanted), [&drain]);
    let done = Answer::Changed("mail is paused".to_owned());
    update(&mut model, Event::Answered(Box::new(Request::Change(drain)), Box::new(Ok(done))));
    let Some(Answer::Queues(mut queues)) = sample::answer(&Request::Queues) else { panic!("queues") };
    let condition = |model: &Model| model.queues.current().unwrap().condition().0;
    update(
        &mut model,
        Event::Answered(Box::new(Request::Queues), Box::new(Ok(Answer::Queues(queues.clone())))),
    );
    assert_eq!(condition(&model), "draining (2 run)");
    queues[1].executing = 0;
    update(&mut model, Event::Answered(Box::new(Request::Queues), Box::new(Ok(Answer::Queues(queues)))));
    assert_eq!(condition(&model), "drained");
}

#[test]
fn without_a_display_an_address_is_said_not_opened() {
    let mut model = sample::model((100, 30));
    for (has_display, opens) in [(false, false), (true, true)] {
        model.setup.has_display = has_display;
        assert_eq!(keys(&mut model, "U"), [Effect::Ask(Request::Interfaces)]);
        let interfaces = vec![("pages".to_owned(), "http://127.0.0.1:8080/ui/".to_owned())];
        let answer = Answer::Interfaces(interfaces);
        update(&mut model, Event::Answered(Box::new(Request::Interfaces), Box::new(Ok(answer))));
        let wanted = keys(&mut model, "\n");
        assert_eq!(wanted.iter().any(|effect| matches!(effect, Effect::Open(_))), opens);
        assert!(opens || model.message.as_ref().unwrap().text.contains("http://127.0.0.1:8080/ui/"));
    }
}

/// The server answers a request that was asked.
fn answer(model: &mut Model, request: &Request, answer: Answer) -> Vec<Effect> {
    update(model, Event::Answered(Box::new(request.clone()), Box::new(Ok(answer))))
}

fn feed(model: &mut Model, changes: serde_json::Value) -> Vec<Effect> {
    let item = callboard_client::FeedItem::Jobs(read::<JobChanges>(changes));
    update(model, Event::News(News::Feed(Box::new(item))))
}

fn later(model: &mut Model, seconds: u64) -> Vec<Effect> {
    let at = model.now.saturating_add(Duration::from_secs(seconds));
    update(model, Event::Tick(at))
}

/// The preview of a bulk operation that concerns so many jobs.
fn preview(matched: u64) -> Answer {
    let sample = [sample::job(0, "available")];
    Answer::Preview(read(
        json!({ "action": "cancel", "filter": {}, "matched": matched, "at_least": false, "sample": sample }),
    ))
}

#[test]
fn a_late_answer_opens_nothing_over_what_is_done_meanwhile() {
    let mut model = sample::model((100, 30));
    look_at(&mut model, "queues");
    let wanted = keys(&mut model, "X");
    let [request @ Request::Preview(_)] = asked(&wanted)[..] else { panic!("{wanted:?}") };
    keys(&mut model, "Py");
    model.overlay = None;
    answer(&mut model, request, preview(3));
    assert!(model.overlay.is_none(), "a yes to something else must be none to this");
    assert!(model.message.as_ref().unwrap().text.contains("ask again"));
    let interfaces = Answer::Interfaces(vec![("pages".to_owned(), "http://127.0.0.1:8080/ui/".to_owned())]);
    keys(&mut model, "U:que");
    answer(&mut model, &Request::Interfaces, interfaces.clone());
    assert!(matches!(model.overlay, Some(Overlay::Command(_))), "what is typed stays");
    // Nobody does anything else: that is waited for.
    keys(&mut model, "\u{1b}U");
    answer(&mut model, &Request::Interfaces, interfaces);
    assert!(matches!(model.overlay, Some(Overlay::Menu { .. })));
}

#[test]
fn a_purge_asks_for_the_name_wherever_somebody_is() {
    let mut model = sample::model((100, 30));
    look_at(&mut model, "queues");
    let wanted = keys(&mut model, "X");
    let [request @ Request::Preview(_)] = asked(&wanted)[..] else { panic!("{wanted:?}") };
    model.history.go(crate::view::Place::of(View::Nodes));
    answer(&mut model, request, preview(3));
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("a question") };
    assert_eq!(confirm.word, model.queues.current().map(Row::key));
    // The same operation by a filter is no purge.
    model.overlay = None;
    look_at(&mut model, "jobs queue:mail");
    keys(&mut model, "Bj");
    let wanted = keys(&mut model, "\n");
    let [request @ Request::Preview(_)] = asked(&wanted)[..] else { panic!("{wanted:?}") };
    model.history.go(crate::view::Place::of(View::Queues));
    answer(&mut model, request, preview(3));
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("a question") };
    assert_eq!(confirm.word, None);
}

/// A list of this many jobs that wait, none of which is on the screen but the first ones; the feed is there.
fn many_jobs(count: u128) -> Model {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let jobs = (0..count).map(|number| {
        let mut job = sample::job(1, "available");
        job["id"] = json!(uuid::Uuid::from_u128(u128::MAX - number));
        job["created_at"] = json!("2026-11-22T10:00:00Z");
        read(job)
    });
    let list = JobList { jobs: jobs.collect(), next_cursor: None };
    let request = Request::Jobs(model.jobs.generation, model.jobs.query.clone());
    answer(&mut model, &request, Answer::Jobs(list));
    feed(&mut model, json!({ "full": false, "changed": [], "more": 0 }));
    model.asked.clear();
    model.open.clear();
    model
}

fn completed(ids: &[uuid::Uuid]) -> Answer {
    let job = |id: &uuid::Uuid| {
        let mut job = sample::job(1, "completed");
        job["id"] = json!(id);
        read(job)
    };
    Answer::Lookup(ids.iter().map(job).collect())
}

/// Answers all that is asked until nothing is asked any more; which jobs were looked up.
fn settle_lookups(model: &mut Model, first: Vec<Effect>) -> usize {
    let mut looked_up = 0;
    let mut wanted = first;
    for _ in 0..10 {
        for request in asked(&wanted).into_iter().cloned().collect::<Vec<_>>() {
            match &request {
                Request::Lookup(ids) => {
                    assert!(ids.len() <= 1000, "the server takes no more");
                    looked_up += ids.len();
                    answer(model, &request, completed(ids));
                }
                Request::Newest(..) => {
                    answer(model, &request, Answer::Jobs(JobList::default()));
                }
                request => {
                    if let Some(of_sample) = sample::answer(request) {
                        answer(model, request, of_sample);
                    }
                }
            }
        }
        wanted = later(model, 1);
        feed(model, json!({ "full": false, "changed": [], "more": 0 }));
    }
    looked_up
}

#[test]
fn what_the_feed_passes_over_is_looked_up_beyond_the_screen() {
    for changes in [
        json!({ "full": false, "changed": [], "more": 7 }),
        json!({ "full": true, "changed": [], "more": 0 }),
    ] {
        let mut model = many_jobs(2500);
        let wanted = feed(&mut model, changes);
        let looked_up = settle_lookups(&mut model, wanted);
        let open = model.jobs.table.rows().filter(|row| !row.summary.state.is_final()).count();
        assert_eq!(open, 0, "{looked_up} were looked up");
        assert!(model.missed.is_empty() && model.jobs.recheck.is_empty());
    }
}

#[test]
fn new_jobs_that_the_feed_passes_over_leave_no_gap() {
    let mut model = many_jobs(3);
    let new = |number: u128| {
        let mut job = sample::job(1, "available");
        job["id"] = json!(uuid::Uuid::from_u128(number));
        job["created_at"] = json!("2026-11-22T11:59:59Z");
        job
    };
    // One of many new ones is told; those between it and the known ones are not.
    let wanted = feed(&mut model, json!({ "full": false, "changed": [new(1)], "more": 500 }));
    let newest = |wanted: &[Effect]| {
        asked(wanted).into_iter().find(|request| matches!(request, Request::Newest(..))).cloned()
    };
    let page = |numbers: std::ops::RangeInclusive<u128>, next: Option<&str>| {
        let jobs = numbers.map(|number| read(new(number))).collect();
        Answer::Jobs(JobList { jobs, next_cursor: next.map(str::to_owned) })
    };
    let before = model.jobs.table.len();
    let wanted = answer(&mut model, &newest(&wanted).expect("the newest"), page(1..=100, Some("more")));
    assert!(model.missed.contains("newest"));
    answer(&mut model, &newest(&wanted).expect("those before"), page(101..=500, None));
    assert_eq!(model.jobs.table.len(), before + 499);
    assert!(!model.missed.contains("newest") && model.jobs.behind.is_none());
}

#[test]
fn what_was_said_while_the_screen_was_held_is_asked_for() {
    let mut model = many_jobs(50);
    keys(&mut model, "f");
    feed(&mut model, json!({ "full": false, "changed": [], "more": 0 }));
    let events = vec![sample::event(7, "job.created")];
    let before = model.events.len();
    update(&mut model, Event::News(News::Events(events)));
    assert_eq!(model.events.len(), before);
    let wanted = keys(&mut model, "f");
    for topic in ["overview", "queues", "nodes", "edges", "newest", "lookup"] {
        let topics: Vec<_> = asked(&wanted).into_iter().filter_map(super::ask::topic_of).collect();
        assert!(topics.contains(&topic), "{topic}: {topics:?}");
    }
    // The feed speaks again: what was not answered is missed still.
    fail(&mut model, Request::Queues, "503", false);
    feed(&mut model, json!({ "full": false, "changed": [], "more": 0 }));
    let wanted = later(&mut model, 1);
    assert!(asked(&wanted).contains(&&Request::Queues), "{wanted:?}");
    assert_eq!(model.events.len(), before + 1, "held, not lost");
}

#[test]
fn a_list_that_went_down_with_its_server_is_loaded_when_that_is_back() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let wanted = keys(&mut model, "R");
    let request =
        asked(&wanted).into_iter().find(|request| matches!(request, Request::Jobs(..))).unwrap().clone();
    fail(&mut model, request, "the connection was lost", true);
    assert!(matches!(model.link, Link::Lost { .. }) && !model.jobs.loaded);
    let ready = read(json!({ "status": "ready", "version": "0.5.0", "reasons": [] }));
    let wanted = answer(&mut model, &Request::Ready, Answer::Ready(ready));
    assert!(asked(&wanted).iter().any(|request| matches!(request, Request::Jobs(..))), "{wanted:?}");
}

#[test]
fn asking_again_and_again_asks_once() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let mut sent = Vec::new();
    for _ in 0..4000 {
        sent.extend(keys(&mut model, "R"));
    }
    let all = asked(&sent);
    let pages = all.iter().filter(|request| matches!(request, Request::Jobs(..))).count();
    assert!(pages == 1 && all.len() < 20, "{} requests, {pages} of them for pages", all.len());
    let sent: Vec<Effect> = (0..4000).flat_map(|_| keys(&mut model, "U")).collect();
    assert_eq!(asked(&sent), [&Request::Interfaces]);
    // Changes, too.
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    let sent: Vec<Effect> = (0..4000).flat_map(|_| keys(&mut model, "r")).collect();
    assert_eq!(changes(&sent).len(), 1);
}

#[test]
fn a_page_that_is_refused_is_not_asked_for_at_once() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2");
    model.jobs.next = Some("more".to_owned());
    let wanted = keys(&mut model, "G");
    let page = |wanted: &[Effect]| {
        asked(wanted).into_iter().find(|request| matches!(request, Request::Jobs(..))).cloned()
    };
    let mut pauses = Vec::new();
    let mut request = page(&wanted).expect("a page");
    for _ in 0..3 {
        let failure = Failure { text: "not now".to_owned(), is_lost: false, status: Some(500) };
        let wanted = update(&mut model, Event::Answered(Box::new(request), Box::new(Err(failure))));
        assert_eq!(page(&wanted), None, "not at once");
        let mut pause = 0;
        request = loop {
            pause += 1;
            if let Some(request) = page(&later(&mut model, 1)) {
                break request;
            }
        };
        pauses.push(pause);
    }
    assert_eq!(pauses, [1, 2, 4]);
}

#[test]
fn a_change_beside_a_batch_is_not_counted_as_one_of_it() {
    let mut model = sample::model((100, 30));
    look_at(&mut model, "queues");
    let wanted = keys(&mut model, "o");
    let [alone] = changes(&wanted)[..] else { panic!("{wanted:?}") };
    press(&mut model, "2/state:discarded\nA");
    keys(&mut model, "ry");
    assert_eq!(model.batch.running, 3);
    fail(&mut model, Request::Change(alone.clone()), "no", false);
    assert_eq!((model.batch.running, model.batch.failed), (3, 0));
}

#[test]
fn marks_that_the_filter_hides_are_told_of_and_stay() {
    let mut model = sample::model((100, 30));
    press(&mut model, "2 /resize\nA");
    let hidden = model.jobs.table.marked_hidden();
    assert_eq!(hidden, 1);
    keys(&mut model, "r");
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("a question") };
    assert!(confirm.details.iter().any(|line| line.contains("1 of them do")), "{:?}", confirm.details);
    press(&mut model, "\u{1b}A");
    assert_eq!(model.jobs.table.marked(), 1, "that of the job that is not shown");
}

#[test]
fn all_commands_are_asked_about() {
    let mut model = sample::model((100, 30));
    let ids: Vec<uuid::Uuid> = (1..=3).map(uuid::Uuid::from_u128).collect();
    for id in &ids {
        let state = callboard_contracts::api::CommandState::Waiting;
        model.commands.insert(*id, ("tell node-1: pause".to_owned(), state));
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        for effect in later(&mut model, 1) {
            let Effect::Ask(Request::Command(id)) = effect else { continue };
            seen.push(id);
            fail(&mut model, Request::Command(id), "the connection was lost", true);
            model.link = Link::Live;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);
}

#[test]
fn what_is_scrolled_to_its_end_comes_back_with_the_next_key() {
    let mut model = sample::model((100, 12));
    look_at(&mut model, &format!("job {}", sample::JOB));
    press(&mut model, "G");
    let end = model.job.scroll;
    press(&mut model, "jjk");
    assert!(end > 0 && model.job.scroll == end - 1, "{end}, then {}", model.job.scroll);
    press(&mut model, "?GG");
    let scroll = |model: &Model| match model.overlay {
        Some(Overlay::Help(scroll)) => scroll,
        _ => panic!("help"),
    };
    let end = scroll(&model);
    press(&mut model, "k");
    assert!(scroll(&model) == end - 1 && end < 1000);
}

#[test]
fn a_click_below_the_table_selects_nothing() {
    let mut model = many_jobs(50);
    let below = model.table_height() + 4;
    let click = |row: usize| Event::Mouse(Pointer::Click(5, u16::try_from(row).unwrap()));
    update(&mut model, click(below));
    assert_eq!(model.jobs.table.selected(), 0);
    update(&mut model, click(below - 1));
    assert_eq!(model.jobs.table.selected(), below - 5);
}
