"""Nouns shared by everything: messages, addresses, content."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from .reading import parse_json

#: Crockford's base 32, as ULIDs are written.
_BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: How many digits of base 32 hold 128 bits.
_ULID_DIGITS = 26

Kind = Literal["soul", "matrix", "topic", "client"]
#: The cases of an address, in the order of the interface.
KINDS: tuple[Kind, ...] = ("soul", "matrix", "topic", "client")


class Refusal(Exception):
    """Why a Soul does not do what it was asked. The text goes back to whoever asked.

    Any other exception is a fault of the Soul's own: it is logged with its traceback, and the Soul crashes, to come back
    from its last saved state.
    """


@dataclass(frozen=True, slots=True)
class MessageId:
    """A ULID: 128 bits, most significant part first, 32 bits each. As text it is written as ULIDs are."""

    a: int
    b: int
    c: int
    d: int

    @property
    def bits(self) -> int:
        """The 128 bits as one number."""
        return self.a << 96 | self.b << 64 | self.c << 32 | self.d

    def __str__(self) -> str:
        bits = self.bits
        return "".join(_BASE_32[bits >> 5 * place & 31] for place in reversed(range(_ULID_DIGITS)))


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message comes from or goes to. Names are location-free."""

    kind: Kind
    name: str

    @classmethod
    def soul(cls, name: str) -> "Address":
        """A Soul's address."""
        return cls("soul", name)

    @classmethod
    def matrix(cls, name: str) -> "Address":
        """A running Matrix's address."""
        return cls("matrix", name)

    @classmethod
    def topic(cls, name: str) -> "Address":
        """A topic's address."""
        return cls("topic", name)

    @classmethod
    def client(cls, name: str) -> "Address":
        """The address of a caller of the node's API."""
        return cls("client", name)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads an address as it is written in grants: ``soul:ada``, ``topic:news``.

        Raises ``ValueError`` where it is none.
        """
        kind, colon, name = text.partition(":")
        for known in KINDS:
            if colon and kind == known:
                return cls(known, name)
        raise ValueError(f"`{text}` is no address: write `soul:`, `matrix:`, `topic:` or `client:`, and a name")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes with their media type."""

    content_type: str
    body: bytes

    @classmethod
    def text(cls, text: str) -> "Content":
        """Text, as ``text/plain``."""
        return cls("text/plain", text.encode())

    @classmethod
    def svg(cls, document: str) -> "Content":
        """A picture, as ``image/svg+xml``."""
        return cls("image/svg+xml", document.encode())

    @classmethod
    def json(cls, value: Any) -> "Content":
        """Any value that JSON has, as ``application/json``."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return cls("application/json", text.encode())

    @classmethod
    def of(cls, said: "str | bytes | Content") -> "Content":
        """What was said: text and bytes become content of their own type.

        Raises ``TypeError`` where it is none of them.
        """
        if isinstance(said, Content):
            return said
        if isinstance(said, str):
            return cls.text(said)
        if isinstance(said, bytes | bytearray):
            return cls("application/octet-stream", bytes(said))
        raise TypeError(f"a {type(said).__name__} is no content: give text, bytes or a `Content`")

    @property
    def is_text(self) -> bool:
        """Whether its media type is one of texts: ``text/…``."""
        return self.content_type.lstrip()[:5].lower() == "text/"

    def decode(self) -> str:
        """The body as text. Raises `Refusal` where it is not UTF-8."""
        return utf8(self.body, "the body")


@dataclass(slots=True)
class Metric:
    """A named figure, as the node takes it."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as it is received."""

    #: Names this message.
    id: MessageId
    #: Who sent it, as the node knows it: a sender cannot forge this.
    sender: Address
    #: The topic that it was sent to; None: it was sent to this Soul, or this Matrix, itself.
    topic: str | None
    #: The message that this one answers.
    in_reply_to: MessageId | None
    #: What it says.
    content: Content
    #: Milliseconds since the Unix epoch, on the sending node's clock.
    sent_at: int

    @property
    def body(self) -> bytes:
        """The bytes of the content."""
        return self.content.body

    @property
    def text(self) -> str:
        """The body as text. Raises `Refusal` where it is not UTF-8."""
        return self.content.decode()

    def json(self) -> Any:
        """The body, read as JSON. Raises `Refusal` where it is none."""
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise Refusal(f"the body is not JSON: {error}") from error


def utf8(body: bytes, what: str) -> str:
    """Bytes as text. Raises `Refusal`, naming `what`, where they are not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(f"{what} is not text in UTF-8: {error}") from error
