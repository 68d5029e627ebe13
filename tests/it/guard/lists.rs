//! The lists of known functions, compared with the catalogs of the server that the tests run on.
//!
//! `make guard-lists` runs these tests on each version with `UPDATE_SNAPSHOTS=1`, which writes the lists anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pg_private::Options;
use tokio_postgres::{Client, NoTls};

use crate::common::versions::version;

/// The versions that the lists know.
const KNOWN: std::ops::RangeInclusive<u32> = 14..=18;

/// Lines about functions that came with a minor release, so that not every server of their versions has them.
const OF_MINOR_RELEASES: &[&str] = &["binary_upgrade_set_next_attribute_versions volatile"];

/// PostgreSQL's own functions that SQL can call, which are those without an argument of the type `internal`.
const BUILTIN: &str = "
select p.proname::text, p.provolatile = 'v',
       coalesce((select string_agg(t.typname, ',' order by at)
                 from unnest(p.proargtypes::oid[]) with ordinality argument (oid, at) join pg_type t using (oid)), '')
from pg_proc p where p.oid < 16384 and not 'internal'::regtype = any (p.proargtypes)";

/// The functions of an extension that SQL can call.
const OF_EXTENSION: &str = "
select p.proname::text from pg_proc p
join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
join pg_extension e on e.oid = d.refobjid
where e.extname = $1 and not 'internal'::regtype = any (p.proargtypes)";

/// The lines about each function, without versions: `name`, `name volatile`, and `name(types) volatile` for the volatile
/// ones among its overloads.
async fn lines(client: &Client) -> BTreeSet<String> {
    let mut functions = BTreeMap::<String, Vec<(bool, String)>>::new();
    for row in client.query(BUILTIN, &[]).await.unwrap() {
        functions.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let mut lines = BTreeSet::new();
    for (name, overloads) in functions {
        if overloads.iter().all(|(is_volatile, _)| *is_volatile) {
            lines.insert(format!("{name} volatile"));
            continue;
        }
        let volatile = overloads.iter().filter(|(is_volatile, _)| *is_volatile);
        lines.extend(volatile.map(|(_, types)| format!("{name}({types}) volatile")));
        lines.insert(name);
    }
    lines
}

/// A list by line, each with the versions that have it: `name 16- volatile` is the line `name volatile` since 16.
fn read(text: &str) -> BTreeMap<String, BTreeSet<u32>> {
    let mut list = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (mut versions, mut rest) = (KNOWN.collect(), Vec::new());
        for word in line.split(' ') {
            let (since, until) = word.split_once('-').unwrap_or((word, word));
            let number = |text: &str, open: u32| if text.is_empty() { Some(open) } else { text.parse().ok() };
            match (number(since, *KNOWN.start()), number(until, *KNOWN.end())) {
                (Some(since), Some(until)) => versions = (since..=until).collect(),
                _ => rest.push(word),
            }
        }
        list.insert(rest.join(" "), versions);
    }
    list
}

fn written(list: &BTreeMap<String, BTreeSet<u32>>) -> String {
    let mut text =
        "# PostgreSQL's own functions that SQL can call, with the versions that have them, and which of them are \
                    volatile. Made by make guard-lists.\n"
            .to_owned();
    for (line, versions) in list {
        let (Some(since), Some(until)) = (versions.first(), versions.last()) else { continue };
        assert_eq!(versions.len() as u32, until - since + 1, "{line} is not in each version between two others");
        let range = match (since == KNOWN.start(), until == KNOWN.end()) {
            (true, true) => String::new(),
            (false, true) => format!(" {since}-"),
            (true, false) => format!(" -{until}"),
            (false, false) => format!(" {since}-{until}"),
        };
        let (function, volatile) =
            line.split_once(' ').map_or((line.as_str(), ""), |(function, _)| (function, " volatile"));
        text += &format!("{function}{range}{volatile}\n");
    }
    text
}

#[actix_rt::test]
async fn the_list_has_each_function_of_this_version_and_no_other() {
    let cluster = Options::new().start().unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let version = version(&client).await;
    assert!(KNOWN.contains(&version), "PostgreSQL {version} is not among the versions of the lists");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/pg-guard/src/known/builtin/functions.txt");
    let mut list = read(&std::fs::read_to_string(&file).unwrap());
    let found = lines(&client).await;
    let listed: BTreeSet<_> =
        list.iter().filter(|(_, versions)| versions.contains(&version)).map(|(line, _)| line.clone()).collect();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let of_this_release = |line: &String| !OF_MINOR_RELEASES.contains(&&**line);
        for (_, versions) in list.iter_mut().filter(|(line, _)| of_this_release(line)) {
            versions.remove(&version);
        }
        for line in found {
            list.entry(line).or_default().insert(version);
        }
        std::fs::write(&file, written(&list)).unwrap();
        return;
    }
    let missing: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).filter(|line| !OF_MINOR_RELEASES.contains(&&***line)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing: {missing:?}, gone: {gone:?}: run make guard-lists");
}

/// The extensions of the list, each with its functions.
fn extensions(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut extensions = BTreeMap::<String, BTreeSet<String>>::new();
    let mut extension = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(next) => {
                extension = next.to_owned();
                extensions.entry(extension.clone()).or_default();
            }
            None => _ = extensions.get_mut(&extension).unwrap().insert(line.to_owned()),
        }
    }
    extensions
}

fn written_extensions(extensions: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut text = "# The functions of known extensions that SQL can call. make guard-lists adds those of the extensions that the \
                    server has; write [extension] for a further one.\n"
        .to_owned();
    for (extension, functions) in extensions {
        text += &format!("[{extension}]\n");
        functions.iter().for_each(|function| text += &format!("{function}\n"));
    }
    text
}

/// The functions of an extension, if it can be created here. Nothing of it stays.
async fn functions_of(client: &mut Client, extension: &str) -> Option<BTreeSet<String>> {
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute(&format!("create extension \"{extension}\" cascade")).await.ok()?;
    let rows = transaction.query(OF_EXTENSION, &[&extension]).await.unwrap();
    Some(rows.iter().map(|row| row.get(0)).collect())
}

#[actix_rt::test]
async fn the_list_has_each_function_of_the_extensions_that_this_server_has() {
    let cluster = Options::new().setting("shared_preload_libraries", "pg_stat_statements").start().unwrap();
    let (mut client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/pg-guard/src/known/extensions/functions.txt");
    let mut list = extensions(&std::fs::read_to_string(&file).unwrap());
    let mut missing = Vec::new();
    let mut compared = 0;
    for (extension, listed) in &mut list {
        let Some(found) = functions_of(&mut client, extension).await else { continue };
        compared += 1;
        missing.extend(found.difference(listed).map(|function| format!("{extension} {function}")));
        listed.extend(found);
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, written_extensions(&list)).unwrap();
        return;
    }
    // Those that come with PostgreSQL are at least this many.
    assert!(compared >= 30, "only {compared} extensions can be created here");
    assert!(missing.is_empty(), "missing: {missing:?}: run make guard-lists and review them");
}
