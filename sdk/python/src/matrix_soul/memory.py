"""What a Soul remembers (``matrix:node/memory``): kept by the node, replicated, and not lost when code is swapped.

It is there, with the grant ``memory``, while a message is handled or a tick is played: not at a birth, and not while a
state is taken or given. ::

    memory.remember(f"{name} came by", importance=0.2, tags=[name])
    for found in memory.recall(name, limit=3):
        print(found.text, found.score)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from . import host
from .types import Refusal

_wit = host.bound("memory")


class MemoryError(Refusal):
    """Why nothing was remembered, found or forgotten. Not caught, it becomes the failure of the message being handled."""


class Denied(MemoryError):
    """The Soul holds no grant."""


class Invalid(MemoryError):
    """What was given is out of its bounds; the text says which."""


class QuotaExceeded(MemoryError):
    """This Soul has used up its quota of operations for now."""


class Unavailable(MemoryError):
    """It is not there at this moment, or the node cannot reach it: whether something was written is not known."""


@dataclass(frozen=True, slots=True)
class Impression:
    """Something to remember, as the node takes it."""

    text: str
    importance: float
    tags: list[str]
    embedding: list[float]


@dataclass(frozen=True, slots=True)
class Cue:
    """What episodes are looked for by, as the node takes it."""

    text: str
    embedding: list[float]


@dataclass(frozen=True, slots=True)
class Recollection:
    """An episode that was found."""

    #: Names it.
    id: int
    #: When it was remembered, in milliseconds since the Unix epoch.
    at: int
    #: When it was recalled last; the same as `last_at`: never.
    recalled_at: int
    #: What happened, in words.
    text: str
    #: From 0 (trivial) to 1 (life-changing).
    importance: float
    #: Words under which it is found as well.
    tags: tuple[str, ...]
    #: How well it fits, from 0 to 1.
    score: float
    #: How often it was remembered: more than once where it took up others that were alike, for want of room.
    times: int
    #: When it was remembered last; the same as `at` where that was once.
    last_at: int


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is remembered, and how much may be."""

    episodes: int
    episodes_max: int
    bytes: int
    bytes_max: int


def remember(
    text: str,
    *,
    importance: float = 0.5,
    tags: Sequence[str] = (),
    embedding: Sequence[float] = (),
    instead_of: Sequence[int] = (),
) -> int:
    """Remembers something, and returns its name. The episodes in `instead_of` are forgotten in the same step.

    At most 8,192 bytes of text, 16 tags of 64 bytes, 1,024 numbers, and 64 episodes. Raises `MemoryError`.
    """
    impression = Impression(text, importance, list(tags), list(embedding))
    return _call("remember", impression, list(instead_of))


def recall(text: str = "", *, limit: int = 8, embedding: Sequence[float] = ()) -> list[Recollection]:
    """The episodes that fit these words best, best first: at most `limit`, and at most 64. No words: what is most recent
    and important. Raises `MemoryError`."""
    found = _call("recall", Cue(text, list(embedding)), limit)
    return [_recollection(it.episode, it.score) for it in found]


def forget(episode: int) -> bool:
    """Forgets an episode; False: there was none. Raises `MemoryError`."""
    return _call("forget", episode)


def usage() -> Extent:
    """How much is remembered, and how much may be. Raises `MemoryError`."""
    it = _call("usage")
    return Extent(it.episodes, it.episodes_max, it.bytes, it.bytes_max)


def _recollection(it, score: float) -> Recollection:
    return Recollection(
        it.id, it.at, it.recalled_at, it.text, it.importance, tuple(it.tags), score, it.times, it.last_at
    )


def _call(name: str, *arguments):
    try:
        return getattr(_wit, name)(*arguments)
    except host.Err as error:
        kinds = {"Denied": Denied, "Invalid": Invalid, "QuotaExceeded": QuotaExceeded, "Unavailable": Unavailable}
        text = getattr(error.value, "value", "the quota is used up: raise `limits.memory_per_second`")
        raise kinds[host.case(error.value)](text) from None
