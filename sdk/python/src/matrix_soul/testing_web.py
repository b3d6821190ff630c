"""The hosts of the fake node of `matrix_soul.testing`: canned answers, or functions that answer. What the SDK sends passes the same
resources as in a component."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from . import host
from .http import HttpError, Kind, Response

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Headers that are the node's to set.
_OF_NODE = {
    *("connection", "host", "http2-settings", "keep-alive", "transfer-encoding", "upgrade"),
    *("proxy-authenticate", "proxy-authorization", "proxy-connection"),
}
_METHODS = ("Get", "Head", "Post", "Put", "Delete", "Connect", "Options", "Trace", "Patch", "Other")
_CODES = {
    Kind.DENIED: "HttpRequestDenied",
    Kind.PROHIBITED: "DestinationIpProhibited",
    Kind.TIMEOUT: "HttpResponseTimeout",
    Kind.TOO_LARGE: "HttpResponseBodySize",
}


@dataclass(frozen=True)
class Asked:
    """A request, as it came to a host."""

    method: str
    url: str
    #: Their names in lower case.
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""
    #: In seconds.
    timeout: float | None = None


#: What a host answers: always the same (text and bytes with the status 200), or what a function makes of the request. The function
#: may raise `HttpError`, such as ``HttpError(Kind.TIMEOUT)``.
Said = Response | str | bytes
Answer = Said | Callable[[Asked], Said]


class Web:
    """What the Souls of the node reach by HTTP."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._answers: dict[str, Answer] = {}
        #: The requests that were let through.
        self.asked: list[Asked] = []
        #: What the standard has lent and not got back: nothing, once a request has ended.
        self.lent: list[Any] = []

    def serve(self, url: str, answer: Answer) -> None:
        """From now on this is answered at a URL, such as ``https://api.example.org/prices``, with and without a query, and at all
        URLs below it that nothing else is served at. Whatever else its host is asked for is not found; other hosts are not
        among those that the operator lets the node reach."""
        self._answers[url] = answer

    def answered(self, asked: Asked) -> Any:
        """What becomes of a request, as the generated bindings have it."""
        found = self._found(asked.url)
        if self._node.denied("http") or found is None:
            return host.Err(_case("ErrorCode_HttpRequestDenied")())
        self.asked.append(asked)
        try:
            said = found(asked) if callable(found) else found
        except HttpError as error:
            code = _CODES.get(error.kind)
            return host.Err(_case(f"ErrorCode_{code}")() if code else _case("ErrorCode_InternalError")(str(error)))
        if not isinstance(said, Response):
            said = Response(200, body=said.encode() if isinstance(said, str) else bytes(said))
        return host.Ok(_Incoming(self, said))

    def _found(self, url: str) -> Answer | None:
        """The answer that is served closest to a URL; None: there is no such host."""
        for place in sorted(self._answers, key=len, reverse=True):
            rest = url.removeprefix(place) if url.startswith(place) else None
            if rest == "" or rest and (place.endswith("/") or rest[0] in "/?"):
                return self._answers[place]
        hosts = {place.split("/")[2] for place in self._answers}
        return Response(404) if url.split("/")[2] in hosts else None

    def handle(self, request: "_Outgoing", options: "_Options | None") -> "_Future":
        request.given()
        if options is not None:
            options.given()
        return _Future(self, request, options)

    def types(self) -> SimpleNamespace:
        """The interface `types`, as the generated bindings have it."""
        cases = [f"Method_{it}" for it in _METHODS] + ["Scheme_Http", "Scheme_Https"]
        return SimpleNamespace(
            **{it: _case(it) for it in cases},
            Fields=lambda: _Fields(self, []),
            OutgoingRequest=lambda fields: _Outgoing(self, fields),
            RequestOptions=lambda: _Options(self),
            OutgoingBody=SimpleNamespace(finish=lambda body, _trailers: body.given()),
            http_error_code=lambda failure: failure.code,
        )


def _case(name: str) -> Any:
    """A case of a variant, as the generated bindings have it."""
    return type(name, (), {"__init__": lambda self, value=None: setattr(self, "value", value)})


