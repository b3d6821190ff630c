"""Rules and interceptors in tests: what an author writes works as the README says."""

import json
import random
import subprocess
import sys
import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from matrix_soul import (
    Action, Chance, Content, Interceptor, Message, Outcome, Passing, Refusal, Rules, Setup, Within, discrete, events,
    interceptor, migration, rules,
)
from matrix_soul.reading import parse_json
from matrix_soul.testing import BEGINNING_MS, Failure, Run, Stage

SIDES = ["heads", "tails"]


@dataclass
class Config:
    rounds: Annotated[int, Within(1, 100)] = field(default=3, metadata={"description": "How often it is tossed."})
    tie: Literal["all", "none"] = "all"
    weights: list[float] = field(default_factory=list)


@rules(
    schema="coin/2",
    name="coin",
    version="0.2.0",
    players=(1, 9),
    observations=discrete("text/plain", 3),
    actions=discrete("text/plain", SIDES),
    settings=Config,
)
class Coin(Rules):
    """Every player says before what a coin will show."""

    points: list[int] = field(default_factory=list)
    rounds: int = 0
    tossed: int = 0
    chance: Chance = field(default_factory=Chance)

    def start(self, setup: Setup) -> Outcome:
        self.rounds = setup.settings(Config).rounds
        self.points = [0] * len(setup.players)
        self.chance = Chance.of(setup.seed)
        return self.asked("")

    def step(self, actions: Sequence[Action]) -> Outcome:
        side = self.chance.pick(SIDES)
        self.tossed += 1
        for action in actions:
            self.points[action.player] += action.choice == side.encode()
        outcome = self.asked(side)
        outcome.signals["points"] = sum(self.points)
        outcome.finished = self.tossed == self.rounds
        outcome.event("coin.tossed", side)
        events.emit("coin.heard", side)
        return outcome

    def asked(self, side: str) -> Outcome:
        outcome = Outcome()
        for player, points in enumerate(self.points):
            outcome.ask(player, side, reward=points, is_final=self.tossed == self.rounds)
        return outcome

    def receive(self, message: Message) -> str | None:
        return None if message.text == "nothing" else f"{message.sender} at {message.sent_at}: {self.points}"

    @migration("coin/1")
    def from_1(state: dict) -> dict:
        return {"points": state["points"], "rounds": state["rounds"], "tossed": 0, "chance": {"words": [1, 2, 3, 4]}}


@rules(schema="odd/1", name="odd", version="1.0.0", players=(0, 9))
class Odd(Rules):
    """Asks as it is told by the players' names."""

    how: str = ""

    def start(self, setup: Setup) -> Outcome:
        self.how = setup.players[0]
        return Outcome()

    def step(self, actions: Sequence[Action]) -> Outcome:
        outcome = Outcome()
        match self.how:
            case "nobody":
                outcome.ask(7, "")
            case "twice":
                outcome.ask(0, ""), outcome.ask(0, "")
            case "reward":
                outcome.ask(0, "", reward=float("nan"))
            case "signal":
                outcome.signals["x"] = float("inf")
            case "kind":
                outcome.event("Upper Case", "")
            case "random":
                outcome.signals["x"] = random.random()
            case "refuses":
                raise Refusal("it stops")
            case "crashes":
                raise KeyError("a fault")
        return outcome


