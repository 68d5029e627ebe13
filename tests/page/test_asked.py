"""What the page requests and sends: the status, a token, the cancellation of a call."""

import fixture
from case import SHOWN, StatusPage, button


class Asked(StatusPage):
    def test_without_a_token_the_page_asks_for_one_and_shows_nothing(self):
        server = self.serve(token="right-token")
        page = self.open(server, wait="!document.getElementById('ask').hidden")
        self.assertEqual(page.run("[document.getElementById('token').type, document.activeElement.id, document.getElementById('shown').hidden]"), ["password", "token", True])
        page.write("wrong-token")
        page.key("Enter", text="\r")
        page.until("document.getElementById('ask-why').textContent === 'The server does not know this token.'")
        page.write("right-token")
        page.key("Enter", text="\r")
        page.until(SHOWN)
        self.assertEqual([header for _, _, header in server.asked[:3]], [None, "Bearer wrong-token", "Bearer right-token"])
        self.assertEqual(page.run("[sessionStorage.length, localStorage.length, document.cookie, document.getElementById('token').value]"), [0, 0, "", ""])
        self.is_quiet(page, server, but=["status of 401"])

    def test_a_token_is_kept_for_the_tab_only_where_that_was_asked_for(self):
        server = self.serve(token="right-token")
        page = self.open(server, wait="!document.getElementById('ask').hidden")
        page.click("#remember")
        page.click("#token")
        page.write("right-token")
        page.click("#ask button")
        page.until(SHOWN)
        self.assertEqual(page.run("[Object.values(sessionStorage), localStorage.length]"), [["right-token"], 0])
        asked = len(server.asked)
        page.open(server.url)
        page.until(SHOWN)
        self.assertEqual({header for _, _, header in server.asked[asked:]}, {"Bearer right-token"})
        page.click("#forget")
        page.until("!document.getElementById('ask').hidden")
        self.assertEqual(page.run("[sessionStorage.length, document.getElementById('shown').hidden]"), [0, True])

    def test_a_token_that_is_taken_back_takes_the_page_with_it(self):
        server = self.serve()
        page = self.open(server)
        server.refusal = 403
        page.until("!document.getElementById('ask').hidden")
        self.assertTrue(page.run("document.getElementById('shown').hidden"))
        self.assertIn("may not see the status", page.text())
        self.assertNotIn("reports", page.run("document.title"))

    def test_a_call_is_cancelled_by_two_presses_and_one_request(self):
        server = self.serve(token="right-token")
        page = self.open(server, wait="!document.getElementById('ask').hidden")
        page.write("right-token")
        page.key("Enter", text="\r")
        page.until(SHOWN)
        page.click(button(18240))
        pressed = page.run("performance.now()")
        self.assertEqual(page.run(f'document.querySelector("{button(18240)}").textContent'), "Cancel?")
        self.assertEqual(server.posts(), [])
        page.click(button(18240))  # the second click of a double click is not the confirmation
        page.until(f"performance.now() > {pressed} + 320")
        self.assertEqual(server.posts(), [])
        page.click(button(18240))
        page.until("document.getElementById('told').textContent === 'Call 18240 is cancelled.'")
        self.assertEqual(server.posts(), [("POST", "/calls/18240/cancel", "Bearer right-token")])
        # The status no longer has the call. Its row shows the outcome for a while and then disappears.
        self.assertIn("cancelled", page.run("document.getElementById('calls').innerText"))
        page.until("!document.getElementById('calls').innerText.includes('#18240')")
        self.assertEqual(len(server.posts()), 1)
        self.is_quiet(page, server, but=["status of 401"])

    def test_a_press_that_is_not_repeated_is_forgotten(self):
        server = self.serve()
        page = self.open(server)
        page.click(button(18211))
        page.click(button(18242))  # the button of another call needs its own confirmation
        self.assertEqual(page.run("document.querySelectorAll('.cancel.armed').length"), 2)
        page.until("document.querySelectorAll('.cancel.armed').length === 0")
        self.assertEqual(server.posts(), [])

    def test_the_keyboard_cancels_too(self):
        server = self.serve()
        page = self.open(server)
        page.run(f'document.querySelector("{button(18211)}").focus()')
        page.key("Enter", text="\r")
        pressed = page.run("performance.now()")
        page.until(f"performance.now() > {pressed} + 320")
        page.key("Enter", text="\r")
        server.wait(server.posts)
        page.until("!document.getElementById('calls').innerText.includes('#18211')")
        self.assertEqual(page.run("document.activeElement.id"), "calls")

    def test_each_outcome_of_a_cancel_is_told(self):
        server = self.serve()
        page = self.open(server)
        for status, number, words in ((404, 18211, "had ended"), (403, 18240, "not allowed"), (500, 18242, "error 500")):
            server.cancel_status = status
            page.click(button(number))
            pressed = page.run("performance.now()")
            page.until(f"performance.now() > {pressed} + 320")
            page.click(button(number))
            page.until(f"[...document.querySelectorAll('.cancel')].some((button) => button.textContent === '{words}')")
        self.assertEqual(len(server.posts()), 3)

    def test_who_may_not_cancel_has_no_button_and_is_told_why(self):
        status = fixture.status()
        status["operator"] = {"name": None, "may_cancel": False, "why_not": "no token was sent"}
        page = self.open(self.serve(status))
        self.assertEqual(page.run("[...document.querySelectorAll('#calls button')].length"), 0)
        self.assertIn("Cancelling is off: no token was sent", page.text())

    def test_without_answers_the_last_one_stays_greyed_and_asking_slows_down(self):
        server = self.serve()
        page = self.open(server)
        server.refusal = 503
        page.until("document.body.classList.contains('stale')")
        self.assertRegex(page.run("document.getElementById('trouble-words').textContent"), r"^No answer since \d\d:\d\d:\d\d: the server answered 503\.$")
        self.assertIn("async_query_execute", page.text())
        # The first try after the failure comes after four seconds instead of two, the next one after eight.
        page.until("/Next try in 4 s/.test(document.getElementById('trouble-next').textContent)")
        page.until("/Next try in 8 s/.test(document.getElementById('trouble-next').textContent)")
        server.refusal = None
        page.click("#again")
        page.until("!document.body.classList.contains('stale')")
        self.assertTrue(page.run("document.getElementById('trouble').hidden"))
        server.body = "<html>a proxy's page</html>"
        page.until("document.getElementById('trouble-words').textContent.includes('what came is not JSON')")

    def test_a_hidden_tab_does_not_ask_and_one_that_comes_back_asks_at_once(self):
        server = self.serve()
        page = self.open(server)
        server.wait_polls(1)
        hide = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))"
        page.until("!isAsking")
        page.run(hide % "true")
        self.assertIsNone(page.run("timer"))
        asked = server.polls()
        page.run(hide % "false")
        server.wait(lambda: server.polls() == asked + 1)
        server.wait(lambda: server.polls() == asked + 2)

    def test_pause_stops_the_asking_until_resume(self):
        server = self.serve()
        page = self.open(server)
        page.until("!isAsking")
        page.click("#pause")
        self.assertEqual(page.run("[document.getElementById('pause').textContent, timer]"), ["Resume", None])
        asked = server.polls()
        page.click("#pause")
        server.wait(lambda: server.polls() == asked + 1)
