"""Masks words on their way, and refuses messages with others. Its settings:

- ``words``: what is masked, with spaces between
- ``forbidden``: what no message may say, with spaces between
- ``with``: what stands in the place of what is masked; ``***`` where nothing is said. No word may be shorter: a message must not grow

Words are looked for in bodies of the type ``text/…``, byte by byte, so that a wrong byte carries nothing through; one after the other,
the longest first. It judges messages as they leave. With settings that it cannot read it rejects every message.
"""

from collections.abc import Mapping

from matrix_soul import Interceptor, Passing, Refusal, interceptor

#: The most words of a kind.
WORDS_MAX = 64


def words(settings: Mapping[str, str], name: str) -> list[bytes]:
    """The words of a setting, the longest first. Raises `Refusal` where they are too many."""
    found = settings.get(name, "").split()
    if len(found) > WORDS_MAX:
        raise Refusal(f"its setting `{name}` has {len(found)} words: there may be {WORDS_MAX}")
    return sorted((word.encode() for word in found), key=len, reverse=True)


@interceptor
class Mask(Interceptor):
    """Keeps words out of texts."""

    def configured(self, settings: Mapping[str, str]) -> None:
        for name in settings:
            if name not in ("words", "forbidden", "with"):
                raise Refusal(f"it has no setting `{name}`: use words, forbidden or with")
        self.masked, self.forbidden = words(settings, "words"), words(settings, "forbidden")
        self.replacement = settings.get("with", "***").encode()
        if not self.masked and not self.forbidden:
            raise Refusal("it has nothing to do: set `words` or `forbidden`")
        if self.masked and len(self.masked[-1]) < len(self.replacement):
            raise Refusal(f"its setting `words` has `{self.masked[-1].decode()}`, which is shorter than what stands in its place")

    def outbound(self, message: Passing) -> bytes | None:
        if not message.content.is_text:
            return None
        if any(word in message.body for word in self.forbidden):
            raise Refusal("it says what no message may say")
        body = message.body
        for word in self.masked:
            body = body.replace(word, self.replacement)
        return None if body == message.body else body
