"""Pydantic AI: an agent with an OpenAI model."""

import asyncio

from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

if TRANSPORT == "stdio":
    transport = StdioTransport(SERVER, [], env=ENVIRONMENT)
else:
    transport = StreamableHttpTransport(URL, headers=HEADERS)


async def main():
    agent = Agent("openai-chat:gpt-5.2", toolsets=[MCPToolset(transport)])
    async with agent:
        await agent.run("What is in the shop?")


asyncio.run(main())
