"""Souls in a fake node: what an author writes works as the README says."""

import unittest
from dataclasses import dataclass, field

from matrix_soul import (
    Address, Birth, Content, Learner, Message, Persona, Player, Refusal, Soul, Turn, migration, soul, transient,
)
from matrix_soul import clock, events, keyvalue, memory, messaging
from matrix_soul.testing import BEGINNING_MS, Failure, Node, experience


@soul(schema="sum/1")
class Sum(Soul):
    total: int = 0
    unit: str = transient("")

    def born(self, birth: Birth) -> None:
        if "unit" not in birth.config:
            raise Refusal("set `unit`")
        self.unit = birth.config["unit"]

    def receive(self, message: Message) -> str:
        if not message.text.isdigit():
            raise Refusal("say a number")
        self.total += int(message.text)
        return f"{self.total} {self.unit}"


@soul(schema="sum/3")
class Newer(Soul):
    total: int = 0
    names: list[str] = field(default_factory=list)

    def receive(self, message: Message) -> str:
        return f"{self.total} {self.names}"

    @migration("sum/1", to="sum/2")
    def first(state: dict) -> dict:
        return {"total": state["total"], "name": "old"}

    @migration("sum/2")
    def second(state: dict) -> dict:
        return {"total": state["total"], "names": [state["name"]]}


@soul()
class Busybody(Soul):
    """Does what it is told by the first word."""

    def receive(self, message: Message):
        verb, _, rest = message.text.partition(" ")
        match verb:
            case "ask":
                return messaging.ask("soul:sum", rest, timeout=1.5)
            case "send":
                return str(messaging.send(Address.topic("news"), rest))
            case "hear":
                return messaging.subscribe(rest)
            case "tell":
                return events.emit("word.said", rest)
            case "remember":
                return str(memory.remember(rest, importance=0.9, tags=["tag"]))
            case "recall":
                return "; ".join(it.text for it in memory.recall(rest, limit=2))
            case "count":
                bucket = keyvalue.open("notes")
                bucket[rest] = b"x"
                return f"{len(list(bucket))} {bucket.increment('total', 2)}"
            case "time":
                return str(clock.now_ms())
            case "crash":
                raise KeyError("a fault")
        return None


@soul(schema="guess/1")
class Guess(Soul, Player, Learner):
    """Answers every observation by what it was taught."""

    answers: dict[str, str] = field(default_factory=dict)

    def act(self, turn: Turn) -> str:
        return self.answers.get(turn.observation.decode(), f"? {turn.reward}")

    def train(self, batch):
        self.answers.update((it.input_text, it.output_text) for it in batch)
        return {"seen": len(batch)}

    def evaluate(self, batch):
        return {"loss": sum(self.answers.get(it.input_text) != it.output_text for it in batch) / len(batch)}


