//! A laboratory: a PostgreSQL with something to lose, in which every harm of [`Fact`] is seen.
//!
//! Our server is not in it. A statement is sent by the driver as the superuser; what it changed in the database is
//! undone by a fresh copy of a template, and the rest by hand. What it did to roles and databases stays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, TryStreamExt};
use pg_private::{Options, PrivateCluster};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, SimpleQueryMessage};

use crate::common::until;
use crate::common::versions::{lines_for, version};
use crate::guard::attack::{Attack, Fact, Harm, Sent};

/// A file in the server's data folder.
pub const FILE: &str = "CANARY-IN-A-FILE";
/// The name of that file, which a listing of the folder shows.
pub const FILE_NAME: &str = "canary.txt";
/// Its size, which nothing else has.
pub const FILE_BYTES: &str = "31337";
/// A role's password, as the catalogue holds it.
pub const HASH: &str = "md5ca4a21ca4a21ca4a21ca4a21ca4a21ca";
/// The password of a foreign server.
pub const FOREIGN_PASSWORD: &str = "CANARY-OF-A-FOREIGN-SERVER";
/// The password of a subscription's publisher.
pub const PUBLISHER_PASSWORD: &str = "CANARY-OF-A-PUBLISHER";
/// The password of the primary that a standby would follow.
pub const PRIMARY_PASSWORD: &str = "CANARY-OF-A-PRIMARY";
/// A secret among a role's settings.
pub const ROLE_SECRET: &str = "CANARY-OF-A-ROLE";
/// In the text of another session's statement.
pub const OTHER_SQL: &str = "CANARY-OF-ANOTHER-SESSION";

/// The database that statements run in.
const DATABASE: &str = "lab";

/// A statement that takes longer has failed. Far longer than any does.
const STATEMENT_MAX: Duration = Duration::from_secs(10);

/// One that sleeps is ended after this, in milliseconds.
const NAP_MS: u32 = 100;

/// What a session has before each statement, so that losing it is seen.
const FURNITURE: &str = "set work_mem = '5MB'; set app.tenant = '42'; prepare kept as select 1; \
                         declare kept cursor with hold for select 1; listen kept; select pg_advisory_lock(77)";

/// Every row, by its transaction where rows are many and only ever written anew, by its text elsewhere.
const DATA: &str = "select md5(string_agg(c.oid::text || query_to_xml(format(case when c.relnamespace = 'pg_catalog'::regnamespace \
                    and c.relname not in ('pg_class', 'pg_database', 'pg_authid', 'pg_largeobject', 'pg_db_role_setting') \
                    then 'select count(*), sum(xmin::text::int8) from %s' \
                    else 'select count(*), sum(hashtextextended(t::text, 0)) from (select * from %s) t' end, c.oid::regclass), \
                    true, true, '')::text, ',' order by c.oid)) from pg_class c \
                    where c.relkind in ('r', 'm', 'S') and c.relnamespace <> 'pg_toast'::regnamespace and c.relpersistence <> 't' and c.relispopulated";

const SERVER: &str = "select \
    (select string_agg(concat_ws(' ', slot_name, restart_lsn, confirmed_flush_lsn), ',' order by slot_name) from pg_replication_slots), \
    (select string_agg(gid, ',') from pg_prepared_xacts), \
    (select checkpoint_lsn from pg_control_checkpoint()), \
    pg_walfile_name(pg_current_wal_insert_lsn()), \
    concat_ws(' ', (select stats_reset from pg_stat_database where datname = current_database()), \
        (select stats_reset from pg_stat_bgwriter), (select stats_reset from pg_stat_wal), \
        (select stats_reset from pg_stat_archiver), (select max(stats_reset) from pg_stat_slru), \
        (select stats_reset from tools.pg_stat_statements_info)), \
    pg_conf_load_time(), pg_current_logfile(), \
    (select string_agg(concat_ws(' ', pid, state), ',') from pg_stat_activity where application_name = 'victim')";

const INDEXES: &str = "select n_pending_pages, pg_relation_size('tall', 'vm'), \
    (select string_agg(concat(blknum, value), ',') from brin_page_items(get_raw_page('tall_brin', 2), 'tall_brin')) \
    from gin_metapage_info(get_raw_page('wide_gin', 0))";

/// What is not flushed yet cannot be searched.
const MARKS: &str = "select case when pg_current_wal_flush_lsn() > '{since}' then \
    (select nullif(count(*), 0) from tools.{records} \
     where record_type = 'RESTORE_POINT' or resource_manager = 'LogicalMessage') end";

