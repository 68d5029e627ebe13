"""Every client: its package, in which environment it is installed, the program that drives it, and what is excused."""

import json
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ALL = ("stdio", "http", "token")


@dataclass(frozen=True)
class Client:
    package: str
    environment: str  # a folder of tests/clients/environments
    program: str  # a file of tests/clients/python or node, and its arguments
    provider: str | None = None  # whose rules the tools must satisfy, of schemas.PROVIDERS; None if nothing is converted
    transports: tuple = ALL
    note: str = ""
    excuses: dict = field(default_factory=dict)  # why a check fails, by its name

    @property
    def name(self):
        """As the table has it."""
        return " ".join(filter(None, [self.package.lstrip("@"), version(self.environment, self.package), self.note]))


def version(environment, package):
    """What the lock file of the environment has."""
    folder = HERE / "environments" / environment
    if (folder / "requirements.txt").exists():
        for line in (folder / "requirements.txt").read_text().splitlines():
            if line.startswith(f"{package}=="):
                return line.removeprefix(f"{package}==").split()[0]
    else:
        dependencies = json.loads((folder / "package.json").read_text())["dependencies"]
        if package in dependencies:
            return dependencies[package].rpartition("@")[2]
    raise LookupError(f"{package} is not in {folder}")


CLIENTS = [
    Client("mcp", "old", "sdk_1.py"),
    Client("mcp", "one", "sdk_1.py"),
    Client("langchain-mcp-adapters", "one", "langchain_agent.py", "openai"),
    Client("mcp", "two", "sdk_2.py"),
    Client("fastmcp", "two", "fast.py"),
    Client("openai-agents", "two", "openai_agent.py", "openai"),
    Client("openai-agents", "two", "openai_agent.py strict", "openai-strict", note="strict"),
    Client("pydantic-ai-slim", "two", "pydantic_agent.py", "openai"),
    Client("sdk-1.23", "node", "sdk_1.mjs sdk-1.23"),
    Client("@modelcontextprotocol/sdk", "node", "sdk_1.mjs @modelcontextprotocol/sdk"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs legacy", note="legacy"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs auto", note="auto"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs 2026-07-28", note="2026-07-28"),
]
