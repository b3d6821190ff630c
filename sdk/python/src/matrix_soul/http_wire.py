"""Between `matrix_soul.http` and the standard: the node's resources, each released where its block ends, children before parents."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import host

_handler = host.bound("outgoing_handler")
_types = host.bound("types", "wasx_http_")

#: The most that the standard has written at a time.
_WRITTEN_BYTES = 4096
#: How much is read at a time: every reading enters the node.
_READ_BYTES = 1 << 16

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")

_KINDS = {
    "HttpRequestDenied": "denied",
    "DestinationIpProhibited": "prohibited",
    "ConnectionTimeout": "timeout",
    "ConnectionReadTimeout": "timeout",
    "ConnectionWriteTimeout": "timeout",
    "HttpResponseTimeout": "timeout",
    "HttpRequestBodySize": "too-large",
    "HttpResponseBodySize": "too-large",
    "HttpResponseHeaderSectionSize": "too-large",
}


class Wrong(Exception):
    """Why there is no answer: the kind, and what it is about."""

    def __init__(self, kind: str, about: str = "") -> None:
        super().__init__(kind, about)
        self.kind, self.about = kind, about


@dataclass(frozen=True)
class Call:
    """What is to be sent."""

    method: str
    tls: bool
    authority: str
    path: str
    headers: list[tuple[str, bytes]]
    body: bytes
    #: In nanoseconds.
    timeout: int | None


class _Owned:
    """A resource that is released where its block ends, unless it was given away."""

    def __init__(self, resource: Any) -> None:
        self.it = resource

    def given(self) -> Any:
        """The resource, which is another's from now on."""
        resource, self.it = self.it, None
        return resource

    def __enter__(self) -> "_Owned":
        return self

    def __exit__(self, *_: object) -> None:
        if self.it is not None:
            self.given().__exit__(None, None, None)


def _tried(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the standard returns, or the `Err` that it raises, without where: the generated bindings hold on to an
    error there, and it would hold on to them, and to all that was read, until Python looks for such circles."""
    try:
        return function(*arguments)
    except host.Err as error:
        return error.with_traceback(None)


def sent(call: Call) -> tuple[int, list[tuple[str, bytes]], bytes]:
    """Sends a request, and waits for the status, the headers and the body of the answer. Raises `Wrong`."""
    with _Owned(_outgoing(call)) as outgoing, _Owned(outgoing.it.body()) as body:
        future = _tried(_handler.handle, outgoing.given(), _options(call.timeout))
        if isinstance(future, host.Err):
            raise _failed(future.value)
        with future:
            _write(body, call.body)
            with future.subscribe() as ready:
                ready.block()
            return _answer(future.get())


def _outgoing(call: Call) -> Any:
    """The request without its body. Raises `Wrong`."""
    with _Owned(_types.OutgoingRequest(_fields(call))) as owned:
        request, name = owned.it, call.method
        method = getattr(_types, f"Method_{name.title()}")() if name in _METHODS else _types.Method_Other(name)
        if isinstance(_tried(request.set_method, method), host.Err):
            raise Wrong("failed", f"`{name}` is no method")
        set_to = (
            (request.set_scheme, _types.Scheme_Https() if call.tls else _types.Scheme_Http()),
            (request.set_authority, call.authority),
            (request.set_path_with_query, call.path),
        )
        for setter, value in set_to:
            if isinstance(_tried(setter, value), host.Err):
                raise Wrong("url")
        return owned.given()


def _fields(call: Call) -> Any:
    with _Owned(_types.Fields()) as fields:
        for name, value in call.headers:
            if isinstance(_tried(fields.it.append, name, value), host.Err):
                raise Wrong("header", name)
        return fields.given()


def _options(timeout: int | None) -> Any:
    if timeout is None:
        return None
    options = _types.RequestOptions()
    _tried(options.set_connect_timeout, timeout)
    _tried(options.set_first_byte_timeout, timeout)
    return options


def _write(body: _Owned, data: bytes) -> None:
    """Writes the body of a request, as far as the node takes it: where it has let go of it, the answer says why."""
    # What is not finished is released here, before the answer is waited for: it would not come.
    with body:
        stream = _tried(body.it.write)
        if isinstance(stream, host.Err):
            return
        with stream:
            for at in range(0, len(data), _WRITTEN_BYTES):
                written = _tried(stream.blocking_write_and_flush, data[at : at + _WRITTEN_BYTES])
                if isinstance(written, host.Err):
                    if host.case(written.value) != "Closed":
                        written.value.value.__exit__(None, None, None)
                    return
        _tried(_types.OutgoingBody.finish, body.given(), None)


def _answer(came: Any) -> tuple[int, list[tuple[str, bytes]], bytes]:
    if not isinstance(came, host.Ok):
        raise Wrong("failed", "no answer came")
    if isinstance(came.value, host.Err):
        raise _failed(came.value.value)
    with came.value.value as response:
        with response.headers() as fields:
            headers = [(name.lower(), bytes(value)) for name, value in fields.entries()]
        body = _tried(response.consume)
        if isinstance(body, host.Err):
            raise Wrong("failed", "the answer has no body")
        with body:
            return response.status(), headers, _read(body)


def _read(body: Any) -> bytes:
    stream, parts = _tried(body.stream), []
    if isinstance(stream, host.Err):
        raise Wrong("failed", "the answer was read before")
    with stream:
        while True:
            read = _tried(stream.blocking_read, _READ_BYTES)
            if not isinstance(read, host.Err):
                parts.append(read)
            elif host.case(read.value) == "Closed":
                return b"".join(parts)
            else:
                raise _broken(read.value.value)


def _broken(failure: Any) -> Wrong:
    """Why the body of an answer ends before its end."""
    with failure:
        code = _types.http_error_code(failure)
        if code is not None:
            return _failed(code)
        return Wrong("failed", failure.to_debug_string().partition("\n")[0])


def _failed(code: Any) -> Wrong:
    kind = _KINDS.get(host.case(code))
    return Wrong(kind) if kind else Wrong("failed", _words(code))


def _words(code: Any) -> str:
    """A case of the standard's errors for people: ``ConnectionRefused`` is ``connection refused``."""
    case, value = host.case(code), getattr(code, "value", None)
    if case == "InternalError" and value:
        return str(value)
    told = [value] if isinstance(value, str | int) else vars(value).values() if value is not None else []
    known = " ".join(str(it) for it in told if it is not None)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", case).lower()
    return f"{words}: {known}" if known else words
