"""The courier, in a fake node."""

import unittest

from courier import Courier
from matrix_soul.http import HttpError, Kind, Response
from matrix_soul.testing import Asked, Failure, Node

URL = "https://api.example.org/notes"


class Errands(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node()
        self.courier = self.node.spawn(Courier)

    def test_it_sends_what_it_is_told_and_tells_what_it_was_answered(self) -> None:
        self.node.web.serve(URL, lambda asked: asked.body or b"nothing")
        for end in ("", "\n", "\n\n"):
            self.assertEqual(self.courier.ask(f"GET {URL}{end}"), "200\nnothing")
        self.assertEqual(self.courier.ask(f"PUT {URL}\nX-Name: a: b\nAccept:*/*\n\nbuy\n\nmilk"), "200\nbuy\n\nmilk")
        headers = [("x-name", b"a: b"), ("accept", b"*/*"), ("content-length", b"9")]
        self.assertEqual(self.node.web.asked[-1], Asked("PUT", URL, headers, b"buy\n\nmilk"))
        self.assertEqual(self.courier.ask("GET https://api.example.org/else"), "404\n")

    def test_it_says_what_is_wrong(self) -> None:
        def late(_: Asked) -> str:
            raise HttpError(Kind.TIMEOUT)

        self.node.web.serve(URL, late)
        self.node.web.serve(f"{URL}/odd", Response(200, body=b"\xff"))
        wrong = {
            f"GET {URL}": "the host took too long",
            f"GET {URL}/odd": "the answer is not text in UTF-8",
            "GET nowhere": "`nowhere` is no URL",
            "GET https://elsewhere.org": "the request was denied",
            f"GET {URL}\nhost: a": "the header `host` cannot be set so",
            f"GET {URL}\nhost": "`host` is no header",
            "": "say `METHOD URL`",
            "GET": "say `METHOD URL`",
        }
        for order, why in wrong.items():
            with self.assertRaisesRegex(Failure, why):
                self.courier.ask(order)
        self.assertEqual(self.node.web.lent, [])


if __name__ == "__main__":
    unittest.main()
