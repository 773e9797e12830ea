//! `docs/console.md` has the keys of the table by which they are dispatched, and screens as they are drawn.

use std::path::Path;

use ratatui::{Terminal, backend::TestBackend};

use crate::{
    draw::draw,
    keys::{BINDINGS, Binding},
    model::Model,
    sample::{self, look_at},
    theme::Theme,
    view::View,
};

fn keys() -> String {
    let line = |binding: &Binding| {
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        let views: Vec<&str> = binding.views.iter().map(|view| view.name()).collect();
        let lists = views.len() > 6;
        let views = match views.as_slice() {
            [] => "everywhere".to_owned(),
            _ if lists => "lists".to_owned(),
            views => views.join(", "),
        };
        let mark = if binding.changes { " \\*" } else { "" };
        format!("| {} | {views} | {}{mark} | `{}` |", keys.join(" "), binding.help, binding.name)
    };
    let lines: Vec<String> = BINDINGS.iter().map(line).collect();
    format!("| keys | where | what | name |\n|---|---|---|---|\n{}", lines.join("\n"))
}

fn screen(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| draw(model, &Theme::default(), frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(buffer.area.width)).map(|cells| {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    });
    format!("```text\n{}\n```", lines.collect::<Vec<_>>().join("\n").trim_end())
}

fn part(name: &str) -> String {
    let mut model = sample::model((90, 24));
    match name {
        "keys" => return keys(),
        "overview" => {}
        view => {
            let view = View::MAIN.into_iter().find(|known| known.name() == view).expect("a view");
            look_at(&mut model, view.name());
        }
    }
    screen(&model)
}

/// With `UPDATE_DOCS=1` in the environment this writes them into the page.
#[test]
fn the_page_is_what_the_program_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md");
    let mut page = std::fs::read_to_string(&path).unwrap();
    for name in ["keys", "overview", "tree"] {
        let begin = format!("<!-- {name}: begin -->\n");
        let (before, rest) = page.split_once(&begin).expect("its beginning");
        let (found, after) = rest.split_once(&format!("\n<!-- {name}: end -->")).expect("its end");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            page = format!("{before}{begin}{}\n<!-- {name}: end -->{after}", part(name));
            std::fs::write(&path, &page).unwrap();
        } else {
            assert_eq!(found, part(name), "run this test with UPDATE_DOCS=1");
        }
    }
}
