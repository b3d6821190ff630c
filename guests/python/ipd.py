"""Rules of the iterated prisoner's dilemma: a round robin in which all matches are played side by side, one turn a tick.

What seats see and answer is told in ``guests/models/dilemma/src/wire.rs``. The state is that of ``guests/rules/ipd``, byte for
byte: a Matrix may go from these rules to those, and back, between two ticks.
"""

import struct
from collections.abc import Sequence
from dataclasses import field
from html import escape

from ipd_tournament import PLAYERS_MAX, PLAYERS_MIN, C, Config, D, Tournament, decode, encode
from matrix_soul import Action, Content, Outcome, Refusal, Rules, Setup, discrete, rules

SCHEMA = "ipd/1"
OBSERVATIONS = discrete("application/vnd.matrix.ipd.observation", 5)
ACTIONS = discrete("application/vnd.matrix.ipd.action", ["C", "D"])
MOVES = {b"C": C, b"D": D}
#: Of the picture: how high a line is, where bars begin, how long the longest is, and how many characters a name has.
LINE, LEFT, BAR, NAME = 16, 190, 260, 26


@rules(
    schema=SCHEMA,
    name="ipd",
    version="0.1.0",
    players=(PLAYERS_MIN, PLAYERS_MAX),
    observations=OBSERVATIONS,
    actions=ACTIONS,
    settings=Config,
)
class Ipd(Rules):
    """A running tournament."""

    names: list[str] = field(default_factory=list)
    tournament: Tournament = field(default_factory=lambda: Tournament(0, Config()))

    def start(self, setup: Setup) -> Outcome:
        config = setup.settings(Config)
        count = len(setup.players)
        if not PLAYERS_MIN <= count <= PLAYERS_MAX:
            raise Refusal(f"{count} players given: these rules take {PLAYERS_MIN} to {PLAYERS_MAX}")
        self.names, self.tournament = list(setup.players), Tournament(count, config)
        return self._asked()

    def step(self, actions: Sequence[Action]) -> Outcome:
        game = self.tournament
        if game.is_over:
            return Outcome(finished=True)
        moves = {}
        for action in actions:
            side, move = game.sides.get((action.player, action.seat)), MOVES.get(action.choice or b"")
            if side is not None and move is not None:
                moves[side] = move
        game.play(moves)
        outcome = self._asked()
        outcome.signals = {"cooperation.rate": game.cooperation_rate(), "payoff.mean": game.payoff_mean()}
        if game.is_over:
            outcome.finished = True
            self._tell(outcome)
        return outcome

    def snapshot(self) -> bytes:
        return encode(self.names, self.tournament)

    def restore(self, schema: str, data: bytes) -> None:
        if schema != SCHEMA:
            raise Refusal(f"cannot take up {len(data)} bytes of schema `{schema}`: this code reads `{SCHEMA}`")
        try:
            self.names, self.tournament = decode(data)
        except UnicodeDecodeError as error:
            raise Refusal(f"a name is not text in UTF-8: {error}") from error

    def view(self) -> Content:
        game, standings = self.tournament, self.tournament.standings()
        longest = max((abs(it.total) for it in standings), default=0.0) or 1.0
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 540 {60 + LINE * len(standings)}" font-size="11">',
            f'<text x="12" y="22" font-size="15">Iterated prisoner\'s dilemma, turn {game.turn} of {game.config.turns}</text>',
        ]
        for place, it in enumerate(standings):
            y, length = 40 + LINE * place, max(it.total, 0.0) / longest * BAR
            lines += [
                f'<text x="{LEFT - 6}" y="{y + 11}" text-anchor="end">{escape(self.names[it.player][:NAME])}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{LINE - 3}" fill="#4a7bb7"/>',
                f'<text x="{LEFT + length + 5:.1f}" y="{y + 11}">{it.total:g}</text>',
            ]
        return Content.svg("\n".join([*lines, "</svg>\n"]))

    def _asked(self) -> Outcome:
        """Asks every seat of every player, in order: what it sees, and what its last move earned."""
        game, outcome = self.tournament, Outcome()
        payoffs, last, is_over = game.config.payoffs, game.last, game.is_over
        first = struct.pack("<4d", payoffs.reward, payoffs.sucker, payoffs.temptation, payoffs.punishment)
        for (player, seat), side in game.sides.items():
            seen, reward = first, 0.0
            if game.turn:
                seen, reward = bytes((last[side], last[side ^ 1])), game.earned(side)
            outcome.ask(player, seen, seat=seat, reward=reward, is_final=is_over)
        return outcome

    def _tell(self, outcome: Outcome) -> None:
        """What came of each match, and of the whole."""
        game, names = self.tournament, self.names
        for place, (a, b) in enumerate(game.matches):
            side = slice(2 * place, 2 * place + 2)
            told = {"players": [names[a], names[b]], "scores": game.scores[side], "cooperations": game.cooperations[side]}
            outcome.event("match.finished", Content.json(told))
        ranking = []
        for rank, it in enumerate(game.standings(), 1):
            with_self_play = {"total_with_self_play": it.total_with_self_play} if game.config.self_play else {}
            ranking.append(
                {"rank": rank, "player": names[it.player], "total_without_self_play": it.total}
                | with_self_play
                | {"cooperation_rate": it.cooperation}
            )
        whole = {"turns": game.turn, "matches": len(game.matches), "self_play": game.config.self_play, "ranking": ranking}
        outcome.event("tournament.finished", Content.json(whole))
