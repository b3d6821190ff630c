"""The replicated key-value store (``wasi:keyvalue``), one bucket at a time.

A bucket is used as a dictionary of bytes is::

    notes = keyvalue.open("notes")
    notes["hello"] = b"world"
    total = notes.increment("visits")
"""

from collections.abc import Iterator, Mapping, Sequence

from . import host
from .types import Refusal

_store = host.bound("store")
_atomics = host.bound("atomics")
_batch = host.bound("batch")


class KeyValueError(Refusal):
    """Why an operation failed. Not caught, it becomes the failure of the message being handled."""


class NoSuchStore(KeyValueError):
    """No bucket of this name exists here."""


class AccessDenied(KeyValueError):
    """The Soul holds no grant for what it tried."""


class Bucket:
    """An open bucket of keys and values; get one by `open`. Every method may raise `KeyValueError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bucket = self._call(_store.open, name)

    def get(self, key: str, default: bytes | None = None) -> bytes | None:
        """The value of a key; `default` where it has none."""
        found = self._call(self._bucket.get, key)
        return default if found is None else found

    def __getitem__(self, key: str) -> bytes:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, value: bytes) -> None:
        self._call(self._bucket.set, key, value)

    def __delitem__(self, key: str) -> None:
        """Takes a key's value away; no error if it has none: that would cost another look."""
        self._call(self._bucket.delete, key)

    def __contains__(self, key: str) -> bool:
        return self._call(self._bucket.exists, key)

    def __iter__(self) -> Iterator[str]:
        """The keys, fetched a page at a time."""
        cursor = None
        while True:
            page = self._call(self._bucket.list_keys, cursor)
            yield from page.keys
            cursor = page.cursor
            if cursor is None:
                return

    def increment(self, key: str, delta: int = 1) -> int:
        """Adds to the number under a key (none counts as 0), atomically, and returns the sum."""
        return self._call(_atomics.increment, self._bucket, key, delta)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of several keys, in the same order; None for a key that has none."""
        found = self._call(_batch.get_many, self._bucket, list(keys))
        return [None if it is None else it[1] for it in found]

    def set_many(self, entries: Mapping[str, bytes]) -> None:
        """Gives several keys their values. Not atomic: some may be set where an error is raised."""
        self._call(_batch.set_many, self._bucket, list(entries.items()))

    def delete_many(self, keys: Sequence[str]) -> None:
        """Takes several keys' values away. Not atomic, as `set_many`."""
        self._call(_batch.delete_many, self._bucket, list(keys))

    def _call(self, function, *arguments):
        try:
            return function(*arguments)
        except host.Err as error:
            match host.case(error.value):
                case "NoSuchStore":
                    raise NoSuchStore(f"there is no bucket `{self._name}`") from None
                case "AccessDenied":
                    raise AccessDenied(f"there is no grant for this in the bucket `{self._name}`") from None
                case _:
                    raise KeyValueError(error.value.value) from None


def open(name: str) -> Bucket:
    """Opens a bucket by its name. Raises `KeyValueError`."""
    return Bucket(name)
