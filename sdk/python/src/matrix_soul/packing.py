"""Lists as they cross the boundary of a component: words, a fixed number for each element, and bytes, those of one
element behind those of the one before."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import host
from .interceptor import Passing
from .playing import Turn
from .rules import Action, Prompt
from .types import KINDS, Address, Content, Message, MessageId, Refusal

#: Words a message.
MESSAGE_WORDS = 16
#: Words a turn.
TURN_WORDS = 5
#: Words an action.
ACTION_WORDS = 3

_SHORT = "a packed list holds fewer bytes than its words say"


@dataclass(slots=True)
class Choices:
    """What a player decides, as the node takes it."""

    lengths: list[int]
    bytes: bytes


@dataclass(slots=True)
class Packed:
    """Words and bytes, as the node takes them."""

    heads: list[int]
    bytes: bytes


class _Reader:
    """Takes bytes off the front of a packed list."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise Refusal(_SHORT)
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def text(self, count: int) -> str:
        return self.take(count).decode()


def messages(batch: Any) -> Iterator[Message | Refusal]:
    """The messages of a batch. One that cannot be read is an error of its own, and so are those behind it."""
    reader = _Reader(batch.bytes)
    heads = batch.heads
    for start in range(0, len(heads), MESSAGE_WORDS):
        try:
            yield _message(heads[start : start + MESSAGE_WORDS], reader)
        except (Refusal, UnicodeDecodeError) as error:
            yield Refusal(str(error))


def _message(head: Sequence[int], reader: _Reader) -> Message:
    a, b, c, d, kind, sender, topic, content_type, body, of_a, of_b, of_c, of_d, high, low, _ = head
    name, topic_name = reader.text(sender), reader.text(topic)
    content = Content(reader.text(content_type), reader.take(body))
    answered = MessageId(of_a, of_b, of_c, of_d)
    return Message(
        id=MessageId(a, b, c, d),
        sender=Address(KINDS[min(kind, len(KINDS) - 1)], name),
        topic=topic_name or None,
        in_reply_to=answered if answered.bits else None,
        content=content,
        sent_at=high << 32 | low,
    )


def turns(matrix: str, tick: int, packed: Any) -> list[Turn]:
    """What a player sees."""
    reader = _Reader(packed.bytes)
    heads = packed.heads
    found = []
    for start in range(0, len(heads), TURN_WORDS):
        seat, length, last, high, low = heads[start : start + TURN_WORDS]
        reward = struct.unpack(">d", struct.pack(">II", high, low))[0]
        found.append(Turn(matrix, tick, seat, reader.take(length), reward, last != 0))
    return found


def choices(decided: Sequence[bytes | str], count: int) -> Choices:
    """What a player decides, for so many turns."""
    if len(decided) != count:
        raise Refusal(f"{len(decided)} actions for {count} turns: each turn needs one")
    bodies = [it.encode() if isinstance(it, str) else bytes(it) for it in decided]
    return Choices([len(body) for body in bodies], b"".join(bodies))


def actions(packed: Any) -> list[Action]:
    """What players answered."""
    reader = _Reader(packed.bytes)
    heads = iter(packed.heads)
    return [
        Action(player, seat, reader.take(length - 1) if length else None)
        for player, seat, length in zip(heads, heads, heads)
    ]


def prompts(asked: Sequence[Prompt]) -> Packed:
    """Whom rules ask."""
    heads: list[int] = []
    for it in asked:
        reward = struct.unpack(">II", struct.pack(">d", it.reward))
        heads += (it.player, it.seat, len(it.observation), int(it.is_final), *reward)
    return Packed(heads, b"".join([it.observation for it in asked]))


def message(wire: Any) -> Message:
    """A message that is not packed, to a Matrix."""
    return Message(**_parts(wire), topic=None)


def passing(wire: Any) -> Passing:
    """A message on its way."""
    recipient = _address(wire.recipient)
    topic = recipient.name if recipient.kind == "topic" else None
    return Passing(**_parts(wire), topic=topic, recipient=recipient)


def _parts(wire: Any) -> dict[str, Any]:
    answered = wire.in_reply_to
    return {
        "id": _id(wire.id),
        "sender": _address(wire.sender),
        "in_reply_to": None if answered is None else _id(answered),
        "content": Content(wire.content_type, wire.body),
        "sent_at": wire.sent_at,
    }


def _id(wire: Any) -> MessageId:
    return MessageId(wire.a, wire.b, wire.c, wire.d)


def _address(wire: Any) -> Address:
    kind = host.case(wire).lower()
    return Address(next(it for it in KINDS if it == kind), wire.value)
