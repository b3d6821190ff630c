"""Where the one instance of a Soul lives inside its component, and how calls reach it."""

from collections.abc import Iterable, Mapping
from typing import Any

from . import clock, interceptor_component, packing, rules_component
from .entry import guarded
from .host import Err, Ok
from .learning import Experience, Source
from .soul import Birth, Persona, Soul
from .stateful import definition
from .types import Content, Metric, Refusal

_NOT_BORN = "called before `init`: a node gives birth to a Soul before anything else"


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
            guarded(lambda: home.init(birth))

        def receive(self, batch: Any) -> list[Any]:
            return guarded(lambda: list(home.receive(batch)))

    class Stateful:
        def schema(self) -> str:
            return home.definition.schema or ""

        def snapshot(self) -> bytes:
            return guarded(lambda: home.soul().snapshot())

        def restore(self, schema: str, bytes: bytes) -> None:
            guarded(lambda: home.soul().restore(schema, bytes))

    class Player:
        def act(self, matrix: str, tick: int, turns: Any) -> packing.Choices:
            return guarded(lambda: home.act(matrix, tick, turns))

    class Learner:
        def train(self, batch: Any) -> list[Metric]:
            return guarded(lambda: home.learn("train", batch))

        def evaluate(self, batch: Any) -> list[Metric]:
            return guarded(lambda: home.learn("evaluate", batch))

    made = {"agent": Agent, "stateful": Stateful, "player": Player, "learner": Learner}
    return {name.capitalize(): made[name] for name in home.definition.exports}


def exports_of(inhabitant: type) -> dict[str, type]:
    """The classes by which calls reach a component of this class, whatever it is."""
    made = {
        "soul": lambda: exports(Home(inhabitant)),
        "rules": lambda: rules_component.exports(inhabitant),
        "interceptor": lambda: interceptor_component.exports(inhabitant),
    }
    return made[definition(inhabitant).kind]()
