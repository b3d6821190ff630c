"""What the fake node of `matrix_soul.testing` keeps: buckets and episodes, as the generated bindings reach them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from . import host
from .memory import Cue, Impression, Recollection

#: Keys on a page: few, so that tests see more than one.
PAGE = 4
#: The most episodes of a Soul.
EPISODES_MAX = 1000


def _failed(case: str, *values: Any) -> host.Err:
    made = type(case, (), {})()
    if values:
        made.value = values[0]
    return host.Err(made)


class _Bucket:
    """An open bucket."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def set(self, key: str, value: bytes) -> None:
        self.entries[key] = bytes(value)

    def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    def exists(self, key: str) -> bool:
        return key in self.entries

    def list_keys(self, cursor: int | None) -> Any:
        keys, start = sorted(self.entries), cursor or 0
        following = start + PAGE if start + PAGE < len(keys) else None
        return SimpleNamespace(keys=keys[start : start + PAGE], cursor=following)


class Buckets:
    """All buckets of the node: a bucket is there when it is opened."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._open: dict[str, _Bucket] = {}

    def open(self, name: str) -> _Bucket:
        if self._node.denied("keyvalue"):
            raise _failed("Error_AccessDenied")
        return self._open.setdefault(name, _Bucket())

    def increment(self, bucket: _Bucket, key: str, delta: int) -> int:
        try:
            total = int(bucket.get(key) or b"0") + delta
        except ValueError:
            raise _failed("Error_Other", f"the value of `{key}` is no number") from None
        bucket.set(key, str(total).encode())
        return total

    def get_many(self, bucket: _Bucket, keys: list[str]) -> list[tuple[str, bytes] | None]:
        return [(key, bucket.entries[key]) if key in bucket.entries else None for key in keys]

    def set_many(self, bucket: _Bucket, entries: list[tuple[str, bytes]]) -> None:
        bucket.entries.update(entries)

    def delete_many(self, bucket: _Bucket, keys: list[str]) -> None:
        for key in keys:
            bucket.delete(key)


class Episodes:
    """What the Souls of the node remember: found by how many words of the cue they have, and then by importance."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._kept: dict[str, dict[int, Recollection]] = {}
        self._given = 0

    def _own(self) -> dict[int, Recollection]:
        if self._node.denied("memory"):
            raise _failed("MemoryError_Denied", "no grant `memory`")
        return self._kept.setdefault(self._node.inside, {})

    def remember(self, it: Impression, instead_of: list[int]) -> int:
        own = self._own()
        if not 0 <= it.importance <= 1:
            raise _failed("MemoryError_Invalid", f"`importance` is {it.importance}: it must be from 0 to 1")
        for episode in instead_of:
            own.pop(episode, None)
        self._given += 1
        now = self._node.now_ms
        own[self._given] = Recollection(
            self._given, now, now, it.text, it.importance, tuple(it.tags), 0.0, times=1, last_at=now
        )
        return self._given

    def recall(self, cue: Cue, limit: int) -> list[Any]:
        own, words = self._own(), set(cue.text.lower().split())

        def fits(it: Recollection) -> float:
            said = {*it.text.lower().split(), *(tag.lower() for tag in it.tags)}
            return len(words & said) / len(words) if words else 1.0

        found = sorted((it for it in own.values() if fits(it) > 0), key=lambda it: (-fits(it), -it.importance, it.id))
        for it in found[:limit]:
            own[it.id] = replace(it, recalled_at=self._node.now_ms)
        return [SimpleNamespace(episode=it, score=(fits(it) + it.importance) / 2) for it in found[:limit]]

    def forget(self, episode: int) -> bool:
        return self._own().pop(episode, None) is not None

    def usage(self) -> Any:
        own = self._own()
        taken = sum(128 + len(it.text.encode()) for it in own.values())
        return SimpleNamespace(episodes=len(own), episodes_max=EPISODES_MAX, bytes=taken, bytes_max=1 << 20)