class _Lent:
    """A resource: it is released once, or given away, and after what was made of it."""

    def __init__(self, web: Web, parent: "_Lent | None" = None) -> None:
        self._web, self._parent = web, parent
        web.lent.append(self)

    def given(self) -> None:
        children = [it for it in self._web.lent if it._parent is self]
        if self not in self._web.lent or children:
            raise AssertionError(f"{self} is released twice, or before {children}")
        self._web.lent.remove(self)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.given()


class _Fields(_Lent):
    def __init__(self, web: Web, pairs: list[tuple[str, bytes]], parent: _Lent | None = None) -> None:
        super().__init__(web, parent)
        self.pairs = pairs

    def append(self, name: str, value: bytes) -> None:
        if not _TOKEN.fullmatch(name) or any(it < 32 and it != 9 or it == 127 for it in value):
            raise host.Err(_case("HeaderError_InvalidSyntax")())
        if name.lower() in _OF_NODE or name.lower().startswith("proxy-"):
            raise host.Err(_case("HeaderError_Forbidden")())
        self.pairs.append((name.lower(), value))

    def entries(self) -> list[tuple[str, bytes]]:
        return list(self.pairs)


class _Outgoing(_Lent):
    def __init__(self, web: Web, fields: _Fields) -> None:
        fields.given()
        super().__init__(web)
        self.headers, self.written = fields.pairs, bytearray()
        self.method = self.scheme = self.authority = self.path = ""

    def set_method(self, method: Any) -> None:
        self.method = _checked(method.value or host.case(method).upper(), _TOKEN.pattern)

    def set_scheme(self, scheme: Any) -> None:
        self.scheme = host.case(scheme).lower()

    def set_authority(self, authority: str) -> None:
        self.authority = _checked(authority, r"[!-~]+")

    def set_path_with_query(self, path: str) -> None:
        self.path = _checked(path, r"[^\x00-\x20\x7f]+")

    def body(self) -> "_OutgoingBody":
        return _OutgoingBody(self._web, self)


class _Options(_Lent):
    def __init__(self, web: Web) -> None:
        super().__init__(web)
        self.timeout: float | None = None

    def set_connect_timeout(self, nanoseconds: int) -> None:
        self.timeout = nanoseconds / 1e9

    set_first_byte_timeout = set_connect_timeout


class _OutgoingBody(_Lent):
    def __init__(self, web: Web, request: _Outgoing) -> None:
        super().__init__(web)
        self.request = request

    def write(self) -> "_Written":
        return _Written(self._web, self)


class _Written(_Lent):
    def blocking_write_and_flush(self, data: bytes) -> None:
        if len(data) > 4096:
            raise AssertionError("more is written at a time than the standard allows")
        self._parent.request.written += data  # type: ignore[union-attr]


class _Ready(_Lent):
    def block(self) -> None:
        pass


class _Future(_Lent):
    def __init__(self, web: Web, request: _Outgoing, options: _Options | None) -> None:
        super().__init__(web)
        self._request, self._options = request, options

    def subscribe(self) -> _Ready:
        if any(isinstance(it, _OutgoingBody) for it in self._web.lent):
            raise AssertionError("an answer is waited for while the request is not finished")
        return _Ready(self._web, self)

    def get(self) -> Any:
        it = self._request
        url, timeout = f"{it.scheme}://{it.authority}{it.path}", self._options.timeout if self._options else None
        return host.Ok(self._web.answered(Asked(it.method, url, it.headers, bytes(it.written), timeout)))


class _Incoming(_Lent):
    def __init__(self, web: Web, response: Response) -> None:
        super().__init__(web)
        self._response = response

    def status(self) -> int:
        return self._response.status

    def headers(self) -> _Fields:
        pairs = [(name.lower(), value) for name, value in self._response.headers]
        return _Fields(self._web, pairs, self)

    def consume(self) -> "_IncomingBody":
        return _IncomingBody(self._web, self._response.body)


class _IncomingBody(_Lent):
    def __init__(self, web: Web, data: bytes) -> None:
        super().__init__(web)
        self.data = data

    def stream(self) -> "_Read":
        return _Read(self._web, self)


class _Read(_Lent):
    def blocking_read(self, most: int) -> bytes:
        body: Any = self._parent
        if not body.data:
            raise host.Err(_case("StreamError_Closed")())
        data, body.data = body.data[:most], body.data[most:]
        return data


def _checked(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern, text):
        raise host.Err(None)
    return text
