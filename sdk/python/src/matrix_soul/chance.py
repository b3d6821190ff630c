"""Chance as rules have it: numbers that follow from the setup's seed, and are part of the state."""

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_BITS = (1 << 64) - 1


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 64 - by) & _BITS


@dataclass
class Chance:
    """The generator xoshiro256++, its state filled by SplitMix64 from a seed: the same numbers as in the SDKs of all languages.

    As a field of rules it is part of their state, so that a run which is taken up again goes on as it would have.
    """

    words: tuple[int, int, int, int] = (1, 2, 3, 4)

    @classmethod
    def of(cls, seed: int) -> "Chance":
        """The generator of a seed."""
        words = []
        at = seed & _BITS
        for _ in range(4):
            at = at + 0x9E37_79B9_7F4A_7C15 & _BITS
            mixed = (at ^ at >> 30) * 0xBF58_476D_1CE4_E5B9 & _BITS
            mixed = (mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB & _BITS
            words.append(mixed ^ mixed >> 31)
        return cls(tuple(words))  # type: ignore[arg-type]

    def bits(self) -> int:
        """The next 64 bits."""
        a, b, c, d = self.words
        drawn = _rotated(a + d & _BITS, 23) + a & _BITS
        c, d = c ^ a, d ^ b
        self.words = (a ^ d, b ^ c, c ^ (b << 17 & _BITS), _rotated(d, 45))
        return drawn

    def below(self, bound: int) -> int:
        """A number below `bound`, which is at most 2³², each as likely as the others."""
        if not 0 < bound <= 1 << 32:
            raise ValueError(f"a number below {bound} cannot be drawn: the bound must be from 1 to 2³²")
        product = (self.bits() >> 32) * bound
        if product & 0xFFFF_FFFF < bound:
            biased = ((1 << 32) - bound) % bound
            while product & 0xFFFF_FFFF < biased:
                product = (self.bits() >> 32) * bound
        return product >> 32

    def unit(self) -> float:
        """A number from 0 up to, and without, 1."""
        return (self.bits() >> 11) / (1 << 53)

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of some."""
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Puts items into an order that is as likely as any other."""
        for place in range(len(items) - 1, 0, -1):
            other = self.below(place + 1)
            items[place], items[other] = items[other], items[place]
