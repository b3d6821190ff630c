"""Tells the weather of the place that it is told, as the gRPC service ``weather`` tells it: ``Zion`` is answered by the forecast
for Zion. Needs the grant `grpc = ["weather"]`, and a node whose operator has such an endpoint."""

from matrix_soul import Message, Soul, grpc, soul

METHOD = "weather.v1.Weather/Forecast"


@soul()
class Almanac(Soul):
    """Its request and its answer are messages with one text, which is field 1."""

    def receive(self, message: Message) -> str:
        return read(grpc.call("weather", METHOD, written(message.text), timeout=5.0))


def written(text: str) -> bytes:
    """A message of protobuf whose field 1 is this text."""
    data = text.encode()
    head, length = b"\x0a", len(data)
    while length > 0x7F:
        head, length = head + bytes([length & 0x7F | 0x80]), length >> 7
    return head + bytes([length]) + data


def read(message: bytes) -> str:
    """The text that is field 1 of a message; empty where there is none."""
    if not message.startswith(b"\x0a"):
        return ""
    at = 1
    while message[at] > 0x7F:
        at += 1
    return message[at + 1 :].decode()
