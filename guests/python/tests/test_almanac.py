"""The almanac, in a fake node."""

import unittest

from almanac import METHOD, Almanac, read, written
from matrix_soul import grpc
from matrix_soul.testing import Failure, Node


class Weather(unittest.TestCase):
    def test_it_tells_what_the_service_tells(self) -> None:
        node = Node()
        almanac = node.spawn(Almanac)
        node.services.serve("weather", {METHOD: lambda request: written(f"{read(request)}: rain")})
        for place in ("Zion", "", "x" * 300):
            self.assertEqual(almanac.ask(place), f"{place}: rain")

        def away(_: bytes) -> bytes:
            raise grpc.RpcError(grpc.Code.UNAVAILABLE, "away")

        node.services.serve("weather", {METHOD: away})
        with self.assertRaisesRegex(Failure, "UNAVAILABLE: away"):
            almanac.ask("Zion")
        node.services.serve("weather", {METHOD: b""})
        self.assertEqual(almanac.ask("Zion") or "", "")


if __name__ == "__main__":
    unittest.main()
