"""FastMCP's client."""

import asyncio

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL, tell, walk


async def main():
    if TRANSPORT == "stdio":
        transport = StdioTransport(SERVER, [], env=ENVIRONMENT)
    else:
        transport = StreamableHttpTransport(URL, headers=HEADERS)
    async with Client(transport) as client:
        tell("list", tools=[tool.name for tool in await client.list_tools()])

        async def call(name, arguments):
            result = await client.call_tool(name, arguments, raise_on_error=False)
            return result.content[0].text, result.is_error

        await walk(call)


asyncio.run(main())
