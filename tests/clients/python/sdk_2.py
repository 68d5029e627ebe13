"""The Python SDK, 2.x."""

import asyncio

import httpx2
from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL, tell, walk
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

if TRANSPORT == "stdio":
    server = StdioServerParameters(command=SERVER, args=[], env=ENVIRONMENT)
else:
    server = streamable_http_client(URL, http_client=httpx2.AsyncClient(headers=HEADERS))


async def main():
    async with Client(server) as client:
        tell("list", tools=[tool.name for tool in (await client.list_tools()).tools])

        async def call(name, arguments):
            result = await client.call_tool(name, arguments)
            return result.content[0].text, result.is_error

        await walk(call)


asyncio.run(main())
