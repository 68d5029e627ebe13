"""An invented status of a busy hour, in the form of GET /status.json. The same in every run."""

import math
import random
from datetime import datetime, timedelta, timezone

NOW = datetime(2026, 7, 28, 14, 32, 8, 412000, timezone.utc)

# Hostile text: anybody who can call a tool or name a table can bring such text into the page.
MARKUP = "<img src=x onerror=\"window.ran = 1\">"
ENDED_SCRIPT = "</script><script>window.ran = 2</script>"
TURNED = "\u202etxet denrut"

REPORT = """with monthly as (
    select date_trunc(?, o.placed_at) as month, c.region_id, p.category_id,
           sum(i.quantity * i.unit_price) as turnover, count(distinct o.customer_id) as customers
      from orders o
      join order_items i on i.order_id = o.id
      join products p on p.id = i.product_id
      join customers c on c.id = o.customer_id
     where o.placed_at >= ? and o.placed_at < ? and o.state = any(?)
     group by 1, 2, 3
)
select r.name as region, k.name as category, m.month, m.turnover, m.customers,
       m.turnover - lag(m.turnover) over (partition by m.region_id, m.category_id order by m.month) as change,
       rank() over (partition by m.month order by m.turnover desc) as place
  from monthly m
  join regions r on r.id = m.region_id
  join categories k on k.id = m.category_id
 order by m.month desc, place
 limit ?"""