class Souls(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node()

    def test_a_batch_is_answered_in_order_one_by_one(self) -> None:
        tally = self.node.spawn(Sum, "sum", config={"unit": "apples"})
        first, wrong, second = tally.ask_all(["1", "x", b"2"])
        self.assertEqual((first, second), (Content.text("1 apples"), Content.text("3 apples")))
        self.assertIsInstance(wrong, Failure)
        self.assertEqual(str(wrong), "say a number")
        with self.assertRaisesRegex(Failure, "UTF-8"):
            tally.ask(b"\xff")

    def test_who_is_not_born_does_not_start(self) -> None:
        with self.assertRaisesRegex(Failure, "set `unit`"):
            self.node.spawn(Sum)

    def test_a_state_outlives_restarts_and_leaves_the_manifest_alone(self) -> None:
        tally = self.node.spawn(Sum, config={"unit": "apples"})
        tally.ask("300")
        self.assertEqual(tally.snapshot(), ("sum/1", b'{"total":300}'))
        tally.restart()
        self.assertEqual(tally.ask("1"), "301 apples")

    def test_new_code_migrates_step_by_step_and_refuses_what_it_does_not_know(self) -> None:
        tally = self.node.spawn(Sum, config={"unit": "apples"})
        tally.ask("7")
        tally.swap(Newer)
        self.assertEqual(tally.ask("?"), "7 ['old']")
        with self.assertRaisesRegex(Failure, "cannot take up .* `sum/3`.* reads `sum/1`"):
            tally.swap(Sum)
        self.assertEqual(tally.ask("?"), "7 ['old']")
        for schema, data in [("sum/9", b"{}"), ("sum/3", b""), ("sum/3", b"{}"), ("sum/3", b'{"total":"7","names":[]}')]:
            with self.assertRaises(Failure):
                tally.restore(schema, data)
        self.assertEqual(tally.ask("?"), "7 ['old']")

    def test_souls_reach_each_other_and_the_world(self) -> None:
        self.node.spawn(Sum, "sum", config={"unit": "pears"})
        busy = self.node.spawn(Busybody, "busy")
        self.assertEqual(busy.ask("ask 2"), "2 pears")
        with self.assertRaisesRegex(Failure, "^say a number$"):
            busy.ask("ask much")
        busy.ask("send hello")
        self.assertEqual([(it.sender, str(it.to), it.content) for it in self.node.sent], [("busy", "topic:news", Content.text("hello"))])
        self.assertIsNone(busy.ask("hear news"))
        self.assertEqual(self.node.topics, {"busy": {"news"}})
        busy.ask("tell it")
        self.assertEqual((self.node.events[0].kind, self.node.events[0].content.decode()), ("word.said", "it"))
        self.node.deny("soul:sum")
        with self.assertRaisesRegex(Failure, "no grant for `soul:sum`"):
            busy.ask("ask 2")

    def test_what_is_remembered_and_kept(self) -> None:
        busy = self.node.spawn(Busybody)
        busy.ask("remember the harbour in rain")
        busy.ask("remember a dry day")
        self.assertEqual(busy.ask("recall harbour"), "the harbour in rain")
        self.assertEqual(busy.ask("recall tag"), "the harbour in rain; a dry day")
        for count in range(1, 7):
            self.assertEqual(busy.ask(f"count {'k' * count}"), f"{count + (count > 1)} {2 * count}")
        self.node.deny("memory")
        with self.assertRaisesRegex(Failure, "no grant `memory`"):
            busy.ask("recall x")

    def test_time_is_the_messages_and_a_fault_is_no_refusal(self) -> None:
        busy = self.node.spawn(Busybody)
        self.assertEqual(busy.ask("time"), str(BEGINNING_MS))
        self.node.now_ms += 5000
        self.assertEqual(busy.ask("time"), str(BEGINNING_MS + 5000))
        with self.assertLogs("matrix_soul", "ERROR") as logs, self.assertRaises(KeyError):
            busy.ask("crash")
        self.assertIn("Traceback", logs.output[0])

    def test_a_soul_plays_and_learns(self) -> None:
        guess = self.node.spawn(Guess)
        lessons = [experience("red", "stop"), experience("green", "go", number=2)]
        self.assertEqual(guess.evaluate(lessons), {"loss": 1.0})
        self.assertEqual(guess.train(lessons), {"seen": 2.0})
        self.assertEqual(guess.evaluate(lessons), {"loss": 0.0})
        turns = [(0, b"red", 0.0, False), (1, b"blue", -1.25, False)]
        self.assertEqual(guess.act("street", 3, turns), [b"stop", b"? -1.25"])

    def test_what_cannot_be_a_soul_is_refused_where_it_is_written(self) -> None:
        with self.assertRaisesRegex(TypeError, "would be lost at a restart"):

            @soul()
            class Forgetful(Soul):
                count: int = 0

        with self.assertRaisesRegex(TypeError, "needs a default"):

            @soul(schema="a/1")
            class Bare(Soul):
                count: int

        with self.assertRaisesRegex(TypeError, "cannot be part of a state"):

            @soul(schema="a/1")
            class Odd(Soul):
                count: complex = 0j


@dataclass
class Inner:
    at: tuple[int, float] = (0, 0.0)


class States(unittest.TestCase):
    def test_every_type_survives_and_the_same_state_gives_the_same_bytes(self) -> None:
        @soul(schema="all/1")
        class All(Soul):
            flag: bool = False
            maybe: str | None = None
            raw: bytes = b""
            words: set[str] = field(default_factory=set)
            table: dict[int, list[Inner]] = field(default_factory=dict)

        one = All(True, "x", b"\xff\0", {"b", "a"}, {10: [Inner((1, 2.5))], 9: []})
        data = one.snapshot()
        two = All()
        two.restore("all/1", data)
        self.assertEqual(vars(one), vars(two))
        two.table = {9: [], 10: two.table[10]}
        self.assertEqual(two.snapshot(), data)
        two.flag = 1  # type: ignore[assignment]
        with self.assertRaisesRegex(Refusal, "All.flag"):
            two.snapshot()


class Nouns(unittest.TestCase):
    def test_addresses_are_read_as_they_are_written(self) -> None:
        for text in ("soul:ada", "matrix:market", "topic:a:b", "client:web"):
            self.assertEqual(str(Address.parse(text)), text)
        for text in ("ada", "node:ada"):
            with self.assertRaises(ValueError):
                Address.parse(text)

    def test_a_persona_is_told(self) -> None:
        seen: list[Birth] = []

        @soul()
        class Told(Soul):
            def born(self, birth: Birth) -> None:
                seen.append(birth)

        Node().spawn(Told, "ada", persona=Persona("kind", ("calm",), {"honesty": 0.5}), seed=9)
        self.assertEqual((seen[0].name, seen[0].persona.values["honesty"], seen[0].seed), ("ada", 0.5, 9))

    def test_outside_a_node_nothing_is_reached(self) -> None:
        from matrix_soul import host

        with self.assertRaisesRegex(RuntimeError, "matrix_soul.testing.Node"):
            host.bound("elsewhere").send()


if __name__ == "__main__":
    unittest.main()
