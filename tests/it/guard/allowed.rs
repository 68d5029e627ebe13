//! Statements of honest users with their answers: what read-only mode must allow.
//!
//! Each file has a theme, and each block of it a statement, with its rows after `=>`, or `…` if they differ by machine
//! or time. The first line of a block can be `# since VERSION: reason` or `# until VERSION: reason`.
//! `UPDATE_SNAPSHOTS=1` writes the rows into the file; check them then.

use std::fmt::Write as _;
use std::path::Path;

use mcp_server_postgres::settings::AccessMode;
use pg_private::Options;
use tokio_postgres::NoTls;

use crate::common::versions::{Versions, version};
use crate::guard::served::Served;

/// In place of rows that differ by machine or time.
const SOME: &str = "…";

/// Rows with more bytes are not written into the file.
const ROWS_BYTES_MAX: usize = 700;

struct Case {
    /// `since 15: reason` or `until 16: reason`.
    only: Option<String>,
    sql: String,
    rows: Option<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let block = |block: &str| {
        let (only, block) = match block.strip_prefix("# ").and_then(|block| block.split_once('\n')) {
            Some((only, block)) => (Some(only.to_owned()), block),
            None => (None, block),
        };
        let (sql, rows) = match block.rsplit_once("\n=> ") {
            Some((sql, rows)) => (sql, Some(rows.trim_end().to_owned())),
            None => (block, None),
        };
        Case { only, sql: sql.trim_end_matches('\n').to_owned(), rows }
    };
    text.trim_end().split("\n\n").map(block).collect()
}

/// What the theme of an extension reads.
const OF_EXTENSIONS: &[(&str, &str)] =
    &[("postgis_raster", include_str!("allowed/postgis.sql")), ("vector", include_str!("allowed/vector.sql"))];

/// Each statement has the rows of the file, and the same rows from a server without a guard. The theme of an extension
/// that is not installed is skipped.
async fn answer(theme: &str, extension: Option<&str>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/guard/allowed/{theme}.txt"));
    let cluster = Options::new().setting("shared_preload_libraries", "pg_stat_statements").start().unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let schema = match extension {
        None => include_str!("allowed/schema.sql"),
        Some(extension) => {
            if let Err(error) = client.batch_execute(&format!("create extension {extension} cascade")).await {
                println!("the theme {theme} is skipped, because {extension} cannot be created: {error:?}");
                return;
            }
            OF_EXTENSIONS.iter().find(|(of, _)| *of == extension).map(|(_, schema)| *schema).unwrap()
        }
    };
    client.batch_execute(schema).await.unwrap_or_else(|error| panic!("{error:?}"));
    let guarded = Served::start(cluster.port(), "postgres");
    let unguarded = Served::in_mode(cluster.port(), "postgres", AccessMode::ReadWrite);
    let mut wrong = Vec::new();
    let mut written = String::new();
    let version = version(&client).await;
    for Case { only, sql, rows } in cases(&std::fs::read_to_string(&file).unwrap()) {
        if let Some(only) = &only {
            let _ = writeln!(written, "# {only}");
            if !Versions::of(only).unwrap().contain(version) {
                let _ = write!(written, "{sql}\n=> {}\n\n", rows.as_deref().unwrap_or(SOME));
                continue;
            }
        }
        let (guarded, unguarded) = (guarded.rows(&sql).await, unguarded.rows(&sql).await);
        let is_some = |answer: &Result<String, String>| answer.as_ref().is_ok_and(|rows| rows != "[]");
        let shown = guarded.clone().unwrap_or_else(|why| why);
        let is_right = match rows.as_deref() {
            Some(SOME) => is_some(&guarded) && is_some(&unguarded),
            Some(rows) => guarded.as_deref() == Ok(rows) && unguarded.as_deref() == Ok(rows),
            None => false,
        };
        if !is_right {
            wrong.push(format!(
                "{sql}\n    here {shown:.400}\n    unguarded {:.300}",
                unguarded.clone().unwrap_or_else(|why| why)
            ));
        }
        let differs = guarded != unguarded || shown.len() > ROWS_BYTES_MAX || rows.as_deref() == Some(SOME);
        let _ = write!(written, "{sql}\n=> {}\n\n", if differs { SOME } else { &shown });
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, format!("{}\n", written.trim_end())).unwrap();
    }
    assert!(wrong.is_empty(), "{} are not answered as {theme}.txt says:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! themes {
    ($($theme:ident $(of $extension:ident)?),*) => {
        $(#[actix_rt::test]
        async fn $theme() {
            #[allow(unused_mut, unused_assignments, reason = "only some themes have an extension")]
            let mut extension = None;
            $(extension = Some(stringify!($extension));)?
            answer(stringify!($theme), extension).await;
        })*

        #[test]
        fn no_statement_is_there_twice() {
            let themes = [$(include_str!(concat!("allowed/", stringify!($theme), ".txt"))),*];
            let mut all: Vec<String> = themes.iter().flat_map(|theme| cases(theme)).map(|case| case.sql).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert!(count == all.len() && count >= 300, "{count} statements, {} of them different", all.len());
        }
    };
}

themes!(queries, functions, database, own, texture, postgis of postgis_raster, vector of vector);
