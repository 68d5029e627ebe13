"""The calls that every client makes (plan.json), and their arguments."""

import json
import re
from pathlib import Path

STEPS = json.loads((Path(__file__).parent / "plan.json").read_text())


def arguments(step, seen):
    """The arguments of a step, after answers in which the last cursor stands as a client shows it."""
    cursors = re.findall(r"cursor\W+([0-9a-f]{32})", seen)
    return {name: value if value != "$cursor" else (cursors or ["none was shown"])[-1] for name, value in step["arguments"].items()}
