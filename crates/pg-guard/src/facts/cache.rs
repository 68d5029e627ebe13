//! Keeps the facts of a database, and notices that its catalogs have changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Error};

use super::Facts;
use super::load::{Session, SessionFacts, fingerprint, load};

/// How long the facts are believed without a look at the catalogs. A new object is noticed at once, because its name is
/// not known; a changed one within this time.
const BELIEVED: Duration = Duration::from_secs(5);

/// The facts of one database, for all connections to it.
#[derive(Default)]
pub(crate) struct FactsCache {
    state: Mutex<State>,
    /// One connection at a time reads the facts; the others wait for them.
    reading: tokio::sync::Mutex<()>,
    /// The names of functions of PostgreSQL whose overloads matter.
    with_overloads: Vec<String>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// Facts that were seen before this time are not believed.
    expired: Option<Instant>,
}

#[derive(Clone)]
struct Kept {
    facts: Arc<Facts>,
    fingerprint: Option<String>,
    /// When the catalogs were last looked at.
    seen: Instant,
}

impl FactsCache {
    pub(crate) fn new(with_overloads: Vec<String>) -> Self {
        Self { with_overloads, ..Self::default() }
    }

    /// The facts, if they can be believed now.
    pub(crate) fn believed(&self) -> Option<Arc<Facts>> {
        let state = self.lock();
        let Kept { facts, seen, .. } = state.kept.as_ref()?;
        let holds = seen.elapsed() < BELIEVED && state.expired.is_none_or(|expired| *seen > expired);
        holds.then(|| facts.clone())
    }

    /// The facts as they are believed, or as they are now if `is_now`.
    ///
    /// # Errors
    /// An error of the driver.
    pub(crate) async fn get(&self, client: &Client, session: &SessionFacts, is_now: bool) -> Result<Arc<Facts>, Error> {
        let session = session.get(client).await?;
        let is_of_session = |facts: &Facts| session.path.iter().all(|schema| facts.path.contains(schema));
        let asked = Instant::now();
        if !is_now && let Some(facts) = self.believed().filter(|facts| is_of_session(facts)) {
            return Ok(facts);
        }
        let _reading = self.reading.lock().await;
        let before = self.lock().kept.clone().filter(|kept| is_of_session(&kept.facts));
        // Another connection may have looked meanwhile.
        if let Some(Kept { facts, seen, .. }) = &before
            && *seen > asked
        {
            return Ok(facts.clone());
        }
        let seen = Instant::now();
        let fingerprint = fingerprint(client).await?;
        let facts = match before {
            Some(before) if before.fingerprint == fingerprint => before.facts,
            _ => self.read(client, session).await?,
        };
        self.lock().kept = Some(Kept { facts: facts.clone(), fingerprint, seen });
        Ok(facts)
    }

    /// Reads the facts. What changes meanwhile has another fingerprint, so it is read again.
    async fn read(&self, client: &Client, session: &Session) -> Result<Arc<Facts>, Error> {
        // Sessions can have different paths. A name may mean what it means in any of them.
        let mut path = self.lock().kept.as_ref().map(|kept| kept.facts.path.clone()).unwrap_or_default();
        let further: Vec<String> = session.path.iter().filter(|schema| !path.contains(schema)).cloned().collect();
        path.extend(further);
        Ok(Arc::new(load(client, session, path, &self.with_overloads).await?))
    }

    /// The catalogs may have changed: they are looked at before the facts are believed again.
    pub(crate) fn expire(&self) {
        self.lock().expired = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it has the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