class Runs(unittest.TestCase):
    def test_a_run_is_played_to_its_end(self) -> None:
        run = Run(Coin, ["ada", "bob"], {"rounds": 4}, seed=7)
        run.play({(0, 0): "heads", (1, 0): b"tails"})
        self.assertEqual((run.ticks, run.finished, run.signals), (4, True, {"points": 4.0}))
        self.assertEqual([event.kind for event in run.events], ["coin.heard", "coin.tossed"] * 4)
        self.assertTrue(all(prompt.is_final for prompt in run.prompts))
        self.assertEqual(sum(prompt.reward for prompt in run.prompts), 4.0)
        again = Run(Coin, ["ada", "bob"], {"rounds": 4}, seed=7)
        again.play(lambda prompt: SIDES[prompt.player])
        self.assertEqual(again.snapshot(), run.snapshot())
        other = Run(Coin, 1, {"rounds": 100}, seed=8)
        other.play({})
        self.assertEqual(other.signals, {"points": 0.0})

    def test_a_state_is_taken_up_and_migrated(self) -> None:
        run = Run(Coin, 1)
        run.step({(0, 0): "heads"})
        schema, data = run.snapshot()
        run.restart()
        self.assertEqual(run.snapshot(), (schema, data))
        run.restore("coin/1", b'{"points": [5], "rounds": 2}')
        self.assertEqual(run.ask("?"), f"client:test at {BEGINNING_MS}: [5]")
        self.assertEqual(json.loads(run.view().body)["rounds"], 2)
        for wrong in (("coin/3", data), ("coin/2", b"{}"), ("coin/2", b"[" * 9000)):
            with self.assertRaises(Failure):
                run.restore(*wrong)

    def test_what_rules_do_not_take_is_refused(self) -> None:
        run = Run(Odd, ["ada"])
        for call in (lambda: run.join("bob"), lambda: run.leave(0), lambda: run.ask("hello")):
            with self.assertRaises(Failure):
                call()
        self.assertIsNone(Run(Coin).ask("nothing"))

    def test_what_a_node_would_not_carry_out_fails_a_test(self) -> None:
        for how, named in (
            ("nobody", "player 7 is asked"),
            ("twice", "asked twice"),
            ("reward", "the reward"),
            ("signal", "the signal `x`"),
            ("kind", "`Upper Case`"),
            ("random", "went on in another way"),
            ("refuses", "it stops"),
        ):
            with self.assertRaisesRegex(Failure, named):
                Run(Odd, [how]).step({})
        with self.assertLogs("matrix_soul", "ERROR"), self.assertRaises(KeyError):
            Run(Odd, ["crashes"]).step({})

    def test_settings_are_read_and_described(self) -> None:
        said = Run(Coin).describe()
        self.assertEqual((said.name, said.version, said.players_min, said.players_max), ("coin", "0.2.0", 1, 9))
        self.assertEqual(said.action_type, 'text/plain;discrete=2;values="heads tails"')
        self.assertEqual(
            json.loads(said.config_schema)["properties"],
            {
                "rounds": {
                    "type": "integer", "minimum": 1, "maximum": 100, "default": 3, "description": "How often it is tossed."
                },
                "tie": {"enum": ["all", "none"], "default": "all"},
                "weights": {"type": "array", "items": {"type": "number"}, "default": []},
            },
        )
        Run(Coin, config={"weights": [1, 2.5]})
        for config in ({"rounds": 0}, {"tie": "some"}, {"tie": []}, {"weights": 1}, {"weights": ["x"]}, {"other": 1},
                       '{"weights": [NaN]}', '{"weights": [1e999]}', f'{{"weights": [1{"0" * 400}]}}', "null", "[]", "\0"):
            with self.assertRaisesRegex(Failure, "^config"):
                Run(Coin, config=config)

    def test_what_cannot_be_rules_is_refused_where_it_is_written(self) -> None:
        about = {"schema": "a/1", "name": "a", "version": "0.1.0", "players": (1, 2)}
        with self.assertRaisesRegex(TypeError, "must derive from `Rules`"):
            rules(**about)(type("Plain", (), {}))
        with self.assertRaisesRegex(TypeError, "needs a default"):
            rules(**about)(type("Bare", (Rules,), {"__annotations__": {"count": int}}))
        with self.assertRaisesRegex(TypeError, "no dataclass"):
            rules(**about, settings=int)(type("Plain", (Rules,), {}))
        with self.assertRaisesRegex(TypeError, "must derive from `Interceptor`"):
            interceptor(type("Plain", (), {}))

    def test_chance_is_that_of_all_languages(self) -> None:
        chance = Chance((1, 2, 3, 4))
        drawn = [chance.bits() for _ in range(4)]
        self.assertEqual(drawn, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386])
        self.assertEqual(Chance.of(0).words[0], 0xE220_A839_7B1D_CDAF)
        chance = Chance.of(7)
        seen = [0] * 5
        for _ in range(5000):
            seen[chance.below(5)] += 1
        self.assertTrue(all(850 <= count < 1150 for count in seen), seen)
        self.assertTrue(all(0 <= chance.unit() < 1 for _ in range(1000)))
        items = list(range(9))
        chance.shuffle(items)
        self.assertEqual(sorted(items), list(range(9)))
        with self.assertRaises(ValueError):
            chance.below(0)

    def test_in_a_component_of_rules_there_is_no_chance_but_that(self) -> None:
        program = """
from matrix_soul import clock
clock.install(has_chance=False)
import logging, os, random, time, uuid
for draw in (random.random, lambda: random.randint(1, 2), lambda: random.seed(1), random.Random, lambda: os.urandom(1), uuid.uuid4):
    try:
        draw()
    except RuntimeError as error:
        assert "Chance" in str(error), error
    else:
        raise SystemExit(f"{draw} drew")
assert random.Random(1).random() == random.Random(1).random()
assert time.time() == 0
logging.getLogger().warning("a line is written all the same")
"""
        path = str(Path(__file__).parents[1] / "src")
        ended = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True)
        self.assertEqual((ended.returncode, ended.stderr), (0, "a line is written all the same\n"))


