"""What the page shows of the status, and that all of it is treated as text."""

import fixture
from case import SHOWN, StatusPage
from server import PAGE


class Shown(StatusPage):
    def test_everything_that_the_server_tells_is_shown(self):
        server = self.serve()
        page = self.open(server)
        text = " ".join(page.text().split())
        for database in server.status["databases"]:
            for what in (database["name"], database["state"], database["access"], database["why"] or ""):
                self.assertIn(what, text)
        self.assertIn("4 in use, 2 idle, of 10", text)
        self.assertIn("1 draining", text)
        for call in server.status["calls"]:
            for what in (f"#{call['id']}", call["client"], call["database"], call["tool"], call["operation"], call["phase"]):
                self.assertIn(what, text)
        for what in ("21.4 s", "843 ms", "84,210", "9.0 MiB", "3 running, 1 waiting"):
            self.assertIn(what, text)
        for what in ("3 d 4 h", "20.9 MiB", "15,931", "208", "1.904 million", "394 MiB", "Process 4182", "http://127.0.0.1:8808", "as alice"):
            self.assertIn(what, text)
        for tool in server.status["tools"]:
            self.assertIn(tool["tool"], text)
            self.assertIn(f"{tool['calls']:,}", text)
        for query in server.status["slow"]["queries"]:
            self.assertIn(query["outcome"], text)
            self.assertIn(" ".join(query["sql"].split())[:60], text)
        for reload in server.status["reloads"]:
            self.assertIn(reload["outcome"], text)
            self.assertIn(reload["what"], text)
        self.assertEqual(page.run("document.querySelectorAll('#log tbody tr').length"), len(server.status["log"]))
        self.assertIn("sqlstate=57014", text)
        self.is_quiet(page, server)

    def test_the_plots_draw_what_the_server_counted(self):
        server = self.serve()
        page = self.open(server)
        points = server.status["latency"]["points"]
        self.assertEqual(page.run("document.querySelectorAll('#plot rect.bar').length"), len([1 for point in points if point["calls"] > point["failed"]]))
        self.assertEqual(page.run("document.querySelectorAll('#plot rect.failed').length"), len([1 for point in points if point["failed"]]))
        # Two periods with calls and a pause between them: each line has two parts, and there is a dot for each step with calls.
        self.assertEqual(page.run("document.querySelector('#plot .p50').getAttribute('d').match(/M/g).length"), 2)
        self.assertEqual(page.run("document.querySelector('#plot .max').getAttribute('d').match(/M/g).length"), len([1 for point in points if point["calls"]]))
        # Of the 13,922 calls of the first tool 120 are in the first bucket and 980 in the second.
        titles = page.run("[...document.querySelectorAll('#tools tr:first-child .spread title')].map((title) => title.textContent)")
        self.assertEqual(titles[:2], ["0 ms to 0.25 ms: 120 calls of 13,922", "0.25 ms to 0.5 ms: 980 calls of 13,922"])
        heights = page.run("[...document.querySelectorAll('#tools tr:first-child .spread rect')].map((bar) => +bar.getAttribute('height'))")
        self.assertAlmostEqual(heights[1] / heights[2], 980 / 3410, places=3)

    def test_the_arrow_keys_read_the_plot_step_by_step(self):
        server = self.serve()
        page = self.open(server)
        page.run("document.getElementById('plot').focus()")
        page.key("End")
        page.key("ArrowLeft")
        page.key("ArrowLeft")
        point = server.status["latency"]["points"][-3]
        self.assertEqual(page.run("[...document.querySelectorAll('#legend dd')].map((node) => node.textContent)[3]"), str(point["calls"]))
        self.assertIn(f"calls{point['calls']}", page.run("document.getElementById('told').textContent"))

    def test_the_same_points_are_there_as_a_table(self):
        server = self.serve()
        page = self.open(server)
        page.click("#numbers summary")
        page.until("document.querySelectorAll('#points tbody tr').length === 180")
        first = page.run("document.querySelector('#points tbody tr').textContent")
        self.assertIn(f"{server.status['latency']['points'][-1]['p95_ms']:.0f}", first)

    def test_hostile_text_is_text_and_runs_nothing(self):
        server = self.serve()
        server.status["databases"][0]["name"] = server.status["operator"]["name"] = fixture.MARKUP
        server.status["server"]["version"] = server.status["calls"][0]["client"] = fixture.ENDED_SCRIPT
        page = self.open(server)
        content = page.run("document.body.textContent")
        for hostile, places in ((fixture.MARKUP, ("databases", "operator", "calls", "reloads", "slow", "log")), (fixture.ENDED_SCRIPT, ("version", "calls", "slow", "log"))):
            for place in places:
                self.assertIn(hostile, page.run(f"document.getElementById('{place}').textContent"))
        self.assertEqual(page.run("[document.images.length, document.scripts.length, typeof ran]"), [0, 1, "undefined"])
        # A character that reverses the direction of text is written as an escape.
        self.assertIn("\\u202etxet denrut", content)
        self.assertNotIn("\u202e", content)
        self.is_quiet(page, server)

    def test_the_policy_lets_nothing_else_run(self):
        server = self.serve()
        page = self.open(server)
        page.run("document.body.append(Object.assign(document.createElement('style'), { textContent: 'body { display: none }' }))")
        refused = page.run("(() => { try { document.body.innerHTML = '<b>'; return false; } catch (error) { return error.name; } })()")
        self.assertEqual(refused, "TypeError")
        self.assertNotEqual(page.run("getComputedStyle(document.body).display"), "none")
        page.until("violations.length >= 2")

    def test_the_page_has_one_style_one_script_and_no_way_around_them(self):
        text = PAGE.read_text()
        for tag in ("style", "script"):
            self.assertEqual((text.count(f"<{tag}"), text.count(f"<{tag}>"), text.count(f"</{tag}>")), (1, 1, 1))
        markup = text[: text.index("<style>")] + text[text.index("</style>"): text.index("<script>")]
        self.assertNotRegex(markup, r"\s(on\w+|style)=")
        self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b")
        self.assertNotIn("\r", text)

    def test_a_database_that_is_down_is_told_in_words(self):
        page = self.open(self.serve())
        self.assertEqual(page.run("document.getElementById('verdict').textContent"), "1 of 3 databases is up; reports is down, archive is degraded")
        self.assertIn("reports is down", page.run("document.title"))
        row = page.run("document.querySelector('#databases tbody tr:nth-child(3)').innerText")
        for words in ("down", "for 2 min 9 s", "refused (os error 111). Next try in 8.2 s."):
            self.assertIn(words, " ".join(row.split()).replace("\u00a0", " "))

    def test_what_a_role_may_do_too_much_of_is_told_with_its_mend(self):
        page = self.open(self.serve())
        row = page.run("document.querySelector('#databases tbody tr:nth-child(2)').innerText")
        self.assertIn("The role agent can make schemas in the database. REVOKE CREATE ON DATABASE from it", row)

    def test_no_database_up_is_told_in_words(self):
        status = fixture.status()
        for database in status["databases"]:
            database["state"] = "down"
        page = self.open(self.serve(status))
        self.assertEqual(page.run("document.getElementById('verdict').textContent"), "No database is up")

    def test_a_server_with_nothing_to_tell_says_so(self):
        page = self.open(self.serve(fixture.empty()), wait="!document.getElementById('shown').hidden")
        for words in ("No database is configured.", "No call is in flight.", "No call has ended in this time.", "No call has ended yet.",
                      "No statement has taken 1 s or longer.", "Nothing has been reloaded since the start.", "The log is empty."):
            self.assertIn(words, page.text())
        self.assertNotRegex(page.text(), r"undefined|NaN|null|Infinity")

    def test_one_part_that_cannot_be_read_leaves_the_others(self):
        status = fixture.status()
        del status["latency"]
        page = self.open(self.serve(status))
        self.assertIn("Of the last answer, the latency could not be read.", page.text())
        self.assertIn("async_query_execute", page.text())

    def test_the_log_can_be_narrowed_to_a_level(self):
        server = self.serve()
        page = self.open(server)
        rows = "document.querySelectorAll('#log tbody tr').length"
        for place, levels in ((4, ("ERROR",)), (3, ("ERROR", "WARN")), (2, ("ERROR", "WARN", "INFO")), (1, ("ERROR", "WARN", "INFO", "DEBUG"))):
            page.click(f"#levels label:nth-of-type({place})")
            self.assertEqual(page.run(rows), len([1 for line in server.status["log"] if line["level"] in levels]))

    def test_times_are_the_viewers_with_utc_in_the_title(self):
        page = self.open(self.serve())  # in Berlin, two hours ahead of UTC
        shown = page.run("(({ textContent, title, dateTime }) => [textContent, title, dateTime])(document.querySelector('#databases tr:nth-child(3) time'))")
        self.assertEqual(shown, ["16:29:59", "2026-07-28 14:29:59.412 UTC", "2026-07-28T14:29:59.412Z"])
