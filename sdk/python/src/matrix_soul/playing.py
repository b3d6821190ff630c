"""Souls that take part in Matrices."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """What one seat sees at one tick."""

    #: The Matrix.
    matrix: str
    #: The tick, from 0.
    tick: int
    #: The seat that this turn is for: a player may hold many.
    seat: int
    #: What there is to see, in the rules' observation type.
    observation: bytes
    #: What the last action in this seat earned.
    reward: float
    #: No action will follow: the seat's game is over, and what is returned is dropped.
    is_final: bool


class Player:
    """A Soul that can take part in a Matrix: derive from it beside `Soul`."""

    def act(self, turn: Turn) -> bytes | str:
        """Decides one turn, in the rules' action type; text counts as its UTF-8.

        A `Refusal` costs the player all turns of the tick.
        """
        raise NotImplementedError(f"{type(self).__name__} is a Player and has neither `act` nor `act_all`")

    def act_all(self, turns: Sequence[Turn]) -> Sequence[bytes | str]:
        """Decides all turns of one tick of one Matrix: one action a turn, in order. By default each on its own."""
        return [self.act(turn) for turn in turns]
