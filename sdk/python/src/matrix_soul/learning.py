"""Souls that learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from .types import utf8


class Source(Enum):
    """Where an experience comes from."""

    USER = 0
    API = 1
    CONVERSATION = 2
    MATRIX = 3


@dataclass(frozen=True, slots=True)
class Experience:
    """Something to learn from."""

    #: Its place in the Soul's log: from 1, each one once.
    id: int
    #: Where it comes from.
    source: Source
    #: What was said or seen.
    input: bytes
    #: What was, or should have been, the answer.
    output: bytes
    #: How good the answer was, from -1 to 1 where people judge; None: it is not known.
    reward: float | None
    #: Milliseconds since the Unix epoch.
    at: int

    @property
    def input_text(self) -> str:
        """What was said or seen, as text. Raises `Refusal` where it is not UTF-8."""
        return utf8(self.input, "the input")

    @property
    def output_text(self) -> str:
        """The answer, as text. Raises `Refusal` where it is not UTF-8."""
        return utf8(self.output, "the output")

    @property
    def weight(self) -> float:
        """How much the answer counts: its reward, 1 where none is known."""
        return 1.0 if self.reward is None else self.reward


class Learner:
    """A Soul that learns from experience: derive from it beside `Soul`.

    The node keeps the experience and decides when it is learnt from. It trains a copy of the Soul, which is given the
    Soul's state and answers nobody: so all that is learnt belongs to the fields.
    """

    def train(self, batch: Sequence[Experience]) -> Mapping[str, float]:
        """Learns from a batch, in order; the figures, by name, say how it went. A `Refusal`: nothing of it is kept."""
        raise NotImplementedError(f"{type(self).__name__} is a Learner and has no `train`")

    def evaluate(self, batch: Sequence[Experience]) -> Mapping[str, float]:
        """Measures what has been learnt, by experience that is never trained on: at least ``loss``, unless the manifest
        judges by another figure. Changes nothing."""
        raise NotImplementedError(f"{type(self).__name__} is a Learner and has no `evaluate`")
