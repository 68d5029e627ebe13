"""The Python SDK, 1.x."""

import asyncio
from contextlib import asynccontextmanager

from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL, tell, walk
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


@asynccontextmanager
async def connect():
    if TRANSPORT == "stdio":
        streams = stdio_client(StdioServerParameters(command=SERVER, args=[], env=ENVIRONMENT))
    else:
        streams = streamablehttp_client(URL, headers=HEADERS)
    async with streams as (read, write, *_), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def main():
    async with connect() as session:
        tools = (await session.list_tools()).tools
        tell("list", tools=[tool.name for tool in tools])

        async def call(name, arguments):
            result = await session.call_tool(name, arguments)
            return result.content[0].text, result.isError

        await walk(call)


asyncio.run(main())
