//! Who decides about what comes in, in the suite.

use std::sync::Arc;

use callboard_actors::edges::bus::{Delivery, Inbound, Receive, Verdict};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

/// All that was asked about, in order.
pub(super) type Asked = Vec<(Inbound, String)>;

/// How often this message is among them.
pub(super) fn times(asked: &Asked, text: &str) -> usize {
    asked.iter().filter(|(_, asked)| asked == text).count()
}

/// What is known of what came in.
pub(super) struct Receiver {
    /// All that was asked about, in order.
    pub(super) asked: watch::Sender<Asked>,
    /// Whether messages `later` can be dealt with by now.
    pub(super) well: watch::Sender<bool>,
}

/// The receiver, as the bus knows it.
pub(super) struct Receiving(pub(super) Arc<Receiver>);

impl Receiver {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Receiver { asked: watch::Sender::default(), well: watch::Sender::default() })
    }

    /// How often this message came.
    pub(super) fn times(&self, text: &str) -> usize {
        times(&self.asked.borrow(), text)
    }
}

impl Receive for Receiving {
    fn receive(&self, delivery: Delivery) -> BoxFuture<'static, Verdict> {
        let receiver = self.0.clone();
        async move {
            let text = String::from_utf8_lossy(&delivery.body).into_owned();
            // Looked at first: who sees that it was asked about, and then makes it well, is asked again.
            let well = *receiver.well.borrow();
            receiver.asked.send_modify(|asked| asked.push((delivery.inbound, text.clone())));
            match &*text {
                "\"invalid\"" => Verdict::Invalid(LETTER.into()),
                "\"later\"" if !well => Verdict::Later("not now".to_owned()),
                "\"never\"" => std::future::pending().await,
                _ => Verdict::Done,
            }
        }
        .boxed()
    }
}

/// A dead letter.
pub(super) const LETTER: &str =
    r#"{"original_event":"invalid","correlation_id":"0191e7a0-0000-7000-8000-000000000001"}"#;
