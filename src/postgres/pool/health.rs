//! Whether a database can be reached, as far as calls and checks have found out: a state machine. `health_monitor` gives it
//! the clock and the log; when the database is checked, and how, is in `generation`.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

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

/// What is known of a database, and how each event changes it. It asks nobody and reads no clock: the time of each event is
/// an argument.
pub(super) struct Health {
    state: HealthState,
    since: SystemTime,
    why: Option<String>,
    /// Whether it has refused the login, and did not only fail to answer.
    refused: bool,
    /// Whether the last attempt to open a connection has succeeded.
    can_open: bool,
    /// When it answered last.
    last_answer: Option<Instant>,
    /// When its state was last learned; none if it is in doubt.
    learned: Option<Instant>,
    next_try: Option<Instant>,
}

/// The time of an event, by the runtime's clock and by the calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

impl Health {
    /// Nothing is known yet.
    pub(super) fn new(since: SystemTime) -> Self {
        Self {
            state: HealthState::Down,
            since,
            why: Some("it was not asked for anything yet".to_owned()),
            refused: false,
            can_open: true,
            last_answer: None,
            learned: None,
            next_try: None,
        }
    }

    /// A connection was opened.
    pub(super) fn opened(&mut self, now: Moment) {
        self.can_open = true;
        self.answered(now);
    }

    /// A connection has answered.
    pub(super) fn answered(&mut self, now: Moment) {
        (self.last_answer, self.learned) = (Some(now.instant), Some(now.instant));
        match (self.state, self.can_open) {
            (HealthState::Up, _) | (HealthState::Degraded, false) => {}
            (_, true) => self.set(HealthState::Up, None, now),
            (HealthState::Down, false) => {
                let why = self.why.take();
                self.set(HealthState::Degraded, why, now);
            }
        }
    }

    /// A connection could not be opened, while `open` others were open.
    pub(super) fn failed_to_open(&mut self, error: &QueryError, target: &TargetSettings, open: usize, now: Moment) {
        self.can_open = false;
        self.refused = !error.is_retryable();
        // A server that says how many connections it takes is there.
        let others_answer =
            open > 0 && (error.is_too_many() || self.last_answer.is_some_and(|at| now.instant - at < JUST_NOW));
        let state = if others_answer { HealthState::Degraded } else { HealthState::Down };
        self.learned = Some(now.instant);
        self.set(state, Some(why(error, target)), now);
    }

    /// A connection did not answer.
    pub(super) fn failed_to_answer(&mut self, now: Moment) {
        self.refused = false;
        self.learned = Some(now.instant);
        self.set(HealthState::Down, Some(format!("it did not answer within {ANSWER_MAX:?}")), now);
    }

    /// A connection was lost: the known state may be outdated.
    pub(super) fn mark_stale(&mut self) {
        self.learned = None;
    }

    fn set(&mut self, state: HealthState, why: Option<String>, now: Moment) {
        self.why = why;
        if std::mem::replace(&mut self.state, state) != state {
            self.since = now.time;
        }
    }

    pub(super) fn state(&self) -> HealthState {
        self.state
    }

    pub(super) fn condition(&self, now: Instant) -> Condition {
        let next_try = self.next_try.filter(|_| self.state != HealthState::Up);
        Condition {
            state: self.state,
            since: self.since,
            why: self.why.clone(),
            next_try: next_try.map(|at| at.saturating_duration_since(now)),
        }
    }

    /// Whether the known state is older than `age`, or in doubt.
    pub(super) fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.learned.is_none_or(|learned| now - learned >= age)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused && self.state == HealthState::Down
    }

    pub(super) fn can_open(&self) -> bool {
        self.can_open
    }

    /// The time until the next attempt, if one is needed; and remembers when that will be.
    pub(super) fn retry_in(&mut self, pause: Duration, now: Instant) -> Option<Duration> {
        let pause = if self.refused { RETRY_REFUSED } else { pause };
        (self.state != HealthState::Up).then(|| {
            self.next_try = Some(now + pause);
            pause
        })
    }
}

/// Why a connection could not be opened, for readers of the server's health: without host, user and database.
pub fn why(error: &QueryError, target: &TargetSettings) -> String {
    match error {
        QueryError::Unavailable { why, .. } => {
            target.hosts.iter().fold(why.clone(), |why, host| why.replace(host.as_str(), "the host"))
        }
        QueryError::NoLogin { why, .. } => why.clone(),
        QueryError::TimedOut { clock, after } => format!("no connection within {after:?} ({})", clock.setting()),
        QueryError::Rejected(rejection) => {
            let words = match &*rejection.sqlstate {
                state if state.starts_with("28") => "the login was refused",
                "3D000" => "there is no such database",
                "53300" => "it takes no more connections",
                "08P01" => "a pooler has refused the connection",
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
