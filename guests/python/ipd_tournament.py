"""A round robin of the iterated prisoner's dilemma: every player against every other, all matches side by side.

A player's seats are numbered by its opponents: in seat `i` it plays against player `i`. With self-play it also plays against
itself, in the seat of its own number and in one more, whose number is the count of players.

As bytes a tournament is what ``guests/rules/ipd`` makes of it: numbers in seven bits a byte, the lowest first; doubles of eight
bytes, the lowest first; before a list and a text, how long it is.
"""

import math
import struct
from dataclasses import dataclass, field
from typing import Annotated, Literal

from matrix_soul import Refusal, Within

PLAYERS_MIN, PLAYERS_MAX = 2, 100
#: A run log of more would outgrow what anybody replays.
TURNS_MAX = 1_000_000
#: A million turns of it are still exact in a double.
PAYOFF_MAX = 1e9
C, D = b"CD"

Payoff = Annotated[float, Within(-PAYOFF_MAX, PAYOFF_MAX)]


@dataclass
class Payoffs:
    """What a turn earns: by default as in Axelrod's tournaments."""

    reward: Payoff = field(default=3.0, metadata={"description": "Both cooperated."})
    sucker: Payoff = field(default=0.0, metadata={"description": "It cooperated, the other defected."})
    temptation: Payoff = field(default=5.0, metadata={"description": "It defected, the other cooperated."})
    punishment: Payoff = field(default=1.0, metadata={"description": "Both defected."})


@dataclass
class Config:
    """How a tournament is played."""

    turns: Annotated[int, Within(1, TURNS_MAX)] = field(
        default=200, metadata={"description": "Turns of every match; players are not told."}
    )
    payoffs: Payoffs = field(default_factory=Payoffs, metadata={"description": "What a turn earns."})
    self_play: bool = field(default=True, metadata={"description": "Whether every player also meets itself, in two seats."})
    on_invalid: Literal["defect", "cooperate"] = field(
        default="defect", metadata={"description": "What a move counts as that did not come, or is neither C nor D."}
    )


@dataclass
class Standing:
    """How a player did."""

    player: int
    total: float
    total_with_self_play: float
    cooperation: float


class Tournament:
    """All matches. A side of a match is one place in `scores`, `cooperations` and `last`; the other side is the place that
    differs in the lowest bit."""

    def __init__(self, players: int, config: Config) -> None:
        self.players, self.config, self.turn = players, config, 0
        first = 0 if config.self_play else 1
        self.matches = [(a, b) for a in range(players) for b in range(a + first, players)]
        sides = 2 * len(self.matches)
        self.scores, self.cooperations, self.last = [0.0] * sides, [0] * sides, bytearray([C]) * sides
        #: The side of each player's seat, in the order in which they are asked.
        self.sides: dict[tuple[int, int], int] = {}
        places = {match: 2 * place for place, match in enumerate(self.matches)}
        for player in range(players):
            for seat in range(players + 1):
                opponent = player if seat == players else seat
                match = (min(player, opponent), max(player, opponent))
                if match in places:
                    self.sides[player, seat] = places[match] + (player > opponent or seat == players)
        if not config.self_play:
            self.sides = {(player, seat): side for (player, seat), side in self.sides.items() if seat != players}

    @property
    def is_over(self) -> bool:
        """Whether every match is over."""
        return self.turn >= self.config.turns

    def earned(self, side: int) -> float:
        """What a side earned in the last turn."""
        mine, theirs = self.last[side], self.last[side ^ 1]
        payoffs = self.config.payoffs
        if mine == C:
            return payoffs.reward if theirs == C else payoffs.sucker
        return payoffs.temptation if theirs == C else payoffs.punishment

    def play(self, moves: dict[int, int]) -> None:
        """One turn of every match; a side without a move does what the settings say."""
        default = D if self.config.on_invalid == "defect" else C
        for side in range(len(self.last)):
            self.last[side] = moves.get(side, default)
        for side, move in enumerate(self.last):
            self.scores[side] += self.earned(side)
            self.cooperations[side] += move == C
        self.turn += 1

    def cooperation_rate(self) -> float:
        """The share of sides that cooperated in the last turn."""
        return self.last.count(C) / len(self.last) if self.turn and self.last else 0.0

    def payoff_mean(self) -> float:
        """What a side earned in the last turn, on average."""
        if not self.turn or not self.last:
            return 0.0
        total = 0.0
        for side in range(0, len(self.last), 2):
            total += self.earned(side) + self.earned(side + 1)
        return total / len(self.last)

    def standings(self) -> list[Standing]:
        """The best first, by what they earned against all others."""
        return sorted(map(self._standing, range(self.players)), key=lambda it: -it.total)

    def _standing(self, player: int) -> Standing:
        total, own, cooperations, sides = 0.0, 0.0, 0, 0
        for seat in range(self.players + 1):
            side = self.sides.get((player, seat))
            if side is None:
                continue
            if seat in (player, self.players):
                own += self.scores[side] / 2
            else:
                total += self.scores[side]
            cooperations += self.cooperations[side]
            sides += 1
        moves = sides * self.turn
        return Standing(player, total, total + own, cooperations / moves if moves else 0.0)


