//! The interface as a plain page, made of the OpenAPI document alone; and what stands in the place of the other pages.

use std::fmt::Write;

use serde_json::{Map, Value};

/// How the pages are had.
const HOW: &str = "<code>scripts/pages</code> does it (Node 20 and npm are needed, by that script alone). A program that is built after \
     that has the pages in it; a program without them takes them from the folder that <code>web.pages_dir</code> names.";

/// What stands in the place of the pages where there are none.
pub(super) fn not_built() -> String {
    format!(
        "{HEAD}<title>Callboard: the pages are not here</title>\n<h1>This server has no pages</h1>\n\
         <p>It runs without them. The pages show its jobs, queues and actors in a browser once they are built: {HOW}</p>\n\
         <p>The same is to be seen without them: by <code>callboard jobs list</code> and the other commands that \
         <code>callboard --help</code> lists, and over HTTP, as <a href=\"/docs\">/docs</a> says.</p>\n</html>\n"
    )
}

/// How each page begins.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
     <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
     <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n";

/// The page. It has no script and no style, and loads nothing.
pub(super) fn page(document: &Value) -> String {
    let mut html = String::with_capacity(64 * 1024);
    // Writing to a `String` does not fail.
    let _ = write(document, &mut html);
    html
}

fn write(document: &Value, html: &mut String) -> std::fmt::Result {
    let info = &document["info"];
    let (title, version) = (text(&info["title"]), text(&info["version"]));
    write!(
        html,
        "{HEAD}<title>{title}: the HTTP interface</title>\n\
         <h1>{title} {version}: the HTTP interface</h1>\n\
         <p>{}</p>\n\
         <p>This is the plain form of <a href=\"/openapi.json\">/openapi.json</a>. A viewer in which requests can be tried \
         takes its place once it is built: {HOW}</p>\n",
        text(&info["description"])
    )?;
    let operations = operations(document);
    for tag in document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str()) {
        writeln!(html, "<h2>{}</h2>", escape(tag))?;
        for operation in operations.iter().filter(|operation| operation.tag == tag) {
            describe(operation, html)?;
        }
    }
    writeln!(html, "<h2>Schemas</h2>")?;
    for (name, schema) in object(&document["components"]["schemas"]) {
        let name = escape(name);
        writeln!(
            html,
            "<details id=\"schema-{name}\"><summary>{name}</summary><pre>{}</pre></details>",
            pretty(schema)
        )?;
    }
    html.push_str("</html>\n");
    Ok(())
}

/// An operation with its place.
struct Operation<'a> {
    method: String,
    path: &'a str,
    tag: &'a str,
    about: &'a Value,
}

fn operations<'a>(document: &'a Value) -> Vec<Operation<'a>> {
    let of_path = |(path, methods): (&'a String, &'a Value)| {
        object(methods).map(move |(method, about)| Operation {
            method: method.to_uppercase(),
            path,
            tag: about["tags"][0].as_str().unwrap_or_default(),
            about,
        })
    };
    object(&document["paths"]).flat_map(of_path).collect()
}

fn describe(operation: &Operation<'_>, html: &mut String) -> std::fmt::Result {
    let Operation { method, path, about, .. } = operation;
    let id = text(&about["operationId"]);
    writeln!(html, "<h3 id=\"{id}\"><code>{} {}</code></h3>", escape(method), escape(path))?;
    writeln!(html, "<p><strong>{}</strong> {}</p>", prose(&about["summary"]), prose(&about["description"]))?;
    let parameters = about["parameters"].as_array().into_iter().flatten();
    list(
        html,
        "Parameters",
        parameters.map(|parameter| {
            let needed = if parameter["required"] == true { ", needed" } else { "" };
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            format!(
                "<code>{name}</code> ({place}{needed}): {} {}",
                prose(&parameter["description"]),
                kind(&parameter["schema"])
            )
        }),
    )?;
    for (media, body) in object(&about["requestBody"]["content"]) {
        let example = match &body["example"] {
            Value::String(lines) => escape(lines),
            example => pretty(example),
        };
        writeln!(
            html,
            "<p>Body <code>{}</code>: {}</p>\n<pre>{example}</pre>",
            escape(media),
            kind(&body["schema"])
        )?;
    }
    list(
        html,
        "Answers",
        object(&about["responses"]).map(|(status, answer)| {
            let kinds = object(&answer["content"])
                .map(|(media, body)| format!("(<code>{}</code> {})", escape(media), kind(&body["schema"])));
            let kinds: Vec<String> = kinds.collect();
            format!("<code>{}</code>: {} {}", escape(status), prose(&answer["description"]), kinds.join(" "))
        }),
    )
}

fn list(html: &mut String, name: &str, items: impl Iterator<Item = String>) -> std::fmt::Result {
    let items: Vec<String> = items.map(|item| format!("<li>{}</li>\n", item.trim())).collect();
    if items.is_empty() { Ok(()) } else { writeln!(html, "<p>{name}</p>\n<ul>\n{}</ul>", items.concat()) }
}

/// What a schema is, in short: a link to the one it names, or its type.
fn kind(schema: &Value) -> String {
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#schema-{0}\">{0}</a>", escape(name)),
        None => text(&schema["type"]),
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// A text in which what stands between backticks is code.
fn prose(value: &Value) -> String {
    let parts = value.as_str().unwrap_or_default().split('`').enumerate();
    parts
        .map(|(index, part)| match index % 2 {
            0 => escape(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect()
}

fn pretty(value: &Value) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// The text as HTML shows it, also within quotes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use callboard_actors::jobs::{JobDefaults, JobRegistry, Sleep};
    use serde_json::json;

    use super::*;
    use crate::{openapi, routes::routes};

    #[test]
    fn every_operation_and_schema_of_the_document_is_on_the_page() {
        let registry = JobRegistry::builder().register::<Sleep>().build().unwrap();
        let document = openapi::build("1.2.3", &routes(), &registry.views(&JobDefaults::default()));
        let page = page(&document);
        for route in routes() {
            let heading =
                format!("<h3 id=\"{}\"><code>{} {}</code></h3>", route.id, route.method, route.path);
            assert!(page.contains(&heading), "{heading}");
            assert!(page.contains(&prose(&route.summary.into())), "{}", route.id);
        }
        for name in ["Payload.sleep", "SubmitJob", "Problem"] {
            assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        assert!(page.contains("1.2.3") && page.contains("scripts/pages") && page.contains("86400000"));
        let opened = page.matches("<h2").count() + page.matches("<ul").count() + page.matches("<pre").count();
        let closed =
            page.matches("</h2").count() + page.matches("</ul").count() + page.matches("</pre").count();
        assert_eq!(opened, closed);
    }

    #[test]
    fn nothing_in_a_document_is_taken_for_markup() {
        let bad = "<script>'\"&";
        let document = json!({
            "info": {"title": bad}, "tags": [{"name": bad}],
            "paths": {bad: {"get": {"tags": [bad], "operationId": bad, "summary": bad, "description": bad,
                "parameters": [{"name": bad, "in": bad, "description": bad, "schema": {"$ref": bad}}],
                "requestBody": {"content": {bad: {"example": bad, "schema": {"type": bad}}}},
                "responses": {bad: {"description": bad, "content": {bad: {}}}}}}},
            "components": {"schemas": {bad: bad}},
        });
        let page = page(&document);
        assert!(
            !page.contains("<script")
                && !page.contains("'\"")
                && page.contains("&lt;script&gt;&#39;&quot;&amp;")
        );
    }
}
