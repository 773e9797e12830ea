//! Web interfaces that belong to the system.

use crate::document::Node;
use crate::plain_url::InterfaceUrl;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `web.interfaces`: a web interface that the console and the pages offer to open.
#[derive(Clone, Debug)]
pub struct InterfaceSettings {
    /// Its name. No two have the same.
    pub name: String,
    /// Where it is.
    pub url: InterfaceUrl,
    /// What it is for; none: nothing is said.
    pub about: Option<String>,
}

impl Setting for InterfaceSettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "an interface", &["name", "url", "about"], |table| {
            let (name, url, about) = (table.part("name"), table.part("url"), table.optional("about"));
            Some(Self { name: name?, url: url?, about: about? })
        })
    }

    fn render(&self) -> String {
        let Self { name, url, about } = self;
        format!("{{ name = {}, url = {}, about = {} }}", name.render(), url.render(), about.render())
    }
}
