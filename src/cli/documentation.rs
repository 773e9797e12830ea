//! `docs/command-line.md` has the help of every command, as the program prints it.

use std::path::Path;

use clap::{Command, CommandFactory};

use super::Cli;

/// Every command with its help, in the order of the help itself.
fn reference() -> String {
    let mut text = String::new();
    let mut root = Cli::command().term_width(100).color(clap::ColorChoice::Never);
    root.build();
    add(&mut root, "callboard", &mut text);
    text
}

fn add(command: &mut Command, name: &str, text: &mut String) {
    let help: Vec<String> = command
        .clone()
        .render_long_help()
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    text.push_str(&format!("\n### `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for child in
        command.get_subcommands_mut().filter(|child| child.get_name() != "help" && !child.is_hide_set())
    {
        let name = format!("{name} {}", child.get_name());
        add(child, &name, text);
    }
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

/// With `UPDATE_DOCS=1` in the environment this writes the reference into the page.
#[test]
fn the_page_has_the_help_of_every_command() {
    const BEGIN: &str = "<!-- reference: begin (from the program's own help) -->\n";
    const END: &str = "\n<!-- reference: end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command-line.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
    } else {
        assert_eq!(found, reference(), "run this test with UPDATE_DOCS=1");
    }
}
