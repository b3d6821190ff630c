"""Where an instance of an interceptor lives inside its component, and how calls reach it."""

from collections.abc import Callable
from typing import Any

from . import clock, host, packing
from .entry import fault, log
from .interceptor import Interceptor, Passing
from .stateful import definition
from .types import Content, Refusal

_store = host.bound("store", "config_")
_verdicts = host.exported("interceptor")


class Home:
    """Holds the instance, which is made for the first message."""

    def __init__(self, inhabitant: type[Interceptor]) -> None:
        self._inhabitant = inhabitant
        self._stage: Any = None
        self._refusal: Refusal | None = None

    def judge(self, way: str, wire: Any) -> Any:
        """The verdict on a message. A fault is logged, and ends the instance."""
        try:
            message = packing.passing(wire)
            clock.move_to(message.sent_at)
            return self._verdict(getattr(self._living(), way), message, wire)
        except Refusal as refusal:
            return _verdicts.Verdict_Reject(str(refusal))
        except Exception as error:
            log.error("%s", fault(error))
            raise

    def _living(self) -> Any:
        if self._stage is None and self._refusal is None:
            stage = self._inhabitant()
            try:
                if definition(self._inhabitant).imports:
                    stage.configured(_settings())
                self._stage = stage
            except Refusal as refusal:
                self._refusal = refusal
        if self._refusal is not None:
            raise self._refusal
        return self._stage

    def _verdict(self, judge: Callable[[Passing], Any], message: Passing, wire: Any) -> Any:
        said = judge(message)
        if said is None:
            return _verdicts.Verdict_Pass()
        if isinstance(said, Content):
            wire.content_type, wire.body = said.content_type, said.body
        else:
            # Text or bytes take the place of the body alone.
            wire.body = Content.of(said).body
        return _verdicts.Verdict_Rewrite(wire)


def _settings() -> dict[str, str]:
    try:
        return dict(_store.get_all())
    except host.Err as error:
        raise Refusal(f"its settings cannot be had: {getattr(error.value, 'value', error.value)}") from None


def exports(inhabitant: type[Interceptor]) -> dict[str, type]:
    """The class by which messages reach an interceptor, by the name that the generated bindings look for."""
    home = Home(inhabitant)

    class Judging:
        def outbound(self, message: Any) -> Any:
            return home.judge("outbound", message)

        def inbound(self, message: Any) -> Any:
            return home.judge("inbound", message)

    return {"Interceptor": Judging}
