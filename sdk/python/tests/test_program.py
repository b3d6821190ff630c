"""Code that a component carries: it is what the author wrote, and runs where an interpreter is."""

import json
import os
import sys
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from matrix_soul import interpreters, program
from matrix_soul.build import find
from matrix_soul.entry import fault
from matrix_soul.host import faked

SOUL = """\
import statistics
from teller.words import greeting
from matrix_soul import Message, Soul, soul

def late():
    import decimal

@soul(schema="teller/1")
class Teller(Soul):
    told: int = 0

    def receive(self, message: Message) -> str:
        self.told += 1
        return f"{greeting(message.text)} {statistics.mean([1, self.told])}"
"""
WORDS = """\
from . import END

def greeting(name):
    if name == "nobody":
        raise ValueError("no name")
    return f"Hello, {name}{END}"
"""


@contextmanager
def project() -> Iterator[Path]:
    """A folder with a Soul of two modules and a package that is installed in it; the path of the Soul."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for path, text in {"told.py": SOUL, "teller/__init__.py": "END = '!'\n", "teller/words.py": WORDS}.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        path, modules = sys.path[:], set(sys.modules)
        sys.path.insert(0, str(folder))
        try:
            yield folder / "told.py"
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                del sys.modules[name]


class Programs(unittest.TestCase):
    def setUp(self) -> None:
        finders = sys.meta_path[:]
        self.addCleanup(lambda: sys.meta_path.__setitem__(slice(None), finders))

    def test_the_authors_modules_are_found_and_what_they_import(self) -> None:
        with project() as source:
            before = set(sys.modules)
            self.assertEqual(find("told").__name__, "Teller")
            own = interpreters.own_modules(source)
            imported = interpreters.imported(own, before)
        self.assertEqual({name: code.is_package for name, code in own.items()}, {"told": False, "teller": True, "teller.words": False})
        self.assertEqual(own["teller.words"].file, "teller/words.py")
        self.assertIn("statistics", imported)
        self.assertIn("matrix_soul", imported)
        # What is imported in the midst of a function is not there in a component that has the code in it either.
        self.assertNotIn("told", imported)
        self.assertNotIn("decimal", interpreters.imported({"told": program.Code("told.py", "def f():\n import decimal")}, set(sys.modules)))

    def test_code_runs_with_the_first_call_and_says_where_it_fails(self) -> None:
        with project() as source:
            find("told")
            carried = program.packed("told", "Teller", interpreters.own_modules(source))
        with project():
            # Nothing of it is found but in what is carried.
            sys.path.pop(0)
            exports = program.exports_of(["agent", "stateful"])
            self.assertEqual(list(exports), ["Agent", "Stateful"])
            agent, stateful = exports["Agent"](), exports["Stateful"]()
            birth = SimpleNamespace(name="ada", config=[], seed=1, persona=SimpleNamespace(description="", traits=[], values=[]))
            carrier = SimpleNamespace(read=lambda: carried)
            with faked(program=carrier):
                agent.init(birth)
            self.assertEqual(stateful.schema(), "teller/1")
            self.assertEqual(json.loads(stateful.snapshot()), {"told": 0})
            self.assertEqual(sys.modules["teller.words"].greeting("Neo"), "Hello, Neo!")
            try:
                sys.modules["teller.words"].greeting("nobody")
            except ValueError as error:
                self.assertRegex(fault(error), r"teller/words.py:5 in greeting\nValueError: no name$")

    def test_an_interpreter_without_code_says_so(self) -> None:
        agent = program.exports_of(["agent"])["Agent"]()
        with faked(program=SimpleNamespace(read=lambda: b"")), self.assertLogs("matrix_soul") as logs:
            with self.assertRaises(RuntimeError):
                agent.receive(None)
        self.assertIn("carries no code", logs.output[0])


class Interpreters(unittest.TestCase):
    def test_one_is_built_once_and_the_oldest_go(self) -> None:
        built: list[str] = []

        def make(entry: str) -> bytes:
            built.append(entry)
            return entry.encode()

        with tempfile.TemporaryDirectory() as folder:
            before = os.environ.get("MATRIX_CACHE_DIR")
            os.environ["MATRIX_CACHE_DIR"] = folder
            try:
                kept = lambda entry: interpreters.kept("world", entry, Path(folder), make)  # noqa: E731
                for number in range(interpreters.KEPT + 2):
                    self.assertEqual(kept(str(number)), str(number).encode())
                    for at, file in enumerate(sorted(Path(folder).rglob("*.wasm"), key=lambda it: it.stat().st_mtime_ns)):
                        os.utime(file, (at, at))
                self.assertEqual(len(list(Path(folder).rglob("*.wasm"))), interpreters.KEPT)
                kept("5")
                self.assertEqual(len(built), interpreters.KEPT + 2)
                kept("0")
                self.assertEqual(built[-1], "0")
            finally:
                os.environ.pop("MATRIX_CACHE_DIR")
                if before is not None:
                    os.environ["MATRIX_CACHE_DIR"] = before

    def test_a_program_is_a_section_of_its_own(self) -> None:
        self.assertEqual(interpreters.carrying(b"component", b"one"), b"component\0\x12\x0ematrix:programone")


if __name__ == "__main__":
    unittest.main()
