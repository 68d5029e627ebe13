"""Google's ADK: an agent with a Gemini model."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL
from mcp import StdioServerParameters

if TRANSPORT == "stdio":
    parameters = StdioServerParameters(command=SERVER, args=[], env=ENVIRONMENT)
    connection = StdioConnectionParams(server_params=parameters, timeout=60)
else:
    connection = StreamableHTTPConnectionParams(url=URL, headers=HEADERS)


async def main():
    toolset = McpToolset(connection_params=connection)
    agent = LlmAgent(name="analyst", model="gemini-3-pro", tools=[toolset])
    await InMemoryRunner(agent).run_debug("What is in the shop?", quiet=True)
    await toolset.close()


asyncio.run(main())
