//! The command line.

pub(crate) const HELP: &str = "\
Compares the actor runtime with its peers.

Usage: cargo run --release --manifest-path benches/Cargo.toml -- [OPTIONS]

Options:
  --rounds N    How often each library has its turn in each scenario [default: 5]
  --only WORD   Only the scenarios whose name contains WORD
  --markdown    Print the table as Markdown
  --help        Print this
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) rounds: usize,
    pub(crate) only: Option<String>,
    pub(crate) markdown: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Compare(Arguments),
    /// Not for people: one turn in a process of its own.
    Apart {
        scenario: String,
        library: String,
    },
    Help,
}

/// Runs one turn in a process of its own: followed by the scenario and the library.
pub(crate) const APART: &str = "--apart";

impl Command {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments { rounds: 5, only: None, markdown: false };
        while let Some(word) = words.next() {
            let mut value = |what| words.next().ok_or_else(|| format!("`{word}` needs {what} after it"));
            match word.as_str() {
                "--rounds" => {
                    let rounds = value("a number")?;
                    arguments.rounds = rounds.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
                        format!("`--rounds` needs a whole number from 1 on, such as 5, not `{rounds}`")
                    })?;
                }
                "--only" => arguments.only = Some(value("a word")?),
                "--markdown" => arguments.markdown = true,
                "--help" | "-h" => return Ok(Command::Help),
                APART => {
                    return Ok(Command::Apart {
                        scenario: value("a scenario")?,
                        library: value("a library")?,
                    });
                }
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        Ok(Command::Compare(arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn options_may_come_in_any_order_and_have_defaults() {
        let arguments = Arguments { rounds: 5, only: None, markdown: false };
        assert_eq!(parse(""), Ok(Command::Compare(arguments)));
        let arguments = Arguments { rounds: 9, only: Some("ask".into()), markdown: true };
        assert_eq!(parse("--markdown --only ask --rounds 9"), Ok(Command::Compare(arguments)));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, named) in
            [("--rounds", "`--rounds`"), ("--rounds 0", "`0`"), ("--rounds x", "`x`"), ("7", "`7`")]
        {
            let problem = parse(line).expect_err(line);
            assert!(problem.contains(named), "{line}: {problem}");
        }
    }
}
