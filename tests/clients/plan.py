"""The calls that every client makes (plan.json), and their arguments."""

import json
import re
from pathlib import Path

STEPS = json.loads((Path(__file__).parent / "plan.json").read_text())


# What a model gives for an argument that it does not care for, where its provider or library makes every argument a must.
USUAL = {"parameters": [], "max_rows": 1000, "max_bytes": 20000, "timeout_ms": 30000, "format": "table", "cell_offset": 0}


def arguments(step, seen, required=()):
    """The arguments of a step, after answers in which the last cursor stands as a client shows it."""
    cursors = re.findall(r"cursor\W+([0-9a-f]{32})", seen)
    own = {name: value if value != "$cursor" else (cursors or ["none was shown"])[-1] for name, value in step["arguments"].items()}
    return {name: USUAL[name] for name in required if name in USUAL} | own
