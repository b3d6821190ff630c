"""A node for tests: Souls run in it as in a node, in Python, without WebAssembly.

::

    node = Node()
    tally = node.spawn(Counter, "tally", config={"step": "1"})
    assert tally.ask("add 3") == "3"
    tally.restart()
    assert tally.ask("get") == "3"

Rules run in a `Run`, and messages pass an interceptor in a `Stage`.

Every call passes what it passes in a component: messages are packed, states are bytes. Grants and quotas are not checked
unless a test denies them (`Node.deny`). Souls of one process share Python's own `random`: a test that uses it spawns one.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from . import clock, host
from .component import Home, exports
from .learning import Experience, Source
from .soul import Birth, Persona, Soul
from .testing_rules import Run, Stage
from .testing_services import Services
from .testing_stores import Buckets, Episodes
from .testing_types import BEGINNING_MS, Event, Failure
from .testing_web import Asked, Web
from .types import KINDS, Address, Content, MessageId, Refusal

#: More words of a chain of messages than a test has.
_HOPS_MAX = 16


@dataclass(frozen=True)
class Sent:
    """A message that somebody sent and no Soul of the node received."""

    sender: str
    to: Address
    content: Content


class Resident:
    """A Soul in a fake node."""

    def __init__(self, node: "Node", inhabitant: type[Soul], birth: Birth) -> None:
        self._node, self._birth, self._inhabitant = node, birth, inhabitant
        self._calls: dict[str, Any] = {}
        self._begin()

    @property
    def name(self) -> str:
        """Its name."""
        return self._birth.name

    def ask(self, said: str | bytes | Content, sender: str = "client:test", topic: str = "") -> str | None:
        """Sends a message; the reply as text, or None. Raises `Failure`."""
        reply = self.ask_all([said], sender, topic)[0]
        if isinstance(reply, Failure):
            raise reply
        return None if reply is None else reply.decode()

    def ask_all(
        self, said: Sequence[str | bytes | Content], sender: str = "client:test", topic: str = ""
    ) -> list[Content | Failure | None]:
        """Sends messages that arrive as one batch; one answer each, in order."""
        batch = self._node._batch([Content.of(it) for it in said], Address.parse(sender), topic)
        results = self._enter("agent", "receive", batch)
        return [Failure(it.value) if isinstance(it, host.Err) else it.value for it in results]

    def act(self, matrix: str, tick: int, turns: Sequence[tuple[int, bytes, float, bool]]) -> list[bytes]:
        """Plays one tick: turns are seat, observation, reward, and whether the game is over. Raises `Failure`."""
        heads: list[int] = []
        for seat, observation, reward, is_final in turns:
            heads += (seat, len(observation), int(is_final), *struct.unpack(">II", struct.pack(">d", reward)))
        packed = SimpleNamespace(heads=heads, bytes=b"".join(turn[1] for turn in turns))
        decided = self._enter("player", "act", matrix, tick, packed)
        found, at = [], 0
        for length in decided.lengths:
            found.append(decided.bytes[at : at + length])
            at += length
        return found

    def train(self, batch: Sequence[Experience]) -> dict[str, float]:
        """Trains a copy, as a node does, and takes up its state. Raises `Failure`."""
        copy = Resident(self._node, self._inhabitant, self._birth)
        copy._take_up(*self.snapshot())
        figures = copy._enter("learner", "train", list(batch))
        self._take_up(*copy.snapshot())
        return {it.name: it.value for it in figures}

    def evaluate(self, batch: Sequence[Experience]) -> dict[str, float]:
        """Measures. Raises `Failure`."""
        return {it.name: it.value for it in self._enter("learner", "evaluate", list(batch))}

    def snapshot(self) -> tuple[str, bytes]:
        """The schema and the bytes of its state."""
        return self._enter("stateful", "schema"), self._enter("stateful", "snapshot")

    def restore(self, schema: str, data: bytes) -> None:
        """Gives it a state. Raises `Failure`."""
        self._take_up(schema, data)

    def restart(self) -> None:
        """Another instance of the same code, with the same state if it keeps one."""
        self.swap(self._inhabitant)

    def swap(self, inhabitant: type[Soul]) -> None:
        """New code, with the state of the old. Raises `Failure`, and the old code goes on."""
        state = self.snapshot() if "stateful" in self._calls else None
        old = self._inhabitant, self._calls
        self._inhabitant = inhabitant
        try:
            self._begin()
            if state is not None and "stateful" in self._calls:
                self._take_up(*state)
        except Failure:
            self._inhabitant, self._calls = old
            raise

    def _begin(self) -> None:
        made = exports(Home(self._inhabitant))
        self._calls = {name.lower(): make() for name, make in made.items()}
        birth, persona = self._birth, self._birth.persona
        values = [SimpleNamespace(name=name, weight=weight) for name, weight in persona.values.items()]
        persona = SimpleNamespace(description=persona.description, traits=list(persona.traits), values=values)
        self._enter(
            "agent",
            "init",
            SimpleNamespace(name=birth.name, persona=persona, config=list(birth.config.items()), seed=birth.seed),
        )

    def _take_up(self, schema: str, data: bytes) -> None:
        self._enter("stateful", "restore", schema, data)

    def _enter(self, interface: str, function: str, *arguments: Any) -> Any:
        if interface not in self._calls:
            raise Failure(f"`{self._inhabitant.__name__}` does not export `{interface}`")
        with self._node._entered(self.name):
            try:
                return getattr(self._calls[interface], function)(*arguments)
            except host.Err as error:
                raise Failure(error.value) from None


@dataclass
class Node:
    """A node without grants, quotas and time: `now_ms` stands still until a test moves it."""

    now_ms: int = BEGINNING_MS
    #: What was sent to nobody who lives here, to topics too.
    sent: list[Sent] = field(default_factory=list)
    #: What was published.
    events: list[Event] = field(default_factory=list)
    #: What each Soul subscribes to.
    topics: dict[str, set[str]] = field(default_factory=dict)
    _souls: dict[str, Resident] = field(default_factory=dict)
    _denied: set[str] = field(default_factory=set)
    _inside: list[str] = field(default_factory=list)
    _messages: int = 0

    def __post_init__(self) -> None:
        self._buckets, self._episodes = Buckets(self), Episodes(self)
        #: What Souls can call: `services.serve(endpoint, answers)`.
        self.services = Services(self)
        #: Which hosts outside the realm there are: `web.serve(url, answer)`.
        self.web = Web(self)
        kinds = {f"Address_{kind.capitalize()}": _address(kind) for kind in KINDS}
        host.fakes.update(
            messaging=SimpleNamespace(
                send=self._send, ask=self._ask, subscribe=self._subscribe, unsubscribe=self._unsubscribe
            ),
            matrix_node_types=SimpleNamespace(**kinds),
            events=SimpleNamespace(emit=self._emit),
            memory=self._episodes,
            grpc=self.services,
            outgoing_handler=self.web,
            wasx_http_types=self.web.types(),
            store=self._buckets,
            atomics=self._buckets,
            batch=self._buckets,
        )

    def spawn(
        self,
        inhabitant: type[Soul],
        name: str = "soul",
        *,
        config: Mapping[str, str] | None = None,
        persona: Persona | None = None,
        seed: int = 1,
    ) -> Resident:
        """A new Soul. Raises `Failure` where it is not born."""
        soul = Resident(self, inhabitant, Birth(name, persona or Persona(), dict(config or {}), seed))
        self._souls[name] = soul
        return soul

    def deny(self, grant: str) -> None:
        """From now on there is no grant for this: ``memory``, ``keyvalue``, ``http``, or an address such as ``soul:ada``."""
        self._denied.add(grant)

    def denied(self, grant: str) -> bool:
        """Whether a test denied it."""
        return grant in self._denied

    @property
    def inside(self) -> str:
        """The Soul that is entered."""
        return self._inside[-1]

    def _entered(self, name: str) -> "_Entry":
        return _Entry(self, name)

    def _batch(self, said: Sequence[Content], sender: Address, topic: str) -> Any:
        heads: list[int] = []
        parts: list[bytes] = []
        for content in said:
            self._messages += 1
            pieces = [sender.name.encode(), topic.encode(), content.content_type.encode(), content.body]
            lengths = map(len, pieces)
            time = (self.now_ms >> 32, self.now_ms & 0xFFFF_FFFF)
            heads += (0, 0, 0, self._messages, KINDS.index(sender.kind), *lengths, 0, 0, 0, 0, *time, 0)
            parts += pieces
        return SimpleNamespace(heads=heads, bytes=b"".join(parts))

    def _deliver(self, to: Any, content: Content) -> Content | None:
        if self.denied(str(to)):
            raise host.Err(error("SendError_Denied", f"no grant for `{to}`"))
        if len(self._inside) > _HOPS_MAX:
            raise host.Err(error("SendError_TooManyHops"))
        soul = self._souls.get(to.name) if to.kind == "soul" else None
        if soul is None:
            raise host.Err(error("SendError_UnknownRecipient"))
        answer = soul.ask_all([content], sender=f"soul:{self.inside}")[0]
        if isinstance(answer, Failure):
            raise host.Err(error("SendError_Failed", str(answer)))
        return answer

    def _send(self, to: Any, content: Content) -> MessageId:
        self._messages += 1
        if to.kind == "soul":
            try:
                self._deliver(to, content)
            except host.Err as failed:
                # Who sends does not learn what became of the message.
                if host.case(failed.value) != "Failed":
                    raise
        else:
            self.sent.append(Sent(self.inside, to, content))
        return MessageId(0, 0, 0, self._messages)

    def _ask(self, to: Any, content: Content, _timeout_ms: int) -> Content | None:
        return self._deliver(to, content)

    def _subscribe(self, topic: str) -> None:
        self.topics.setdefault(self.inside, set()).add(topic)

    def _unsubscribe(self, topic: str) -> None:
        self.topics.get(self.inside, set()).discard(topic)

    def _emit(self, kind: str, content: Content) -> None:
        self.events.append(Event(self.inside, kind, content))


class _Entry:
    """That a Soul is entered: the clock is the node's meanwhile."""

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._name = node, name

    def __enter__(self) -> None:
        self._node._inside.append(self._name)
        clock.move_to(self._node.now_ms)

    def __exit__(self, *_: object) -> None:
        self._node._inside.pop()


def experience(input: str, output: str, reward: float | None = None, number: int = 1) -> Experience:
    """Something to learn from, taught by a person."""
    return Experience(number, Source.USER, input.encode(), output.encode(), reward, BEGINNING_MS)


def error(case: str, *values: Any) -> Any:
    """A case of a variant, as the generated bindings have it."""
    made = type(case, (), {})()
    if values:
        made.value = values[0]
    return made


def _address(kind: Any) -> Any:
    return lambda name: Address(kind, name)


__all__ = ["Asked", "BEGINNING_MS", "Event", "Failure", "Node", "Refusal", "Resident", "Run", "Sent", "Stage", "experience"]
