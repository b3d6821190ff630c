"""The gRPC services of the fake node of `matrix_soul.testing`: canned answers, or functions that answer."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from . import host
from .grpc import Code, RpcError

#: What a method answers: always the same, or what a function makes of the request. The function may raise `RpcError`.
Answer = bytes | Callable[[bytes], bytes]


class Services:
    """What the Souls of the node can call."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._answers: dict[str, Mapping[str, Answer]] = {}
        #: What was called: the endpoint, the method and the request.
        self.called: list[tuple[str, str, bytes]] = []

    def serve(self, endpoint: str, answers: Mapping[str, Answer]) -> None:
        """From now on there is this endpoint, with these methods."""
        self._answers[endpoint] = answers

    def call(self, endpoint: str, method: str, request: bytes, _timeout_ms: int) -> bytes:
        if self._node.denied("grpc"):
            raise _failed(Code.PERMISSION_DENIED, f'no grant: add "{endpoint}" to `grants.grpc`', by_node=True)
        if endpoint not in self._answers:
            raise _failed(Code.FAILED_PRECONDITION, f"this node has no gRPC endpoint `{endpoint}`", by_node=True)
        self.called.append((endpoint, method, request))
        answer = self._answers[endpoint].get(method)
        if answer is None:
            raise _failed(Code.UNIMPLEMENTED, f"no method `{method}`")
        try:
            return answer(request) if callable(answer) else answer
        except RpcError as error:
            raise _failed(error.code, error.message, by_node=error.by_node) from None


def _failed(code: Code, message: str, *, by_node: bool = False) -> host.Err:
    return host.Err(SimpleNamespace(code=int(code), message=message, by_node=by_node))
