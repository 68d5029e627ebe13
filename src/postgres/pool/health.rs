//! Whether a database can be reached, as far as calls and questions of our own have found out. It only remembers: who
//! asks the database, and when, is in `generation`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use slog::Logger;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::log::{info, warn};
use crate::postgres::error::QueryError;
use crate::settings::TargetSettings;

/// What is older says nothing about now.
pub(super) const STALE: Duration = Duration::from_secs(15);

/// How long a connection may take to answer nothing but that it is there.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A failure to open a connection is no more than that, if an open one has answered so shortly before.
const JUST_NOW: Duration = Duration::from_secs(2);

/// How long after a failure it is tried again, at first and at most.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The same, where it has refused us (a wrong password, no such database): that will not go away by itself, and asking
/// often may lock the account.
const RETRY_REFUSED: Duration = Duration::from_secs(300);

/// Whether a database can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The last attempt to reach it has succeeded.
    Up,
    /// It answers, but something is not as it should be.
    Degraded,
    /// The last attempt to reach it has failed, or none was made yet.
    Down,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// How a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whether it can be reached.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// What is wrong, where it is not up; without host, user and password.
    pub why: Option<String>,
    /// In how long it is tried again though nobody asks, where it is not up.
    pub next_try: Option<Duration>,
}

/// What is known of a generation's database.
pub(super) struct Health {
    known: Mutex<Known>,
    /// Told when it is not up.
    pub(super) trouble: Notify,
    /// Where it is, for the log.
    target: String,
    log: Logger,
}

struct Known {
    state: State,
    since: SystemTime,
    why: Option<String>,
    /// Whether it has refused us, not only not answered.
    refused: bool,
    /// Whether the last connection that was to be opened was.
    opens: bool,
    /// When it has last answered.
    heard: Option<Instant>,
    /// When anything of it was last found out; nothing if that is in doubt.
    learned: Option<Instant>,
    next_try: Option<Instant>,
}

impl Health {
    pub(super) fn new(target: String, log: &Logger) -> Self {
        let known = Known {
            state: State::Down,
            since: SystemTime::now(),
            why: Some("it was not asked for anything yet".to_owned()),
            refused: false,
            opens: true,
            heard: None,
            learned: None,
            next_try: None,
        };
        Self { known: Mutex::new(known), trouble: Notify::new(), target, log: log.clone() }
    }

    /// A connection was opened.
    pub(super) fn opened(&self) {
        let mut known = self.known();
        known.opens = true;
        self.heard(&mut known);
    }

    /// A connection has answered.
    pub(super) fn answered(&self) {
        self.heard(&mut self.known());
    }

    fn heard(&self, known: &mut Known) {
        let now = Some(Instant::now());
        (known.heard, known.learned) = (now, now);
        match (known.state, known.opens) {
            (State::Up, _) | (State::Degraded, false) => {}
            (_, true) => self.set(known, State::Up, None),
            (State::Down, false) => {
                let why = known.why.take();
                self.set(known, State::Degraded, why);
            }
        }
    }

    /// No connection could be opened, beside so many that are open.
    pub(super) fn has_not_opened(&self, error: &QueryError, target: &TargetSettings, open: usize) {
        let mut known = self.known();
        known.opens = false;
        known.refused = !error.is_retryable();
        let others_answer = open > 0 && known.heard.is_some_and(|heard| heard.elapsed() < JUST_NOW);
        let state = if others_answer { State::Degraded } else { State::Down };
        self.failed(&mut known, state, why(error, target));
    }

    /// A connection has not answered.
    pub(super) fn has_not_answered(&self) {
        let mut known = self.known();
        known.refused = false;
        self.failed(&mut known, State::Down, format!("it did not answer within {ANSWER_MAX:?}"));
    }

    fn failed(&self, known: &mut Known, state: State, why: String) {
        known.learned = Some(Instant::now());
        self.set(known, state, Some(why));
        self.trouble.notify_one();
    }

    /// A connection was lost: what is known may be true no more.
    pub(super) fn doubt(&self) {
        self.known().learned = None;
    }

    fn set(&self, known: &mut Known, state: State, why: Option<String>) {
        known.why = why;
        if std::mem::replace(&mut known.state, state) == state {
            return;
        }
        known.since = SystemTime::now();
        match (&known.why, state) {
            (Some(why), _) => warn!(self.log, "database is not as it should be";
                "state" => state.as_str(), "why" => why, "target" => &self.target),
            (None, _) => info!(self.log, "database is up"; "target" => &self.target),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let known = self.known();
        let next_try = known.next_try.filter(|_| known.state != State::Up);
        Condition {
            state: known.state,
            since: known.since,
            why: known.why.clone(),
            next_try: next_try.map(|at| at.saturating_duration_since(Instant::now())),
        }
    }

    /// Whether what is known is so old, or in doubt.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.known().learned.is_none_or(|learned| learned.elapsed() >= age)
    }

    pub(super) fn is_refused(&self) -> bool {
        let known = self.known();
        known.refused && known.state == State::Down
    }

    pub(super) fn opens(&self) -> bool {
        self.known().opens
    }

    /// How long until the next try that nobody has asked for, if one is needed.
    pub(super) fn retry_in(&self, pause: Duration) -> Option<Duration> {
        let mut known = self.known();
        let pause = if known.refused { RETRY_REFUSED } else { pause };
        (known.state != State::Up).then(|| {
            known.next_try = Some(Instant::now() + pause);
            pause
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection could not be opened, for whoever may look at the server's health: no host, user or database.
pub fn why(error: &QueryError, target: &TargetSettings) -> String {
    match error {
        QueryError::Unavailable { why, .. } => {
            target.hosts.iter().fold(why.clone(), |why, host| why.replace(host.as_str(), "the host"))
        }
        QueryError::TimedOut { clock, after } => format!("no connection within {after:?} ({})", clock.setting()),
        QueryError::Rejected(rejection) => {
            let words = match &*rejection.sqlstate {
                state if state.starts_with("28") => "the login was refused",
                "3D000" => "there is no such database",
                "53300" => "it takes no more connections",
                "57P03" => "it is starting or stopping",
                _ => "it has refused the connection",
            };
            format!("{words} (SQLSTATE {})", rejection.sqlstate)
        }
        _ => "a connection could not be opened".to_owned(),
    }
}

#[cfg(test)]
mod tests;
