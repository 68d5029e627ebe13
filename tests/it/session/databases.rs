//! A client that may ask several databases: which one a call is brought to.

use mcp_server_postgres::mcp::instructions::for_client;
use std::sync::Arc;
use std::time::SystemTime;

use actix::prelude::*;
use mcp_server_postgres::actors::clients::access::ClientAccess;
use mcp_server_postgres::actors::session::Session;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::mcp::calls::Calls;
use mcp_server_postgres::mcp::server::Server;
use mcp_server_postgres::messages::ask::CannotAsk;
use mcp_server_postgres::messages::call::Call;
use mcp_server_postgres::messages::database::{
    ClientDatabases, Database, DatabaseSet, DatabaseSummary, PendingDatabase,
};
use mcp_server_postgres::messages::events::Events;
use mcp_server_postgres::messages::metrics::MetricsHandle;
use mcp_server_postgres::messages::statements::{Fetch, Query};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::AccessMode;
use rmcp::ServiceExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::common::databases::set_of;
use crate::common::scripted::{Script, scripted};
use crate::common::{no_log, settings, until};
use crate::session::world::{BATCH, FETCH, QUERY, SUMMARY, answer_of, done};

struct World {
    session: Addr<Session>,
    offer: ClientAccess,
    set: watch::Sender<Arc<DatabaseSet>>,
    databases: Vec<(Script<Query>, Script<Fetch>, watch::Sender<DatabaseSummary>)>,
}

impl World {
    fn new(names: &[&str], caller: Caller) -> Self {
        let (mut databases, mut neighbours) = (Vec::new(), Vec::new());
        for &name in names {
            let ((query, queries), (fetch, fetches)) = (scripted(), scripted());
            let (show, summary) = watch::channel(DatabaseSummary { access: AccessMode::ReadOnly, is_structured: true });
            let (batch, close_cursors) = (scripted().0, scripted().0);
            databases.push(Database {
                name: name.into(),
                query,
                fetch,
                batch,
                inspect: scripted().0,
                close_cursors,
                summary,
            });
            neighbours.push((queries, fetches, show));
        }
        let set = set_of(databases);
        let databases = ClientDatabases::all(set.subscribe());
        let offer = ClientAccess::new(&caller, databases.clone());
        let metrics = MetricsHandle { summary: scripted().0, slow_queries: scripted().0 };
        let session = Session::new(&settings(), caller, databases, metrics, Events::default(), &no_log()).start();
        Self { session, offer, set, databases: neighbours }
    }

    fn call(&self, tool: &str, arguments: Value) -> actix::dev::Request<Session, Call> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let arguments = arguments.into();
        self.session.send(Call {
            tool: tool.to_owned(),
            arguments,
            progress: Progress::default(),
            trace: None,
            permit: None,
            client: Arc::new(CannotAsk::NoClient),
        })
    }

    fn show(&self, database: usize, access: AccessMode) {
        self.databases[database].2.send_modify(|shown| shown.access = access);
    }
}

