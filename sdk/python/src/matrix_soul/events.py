"""The node's event bus (``matrix:node/events``)."""

from . import host
from .types import Content

_wit = host.bound("events")


def emit(kind: str, said: str | bytes | Content) -> None:
    """Publishes an event under the Soul's own name. `kind` is a dotted name, such as ``trade.filled``. What exceeds the
    Soul's quota is dropped, counted and reported."""
    _wit.emit(kind, Content.of(said))
