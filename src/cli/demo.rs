//! `demo`: a private PostgreSQL with a small shop, and a host that talks with this program over stdio. It checks every
//! claim that it prints. The first claim that is not true ends it with status 1.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Command;
use pg_private::PrivateCluster;
use serde_json::{Value, json};

use super::inputs::Given;
use super::{EXIT_FAILURE, Subcommand, complain, print};
use host::Host;

mod host;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || Command::new("demo").about("Start a private PostgreSQL and play a host's side of a conversation"),
    run,
};

/// The number of calls in flight while the pool is replaced.
const IN_FLIGHT: usize = 20;

/// The smallest number of calls that must be answered while the pool is replaced.
const ANSWERED_MIN: usize = 200;

/// A reload that takes longer has failed.
const RELOAD_MAX: Duration = Duration::from_secs(20);

fn run(_: &Given) -> Result<u8, String> {
    match demonstrate() {
        Ok(()) => Ok(0),
        Err(why) => {
            complain(&why);
            Ok(EXIT_FAILURE)
        }
    }
}

/// # Errors
/// What could not be started, or the first claim that is not true.
fn demonstrate() -> Result<(), String> {
    say("Starting a private PostgreSQL in a temporary folder …");
    let cluster = PrivateCluster::start().map_err(|error| error.to_string())?;
    load_shop(&cluster.url())?;
    say(&format!("It listens on port {} of 127.0.0.1 and holds a small shop.", cluster.port()));
    let folder = cluster.socket_folder().join("host");
    fs::create_dir(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    write_env_file(&folder, &cluster.url(), "4MB")?;
    let mut host = Host::start(&folder)?;
    converse(&mut host, &cluster, &folder)?;
    host.end()?;
    drop(cluster);
    title(
        "The server has ended; its database is gone without a trace. To use the server with yours, give a host this:",
    );
    say(&snippet()?);
    Ok(())
}

fn converse(host: &mut Host, cluster: &PrivateCluster, folder: &Path) -> Result<(), String> {
    title("initialize");
    let server = host.initialize()?;
    let [name, version] = ["name", "version"].map(|member| text_of(&server["serverInfo"][member]));
    say(&format!("{name} {version}, protocol {}", text_of(&server["protocolVersion"])));

    title("tools/list");
    for tool in host.request("tools/list", &json!({}))?["tools"].as_array().into_iter().flatten() {
        say(&format!("{:22} {}", text_of(&tool["name"]), text_of(&tool["title"])));
    }

    title("A query with parameters: who spent most in Germany and France since June?");
    let answer = host.call(
        "async_query_execute",
        &json!({
            "query": "select c.name, c.country, count(*) as orders, sum(t.total) as spent \
                      from order_totals t join customers c on c.id = t.customer_id \
                      where t.placed >= $1 and c.country = any($2) group by c.id order by spent desc limit $3",
            "parameters": ["2025-06-01", ["DE", "FR"], 3],
        }),
    )?;
    say(&done(&answer)?);

    title("A batch that commits: an order, and what it takes from the stock");
    let stock = "select stock from products where id = 7";
    let before = number(host, stock)?;
    let answer = host.call(
        "batch_query_execute",
        &json!({"queries": [
            {"query": "insert into orders (customer_id, status, placed) \
                       select id, 'placed', now() from customers where name = $1 limit 1 returning id, status",
             "parameters": ["Ada Bergström"]},
            {"query": "update products set stock = stock - $1 where id = $2", "parameters": [2, 7]},
        ]}),
    )?;
    say(&done(&answer)?);
    holds(number(host, stock)? == before - 2, "the stock went down by two")?;

    title("A batch that fails in its second statement, and leaves nothing behind");
    let orders = "select count(*) from orders";
    let before = number(host, orders)?;
    let answer = host.call(
        "batch_query_execute",
        &json!({"queries": [
            {"query": "insert into orders (customer_id, status, placed) select id, 'placed', now() from customers limit 1"},
            {"query": "update products set stock = stock - 1000 where id = 7"},
        ]}),
    )?;
    say(&text_of(&answer["content"][0]["text"]));
    holds(answer["isError"] == true, "the batch is an error")?;
    holds(number(host, orders)? == before, "there are as many orders as before")?;

    title("An edit of .env gives every connection more memory (work_mem), while queries run");
    let (answered, seconds) = reload(host, || write_env_file(folder, &cluster.url(), "64MB"))?;
    let work_mem = host.call("async_query_execute", &json!({"query": "show work_mem"}))?;
    holds(work_mem["structuredContent"]["rows"][0][0] == "64MB", "the new connections have the new setting")?;
    say(&format!(
        "{answered} queries were answered in {seconds:.1} s around the change; none failed, none was refused."
    ));

    title("performance_summary");
    say(&done(&host.call("performance_summary", &json!({}))?)?);
    Ok(())
}

/// Keeps queries in flight, changes the settings, and continues until an answer comes from the new pool. Returns the
/// number of answers and the seconds that they took.
fn reload(host: &mut Host, change: impl FnOnce() -> Result<(), String>) -> Result<(usize, f64), String> {
    let query = json!({
        "name": "async_query_execute",
        "arguments": {"query": "select pg_sleep(0.005), count(*) from orders where placed < now()"},
    });
    let began = Instant::now();
    for _ in 0..IN_FLIGHT {
        host.send("tools/call", &query)?;
    }
    change()?;
    let (mut answered, mut in_flight, mut newest, mut oldest) = (0, IN_FLIGHT, 0, u64::MAX);
    while in_flight > 0 {
        let answer = host.next_answer()?;
        done(&answer)?;
        let generation = answer["structuredContent"]["generation"].as_u64().unwrap_or_default();
        (newest, oldest) = (newest.max(generation), oldest.min(generation));
        answered += 1;
        in_flight -= 1;
        let wanted = answered < ANSWERED_MIN || newest == oldest;
        if wanted && began.elapsed() < RELOAD_MAX {
            host.send("tools/call", &query)?;
            in_flight += 1;
        }
    }
    holds(newest == oldest + 1, "answers come from the old pool, then from the new one")?;
    Ok((answered, began.elapsed().as_secs_f64()))
}

fn number(host: &mut Host, query: &str) -> Result<i64, String> {
    let answer = host.call("async_query_execute", &json!({"query": query}))?;
    done(&answer)?;
    answer["structuredContent"]["rows"][0][0].as_i64().ok_or_else(|| format!("not a number: {answer}"))
}

/// The text of an answer that is not an error.
fn done(answer: &Value) -> Result<String, String> {
    let text = text_of(&answer["content"][0]["text"]);
    if answer["isError"] == true || text.is_empty() { Err(format!("a call failed: {answer}")) } else { Ok(text) }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn holds(claim: bool, what: &str) -> Result<(), String> {
    if claim { Ok(()) } else { Err(format!("this does not hold: {what}")) }
}

/// On a connection of its own, because a tool accepts one statement at a time.
fn load_shop(url: &str) -> Result<(), String> {
    let work = async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = actix_rt::spawn(connection);
        client.batch_execute(include_str!("demo/data.sql")).await?;
        drop(client);
        let _ = connection.await;
        Ok(())
    };
    let loaded: Result<(), tokio_postgres::Error> = actix_rt::System::new().block_on(work);
    loaded.map_err(|error| format!("the shop cannot be loaded: {}", crate::postgres::error::causes(&error)))
}

fn write_env_file(folder: &Path, url: &str, work_mem: &str) -> Result<(), String> {
    let text = format!(
        "DATABASE_URL={url}\nPOSTGRES_OPTIONS=\"-c work_mem={work_mem}\"\nMCP_ACCESS_MODE=read-write\n\
         MCP_RELOAD_DEBOUNCE_MS=200\nMCP_STRUCTURED=on\n"
    );
    fs::write(folder.join(".env"), text).map_err(|error| format!("cannot write {}/.env: {error}", folder.display()))
}

/// The configuration for Claude Code, Claude Desktop and Cursor; docs/hosts.md has those of other hosts.
fn snippet() -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let snippet = json!({"mcpServers": {"postgres": {
        "command": program.display().to_string(),
        "env": {"DATABASE_URL": "postgres://user:password@localhost:5432/database"},
    }}});
    serde_json::to_string_pretty(&snippet).map_err(|error| error.to_string())
}

fn title(text: &str) {
    say(&format!("\n── {text}"));
}

fn say(text: &str) {
    print(&format!("{}\n", text.trim_end()));
}
