//! The cached judgements of the guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::facts::Facts;
use crate::policy::Known;
use crate::refusal::Refusal;

/// How long a judgement is cached, if the facts that it was made by hold so long. Whether a setting holds a secret is no
/// such fact.
const JUDGEMENT_LIFETIME: Duration = Duration::from_secs(30);

/// The size of the cache, and the longest text that it keeps, in bytes.
const JUDGEMENTS_MAX: usize = 1024;
const JUDGEMENT_SQL_BYTES_MAX: usize = 8 << 10;

/// What is known about a statement that only reads, or why it is refused.
pub(super) type Judgement = Result<Known, Refusal>;

/// The cached judgements, by the text of the statement.
#[derive(Default)]
pub(super) struct Judgements(Mutex<HashMap<Arc<str>, CacheEntry>>);

struct CacheEntry {
    until: Instant,
    /// The facts that it was made by, if by any.
    facts: Option<Weak<Facts>>,
    judgement: Judgement,
}

impl Judgements {
    /// The judgement of a statement, if the facts that it was made by are those that are believed now.
    pub(super) fn get(&self, sql: &str, believed: Option<&Arc<Facts>>) -> Option<Judgement> {
        let judgements = self.lock();
        let entry = judgements.get(sql)?;
        let holds = match &entry.facts {
            Some(facts) => believed.is_some_and(|believed| facts.as_ptr() == Arc::as_ptr(believed)),
            None => true,
        };
        (holds && entry.until > Instant::now()).then(|| entry.judgement.clone())
    }

    pub(super) fn remember(&self, sql: &Arc<str>, judgement: Judgement, facts: Option<&Arc<Facts>>) {
        if sql.len() > JUDGEMENT_SQL_BYTES_MAX {
            return;
        }
        let now = Instant::now();
        let mut judgements = self.lock();
        if judgements.len() >= JUDGEMENTS_MAX {
            judgements.retain(|_, entry| entry.until > now);
            if judgements.len() >= JUDGEMENTS_MAX {
                judgements.clear();
            }
        }
        judgements.insert(
            sql.clone(),
            CacheEntry { until: now + JUDGEMENT_LIFETIME, facts: facts.map(Arc::downgrade), judgement },
        );
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, CacheEntry>> {
        // No code panics while it has the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
