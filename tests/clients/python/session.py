"""A session of the Python SDK, of whichever version is installed."""

from contextlib import asynccontextmanager

from here import ENVIRONMENT, HEADERS, SERVER, TRANSPORT, URL
from mcp import ClientSession, StdioServerParameters
from mcp.client import streamable_http
from mcp.client.stdio import stdio_client


def over_http():
    if hasattr(streamable_http, "streamablehttp_client"):
        return streamable_http.streamablehttp_client(URL, headers=HEADERS)
    import httpx2

    return streamable_http.streamable_http_client(URL, http_client=httpx2.AsyncClient(headers=HEADERS))


@asynccontextmanager
async def connect():
    streams = stdio_client(StdioServerParameters(command=SERVER, args=[], env=ENVIRONMENT)) if TRANSPORT == "stdio" else over_http()
    async with streams as (read, write, *_), ClientSession(read, write) as session:
        await session.initialize()
        yield session
