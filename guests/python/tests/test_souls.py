"""The Souls in Python, in a fake node."""

import json
import struct
import unittest
from itertools import combinations_with_replacement
from pathlib import Path

from counter import COUNT_MAX, Counter
from echo import Echo
from matrix_soul import Content
from matrix_soul.testing import Failure, Node
from strategist import GAMES_MAX, STRATEGIES, Strategist

TABLE = Path(__file__).parents[3] / "tests" / "data" / "axelrod-4.14.0-turns-200.json"


class Souls(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node()

    def test_echo_says_what_it_is_told(self) -> None:
        said = Content("image/png", b"\x00\xff")
        self.assertEqual(self.node.spawn(Echo).ask_all([said]), [said])

    def test_counter_adds_and_gets(self) -> None:
        counter = self.node.spawn(Counter)
        self.assertEqual((counter.ask("add 40"), counter.ask(" add 2\n"), counter.ask("get")), ("40", "42", "42"))
        counter.restart()
        self.assertEqual(counter.ask("get"), "42")
        for text in ("", "add", "add -1", "add x", "add 1 2", "get it", "add ²", f"add {COUNT_MAX}", "add " + "9" * 5000):
            with self.assertRaises(Failure, msg=text):
                counter.ask(text)
        self.assertEqual(counter.ask("get"), "42")

    def test_counter_takes_up_what_the_one_in_rust_counted(self) -> None:
        counter = self.node.spawn(Counter)
        counter.restore("counter/1", b"\xac\x02")
        self.assertEqual(counter.ask("get"), "300")
        self.assertEqual(counter.snapshot(), ("counter/2", b'{"count":300}'))
        for data in (b"", b"\x80", b"\x01\x02", b"\xff" * 9 + b"\x01"):
            with self.assertRaises(Failure, msg=repr(data)):
                counter.restore("counter/1", data)

    def test_strategists_play_as_the_table_says(self) -> None:
        table = json.loads(TABLE.read_text())
        rows = {(row["a"], row["b"]): row for row in table["matches"]}
        names = [name for name in table["strategies"] if name in STRATEGIES]
        self.assertEqual(len(names), len(STRATEGIES))
        for a, b in combinations_with_replacement(names, 2):
            row = rows[a, b]
            cooperations = (row["cooperations_a"], row["cooperations_b"])
            self.assertEqual(self._played(a, b, table["turns"]), cooperations, (a, b))

    def _played(self, a: str, b: str, turns: int) -> tuple[int, int]:
        players = [self.node.spawn(Strategist, f"{side}", config={"strategy": name}) for side, name in enumerate((a, b))]
        seen = [struct.pack("<4d", 3, 0, 5, 1)] * 2
        counts = [0, 0]
        for tick in range(turns):
            moves = [player.act("m", tick, [(side, seen[side], 0.0, False)])[0] for side, player in enumerate(players)]
            counts = [count + (move == b"C") for count, move in zip(counts, moves)]
            seen = [moves[0] + moves[1], moves[1] + moves[0]]
            if tick == turns // 2:
                players[0].restart()
        players[0].act("m", turns, [(0, seen[0], 0.0, True)])
        self.assertEqual(players[0].snapshot()[1], b'{"games":{}}', "a final turn forgets the game")
        return counts[0], counts[1]

    def test_a_strategist_says_who_it_is_and_what_is_wrong(self) -> None:
        for config in ({}, {"strategy": "Nobody"}):
            with self.assertRaisesRegex(Failure, "one of Cooperator"):
                self.node.spawn(Strategist, config=config)
        bully = self.node.spawn(Strategist, config={"strategy": "Bully"})
        self.assertEqual(bully.ask("who"), "Bully")
        for observation in (b"CC", b"", b"C" * 33):
            with self.assertRaises(Failure):
                bully.act("m", 1, [(0, observation, 0.0, False)])
        first = bytes(32)
        bully.act("m", 0, [(seat, first, 0.0, False) for seat in range(GAMES_MAX)])
        with self.assertRaisesRegex(Failure, "games go on already"):
            bully.act("m", 0, [(GAMES_MAX, first, 0.0, False)])
        self.assertEqual(bully.act("m", 0, [(7, first, 0.0, False)]), [b"D"])


if __name__ == "__main__":
    unittest.main()
