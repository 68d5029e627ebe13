"""What each fact that a client tells should be."""

import re

import plan
import schemas

TOOLS = {"async_query_execute", "batch_query_execute", "fetch_rows", "performance_summary", "slow_queries"}

# A fact of a check is an object. Those about calls have `text`, what the client shows of the answer, and `is_error` where it
# tells that.
CHECKS = ["list", "convert", *(step["check"] for step in plan.STEPS), "quiet"]

NOTHING = "nothing was told"

# What a client writes to stderr about an answer that it cannot read, or does not like.
NOISE = re.compile(r"Traceback|SyntaxError|Unexpected end of JSON|[Ee]rror parsing|Failed to (parse|validate)|ValidationError")


def checks(client, transport):
    """Those that a client has by this transport."""
    without = ([] if client.provider else ["convert"]) + (["later"] if transport == "stdio" else [])
    return [check for check in client.checks if check not in without]


def bare(name):
    """A tool's name without what a host puts in front of it."""
    return next((tool for tool in TOOLS if name.endswith(tool)), name)


def complaint(check, facts, provider):
    """Why a check has failed; None if it has not."""
    fact = next((fact for fact in facts if fact["check"] == check), None)
    if fact is None:
        return NOTHING
    if check == "list":
        missing = TOOLS - {bare(name) for name in fact["tools"]}
        return f"without {', '.join(sorted(missing))}" if missing else None
    if check == "convert":
        return of_schemas(fact["tools"], provider)
    if check == "quiet":
        return next((line.strip()[:200] for line in fact["lines"] if NOISE.search(line)), None)
    return of_call(next(step for step in plan.STEPS if step["check"] == check), fact)


def of_schemas(tools, provider):
    if provider == "inspector":
        return "; ".join(tools) or None
    ours = [tool for tool in tools if bare(tool["name"]) in TOOLS]
    found = [complaint for tool in ours for complaint in schemas.complaints(tool, provider)]
    if not found:
        [execute] = [tool for tool in ours if bare(tool["name"]) == "async_query_execute"]
        found = schemas.parameters_complaints(execute)
    return "; ".join(found[:3]) + (f"; {len(found) - 3} more" if len(found) > 3 else "") if found else None


def of_call(step, fact):
    # Where a model is given an answer as JSON in JSON, quotes are escaped.
    text = fact["text"].replace("\\", "")
    if fact.get("is_error") not in (None, step.get("is_error", False)):
        return f"{'an error' if fact['is_error'] else 'no error'}: {text[:200]}"
    missing = [shown for shown in step["shows"] if shown not in text]
    too_much = [hidden for hidden in step.get("hides", []) if hidden in text]
    if missing or too_much:
        return f"without {missing}" * bool(missing) + f"with {too_much}" * bool(too_much) + f": {text[:200]}"
    return None
