//! `default.toml`, the structs and `docs/configuration.md` say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callboard_config::{DEFAULT_TOML, Settings};

/// A section of `default.toml` with its keys.
struct Section {
    name: String,
    comment: String,
    keys: Vec<Documented>,
}

/// A key of `default.toml`: its default as TOML, and the comment above it.
struct Documented {
    name: String,
    default: String,
    comment: String,
}

/// Reads `default.toml` by lines: comments, headers and keys, each key on one line.
fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment = String::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(text) = line.strip_prefix('#') {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(text.trim());
        } else if let Some(header) = line.strip_prefix('[') {
            let name = header.strip_suffix(']').expect(line).to_owned();
            sections.push(Section { name, comment: std::mem::take(&mut comment), keys: Vec::new() });
        } else if let Some((name, default)) = line.split_once(" = ") {
            let key = Documented {
                name: name.to_owned(),
                default: default.to_owned(),
                comment: std::mem::take(&mut comment),
            };
            sections.last_mut().expect(line).keys.push(key);
        } else {
            assert_eq!(line, "", "a line of default.toml");
            comment.clear();
        }
    }
    sections
}

/// The structs of `settings.rs`: fields with their type and documentation, by the name of the struct.
fn structs() -> BTreeMap<String, Vec<(String, String, String)>> {
    let mut structs: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut current = None;
    let mut comment = String::new();
    for line in include_str!("../../src/settings.rs").lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(text.trim());
            continue;
        }
        if let Some(name) = line.strip_prefix("pub struct ") {
            current = Some(name.trim_end_matches(" {").to_owned());
        } else if line == "}" {
            current = None;
        } else if let (Some(name), Some(field)) = (&current, line.strip_prefix("pub ")) {
            let (field, of) = field.trim_end_matches(',').split_once(": ").expect(line);
            let fields = structs.entry(name.clone()).or_default();
            fields.push((field.to_owned(), of.to_owned(), std::mem::take(&mut comment)));
        }
        comment.clear();
    }
    structs
}

#[test]
fn every_default_is_documented_above_it() {
    for section in sections() {
        assert!(!section.comment.is_empty(), "[{}] has no comment", section.name);
        for key in &section.keys {
            assert!(key.comment.ends_with('.'), "{}.{} has no comment", section.name, key.name);
        }
    }
}

#[test]
fn fields_and_keys_are_the_same_and_say_the_same_default() {
    let structs = structs();
    let sections: BTreeMap<String, Section> =
        sections().into_iter().map(|section| (section.name.clone(), section)).collect();
    let mut seen = BTreeSet::from(["queues.default".to_owned()]);
    for (section, of, _) in structs["Settings"].iter().filter(|(name, ..)| name != "queues") {
        let keys = &sections[section].keys;
        let fields = &structs[of];
        assert_eq!(
            fields.iter().map(|(field, ..)| field).collect::<Vec<_>>(),
            keys.iter().map(|key| &key.name).collect::<Vec<_>>(),
            "{of} and [{section}]"
        );
        for ((field, _, comment), key) in fields.iter().zip(keys) {
            let default = match key.default.trim_matches('"') {
                "" => "Default: none.".to_owned(),
                default => format!("Default: `{default}`."),
            };
            assert!(comment.ends_with(&default), "{of}.{field} does not say: {default}");
        }
        seen.insert(section.clone());
    }
    assert_eq!(seen, sections.keys().cloned().collect::<BTreeSet<_>>());
}

#[test]
fn every_key_has_an_effective_value() {
    let loaded = callboard_config::Loader::new().load().unwrap();
    let effective: Vec<(&str, &str)> = loaded.sources().map(|value| (value.key, value.value)).collect();
    for section in sections() {
        for key in section.keys {
            let name = format!("{}.{}", section.name, key.name);
            assert!(effective.contains(&(&name, &key.default)), "{name} = {}", key.default);
        }
    }
    assert!(Settings::default().queues.contains_key("default"));
}

/// The part of the page that is made from `default.toml`.
fn reference() -> String {
    let mut text = String::new();
    for section in sections() {
        text.push_str(&format!("\n### `[{}]`\n\n{}\n\n", section.name, section.comment));
        if section.keys.is_empty() {
            continue;
        }
        text.push_str("| key | default | a change takes effect | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let comment = key.comment.replace('|', "\\|");
            let live = callboard_config::is_live(&format!("{}.{}", section.name, key.name));
            let when = if live { "at once" } else { "at a restart" };
            text.push_str(&format!("| `{}` | `{}` | {when} | {comment} |\n", key.name, key.default));
        }
    }
    text
}

/// With `UPDATE_DOCS=1` in the environment this writes the reference into the page.
#[test]
fn the_page_has_every_key() {
    const BEGIN: &str = "<!-- reference: begin (from config/default.toml) -->\n";
    const END: &str = "\n<!-- reference: end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
    } else {
        assert_eq!(found, reference(), "run this test with UPDATE_DOCS=1");
    }
}
