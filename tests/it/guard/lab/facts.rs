//! The facts that show a harm: data, files, the state of the server and of a session.

use std::collections::BTreeMap;
use std::fs;

use tokio_postgres::Client;

use super::Lab;
use super::session::{first, row};
use crate::guard::attack::Fact;

/// A hash of all rows. For the large catalogs, where a change always writes a new row, the transaction ids are enough;
/// for other tables the text of each row is used. Tables that move a sequence whenever they are read are left out.
pub(super) const DATA: &str = "select md5(string_agg(c.oid::text || query_to_xml(format(case when c.relnamespace = 'pg_catalog'::regnamespace \
                    and c.relname not in ('pg_class', 'pg_database', 'pg_authid', 'pg_largeobject', 'pg_db_role_setting') \
                    then 'select count(*), sum(xmin::text::int8) from %s' \
                    else 'select count(*), sum(hashtextextended(t::text, 0)) from (select * from %s) t' end, c.oid::regclass), \
                    true, true, '')::text, ',' order by c.oid)) from pg_class c \
                    where c.relkind in ('r', 'm', 'S') and not c.relname ~ '^(folded|halved|parted|inherited|heir|classed|ranges)' and c.relnamespace <> 'pg_toast'::regnamespace and c.relpersistence <> 't' and c.relispopulated";

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

/// Records that are not flushed yet cannot be searched.
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

/// The facts with their values.
pub type Facts = BTreeMap<Fact, String>;

impl Lab {
    /// Reads all facts, and those of a session if one is given.
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
        // The locks are read first, because the other queries on the session take locks.
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
        let is_seeded = match session.simple_query("select random()").await {
            Ok(messages) => row(messages)[0] == self.seed,
            Err(_) => false,
        };
        facts.insert(Fact::Seed, is_seeded.to_string());
        facts
    }

    /// A hash of all data. If the write-ahead log has not grown, nothing was written, and the last hash is used.
    pub(super) async fn data_now(&self) -> String {
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

    /// The names and sizes of the files.
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
}
