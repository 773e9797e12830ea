//! Whoever wants something of the servers: submits, cancels, runs again, and asks again until there is an answer.

use std::{
    net::SocketAddr,
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    load::{self, Kind, LoadJob},
    node::ask,
    play::Way,
    scene::Scene,
};
use crate::server::{Answer, PATIENCE};

/// Parts that are submitted before anything else is asked.
const PARTS: usize = 3;
/// More of them, one by one, until the fault has happened.
const MORE: usize = 20;

/// How many requests were not answered.
pub(super) type Unanswered = u64;

/// Does all there is to do until the fault has happened.
pub(super) fn ask_for_everything(scene: &Scene) -> Result<Unanswered, String> {
    let mut asker = Asker { scene, unanswered: 0 };
    let parts: Vec<_> = (0..PARTS).map(|_| scene.more_jobs()).collect();
    parts.iter().try_for_each(|part| asker.submit(part))?;
    parts.iter().try_for_each(|part| asker.end(part))?;
    if matches!(scene.case.way(), Way::Jobs | Way::Retention) {
        for _ in 0..MORE {
            if scene.struck.load(SeqCst) {
                break;
            }
            asker.submit_and_end()?;
        }
    }
    Ok(asker.unanswered)
}

/// A part more, through whoever answers first.
pub(super) fn ask_for_more(scene: &Scene) -> Result<Unanswered, String> {
    let mut asker = Asker { scene, unanswered: 0 };
    asker.submit_and_end()?;
    Ok(asker.unanswered)
}

struct Asker<'s> {
    scene: &'s Scene,
    unanswered: Unanswered,
}

impl Asker<'_> {
    fn submit_and_end(&mut self) -> Result<(), String> {
        let part = self.scene.more_jobs();
        self.submit(&part)?;
        self.end(&part)
    }

    fn submit(&mut self, part: &[LoadJob]) -> Result<(), String> {
        let request = load::request(part, self.scene.folder());
        self.insist("/api/v1/jobs/batch", &request, |answer| {
            answer.status == 200 && answer.json()["refused"] == 0
        })
    }

    /// Cancels what does not end by itself, and runs one that is dead again.
    fn end(&mut self, part: &[LoadJob]) -> Result<(), String> {
        let of = |kind: Kind| part.iter().filter(move |job| job.kind == kind).map(|job| job.id);
        for id in of(Kind::Endless) {
            self.has_happened(id, "job.executed")?;
            // It may have ended by now, of a cancellation that was not answered.
            let path = format!("/api/v1/jobs/{id}/cancel");
            self.insist(&path, "{}", |answer| matches!(answer.status, 200 | 404 | 409))?;
        }
        for id in of(Kind::Dead) {
            self.has_happened(id, "job.failed")?;
            // Not asked again: each time that is answered makes a new job.
            let path = format!("/api/v1/jobs/{id}/retry");
            let address = self.addresses().into_iter().next();
            if address.and_then(|address| ask(address, "POST", &path, "{}")).is_none() {
                self.unanswered += 1;
            }
        }
        Ok(())
    }

    /// The victim first.
    fn addresses(&self) -> Vec<SocketAddr> {
        (0..3).filter_map(|number| self.scene.addresses.of(number)).collect()
    }

    fn has_happened(&self, id: Uuid, kind: &str) -> Result<(), String> {
        self.scene.log.until(&format!("{kind} of {id}"), |events| {
            events.iter().any(|event| event.job == id && event.kind == kind).then_some(())
        })
    }

    /// Asks one after the other until there is an answer that will do.
    fn insist(
        &mut self,
        path: &str,
        body: &str,
        mut will_do: impl FnMut(&Answer) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            for address in self.addresses() {
                match ask(address, "POST", path, body) {
                    Some(answer) if will_do(&answer) => return Ok(()),
                    Some(answer) => last = Some(answer),
                    None => self.unanswered += 1,
                }
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        Err(format!("{path} was not answered as it should be; last: {last:?}"))
    }
}