const SERVER_FACTS: [Fact; 8] = [
    Fact::Slots,
    Fact::TwoPhase,
    Fact::Checkpoint,
    Fact::WalFile,
    Fact::Statistics,
    Fact::Configuration,
    Fact::LogFile,
    Fact::Victim,
];

const SESSION_FACTS: [Fact; 6] =
    [Fact::Settings, Fact::Role, Fact::Prepared, Fact::Cursors, Fact::Channels, Fact::Transaction];

const SESSION: &str = "select \
    (select md5(string_agg(name || '=' || setting, ',' order by name)) from pg_settings) || current_setting('app.tenant', true), \
    concat_ws(' ', session_user, current_user), \
    (select string_agg(name, ',' order by name) from pg_prepared_statements where from_sql), \
    (select string_agg(name, ',' order by name) from pg_cursors), \
    (select string_agg(name, ',' order by name) from pg_listening_channels() name), \
    now() = statement_timestamp()";

/// What was seen.
pub type Facts = BTreeMap<Fact, String>;

/// The laboratory.
pub struct Lab {
    /// In the database `postgres`.
    root: Client,
    /// In the database of the statements, where it listens.
    observer: Client,
    notifications: Arc<AtomicUsize>,
    /// What `random()` gives after `setseed(0.5)`.
    seed: String,
    /// Where the write-ahead log was when its marks began to matter; empty while they do not.
    marks_since: String,
    /// A digest of all data, with the end of the write-ahead log before it was taken.
    last: RefCell<Option<(Vec<String>, String)>>,
    pub version: u32,
    cluster: PrivateCluster,
}

/// What became of a statement.
#[derive(Default)]
struct Ran {
    values: Vec<String>,
    statements: usize,
    error: Option<Error>,
}

impl Lab {
    pub async fn start() -> Self {
        let file = format!("{FILE}\n{}", "x".repeat(FILE_BYTES.parse::<usize>().unwrap() - FILE.len() - 1));
        let cluster = Options::new()
            .setting("shared_preload_libraries", "pg_stat_statements")
            .setting("wal_level", "logical")
            .setting("max_prepared_transactions", "4")
            .setting("logging_collector", "on")
            // A new file is begun by nobody but who asks for it.
            .setting("log_rotation_size", "0")
            .setting("log_rotation_age", "0")
            .setting("log_filename", "postgresql-%Y-%m-%d_%H%M%S.log") // adminpack wants this one
            .setting("log_timezone", "UTC")
            .setting("autovacuum", "off")
            .setting("checkpoint_timeout", "1h")
            .setting("jit", "off")
            .setting("primary_conninfo", &format!("host=elsewhere password={PRIMARY_PASSWORD}"))
            .file(FILE_NAME, file)
            .file("spare.txt", "spare")
            .start()
            .unwrap();
        let notifications = Arc::<AtomicUsize>::default();
        let root = connect(&cluster, "postgres", "lab", &notifications).await;
        root.batch_execute("create database lab_template").await.unwrap();
        let template = connect(&cluster, "lab_template", "lab", &notifications).await;
        let version = version(&root).await;
        let schema = lines_for(version, include_str!("lab.sql")).replace("{port}", &cluster.port().to_string());
        let schema = schema.replace("{hash}", HASH).replace("{foreign}", FOREIGN_PASSWORD);
        let schema = schema.replace("{setting}", ROLE_SECRET);
        template
            .batch_execute(&schema.replace("{publisher}", PUBLISHER_PASSWORD).replace("{other}", OTHER_SQL))
            .await
            .unwrap_or_else(|error| panic!("lab.sql: {error:?}"));
        // Only a table that was vacuumed has a visibility map.
        template.batch_execute("vacuum tall").await.unwrap();
        template.batch_execute("select setseed(0.5)").await.unwrap();
        let seed = first(&template, "select random()").await.remove(0);
        end(&root, template).await;
        create(&root).await;
        let observer = observe(&cluster, &notifications).await;
        let lab = Self {
            root,
            observer,
            notifications,
            seed,
            marks_since: String::new(),
            last: RefCell::default(),
            version,
            cluster,
        };
        lab.hire_a_victim().await;
        lab
    }

    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Whether this version shows that such an attack succeeded. The records of the write-ahead log can be read since 15.
    pub fn can_see(&self, harm: Harm) -> bool {
        self.version >= 15 || harm != Harm::Moves(Fact::WalMarks)
    }

