"""mcp-use: an agent with an OpenAI model of LangChain."""

import asyncio

from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL
from langchain_openai import ChatOpenAI
from mcp_use import MCPAgent, MCPClient

if TRANSPORT == "stdio":
    postgres = {"command": SERVER, "args": [], "env": ENVIRONMENT}
else:
    postgres = {"url": URL, "headers": HEADERS}


async def main():
    client = MCPClient({"mcpServers": {"postgres": postgres}})
    agent = MCPAgent(llm=ChatOpenAI(model="gpt-5.2"), client=client, max_steps=20)
    await agent.run("What is in the shop?")
    await client.close_all_sessions()


asyncio.run(main())
