"""Stands in for a model's API, on loopback: asks for one tool call after another, as plan.json says, and keeps every request.

It speaks OpenAI's chat completions and responses, Anthropic's messages, and Gemini's generateContent, streamed or not. What
stands in a request is what a client gives its model: the tools with their schemas, and the results of the calls so far.
"""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dialects
import plan

HANG_UP_MAX_S = 10


class Model:
    """One for each run of a client. It also closes the client's connections to the daemon, if it is asked at /hang-up."""

    def __init__(self, hang_up, loop):
        self.hang_up = hang_up  # runs in the loop
        self.loop = loop
        self.requests = []  # those that have the server's tools, as dialects.Request
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def close_connections(self):
        async def now():
            self.hang_up()

        asyncio.run_coroutine_threadsafe(now(), self.loop).result(HANG_UP_MAX_S)

    def next_call(self, request):
        """The call that the plan has next: a name and arguments. None when all have been made."""
        if len(request.results) >= len(plan.STEPS):
            # smolagents goes on until its model calls this.
            is_called = any(tool["name"] == "final_answer" for tool in request.tools)
            return ("final_answer", {"answer": dialects.END}) if is_called else None
        step = plan.STEPS[len(request.results)]
        if step.get("after_hang_up"):
            self.close_connections()
        # A host puts something in front of a tool's name.
        tool = next(tool for tool in request.tools if tool["name"].endswith(step["tool"]))
        required = (tool["schema"] or {}).get("required") or ()
        return tool["name"], plan.arguments(step, "\n".join(request.results), required)

    def answer(self, path, body):
        """The content type and the bytes of the answer."""
        dialect = dialects.of(path)
        request = dialect.read(body)
        call = None
        if any(tool["name"].endswith(plan.STEPS[0]["tool"]) for tool in request.tools):
            self.requests.append(request)
            call = self.next_call(request)
        # Every call has an id of its own.
        number = f"call_{len(request.results)}"
        if dialect.is_streamed(path, body):
            return "text/event-stream", "".join(dialect.stream(call, number)).encode()
        return "application/json", json.dumps(dialect.whole(call, number)).encode()

    def facts(self):
        """What the requests show, as a program that speaks with the server itself would tell it (judge.py)."""
        if not self.requests:
            return []
        tools = self.requests[0].tools
        facts = [{"check": "list", "tools": [tool["name"] for tool in tools]}, {"check": "convert", "tools": tools}]
        results = max((request.results for request in self.requests), key=len)
        facts += [{"check": step["check"], "text": text} for step, text in zip(plan.STEPS, results)]
        return facts

    def handler(model):  # noqa: N805: `self` is the request
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.say(404, "application/json", b"{}")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/hang-up":
                    model.close_connections()
                    self.say(200, "text/plain", b"")
                elif dialects.of(self.path):
                    self.say(200, *model.answer(self.path, json.loads(body)))
                else:
                    self.do_GET()

        return Handler
