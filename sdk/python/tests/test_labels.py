"""What a component says of itself."""

import tempfile
import unittest
from pathlib import Path

from matrix_soul import labels

COMPONENT = b"\0asm\x0d\0\1\0"


def said(component: bytes) -> dict[str, bytes]:
    return {name: data for _, name, data in labels._sections(component) if name}


class Labels(unittest.TestCase):
    def test_what_is_said_replaces_what_was_said_and_leaves_the_rest(self):
        first = labels.written(COMPONENT, {"name": "a", "version": "1", "revision": "kept"}, [("sdk", "matrix-soul", "0")])
        again = labels.written(first, {"name": "greeter", "version": "1.2.3"}, [("sdk", "matrix-soul", "1"), ("language", "Python", "3")])
        found = said(again)
        self.assertEqual(found["component-name"], b"\0\x08\x07greeter")
        self.assertEqual((found["version"], found["revision"]), (b"1.2.3", b"kept"))
        self.assertEqual(list(labels._producers(found["producers"])), [("sdk", "matrix-soul", "1"), ("language", "Python", "3")])
        self.assertEqual([name for _, name, _ in labels._sections(again)].count("version"), 1)

    def test_names_of_what_is_inside_and_other_sections_stay(self):
        inside = b"\x01\x03\0\x01\0"
        before = COMPONENT + b"\x01\x02ab" + labels.custom("component-name", inside + b"\0\x02\x01x")
        after = labels.written(before, {"name": "new"}, [])
        self.assertIn(b"\x01\x02ab", after)
        self.assertEqual(said(after)["component-name"], b"\0\x04\x03new" + inside)

    def test_long_texts_are_framed(self):
        after = labels.written(COMPONENT, {"description": "ä" * 200}, [])
        self.assertEqual(said(after)["description"].decode(), "ä" * 200)

    def test_what_is_no_component_is_refused(self):
        with self.assertRaisesRegex(ValueError, "no component"):
            labels.written(b"\0asm\x01\0\0\0", {"name": "a"}, [])

    def test_the_nearest_project_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            inner = Path(folder) / "souls"
            inner.mkdir()
            (Path(folder) / "pyproject.toml").write_text(
                '[project]\nname = "many"\nversion = "2.0"\ndescription = "Greets."\nlicense = "MIT"\n'
                'authors = [{ name = "Ada Example", email = "ada@example.org" }, { name = "Eve Example" }]\n'
                '[project.urls]\nSource = "https://example.org/many.git"\n'
            )
            self.assertEqual(
                labels.of_project(inner),
                {
                    "version": "2.0",
                    "description": "Greets.",
                    "licenses": "MIT",
                    "authors": "Ada Example <ada@example.org>, Eve Example",
                    "source": "https://example.org/many.git",
                },
            )


if __name__ == "__main__":
    unittest.main()
