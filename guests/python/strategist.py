"""Plays the iterated prisoner's dilemma by one of twelve strategies, as those of the same names in Axelrod-Python do.

The setting ``strategy`` names it, and is required. To the message ``who`` it answers with that name. What seats see and
answer is told in ``guests/models/dilemma/src/wire.rs``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from matrix_soul import Birth, Message, Player, Refusal, Soul, Turn, soul, transient

#: How many games are remembered at once.
GAMES_MAX = 4096
#: For how many turns Gradual is kind after a punishment, so that a grudge can end.
CALM_TURNS = 2
#: Bytes of a first observation: the payoffs, which none of these strategies looks at.
FIRST_BYTES = 32
MOVES = (b"C"[0], b"D"[0])


@dataclass
class Game:
    """What happened so far in one seat's game, and what its strategy keeps in mind."""

    turns: int = 0
    i_defected: bool = False
    #: The opponent's last eight moves, the latest in the lowest bit, a defection as 1.
    recent: int = 0
    defections: int = 0
    #: Of Gradual: how many turns of punishment, and then of calm, are owed.
    punish: int = 0
    calm: int = 0

    def push(self, mine: int, theirs: int) -> None:
        """Adds a turn."""
        self.turns += 1
        self.i_defected = mine == b"D"[0]
        self.recent = (self.recent << 1 | (theirs == b"D"[0])) & 0xFF
        self.defections += theirs == b"D"[0]

    @property
    def they_defected(self) -> bool:
        """In the last turn."""
        return bool(self.recent & 1)


def gradual(game: Game) -> bool:
    """Punishes a defection by as many as the opponent has committed in all, then calms down."""
    if game.punish > 0:
        game.punish -= 1
        return True
    if game.calm > 0:
        game.calm -= 1
        return False
    if game.they_defected:
        # This turn is the first of the punishment.
        game.punish, game.calm = game.defections - 1, CALM_TURNS
        return True
    return False


#: Whether to defect, by what happened.
STRATEGIES: dict[str, Callable[[Game], bool]] = {
    "Cooperator": lambda game: False,
    "Defector": lambda game: True,
    "TitForTat": lambda game: game.they_defected,
    "TitFor2Tats": lambda game: game.recent & 0b11 == 0b11,
    "SuspiciousTitForTat": lambda game: game.turns == 0 or game.they_defected,
    "Grudger": lambda game: game.defections > 0,
    "Alternator": lambda game: game.turns > 0 and not game.i_defected,
    "WinStayLoseShift": lambda game: game.i_defected != game.they_defected,
    "GoByMajority": lambda game: 2 * game.defections > game.turns,
    "Bully": lambda game: not game.they_defected,
    "Appeaser": lambda game: game.i_defected != game.they_defected,
    "Gradual": gradual,
}


@soul(schema="strategist-json/1")
class Strategist(Soul, Player):
    """One Soul, any number of seats in any number of Matrices."""

    #: By Matrix and seat.
    games: dict[str, dict[int, Game]] = field(default_factory=dict)
    strategy: str = transient("")

    def born(self, birth: Birth) -> None:
        self.strategy = birth.config.get("strategy", "")
        if self.strategy not in STRATEGIES:
            raise Refusal(f"set `strategy` in the Soul's config to one of {', '.join(STRATEGIES)}")

    def receive(self, message: Message) -> str:
        if message.text.strip() != "who":
            raise Refusal("say `who`")
        return self.strategy

    def act(self, turn: Turn) -> bytes:
        seats = self.games.setdefault(turn.matrix, {})
        if turn.is_final or len(turn.observation) == FIRST_BYTES:
            seats.pop(turn.seat, None)
        if turn.is_final:
            if not seats:
                del self.games[turn.matrix]
            return b""
        game = self._game(seats, turn)
        return b"D" if STRATEGIES[self.strategy](game) else b"C"

    def _game(self, seats: dict[int, Game], turn: Turn) -> Game:
        """The seat's game, up to this turn."""
        if len(turn.observation) == FIRST_BYTES:
            if sum(map(len, self.games.values())) >= GAMES_MAX:
                raise Refusal(f"seat {turn.seat} of `{turn.matrix}`: {GAMES_MAX} games go on already")
            seats[turn.seat] = Game()
        elif turn.seat not in seats:
            raise Refusal(f"seat {turn.seat} of `{turn.matrix}`: its game's first turn was never seen")
        elif len(turn.observation) == 2 and all(it in MOVES for it in turn.observation):
            seats[turn.seat].push(*turn.observation)
        else:
            raise Refusal(f"seat {turn.seat} of `{turn.matrix}`: {len(turn.observation)} bytes that are no observation")
        return seats[turn.seat]
