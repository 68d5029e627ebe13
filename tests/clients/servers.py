"""A private PostgreSQL, and the daemon on it: without tokens, and with one."""

import asyncio
import hashlib
import json
import os
import secrets
from urllib.parse import urlsplit

START_MAX_S = 60

# Clients run at the same time, each keeps a cursor for a while, and a cursor keeps a connection.
SETTINGS = {"POSTGRES_POOL_SIZE": "20", "MCP_MAX_CURSORS": "15"}


class Servers:
    def __init__(self, program, cluster, folder):
        self.program = program  # this server
        self.cluster = cluster  # crates/pg-private/examples/hold.rs
        self.folder = folder
        self.token = secrets.token_urlsafe(32)
        self.ports = {}  # of the daemons, by transport
        self.processes = []

    async def __aenter__(self):
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def start(self):
        cluster = await self.spawn(self.cluster, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        line = await asyncio.wait_for(cluster.stdout.readline(), START_MAX_S)
        self.database = line.decode().strip()
        if not self.database:
            raise RuntimeError("the private PostgreSQL does not start")
        tokens = self.folder / "tokens.toml"
        tokens.write_text(f'[tokens.alice]\nsha256 = "{hashlib.sha256(self.token.encode()).hexdigest()}"\n')
        tokens.chmod(0o600)
        self.ports["http"] = await self.daemon("http", {})
        self.ports["token"] = await self.daemon("token", {"MCP_TOKENS_FILE": str(tokens)})

    async def __aexit__(self, *_):
        for process in reversed(self.processes):
            if process.stdin:
                process.stdin.close()  # the cluster ends with it
            elif process.returncode is None:
                process.terminate()
            await process.wait()

    async def spawn(self, *command, **how):
        process = await asyncio.create_subprocess_exec(*map(str, command), cwd=self.folder, **how)
        self.processes.append(process)
        return process

    async def daemon(self, name, settings):
        """Starts one and gives its port, which it says in its log."""
        log = self.folder / f"{name}.log"
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.database, "MCP_HTTP_ADDR": "127.0.0.1:0"}
        with log.open("wb") as stderr:
            process = await self.spawn(
                self.program, "serve", env=environment | SETTINGS | settings, stdin=asyncio.subprocess.DEVNULL, stderr=stderr
            )
        for _ in range(START_MAX_S * 20):
            for line in log.read_text().splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # not yet written to its end
                if event["message"] == "listening":
                    return urlsplit(event["context"]["url"]).port
            if process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        raise RuntimeError(f"the daemon does not listen:\n{log.read_text()}")
