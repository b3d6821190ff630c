"""What makes a class a Soul."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

from .learning import Learner
from .playing import Player
from .stateful import Definition, Stateful, fields_checked, migrations_of
from .types import Content, Message, Refusal

#: What handling a message leads to: a reply, or None.
Reply = str | bytes | Content | None

_Class = TypeVar("_Class", bound=type)


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


class Soul(Stateful):
    """A Soul: it is born, and it receives. Mark the class with `@soul`."""

    def born(self, birth: Birth) -> None:
        """Called once for each instance, before anything else; a saved state is given afterwards.

        A `Refusal` says which part of the manifest is wrong: the Soul then does not start.
        """

    def receive(self, message: Message) -> Reply:
        """Handles one message; what is returned is the reply. A `Refusal` goes back to the sender."""
        raise NotImplementedError(f"{type(self).__name__} has no `receive`")


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
        kept = fields_checked(made, "a Soul is born with it")
        if schema is None and kept and inhabitant.snapshot is Stateful.snapshot:
            raise TypeError(
                f"`{inhabitant.__name__}.{kept[0].name}` would be lost at a restart: say `@soul(schema=…)`, "
                "or make it `transient()`"
            )
        exported = {"agent": True, "stateful": schema is not None}
        exported |= {"player": issubclass(made, Player), "learner": issubclass(made, Learner)}
        exports = tuple(name for name, is_exported in exported.items() if is_exported)
        made.__matrix_soul__ = Definition("soul", exports, schema=schema, migrations=migrations_of(inhabitant, schema))
        return made

    return mark
