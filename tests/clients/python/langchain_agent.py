"""LangChain: an agent with an OpenAI model."""

import asyncio

from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

if TRANSPORT == "stdio":
    postgres = {"transport": "stdio", "command": SERVER, "args": [], "env": ENVIRONMENT}
else:
    postgres = {"transport": "http", "url": URL, "headers": HEADERS}


async def main():
    client = MultiServerMCPClient({"postgres": postgres})
    async with client.session("postgres") as session:
        agent = create_agent("openai:gpt-5.2", await load_mcp_tools(session))
        await agent.ainvoke({"messages": "What is in the shop?"})


asyncio.run(main())