    /// A text of a table, with the places of this laboratory in it.
    pub fn located(&self, sql: &str) -> String {
        sql.replace("{data}", &self.data().display().to_string()).replace("{port}", &self.port().to_string())
    }

    /// Run it, and tell what it did instead if it did not do what it is said to do.
    pub async fn prove(&mut self, attack: &Attack) -> Result<(), String> {
        let session = connect(&self.cluster, DATABASE, "session", &self.notifications).await;
        let timeout = if attack.harm == Harm::Sleeps { NAP_MS } else { STATEMENT_MAX.as_millis() as u32 };
        session.batch_execute(FURNITURE).await.unwrap();
        if attack.harm == Harm::Moves(Fact::LogFile) {
            self.until_a_log_file_would_have_another_name().await;
        }
        session.batch_execute(&format!("set statement_timeout = {timeout}")).await.unwrap();
        match attack.sent {
            Sent::Alone => {}
            Sent::InReadOnly => session.batch_execute("begin read only").await.unwrap(),
            Sent::InTransaction => session.batch_execute("begin").await.unwrap(),
        }
        let pid = first(&session, "select pg_backend_pid()").await.remove(0);
        self.marks_since.clear();
        if attack.harm == Harm::Moves(Fact::WalMarks) {
            self.marks_since = first(&self.observer, "select pg_current_wal_insert_lsn()").await.remove(0);
        }
        let before = self.facts(Some((&session, &pid))).await;
        self.notifications.store(0, Ordering::Relaxed);

        let sql = self.located(attack.sql);
        let may_be_undone = attack.harm == Harm::Moves(Fact::Data) && attack.sent == Sent::Alone;
        let undone = may_be_undone && self.writes_in_a_transaction(&session, &sql, attack.parameters).await;
        let ran = match undone {
            true => Ran::default(),
            false => send(&session, &sql, attack.parameters).await,
        };
        let began = Instant::now();
        let (proven, after) = loop {
            let after = self.facts(Some((&session, &pid))).await;
            let (proven, may_come) = match attack.harm {
                _ if undone => (true, false),
                Harm::Moves(fact) => (
                    before.get(&fact) != after.get(&fact),
                    matches!(
                        fact,
                        Fact::Victim | Fact::Configuration | Fact::LogFile | Fact::WalMarks | Fact::Statistics
                    ),
                ),
                Harm::Shows(canary) => (ran.values.iter().any(|value| holds(value, canary)), false),
                Harm::Sleeps => {
                    let error = ran.error.as_ref().and_then(Error::code);
                    (error.is_some_and(|code| code.code() == "57014"), false)
                }
                Harm::Notifies => (self.notifications.load(Ordering::Relaxed) > 0, true),
                Harm::RunsSeveral => (ran.statements > 1, false),
            };
            if proven || !may_come || ran.error.is_some() || began.elapsed() > Duration::from_secs(5) {
                break (proven, after);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        end(&self.root, session).await;
        let moved: Vec<Fact> =
            after.iter().filter(|(fact, now)| before[*fact] != **now).map(|(fact, _)| *fact).collect();
        self.undo(&moved).await;
        if proven {
            return Ok(());
        }
        let error = ran.error.map(|error| format!("{error:?}"));
        Err(format!(
            "{:?} {}\n    wanted {:?}; moved {moved:?}; ran {}; values {:.200}; error {:.300}",
            attack.class,
            attack.sql,
            attack.harm,
            ran.statements,
            format!("{:?}", ran.values),
            error.unwrap_or_default(),
        ))
    }

    /// Whether it changes data as far as its own transaction sees, which is taken back: far cheaper than a new database.
    async fn writes_in_a_transaction(&self, session: &Client, sql: &str, parameters: &[&str]) -> bool {
        let before = self.data_now().await;
        session.batch_execute("begin").await.unwrap();
        let ran = send(session, sql, parameters).await;
        let after = match ran.error {
            None => session.simple_query(DATA).await.map(row).ok(),
            Some(_) => None,
        };
        // A COPY that failed halfway leaves a session that hears nothing any more.
        let _ = session.batch_execute("rollback").await;
        after.is_some_and(|after| after[0] != before)
    }

    /// All that can be seen; of a session too, if there is one.
    pub async fn facts(&self, session: Option<(&Client, &str)>) -> Facts {
        let mut facts = Facts::new();
        facts.insert(Fact::Data, self.data_now().await);
        facts.insert(Fact::Files, self.files());
        let indexes = self.observer.simple_query(INDEXES).await.map(row);
        facts.insert(Fact::Indexes, indexes.map_or_else(|_| "gone".to_owned(), |columns| columns.concat()));
        if !self.marks_since.is_empty() {
            let records = match self.version {
                ..=15 => "pg_get_wal_records_info_till_end_of_wal('{since}')",
                _ => "pg_get_wal_records_info('{since}', 'FFFFFFFF/FFFFFFFF')",
            };
            let marks = MARKS.replace("{records}", records).replace("{since}", &self.marks_since);
            facts.insert(Fact::WalMarks, first(&self.observer, &marks).await.remove(0));
        }
        facts.extend(SERVER_FACTS.into_iter().zip(first(&self.observer, SERVER).await));
        let Some((session, pid)) = session else { return facts };
        // Before the session is asked, whose asking would take locks.
        let locks = format!(
            "select string_agg(concat_ws(' ', locktype, mode, relation, objid), ',' order by locktype, mode, relation, objid) \
             from pg_locks where pid = {pid} and locktype <> 'virtualxid' and mode <> 'AccessShareLock'"
        );
        facts.insert(Fact::Locks, first(&self.observer, &locks).await.remove(0));
        let seen = match session.simple_query(SESSION).await {
            Ok(messages) => row(messages),
            Err(_) => vec!["failed".to_owned(); SESSION_FACTS.len()],
        };
        facts.extend(SESSION_FACTS.into_iter().zip(seen));
        let foretold = match session.simple_query("select random()").await {
            Ok(messages) => row(messages)[0] == self.seed,
            Err(_) => false,
        };
        facts.insert(Fact::Seed, foretold.to_string());
        facts
    }

    /// Where the write-ahead log has not grown, nothing was written since.
    async fn data_now(&self) -> String {
        let log = first(&self.observer, "select pg_current_wal_insert_lsn()").await;
        if let Some((then, data)) = &*self.last.borrow()
            && *then == log
        {
            return data.clone();
        }
        let data = first(&self.observer, DATA).await.remove(0);
        *self.last.borrow_mut() = Some((log, data.clone()));
        data
    }

    async fn undo(&mut self, moved: &[Fact]) {
        if moved.contains(&Fact::TwoPhase) {
            for gid in all(&self.observer, "select gid from pg_prepared_xacts").await {
                self.observer.batch_execute(&format!("rollback prepared '{gid}'")).await.unwrap();
            }
        }
        if moved.contains(&Fact::Files) {
            let data = self.data();
            let _ = fs::remove_file(data.join("planted.txt"));
            let spare = data.join("spare.txt");
            fs::write(&spare, "spare").unwrap();
            fs::set_permissions(spare, fs::Permissions::from_mode(0o666)).unwrap();
        }
        if moved.contains(&Fact::Victim) {
            let fire = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'victim'";
            self.root.simple_query(fire).await.unwrap();
            self.hire_a_victim().await;
        }
        if moved.iter().any(|fact| matches!(fact, Fact::Data | Fact::Indexes | Fact::Slots)) {
            let drop_slots = "select pg_drop_replication_slot(slot_name) from pg_replication_slots";
            self.root.simple_query(drop_slots).await.unwrap();
            self.root.batch_execute("drop database lab with (force)").await.unwrap();
            create(&self.root).await;
            self.observer = observe(&self.cluster, &self.notifications).await;
        }
    }

    async fn hire_a_victim(&self) {
        let victim = connect(&self.cluster, "postgres", "victim", &self.notifications).await;
        tokio::spawn(async move {
            let _ = victim.batch_execute(&format!("select pg_sleep(3600) /* {OTHER_SQL} */")).await;
            // It stays where it is when it was only cancelled.
            std::future::pending::<()>().await;
        });
        let asleep =
            "select count(*) from pg_stat_activity where application_name = 'victim' and wait_event = 'PgSleep'";
        until("the victim sleeps", async || first(&self.root, asleep).await[0] == "1").await;
    }

    /// Names and sizes.
    fn files(&self) -> String {
        let data = self.data();
        let mut files = Vec::new();
        for folder in [data.clone(), data.join("pg_snapshots")] {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let Ok(metadata) = entry.metadata() else { continue };
                let name = entry.file_name().into_string().unwrap();
                if !name.starts_with("current_logfiles") {
                    files.push(format!("{name} {}", if metadata.is_file() { metadata.len() } else { 0 }));
                }
            }
        }
        files.sort();
        files.join(",")
    }

    fn data(&self) -> PathBuf {
        self.cluster.socket_folder().join("data")
    }

    /// It is named by the second.
    async fn until_a_log_file_would_have_another_name(&self) {
        let sql = "select pg_current_logfile() not like to_char(clock_timestamp() at time zone 'UTC', '%HH24MISS.log')";
        until("the second is over", async || first(&self.root, sql).await[0] == "t").await;
    }
}

async fn connect(cluster: &PrivateCluster, database: &str, name: &str, notifications: &Arc<AtomicUsize>) -> Client {
    let mut config: Config = cluster.url().parse().unwrap();
    config.dbname(database).application_name(name);
    let (client, mut connection) = config.connect(NoTls).await.unwrap();
    let notifications = notifications.clone();
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, AsyncMessage::Notification(_)) {
                notifications.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    client
}

/// Close a session and wait until its backend is gone.
async fn end(root: &Client, session: Client) {
    // A session inside of COPY hears nothing.
    drop(session);
    let sql = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
               where datname like 'lab%' and application_name <> 'observer'";
    root.simple_query(sql).await.unwrap();
}

/// The database of the statements, as new.
async fn create(root: &Client) {
    // Before version 15 there is no other.
    let strategy = if version(root).await >= 15 { "strategy file_copy" } else { "" };
    root.batch_execute(&format!("create database lab template lab_template {strategy}")).await.unwrap();
    root.simple_query("select pg_create_physical_replication_slot('kept', true)").await.unwrap();
}

async fn observe(cluster: &PrivateCluster, notifications: &Arc<AtomicUsize>) -> Client {
    let observer = connect(cluster, DATABASE, "observer", notifications).await;
    observer.simple_query("listen news; set synchronous_commit = on").await.unwrap();
    observer.simple_query("select pg_create_logical_replication_slot('kept_logical', 'test_decoding')").await.unwrap();
    // Something that the slot has to tell.
    observer.simple_query("insert into lines values ('first')").await.unwrap();
    if version(&observer).await < 15 {
        // Its statistics begin with the first report of a session, which a process of its own receives some time later.
        let sql = "select count(stats_reset) from pg_stat_database where datname = current_database()";
        until("the database has statistics", async || first(&observer, sql).await[0] == "1").await;
    }
    observer
}

/// The values of the first row.
fn row(messages: Vec<SimpleQueryMessage>) -> Vec<String> {
    let found = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = found.unwrap();
    (0..row.len()).map(|column| row.get(column).unwrap_or("").to_owned()).collect()
}

async fn first(client: &Client, sql: &str) -> Vec<String> {
    row(client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")))
}

async fn all(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
        _ => None,
    });
    rows.collect()
}

