"""What the parts of the node for tests have in common."""

from dataclasses import dataclass

from .types import Content

#: When the first message of a test is sent: 2001-09-09, 01:46:40 UTC.
BEGINNING_MS = 1_000_000_000_000


@dataclass(frozen=True)
class Event:
    """What a component published."""

    source: str
    kind: str
    content: Content


class Failure(Exception):
    """An answer that is none: the text that the asker is told."""
