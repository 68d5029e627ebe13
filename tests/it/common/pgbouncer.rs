//! A PgBouncer of one test's own, in front of a cluster.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use pg_private::PrivateCluster;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::until;

/// It ends with this value.
pub struct PgBouncer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl PgBouncer {
    /// One that lends two backends in that mode (`transaction` or `session`); `None`, and a line that says so, where the
    /// program is not installed.
    pub async fn start(cluster: &PrivateCluster, mode: &str) -> Option<Self> {
        Self::start_with(cluster, mode, &[], "").await
    }

    /// The same with these files in its folder, and these further settings. Settings find the folder as `{folder}`.
    pub async fn start_with(
        cluster: &PrivateCluster,
        mode: &str,
        files: &[(&str, &str)],
        settings: &str,
    ) -> Option<Self> {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = program.into_iter().find(|program| fs::exists(program).unwrap()) else {
            eprintln!("skipped: pgbouncer is not installed (scripts/deps.sh installs it)");
            return None;
        };
        // Another program may take the port before it does.
        for _ in 0..20 {
            if let Some(bouncer) = Self::start_once(program, cluster, mode, files, settings).await {
                return Some(bouncer);
            }
        }
        panic!("PgBouncer finds no port");
    }

    async fn start_once(
        program: &str,
        cluster: &PrivateCluster,
        mode: &str,
        files: &[(&str, &str)],
        settings: &str,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir = {}\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 2\n\
             max_client_conn = 200\nlogfile = {}\n{}\n",
            cluster.port(),
            folder.path().display(),
            at("users").display(),
            at("log").display(),
            settings.replace("{folder}", folder.path().to_str().unwrap()),
        );
        fs::write(at("ini"), ini).unwrap();
        fs::write(at("users"), "\"postgres\" \"\"\n\"clerk\" \"\"\n").unwrap();
        for (name, text) in files {
            fs::write(at(name), text).unwrap();
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(at("ini")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if id("-u", None) == 0 {
            // It refuses to be root.
            command.uid(id("-u", Some("nobody"))).gid(id("-g", Some("nobody")));
        }
        let log = at("log");
        let mut bouncer = Self { child: command.spawn().unwrap(), port, folder };
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("PgBouncer is up, or has ended", async || {
            said().contains("process up") || bouncer.child.try_wait().unwrap().is_some()
        })
        .await;
        said().contains(&format!("listening on 127.0.0.1:{port}")).then_some(bouncer)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket.
    pub fn folder(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Another client of it.
    pub async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Looks at the backend that is lent next: a new one is made hostile, and on one that was seen before the settings must
    /// be as they were. (A backend ends with a client that is killed in its transaction.)
    pub async fn haunt(client: &Client, seen: &mut HashMap<String, String>) {
        client.batch_execute("begin").await.unwrap();
        let pid = last(client, "select pg_backend_pid()::text").await;
        match seen.get(&pid) {
            Some(set) => assert_eq!(&last(client, SETTINGS).await, set, "what a neighbour has set"),
            None => {
                if last(client, "show bytea_output").await != "escape" {
                    client.batch_execute(HOSTILE).await.unwrap();
                }
                seen.insert(pid, last(client, SETTINGS).await);
            }
        }
        client.batch_execute("commit").await.unwrap();
    }

    /// Runs this SQL on each of the two backends, in a transaction that is committed, and returns the first column of
    /// its last row there.
    pub async fn on_both(&self, sql: &str) -> [String; 2] {
        let (one, other) = (self.client().await, self.client().await);
        // As long as both transactions are open, they are on different backends.
        one.batch_execute("begin").await.unwrap();
        other.batch_execute("begin").await.unwrap();
        let found = [last(&one, sql).await, last(&other, sql).await];
        one.batch_execute("commit").await.unwrap();
        other.batch_execute("commit").await.unwrap();
        found
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.child.try_wait().ok().flatten();
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("PgBouncer (ended: {ended:?}):\n{log}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs that, and returns the first column of its last row.
async fn last(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let text = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    text.unwrap_or_default().to_owned()
}

fn id(what: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(what).args(user).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What a bad neighbour does to a session that a pooler lends: settings by which values look otherwise, and prepared
/// statements under the driver's names, which delete.
pub const HOSTILE: &str = "
    set bytea_output = escape; set DateStyle = 'SQL, DMY'; set IntervalStyle = sql_standard; set extra_float_digits = -10;
    set TimeZone = 'Asia/Kathmandu'; set search_path = nowhere; set standard_conforming_strings = off;
    set xmlbinary = hex; set array_nulls = off; set quote_all_identifiers = on; set transform_null_equals = on;
    set default_transaction_read_only = on; set row_security = off; set lock_timeout = '7ms';
    set statement_timeout = '54321s'; set role = stranger;
    do $$ begin for n in 0..4000 loop
        execute format('prepare s%s as delete from public.kept', n);
    end loop; end $$";

/// The settings of [`HOSTILE`], as one row.
pub const SETTINGS: &str = "
    select string_agg(name || '=' || setting, ' ' order by name) from pg_catalog.pg_settings
    where name in ('bytea_output', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'TimeZone', 'search_path',
                   'standard_conforming_strings', 'xmlbinary', 'array_nulls', 'quote_all_identifiers',
                   'transform_null_equals', 'default_transaction_read_only', 'row_security', 'lock_timeout',
                   'statement_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval')";
