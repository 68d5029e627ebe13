"""Where the server is for this run, and how a program tells what it has seen. tests/clients/run.py sets the environment."""

import json
import os
import urllib.request

import plan

TRANSPORT = os.environ["CLIENT_TRANSPORT"]  # stdio, http, or token: http with a token
SERVER = os.environ["CLIENT_SERVER"]  # the program, for stdio
ENVIRONMENT = json.loads(os.environ["CLIENT_SERVER_ENVIRONMENT"])  # its environment
URL = os.environ.get("CLIENT_URL")
MODEL = os.environ["CLIENT_MODEL"]  # where the stand-in for a model is
HEADERS = {"Authorization": f"Bearer {os.environ['CLIENT_TOKEN']}"} if TRANSPORT == "token" else {}


def tell(check, **fact):
    print(json.dumps({"check": check, **fact}), flush=True)


def hang_up():
    """Has the client's connections closed on which nobody waits."""
    urllib.request.urlopen(urllib.request.Request(os.environ["CLIENT_HANG_UP"], method="POST"), timeout=20).close()


async def walk(call):
    """Makes the calls of the plan. `call` gives what the client shows of an answer, and whether it is an error."""
    seen = ""
    for step in plan.STEPS:
        if step.get("after_hang_up"):
            if TRANSPORT == "stdio":
                continue
            hang_up()
        try:
            text, is_error = await call(step["tool"], plan.arguments(step, seen))
        except Exception as error:  # noqa: BLE001: whatever a client raises is what its user sees
            text, is_error = f"{type(error).__name__}: {error}", True
        tell(step["check"], text=text, is_error=is_error)
        seen += text

