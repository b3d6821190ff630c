"""Requests to hosts outside the realm (``wasi:http``).

They are there, with the grant ``http`` and an operator who lets the node reach the host, while a message is handled or a tick
is played. ::

    answer = http.get(f"https://api.example.org/prices/{name}", timeout=5.0)
    if answer.status != 200:
        raise Refusal(f"{answer.status}: no price")
    return answer.text

Nobody follows a redirect but the Soul itself, by another request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import http_wire
from .reading import parse_json
from .types import Refusal, utf8

#: Headers by name; as pairs, where one name comes more than once. Text is sent as UTF-8.
Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]


class Kind(StrEnum):
    """What went wrong."""

    #: The URL is none, or not of a scheme that there is.
    URL = "url"
    #: A header that may not be set.
    HEADER = "header"
    #: The Soul may not: no grant, or the operator does not let the node; why stands in the Soul's log.
    DENIED = "denied"
    #: The name has no address that may be reached.
    PROHIBITED = "prohibited"
    #: It took too long.
    TIMEOUT = "timeout"
    #: The body, or the answer, is larger than the operator lets it be.
    TOO_LARGE = "too-large"
    #: Whatever else went wrong, in words.
    FAILED = "failed"


#: Methods whose body's length is said also where there is none: else it would be sent in chunks, which not every host reads.
_WITH_BODY = ("POST", "PUT", "PATCH")

_TEXTS = {
    Kind.URL: "`{}` is no URL: write `https://HOST/PATH`",
    Kind.HEADER: "the header `{}` cannot be set so",
    Kind.DENIED: "the request was denied: why stands in the Soul's log",
    Kind.PROHIBITED: "the host has no address that may be reached (`http.private`)",
    Kind.TIMEOUT: "the host took too long",
    Kind.TOO_LARGE: "it is larger than the node lets it be",
    Kind.FAILED: "{}",
}


class HttpError(Refusal):
    """Why there is no answer. Not caught, it becomes the failure of the message being handled."""

    def __init__(self, kind: Kind, about: str = "") -> None:
        #: What went wrong.
        self.kind = kind
        # What is no text anywhere else, half of a surrogate pair, would end the Soul where it is told.
        known = about.encode(errors="replace").decode()
        super().__init__(_TEXTS[kind].replace("{}", known))


@dataclass(frozen=True)
class Response:
    """An answer."""

    #: Such as 200, or 404.
    status: int
    #: Its headers, their names in lower case.
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    #: What it says.
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name, if it is text."""
        for known, value in self.headers:
            if known == name.lower():
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None

    @property
    def text(self) -> str:
        """The body as text. Raises `Refusal` where it is not UTF-8."""
        return utf8(self.body, "the answer")

    def json(self) -> Any:
        """The body, read as JSON. Raises `Refusal` where it is none."""
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise Refusal(f"the answer is not JSON: {error}") from error


def request(
    method: str, url: str, *, headers: Headers = (), body: bytes | str = b"", timeout: float | None = None
) -> Response:
    """Sends a request by any method for a URL, ``https://HOST[:PORT]/PATH`` or ``http://…``, and waits for the whole answer.
    The Soul receives nothing else meanwhile. Raises `HttpError` where there is no answer; one with any status is an answer.

    ``host``, ``connection`` and the like are the node's to set. `timeout` is for how many seconds the answer may take to begin:
    less, where the operator or the deadline of the message has it.
    """
    tls, authority, path = _place(method, url)
    data = body.encode() if isinstance(body, str) else bytes(body)
    pairs = _pairs(headers)
    if data or method in _WITH_BODY:
        # The length is what is sent, whatever else was said of it.
        pairs = [(name, value) for name, value in pairs if name.lower() != "content-length"]
        pairs.append(("content-length", str(len(data)).encode()))
    within = None if timeout is None else int(min(max(timeout * 1e9, 1), 2.0**63))
    try:
        answer = http_wire.sent(http_wire.Call(method, tls, authority, path, pairs, data, within))
    except http_wire.Wrong as wrong:
        raise HttpError(Kind(wrong.kind), url if wrong.kind == "url" else wrong.about) from None
    return Response(*answer)


def get(url: str, *, headers: Headers = (), timeout: float | None = None) -> Response:
    """Asks for what is there, as `request` does."""
    return request("GET", url, headers=headers, timeout=timeout)


def post(url: str, body: bytes | str, *, headers: Headers = (), timeout: float | None = None) -> Response:
    """Hands something over, as `request` does."""
    return request("POST", url, headers=headers, body=body, timeout=timeout)


def _place(method: str, url: str) -> tuple[bool, str, str]:
    """The parts of a URL: whether it is over TLS, the host with its port, and the path. Raises `HttpError`."""
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    at = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    authority, path = rest[:at], rest[at:]
    if scheme not in ("https", "http") or not authority or not (_is_text(url) and _is_text(method)):
        raise HttpError(Kind.URL, url)
    return scheme == "https", authority, path if path.startswith("/") else f"/{path}"


def _pairs(headers: Headers) -> list[tuple[str, bytes]]:
    """Headers as the node takes them. Raises `HttpError`."""
    pairs = []
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        if not _is_text(name) or isinstance(value, str) and not _is_text(value):
            raise HttpError(Kind.HEADER, name)
        pairs.append((name, value.encode() if isinstance(value, str) else bytes(value)))
    return pairs


def _is_text(said: str) -> bool:
    """Whether a text is one outside Python too, which JSON of others can bring to have half of a surrogate pair."""
    try:
        said.encode()
    except UnicodeEncodeError:
        return False
    return True
