use callboard_contracts::api::{JobLogLine, JobLogPosition, LogLevel};
use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::*;
use crate::{
    exchange::{Event, Failure, News, Request},
    keys::Chord,
    model::Setup,
    sample::{self, JOB, WORKFLOW, look_at, press, uuid},
    update::update,
    view::Place,
};

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 50)];

fn screen(model: &Model, theme: &Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| draw(model, theme, frame)).unwrap();
    terminal
}

/// What is on the screen, line by line.
fn text(model: &Model) -> String {
    let terminal = screen(model, &Theme::default());
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|cells| {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Compares a screen with the one that is kept, in both sizes.
fn see(name: &str, prepare: impl Fn(&mut Model)) {
    for size in SIZES {
        let mut model = sample::model(size);
        prepare(&mut model);
        insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), text(&model));
    }
}

#[test]
fn every_view_looks_as_it_should() {
    for view in View::MAIN {
        see(view.name(), |model| look_at(model, view.name()));
    }
    see("job", |model| look_at(model, &format!("job {JOB}")));
    see("workflow", |model| {
        look_at(model, "workflows");
        press(model, "\n");
        assert_eq!(model.history.here(), &Place::about(View::Workflow, uuid(WORKFLOW)));
    });
    see("logs", |model| {
        look_at(model, &format!("job {JOB}"));
        press(model, "lt");
        let line = |number: u64, level, text: &str| JobLogLine {
            position: JobLogPosition { token: 1, number },
            attempt: 1,
            at: sample::NOW.parse().unwrap(),
            level,
            text: text.to_owned(),
            dropped_before: 0,
        };
        let lines = vec![
            line(1, LogLevel::Info, "connected"),
            line(2, LogLevel::Stderr, "550 no such user\u{1b}[2J"),
        ];
        update(model, Event::News(News::Lines(uuid(JOB), lines)));
    });
}

#[test]
fn what_lies_over_a_view_looks_as_it_should() {
    see("help", |model| press(model, "2?"));
    see("confirm", |model| press(model, "2 jj  C"));
    see("confirm-typed", |model| {
        look_at(model, "cron");
        press(model, "Xnigh");
    });
    see("form-types", |model| press(model, "N"));
    see("form", |model| press(model, "N\nada"));
    see("form-wrong", |model| {
        press(model, "N\n");
        update(model, Event::Key(Chord::Ctrl('s')));
    });
    see("edit", |model| {
        look_at(model, &format!("job {JOB}"));
        press(model, "E");
    });
    see("prompt", |model| press(model, "3Kx\n"));
    see("command", |model| press(model, ":dra"));
    see("filter", |model| press(model, "2/queue:mail attempt>1"));
    see("filter-wrong", |model| press(model, "2/(mail\n"));
    see("describe-actor", |model| {
        look_at(model, "tree");
        press(model, "/producer\nd");
    });
    see("json", |model| press(model, "3y"));
    see("messages", |model| press(model, "2B\n!"));
}

#[test]
fn a_lost_server_is_seen_as_lost() {
    let lose = |model: &mut Model| {
        let failure = Failure { text: "the connection was lost".to_owned(), is_lost: true, status: None };
        update(model, Event::Answered(Box::new(Request::Overview), Box::new(Err(failure))));
        let later = model.now.saturating_add(std::time::Duration::from_secs(12));
        update(model, Event::Tick(later));
    };
    see("stale", lose);
    let tried = vec![("http://127.0.0.1:8080".to_owned(), "no server answers".to_owned())];
    see("no-server", |model| {
        update(model, Event::NoServer(tried.clone()));
    });
}

#[test]
fn without_colours_nothing_has_a_colour_and_ascii_is_ascii() {
    for view in View::MAIN {
        let mut model = sample::model((100, 30));
        model.setup = Setup { ascii: true, ..Setup::default() };
        look_at(&mut model, view.name());
        let terminal = screen(&model, &Theme::default().without_colours());
        for cell in &terminal.backend().buffer().content {
            assert!(cell.symbol().is_ascii(), "{:?} in {view:?}", cell.symbol());
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        }
    }
}

#[test]
fn no_screen_is_too_small_or_too_large() {
    let keys = ["", "?", "N", "N\n", ":", "C", "d", "y", "/x"];
    for size in [(1, 1), (20, 5), (40, 10), (41, 11), (79, 23), (300, 100)] {
        for view in View::MAIN {
            for keys in keys {
                let mut model = sample::model(size);
                look_at(&mut model, view.name());
                press(&mut model, keys);
                screen(&model, &Theme::default());
            }
        }
    }
}

#[test]
fn what_is_clicked_is_what_is_seen() {
    let mut model = sample::model((80, 24));
    look_at(&mut model, "queues");
    let click = |model: &mut Model, column, row| {
        update(model, Event::Mouse(crate::exchange::Pointer::Click(column, row)));
    };
    click(&mut model, 2, 3);
    assert_eq!(model.queues.sort(), Some((0, false)), "a heading sorts");
    click(&mut model, 2, 6);
    assert_eq!(model.queues.selected(), 2, "a row is selected");
    let tabs = text(&model).lines().nth(1).unwrap().to_owned();
    let at = tabs.find("5tree").unwrap() as u16;
    click(&mut model, at, 1);
    assert_eq!(model.view(), View::Tree, "a tab is gone to");
}