class Reading(unittest.TestCase):
    def test_json_that_is_nested_too_deep_is_none(self) -> None:
        for deep in (b"[" * 129 + b"]" * 129, b"[" * 100_000, '{"a":' * 129, b"[" * 200 + b"\xff"):
            with self.assertRaisesRegex(ValueError, "128 deep"):
                parse_json(deep)
        self.assertEqual(len(parse_json(json.dumps([[{}]] * 500))), 500)
        text = "[" * 500 + '"\\'
        self.assertEqual(parse_json(json.dumps(text)), text)
        self.assertEqual(parse_json(b"[" * 128 + b"]" * 128)[0][0][0], parse_json(b"[" * 125 + b"]" * 125))


class Worlds(unittest.TestCase):
    def test_a_world_has_what_the_class_is_and_what_its_code_reaches(self) -> None:
        program = """
import sys
from matrix_soul import Interceptor, Refusal, Rules, build, interceptor, rules
if len(sys.argv) > 1:
    import matrix_soul.keyvalue
@rules(schema="a/1", name="a", version="0.1.0", players=(1, 2))
class Plain(Rules):
    pass
@interceptor
class Judge(Interceptor):
    def configured(self, settings):
        pass
try:
    print(build.world(Plain), build.world(Judge))
except build.BuildError as error:
    print(error)
"""
        path = str(Path(__file__).parents[1] / "src")

        def said(*arguments: str) -> str:
            command = [sys.executable, "-c", program, *arguments]
            return subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True).stdout

        lines = [line.strip() for line in said().splitlines() if line.startswith("    ")]
        logging = "import wasi:logging/logging@0.1.0-draft;"
        self.assertEqual(
            lines,
            [logging, "export matrix:node/rules@0.1.0;", "export matrix:node/stateful@0.1.0;"]
            + [logging, "import wasi:config/store@0.2.0-rc.1;", "export matrix:node/interceptor@0.1.0;"],
        )
        self.assertIn("`Plain` cannot use `matrix_soul.keyvalue`", said("all"))


@interceptor
class Shout(Interceptor):
    """Changes what it is told to, in every way."""

    def configured(self, settings: Mapping[str, str]) -> None:
        if settings.get("loud") != "yes":
            raise Refusal("set `loud`")

    def outbound(self, message: Passing) -> str | bytes | Content | None:
        match message.content.content_type, message.text:
            case _, "text":
                return f"{message.sender} to {message.recipient}, {message.topic}"
            case _, "bytes":
                return b"\xff"
            case _, "content":
                return Content.json([1])
            case _, "refuse":
                raise Refusal("not this")
            case _, "crash":
                raise KeyError("a fault")
        return None


class Stages(unittest.TestCase):
    def test_messages_pass_are_changed_and_refused(self) -> None:
        stage = Stage(Shout, {"loud": "yes"})
        plain = Content("text/x-own", b"plain")
        self.assertEqual(stage.outbound(plain), plain)
        self.assertEqual(stage.inbound("refuse").decode(), "refuse")
        said = stage.outbound(Content("text/x-own", b"text"), "client:web", "topic:news")
        self.assertEqual(said, Content("text/x-own", b"client:web to topic:news, news"))
        self.assertEqual(stage.outbound("bytes"), Content("text/plain", b"\xff"))
        self.assertEqual(stage.outbound("content"), Content("application/json", b"[1]"))
        for said, named in (("refuse", "not this"), (b"\xff", "UTF-8")):
            with self.assertRaisesRegex(Failure, named):
                stage.outbound(said)
        with self.assertLogs("matrix_soul", "ERROR"), self.assertRaises(KeyError):
            stage.outbound("crash")

    def test_wrong_settings_reject_every_message(self) -> None:
        stage = Stage(Shout)
        for _ in range(2):
            with self.assertRaisesRegex(Failure, "set `loud`"):
                stage.inbound("hello")

    def test_without_settings_of_its_own_none_are_asked_for(self) -> None:
        @interceptor
        class Plain(Interceptor):
            pass

        self.assertEqual((Shout.__matrix_soul__.imports != (), Plain.__matrix_soul__.imports), (True, ()))
        self.assertEqual(Stage(Plain).outbound("hello").decode(), "hello")


if __name__ == "__main__":
    unittest.main()
