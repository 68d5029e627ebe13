//! The owner of the set of databases. The test sends it messages and plays the executors.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use mcp_server_postgres::actors::databases::{Databases, Start, StartedExecutor};
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::admin::{CallsInFlight, CancelCall, DatabaseProbe, Ping, Status};
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::database::{Database, DatabaseSet, DatabaseSummary};
use mcp_server_postgres::messages::events::SettingsChanged;
use mcp_server_postgres::messages::statements::{CloseCursors, Fetch, OpenFailure, OpenPool};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::statement::Limits;
use mcp_server_postgres::settings::{AccessMode, DatabaseSettings, Settings};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::scripted::{Script, scripted};
use crate::common::{PATIENCE, no_log, settings};

/// A started executor, played by the test.
struct Played {
    name: String,
    start: Start,
    opens: Script<OpenPool>,
    changes: Script<SettingsChanged>,
    closes: Script<CloseCursors>,
    fetches: Script<Fetch>,
    may_end: CancellationToken,
    _summary: watch::Sender<DatabaseSummary>,
    _statuses: (Recipient<Status>, Recipient<CancelCall>),
    /// Keeps the executor. It is dropped when the last call has ended.
    calls: Option<Recipient<CallsInFlight>>,
}

struct World {
    owner: Addr<Databases>,
    set: watch::Receiver<Arc<DatabaseSet>>,
    started: mpsc::UnboundedReceiver<Played>,
    settings: Arc<Settings>,
}

/// The name of a database with settings that cannot be used.
const USELESS: &str = "useless";

fn start(sender: &mpsc::UnboundedSender<Played>, name: &str, start: Start) -> StartedExecutor {
    let ((query, _), (fetch, fetches), (batch, _)) = (scripted(), scripted(), scripted());
    let ((status, _), (calls, _), (cancel, _)) = (scripted(), scripted(), scripted());
    let ((open_pool, opens), (settings_changed, changes), (close_cursors, closes)) =
        (scripted(), scripted(), scripted());
    let (show, summary) = watch::channel(DatabaseSummary { access: AccessMode::ReadOnly, is_structured: true });
    let may_end = CancellationToken::new();
    let probe = DatabaseProbe {
        name: name.into(),
        status: status.downgrade(),
        calls: calls.downgrade(),
        cancel: cancel.downgrade(),
    };
    let (inspect, close_cursors_of) = (scripted().0, scripted().0);
    let database =
        Database { name: name.into(), query, fetch, batch, inspect, close_cursors: close_cursors_of, summary };
    sender
        .send(Played {
            name: name.to_owned(),
            start,
            opens,
            changes,
            closes,
            fetches,
            may_end: may_end.clone(),
            _summary: show,
            _statuses: (status, cancel),
            calls: Some(calls),
        })
        .unwrap();
    StartedExecutor {
        database: Arc::new(database),
        probe,
        open_pool,
        settings_changed,
        close_cursors,
        may_end: may_end.drop_guard(),
    }
}

impl World {
    /// The main database and these ones are in the settings from the start.
    fn new(names: &[&str]) -> Self {
        let mut settings = settings();
        names.iter().for_each(|name| add(&mut settings, name));
        let (sender, started) = mpsc::unbounded_channel();
        let starts = move |name: &str, settings: &Settings, how| {
            let (postgres, _) = settings.database(name).unwrap();
            match postgres.target.database.as_str() {
                USELESS => Err("no certificate".to_owned()),
                _ => Ok(start(&sender, name, how)),
            }
        };
        let databases = Databases::new(&settings, Box::new(starts), &no_log()).unwrap();
        let set = databases.set();
        Self { owner: databases.start(), set, started, settings: Arc::new(settings) }
    }

    /// Waits until the next executor is started.
    async fn started(&mut self) -> Played {
        tokio::time::timeout(PATIENCE, self.started.recv()).await.expect("none was started").unwrap()
    }

    async fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut new = (*self.settings).clone();
        change(&mut new);
        let (old, new) = (std::mem::replace(&mut self.settings, Arc::new(new.clone())), Arc::new(new));
        self.owner.send(SettingsChanged { old, new }).await.unwrap();
    }

    /// The names of the served databases.
    fn served(&self) -> Vec<String> {
        self.set.borrow().served.iter().map(|database| database.name.to_string()).collect()
    }

    /// The pending databases, each with its reason.
    fn pending(&self) -> Vec<(String, String)> {
        let set = self.set.borrow();
        set.pending.iter().map(|pending| (pending.name.to_string(), pending.why.clone())).collect()
    }

    /// Waits until these databases are served.
    async fn until_served(&mut self, names: &[&str]) {
        let is_so =
            |set: &Arc<DatabaseSet>| set.served.iter().map(|database| &*database.name).eq(names.iter().copied());
        let waiting = self.set.wait_for(is_so);
        let waited = tokio::time::timeout(PATIENCE, waiting).await.map(|set| set.is_ok());
        assert_eq!(waited, Ok(true), "{:?} are served", self.served());
    }
}

