"""JSON that is somebody else's: the interpreter inside a component reads what is nested deeply at the cost of its stack."""

import json
import re
from collections.abc import Callable
from typing import Any

#: How deep arrays and objects may be nested.
DEPTH_MAX = 128
#: Strings whole, also one that does not end: nothing is looked at twice.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes | str, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Bytes or a text as a value of JSON. Raises ``ValueError`` where they are none, or nested deeper than 128."""
    text = data if isinstance(data, str) else data.decode(errors="replace")
    if text.count("[") + text.count("{") > DEPTH_MAX and _depth(text) > DEPTH_MAX:
        raise ValueError(f"JSON may be nested {DEPTH_MAX} deep, and no deeper")
    # JSON is UTF-8: of zeroes Python would guess another encoding, for which a component has no codec.
    return json.loads(data if isinstance(data, str) else data.decode(), parse_constant=parse_constant)


def _depth(text: str) -> int:
    """How deep JSON is nested, at least where it is none."""
    deep = deepest = 0
    for found in _TOKENS.finditer(text):
        token = found[0]
        if token in ("[", "{"):
            deep += 1
            deepest = max(deepest, deep)
        elif token in ("]", "}"):
            deep -= 1
    return deepest
