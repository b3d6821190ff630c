"""The rules of a Matrix."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from . import settings as reading
from .soul import Reply
from .stateful import Definition, Stateful, fields_checked, migrations_of
from .types import Content, Message, Refusal

_Class = TypeVar("_Class", bound=type)
_Form = TypeVar("_Form")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a Matrix starts from."""

    #: JSON; empty means every default.
    config: str
    #: The only source of chance: for ``Chance.of(setup.seed)``.
    seed: int
    #: The players' names; a player is its place among them from here on.
    players: tuple[str, ...]

    def settings(self, form: type[_Form]) -> _Form:
        """The settings in `config`, as a dataclass has them: see `matrix_soul.settings`. Raises `Refusal`, naming what is
        wrong."""
        return reading.read(form, self.config)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Asks a player for an action."""

    #: Whom to ask: a place in the setup's players.
    player: int
    #: Which of its seats is asked.
    seat: int
    #: What the seat sees.
    observation: bytes
    #: What the seat's last action earned.
    reward: float
    #: The seat's game is over: the player is told, and its answer dropped.
    is_final: bool


@dataclass(frozen=True, slots=True)
class Action:
    """A player's answer to a prompt."""

    #: The player who was asked.
    player: int
    #: The seat that was asked.
    seat: int
    #: None: the player did not answer in time, or failed.
    choice: bytes | None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, for whoever watches."""

    #: A dotted name, such as ``match.finished``.
    kind: str
    #: What happened.
    content: Content


@dataclass(slots=True)
class Outcome:
    """What a tick led to. Without prompts, and not finished: the next step follows at once."""

    #: Whom to ask before the next step.
    prompts: list[Prompt] = field(default_factory=list)
    #: What happened, in order.
    events: list[Happening] = field(default_factory=list)
    #: What emerges: figures of the whole, by dotted names.
    signals: dict[str, float] = field(default_factory=dict)
    #: The run is over; prompts that come with it are final ones.
    finished: bool = False

    def ask(
        self, player: int, observation: bytes | str, *, seat: int = 0, reward: float = 0.0, is_final: bool = False
    ) -> None:
        """Asks a seat of a player for its next action; text counts as its UTF-8."""
        seen = observation.encode() if isinstance(observation, str) else observation
        self.prompts.append(Prompt(player, seat, seen, reward, is_final))

    def event(self, kind: str, said: str | bytes | Content) -> None:
        """Tells whoever watches what happened."""
        self.events.append(Happening(kind, Content.of(said)))


class Rules(Stateful):
    """The rules of a Matrix. Mark the class with `@rules`. They see only what is passed in: no clock, no chance but the seed
    (`Chance`). The same setup and the same actions give the same outcomes and the same state."""

    def start(self, setup: Setup) -> Outcome:
        """Sets a Matrix up, and asks for the first actions. A `Refusal` says what is wrong with the setup, and what to change.

        An instance that is given a state instead is not started: the state is all that it goes by.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `start`")

    def step(self, actions: Sequence[Action]) -> Outcome:
        """Advances by one tick. One action comes for each prompt that was not final, in their order. Actions are untrusted: a
        wrong one is the player's loss. A `Refusal` stops the Matrix, never for what a player did."""
        raise NotImplementedError(f"{type(self).__name__} has no `step`")

    def join(self, player: str) -> int:
        """A player comes while the Matrix runs; its place in the list of players is returned. By default refused."""
        raise Refusal(f"`{player}` cannot join: these rules take players at the start only")

    def leave(self, player: int) -> None:
        """A player goes while the Matrix runs. By default refused."""
        raise Refusal(f"player {player} cannot leave: these rules keep their players to the end")

    def receive(self, message: Message) -> Reply:
        """A message sent to the Matrix's address; what is returned is the reply. By default refused."""
        raise Refusal(f"these rules take no messages, and so none of {message.content.content_type}")

    def view(self) -> Content:
        """The present state as people would look at it: ``Content.svg`` or ``Content.json``. By default the state itself, which
        is JSON unless `snapshot` is overridden."""
        return Content("application/json", self.snapshot())


@dataclass(frozen=True, slots=True)
class Description:
    """What rules say of themselves, as the node takes it."""

    name: str
    version: str
    observation_type: str
    action_type: str
    players_min: int
    players_max: int
    config_schema: str


@dataclass
class NoSettings:
    """Of rules that have none."""


@dataclass_transform(field_specifiers=(dataclasses.field,))
def rules(
    *,
    schema: str,
    name: str,
    version: str,
    players: tuple[int, int],
    observations: str = "text/plain",
    actions: str = "text/plain",
    settings: type = NoSettings,
) -> Callable[[_Class], _Class]:
    """Makes a class the rules of a Matrix. Its annotated fields, each with a default, are its state; `start` fills them.

    `schema` names the layout of the state, `name` and `version` the rules; `players` are the fewest and the most that they
    take. `observations` and `actions` are the media types of what players see and answer: `discrete` says of a type how many
    there are. `settings` is a dataclass: see `matrix_soul.settings`.
    """

    def mark(inhabitant: _Class) -> _Class:
        if not issubclass(inhabitant, Rules):
            raise TypeError(f"`{inhabitant.__name__}` must derive from `Rules`")
        made = dataclass(eq=False)(inhabitant)
        fields_checked(made, "an instance that is given a state begins with it")
        reading.check(settings)
        said = Description(name, version, observations, actions, *players, reading.schema(settings))
        migrations = migrations_of(inhabitant, schema)
        made.__matrix_soul__ = Definition(
            "rules", ("rules", "stateful"), schema=schema, migrations=migrations, description=said
        )
        return made

    return mark


def discrete(media_type: str, of: int | Sequence[str]) -> str:
    """A media type of which there are so many, or, for actions, which are these words: Souls that learn from rewards alone rely
    on it."""
    if isinstance(of, int):
        return f"{media_type};discrete={of}"
    return f'{media_type};discrete={len(of)};values="{" ".join(of)}"'
