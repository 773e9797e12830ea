//! Which server is asked, and what its answers mean for the exit code.

use std::{fs::File, io::Read, path::PathBuf};

use callboard::{
    client::{Client, ClientBuilder, ClientError, RetryPolicy},
    contracts::TraceContext,
};
use clap::Args;
use secrecy::SecretString;

use super::output::{Failure, NO_SERVER, REFUSED, SOME_FAILED, USAGE};

/// Bytes of a token at most.
const MAX_TOKEN: u64 = 4096;
/// The variable that holds the token.
const TOKEN: &str = "CALLBOARD_TOKEN";
/// The variable that holds the span in which a program runs; `command` jobs have it.
const TRACEPARENT: &str = "TRACEPARENT";

/// The server that is asked where nothing else is said.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Which server is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Connection {
    /// The server's address [default: http://127.0.0.1:8080].
    #[arg(long, global = true, env = "CALLBOARD_URL", hide_env_values = true)]
    url: Option<String>,
    /// A file with the token to send, if the server asks for one; instead of the variable CALLBOARD_TOKEN. A token
    /// itself is never an argument, where other users could see it.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// A client that tells at once when nobody answers.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Ok(self.builder()?.build()?)
    }

    /// The address that was given, by an argument or the variable.
    pub(super) fn given(&self) -> Option<&str> {
        self.url.as_deref()
    }

    pub(super) fn builder(&self) -> Result<ClientBuilder, Failure> {
        self.builder_at(self.given().unwrap_or(DEFAULT_URL))
    }

    /// The same for the server at this address.
    pub(super) fn builder_at(&self, url: &str) -> Result<ClientBuilder, Failure> {
        let builder = Client::builder(url);
        // So that an audit trail without tokens can tell the command line from other programs.
        let builder = builder.user_agent(concat!("callboard-cli/", env!("CARGO_PKG_VERSION")));
        let builder = builder.retry(RetryPolicy { unreachable: false, ..RetryPolicy::default() });
        // What runs within a trace says so; whatever else the variable holds is not ours to judge.
        let span = std::env::var(TRACEPARENT).ok().and_then(|text| text.parse::<TraceContext>().ok());
        let builder = match span {
            Some(span) => builder.trace(span),
            None => builder,
        };
        Ok(match self.token()? {
            Some(token) => builder.token(token),
            None => builder,
        })
    }

    fn token(&self) -> Result<Option<SecretString>, Failure> {
        let (place, text) = match &self.token_file {
            Some(path) => {
                let place = path.display().to_string();
                let mut text = String::new();
                let read =
                    File::open(path).and_then(|file| file.take(MAX_TOKEN + 1).read_to_string(&mut text));
                read.map_err(|error| Failure::usage(format!("--token-file: {place}: {error}")))?;
                (place, text)
            }
            None => match std::env::var(TOKEN) {
                Ok(text) if text.is_empty() => return Ok(None),
                Ok(text) => (TOKEN.to_owned(), text),
                Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(error) => return Err(Failure::usage(format!("{TOKEN}: {error}"))),
            },
        };
        checked(&place, &text).map(Some)
    }
}

fn checked(place: &str, text: &str) -> Result<SecretString, Failure> {
    let token = text.trim();
    let problem = match token {
        "" => "it is empty; a token is needed",
        token if token.len() as u64 > MAX_TOKEN => "it has more than 4096 bytes; a token is needed",
        token if token.contains(|letter: char| !letter.is_ascii_graphic()) => {
            "a token is one word of printable ASCII characters"
        }
        token => return Ok(token.into()),
    };
    Err(Failure::usage(format!("{place}: {problem}")))
}

/// Asks for the token on the terminal, without showing what is typed.
#[cfg(feature = "console")]
pub(super) fn ask_token() -> Result<SecretString, Failure> {
    use std::io::{BufRead, Write};

    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let failed = |error: std::io::Error| Failure::failed(format!("--token: {error}"));
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    eprint!("Token: ");
    std::io::stderr().flush().map_err(failed)?;
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let mut text = String::new();
    let read = stdin.lock().take(MAX_TOKEN + 2).read_line(&mut text);
    let restored = tcsetattr(&stdin, OptionalActions::Now, &before);
    eprintln!();
    read.map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    checked("--token", &text)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Url { .. } => USAGE,
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => NO_SERVER,
            _ => match error.status() {
                Some(400 | 413 | 415 | 422) => USAGE,
                Some(404 | 409) => SOME_FAILED,
                _ => REFUSED,
            },
        };
        let more = match &error {
            ClientError::Url { .. } | ClientError::Unreachable { .. } => " (--url or CALLBOARD_URL)",
            _ => "",
        };
        Failure { code, message: format!("{error}{more}") }
    }
}
