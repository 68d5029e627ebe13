"""OpenAI's agents. With the argument `strict` the tools' schemas are made strict."""

import asyncio
import sys

from agents import Agent, Runner
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL

mcp_config = {"convert_schemas_to_strict": "strict" in sys.argv}
if TRANSPORT == "stdio":
    server = MCPServerStdio({"command": SERVER, "args": [], "env": ENVIRONMENT}, client_session_timeout_seconds=60)
else:
    server = MCPServerStreamableHttp({"url": URL, "headers": HEADERS}, client_session_timeout_seconds=60)


async def main():
    async with server:
        agent = Agent(name="Analyst", mcp_servers=[server], mcp_config=mcp_config)
        await Runner.run(agent, "What is in the shop?")


asyncio.run(main())
