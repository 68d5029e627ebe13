//! A laboratory: a PostgreSQL with something to lose, where each harm of [`Fact`] is noticed.
//!
//! The server under test is not part of it. The driver sends a statement as the superuser. Its changes to the database
//! are undone by a new copy of a template database, and other changes by hand. Changes to roles and databases remain.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_private::{Options, PrivateCluster};
use tokio_postgres::{Client, Error};

use crate::common::until;
use crate::common::versions::{lines_for, version};
use crate::guard::attack::{Attack, Fact, Harm, Sent};
use facts::DATA;
pub use facts::Facts;
use session::{Ran, all, connect, first, row, send};

mod extensions;
mod facts;
mod session;

/// The text of a file in the data folder of the server.
pub const FILE: &str = "CANARY-IN-A-FILE";
/// The name of that file, which a listing of the folder shows.
pub const FILE_NAME: &str = "canary.txt";
/// The size of that file. No other file has this size.
pub const FILE_BYTES: &str = "31337";
/// The password hash of a role, as it is in the catalog.
pub const HASH: &str = "md5ca4a21ca4a21ca4a21ca4a21ca4a21ca";
/// The password of a foreign server.
pub const FOREIGN_PASSWORD: &str = "CANARY-OF-A-FOREIGN-SERVER";
/// The password of the publisher of a subscription.
pub const PUBLISHER_PASSWORD: &str = "CANARY-OF-A-PUBLISHER";
/// The password of the primary that a standby would follow.
pub const PRIMARY_PASSWORD: &str = "CANARY-OF-A-PRIMARY";
/// A secret in the settings of a role.
pub const ROLE_SECRET: &str = "CANARY-OF-A-ROLE";
/// A text in the statement of another session.
pub const OTHER_SQL: &str = "CANARY-OF-ANOTHER-SESSION";

/// The database where the statements run.
const DATABASE: &str = "lab";

/// A statement that takes longer has failed. This is much longer than any of them takes.
const STATEMENT_MAX: Duration = Duration::from_secs(10);

/// A statement that sleeps is ended after this time.
const SLEEP_MAX_MS: u32 = 100;

/// The state of the session before each statement. A change of it is noticed.
const SESSION_SETUP: &str = "set work_mem = '5MB'; set app.tenant = '42'; prepare kept as select 1; \
                         declare kept cursor with hold for select 1; listen kept; select pg_advisory_lock(77)";

/// The laboratory.
pub struct Lab {
    /// A connection to the database `postgres`.
    root: Client,
    /// A connection to the database of the statements, which listens to notifications.
    observer: Client,
    notifications: Arc<AtomicUsize>,
    /// The value of `random()` after `setseed(0.5)`.
    seed: String,
    /// The position in the write-ahead log from which its marks count; empty if they do not.
    marks_since: String,
    /// A hash of all data, with the position of the write-ahead log at that time.
    last: RefCell<Option<(Vec<String>, String)>>,
    pub version: u32,
    /// The extensions that it has beside those that come with PostgreSQL.
    extensions: Vec<&'static str>,
    cluster: PrivateCluster,
}

impl Lab {
    pub async fn start() -> Self {
        Self::start_for(&[]).await
    }

