"""Rules and interceptors in tests: see `Run` and `Stage`, which `matrix_soul.testing` hands on."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from . import host, packing
from .component import exports_of
from .interceptor import Interceptor
from .rules import Description, Prompt, Rules
from .testing_types import BEGINNING_MS, Event, Failure
from .types import Address, Content, MessageId

#: More ticks than a run of a test has.
_TICKS_MAX = 1_000_000
#: What an event may be called.
_KIND = re.compile(r"[a-z0-9._-]{1,64}")

#: A player's answer: None, where none comes in time.
Choice = bytes | str | None


class Run:
    """A Matrix in a test: what is asked and answered passes what it passes in a component.

    ::

        run = Run(Coin, players=["ada", "bob"], config={"rounds": 3})
        run.play(lambda prompt: "heads")
        assert run.finished and run.signals["heads"] == 1

    At each tick another instance is given the state and takes the same step: a run that is taken up elsewhere must go on
    alike. Where it does not, and where a node would not carry an outcome out, the test fails with a `Failure`.
    """

    def __init__(
        self,
        inhabitant: type[Rules],
        players: int | Sequence[str] = 2,
        config: str | Mapping[str, Any] = "",
        seed: int = 1,
    ) -> None:
        self._inhabitant = inhabitant
        self.players = [f"player-{it}" for it in range(players)] if isinstance(players, int) else list(players)
        #: Whom the rules ask now.
        self.prompts: list[Prompt] = []
        #: The figures of the last tick.
        self.signals: dict[str, float] = {}
        #: All that happened.
        self.events: list[Event] = []
        self.finished = False
        #: How many ticks there were.
        self.ticks = 0
        self._calls = self._made(inhabitant)
        text = config if isinstance(config, str) else json.dumps(config)
        setup = SimpleNamespace(config=text, seed=seed, players=list(self.players))
        self._take(self._enter(self._calls, "Rules", "start", setup))

    def describe(self) -> Description:
        """What the rules say of themselves."""
        return self._enter(self._calls, "Rules", "describe")

    def step(self, choices: Mapping[tuple[int, int], Choice] | Callable[[Prompt], Choice]) -> None:
        """One tick. Choices are told by player and seat, or by a function of each prompt; without one a player does not
        answer in time. Raises `Failure` where the rules refuse."""
        decide = choices if callable(choices) else lambda prompt: choices.get((prompt.player, prompt.seat))
        heads: list[int] = []
        bodies: list[bytes] = []
        for prompt in self.prompts:
            if not prompt.is_final:
                choice = decide(prompt)
                body = choice.encode() if isinstance(choice, str) else choice
                heads += (prompt.player, prompt.seat, 0 if body is None else len(body) + 1)
                bodies.append(body or b"")
        actions = SimpleNamespace(heads=heads, bytes=b"".join(bodies))
        twin = self._restored(self._inhabitant)
        told = self._enter(self._calls, "Rules", "step", actions)
        other = self._enter(twin, "Rules", "step", actions, is_heard=False)
        if told != other or self._state(self._calls) != self._state(twin):
            raise Failure(f"after tick {self.ticks}, an instance that was given the state went on in another way")
        self.ticks += 1
        self._take(told)

    def play(self, choices: Mapping[tuple[int, int], Choice] | Callable[[Prompt], Choice]) -> None:
        """Steps until the run is over."""
        while not self.finished:
            if self.ticks == _TICKS_MAX:
                raise Failure(f"the run is not over after {_TICKS_MAX} ticks")
            self.step(choices)

    def ask(self, said: str | bytes | Content, sender: str = "client:test") -> str | None:
        """Sends the Matrix a message; the reply as text, or None. Raises `Failure`."""
        wire = _wire(Content.of(said), sender, "matrix:test")
        reply = self._enter(self._calls, "Rules", "receive", wire)
        return None if reply is None else reply.decode()

    def join(self, player: str) -> int:
        """A player comes. Raises `Failure`."""
        place = self._enter(self._calls, "Rules", "join", player)
        self.players[place:] = [player]
        return place

    def leave(self, player: int) -> None:
        """A player goes. Raises `Failure`."""
        self._enter(self._calls, "Rules", "leave", player)

    def view(self) -> Content:
        """What people see."""
        return self._enter(self._calls, "Rules", "view")

    def snapshot(self) -> tuple[str, bytes]:
        """The schema and the bytes of the state."""
        return self._state(self._calls)

    def restore(self, schema: str, data: bytes) -> None:
        """Gives the rules a state. Raises `Failure`."""
        self._enter(self._calls, "Stateful", "restore", schema, data)

    def restart(self) -> None:
        """Another instance of the same code, with the same state."""
        self.swap(self._inhabitant)

    def swap(self, inhabitant: type[Rules]) -> None:
        """New code, with the state of the old. Raises `Failure`, and the old code goes on."""
        self._calls = self._restored(inhabitant)
        self._inhabitant = inhabitant

    def _made(self, inhabitant: type[Rules]) -> dict[str, Any]:
        return {name: make() for name, make in exports_of(inhabitant).items()}

    def _restored(self, inhabitant: type[Rules]) -> dict[str, Any]:
        made = self._made(inhabitant)
        self._enter(made, "Stateful", "restore", *self._state(self._calls), is_heard=False)
        return made

    def _state(self, calls: dict[str, Any]) -> tuple[str, bytes]:
        return self._enter(calls, "Stateful", "schema"), self._enter(calls, "Stateful", "snapshot")

    def _enter(self, calls: dict[str, Any], interface: str, name: str, *given: Any, is_heard: bool = True) -> Any:
        def emit(kind: str, content: Content) -> None:
            if is_heard:
                self.events.append(Event("matrix:test", kind, content))

        with host.faked(events=SimpleNamespace(emit=emit)):
            try:
                return getattr(calls[interface], name)(*given)
            except host.Err as error:
                raise Failure(error.value) from None

    def _take(self, told: Any) -> None:
        """Takes an outcome up as a node does."""
        self.prompts = _prompts(told.prompts, len(self.players))
        self.signals = {it.name: it.value for it in told.signals}
        self.finished = told.finished
        for name, value in self.signals.items():
            if not math.isfinite(value):
                raise Failure(f"the signal `{name}` is {value}: leave it out while it is no number")
        for event in told.events:
            if not _KIND.fullmatch(event.kind):
                raise Failure(f"the kind of an event is `{event.kind}`: use a dotted name of [a-z0-9._-]")
            self.events.append(Event("matrix:test", event.kind, event.content))


def _prompts(packed: Any, players: int) -> list[Prompt]:
    """What the rules asked, as a node reads it."""
    turns = [head for place, head in enumerate(packed.heads) if place % 6]
    askers = packed.heads[::6]
    found = []
    seats = set()
    for player, turn in zip(askers, packing.turns("test", 0, SimpleNamespace(heads=turns, bytes=packed.bytes))):
        if player >= players:
            raise Failure(f"player {player} is asked, and there are {players}: ask by places in the setup's list, from 0")
        if (player, turn.seat) in seats:
            raise Failure(f"seat {turn.seat} of player {player} is asked twice in one tick")
        if not math.isfinite(turn.reward):
            raise Failure(f"the reward of seat {turn.seat} of player {player} is {turn.reward}")
        seats.add((player, turn.seat))
        found.append(Prompt(player, turn.seat, turn.observation, turn.reward, turn.is_final))
    return found


class Stage:
    """An interceptor in a test.

    ::

        stage = Stage(Mask, {"words": "zion"})
        assert stage.outbound("to zion").decode() == "to ***"
    """

    def __init__(self, inhabitant: type[Interceptor], settings: Mapping[str, str] | None = None) -> None:
        self._settings = dict(settings or {})
        self._judging = exports_of(inhabitant)["Interceptor"]()

    def outbound(self, said: str | bytes | Content, sender: str = "soul:ada", recipient: str = "soul:bob") -> Content:
        """What becomes of a message that leaves: the content with which it goes on. Raises `Failure` where it is rejected."""
        return self._judged("outbound", Content.of(said), sender, recipient)

    def inbound(self, said: str | bytes | Content, sender: str = "soul:ada", recipient: str = "soul:bob") -> Content:
        """What becomes of a message that arrives."""
        return self._judged("inbound", Content.of(said), sender, recipient)

    def _judged(self, way: str, said: Content, sender: str, recipient: str) -> Content:
        settings = SimpleNamespace(get_all=lambda: list(self._settings.items()))
        verdicts = SimpleNamespace(
            Verdict_Pass=lambda: ("pass", None),
            Verdict_Rewrite=lambda wire: ("rewrite", wire),
            Verdict_Reject=lambda why: ("reject", why),
        )
        with host.faked(config_store=settings, exported_interceptor=verdicts):
            case, value = getattr(self._judging, way)(_wire(said, sender, recipient))
        if case == "reject":
            raise Failure(value)
        return said if case == "pass" else Content(value.content_type, value.body)


def _wire(said: Content, sender: str, recipient: str) -> Any:
    """A message as the generated bindings have it."""

    def address(text: str) -> Any:
        parsed = Address.parse(text)
        made = type(f"Address_{parsed.kind.capitalize()}", (), {})()
        made.value = parsed.name
        return made

    return SimpleNamespace(
        id=MessageId(0, 0, 0, 1),
        sender=address(sender),
        recipient=address(recipient),
        in_reply_to=None,
        content_type=said.content_type,
        body=said.body,
        sent_at=BEGINNING_MS,
    )
