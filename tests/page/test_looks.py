"""How the page looks, and that a refresh does not move it."""

from pathlib import Path

import fixture
import look
from case import StatusPage, button

PICTURES = Path(__file__).parents[2] / "target/page"
SCHEMES = ("light", "dark")
SIZES = {"wide": (1280, 900), "narrow": (360, 740)}


class Looks(StatusPage):
    def test_a_refresh_moves_nothing_and_closes_nothing(self):
        server = self.serve()
        for width, height in SIZES.values():
            page = self.open(server, width=width, height=height)
            page.click("#calls summary")
            page.run(f'document.querySelector("{button(18211)}").focus()')
            page.run("shifts.length = 0")
            shape = page.run("document.documentElement.scrollHeight")
            for step in range(2):
                for call in server.status["calls"]:
                    call["elapsed_ms"] += 2000
                server.status["totals"]["successful"] += 117
                server.status["latency"]["points"].append(server.status["latency"]["points"].pop(0))
                server.status["log"].insert(0, server.status["log"][0] | {"timestamp": fixture.at(seconds=-step)})
                server.wait_polls(2)
                page.until("!isAsking")
            self.assertIn(f"{server.status['calls'][0]['elapsed_ms'] / 1000:.1f}\u00a0s", page.run("document.getElementById('calls').innerText"))
            self.assertEqual(page.run("[shifts, document.querySelector('#calls details').open]"), [[], True])
            self.assertEqual(page.run("document.documentElement.scrollHeight"), shape)
            self.assertEqual(page.run("document.activeElement.getAttribute('aria-label')"), "Cancel call 18211")

    def test_a_call_that_ends_moves_nothing_that_stands_below(self):
        server = self.serve()
        page = self.open(server)
        before = page.run("document.getElementById('latency-title').getBoundingClientRect().y")
        server.status["calls"] = []
        page.until("document.getElementById('calls').innerText.includes('No call is in flight.')")
        self.assertEqual(page.run("document.getElementById('latency-title').getBoundingClientRect().y"), before)

    def test_a_long_statement_has_three_lines_until_it_is_opened(self):
        page = self.open(self.serve())
        code = "document.querySelector('#calls code')"
        closed = page.run(f"{code}.clientHeight")
        self.assertLess(closed, 70)
        page.click("#calls summary")
        page.until(f"{code}.clientHeight > 4 * {closed}")
        self.assertEqual(page.run(f"{code}.textContent"), fixture.REPORT)
        self.assertTrue(page.run("document.querySelector('#calls tr:nth-child(2) details').hidden"), "a short one has nothing to open")

    def test_it_fits_a_phone_and_any_other_width(self):
        page = self.open(self.serve(), width=360, height=740)
        for width in (320, 360, 600, 761, 900, 1081, 1280, 1920):
            page.resize(width, 800)
            page.until(f"innerWidth === {width}")
            self.assertLessEqual(page.run("document.scrollingElement.scrollWidth"), width)

    def test_every_text_can_be_read_in_both_schemes(self):
        server = self.serve()
        for scheme in SCHEMES:
            for width, height in SIZES.values():
                page = self.open(server, width=width, height=height, scheme=scheme)
                page.click(button(18211))
                self.assertEqual(page.run(look.FAINT), [])

    def test_everything_has_a_name_and_a_role(self):
        for width, height in SIZES.values():
            page = self.open(self.serve(), width=width, height=height)
            nodes = page.call("Accessibility.getFullAXTree")["nodes"]
            roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
            nameless = [node["role"]["value"] for node in nodes if not node["ignored"] and not node.get("name", {}).get("value")
                        and node["role"]["value"] in ("button", "radio", "image", "region", "table", "columnheader", "rowheader", "heading", "DisclosureTriangle")]
            self.assertEqual(nameless, [])
            self.assertEqual((roles.count("main"), roles.count("table")), (1, 6))
            self.assertGreater(roles.count("columnheader"), 30)
            self.assertEqual(page.run("[...document.querySelectorAll('th')].filter((head) => !head.scope).length"), 0)

    def test_pictures_are_taken(self):
        PICTURES.mkdir(parents=True, exist_ok=True)
        for scheme in SCHEMES:
            for size, (width, height) in SIZES.items():
                page = self.open(self.serve(), width=width, height=height, scheme=scheme)
                page.picture(PICTURES / f"whole-{size}-{scheme}.png")
                page.picture(PICTURES / f"status-{size}-{scheme}.png", 1500)
        for scheme in SCHEMES:
            server = self.serve(token="a")
            page = self.open(server, wait="!document.getElementById('ask').hidden", width=360, height=740, scheme=scheme)
            page.picture(PICTURES / f"token-{scheme}.png")
            page = self.open(self.serve(fixture.empty()), wait="!document.getElementById('shown').hidden", scheme=scheme)
            page.picture(PICTURES / f"empty-{scheme}.png")
            server = self.serve()
            page = self.open(server, scheme=scheme)
            page.click(button(18240))
            server.refusal = 503
            page.until("document.body.classList.contains('stale')")
            page.picture(PICTURES / f"stale-{scheme}.png")
