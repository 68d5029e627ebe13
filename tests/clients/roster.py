"""Every client: its package, in which environment it is installed, the program that drives it, and what is excused."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import judge

HERE = Path(__file__).parent
CHECKS = tuple(judge.CHECKS)
ALL = ("stdio", "http", "token")


@dataclass(frozen=True)
class Client:
    package: str
    environment: str  # a folder of tests/clients/environments
    program: str  # a file of tests/clients/python or node, and its arguments
    provider: str | None = None  # whose rules the tools must satisfy, of schemas.PROVIDERS; None if nothing is converted
    transports: tuple = ALL
    checks: tuple = CHECKS
    note: str = ""
    excuses: dict = field(default_factory=dict)  # why a check fails, by its name

    @property
    def name(self):
        """As the table has it: package, version, note."""
        return " ".join(filter(None, [locked(self.environment, self.package), self.note]))


def locked(environment, package):
    """A package and its version, as the files of the environment have them."""
    folder = HERE / "environments" / environment
    if (folder / "requirements.txt").exists():
        for line in (folder / "requirements.txt").read_text().splitlines():
            if line.startswith(f"{package}=="):
                return line.split()[0].replace("==", " ")
        raise LookupError(f"{package} is not in {folder}")
    specification = json.loads((folder / "package.json").read_text())["dependencies"][package]
    # Another name than the package's own is there where two versions are.
    package, _, version = (specification if "@" in specification else f"{package}@{specification}").removeprefix("npm:").rpartition("@")
    return f"{package} {version}"


ANYTHING = "A cell of a row may be any JSON. A schema without a recursion can say that only by saying nothing."
EMPTIES = "It makes {} of every anyOf of plain types. OpenAI takes that, but its model is not told what parameters may be."

CLIENTS = [
    # SDKs.
    Client("mcp", "old", "sdk_1.py"),
    Client("mcp", "one", "sdk_1.py"),
    Client("mcp", "two", "sdk_2.py"),
    Client("fastmcp", "two", "fast.py"),
    Client("sdk-1.23", "node", "sdk_1.mjs sdk-1.23"),
    Client("@modelcontextprotocol/sdk", "node", "sdk_1.mjs @modelcontextprotocol/sdk"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs legacy", note="legacy"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs auto", note="auto"),
    Client("@modelcontextprotocol/client", "node", "sdk_2.mjs 2026-07-28", note="2026-07-28"),
    Client("mcp-remote", "node", "remote.mjs", transports=("http", "token")),
    Client(
        "@modelcontextprotocol/inspector", "node", "inspector.mjs", "inspector",
        checks=("list", "convert", "integer", "error", "cut", "quiet"), excuses={"convert": ANYTHING},
    ),
    # Frameworks.
    Client("langchain-mcp-adapters", "one", "langchain_agent.py", "openai"),
    Client("mcp-use", "one", "mcp_use_agent.py", "openai"),
    Client("smolagents", "one", "smol_agent.py", "openai"),
    Client("openai-agents", "two", "openai_agent.py", "openai"),
    Client("openai-agents", "two", "openai_agent.py strict", "openai-strict", note="strict"),
    Client("pydantic-ai-slim", "two", "pydantic_agent.py", "openai"),
    Client("google-genai", "google-1", "google_genai.py", "gemini", excuses={"convert": "It drops items that have anyOf. Its later versions do not."}),
    Client("google-genai", "google-3", "google_genai.py", "gemini"),
    Client("google-adk", "adk", "adk_agent.py", "gemini", excuses={"convert": ANYTHING}),
    Client("@langchain/mcp-adapters", "node", "langchain_agent.mjs", "openai", excuses={"convert": EMPTIES}),
    Client("@openai/agents", "node", "openai_agent.mjs", "openai"),
    Client("@openai/agents", "node", "openai_agent.mjs strict", "openai-strict", note="strict"),
    Client("@ai-sdk/mcp", "node", "ai_sdk.mjs", "openai"),
    # Hosts.
    Client("@google/gemini-cli", "node", "gemini_cli.mjs", "gemini"),
]
