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

/// Which server is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Connection {
    /// The server's address.
    #[arg(
        long,
        global = true,
        env = "CALLBOARD_URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true
    )]
    url: String,
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

    pub(super) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let builder = Client::builder(&self.url);
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
        let token = text.trim();
        let problem = match token {
            "" => "it is empty; a token is needed",
            token if token.len() as u64 > MAX_TOKEN => "it has more than 4096 bytes; a token is needed",
            token if token.contains(|letter: char| !letter.is_ascii_graphic()) => {
                "a token is one word of printable ASCII characters"
            }
            token => return Ok(Some(token.into())),
        };
        Err(Failure::usage(format!("{place}: {problem}")))
    }
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
