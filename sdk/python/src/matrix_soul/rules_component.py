"""Where the one instance of rules lives inside its component, and how calls reach it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import packing
from .entry import guarded
from .rules import Description, Happening, Outcome, Rules, Setup
from .stateful import definition
from .types import Content, Metric, Refusal


@dataclass(slots=True)
class Told:
    """What a tick led to, as the node takes it."""

    prompts: packing.Packed
    events: list[Happening]
    signals: list[Metric]
    finished: bool


def exports(inhabitant: type[Rules]) -> dict[str, type]:
    """The classes by which calls reach rules, by the names that the generated bindings look for."""
    known = definition(inhabitant)
    home: list[Any] = []

    def living() -> Any:
        if not home:
            raise Refusal("called before `start`, and without a state to take up")
        return home[0]

    def begin(setup: Any) -> Told:
        made = inhabitant()
        outcome = made.start(Setup(setup.config, setup.seed, tuple(setup.players)))
        home[:] = [made]
        return told(outcome)

    def take_up(schema: str, data: bytes) -> None:
        made = inhabitant()
        made.restore(schema, data)
        home[:] = [made]

    class RulesExport:
        def describe(self) -> Description:
            return known.description

        def start(self, setup: Any) -> Told:
            return guarded(lambda: begin(setup))

        def step(self, actions: Any) -> Told:
            return guarded(lambda: told(living().step(packing.actions(actions))))

        def join(self, player: str) -> int:
            return guarded(lambda: living().join(player))

        def leave(self, player: int) -> None:
            guarded(lambda: living().leave(player))

        def receive(self, message: Any) -> Content | None:
            return guarded(lambda: _answer(living().receive, message))

        def view(self) -> Content:
            return guarded(lambda: living().view())

    class Stateful:
        def schema(self) -> str:
            return known.schema or ""

        def snapshot(self) -> bytes:
            return guarded(lambda: living().snapshot())

        def restore(self, schema: str, bytes: bytes) -> None:
            guarded(lambda: take_up(schema, bytes))

    return {"Rules": RulesExport, "Stateful": Stateful}


def told(outcome: Outcome) -> Told:
    """An outcome as the node takes it."""
    signals = [Metric(name, float(value)) for name, value in outcome.signals.items()]
    return Told(packing.prompts(outcome.prompts), outcome.events, signals, outcome.finished)


def _answer(receive: Callable[[Any], Any], message: Any) -> Content | None:
    reply = receive(packing.message(message))
    return None if reply is None else Content.of(reply)
