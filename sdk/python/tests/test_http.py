"""Hosts outside the realm in a fake node: what is asked is answered, or refused as a node refuses, and nothing is left behind."""

import gc
import unittest
from types import SimpleNamespace
from unittest import mock

from matrix_soul import Message, Refusal, Soul, host, http, http_wire, soul, testing_web
from matrix_soul.http import HttpError, Kind, Response
from matrix_soul.testing import Asked, Failure, Node

URL = "https://api.example.org/prices"


@soul()
class Caller(Soul):
    """Asks for what it is told; that it took too long it survives."""

    def receive(self, message: Message) -> str:
        try:
            return http.get(message.text, timeout=0.5).text
        except HttpError as error:
            if error.kind is not Kind.TIMEOUT:
                raise
            return "later"


class Hosts(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node()
        self.caller = self.node.spawn(Caller)

    def tearDown(self) -> None:
        self.assertEqual(self.node.web.lent, [])

    def failed(self, *arguments: object, **named: object) -> HttpError:
        with self.assertRaises(HttpError) as raised:
            http.request(*arguments, **named)  # type: ignore[arg-type]
        return raised.exception

    def test_what_is_asked_is_answered(self) -> None:
        self.node.web.serve(URL, lambda asked: asked.url.removeprefix(URL))
        self.node.web.serve(f"{URL}/tea", "3.50")
        asked = [self.caller.ask(URL + rest) for rest in ("/tea", "/tea?in=eur", "/milk", "?all#top")]
        self.assertEqual(asked, ["3.50", "3.50", "/milk", "?all"])
        self.assertEqual(self.node.web.asked[0], Asked("GET", f"{URL}/tea", [], b"", 0.5))
        self.assertEqual(http.get(f"{URL}s").status, 404)

    def test_a_request_has_its_parts(self) -> None:
        self.node.web.serve("http://localhost:8080", lambda asked: asked.body)
        body = bytes(range(256)) * 400
        answer = http.request(
            "PATCH", "http://localhost:8080", headers=[("X-A", "ä"), ("x-a", b"\xff"), ("Content-Length", "1")], body=body
        )
        self.assertEqual((answer.status, answer.body), (200, body))
        asked = self.node.web.asked[0]
        self.assertEqual((asked.method, asked.url, asked.timeout), ("PATCH", "http://localhost:8080/", None))
        self.assertEqual(asked.headers, [("x-a", "ä".encode()), ("x-a", b"\xff"), ("content-length", b"102400")])
        http.post("http://localhost:8080?q", "text", headers={"accept": "text/plain"}, timeout=float("inf"))
        http.request("PURGE", "http://localhost:8080/a")
        post, purge = self.node.web.asked[1:]
        self.assertEqual((post.method, post.url, post.body), ("POST", "http://localhost:8080/?q", b"text"))
        self.assertEqual(post.headers, [("accept", b"text/plain"), ("content-length", b"4")])
        self.assertEqual((purge.method, purge.headers), ("PURGE", []))

    def test_an_answer_is_read(self) -> None:
        headers = [("Content-Type", b"application/json"), ("x-raw", b"\xff")]
        self.node.web.serve(URL, Response(201, headers, b'{"tea":3.5}'))
        answer = http.get(URL)
        self.assertEqual((answer.status, answer.json()), (201, {"tea": 3.5}))
        self.assertEqual(answer.headers[0], ("content-type", b"application/json"))
        found = [answer.header(name) for name in ("Content-Type", "x-raw", "x-none")]
        self.assertEqual(found, ["application/json", None, None])
        for read in (lambda: Response(200, body=b"\xff").text, lambda: Response(200, body=b"[" * 1000).json()):
            with self.assertRaisesRegex(Refusal, "the answer is not"):
                read()

    def test_what_is_no_request_is_not_sent(self) -> None:
        nowhere = ("", "api.example.org", "ftp://a.org", "https://", "https:///path", "https://#a")
        for url in (*nowhere, "https://a b", "https://a/b c", "https://a/\ud800"):
            error = self.failed("GET", url)
            self.assertIs(error.kind, Kind.URL, url)
            self.assertIn("is no URL: write `https://HOST/PATH`", str(error).encode().decode())
        error = self.failed("G T", URL)
        self.assertEqual((error.kind, str(error)), (Kind.FAILED, "`G T` is no method"))
        for name, value in (("host", "a"), ("a b", "c"), ("a", "b\nc"), ("a", "\ud800"), ("\ud800", "a")):
            error = self.failed("GET", URL, headers={name: value}, body=b"body")
            self.assertIs(error.kind, Kind.HEADER, name)
            self.assertIn("cannot be set so", str(error))

    def test_what_may_not_be_reached_is_denied(self) -> None:
        self.node.web.serve(URL, "never")
        with self.assertRaisesRegex(Failure, "^the request was denied: why stands in the Soul's log$"):
            self.caller.ask("https://elsewhere.org")
        self.node.deny("http")
        with self.assertRaisesRegex(Failure, "denied"):
            self.caller.ask(URL)
        self.assertEqual(self.node.web.asked, [])

    def test_what_goes_wrong_outside_has_its_kind(self) -> None:
        for kind in (Kind.DENIED, Kind.PROHIBITED, Kind.TIMEOUT, Kind.TOO_LARGE, Kind.FAILED):
            def wrong(_: Asked, kind: Kind = kind) -> str:
                raise HttpError(kind, "what a pity")

            self.node.web.serve(URL, wrong)
            error = self.failed("GET", URL)
            self.assertEqual((error.kind, str(error)), (kind, str(HttpError(kind, "what a pity"))))
            self.assertEqual(self.caller.ask(URL) if kind is Kind.TIMEOUT else "later", "later")

    def test_what_breaks_off_is_an_error_and_what_is_not_written_is_none(self) -> None:
        self.node.web.serve(URL, lambda asked: f"{len(asked.body)} bytes")

        def broken(stream: testing_web._Lent, code: object) -> host.Err:
            failure = testing_web._Lent(self.node.web)
            vars(failure).update(code=code, to_debug_string=lambda: "it broke\nhere")
            return host.Err(testing_web._case("StreamError_LastOperationFailed")(failure))

        late = testing_web._case("ErrorCode_ConnectionReadTimeout")()
        for code, kind, why in ((None, Kind.FAILED, "it broke"), (late, Kind.TIMEOUT, "the host took too long")):
            def read(stream: testing_web._Lent, _most: int, code: object = code) -> bytes:
                raise broken(stream, code)

            with mock.patch.object(testing_web._Read, "blocking_read", read):
                error = self.failed("POST", URL, body=b"body")
                self.assertEqual((error.kind, str(error)), (kind, why))

        def write(stream: testing_web._Lent, _data: bytes) -> None:
            raise broken(stream, None)

        with mock.patch.object(testing_web._Written, "blocking_write_and_flush", write):
            self.assertEqual(http.post(URL, b"body").text, "0 bytes")

    def test_a_request_that_is_refused_at_once_and_an_answer_that_does_not_come(self) -> None:
        self.node.web.serve(URL, "never")
        refused = host.Err(testing_web._case("ErrorCode_HttpRequestDenied")())

        def handle(_web: object, request: testing_web._Outgoing, _options: object) -> None:
            request.given()
            raise refused

        with mock.patch.object(testing_web.Web, "handle", handle):
            self.assertIs(self.failed("POST", URL, body=b"body").kind, Kind.DENIED)
        for none in (None, host.Err(None)):
            with mock.patch.object(testing_web._Future, "get", lambda _, none=none: none):
                self.assertEqual(str(self.failed("GET", URL)), "no answer came")

    def test_what_was_read_is_not_held_on_to(self) -> None:
        self.node.web.serve(URL, "never")
        freed: list[int] = []

        class Part(bytes):
            def __del__(self) -> None:
                freed.append(len(self))

        parts = [Part(b"one"), Part(b"three")]

        def read(_stream: object, _most: int) -> bytes:
            if parts:
                return parts.pop(0)
            # So the bindings do it: what is raised stands in the frame that it was raised in.
            result = host.Err(testing_web._case("StreamError_Closed")())
            raise result

        gc.disable()
        self.addCleanup(gc.enable)
        with mock.patch.object(testing_web._Read, "blocking_read", read):
            self.assertEqual(http.get(URL).body, b"onethree")
        self.assertEqual(sorted(freed), [3, 5])

    def test_errors_of_the_standard_are_told_in_words(self) -> None:
        def words(case: str, value: object = None) -> str:
            return http_wire._failed(testing_web._case(f"ErrorCode_{case}")(value)).about

        self.assertEqual(words("ConnectionRefused"), "connection refused")
        self.assertEqual(words("InternalError", "what a pity"), "what a pity")
        self.assertEqual(words("InternalError"), "internal error")
        self.assertEqual(words("HttpRequestHeaderSectionSize", 9), "http request header section size: 9")
        self.assertEqual(words("DnsError", SimpleNamespace(rcode="NXDOMAIN", info_code=None)), "dns error: NXDOMAIN")


if __name__ == "__main__":
    unittest.main()
