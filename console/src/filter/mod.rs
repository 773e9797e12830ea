//! The filter language: what is typed behind `/`.
//!
//! Words are looked for as parts of any text of a row, `/…/` is a regular expression, `-f` makes the next word a fuzzy one,
//! `!` turns a term around, `field:value` compares a field, `field>value` an amount. Terms stand together with `and` (or just a
//! space), `or` and brackets.

mod parse;
mod pushdown;

use std::{borrow::Cow, fmt};

use callboard_contracts::Timestamp;
use regex::Regex;

pub use parse::parse;
pub use pushdown::pushed_down;

/// The longest filter, in characters.
pub const LONGEST: usize = 500;

/// What a row has to say to a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'r> {
    /// A text.
    Text(Cow<'r, str>),
    /// Several texts; one of them is enough.
    Texts(&'r [String]),
    /// A number; of a time span, its seconds.
    Number(f64),
    /// The row has nothing there.
    Missing,
    /// Nobody knows yet: the row has to be loaded as a whole first.
    Unknown,
}

/// What can be filtered.
pub trait Fields {
    /// What the row has for a field of this name, at this moment.
    fn field(&self, name: &str, now: Timestamp) -> Field<'_>;

    /// Whether one of its texts fits.
    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// Whether a row fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It must be loaded as a whole before anybody can say.
    Unknown,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Fit::Yes } else { Fit::No }
    }
}

/// How an amount is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Equal => left == right,
            Comparison::Unequal => left != right,
            Comparison::AtLeast => left >= right,
            Comparison::More => left > right,
        }
    }
}

/// How a text is looked at.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// It contains this, whatever the case. Kept as an expression, which looks for it without copying.
    Part(Regex),
    /// It fits the expression.
    Expression(Regex),
    /// It contains these letters in their order.
    Fuzzy(Vec<char>),
    /// It is one of these, whatever the case.
    Same(Vec<String>),
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Part(expression) | Pattern::Expression(expression) => expression.is_match(text),
            Pattern::Fuzzy(letters) => fuzzy(letters, text),
            Pattern::Same(words) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
        }
    }
}

fn fuzzy(letters: &[char], text: &str) -> bool {
    let mut wanted = letters.iter();
    let mut next = wanted.next();
    for letter in text.chars().flat_map(char::to_lowercase) {
        match next {
            None => return true,
            Some(want) if *want == letter => next = wanted.next(),
            Some(_) => {}
        }
    }
    next.is_none()
}

/// A filter as a tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// Everything fits.
    All,
    /// Any text.
    Any(Pattern),
    /// A field.
    Is(String, Pattern),
    /// An amount.
    Amount(String, Comparison, f64),
    /// It does not fit.
    Not(Box<Node>),
    /// Both fit.
    And(Box<Node>, Box<Node>),
    /// One of them fits.
    Or(Box<Node>, Box<Node>),
}

impl Node {
    /// Whether the row fits.
    pub fn fits(&self, row: &impl Fields, now: Timestamp) -> Fit {
        match self {
            Node::All => Fit::Yes,
            Node::Any(pattern) => row.any_text(&mut |text| pattern.fits(text)).into(),
            Node::Is(name, pattern) => match row.field(name, now) {
                Field::Text(text) => pattern.fits(&text).into(),
                Field::Texts(texts) => texts.iter().any(|text| pattern.fits(text)).into(),
                Field::Number(number) => pattern.fits(&number.to_string()).into(),
                Field::Missing => Fit::No,
                Field::Unknown => Fit::Unknown,
            },
            Node::Amount(name, comparison, than) => match row.field(name, now) {
                Field::Number(number) => comparison.holds(number, *than).into(),
                Field::Text(text) => text.parse().is_ok_and(|number| comparison.holds(number, *than)).into(),
                Field::Texts(_) | Field::Missing => Fit::No,
                Field::Unknown => Fit::Unknown,
            },
            Node::Not(inner) => match inner.fits(row, now) {
                Fit::Yes => Fit::No,
                Fit::No => Fit::Yes,
                Fit::Unknown => Fit::Unknown,
            },
            Node::And(left, right) => match (left.fits(row, now), right.fits(row, now)) {
                (Fit::No, _) | (_, Fit::No) => Fit::No,
                (Fit::Yes, Fit::Yes) => Fit::Yes,
                _ => Fit::Unknown,
            },
            Node::Or(left, right) => match (left.fits(row, now), right.fits(row, now)) {
                (Fit::Yes, _) | (_, Fit::Yes) => Fit::Yes,
                (Fit::No, Fit::No) => Fit::No,
                _ => Fit::Unknown,
            },
        }
    }

    /// Whether a field of this name is asked for.
    pub fn asks_for(&self, is_it: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Node::All | Node::Any(_) => false,
            Node::Is(name, _) | Node::Amount(name, ..) => is_it(name),
            Node::Not(inner) => inner.asks_for(is_it),
            Node::And(left, right) | Node::Or(left, right) => left.asks_for(is_it) || right.asks_for(is_it),
        }
    }
}

/// A filter as it was typed, and what it means.
#[derive(Clone, Debug)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    /// What it means.
    pub node: Node,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { text: String::new(), node: Node::All }
    }
}

impl Filter {
    /// Reads a filter; `fields` are those that the rows have. One that ends with a dot stands for all that begin so.
    ///
    /// # Errors
    /// [`FilterError`] says where it cannot be understood, and what would be right.
    pub fn new(text: &str, fields: &[&str]) -> Result<Self, FilterError> {
        Ok(Filter { text: text.to_owned(), node: parse(text, fields)? })
    }

    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        matches!(self.node, Node::All)
    }
}

/// Why a filter cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where, in characters from 0.
    pub at: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter, letter {}: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for FilterError {}

#[cfg(test)]
mod tests;