#[actix_rt::test]
async fn a_call_goes_to_the_database_that_it_names_and_else_to_the_first() {
    let mut world = World::new(&["main", "stock"], Caller::stdio());
    for (arguments, database) in [
        (json!({"query": "select 1"}), 0),
        (json!({"query": "select 1", "database": null}), 0),
        (json!({"query": "select 1", "database": "main"}), 0),
        (json!({"query": "select 1", "database": "stock"}), 1),
    ] {
        let call = world.call(QUERY, arguments);
        world.databases[database].0.next().await.answer(done());
        assert!(!answer_of(call).await.is_error);
    }
    for (cursor, database) in [("0123", 0), ("stock:0123", 1)] {
        let call = world.call(FETCH, json!({ "cursor": cursor }));
        let asked = world.databases[database].1.next().await;
        assert_eq!(asked.message.cursor, cursor);
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn a_database_that_a_client_may_not_ask_is_not_there_for_it() {
    let world = World::new(&["stock", "shop"], Caller::stdio());
    for (tool, arguments, expected) in [
        (
            QUERY,
            json!({"query": "select 1", "database": "main"}),
            "there is no database \"main\" for this client; there are stock, shop.",
        ),
        (
            BATCH,
            json!({"queries": [{"query": "select 1"}], "database": 1}),
            "`database` must be a string; there are stock, shop.",
        ),
        (FETCH, json!({"cursor": "main:0123"}), "there is no database \"main\" for this client"),
        (SUMMARY, json!({"database": "stock"}), "`database` is unknown: this tool takes no arguments"),
    ] {
        let answer = answer_of(world.call(tool, arguments)).await;
        assert!(answer.is_error && answer.whole_text().contains(expected), "{}", answer.whole_text());
    }
    let alone = World::new(&["stock"], Caller::stdio());
    let answer = answer_of(alone.call(QUERY, json!({"query": "select 1", "database": "stock"}))).await;
    assert!(answer.is_error && answer.whole_text().contains("`database` is unknown"), "{}", answer.whole_text());
}

#[actix_rt::test]
async fn a_client_is_told_of_its_databases_and_of_what_it_may_do_there() {
    let mut world = World::new(&["main", "stock"], Caller::stdio());
    world.show(1, AccessMode::ReadWrite);
    let instructions = for_client(&world.offer);
    for part in [
        "Tools for 2 PostgreSQL databases; a call names its `database`, or means main.",
        " main is in read-only mode: statements that change anything are refused by PostgreSQL.",
        " stock is in read-write mode: statements take effect at once.",
    ] {
        assert!(instructions.contains(part), "{instructions}");
    }
    // It waits for a change of what all of them together allow.
    let mut known = world.offer.now();
    assert_eq!(known.access, AccessMode::ReadWrite);
    world.show(0, AccessMode::ReadWrite);
    world.show(1, AccessMode::ReadOnly);
    let mut offer = world.offer.clone();
    let change = actix_rt::spawn(async move { offer.changed(&mut known).await.map(|()| known.access) });
    tokio::task::yield_now().await;
    assert!(!change.is_finished());
    world.show(0, AccessMode::ReadOnly);
    assert_eq!(change.await.unwrap(), Some(AccessMode::ReadOnly));
    let mut known = world.offer.now();
    drop(world.set);
    assert_eq!(world.offer.changed(&mut known).await, None);

    // A client that may only read is offered nothing else.
    let reader = Caller { name: "reader".into(), access: AccessMode::ReadOnly, ..Caller::stdio() };
    let world = World::new(&["main"], reader);
    world.show(0, AccessMode::ReadWrite);
    assert_eq!(world.offer.now().access, AccessMode::ReadOnly);
    assert!(
        for_client(&world.offer).starts_with("Tools for one PostgreSQL database. This server is in read-only mode")
    );
}

#[actix_rt::test]
async fn of_a_client_that_has_left_nothing_waits_for_a_changed_mode() {
    let world = World::new(&["main"], Caller::stdio());
    let before = world.databases[0].2.receiver_count();
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    let (stopping, calls) = (CancellationToken::new(), Calls::new(world.session.clone().recipient()));
    let server = Server::new(calls, world.offer.clone(), stopping.clone(), stopping);
    let serving = actix_rt::spawn(async move { server.serve(ours).await.unwrap().waiting().await });
    let client = ().serve(theirs).await.unwrap();
    // What waits has come; it holds a receiver of its own.
    until("somebody waits", async || world.databases[0].2.receiver_count() > before).await;
    client.cancel().await.unwrap();
    let _ = serving.await.unwrap();
    until("nobody waits", async || world.databases[0].2.receiver_count() == before).await;
}

/// A client that may ask these databases of the set, with its session.
fn client_of(world: &World, names: &[&str]) -> (Addr<Session>, ClientAccess) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let databases = ClientDatabases::named(&names, world.set.subscribe());
    let caller = Caller { name: "bearer".into(), ..Caller::stdio() };
    let offer = ClientAccess::new(&caller, databases.clone());
    let metrics = MetricsHandle { summary: scripted().0, slow_queries: scripted().0 };
    (Session::new(&settings(), caller, databases, metrics, Events::default(), &no_log()).start(), offer)
}

fn call_of(session: &Addr<Session>, tool: &str, arguments: Value) -> actix::dev::Request<Session, Call> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    session.send(Call {
        tool: tool.to_owned(),
        arguments: arguments.into(),
        progress: Progress::default(),
        trace: None,
        permit: None,
        client: Arc::new(CannotAsk::NoClient),
    })
}

