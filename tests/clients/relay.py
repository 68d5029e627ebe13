"""Between one client and the daemon: passes bytes on, and can close the connections on which nobody waits for an answer.

That is what happens to a client whose model thinks for longer than its HTTP library keeps an idle connection.
"""

import asyncio


class Relay:
    def __init__(self, port):
        self.port = port  # the daemon's
        self.connections = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for connection in list(self.connections):
            connection.close()

    def hang_up(self):
        for connection in list(self.connections):
            if not connection.is_stream:
                connection.close()

    async def accept(self, reader, writer):
        connection = Connection(writer)
        self.connections.add(connection)
        try:
            daemon_reader, connection.to_daemon = await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.gather(connection.pass_requests(reader), connection.pass_answers(daemon_reader))
        except OSError:
            pass  # one side is gone, which the other is told below
        finally:
            self.connections.discard(connection)
            connection.close()


class Connection:
    def __init__(self, to_client):
        self.to_client = to_client
        self.to_daemon = None
        self.is_stream = False  # whether the last request on it is answered by a stream that stands

    def close(self):
        for writer in (self.to_client, self.to_daemon):
            if writer:
                writer.close()

    async def pass_requests(self, reader):
        while data := await reader.read(65536):
            if data.startswith((b"GET ", b"POST ", b"DELETE ")):
                self.is_stream = data.startswith(b"GET ")
            self.is_stream |= b'"subscriptions/listen"' in data
            self.to_daemon.write(data)
            await self.to_daemon.drain()
        self.to_daemon.close()

    async def pass_answers(self, reader):
        while data := await reader.read(65536):
            self.to_client.write(data)
            await self.to_client.drain()
        self.to_client.close()
