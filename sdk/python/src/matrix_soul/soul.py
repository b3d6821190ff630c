"""What makes a class a Soul."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from . import state
from .learning import Learner
from .playing import Player
from .types import Content, Message, Refusal

#: What handling a message leads to: a reply, or None.
Reply = str | bytes | Content | None

_Class = TypeVar("_Class", bound=type)
#: Under which mark of a field it is known that it is no part of the state.
_TRANSIENT = "matrix_soul.transient"
#: Under which mark of a method it is known from which schema it migrates, and to which.
_MIGRATES = "__matrix_soul_migrates__"


@dataclass(frozen=True, slots=True)
class Persona:
    """Who a Soul is, as its manifest says."""

    #: In a sentence or two.
    description: str = ""
    #: Words that describe it.
    traits: tuple[str, ...] = ()
    #: What it seeks (up to 1) and shuns (down to -1).
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Birth:
    """What a Soul is told when an instance of it comes to life."""

    #: Its name, unique in the realm.
    name: str
    #: Who it is.
    persona: Persona
    #: The Soul's own settings, from its manifest.
    config: Mapping[str, str]
    #: The one source of chance: `random` is seeded by it.
    seed: int


class Soul:
    """A Soul: it is born, and it receives. Mark the class with `@soul`."""

    def born(self, birth: Birth) -> None:
        """Called once for each instance, before anything else; a saved state is given afterwards.

        A `Refusal` says which part of the manifest is wrong: the Soul then does not start.
        """

    def receive(self, message: Message) -> Reply:
        """Handles one message; what is returned is the reply. A `Refusal` goes back to the sender."""
        raise NotImplementedError(f"{type(self).__name__} has no `receive`")

    def snapshot(self) -> bytes:
        """The whole state as bytes: by default its fields as JSON. The same state gives the same bytes."""
        return state.encode(self, state_fields(type(self)))

    def restore(self, schema: str, data: bytes) -> None:
        """Takes up a state; older ones go through the migrations first.

        A `Refusal` says why it cannot: the old code then goes on, and nothing has changed here.
        """
        own = type(self)
        fields = state_fields(own)
        for name, value in state.decode(_migrated(own, schema, data), fields, own.__name__).items():
            setattr(self, name, value)


@dataclass(frozen=True, slots=True)
class Definition:
    """What the decorator knows of a class."""

    schema: str | None
    #: From an older schema to what reads it: how, and the schema that it leads to.
    migrations: Mapping[str, tuple[Callable[[Any], Any], str]]

    def exports(self, inhabitant: type) -> list[str]:
        """The interfaces that a component of the class exports."""
        found = ["agent"]
        if self.schema is not None:
            found.append("stateful")
        if issubclass(inhabitant, Player):
            found.append("player")
        if issubclass(inhabitant, Learner):
            found.append("learner")
        return found


def definition(inhabitant: type) -> Definition:
    """What `@soul` noted of a class. Raises ``TypeError`` where it was not marked."""
    found = inhabitant.__dict__.get("__matrix_soul__")
    if not isinstance(found, Definition):
        raise TypeError(f"`{inhabitant.__name__}` is no Soul: mark the class with `@soul`")
    return found


@dataclass_transform(field_specifiers=(dataclasses.field,))
def soul(*, schema: str | None = None) -> Callable[[_Class], _Class]:
    """Makes a class a Soul. Its annotated fields, each with a default, are its state.

    `schema` names the layout of the state, such as ``counter/1``. New layout, new name, and a `migration` from the old
    one. Without a schema the Soul keeps nothing over restarts, and may have no fields but transient ones.
    """

    def mark(inhabitant: _Class) -> _Class:
        if not issubclass(inhabitant, Soul):
            raise TypeError(f"`{inhabitant.__name__}` must derive from `Soul`")
        made = dataclass(eq=False)(inhabitant)
        kept = state_fields(made)
        for it in (*kept, *_transient_fields(made)):
            if it.default is dataclasses.MISSING and it.default_factory is dataclasses.MISSING:
                raise TypeError(f"`{inhabitant.__name__}.{it.name}` needs a default: a Soul is born with it")
        if schema is None and kept and inhabitant.snapshot is Soul.snapshot:
            raise TypeError(
                f"`{inhabitant.__name__}.{kept[0].name}` would be lost at a restart: say `@soul(schema=…)`, "
                "or make it `transient()`"
            )
        state.check(kept, inhabitant.__name__)
        migrations = {}
        for name in dir(inhabitant):
            marked = getattr(getattr(inhabitant, name), _MIGRATES, None)
            if marked is not None:
                migrations[marked[0]] = (getattr(inhabitant, name), marked[1] or schema or "")
        made.__matrix_soul__ = Definition(schema, migrations)
        return made

    return mark


def migration(schema: str, to: str | None = None, raw: bool = False) -> Callable[[Callable[[Any], Any]], Any]:
    """Marks a function of the class that reads a state of an older schema: it is given the fields as JSON has them (with
    `raw` the bytes), and returns those of the schema `to`; of the present one unless told. Migrations go on from one to the next.
    """

    def mark(function: Callable[[Any], Any]) -> Any:
        read = function if raw else lambda data: function(state.parse(data, schema))
        setattr(read, _MIGRATES, (schema, to))
        return staticmethod(read)

    return mark


def transient(default: Any = dataclasses.MISSING, *, default_factory: Any = dataclasses.MISSING) -> Any:
    """A field that is no part of the state: what the manifest gives at a birth, or what can be computed again."""
    return field(default=default, default_factory=default_factory, metadata={_TRANSIENT: True})


def state_fields(inhabitant: type) -> list[dataclasses.Field[Any]]:
    """The fields of a class that are its state."""
    return [it for it in dataclasses.fields(inhabitant) if not it.metadata.get(_TRANSIENT)]


def _transient_fields(inhabitant: type) -> list[dataclasses.Field[Any]]:
    return [it for it in dataclasses.fields(inhabitant) if it.metadata.get(_TRANSIENT)]


def _migrated(inhabitant: type, schema: str, data: bytes) -> Any:
    """The fields of the present schema, as JSON has them, of a state of any schema that the class knows."""
    known = definition(inhabitant)
    if schema == known.schema:
        return state.parse(data, schema)
    fields: Any = data
    # Each migration is gone through once at most: one that leads back to where it came from leads nowhere.
    for _ in known.migrations:
        step = known.migrations.get(schema)
        if step is None:
            break
        migrate, schema = step
        fields = migrate(fields if isinstance(fields, bytes) else state.dump(fields))
        if schema == known.schema:
            return fields
    readable = ", ".join(f"`{it}`" for it in (known.schema, *known.migrations))
    raise Refusal(f"cannot take up {len(data)} bytes of schema `{schema}`: this code reads {readable}")
