"""Plays the daemon for the status page: serves the page with its policy and a status that a test sets, and cancels calls."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parents[2] / "src/http/status.html"


def policy(page):
    """The Content-Security-Policy, which allows only the one style and the one script in the page."""

    def digest(tag):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest('style')}'; script-src 'sha256-{digest('script')}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


class Server:
    def __init__(self, status, token=None):
        self.status = status
        self.token = token  # if there is one, requests must send it
        self.refusal = None  # if set, every request gets this status
        self.body = None  # if set, it is sent instead of the status
        self.cancel_status = 204
        self.asked = []  # (method, path, Authorization) of all requests except those for the page itself
        self.changed = threading.Condition()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def posts(self):
        return [request for request in self.asked if request[0] == "POST"]

    def polls(self):
        return len([request for request in self.asked if request[1] == "/status.json"])

    def wait(self, condition):
        """Waits until the requests so far fulfil a condition."""
        with self.changed:
            assert self.changed.wait_for(condition, 30), f"asked so far: {self.asked}"

    def wait_polls(self, more):
        wanted = self.polls() + more
        self.wait(lambda: self.polls() >= wanted)

    def handler(server):  # noqa: N805: `self` is the request
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, kind="text/plain", body="", **headers):
                body = body.encode()
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def is_known(self):
                with server.changed:
                    server.asked.append((self.command, self.path, self.headers.get("Authorization")))
                    server.changed.notify_all()
                if server.refusal:
                    self.answer(server.refusal)
                elif server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                    self.answer(401, **{"WWW-Authenticate": "Bearer"})
                else:
                    return True
                return False

            def do_GET(self):
                if self.path == "/":
                    page = PAGE.read_text()
                    self.answer(200, "text/html; charset=utf-8", page, **{"Content-Security-Policy": policy(page), "X-Content-Type-Options": "nosniff"})
                elif self.path == "/status.json":
                    if self.is_known():
                        self.answer(200, "application/json", json.dumps(server.status) if server.body is None else server.body)
                else:
                    self.is_known() and self.answer(404)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.is_known():
                    if server.cancel_status == 204:
                        server.status["calls"] = [call for call in server.status["calls"] if f"/calls/{call['id']}/cancel" != self.path]
                    # An answer 204 has no body and no Content-Length.
                    self.send_response(server.cancel_status)
                    if server.cancel_status != 204:
                        self.send_header("Content-Length", "0")
                    self.end_headers()

        return Handler