fn add(settings: &mut Settings, name: &str) {
    let database = DatabaseSettings { postgres: settings.postgres.clone(), access: AccessMode::ReadOnly };
    settings.more_databases.insert(name.to_owned(), database);
}

fn failure(why: &str, is_retryable: bool) -> Result<(), OpenFailure> {
    Err(OpenFailure { why: why.to_owned(), is_retryable })
}

/// A call to this database.
fn fetch(database: &Database) -> RecipientRequest<Fetch> {
    let call = CallContext::new("fetch_rows", Caller::stdio());
    let limits = Limits { rows_max: 1, bytes_max: 1 };
    database.fetch.send(Fetch { call, cursor: "stock:1".to_owned(), limits, format: None })
}

fn answer() -> QueryError {
    QueryError::refused("the answer of a call")
}

#[actix_rt::test]
async fn all_databases_are_served_from_the_start_and_the_main_one_is_the_first() {
    let mut world = World::new(&["aardvark", "stock"]);
    for name in ["main", "aardvark", "stock"] {
        let mut played = world.started().await;
        assert_eq!((played.name.as_str(), played.start), (name, Start::Served));
        assert!(played.opens.is_silent(), "it opens its connections by itself");
    }
    assert_eq!(world.served(), ["main", "aardvark", "stock"]);
    world.owner.send(Ping).await.unwrap();
}

#[actix_rt::test]
async fn a_database_that_a_reload_adds_is_in_the_set_when_its_connections_are_open() {
    let mut world = World::new(&["stock"]);
    let (mut main, mut stock) = (world.started().await, world.started().await);
    world.change(|settings| add(settings, "shop")).await;
    let mut shop = world.started().await;
    assert_eq!((shop.name.as_str(), shop.start), ("shop", Start::Pending));
    let opening = shop.opens.next().await;
    assert_eq!(world.served(), ["main", "stock"]);
    assert_eq!(world.pending(), [("shop".to_owned(), "it was not reached yet".to_owned())]);
    opening.answer(Ok(()));
    world.until_served(&["main", "shop", "stock"]).await;
    assert!(world.pending().is_empty());
    // The other executors have received the changed settings and nothing else.
    for other in [&mut main, &mut stock] {
        other.changes.next().await;
        assert!(other.opens.is_silent() && other.closes.is_silent() && !other.may_end.is_cancelled());
    }
    assert!(shop.changes.is_silent(), "it was started with them");
}

#[actix_rt::test]
async fn an_unreachable_database_is_tried_again_with_longer_pauses_and_served_when_it_is_reached() {
    tokio::time::pause();
    let mut world = World::new(&[]);
    world.started().await;
    world.change(|settings| add(settings, "shop")).await;
    let mut shop = world.started().await;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        shop.opens.next().await.answer(failure("nobody answers", true));
        let before = Instant::now();
        world.set.wait_for(|set| set.pending[0].next_try.is_some()).await.unwrap();
        assert_eq!(world.pending(), [("shop".to_owned(), "nobody answers".to_owned())]);
        assert_eq!(world.set.borrow().pending[0].next_try, Some(before + Duration::from_secs(pause)));
        tokio::time::sleep_until(before + Duration::from_secs(pause) - Duration::from_millis(1)).await;
        assert!(shop.opens.is_silent());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(!shop.opens.is_silent(), "after {pause} s");
    }
    shop.opens.next().await.answer(Ok(()));
    world.until_served(&["main", "shop"]).await;
    assert!(!shop.may_end.is_cancelled(), "it is the same executor all the time");
}

#[actix_rt::test]
async fn a_refused_login_is_tried_again_by_the_next_reload_and_not_before() {
    tokio::time::pause();
    let mut world = World::new(&[]);
    world.started().await;
    world.change(|settings| add(settings, "shop")).await;
    let mut first = world.started().await;
    first.opens.next().await.answer(failure("the login was refused", false));
    world.set.wait_for(|set| set.pending[0].why == "the login was refused").await.unwrap();
    assert_eq!(world.set.borrow().pending[0].next_try, None);
    let since = world.set.borrow().pending[0].since;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(first.opens.is_silent());
    world.change(|settings| settings.limits.rows_max = 7).await;
    assert!(first.may_end.is_cancelled());
    let mut second = world.started().await;
    let opening = second.opens.next().await;
    assert_eq!(world.set.borrow().pending[0].since, since);
    opening.answer(Ok(()));
    world.until_served(&["main", "shop"]).await;
}

#[actix_rt::test]
async fn a_database_with_invalid_settings_is_pending_until_they_change() {
    let mut world = World::new(&[]);
    world.started().await;
    world
        .change(|settings| {
            add(settings, "shop");
            settings.more_databases.get_mut("shop").unwrap().postgres.target.database = USELESS.to_owned();
        })
        .await;
    assert_eq!(world.pending(), [("shop".to_owned(), "its settings cannot be used: see the log".to_owned())]);
    world.change(|settings| add(settings, "shop")).await;
    world.started().await.opens.next().await.answer(Ok(()));
    world.until_served(&["main", "shop"]).await;
}

