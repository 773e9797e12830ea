//! One connection over which server-sent events come.

use std::time::Duration;

use reqwest::{Method, Response, header};
use tokio::time::{Instant, timeout};

use super::frames::{Frame, FrameReader};
use crate::{Client, ClientError, answer};

/// How long the head of the answer may take.
const HEAD: Duration = Duration::from_secs(30);

pub(crate) struct Connection {
    response: Response,
    frames: FrameReader,
    pub(crate) since: Instant,
}

impl Connection {
    /// Asks for the stream at this path, behind the place that was reached before.
    pub(crate) async fn open(
        client: &Client,
        path: &str,
        query: &[(&'static str, String)],
        after: Option<&str>,
    ) -> Result<Self, ClientError> {
        let mut request = client.request(Method::GET, path, query);
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let late = |_| lost(client, format!("no answer within {HEAD:?}"));
        let response = timeout(HEAD, client.send(request)).await.map_err(late)??;
        if !response.status().is_success() {
            return Err(answer::refusal(client, response).await);
        }
        let kind = answer::media_type(&response);
        if kind != "text/event-stream" {
            return Err(answer::wrong_type(client, &kind, "text/event-stream"));
        }
        let frames = FrameReader::new(client.answer_limit);
        Ok(Connection { response, frames, since: Instant::now() })
    }

    /// The next frames.
    pub(crate) async fn read(&mut self, client: &Client) -> Result<Vec<Frame>, ClientError> {
        let chunk = timeout(client.event_silence, self.response.chunk()).await;
        let chunk =
            chunk.map_err(|_| lost(client, format!("nothing was heard for {:?}", client.event_silence)))?;
        let chunk = chunk.map_err(|error| ClientError::reach(client.url(), &error))?;
        let chunk = chunk.ok_or_else(|| lost(client, "the server has ended the event stream".to_owned()))?;
        self.frames.push(&chunk).map_err(|_| {
            ClientError::Answer(format!("an event has more than the {} bytes allowed", client.answer_limit))
        })
    }
}

fn lost(client: &Client, problem: String) -> ClientError {
    ClientError::Lost { url: client.url().to_owned(), problem }
}
