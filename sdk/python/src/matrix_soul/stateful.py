"""Classes whose state outlives the instance: their annotated fields, and how older states are read."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import state
from .types import Refusal

#: Under which mark of a field it is known that it is no part of the state.
_TRANSIENT = "matrix_soul.transient"
#: Under which mark of a method it is known from which schema it migrates, and to which.
_MIGRATES = "__matrix_soul_migrates__"


class Stateful:
    """What Souls and rules have in common: a state that is given, and taken up again."""

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
    """What a decorator knows of a class."""

    #: What the class is: `soul`, `rules` or `interceptor`.
    kind: str
    #: The interfaces that a component of the class exports.
    exports: tuple[str, ...]
    #: The interfaces that it imports, whatever else its code reaches.
    imports: tuple[str, ...] = ()
    schema: str | None = None
    #: From an older schema to what reads it: how, and the schema that it leads to.
    migrations: Mapping[str, tuple[Callable[[Any], Any], str]] = field(default_factory=dict)
    #: What rules say of themselves.
    description: Any = None


def definition(inhabitant: type) -> Definition:
    """What a decorator noted of a class. Raises ``TypeError`` where it was not marked."""
    found = inhabitant.__dict__.get("__matrix_soul__")
    if not isinstance(found, Definition):
        raise TypeError(f"`{inhabitant.__name__}` is no component: mark the class with `@soul`, `@rules` or `@interceptor`")
    return found


def fields_checked(inhabitant: type, why: str) -> list[dataclasses.Field[Any]]:
    """The fields that are the state of a class which became a dataclass. Raises ``TypeError`` where one cannot be; `why` says
    what its default is for."""
    kept = state_fields(inhabitant)
    for it in dataclasses.fields(inhabitant):
        if it.default is dataclasses.MISSING and it.default_factory is dataclasses.MISSING:
            raise TypeError(f"`{inhabitant.__name__}.{it.name}` needs a default: {why}")
    # A format of the class's own may hold whatever it likes.
    if inhabitant.snapshot is Stateful.snapshot:
        state.check(kept, inhabitant.__name__)
    return kept


def migrations_of(inhabitant: type, schema: str | None) -> dict[str, tuple[Callable[[Any], Any], str]]:
    """The functions of a class that are marked with `migration`, by the schema that they read."""
    found = {}
    for name in dir(inhabitant):
        marked = getattr(getattr(inhabitant, name), _MIGRATES, None)
        if marked is not None:
            found[marked[0]] = (getattr(inhabitant, name), marked[1] or schema or "")
    return found


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