#[actix_rt::test]
async fn a_call_in_flight_at_a_removed_database_is_answered_and_then_its_executor_may_end() {
    let mut world = World::new(&["stock"]);
    let (mut main, mut stock) = (world.started().await, world.started().await);
    let database = world.set.borrow().served[1].clone();
    let call = fetch(&database);
    let asked = stock.fetches.next().await;
    assert!(!stock.may_end.is_cancelled());
    world.change(|settings| drop(settings.more_databases.remove("stock"))).await;
    assert_eq!(world.served(), ["main"]);
    stock.closes.next().await;
    assert!(stock.may_end.is_cancelled() && stock.changes.is_silent());
    assert_eq!(world.set.borrow().removed, ["stock".into()]);
    // The monitoring sees the calls of a removed database until the last one has ended.
    assert!(world.set.borrow().draining[0].calls.upgrade().is_some());
    asked.answer(Err(answer()));
    assert_eq!(call.await.unwrap(), Err(answer()));
    assert_eq!(Arc::strong_count(&database), 1, "nobody but the call has kept it");
    drop((database, stock.calls.take()));
    world.change(|settings| settings.limits.rows_max = 7).await;
    assert!(world.set.borrow().draining.is_empty());
    main.changes.next().await;
    assert!(main.closes.is_silent() && !main.may_end.is_cancelled());
}

#[actix_rt::test]
async fn a_database_that_is_added_again_while_it_drains_gets_a_new_executor() {
    let mut world = World::new(&["stock"]);
    let (_main, mut older) = (world.started().await, world.started().await);
    let database = world.set.borrow().served[1].clone();
    let call = fetch(&database);
    let asked = older.fetches.next().await;
    world.change(|settings| drop(settings.more_databases.remove("stock"))).await;
    world.change(|settings| add(settings, "stock")).await;
    let mut newer = world.started().await;
    newer.opens.next().await.answer(Ok(()));
    world.until_served(&["main", "stock"]).await;
    let set = world.set.borrow().clone();
    assert!(!Arc::ptr_eq(&set.served[1], &database) && set.removed.is_empty());
    assert_eq!(set.draining.len(), 1);
    let other = fetch(&set.served[1]);
    newer.fetches.next().await.answer(Err(answer()));
    assert_eq!(other.await.unwrap(), Err(answer()));
    asked.answer(Err(answer()));
    assert_eq!(call.await.unwrap(), Err(answer()));
    assert!(older.may_end.is_cancelled() && !newer.may_end.is_cancelled());
}

#[actix_rt::test]
async fn of_two_reloads_in_a_row_the_newest_counts() {
    let mut world = World::new(&[]);
    world.started().await;
    world.change(|settings| add(settings, "shop")).await;
    let mut first = world.started().await;
    let opening = first.opens.next().await;
    world
        .change(|settings| {
            settings.more_databases.get_mut("shop").unwrap().access = AccessMode::ReadWrite;
            add(settings, "stock");
        })
        .await;
    // Nobody waits for the first executor any more.
    opening.dropped().await;
    assert!(first.may_end.is_cancelled());
    let (mut shop, mut stock) = (world.started().await, world.started().await);
    assert_eq!(world.set.borrow().pending[0].access, AccessMode::ReadWrite);
    stock.opens.next().await.answer(Ok(()));
    world.until_served(&["main", "stock"]).await;
    // A database that is removed before it was served leaves nothing.
    world.change(|settings| drop(settings.more_databases.remove("shop"))).await;
    shop.opens.next().await.dropped().await;
    assert!(shop.may_end.is_cancelled());
    let set = world.set.borrow().clone();
    assert_eq!((set.served.len(), set.pending.len(), set.draining.len(), set.removed.len()), (2, 0, 0, 0));
}

#[actix_rt::test]
async fn a_changed_access_mode_reaches_the_executor_and_does_not_change_the_set() {
    let mut world = World::new(&["stock"]);
    let (_main, mut stock) = (world.started().await, world.started().await);
    let before = world.set.borrow().clone();
    world.change(|settings| settings.more_databases.get_mut("stock").unwrap().access = AccessMode::ReadWrite).await;
    let change = stock.changes.next().await.message;
    assert_eq!(change.new.database("stock").unwrap().1, AccessMode::ReadWrite);
    let after = world.set.borrow().clone();
    assert!(before.served.iter().zip(&after.served).all(|(before, after)| Arc::ptr_eq(before, after)));
    assert!(world.started.try_recv().is_err() && !stock.may_end.is_cancelled());
}

#[actix_rt::test]
async fn at_the_end_every_cursor_is_closed_before_the_reply() {
    let mut world = World::new(&["stock"]);
    let (mut main, mut stock) = (world.started().await, world.started().await);
    let closing = actix_rt::spawn(world.owner.send(CloseCursors));
    main.closes.next().await.answer(());
    let last = stock.closes.next().await;
    assert!(!closing.is_finished());
    last.answer(());
    closing.await.unwrap().unwrap();
}
