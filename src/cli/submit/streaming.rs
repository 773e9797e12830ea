//! Sending jobs as they are read, over one connection. Whatever goes wrong with it, the jobs without an answer are sent again in
//! batches, under their ids: a stream is only the faster way.

use std::collections::VecDeque;

use callboard::{
    client::SubmitStream,
    contracts::api::{ItemOutcome, SubmittedItem},
};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    super::output::Failure,
    input::{Input, Reading, Source},
    sender::Sender,
};

/// Jobs that are sent and not answered, at most.
const UNDER_WAY: usize = 4000;
/// Jobs that are sent again in one go.
const AGAIN: usize = 500;

/// A stream that is open.
struct Open {
    jobs: mpsc::Sender<Value>,
    answers: SubmitStream,
}

impl Sender<'_> {
    /// Sends all there is. False if the server has no streams; then nothing was taken from the source.
    pub(super) async fn stream_all(&mut self, source: &mut Source) -> Result<bool, Failure> {
        let Some(open) = self.open().await else { return Ok(false) };
        let mut open = Some(open);
        let mut under_way: VecDeque<Input> = VecDeque::new();
        let mut again: Vec<Input> = Vec::new();
        let mut broken = None;
        let mut ended = false;
        loop {
            let Some(Open { jobs, answers }) = &mut open else {
                // What was under way on a stream that is gone, and whatever is still to come if there is to be no other.
                self.resend(again.drain(..).chain(under_way.drain(..)).collect()).await?;
                if ended {
                    break;
                }
                open = self.open().await;
                if open.is_none() {
                    let Some(read) = source.next_one().await else { break };
                    ended = self.take_in(read, &mut again, &mut broken);
                }
                continue;
            };
            self.in_flight = under_way.len();
            tokio::select! {
                biased;
                answer = answers.next(), if !under_way.is_empty() => match answer {
                    Some(Ok(item)) => self.take_answer(item, &mut under_way, &mut again),
                    // Either it ended early, or it broke off.
                    Some(Err(_)) | None => open = None,
                },
                read = source.next_one(), if !ended && under_way.len() < UNDER_WAY => match read {
                    Some(read) => {
                        let mut new = Vec::new();
                        ended = self.take_in(read, &mut new, &mut broken);
                        for mut input in new {
                            self.name(&mut input);
                            // There is room for as many as may be under way; a stream that is gone says so as its next answer.
                            let _ = jobs.try_send(Value::Object(input.job.clone()));
                            under_way.push_back(input);
                        }
                    }
                    None => ended = true,
                },
            }
            if again.len() >= AGAIN {
                self.resend(std::mem::take(&mut again)).await?;
            }
            if ended && under_way.is_empty() {
                open = None;
            }
        }
        self.in_flight = 0;
        broken.map_or(Ok(true), Err)
    }

    async fn open(&self) -> Option<Open> {
        let (jobs, taken) = mpsc::channel(UNDER_WAY);
        let jobs_to_come = stream::unfold(taken, |mut taken: mpsc::Receiver<Value>| async {
            let job = taken.recv().await?;
            Some((job, taken))
        });
        // Whatever the reason is, the batches meet it, too, and tell of it if it matters.
        let answers = self.client.submit_stream(jobs_to_come).await.ok()?;
        Some(Open { jobs, answers })
    }

    /// True if nothing more is to be read.
    fn take_in(&mut self, read: Reading, jobs: &mut Vec<Input>, broken: &mut Option<Failure>) -> bool {
        match read {
            Reading::Job(input) => jobs.push(input),
            Reading::Unreadable(why) => self.cannot_read(why),
            Reading::Broken(why) => *broken = Some(Failure::usage(why)),
        }
        broken.is_some()
    }

    fn take_answer(&mut self, item: SubmittedItem, under_way: &mut VecDeque<Input>, again: &mut Vec<Input>) {
        let Some(input) = under_way.pop_front() else { return };
        let position = input.position;
        match item.outcome {
            ItemOutcome::Accepted(submitted) => self.accept(&input, &submitted),
            // There was no room for it, or the stream ended before it.
            ItemOutcome::Refused(problem) if matches!(problem.status, 408 | 429 | 503) => again.push(input),
            ItemOutcome::Refused(problem) => self.refuse(&input, &problem),
        }
        self.show(position);
    }

    async fn resend(&mut self, jobs: Vec<Input>) -> Result<(), Failure> {
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            self.send(jobs.by_ref().take(AGAIN).collect()).await?;
        }
        Ok(())
    }
}
