"""The base of the tests of the status page: a server, and tabs of a headless Chromium.

scripts/page.sh runs them and sets CHROMIUM. The tests wait for events of the page and never sleep for a fixed time.
"""

import os
import unittest

import fixture
from browser import Browser
from server import Server

SHOWN = "!document.getElementById('shown').hidden && document.querySelectorAll('#log tbody tr').length > 0"


def button(number):
    return f"#calls button[aria-label^='Cancel call {number}']"


class StatusPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(os.environ.get("CHROMIUM", "chromium"))
        cls.addClassCleanup(cls.browser.close)

    def serve(self, status=None, token=None):
        server = Server(fixture.status() if status is None else status, token)
        self.addCleanup(server.close)
        return server

    def open(self, server, wait=SHOWN, **how):
        page = self.browser.page(**how)
        self.addCleanup(page.close)
        page.open(server.url)
        page.until(wait)
        return page

    def is_quiet(self, page, server, but=()):
        """Asserts that nothing was blocked or thrown, no warning was logged except those in `but`, and no other host was asked."""
        complaints = [complaint for complaint in page.complaints() if not any(word in complaint for word in but)]
        self.assertEqual(complaints, [])
        elsewhere = [url for url in page.requested() if not url.startswith((server.url, "data:image/"))]
        self.assertEqual(elsewhere, [])
