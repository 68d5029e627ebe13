//! `DATABASE_URL` as providers, drivers and frameworks hand it out, and what becomes of it. The names of the hosts are made up.

use crate::settings::url::set_by;
use crate::settings::{Given, NOTHING, loaded};

/// A string as it is handed out, the keys that it sets, and its parameters without effect.
type HandedOut = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const HANDED_OUT: &[HandedOut] = &[
    // Neon: direct, by its pooler, and with the name of the endpoint for clients without SNI.
    (
        "postgresql://owner:npg_p4@ep-cool-1.eu.neon.example/neondb?sslmode=require&channel_binding=require",
        &[
            ("HOST", "ep-cool-1.eu.neon.example"),
            ("PORT", "5432"),
            ("DB", "neondb"),
            ("USER", "owner"),
            ("PASSWORD", "npg_p4"),
            ("SSL_MODE", "require"),
            ("CHANNEL_BINDING", "require"),
        ],
        "",
    ),
    (
        "postgresql://owner:npg_p4@ep-cool-1-pooler.eu.neon.example/neondb?sslmode=require&channel_binding=require",
        &[
            ("HOST", "ep-cool-1-pooler.eu.neon.example"),
            ("PORT", "5432"),
            ("DB", "neondb"),
            ("USER", "owner"),
            ("PASSWORD", "npg_p4"),
            ("SSL_MODE", "require"),
            ("CHANNEL_BINDING", "require"),
        ],
        "",
    ),
    (
        "postgres://owner@ep-cool-1.eu.neon.example/neondb?sslmode=require&options=endpoint%3Dep-cool-1",
        &[
            ("HOST", "ep-cool-1.eu.neon.example"),
            ("PORT", "5432"),
            ("DB", "neondb"),
            ("USER", "owner"),
            ("SSL_MODE", "require"),
            ("OPTIONS", "endpoint=ep-cool-1"),
        ],
        "",
    ),
    // Supabase: direct, and by Supavisor's two ports.
    (
        "postgresql://postgres:p@db.abcdefghijkl.supabase.example:5432/postgres",
        &[
            ("HOST", "db.abcdefghijkl.supabase.example"),
            ("PORT", "5432"),
            ("DB", "postgres"),
            ("USER", "postgres"),
            ("PASSWORD", "p"),
        ],
        "",
    ),
    (
        "postgresql://postgres.abcdefghijkl:p@aws-0-eu.pooler.example:5432/postgres",
        &[
            ("HOST", "aws-0-eu.pooler.example"),
            ("PORT", "5432"),
            ("DB", "postgres"),
            ("USER", "postgres.abcdefghijkl"),
            ("PASSWORD", "p"),
        ],
        "",
    ),
    (
        "postgresql://postgres.abcdefghijkl:p@aws-0-eu.pooler.example:6543/postgres?pgbouncer=true",
        &[
            ("HOST", "aws-0-eu.pooler.example"),
            ("PORT", "6543"),
            ("DB", "postgres"),
            ("USER", "postgres.abcdefghijkl"),
            ("PASSWORD", "p"),
            ("POOLER", "transaction"),
        ],
        "",
    ),
    // Vercel's Prisma URL.
    (
        "postgres://default:p@ep-x-pooler.vercel.example:5432/verceldb?pgbouncer=true&connect_timeout=15&sslmode=require",
        &[
            ("HOST", "ep-x-pooler.vercel.example"),
            ("PORT", "5432"),
            ("DB", "verceldb"),
            ("USER", "default"),
            ("PASSWORD", "p"),
            ("POOLER", "transaction"),
            ("CONNECT_TIMEOUT", "15"),
            ("SSL_MODE", "require"),
        ],
        "",
    ),
    // Prisma, by a pooler.
    (
        "postgresql://u:p@h:6432/d?schema=public&pgbouncer=true&connection_limit=1",
        &[
            ("HOST", "h"),
            ("PORT", "6432"),
            ("DB", "d"),
            ("USER", "u"),
            ("PASSWORD", "p"),
            ("POOLER", "transaction"),
            ("OPTIONS", "-c search_path=public"),
        ],
        "connection_limit",
    ),
    // Aiven, DigitalOcean, Timescale: a port of their own.
    (
        "postgres://avnadmin:AVNS_p4@pg-1-x.aiven.example:12691/defaultdb?sslmode=require",
        &[
            ("HOST", "pg-1-x.aiven.example"),
            ("PORT", "12691"),
            ("DB", "defaultdb"),
            ("USER", "avnadmin"),
            ("PASSWORD", "AVNS_p4"),
            ("SSL_MODE", "require"),
        ],
        "",
    ),
    (
        "postgres://tsdbadmin@a1.b2.tsdb.example:33333/tsdb?sslmode=require",
        &[
            ("HOST", "a1.b2.tsdb.example"),
            ("PORT", "33333"),
            ("DB", "tsdb"),
            ("USER", "tsdbadmin"),
            ("SSL_MODE", "require"),
        ],
        "",
    ),
    // Render's external URL, and Railway's proxy.
    (
        "postgresql://shop_user:p@dpg-c1-a.frankfurt.render.example/shop_x1",
        &[
            ("HOST", "dpg-c1-a.frankfurt.render.example"),
            ("PORT", "5432"),
            ("DB", "shop_x1"),
            ("USER", "shop_user"),
            ("PASSWORD", "p"),
        ],
        "",
    ),
    (
        "postgresql://postgres:p@roundhouse.proxy.railway.example:43210/railway",
        &[
            ("HOST", "roundhouse.proxy.railway.example"),
            ("PORT", "43210"),
            ("DB", "railway"),
            ("USER", "postgres"),
            ("PASSWORD", "p"),
        ],
        "",
    ),
    // node-postgres: TLS without a mode.
    (
        "postgres://u:p@h/d?ssl=true",
        &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u"), ("PASSWORD", "p"), ("SSL_MODE", "require")],
        "",
    ),
    // Heroku.
    (
        "postgres://ub:p4@ec2-3-2.compute.example:5432/d8r",
        &[("HOST", "ec2-3-2.compute.example"), ("PORT", "5432"), ("DB", "d8r"), ("USER", "ub"), ("PASSWORD", "p4")],
        "",
    ),
    // Supabase, by its pooler, as Vercel's integration writes it.
    (
        "postgres://postgres.ref:p@aws-0-eu.pooler.example:6543/postgres?sslmode=require&supa=base-pooler.x",
        &[
            ("HOST", "aws-0-eu.pooler.example"),
            ("PORT", "6543"),
            ("DB", "postgres"),
            ("USER", "postgres.ref"),
            ("PASSWORD", "p"),
            ("SSL_MODE", "require"),
        ],
        "supa",
    ),
    // Prisma.
    (
        "postgresql://u:p@h:5432/d?schema=public&connection_limit=5&pool_timeout=2&connect_timeout=300&socket_timeout=4",
        &[
            ("HOST", "h"),
            ("PORT", "5432"),
            ("DB", "d"),
            ("USER", "u"),
            ("PASSWORD", "p"),
            ("OPTIONS", "-c search_path=public"),
            ("CONNECT_TIMEOUT", "300"),
        ],
        "connection_limit, pool_timeout, socket_timeout",
    ),
    (
        "postgres://h/d?schema=My%20App",
        &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("OPTIONS", "-c search_path=\"My\\ App\"")],
        "",
    ),
    (
        "postgres://h?sslmode=require&sslaccept=strict",
        &[("HOST", "h"), ("PORT", "5432"), ("SSL_MODE", "verify-full")],
        "",
    ),
    // RDS.
    (
        "postgresql://u:p@x.eu.rds.example:5432/d?sslmode=verify-full&sslrootcert=/etc/rds.pem",
        &[
            ("HOST", "x.eu.rds.example"),
            ("PORT", "5432"),
            ("DB", "d"),
            ("USER", "u"),
            ("PASSWORD", "p"),
            ("SSL_MODE", "verify-full"),
            ("SSL_ROOT_CERT", "/etc/rds.pem"),
        ],
        "",
    ),
    // Azure, with its server's name in the user's.
    (
        "postgres://me%40srv:p@srv.database.example/postgres?sslmode=require",
        &[
            ("HOST", "srv.database.example"),
            ("PORT", "5432"),
            ("DB", "postgres"),
            ("USER", "me@srv"),
            ("PASSWORD", "p"),
            ("SSL_MODE", "require"),
        ],
        "",
    ),
    (
        "host=srv.database.example port=5432 dbname={d} user=me password='p w\\'s' sslmode=require",
        &[
            ("HOST", "srv.database.example"),
            ("PORT", "5432"),
            ("DB", "{d}"),
            ("USER", "me"),
            ("PASSWORD", "p w's"),
            ("SSL_MODE", "require"),
        ],
        "",
    ),
    // Cloud SQL, by the socket of its proxy.
    (
        "postgresql://u:p@/d?host=/cloudsql/project:region:instance",
        &[("HOST", "/cloudsql/project:region:instance"), ("DB", "d"), ("USER", "u"), ("PASSWORD", "p")],
        "",
    ),
    // SQLAlchemy, django-environ.
    (
        "postgresql+psycopg://u:p@h/d",
        &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u"), ("PASSWORD", "p")],
        "",
    ),
    (
        "postgresql+asyncpg://u@h/d?ssl=require&prepared_statement_cache_size=0",
        &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u"), ("SSL_MODE", "require")],
        "prepared_statement_cache_size",
    ),
    ("psql://u@h/d", &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u")], ""),
    ("postgis://u@h/d", &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u")], ""),
    // JDBC.
    (
        "jdbc:postgresql://h:5433/d?user=u&password=p%26q&ssl=true&currentSchema=a,b&ApplicationName=x&prepareThreshold=0&loginTimeout=0",
        &[
            ("HOST", "h"),
            ("PORT", "5433"),
            ("DB", "d"),
            ("USER", "u"),
            ("PASSWORD", "p&q"),
            ("SSL_MODE", "require"),
            ("APPLICATION_NAME", "x"),
            ("OPTIONS", "-c search_path=a,b"),
        ],
        "prepareThreshold",
    ),
    (
        "jdbc:postgresql://a,b/d?targetServerType=any&loadBalanceHosts=true&tcpKeepAlive=true",
        &[
            ("HOST", "a,b"),
            ("PORT", "5432,5432"),
            ("DB", "d"),
            ("TARGET_SESSION_ATTRS", "any"),
            ("LOAD_BALANCE_HOSTS", "random"),
            ("KEEPALIVES", "true"),
        ],
        "",
    ),
    // node-postgres, pgx, Rails, postgres.js.
    (
        "postgres://u:p@h/d?sslmode=no-verify&uselibpqcompat=true&statement_timeout=5000&max=10",
        &[
            ("HOST", "h"),
            ("PORT", "5432"),
            ("DB", "d"),
            ("USER", "u"),
            ("PASSWORD", "p"),
            ("SSL_MODE", "no-verify"),
            ("OPTIONS", "-c statement_timeout=5000"),
        ],
        "uselibpqcompat, max",
    ),
    (
        "postgres://h/d?pool_max_conns=4&default_query_exec_mode=simple_protocol&pool=5&prepared_statements=false&encoding=utf8",
        &[("HOST", "h"), ("PORT", "5432"), ("DB", "d")],
        "pool_max_conns, default_query_exec_mode, pool, prepared_statements, encoding",
    ),
    // CockroachDB.
    (
        "postgresql://u@free.cockroach.example:26257/d?sslmode=verify-full&options=--cluster%3Dc-1",
        &[
            ("HOST", "free.cockroach.example"),
            ("PORT", "26257"),
            ("DB", "d"),
            ("USER", "u"),
            ("SSL_MODE", "verify-full"),
            ("OPTIONS", "--cluster=c-1"),
        ],
        "",
    ),
    // libpq's own.
    (
        "postgresql:///?hostaddr=127.0.0.1&keepalives=0&keepalives_idle=7&keepalives_interval=8&keepalives_count=9&tcp_user_timeout=10",
        &[
            ("HOSTADDR", "127.0.0.1"),
            ("KEEPALIVES", "0"),
            ("KEEPALIVES_IDLE", "7"),
            ("KEEPALIVES_INTERVAL", "8"),
            ("KEEPALIVES_COUNT", "9"),
            ("TCP_USER_TIMEOUT", "10"),
        ],
        "",
    ),
    (
        "postgresql://h?sslmode=allow&connect_timeout=0&keepalives_idle=0&gssencmode=prefer&sslsni=1&fallback_application_name=f&client_encoding=UTF8&load_balance_hosts=random",
        &[
            ("HOST", "h"),
            ("PORT", "5432"),
            ("SSL_MODE", "allow"),
            ("APPLICATION_NAME", "f"),
            ("LOAD_BALANCE_HOSTS", "random"),
        ],
        "client_encoding, sslsni",
    ),
    (
        "postgres://h?application_name=a&fallback_application_name=f",
        &[("HOST", "h"), ("PORT", "5432"), ("APPLICATION_NAME", "a")],
        "",
    ),
    (
        "postgres://h?options=-c%20geqo%3Doff&search_path=a,%20b",
        &[("HOST", "h"), ("PORT", "5432"), ("OPTIONS", "-c geqo=off -c search_path=a,\\ b")],
        "",
    ),
];

#[test]
fn a_string_is_taken_as_providers_and_drivers_hand_it_out() {
    for (url, expected, ignored) in HANDED_OUT {
        // As it is, and as it is copied.
        for written in [
            (*url).to_owned(),
            format!("{url}\n"),
            format!(" \"{url}\" \r\n"),
            format!("'{url}'"),
            format!("psql '{url}'"),
        ] {
            if written.starts_with("psql") && url.contains('\'') {
                continue;
            }
            let mut set = set_by(&written);
            let mut expected: Vec<(String, String)> =
                expected.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            set.sort();
            expected.sort();
            assert_eq!(set, expected, "{written:?}");
            let warnings = loaded(url, &Given { environment: &[("DATABASE_URL", &written)], ..NOTHING }).warnings;
            let told = format!("DATABASE_URL (in the environment): {ignored} after the ? without effect");
            let told = if ignored.is_empty() { Vec::new() } else { vec![told] };
            assert_eq!(warnings, told, "{written:?}");
        }
    }
}
