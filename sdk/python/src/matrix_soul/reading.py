"""JSON that is somebody else's: the interpreter inside a component reads what is nested deeply at the cost of its stack."""

import json
import re
from collections.abc import Callable
from typing import Any

#: How deep arrays and objects may be nested.
DEPTH_MAX = 128
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes | str, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Bytes or a text as a value of JSON. Raises ``ValueError`` where they are none, or nested deeper than 128."""
    raw = data.encode(errors="replace") if isinstance(data, str) else data
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _depth(raw) > DEPTH_MAX:
        raise ValueError(f"JSON may be nested {DEPTH_MAX} deep, and no deeper")
    # JSON is UTF-8. Python would guess another encoding from zeroes, for which a component has no codec.
    text = data if isinstance(data, str) else data.decode()
    return json.loads(text, parse_constant=parse_constant)


def _depth(raw: bytes) -> int:
    """How deep JSON is nested, at least where it is none."""
    deep = deepest = 0
    for found in _TOKENS.finditer(raw):
        token = found[0]
        if token in (b"[", b"{"):
            deep += 1
            deepest = max(deepest, deep)
        elif token in (b"]", b"}"):
            deep -= 1
    return deepest
