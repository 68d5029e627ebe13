//! Whether a database can be reached, as far as calls and checks have found out. This file only stores it: when the
//! database is checked, and how, is in `generation`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use slog::Logger;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::log::{info, warn};
use crate::postgres::error::QueryError;
use crate::settings::TargetSettings;

/// Knowledge that is older than this does not count.
pub(super) const STALE: Duration = Duration::from_secs(15);

/// How long a connection may take to answer an empty query.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(3);

/// If another connection has answered this recently, a failure to open one makes the database degraded and not down.
const JUST_NOW: Duration = Duration::from_secs(2);

/// The first and the longest pause before the next attempt after a failure.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The pause if the server has refused the login (a wrong password, no such database): that does not end by itself, and
/// frequent attempts may lock the account.
const RETRY_REFUSED: Duration = Duration::from_secs(300);

/// Whether a database can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// The last attempt to reach it has succeeded.
    Up,
    /// It answers, but something is wrong.
    Degraded,
    /// The last attempt to reach it has failed, or there was none yet.
    Down,
}

impl HealthState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// The condition of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whether it can be reached.
    pub state: HealthState,
    /// When this state began.
    pub since: SystemTime,
    /// What is wrong, if it is not up; without host, user and password.
    pub why: Option<String>,
    /// The time until the next attempt, if it is not up. Calls try at once.
    pub next_try: Option<Duration>,
}

/// What is known of the condition of a generation's database.
pub(super) struct Health {
    record: Mutex<HealthRecord>,
    /// Notified when it is not up.
    pub(super) not_up: Notify,
    /// The server and user, for the log.
    target: String,
    log: Logger,
}

struct HealthRecord {
    state: HealthState,
    since: SystemTime,
    why: Option<String>,
    /// Whether it has refused the login, and did not only fail to answer.
    refused: bool,
    /// Whether the last attempt to open a connection succeeded.
    can_open: bool,
    /// When it answered last.
    last_answer: Option<Instant>,
    /// When its state was last learned; none if it is in doubt.
    learned: Option<Instant>,
    next_try: Option<Instant>,
}

impl Health {
    pub(super) fn new(target: String, log: &Logger) -> Self {
        let record = HealthRecord {
            state: HealthState::Down,
            since: SystemTime::now(),
            why: Some("it was not asked for anything yet".to_owned()),
            refused: false,
            can_open: true,
            last_answer: None,
            learned: None,
            next_try: None,
        };
        Self { record: Mutex::new(record), not_up: Notify::new(), target, log: log.clone() }
    }

    /// A connection was opened.
    pub(super) fn opened(&self) {
        let mut record = self.record();
        record.can_open = true;
        self.record_answer(&mut record);
    }

    /// A connection has answered.
    pub(super) fn answered(&self) {
        self.record_answer(&mut self.record());
    }

    fn record_answer(&self, record: &mut HealthRecord) {
        let now = Some(Instant::now());
        (record.last_answer, record.learned) = (now, now);
        match (record.state, record.can_open) {
            (HealthState::Up, _) | (HealthState::Degraded, false) => {}
            (_, true) => self.set(record, HealthState::Up, None),
            (HealthState::Down, false) => {
                let why = record.why.take();
                self.set(record, HealthState::Degraded, why);
            }
        }
    }

    /// A connection could not be opened, while `open` others were open.
    pub(super) fn failed_to_open(&self, error: &QueryError, target: &TargetSettings, open: usize) {
        let mut record = self.record();
        record.can_open = false;
        record.refused = !error.is_retryable();
        let others_answer = open > 0 && record.last_answer.is_some_and(|at| at.elapsed() < JUST_NOW);
        let state = if others_answer { HealthState::Degraded } else { HealthState::Down };
        self.failed(&mut record, state, why(error, target));
    }

    /// A connection did not answer.
    pub(super) fn failed_to_answer(&self) {
        let mut record = self.record();
        record.refused = false;
        self.failed(&mut record, HealthState::Down, format!("it did not answer within {ANSWER_MAX:?}"));
    }

    fn failed(&self, record: &mut HealthRecord, state: HealthState, why: String) {
        record.learned = Some(Instant::now());
        self.set(record, state, Some(why));
        self.not_up.notify_one();
    }

    /// A connection was lost: the known state may be outdated.
    pub(super) fn mark_stale(&self) {
        self.record().learned = None;
    }

    fn set(&self, record: &mut HealthRecord, state: HealthState, why: Option<String>) {
        record.why = why;
        if std::mem::replace(&mut record.state, state) == state {
            return;
        }
        record.since = SystemTime::now();
        match (&record.why, state) {
            (Some(why), _) => warn!(self.log, "database is not as it should be";
                "state" => state.as_str(), "why" => why, "target" => &self.target),
            (None, _) => info!(self.log, "database is up"; "target" => &self.target),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let record = self.record();
        let next_try = record.next_try.filter(|_| record.state != HealthState::Up);
        Condition {
            state: record.state,
            since: record.since,
            why: record.why.clone(),
            next_try: next_try.map(|at| at.saturating_duration_since(Instant::now())),
        }
    }

    /// Whether the known state is older than `age`, or in doubt.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.record().learned.is_none_or(|learned| learned.elapsed() >= age)
    }

    pub(super) fn is_refused(&self) -> bool {
        let record = self.record();
        record.refused && record.state == HealthState::Down
    }

    pub(super) fn can_open(&self) -> bool {
        self.record().can_open
    }

    /// The time until the next attempt, if one is needed; and remembers when that will be.
    pub(super) fn retry_in(&self, pause: Duration) -> Option<Duration> {
        let mut record = self.record();
        let pause = if record.refused { RETRY_REFUSED } else { pause };
        (record.state != HealthState::Up).then(|| {
            record.next_try = Some(Instant::now() + pause);
            pause
        })
    }

    fn record(&self) -> MutexGuard<'_, HealthRecord> {
        // No code panics while it has the lock.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection could not be opened, for readers of the server's health: without host, user and database.
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
