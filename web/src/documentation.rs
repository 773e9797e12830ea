//! `docs/http-api.md` has every kind of problem and every route, from the tables that the server is made of.

use std::path::Path;

use crate::{problem::Kind, routes::routes, settings::Role};

fn reference() -> String {
    let mut text = "\n| type | status | title |\n|---|---|---|\n".to_owned();
    for kind in Kind::ALL {
        let row = format!("| `{}` | {} | {} |\n", kind.uri(), kind.status(false), kind.title());
        text.push_str(&row);
    }
    text.push_str("\n## Every route\n\n| | path | needs | what it does |\n|---|---|---|---|\n");
    for route in routes() {
        let needs = route.needs.map_or("nothing", Role::as_str);
        let row = format!("| {} | `{}` | {needs} | {} |\n", route.method, route.path, route.summary);
        text.push_str(&row);
    }
    text + "\n"
}

/// With `UPDATE_DOCS=1` in the environment this writes the reference into the page.
#[test]
fn the_page_has_every_route_and_every_problem() {
    const BEGIN: &str = "<!-- reference: begin (from the program's own tables) -->\n";
    const END: &str = "<!-- reference: end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
    } else {
        assert_eq!(found, reference(), "run this test with UPDATE_DOCS=1");
    }
}
