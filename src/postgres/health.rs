//! Whether a database can be reached: what the calls have found out by themselves, and a question of our own where that
//! is too old.
//!
//! While it is up, nothing is asked of it: every answer says that it is there. Whoever wants to know after 15 s without
//! one has an empty query sent first; so a database that nobody uses is asked four times a minute, however often its
//! health is looked at. While it is not up, it is tried again by and by, so that its return is noticed without a call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use deadpool::managed::Manager as _;
use slog::Logger;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::error::{Clock, Phase, QueryError};
use super::pool::{Admission, Generation};
use crate::log::{info, warn};
use crate::settings::PostgresSettings;

/// What is older says nothing about now.
const STALE: Duration = Duration::from_secs(15);

/// How long whoever asks for the health waits for an answer of the database, where one is needed.
const ASKER_PATIENCE: Duration = Duration::from_secs(1);

/// How long a connection may take to answer nothing but that it is there.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A failure to open a connection is no more than that, if an open one has answered so shortly before.
const JUST_NOW: Duration = Duration::from_secs(2);

/// How long after a failure it is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

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
    /// Its name.
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
    /// One attempt of our own at a time.
    asking: tokio::sync::Mutex<()>,
    /// Told when it is not up.
    trouble: Notify,
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
        let (asking, trouble) = Default::default();
        Self { known: Mutex::new(known), asking, trouble, target, log: log.clone() }
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
    pub(super) fn has_not_opened(&self, error: &QueryError, settings: &PostgresSettings, open: usize) {
        let mut known = self.known();
        known.opens = false;
        known.refused = !error.is_retryable();
        let others_answer = open > 0 && known.heard.is_some_and(|heard| heard.elapsed() < JUST_NOW);
        let state = if others_answer { State::Degraded } else { State::Down };
        self.failed(&mut known, state, why(error, settings));
    }

    /// A connection has not answered.
    fn has_not_answered(&self) {
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

    /// Wait until no other attempt of our own is under way.
    pub(super) async fn one_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking.lock().await
    }

    fn condition(&self) -> Condition {
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
    fn is_older_than(&self, age: Duration) -> bool {
        self.known().learned.is_none_or(|learned| learned.elapsed() >= age)
    }

    fn is_refused(&self) -> bool {
        let known = self.known();
        known.refused && known.state == State::Down
    }

    fn opens(&self) -> bool {
        self.known().opens
    }

    /// How long until the next try that nobody has asked for, if one is needed.
    fn retry_in(&self, pause: Duration) -> Option<Duration> {
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

impl Generation {
    /// How the database is. It is asked, where what is known of it is too old; an answer that does not come at once is
    /// not waited for.
    pub async fn condition(self: &Arc<Self>) -> Condition {
        let is_late = self.health.is_older_than(STALE) && !self.health.is_refused() && {
            let generation = self.clone();
            // On its own, so that it goes on if whoever wants to know has gone.
            let asking = tokio::spawn(async move { generation.ask(STALE, false).await });
            tokio::time::timeout(ASKER_PATIENCE, asking).await.is_err()
        };
        let mut condition = self.health.condition();
        if is_late && condition.state == State::Up {
            condition.state = State::Degraded;
            condition.since = SystemTime::now();
            condition.why = Some(format!("nothing was heard of it for {STALE:?}, and it does not answer at once"));
        }
        condition
    }

    /// Notice when the database can be reached again, for as long as the handle is kept.
    pub fn watch(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let (generation, health) = (Arc::downgrade(self), self.health.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                health.trouble.notified().await;
                let mut pause = RETRY.0;
                while let Some(until_next) = health.retry_in(pause) {
                    tokio::time::sleep(until_next).await;
                    // Held only while it is asked, for it ends with its last statement.
                    let Some(generation) = generation.upgrade() else { return };
                    // A call may have found it out meanwhile.
                    generation.ask(RETRY.0, true).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }))
    }

    /// Find out whether the database can be reached, unless somebody has, so short a time ago; and if `opening`, whether
    /// another connection can be opened, where the last could not.
    async fn ask(self: &Arc<Self>, known_for: Duration, opening: bool) {
        let _others_wait = self.health.one_at_a_time().await;
        if !self.health.is_older_than(known_for) {
            return;
        }
        // Those that have died in the pool are found one by one.
        for _ in 0..=self.settings.pool_size {
            // Where every connection is at work nothing is found out by asking.
            let Ok(lease) = self.lease(&self.ourselves, usize::MAX, Admission::Internal).await else { return };
            let asked = lease.connection().client().batch_execute("");
            match tokio::time::timeout(ANSWER_MAX, asked).await {
                Ok(Ok(())) => {
                    self.health.answered();
                    if opening && !self.health.opens() {
                        self.open_one_more().await;
                    }
                    return lease.unused();
                }
                Ok(Err(_)) => drop(lease),
                Err(_) => return self.health.has_not_answered(),
            }
        }
    }

    /// Whether another connection can be opened by now, beside the one that the asker has.
    async fn open_one_more(&self) {
        let status = self.status();
        if status.size == status.size_max {
            // No more are wanted.
            return self.health.opened();
        }
        // With those that others may open meanwhile there must not be more than the pool is large. The asker's own is
        // counted twice, and others that are at work; then calls find it out.
        let Some(_permit) = self.queue.try_acquire() else { return };
        if status.size + self.queue.in_use() > status.size_max + 1 {
            return;
        }
        let opening = tokio::time::timeout(self.settings.connect_timeout, self.pool.manager().create());
        let error = match opening.await {
            Ok(Ok(_)) => return self.health.opened(),
            Ok(Err(error)) => QueryError::of(&error, "", Phase::Connect, &self.target()),
            Err(_) => QueryError::TimedOut { clock: Clock::Connect, after: self.settings.connect_timeout },
        };
        self.health.has_not_opened(&error, &self.settings, status.size);
    }
}

/// Why a connection could not be opened, for whoever may look at the server's health: no host, user or database.
pub fn why(error: &QueryError, settings: &PostgresSettings) -> String {
    match error {
        QueryError::Unavailable { why, .. } => {
            settings.hosts.iter().fold(why.clone(), |why, host| why.replace(host.as_str(), "the host"))
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
