"""The Python SDK, 1.x."""

import asyncio

from here import tell, walk
from session import connect


async def main():
    async with connect() as session:
        tools = (await session.list_tools()).tools
        tell("list", tools=[tool.name for tool in tools])

        async def call(name, arguments):
            result = await session.call_tool(name, arguments)
            return result.content[0].text, result.isError

        await walk(call)


asyncio.run(main())
