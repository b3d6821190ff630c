"""gRPC services outside the realm (``matrix:node/grpc``), by the names that the node's operator gave them.

They are there, with the grant ``grpc``, while a message is handled or a tick is played. Requests and answers are encoded
protobuf messages, in bytes. ::

    try:
        answer = grpc.call("weather", "weather.v1.Weather/Forecast", request, timeout=2.0)
    except grpc.RpcError as error:
        if error.code is not grpc.Code.UNAVAILABLE:
            raise
"""

from enum import IntEnum

from . import host
from .types import Refusal

_wit = host.bound("grpc")


class Code(IntEnum):
    """What went wrong, as gRPC numbers it."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_KNOWN = {int(code): code for code in Code}


class RpcError(Refusal):
    """Why a call has no answer. Not caught, it becomes the failure of the message being handled."""

    def __init__(self, code: int, message: str, *, by_node: bool = False) -> None:
        #: What went wrong; what gRPC has no number for is `UNKNOWN`.
        self.code = _KNOWN.get(code, Code.UNKNOWN)
        #: The same in words.
        self.message = message
        #: The node says so and not the service: it refused the call, did not reach the service, or had no answer in time.
        self.by_node = by_node
        super().__init__(f"{'the node' if by_node else 'the service'} says {self.code.name}: {message}")


def call(endpoint: str, method: str, request: bytes = b"", *, timeout: float | None = None) -> bytes:
    """Calls a unary method, ``package.Service/Method``, and waits for its answer: at most `timeout` seconds, and no longer
    than the operator and the deadline of the message let it. The Soul receives nothing else meanwhile. Raises `RpcError`.
    """
    within = 0 if timeout is None else min(max(round(timeout * 1000), 1), 2**32 - 1)
    try:
        return bytes(_wit.call(endpoint, method, bytes(request), within))
    except host.Err as error:
        status = error.value
        raise RpcError(status.code, status.message, by_node=status.by_node) from None
