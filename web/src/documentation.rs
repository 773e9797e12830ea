//! `docs/http-api.md` has every kind of problem and every route, and `docs/security.md` who may ask what, from the tables that the
//! server is made of.

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

/// The routes of each role, from the lowest.
fn roles() -> String {
    let mut text = "\n| needs | routes |\n|---|---|\n".to_owned();
    for needs in [None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)] {
        let of_role = routes().into_iter().filter(|route| route.needs == needs);
        let names: Vec<String> = of_role.map(|route| format!("`{} {}`", route.method, route.path)).collect();
        let needs = needs.map_or("nothing", Role::as_str);
        text.push_str(&format!("| {needs} | {} |\n", names.join(", ")));
    }
    text + "\n"
}

/// With `UPDATE_DOCS=1` in the environment this writes the tables into the page.
fn page_has(page: &str, tables: &str) {
    const BEGIN: &str = "<!-- reference: begin (from the program's own tables) -->\n";
    const END: &str = "<!-- reference: end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, tables, "run this test with UPDATE_DOCS=1");
    }
}

#[test]
fn the_page_has_every_route_and_every_problem() {
    page_has("http-api.md", &reference());
}

#[test]
fn the_page_on_security_has_the_role_of_every_route() {
    page_has("security.md", &roles());
}
