"""Messages to Souls, Matrices, topics and clients, wherever they run (``matrix:node/messaging``)."""

from datetime import timedelta

from . import host
from .types import Address, Content, MessageId, Refusal

_wit = host.bound("messaging")
_types = host.bound("types", "matrix_node_")

#: The longest time that can be waited for a reply, in milliseconds.
_WAIT_MAX_MS = (1 << 32) - 1


class SendError(Refusal):
    """Why a message was not accepted, or not answered. Not caught, it becomes the failure of the message being handled."""


class UnknownRecipient(SendError):
    """Nobody has this address."""


class Denied(SendError):
    """There is no grant for this recipient; the text says which is missing."""


class MailboxFull(SendError):
    """The recipient's mailbox is full: try later."""


class Unreachable(SendError):
    """The recipient's node does not answer."""


class TooLarge(SendError):
    """The body is larger than the limit."""


class DeadlineExceeded(SendError):
    """No reply came in time."""


class QuotaExceeded(SendError):
    """This Soul has used up its quota of messages for now."""


class TooManyHops(SendError):
    """The chain of messages that led here is longer than the node allows."""


class Failed(SendError):
    """The recipient took the message and failed; the text is its own."""


def send(to: Address | str, said: str | bytes | Content) -> MessageId:
    """Sends a message; `to` may be written as ``soul:ada``. Returns once it is accepted. Raises `SendError`."""
    address = _address(to)
    try:
        sent = _wit.send(_wire(address), Content.of(said))
    except host.Err as error:
        raise _error(error.value, address) from None
    return MessageId(sent.a, sent.b, sent.c, sent.d)


def ask(to: Address | str, said: str | bytes | Content, timeout: float | timedelta) -> Content | None:
    """Sends a message and waits for its reply, up to `timeout` seconds; None: the recipient had nothing to say.

    The Soul receives nothing else meanwhile. Raises `SendError`: why there is no reply, and not whether the recipient
    acted on the message.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    address = _address(to)
    within = max(0, min(int(seconds * 1000), _WAIT_MAX_MS))
    try:
        reply = _wit.ask(_wire(address), Content.of(said), within)
    except host.Err as error:
        raise _error(error.value, address) from None
    return None if reply is None else Content(reply.content_type, reply.body)


def subscribe(topic: str) -> None:
    """Receives, from now on, what is sent to this topic. Raises `SendError`."""
    try:
        _wit.subscribe(topic)
    except host.Err as error:
        raise _error(error.value, Address.topic(topic)) from None


def unsubscribe(topic: str) -> None:
    """Ends a subscription; ending one that does not exist is no error. Raises `SendError`."""
    try:
        _wit.unsubscribe(topic)
    except host.Err as error:
        raise _error(error.value, Address.topic(topic)) from None


def _address(to: Address | str) -> Address:
    return Address.parse(to) if isinstance(to, str) else to


def _wire(to: Address) -> object:
    return getattr(_types, f"Address_{to.kind.capitalize()}")(to.name)


def _error(value: object, to: Address) -> SendError:
    texts: dict[str, tuple[type[SendError], str]] = {
        "UnknownRecipient": (UnknownRecipient, f"nobody is called `{to}`"),
        "Denied": (Denied, "{}"),
        "MailboxFull": (MailboxFull, f"the mailbox of `{to}` is full: try later"),
        "Unreachable": (Unreachable, f"the node of `{to}` does not answer"),
        "TooLarge": (TooLarge, "the body is larger than {} bytes"),
        "DeadlineExceeded": (DeadlineExceeded, f"`{to}` did not answer in time"),
        "QuotaExceeded": (QuotaExceeded, "the quota of messages is used up for now"),
        "TooManyHops": (TooManyHops, "the chain of messages that led here is too long"),
        "Failed": (Failed, "{}"),
    }
    kind, text = texts[host.case(value)]
    return kind(text.replace("{}", str(getattr(value, "value", ""))))