def encode(names: list[str], it: Tournament) -> bytes:
    """A tournament and its players' names as bytes."""
    out = bytearray()
    _put(out, len(names))
    for name in names:
        text = name.encode()
        _put(out, len(text))
        out += text
    config, payoffs = it.config, it.config.payoffs
    _put(out, config.turns)
    out += struct.pack("<4d", payoffs.reward, payoffs.sucker, payoffs.temptation, payoffs.punishment)
    out += bytes([config.self_play, config.on_invalid == "defect"])
    for number in (it.players, it.turn, len(it.matches)):
        _put(out, number)
    for place, (a, b) in enumerate(it.matches):
        side = 2 * place
        _put(out, a)
        _put(out, b)
        out += struct.pack("<2d", it.scores[side], it.scores[side + 1])
        _put(out, it.cooperations[side])
        _put(out, it.cooperations[side + 1])
        out += bytes([it.last[side] == D, it.last[side + 1] == D])
    return bytes(out)


def decode(data: bytes) -> tuple[list[str], Tournament]:
    """A tournament and its players' names. Raises `Refusal` where the bytes are none."""
    reader = _Reader(data)
    names = [reader.take(reader.number(len(data))).decode() for _ in range(reader.number(PLAYERS_MAX))]
    turns = reader.number(TURNS_MAX)
    payoffs = Payoffs(*(reader.double(PAYOFF_MAX) for _ in range(4)))
    config = Config(turns, payoffs, bool(reader.one_of(2)), ("cooperate", "defect")[reader.one_of(2)])  # type: ignore[arg-type]
    if turns < 1 or reader.number(PLAYERS_MAX) != len(names) or len(names) < PLAYERS_MIN:
        raise Refusal("not a tournament: it has no turns, or other players than their names")
    found = Tournament(len(names), config)
    found.turn = reader.number(turns)
    if reader.number(len(data)) != len(found.matches):
        raise Refusal("not a tournament: its matches are not those of its players")
    for place, match in enumerate(found.matches):
        if (reader.number(PLAYERS_MAX), reader.number(PLAYERS_MAX)) != match:
            raise Refusal("not a tournament: its matches are not those of its players")
        side = slice(2 * place, 2 * place + 2)
        found.scores[side] = [reader.double(PAYOFF_MAX * TURNS_MAX) for _ in range(2)]
        found.cooperations[side] = [reader.number(found.turn) for _ in range(2)]
        found.last[side] = bytes((C, D)[reader.one_of(2)] for _ in range(2))
    if reader.rest:
        raise Refusal(f"{len(reader.rest)} bytes follow the tournament")
    return names, found


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


class _Reader:
    """Takes values off the front of bytes. Raises `Refusal` where there are none."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def rest(self) -> bytes:
        """What was not taken."""
        return self._data[self._at :]

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise Refusal("not a tournament: it is cut off")
        self._at += count
        return taken

    def number(self, most: int) -> int:
        number = 0
        for place in range(10):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << 7 * place
            if byte <= 0x7F:
                if number > most:
                    raise Refusal(f"not a tournament: {number} where there may be {most}")
                return number
        raise Refusal("not a tournament: a number has no end")

    def double(self, most: float) -> float:
        number = struct.unpack("<d", self.take(8))[0]
        if not math.isfinite(number) or abs(number) > most:
            raise Refusal(f"not a tournament: {number} where numbers are up to {most}")
        return number

    def one_of(self, count: int) -> int:
        return self.number(count - 1)