#[actix_rt::test]
async fn a_database_that_comes_and_goes_is_there_for_those_who_may_ask_it_and_for_nobody_else() {
    let mut world = World::new(&["main", "shop", "stock"], Caller::stdio());
    let all = world.set.borrow().served.clone();
    let serve = |world: &World, at: &[usize], removed: &[&str]| {
        let served = at.iter().map(|&at| all[at].clone()).collect();
        let removed = removed.iter().map(|&name| name.into()).collect();
        world.set.send_replace(Arc::new(DatabaseSet { served, removed, ..DatabaseSet::default() }));
    };
    serve(&world, &[0], &[]);
    let (stock_session, mut stock_offer) = client_of(&world, &["stock"]);
    let (both_session, mut both_offer) = client_of(&world, &["main", "stock"]);
    let (_, mut shop_offer) = client_of(&world, &["main", "shop"]);
    let (mut stock_known, mut both_known, mut shop_known) = (stock_offer.now(), both_offer.now(), shop_offer.now());
    assert!(stock_known.databases.is_empty());
    assert!(for_client(&stock_offer).starts_with("Tools for PostgreSQL databases, none of which is served now."));
    let answer = answer_of(call_of(&stock_session, QUERY, json!({"query": "select 1"}))).await;
    assert!(answer.is_error && answer.whole_text().contains("no database that this client may ask is served now"));

    let told = actix_rt::spawn(async move { shop_offer.changed(&mut shop_known).await });
    serve(&world, &[0, 2], &[]);
    stock_offer.changed(&mut stock_known).await.unwrap();
    assert_eq!(stock_known.databases, ["stock".into()]);
    both_offer.changed(&mut both_known).await.unwrap();
    assert_eq!(both_known.databases, ["main".into(), "stock".into()]);
    tokio::task::yield_now().await;
    assert!(!told.is_finished(), "nothing has changed for a client of another database");
    for (session, arguments, database) in [
        (&stock_session, json!({"query": "select 1"}), 2),
        (&both_session, json!({"query": "select 1"}), 0),
        (&both_session, json!({"query": "select 1", "database": "stock"}), 2),
    ] {
        let call = call_of(session, QUERY, arguments);
        world.databases[database].0.next().await.answer(done());
        assert!(!answer_of(call).await.is_error);
    }

    // A call in flight is answered though its database is removed meanwhile.
    let under_way = call_of(&both_session, QUERY, json!({"query": "select 1", "database": "stock"}));
    let asked = world.databases[2].0.next().await;
    serve(&world, &[0], &["stock"]);
    both_offer.changed(&mut both_known).await.unwrap();
    assert_eq!(both_known.databases, ["main".into()]);
    asked.answer(done());
    assert!(!answer_of(under_way).await.is_error);
    for (tool, arguments, expected) in [
        (
            QUERY,
            json!({"query": "select 1", "database": "stock"}),
            "there is no database \"stock\" for this client; there are main.",
        ),
        (
            FETCH,
            json!({"cursor": "stock:0123"}),
            "this cursor was closed when the database \"stock\" was removed; there are main.",
        ),
    ] {
        let answer = answer_of(call_of(&both_session, tool, arguments)).await;
        assert!(answer.is_error && answer.whole_text().contains(expected), "{}", answer.whole_text());
    }
    // A client that has not read its list of tools again names the one that is left, and is right.
    let call = call_of(&both_session, QUERY, json!({"query": "select 1", "database": "main"}));
    world.databases[0].0.next().await.answer(done());
    assert!(!answer_of(call).await.is_error);
    // And what is pending is said to be.
    world.set.send_modify(|set| {
        let pending = PendingDatabase {
            name: "stock".into(),
            access: AccessMode::ReadOnly,
            since: SystemTime::UNIX_EPOCH,
            why: "nobody answers".to_owned(),
            next_try: None,
        };
        Arc::make_mut(set).pending.push(pending);
    });
    let answer = answer_of(call_of(&both_session, QUERY, json!({"query": "select 1", "database": "stock"}))).await;
    assert!(
        answer.whole_text().contains("the database \"stock\" cannot be reached yet; there are main."),
        "{}",
        answer.whole_text()
    );
}