def at(**ago):
    return (NOW - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pool(size_max, in_use, idle, waiting=0):
    return {"size_max": size_max, "size": in_use + idle, "in_use": in_use, "idle": idle, "waiting": waiting}


def databases():
    return [
        {"name": "shop", "state": "up", "since_at": at(days=3, hours=4, minutes=11), "why": None, "next_try_ms": None,
         "access": "read-only", "generation": 3, "draining": 1, "role_findings": [], "pool": pool(10, 4, 2)},
        {"name": "archive", "state": "degraded", "since_at": at(minutes=6, seconds=40),
         "why": "2 of the last 5 connections were lost: server closed the connection unexpectedly", "next_try_ms": 1500,
         "access": "read-only", "generation": 1, "draining": 0, "pool": pool(5, 5, 0, 3),
         "role_findings": [{"severe": False, "what": "The role agent can make schemas in the database",
                            "mend": "REVOKE CREATE ON DATABASE from it, and from the roles that it is in"}]},
        {"name": "reports", "state": "down", "since_at": at(minutes=2, seconds=9),
         "why": "connection to db-reports.internal:5432 refused (os error 111)", "next_try_ms": 8200,
         "access": "read-write", "generation": 2, "draining": 0, "role_findings": [], "pool": pool(8, 0, 0)},
    ]


def call(number, database, client, tool, operation, sql, phase, elapsed_ms, rows, size):
    return {"id": number, "database": database, "client": client, "tool": tool, "operation": operation, "sql": sql,
            "phase": phase, "elapsed_ms": elapsed_ms, "rows": rows, "bytes": size}


def calls():
    return [
        call(18211, "shop", "alice", "async_query_execute", "SELECT", REPORT, "running", 21408.3, 0, 0),
        call(18240, "shop", "ci-runner", "batch_query_execute", "UPDATE",
             "update stock set reserved = reserved + ? where product_id = ?", "running", 842.7, 12, 0),
        call(18242, "archive", "alice", "fetch_rows", "SELECT", "select * from events where happened_at > ?", "running", 96.2, 84210, 9_480_113),
        call(18243, "archive", "nightly", "async_query_execute", "SELECT",
             f"select * from \"{MARKUP}\" where note = ? -- {ENDED_SCRIPT} {TURNED}", "waiting", 3120.0, 0, 0),
    ]


def latency():
    dice = random.Random(7)
    points = []
    for step in range(180):
        ago = timedelta(seconds=10 * (180 - step))
        count = int(max(0, 46 + 26 * math.sin(step / 19) + dice.gauss(0, 8)))
        if 61 <= step < 66:
            count = 0
        failed = 9 if step in (167, 168) else (1 if dice.random() < 0.03 else 0)
        if count == 0:
            points.append({"at": (NOW - ago).isoformat().replace("+00:00", "Z"), "calls": 0, "failed": 0, "p50_ms": None, "p95_ms": None, "max_ms": None})
            continue
        p50 = 1.6 + 0.7 * math.sin(step / 23) + dice.random() * 0.5
        p95 = p50 * (5 + dice.random() * 4) * (6 if 120 <= step < 134 else 1)
        points.append({"at": (NOW - ago).isoformat().replace("+00:00", "Z"), "calls": count, "failed": min(failed, count),
                       "p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "max_ms": round(p95 * (1.5 + 14 * dice.random() ** 5 * 3), 3)})
    return {"step_ms": 10000, "points": points}


LIMITS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, None]


def tool(name, counts, failed, cancelled, p50, p95, p99, most):
    total, buckets = 0, []
    for limit, count in zip(LIMITS, counts):
        total += count
        buckets.append({"le_ms": limit, "count": total})
    return {"tool": name, "calls": total, "failed": failed, "cancelled": cancelled, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
            "max_ms": most, "buckets": buckets}


def tools():
    return [
        tool("async_query_execute", [120, 980, 3410, 4822, 2210, 940, 610, 402, 190, 96, 51, 40, 33, 12, 4, 2], 63, 11, 1.74, 41.3, 611.0, 21408.3),
        tool("batch_query_execute", [0, 0, 12, 88, 241, 190, 77, 20, 9, 4, 1, 1, 0, 0, 0, 0], 9, 1, 4.4, 28.9, 96.0, 871.2),
        tool("fetch_rows", [0, 4, 61, 240, 318, 402, 290, 118, 31, 6, 2, 0, 0, 0, 0, 0], 0, 2, 7.9, 44.0, 88.1, 402.5),
        tool("slow_queries", [22, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, 0, 0.09, 0.31, 0.62, 0.62),
    ]


def slow_query(executed_ms, waited_ms, rows, outcome, began_at, database, client, operation, sql):
    return {"sql": sql, "operation": operation, "executed_ms": executed_ms, "waited_ms": waited_ms, "rows": rows, "outcome": outcome,
            "began_at": began_at, "database": database, "client": client}


def slow():
    return {"threshold_ms": 1000, "queries": [
        slow_query(30000.4, 0.1, 0, "failed", at(hours=26), "archive", "nightly", "SELECT", "select count(*) from events e join events f using (session_id) where e.kind = ? and f.kind = ?"),
        slow_query(12950.8, 3.2, 0, "cancelled", at(minutes=9, seconds=3), "shop", "alice", "SELECT", REPORT),
        slow_query(4211.0, 1204.6, 1000, "successful", at(minutes=14), "archive", "nightly", "SELECT", "select * from events where payload @> ? order by happened_at desc limit ?"),
        slow_query(1733.9, 0.2, 412, "successful", at(minutes=31, seconds=44), "shop", "ci-runner", "EXPLAIN", "explain (analyze, buffers) select * from orders where customer_id in (select id from customers where region_id = ?)"),
        slow_query(1020.5, 0.1, 1, "successful", at(minutes=47), "shop", "alice", "SELECT", f"select {ENDED_SCRIPT!r}::text, {MARKUP!r}"),
    ]}


def reloads():
    return [
        {"at": at(minutes=4, seconds=12), "outcome": "rejected", "what": "MCP_MAX_ROWS: a whole number from 1 to 1000000, not \"many\" (.env, line 14)"},
        {"at": at(minutes=12, seconds=50), "outcome": "applied", "what": "pool rebuilt: shop"},
        {"at": at(hours=5, minutes=2), "outcome": "unchanged", "what": "the files say what is in effect"},
        {"at": at(days=2, hours=1), "outcome": "applied", "what": f"tokens: nightly added {MARKUP}"},
    ]


def log():
    line = lambda level, logger, message, **context: (level, logger, message, context)  # noqa: E731
    turns = [
        line("INFO", "executor", "query finished", operation="SELECT", executed_us=1742, rows=12, database="shop", client="alice"),
        line("INFO", "executor", "query finished", operation="SELECT", executed_us=44120, rows=1000, database="archive", client="nightly"),
        line("DEBUG", "http", "request", method="POST", path="/mcp", status=200),
        line("WARN", "pool", "a connection was lost and is replaced", database="archive", generation=1),
        line("INFO", "executor", "query finished", operation="UPDATE", executed_us=911, rows=1, database="shop", client="ci-runner"),
        line("ERROR", "executor", "query failed", sqlstate="57014", why="canceling statement due to statement timeout", database="archive"),
        line("INFO", "session", "client says hello", client="alice", protocol="2026-07-28"),
    ]
    lines = [("ERROR", "database", "no connection: reports", {"why": "connection to db-reports.internal:5432 refused (os error 111)", "next_try_ms": 8200}),
             ("WARN", "guard", "query refused", {"why": f"{MARKUP} is no function that may run", "sql": f"select {ENDED_SCRIPT}"})]
    lines += [turns[index % len(turns)] for index in range(70)]
    return [{"timestamp": at(seconds=index * 1.73), "level": level, "logger": logger, "message": message, "context": context}
            for index, (level, logger, message, context) in enumerate(lines)]


def status():
    return {
        "server": {"name": "mcp-server-postgres", "version": "0.1.0", "started_at": at(days=3, hours=4, minutes=12), "uptime_ms": 274_320_412,
                   "pid": 4182, "resident_bytes": 21_889_024, "descriptors": 41, "connections": 9, "sessions": 7, "clients": 3,
                   "listeners": ["http://127.0.0.1:8808", "unix:/run/mcp-server-postgres/http.sock"], "generated_at": at()},
        "operator": {"name": "alice", "may_cancel": True, "why_not": None},
        "databases": databases(),
        "calls": calls(),
        "totals": {"successful": 15931, "failed": 72, "cancelled": 14, "refused": 208, "rows": 1_904_227, "bytes": 412_667_904},
        "latency": latency(),
        "tools": tools(),
        "slow": slow(),
        "reloads": reloads(),
        "log": log(),
    }


def empty():
    """The status of a server that has just started and has no database."""
    told = status()
    told["server"] |= {"uptime_ms": 812, "started_at": at(), "resident_bytes": None, "sessions": 0, "clients": 0, "connections": 1, "listeners": []}
    told["totals"] = dict.fromkeys(told["totals"], 0)
    told["latency"]["points"] = []
    told["slow"]["queries"] = []
    return told | {"databases": [], "calls": [], "tools": [], "reloads": [], "log": []}
