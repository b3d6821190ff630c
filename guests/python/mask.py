"""Masks words on their way, and refuses messages with others. Its settings:

- ``words``: what is masked, with spaces between; each must have two letters at least
- ``forbidden``: what no message may say, with spaces between
- ``with``: what stands in the place of what is masked; ``***`` where nothing is said

Words are looked for in bodies of the type ``text/…``, byte by byte, so that a wrong byte carries nothing through; of those that
begin at the same place the longest counts. It judges messages as they leave. With settings that it cannot read it rejects every
message.
"""

import re
from collections.abc import Mapping

from matrix_soul import Interceptor, Passing, Refusal, interceptor

#: The most words of a kind.
WORDS_MAX = 64


def words(settings: Mapping[str, str], name: str) -> list[bytes]:
    """The words of a setting, the longest first. Raises `Refusal` where they are too short, or too many."""
    found = settings.get(name, "").split()
    if len(found) > WORDS_MAX:
        raise Refusal(f"its setting `{name}` has {len(found)} words: there may be {WORDS_MAX}")
    for word in found:
        if len(word) < 2:
            raise Refusal(f"its setting `{name}` has `{word}`: a word must have two letters at least")
    return sorted((word.encode() for word in found), key=len, reverse=True)


def pattern(found: list[bytes]) -> re.Pattern[bytes] | None:
    """What finds any of these; None: there are none."""
    return re.compile(b"|".join(map(re.escape, found))) if found else None


@interceptor
class Mask(Interceptor):
    """Keeps words out of texts."""

    def configured(self, settings: Mapping[str, str]) -> None:
        for name in settings:
            if name not in ("words", "forbidden", "with"):
                raise Refusal(f"it has no setting `{name}`: use words, forbidden or with")
        self.masked = pattern(words(settings, "words"))
        self.forbidden = pattern(words(settings, "forbidden"))
        self.replacement = settings.get("with", "***").encode()
        if self.masked is None and self.forbidden is None:
            raise Refusal("it has nothing to do: set `words` or `forbidden`")

    def outbound(self, message: Passing) -> bytes | None:
        if not message.content.is_text:
            return None
        if self.forbidden is not None and self.forbidden.search(message.body):
            raise Refusal("it says what no message may say")
        if self.masked is None:
            return None
        body, count = self.masked.subn(lambda _: self.replacement, message.body)
        return body if count else None
