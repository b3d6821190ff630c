"""Where the one instance of a Soul lives inside its component, and how calls reach it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Any

from . import clock, packing
from .host import Err, Ok
from .learning import Experience, Source
from .soul import Birth, Persona, Soul, definition
from .types import Content, Refusal

_log = logging.getLogger("matrix_soul")
_NOT_BORN = "called before `init`: a node gives birth to a Soul before anything else"


@dataclass(slots=True)
class Metric:
    """A named figure, as the node takes it."""

    name: str
    value: float


class Home:
    """Holds the instance of one class; a component is entered by one call at a time."""

    def __init__(self, inhabitant: type[Soul]) -> None:
        self.inhabitant = inhabitant
        self.definition = definition(inhabitant)
        self._soul: Any = None

    def soul(self) -> Any:
        """The instance. Raises `Refusal` before it is born."""
        if self._soul is None:
            raise Refusal(_NOT_BORN)
        return self._soul

    def init(self, birth: Any) -> None:
        """Makes the instance."""
        clock.seed(birth.seed)
        values = {it.name: it.weight for it in birth.persona.values}
        persona = Persona(birth.persona.description, tuple(birth.persona.traits), values)
        soul = self.inhabitant()
        soul.born(Birth(birth.name, persona, dict(birth.config), birth.seed))
        self._soul = soul

    def receive(self, batch: Any) -> Iterable[Any]:
        """Handles a batch, one result a message."""
        for message in packing.messages(batch):
            try:
                if isinstance(message, Refusal):
                    raise message
                clock.move_to(message.sent_at)
                reply = self.soul().receive(message)
                yield Ok(None if reply is None else Content.of(reply))
            except Refusal as refusal:
                yield Err(str(refusal))

    def act(self, matrix: str, tick: int, packed: Any) -> packing.Choices:
        """Decides all turns of a tick."""
        turns = packing.turns(matrix, tick, packed)
        return packing.choices(self.soul().act_all(turns), len(turns))

    def learn(self, step: str, batch: Any) -> list[Metric]:
        """Trains or evaluates."""
        batch = [
            Experience(it.id, Source(it.source.value), it.input, it.output, it.reward, it.at) for it in batch
        ]
        figures: Mapping[str, float] = getattr(self.soul(), step)(batch)
        return [Metric(name, float(value)) for name, value in figures.items()]


def exports(home: Home) -> dict[str, type]:
    """The classes by which calls reach a home, by the names that the generated bindings look for."""

    class Agent:
        def init(self, birth: Any) -> None:
            _guarded(lambda: home.init(birth))

        def receive(self, batch: Any) -> list[Any]:
            return _guarded(lambda: list(home.receive(batch)))

    class Stateful:
        def schema(self) -> str:
            return home.definition.schema or ""

        def snapshot(self) -> bytes:
            return _guarded(lambda: home.soul().snapshot())

        def restore(self, schema: str, bytes: bytes) -> None:
            _guarded(lambda: home.soul().restore(schema, bytes))

    class Player:
        def act(self, matrix: str, tick: int, turns: Any) -> packing.Choices:
            return _guarded(lambda: home.act(matrix, tick, turns))

    class Learner:
        def train(self, batch: Any) -> list[Metric]:
            return _guarded(lambda: home.learn("train", batch))

        def evaluate(self, batch: Any) -> list[Metric]:
            return _guarded(lambda: home.learn("evaluate", batch))

    made = {"agent": Agent, "stateful": Stateful, "player": Player, "learner": Learner}
    return {name.capitalize(): made[name] for name in home.definition.exports(home.inhabitant)}


def _guarded(call: Callable[[], Any]) -> Any:
    """A call whose refusal is told, and whose fault is logged before it ends the instance."""
    try:
        return call()
    except Refusal as refusal:
        raise Err(str(refusal)) from None
    except Exception as error:
        _log.error("%s", fault(error))
        raise


def fault(error: BaseException) -> str:
    """What went wrong, and where, the latest call last. Without the lines of the code: a component has no files."""
    places = [f"  {code.co_filename}:{line} in {code.co_name}" for code, line in _frames(error.__traceback__)]
    return "\n".join(["Traceback:", *places, f"{type(error).__name__}: {error}"])


def _frames(at: TracebackType | None) -> Iterable[tuple[CodeType, int]]:
    while at is not None:
        yield at.tb_frame.f_code, at.tb_lineno
        at = at.tb_next
