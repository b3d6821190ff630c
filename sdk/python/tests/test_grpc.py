"""Services in a fake node: what is called is answered, or refused as a node refuses."""

import unittest

from matrix_soul import Message, Soul, grpc, soul
from matrix_soul.testing import Failure, Node

METHOD = "weather.v1.Weather/Forecast"


@soul()
class Caller(Soul):
    """Calls `weather` with what it is told; that a place is unknown it survives."""

    def receive(self, message: Message) -> bytes:
        try:
            return grpc.call("weather", METHOD, message.content.body, timeout=0.0001)
        except grpc.RpcError as error:
            if error.code is not grpc.Code.NOT_FOUND:
                raise
            return b"nowhere"


def forecast(request: bytes) -> bytes:
    if request == b"Atlantis":
        raise grpc.RpcError(5, "no such place")
    if request == b"odd":
        raise grpc.RpcError(99, "odd")
    return request + b": rain"


class Services(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node()
        self.caller = self.node.spawn(Caller)

    def test_what_is_called_is_answered(self) -> None:
        self.node.services.serve("weather", {METHOD: forecast})
        self.assertEqual((self.caller.ask("Zion"), self.caller.ask("Atlantis")), ("Zion: rain", "nowhere"))
        self.assertEqual(self.node.services.called[0], ("weather", METHOD, b"Zion"))
        with self.assertRaisesRegex(Failure, "the service says UNKNOWN: odd"):
            self.caller.ask("odd")
        self.node.services.serve("weather", {METHOD: b"always the same"})
        self.assertEqual(self.caller.ask("Zion"), "always the same")
        self.node.services.serve("weather", {})
        with self.assertRaisesRegex(Failure, "UNIMPLEMENTED"):
            self.caller.ask("Zion")

    def test_what_is_not_there_or_not_granted_is_refused_by_the_node(self) -> None:
        with self.assertRaisesRegex(Failure, "the node says FAILED_PRECONDITION: this node has no gRPC endpoint `weather`"):
            self.caller.ask("Zion")
        self.node.deny("grpc")
        with self.assertRaisesRegex(Failure, "the node says PERMISSION_DENIED"):
            self.caller.ask("Zion")
        self.assertEqual(self.node.services.called, [])


if __name__ == "__main__":
    unittest.main()
