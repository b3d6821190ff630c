"""Stages of the transport: what messages pass where they leave their sender, and where they arrive."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from .stateful import Definition
from .types import Address, Content, Message

#: What becomes of a message: None, it goes on as it is; text or bytes, with this body; a `Content`, with this content.
Verdict = str | bytes | Content | None

_Class = TypeVar("_Class", bound=type)


@dataclass(frozen=True, slots=True)
class Passing(Message):
    """A message on its way."""

    #: Whom it was sent to.
    recipient: Address


class Interceptor:
    """A stage that messages pass. Mark the class with `@interceptor`. A stage sees every message: it is to be quick. Each node
    makes instances, as many as it needs at once: what one of them remembers, others do not know, and a fault ends it.
    """

    def configured(self, settings: Mapping[str, str]) -> None:
        """Called once for each instance, with the settings that the chain gives the stage. A `Refusal` says what is wrong with
        them: each message is then rejected with it."""

    def outbound(self, message: Passing) -> Verdict:
        """Judges a message that leaves its sender. By default it passes. A `Refusal` rejects it: its sender is told why."""

    def inbound(self, message: Passing) -> Verdict:
        """Judges a message that arrives where its recipient lives. By default it passes. A `Refusal` rejects it."""


def interceptor(inhabitant: _Class) -> _Class:
    """Makes a class a stage of the transport."""
    if not (isinstance(inhabitant, type) and issubclass(inhabitant, Interceptor)):
        raise TypeError(f"`{getattr(inhabitant, '__name__', inhabitant)}` must derive from `Interceptor`")
    reads = inhabitant.configured is not Interceptor.configured
    imports = ("wasi:config/store@0.2.0-rc.1",) if reads else ()
    inhabitant.__matrix_soul__ = Definition("interceptor", ("interceptor",), imports=imports)
    return inhabitant
