"""Write Souls for Matrix OS in Python.

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

What a node lets a Soul reach lies in modules of its own: ``matrix_soul.messaging``, ``.memory``, ``.keyvalue`` and
``.events``. A component imports what its code imports, and so asks for no right that it does not use. Log lines are
written with Python's own ``logging``, or ``print``.

In a component there is no clock and no entropy: ``time``, ``datetime``, ``random`` and ``os.urandom`` go by the time of the
message that is handled, and by the seed of the birth. So the same messages give the same answers.
"""

from .learning import Experience, Learner, Source
from .playing import Player, Turn
from .soul import Birth, Persona, Reply, Soul, migration, soul, transient
from .types import Address, Content, Message, MessageId, Refusal

__all__ = [
    "Address",
    "Birth",
    "Content",
    "Experience",
    "Learner",
    "Message",
    "MessageId",
    "Persona",
    "Player",
    "Refusal",
    "Reply",
    "Soul",
    "Source",
    "Turn",
    "migration",
    "soul",
    "transient",
]
