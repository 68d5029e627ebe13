"""Runs every client of roster.py against this server, by stdio and HTTP, and prints a table of what passed: `make clients`.

    run.py PROGRAM CLUSTER ENVIRONMENTS NODE [WORD…]

PROGRAM is this server, CLUSTER the example `hold` of crates/pg-private, ENVIRONMENTS the folder with what scripts/clients.sh
has installed, NODE a Node of version 22 or newer. With words only the clients run whose names have one of them.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import judge
from model import Model
from relay import Relay
from roster import CLIENTS, HERE
from servers import SETTINGS, Servers

RUN_MAX_S = 180
JOBS = int(os.environ.get("JOBS") or 2)


class Run:
    """One client by one transport."""

    def __init__(self, client, transport):
        self.client = client
        self.transport = transport
        self.checks = judge.checks(client, transport)
        self.complaints = {}  # by check: why it failed

    async def go(self, servers, tools):
        port = servers.ports.get(self.transport)
        with tempfile.TemporaryDirectory(prefix="clients-") as folder:
            async with Relay(port) as relay:
                model = Model(relay.hang_up, asyncio.get_running_loop())
                try:
                    environment = self.environment(servers, relay, model, folder)
                    facts, ending = await self.drive(tools.command(self.client), environment, folder)
                finally:
                    model.close()
        keep(self, ".requests.json", json.dumps([vars(request) for request in model.requests], indent=1).encode())
        facts += model.facts()
        for check in self.checks:
            why = judge.complaint(check, facts, self.client.provider)
            if why:
                self.complaints[check] = f"{why}{ending if why == judge.NOTHING else ''}"

    def environment(self, servers, relay, model, folder):
        settings = SETTINGS | {"DATABASE_URL": servers.database}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{HERE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CLIENT_TRANSPORT": self.transport,
            "CLIENT_SERVER": str(servers.program),
            "CLIENT_SERVER_ENVIRONMENT": json.dumps(settings),
            "CLIENT_PLAN": f"{HERE}/plan.json",
            "CLIENT_HANG_UP": f"{model.url}/hang-up",
            "CLIENT_MODEL": model.url,
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_API_KEY": "none",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": model.url,
            "GEMINI_API_KEY": "none",
        }
        if self.transport != "stdio":
            environment["CLIENT_URL"] = relay.url
        if self.transport == "token":
            environment["CLIENT_TOKEN"] = servers.token
        return environment

    async def drive(self, command, environment, folder):
        """The facts that the program tells, and how it ended."""
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, cwd=folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**26, start_new_session=True,
        )  # fmt: skip
        try:
            told, noise = await asyncio.wait_for(process.communicate(), RUN_MAX_S)
            ending = f"status {process.returncode}"
        except TimeoutError:
            told, noise = b"", b""
            ending = f"no end after {RUN_MAX_S} s"
        finally:
            end_group(process)
        facts = [json.loads(line) for line in told.decode().splitlines() if line.startswith('{"check"')]
        lines = noise.decode(errors="replace").splitlines()
        keep(self, ".out", told)
        keep(self, ".err", noise)
        last = next((line for line in reversed(lines) if line.strip()), "")
        return [*facts, {"check": "quiet", "lines": lines}], f" ({ending}; {last.strip()[:200]})"


def end_group(process):
    """A client can leave the programs behind that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def keep(run, end, data):
    """What a client wrote and sent, for whoever asks why it failed."""
    if folder := os.environ.get("CLIENTS_KEEP"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"{run.client.name} {run.transport}{end}".replace("/", "+").replace(" ", "_")
        (Path(folder) / name).write_bytes(data)


class Tools:
    def __init__(self, environments, node):
        self.environments = environments
        self.node = node

    def command(self, client):
        program, *arguments = client.program.split()
        folder = self.environments / client.environment
        if program.endswith(".py"):
            return [folder / "bin/python", HERE / "python" / program, *arguments]
        return [self.node, folder / program, *arguments]


def table(runs):
    width = max(len(run.client.name) for run in runs)
    yield f"{'client':<{width}}  {'by':<6}" + "".join(f"{check:<9}" for check in judge.CHECKS)
    for run in runs:
        cells = "".join(f"{mark(run, check):<9}" for check in judge.CHECKS)
        yield f"{run.client.name:<{width}}  {run.transport:<6}{cells}".rstrip()


def mark(run, check):
    if check not in run.checks:
        return ""
    if check in run.client.excuses:
        return "excused" if check in run.complaints else "PASSED"
    return "FAILED" if check in run.complaints else "ok"


async def main(program, cluster, environments, node, *words):
    clients = [client for client in CLIENTS if not words or any(word in f"{client.name} {client.program}" for word in words)]
    runs = [Run(client, transport) for client in clients for transport in client.transports]
    tools = Tools(Path(environments), node)
    turns = asyncio.Semaphore(JOBS)
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        async with Servers(program, cluster, Path(folder)) as servers:

            async def one(run):
                async with turns:
                    await run.go(servers, tools)

            await asyncio.gather(*map(one, runs))
    return report(runs)


def report(runs):
    """Prints everything; whether all is as it should be."""
    for line in table(runs):
        print(line)
    print()
    marks = Counter(mark(run, check) for run in runs for check in run.checks)
    for lines in map(remarks, runs):
        for line in lines:
            print(line)
    failed = marks["FAILED"] + marks["PASSED"]
    print(f"\n{marks['ok']} passed, {failed} failed, {marks['excused']} skipped")
    return failed == 0


def remarks(run):
    """Why checks failed, or are excused. Checks with the same reason share a line."""
    by_reason = {}
    for check in run.checks:
        told = mark(run, check)
        reason = {
            "ok": None,
            "FAILED": f"FAILED: {run.complaints.get(check)}",
            "excused": f"excused: {run.client.excuses.get(check)}",
            "PASSED": f"FAILED: excused ({run.client.excuses.get(check)}), but it passes",
        }[told]
        by_reason.setdefault(reason, []).append(check)
    by_reason.pop(None, None)
    for reason, checks in by_reason.items():
        yield f"{run.client.name}, {run.transport}, {' '.join(checks)}: {reason}"


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
