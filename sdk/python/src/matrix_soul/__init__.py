"""Write Souls, rules and interceptors for Matrix OS in Python.

A Soul is a class. Its annotated fields are its state, which outlives restarts, moves and new code; its methods say what
it does::

    from matrix_soul import Message, Refusal, Soul, soul

    @soul(schema="counter/1")
    class Counter(Soul):
        count: int = 0

        def receive(self, message: Message) -> str:
            try:
                self.count += int(message.text)
            except ValueError:
                raise Refusal("say a number")
            return str(self.count)

The rules of a Matrix are a class too (`Rules`, `@rules`), and so is a stage that messages pass (`Interceptor`, `@interceptor`).

What a node lets a Soul reach lies in modules of its own: ``matrix_soul.messaging``, ``.memory``, ``.keyvalue``,
``.events``, ``.grpc`` and ``.http``. A component imports what its code imports, and so asks for no right that it does not use. Log lines are
written with Python's own ``logging``, or ``print``.

In a component there is no clock and no entropy: ``time``, ``datetime``, ``random`` and ``os.urandom`` go by the time of the
message that is handled, and by the seed of the birth. So the same messages give the same answers. Rules have no time, and
draw from a `Chance` in their state.
"""

from .chance import Chance
from .interceptor import Interceptor, Passing, interceptor
from .learning import Experience, Learner, Source
from .playing import Player, Turn
from .rules import Action, Outcome, Prompt, Rules, Setup, discrete, rules
from .settings import Within
from .soul import Birth, Persona, Reply, Soul, soul
from .stateful import migration, transient
from .types import Address, Content, Message, MessageId, Refusal

__all__ = [
    "Action",
    "Address",
    "Birth",
    "Chance",
    "Content",
    "Experience",
    "Interceptor",
    "Learner",
    "Message",
    "MessageId",
    "Outcome",
    "Passing",
    "Persona",
    "Player",
    "Prompt",
    "Refusal",
    "Reply",
    "Rules",
    "Setup",
    "Soul",
    "Source",
    "Turn",
    "Within",
    "discrete",
    "interceptor",
    "migration",
    "rules",
    "soul",
    "transient",
]