/// By the simple protocol, as a naive server would; by the extended one where there are parameters.
async fn send(session: &Client, sql: &str, parameters: &[&str]) -> Ran {
    let mut ran = Ran::default();
    let sent = async {
        let lower = sql.to_lowercase();
        if lower.contains("to stdout") {
            let mut out = pin!(session.copy_out(sql).await?);
            while let Some(bytes) = out.try_next().await? {
                ran.values.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        } else if lower.contains("from stdin") {
            let mut sink = pin!(session.copy_in(sql).await?);
            sink.send(&b"99\tcopied\n"[..]).await?;
            sink.finish().await?;
        } else if parameters.is_empty() {
            for message in session.simple_query(sql).await? {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        ran.values.extend((0..row.len()).filter_map(|column| row.get(column)).map(str::to_owned));
                    }
                    SimpleQueryMessage::CommandComplete(_) => ran.statements += 1,
                    _ => {}
                }
            }
        } else {
            let statement = session.prepare_typed(sql, &vec![Type::TEXT; parameters.len()]).await?;
            let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            for row in session.query(&statement, &parameters).await? {
                let values = (0..row.len()).filter_map(|column| row.try_get::<_, Raw>(column).ok());
                ran.values.extend(values.map(|Raw(value)| value));
            }
        }
        Ok(())
    };
    ran.error = sent.await.err();
    ran
}

/// A value's bytes, of whatever type.
struct Raw(String);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// As it is, or as the text of a `bytea`.
fn holds(value: &str, canary: &str) -> bool {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    value.contains(canary) || value.contains(&hex)
}