    /// A laboratory for these attacks, with the extensions that they use. A line says which are not installed.
    pub async fn start_for(attacks: &[Attack]) -> Self {
        let file = format!("{FILE}\n{}", "x".repeat(FILE_BYTES.parse::<usize>().unwrap() - FILE.len() - 1));
        let cluster = Options::new()
            .setting("shared_preload_libraries", "pg_stat_statements")
            .setting("wal_level", "logical")
            .setting("max_prepared_transactions", "4")
            .setting("logging_collector", "on")
            // Only a statement can start a new log file.
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
        let extensions = extensions::create(&template, attacks).await;
        // Only VACUUM makes a visibility map.
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
            extensions,
            cluster,
        };
        lab.start_victim().await;
        lab
    }

    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Whether it has what the attack uses.
    pub fn has(&self, attack: &Attack) -> bool {
        attack.versions.contain(self.version)
            && attack.extension.is_none_or(|extension| self.extensions.contains(&extension))
    }

    /// Whether this version can show that such an attack has succeeded. The records of the write-ahead log can be read
    /// since version 15.
    pub fn can_see(&self, harm: Harm) -> bool {
        self.version >= 15 || harm != Harm::Moves(Fact::WalMarks)
    }

    /// A statement with the paths and the port of this laboratory.
    pub fn with_paths(&self, sql: &str) -> String {
        sql.replace("{data}", &self.data().display().to_string()).replace("{port}", &self.port().to_string())
    }

    /// Runs a statement. Returns what it has done if that is not the harm in its table.
    pub async fn prove(&mut self, attack: &Attack) -> Result<(), String> {
        let session = connect(&self.cluster, DATABASE, "session", &self.notifications).await;
        let timeout = if attack.harm == Harm::Sleeps { SLEEP_MAX_MS } else { STATEMENT_MAX.as_millis() as u32 };
        session.batch_execute(SESSION_SETUP).await.unwrap();
        if attack.harm == Harm::Moves(Fact::LogFile) {
            self.until_log_file_has_new_name().await;
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

        let sql = self.with_paths(attack.sql);
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

    /// Whether a statement changes data that its own transaction sees. The transaction is rolled back, which takes much
    /// less time than a new database.
    async fn writes_in_a_transaction(&self, session: &Client, sql: &str, parameters: &[&str]) -> bool {
        let before = self.data_now().await;
        session.batch_execute("begin").await.unwrap();
        let ran = send(session, sql, parameters).await;
        let after = match ran.error {
            None => session.simple_query(DATA).await.map(row).ok(),
            Some(_) => None,
        };
        // After a failed COPY the session does not answer any more.
        let _ = session.batch_execute("rollback").await;
        after.is_some_and(|after| after[0] != before)
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
            let terminate =
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'victim'";
            self.root.simple_query(terminate).await.unwrap();
            self.start_victim().await;
        }
        if moved.iter().any(|fact| matches!(fact, Fact::Data | Fact::Indexes | Fact::Slots)) {
            let drop_slots = "select pg_drop_replication_slot(slot_name) from pg_replication_slots";
            self.root.simple_query(drop_slots).await.unwrap();
            self.root.batch_execute("drop database lab with (force)").await.unwrap();
            create(&self.root).await;
            self.observer = observe(&self.cluster, &self.notifications).await;
        }
    }

    async fn start_victim(&self) {
        let victim = connect(&self.cluster, "postgres", "victim", &self.notifications).await;
        tokio::spawn(async move {
            let _ = victim.batch_execute(&format!("select pg_sleep(3600) /* {OTHER_SQL} */")).await;
            // The session stays if only its statement was cancelled.
            std::future::pending::<()>().await;
        });
        let asleep =
            "select count(*) from pg_stat_activity where application_name = 'victim' and wait_event = 'PgSleep'";
        until("the victim sleeps", async || first(&self.root, asleep).await[0] == "1").await;
    }

    fn data(&self) -> PathBuf {
        self.cluster.socket_folder().join("data")
    }

    /// Waits for the next second, because the name of a log file contains the second.
    async fn until_log_file_has_new_name(&self) {
        let sql = "select pg_current_logfile() not like to_char(clock_timestamp() at time zone 'UTC', '%HH24MISS.log')";
        until("the second is over", async || first(&self.root, sql).await[0] == "t").await;
    }
}

/// Closes a session and waits until its backend has ended.
async fn end(root: &Client, session: Client) {
    // A session in COPY does not notice that its client has gone.
    drop(session);
    let sql = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
               where datname like 'lab%' and application_name <> 'observer'";
    root.simple_query(sql).await.unwrap();
}

/// Makes the database of the statements again.
async fn create(root: &Client) {
    // Earlier versions have only this strategy.
    let strategy = if version(root).await >= 15 { "strategy file_copy" } else { "" };
    root.batch_execute(&format!("create database lab template lab_template {strategy}")).await.unwrap();
    root.simple_query("select pg_create_physical_replication_slot('kept', true)").await.unwrap();
}

async fn observe(cluster: &PrivateCluster, notifications: &Arc<AtomicUsize>) -> Client {
    let observer = connect(cluster, DATABASE, "observer", notifications).await;
    observer.simple_query("listen news; set synchronous_commit = on").await.unwrap();
    observer.simple_query("select pg_create_logical_replication_slot('kept_logical', 'test_decoding')").await.unwrap();
    // A change for the replication slot to report.
    observer.simple_query("insert into lines values ('first')").await.unwrap();
    if version(&observer).await < 15 {
        // The statistics of the database begin with the first report of a session, which another process receives some
        // time later.
        let sql = "select count(stats_reset) from pg_stat_database where datname = current_database()";
        until("the database has statistics", async || first(&observer, sql).await[0] == "1").await;
    }
    observer
}

/// Whether a value contains the secret, as it is or as the text of a `bytea`.
fn holds(value: &str, canary: &str) -> bool {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    value.contains(canary) || value.contains(&hex)
}
