//! Sign-ins: what a browser has instead of a token, which no script can read.
//!
//! A session knows the token that it was begun with and nothing of what that allows: this is looked up with each request. They
//! are in memory alone, so a restart of the process ends them all.

pub(crate) mod attempts;
pub(crate) mod cookie;
mod routes;
mod while_open;

use std::time::{Duration, Instant};

use callboard_contracts::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::settings::WebSettings;

pub(crate) use routes::{PATH, routes};

/// What is compared instead of a secret: all have one length, and say nothing of it.
pub(crate) type Digest = [u8; 32];

/// The digest of a secret.
pub(crate) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// The sessions that are open, of all ports and over crashes of the server's actors.
pub(crate) struct Sessions {
    lifetime: Duration,
    idle: Duration,
    most: usize,
    open: Mutex<Vec<Session>>,
}

struct Session {
    secret: Digest,
    token: Digest,
    until: Instant,
    expires_at: Timestamp,
    used: Instant,
    /// Dropped with the session. Whoever waits for that uses it.
    alive: watch::Sender<()>,
}

/// A session that was just begun.
pub(crate) struct Begun {
    /// What its cookie has.
    pub(crate) secret: String,
    pub(crate) expires_at: Timestamp,
}

/// An open session, as a request has it.
pub(crate) struct Open {
    /// The digest of the token that it was begun with.
    pub(crate) token: Digest,
    pub(crate) expires_at: Timestamp,
    until: Instant,
    alive: watch::Receiver<()>,
}

/// Whether a session is open, for what outlives the request.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    until: Instant,
    alive: watch::Receiver<()>,
}

impl SignIn {
    pub(crate) fn is_open(&self) -> bool {
        Instant::now() < self.until && self.alive.has_changed().is_ok()
    }
}

impl Open {
    pub(crate) fn sign_in(&self) -> SignIn {
        SignIn { until: self.until, alive: self.alive.clone() }
    }
}

impl Sessions {
    pub(crate) fn new(settings: &WebSettings) -> Self {
        Sessions {
            lifetime: settings.session_lifetime,
            idle: settings.session_idle,
            most: settings.max_sessions,
            open: Mutex::default(),
        }
    }

    /// Begins a session with a token; if there are as many as may be, the one ends that was used least recently.
    pub(crate) fn begin(&self, token: Digest, now: Instant) -> Result<Begun, getrandom::Error> {
        let secret = cookie::secret()?;
        let expires_at = Timestamp::now().saturating_add(self.lifetime);
        let session = Session {
            secret: digest(secret.as_bytes()),
            token,
            until: now + self.lifetime,
            expires_at,
            used: now,
            alive: watch::Sender::new(()),
        };
        let mut open = self.open.lock();
        self.forget(&mut open, now);
        while open.len() >= self.most.max(1) {
            let least =
                open.iter().enumerate().min_by_key(|(_, session)| (session.is_watched(), session.used));
            let Some((least, _)) = least else { break };
            open.swap_remove(least);
        }
        open.push(session);
        Ok(Begun { secret, expires_at })
    }

    /// The session of this cookie, which is used by that.
    pub(crate) fn find(&self, secret: &str, now: Instant) -> Option<Open> {
        let given = digest(secret.as_bytes());
        let mut open = self.open.lock();
        self.forget(&mut open, now);
        let place = place(&open, &given)?;
        let session = open.get_mut(place)?;
        session.used = now;
        let Session { token, expires_at, until, .. } = *session;
        Some(Open { token, expires_at, until, alive: session.alive.subscribe() })
    }

    /// Ends the session of this cookie.
    pub(crate) fn end(&self, secret: &str) {
        let given = digest(secret.as_bytes());
        let mut open = self.open.lock();
        if let Some(place) = place(&open, &given) {
            open.swap_remove(place);
        }
    }

    fn forget(&self, open: &mut Vec<Session>, now: Instant) {
        open.retain(|session| {
            let idle = now.saturating_duration_since(session.used) >= self.idle && !session.is_watched();
            now < session.until && !idle
        });
    }
}

impl Session {
    /// Whether an answer is being sent that ends with it.
    fn is_watched(&self) -> bool {
        self.alive.receiver_count() > 0
    }
}

/// Where the session of this secret is. All are looked at: the time taken says nothing.
fn place(open: &[Session], given: &Digest) -> Option<usize> {
    let mut found = None;
    for (place, session) in open.iter().enumerate() {
        if bool::from(session.secret.as_slice().ct_eq(given.as_slice())) {
            found = Some(place);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Digest = [7; 32];

    fn sessions(most: usize) -> Sessions {
        Sessions {
            lifetime: Duration::from_secs(100),
            idle: Duration::from_secs(10),
            most,
            open: Mutex::default(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_holds_while_it_is_used_and_not_for_ever() {
        let (sessions, begin) = (sessions(10), Instant::now());
        let used = sessions.begin(TOKEN, begin).unwrap().secret;
        let unused = sessions.begin(TOKEN, begin).unwrap().secret;
        for at in (9..100).step_by(9) {
            assert_eq!(sessions.find(&used, begin + seconds(at)).unwrap().token, TOKEN, "{at}");
        }
        assert!(sessions.find(&used, begin + seconds(100)).is_none(), "its time is over");
        let at = begin + seconds(9);
        assert!(sessions.find(&unused, at).is_none(), "it was idle for too long meanwhile");
        assert!(sessions.open.lock().is_empty());
    }

    #[test]
    fn an_answer_that_goes_on_uses_it_and_ends_with_it() {
        let (sessions, begin) = (sessions(10), Instant::now());
        let secret = sessions.begin(TOKEN, begin).unwrap().secret;
        let watching = sessions.find(&secret, begin).unwrap();
        assert!(sessions.find(&secret, begin + seconds(50)).is_some());
        assert!(watching.alive.has_changed().is_ok());
        sessions.end(&secret);
        assert!(watching.alive.has_changed().is_err(), "it is told");
        assert!(sessions.find(&secret, begin + seconds(50)).is_none());
    }

    #[test]
    fn only_so_many_are_open_and_the_idlest_leaves() {
        let (sessions, begin) = (sessions(2), Instant::now());
        let first = sessions.begin(TOKEN, begin).unwrap().secret;
        let second = sessions.begin(TOKEN, begin + seconds(1)).unwrap().secret;
        assert!(sessions.find(&first, begin + seconds(2)).is_some());
        let third = sessions.begin(TOKEN, begin + seconds(3)).unwrap().secret;
        let open = |secret: &str| sessions.find(secret, begin + seconds(3)).is_some();
        assert_eq!((open(&first), open(&second), open(&third)), (true, false, true));
        assert!(!open("") && !open("something"));
    }
}
