//! From the text of a filter to what it means.

use regex::RegexBuilder;

use super::{Comparison, FilterError, LONGEST, Node, Pattern};

/// How deep brackets and `!` may go.
const DEEPEST: usize = 32;
/// Bytes that a compiled expression may take.
const EXPRESSION_SIZE: usize = 1 << 20;

/// Reads a filter; see [`Filter::new`](super::Filter::new).
///
/// # Errors
/// [`FilterError`].
pub fn parse(text: &str, fields: &[&str]) -> Result<Node, FilterError> {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() > LONGEST {
        let message = format!("a filter has at most {LONGEST} letters");
        return Err(FilterError { at: LONGEST, message });
    }
    let mut parser = Parser { letters: &letters, at: 0, fields };
    parser.skip_spaces();
    if parser.at == letters.len() {
        return Ok(Node::All);
    }
    let node = parser.either(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.error("this bracket closes nothing")),
    }
}

struct Parser<'t> {
    letters: &'t [char],
    at: usize,
    fields: &'t [&'t str],
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError { at: self.at, message: message.into() }
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Whether this word stands here by itself; it is taken then.
    fn takes_word(&mut self, word: &str) -> bool {
        let end = self.at + word.chars().count();
        let here = self.letters.get(self.at..end);
        let stands = here.is_some_and(|here| here.iter().copied().eq(word.chars()))
            && self.letters.get(end).is_none_or(|letter| letter.is_whitespace() || *letter == '(');
        if stands {
            self.at = end;
            self.skip_spaces();
        }
        stands
    }

    fn either(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut left = self.both(depth)?;
        while self.takes_word("or") {
            left = Node::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Ok(left)
    }

    fn both(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut left = self.term(depth)?;
        loop {
            self.skip_spaces();
            let ands = self.takes_word("and");
            let ends = matches!(self.peek(), None | Some(')')) || self.next_is_or();
            if ends && !ands {
                return Ok(left);
            }
            left = Node::And(Box::new(left), Box::new(self.term(depth)?));
        }
    }

    fn next_is_or(&self) -> bool {
        let mut ahead = Parser { letters: self.letters, at: self.at, fields: self.fields };
        ahead.takes_word("or")
    }

    fn term(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth > DEEPEST {
            return Err(self.error(format!("brackets go at most {DEEPEST} deep")));
        }
        self.skip_spaces();
        match self.peek() {
            None => Err(self.error("a word is missing here")),
            Some(')') => Err(self.error("a word is missing before this bracket")),
            Some('!') => {
                self.at += 1;
                Ok(Node::Not(Box::new(self.term(depth + 1)?)))
            }
            Some('(') => {
                let opened = self.at;
                self.at += 1;
                let inner = self.either(depth + 1)?;
                self.skip_spaces();
                if self.peek() != Some(')') {
                    return Err(FilterError { at: opened, message: "this bracket is not closed".to_owned() });
                }
                self.at += 1;
                self.skip_spaces();
                Ok(inner)
            }
            Some('/') => Ok(Node::Any(self.expression()?)),
            Some(_) if self.takes_word("-f") => {
                let word = self.word()?;
                Ok(Node::Any(Pattern::Fuzzy(word.chars().flat_map(char::to_lowercase).collect())))
            }
            Some(_) => self.word_or_field(),
        }
    }

    /// `/…/`
    fn expression(&mut self) -> Result<Pattern, FilterError> {
        let begun = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => {
                    let message = "this expression is not closed: /…/".to_owned();
                    return Err(FilterError { at: begun, message });
                }
                Some('/') => break,
                Some('\\') if self.letters.get(self.at + 1) == Some(&'/') => {
                    self.at += 1;
                    text.push('/');
                }
                Some(letter) => text.push(letter),
            }
            self.at += 1;
        }
        self.at += 1;
        self.skip_spaces();
        let built = RegexBuilder::new(&text).case_insensitive(true).size_limit(EXPRESSION_SIZE).build();
        let expression = built.map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or("it cannot be read").trim().to_owned();
            FilterError { at: begun, message: last }
        })?;
        Ok(Pattern::Expression(expression))
    }

    /// A word, or words within quotation marks.
    fn word(&mut self) -> Result<String, FilterError> {
        self.skip_spaces();
        let begun = self.at;
        let mut text = String::new();
        if self.peek() == Some('"') {
            self.at += 1;
            loop {
                match self.peek() {
                    None => {
                        let message = "this quotation mark is not closed".to_owned();
                        return Err(FilterError { at: begun, message });
                    }
                    Some('"') => break,
                    Some(letter) => text.push(letter),
                }
                self.at += 1;
            }
            self.at += 1;
        } else {
            while let Some(letter) = self.peek().filter(|letter| !letter.is_whitespace() && *letter != ')') {
                text.push(letter);
                self.at += 1;
            }
            if text.is_empty() {
                return Err(self.error("a word is missing here"));
            }
        }
        self.skip_spaces();
        Ok(text)
    }

    fn word_or_field(&mut self) -> Result<Node, FilterError> {
        let begun = self.at;
        let name: String = self.letters[self.at..]
            .iter()
            .take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-'))
            .collect();
        let after = self.at + name.chars().count();
        let sign = |at: usize| self.letters.get(at).copied();
        let comparison = match (sign(after), sign(after + 1)) {
            (Some('<'), Some('=')) => Some((Comparison::AtMost, 2)),
            (Some('>'), Some('=')) => Some((Comparison::AtLeast, 2)),
            (Some('!'), Some('=')) => Some((Comparison::Unequal, 2)),
            (Some('<'), _) => Some((Comparison::Less, 1)),
            (Some('>'), _) => Some((Comparison::More, 1)),
            (Some('='), _) => Some((Comparison::Equal, 1)),
            _ => None,
        };
        if let (Some((comparison, length)), false) = (comparison, name.is_empty()) {
            self.known(&name, begun)?;
            self.at = after + length;
            let value_at = self.at;
            let word = self.word()?;
            return match (amount(&word), comparison) {
                (Some(amount), _) => Ok(Node::Amount(name, comparison, amount)),
                (None, Comparison::Equal) => Ok(Node::Is(name, Pattern::Same(vec![word]))),
                (None, Comparison::Unequal) => {
                    Ok(Node::Not(Box::new(Node::Is(name, Pattern::Same(vec![word])))))
                }
                (None, _) => Err(FilterError {
                    at: value_at,
                    message: format!("{word:?} is no amount, such as 3, 1.5, 250ms, 30s, 5m, 2h or 1d"),
                }),
            };
        }
        // A colon within a word, as in a tag, belongs to the word unless a field stands before it.
        if sign(after) == Some(':') && self.knows(&name) {
            self.at = after + 1;
            if self.peek() == Some('/') {
                return Ok(Node::Is(name, self.expression()?));
            }
            let quoted = self.peek() == Some('"');
            let word = self.word()?;
            let words = if quoted { vec![word] } else { word.split(',').map(str::to_owned).collect() };
            return Ok(Node::Is(name, Pattern::Same(words)));
        }
        if sign(after) == Some(':') && !name.is_empty() && sign(after + 1).is_some_and(|next| next != ':') {
            self.known(&name, begun)?;
        }
        let word = self.word()?;
        let built = RegexBuilder::new(&regex::escape(&word)).case_insensitive(true).build();
        // An escaped word of a bounded filter always is an expression.
        let part = built.map_err(|error| FilterError { at: begun, message: error.to_string() })?;
        Ok(Node::Any(Pattern::Part(part)))
    }

    fn knows(&self, name: &str) -> bool {
        self.fields.iter().any(|field| {
            *field == name || (field.ends_with('.') && name.len() > field.len() && name.starts_with(field))
        })
    }

    fn known(&self, name: &str, at: usize) -> Result<(), FilterError> {
        if self.knows(name) {
            return Ok(());
        }
        let shown: Vec<String> = self
            .fields
            .iter()
            .map(|field| if field.ends_with('.') { format!("{field}NAME") } else { (*field).to_owned() })
            .collect();
        let message = format!(
            "there is no field {name:?} here; there are {} (or put the word in quotation marks)",
            shown.join(", ")
        );
        Err(FilterError { at, message })
    }
}

/// A number; of a time span, its seconds.
fn amount(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite())?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Some(number * unit)
}
