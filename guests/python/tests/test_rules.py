"""The rules and the interceptor in Python, in a fake node."""

import json
import unittest
from itertools import cycle
from pathlib import Path

from ipd import ACTIONS, OBSERVATIONS, Ipd
from mask import Mask
from matrix_soul import Content
from matrix_soul.testing import Failure, Node, Run, Stage
from strategist import STRATEGIES, Strategist

TABLE = Path(__file__).parents[3] / "tests" / "data" / "axelrod-4.14.0-turns-200.json"


class Tournaments(unittest.TestCase):
    def test_a_tournament_ends_as_the_table_says(self) -> None:
        table = json.loads(TABLE.read_text())
        names = [name for name in table["strategies"] if name in STRATEGIES]
        node = Node()
        players = [node.spawn(Strategist, name, config={"strategy": name}) for name in names]
        run = Run(Ipd, names)
        run.play(lambda prompt: players[prompt.player].act(
            "m", run.ticks, [(prompt.seat, prompt.observation, prompt.reward, False)]
        )[0])
        self.assertEqual(run.ticks, 200)
        self.assertTrue(all(prompt.is_final for prompt in run.prompts) and len(run.prompts) == 12 * 13)
        self.assertEqual([event.kind for event in run.events], ["match.finished"] * 78 + ["tournament.finished"])
        rows = {(row["a"], row["b"]): row for row in table["matches"]}
        for event in run.events[:-1]:
            told = json.loads(event.content.body)
            row = rows[tuple(told["players"])]
            self.assertEqual(told["scores"], [row["score_a"], row["score_b"]])
            self.assertEqual(told["cooperations"], [row["cooperations_a"], row["cooperations_b"]])
        whole = json.loads(run.events[-1].content.body)
        self.assertEqual((whole["turns"], whole["matches"], whole["self_play"]), (200, 78, True))
        totals = [rank["total_without_self_play"] for rank in whole["ranking"]]
        self.assertEqual(totals, sorted(totals, reverse=True))

    def test_wrong_actions_are_the_players_loss(self) -> None:
        for config, expected in (("", 0.0), ({"on_invalid": "cooperate"}, 1.0)):
            run = Run(Ipd, ["a", "b", "c"], config)
            wrong = cycle([None, b"", b"c", b"CC", bytes(4096)])
            run.step(lambda _: next(wrong))
            self.assertEqual(run.signals["cooperation.rate"], expected)

    def test_the_description_says_that_both_are_discrete(self) -> None:
        said = Run(Ipd).describe()
        self.assertEqual(said.observation_type, "application/vnd.matrix.ipd.observation;discrete=5")
        self.assertEqual(said.action_type, 'application/vnd.matrix.ipd.action;discrete=2;values="C D"')
        self.assertEqual((said.observation_type, said.action_type), (OBSERVATIONS, ACTIONS))
        schema = json.loads(said.config_schema)["properties"]
        self.assertEqual((schema["turns"]["default"], schema["turns"]["maximum"]), (200, 1_000_000))
        self.assertEqual(schema["payoffs"]["default"], {"reward": 3.0, "sucker": 0.0, "temptation": 5.0, "punishment": 1.0})

    def test_self_play_is_an_option(self) -> None:
        def seats(run: Run) -> list[tuple[int, int]]:
            return [(prompt.player, prompt.seat) for prompt in run.prompts]

        self.assertEqual(seats(Run(Ipd)), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
        self.assertEqual(seats(Run(Ipd, config={"self_play": False})), [(0, 1), (1, 0)])

    def test_wrong_setups_are_named(self) -> None:
        for config, named in (
            ("{", "no JSON"),
            ({"turn": 3}, "`turn`"),
            ({"turns": 0}, "`turns` is 0"),
            ({"turns": 1_000_001}, "from 1 to 1000000"),
            ({"turns": 2.5}, "must be integer"),
            ({"turns": True}, "must be integer"),
            ({"payoffs": {"reward": 1e10}}, "`payoffs.reward`"),
            ({"payoffs": {"rewards": 1}}, "`payoffs.rewards`"),
            ({"on_invalid": "forgive"}, "`cooperate`"),
            ("[" * 20_000, "no JSON"),
        ):
            with self.assertRaisesRegex(Failure, named):
                Run(Ipd, config=config)
        for players in (0, 1, 101):
            with self.assertRaisesRegex(Failure, "take 2 to 100"):
                Run(Ipd, players)
        self.assertEqual(len(Run(Ipd, 100).prompts), 100 * 101)

    def test_what_is_no_state_is_refused(self) -> None:
        run = Run(Ipd, ["ada", "bob"], {"turns": 9})
        run.step(lambda _: "C")
        schema, data = run.snapshot()
        for length in range(len(data)):
            with self.assertRaises(Failure):
                run.restore(schema, data[:length])
        for wrong in (data + b"\0", bytes(64), b"\xff" * 64):
            with self.assertRaises(Failure):
                run.restore(schema, wrong)
        with self.assertRaisesRegex(Failure, "this code reads `ipd/1`"):
            run.restore("ipd/2", data)
        self.assertEqual(run.snapshot(), (schema, data))

    def test_the_state_is_that_of_the_rules_in_rust(self) -> None:
        run = Run(Ipd, ["a", "b"], {"turns": 2, "self_play": False, "payoffs": {"reward": 1, "sucker": 0}})
        run.step({(0, 1): "C", (1, 0): "D"})
        one, five = bytes(6) + b"\xf0\x3f", bytes(6) + b"\x14\x40"
        expected = b"\x02\x01a\x01b" b"\x02" + one + bytes(8) + five + one + b"\x00\x01" b"\x02\x01\x01"
        expected += b"\x00\x01" + bytes(8) + five + b"\x01\x00" b"\x00\x01"
        self.assertEqual(run.snapshot(), ("ipd/1", expected))

    def test_the_view_is_a_picture_without_foreign_markup(self) -> None:
        view = Run(Ipd, ["<script>", "b&b"]).view()
        self.assertEqual(view.content_type, "image/svg+xml")
        text = view.decode()
        self.assertTrue(text.startswith("<svg ") and text.endswith("</svg>\n"))
        self.assertTrue("<script>" not in text and "&lt;script&gt;" in text and "b&amp;b" in text)


class Masks(unittest.TestCase):
    def test_words_are_masked_in_texts_alone(self) -> None:
        stage = Stage(Mask, {"words": "zion neo zionist"})
        self.assertEqual(stage.outbound("neo, of zion and zionists").decode(), "***, of *** and ***s")
        for said in ("nothing of it", Content("application/octet-stream", b"zion")):
            self.assertEqual(stage.outbound(said), Content.of(said))
        said = Content("Text/markdown; charset=utf-8", b"\xff zion \x80")
        self.assertEqual(stage.outbound(said), Content(said.content_type, b"\xff *** \x80"))
        self.assertEqual(stage.inbound("zion").decode(), "zion")
        self.assertEqual(Stage(Mask, {"words": "überall", "with": r"\1"}).outbound("überall").decode(), r"\1")

    def test_a_forbidden_word_is_refused(self) -> None:
        stage = Stage(Mask, {"forbidden": "attack"})
        self.assertEqual(stage.outbound("at dawn").decode(), "at dawn")
        with self.assertRaisesRegex(Failure, "no message may say"):
            stage.outbound("attack at dawn")

    def test_with_settings_that_it_cannot_read_it_rejects_everything(self) -> None:
        for settings, named in (
            ({}, "nothing to do"),
            ({"word": "x"}, "no setting `word`"),
            ({"words": "zion ab"}, "`ab`, which is shorter"),
            ({"words": "zion " * 65}, "there may be 64"),
        ):
            with self.assertRaisesRegex(Failure, named):
                Stage(Mask, settings).outbound("hello")


if __name__ == "__main__":
    unittest.main()
