"""JSON that is somebody else's."""

import json
import unittest

from matrix_soul.reading import DEPTH_MAX, parse_json


class Reading(unittest.TestCase):
    def test_json_is_read_as_python_reads_it(self) -> None:
        deep = "[" * DEPTH_MAX + "]" * DEPTH_MAX
        wide = json.dumps([{"a": [1, "]}\\\"[[["]}] * 10_000)
        for text in ("{}", '"\\u00e9 [[["', "1e3", deep, wide):
            self.assertEqual(parse_json(text), json.loads(text))
            self.assertEqual(parse_json(text.encode()), json.loads(text))

    def test_what_is_nested_without_end_is_an_error(self) -> None:
        for text in ("[" * 20_000, "[" * 20_000 + "]" * 20_000, '{"a":' * 20_000, "[[],[" * 20_000):
            with self.assertRaises(ValueError):
                parse_json(text)

    def test_what_is_no_text_is_an_error(self) -> None:
        for data in (b"\0" * 64, b"\xff\xfe[", b"\xef\xbb\xbf[]", b"\x80"):
            with self.assertRaises(ValueError, msg=repr(data)):
                parse_json(data)

    def test_a_string_that_does_not_end_is_gone_through_once(self) -> None:
        for text in ("[" * 300 + '"' + '\\"' * 200_000, "[" * 300 + '"\\' * 200_001):
            with self.assertRaises(ValueError):
                parse_json(text)


if __name__ == "__main__":
    unittest.main()
