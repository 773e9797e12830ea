//! Programs that the web terminal may run.

use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `terminal.commands`: a program that the web terminal may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalCommandSettings {
    /// What `terminal.command` calls it. No two commands share a name.
    pub name: String,
    /// The program: a plain name, looked up in `PATH` when the server starts, or an absolute path.
    pub program: String,
    /// Its arguments. Default: none.
    pub args: Vec<String>,
    /// What is added to them for those who may only read. With nothing to add they can only watch: no key of theirs reaches it.
    /// Default: nothing.
    pub read_only_args: Vec<String>,
}

impl Setting for TerminalCommandSettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a command", &["name", "program", "args", "read_only_args"], |table| {
            let (name, program) = (table.part("name"), table.part("program"));
            let (args, read_only_args) = (table.optional("args"), table.optional("read_only_args"));
            Some(Self { name: name?, program: program?, args: args?, read_only_args: read_only_args? })
        })
    }

    fn render(&self) -> String {
        let Self { name, program, args, read_only_args } = self;
        format!(
            "{{ name = {}, program = {}, args = {}, read_only_args = {} }}",
            name.render(),
            program.render(),
            args.render(),
            read_only_args.render()
        )
    }
}
