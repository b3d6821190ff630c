"""Time and chance as a Soul has them: the message's time, and what follows from the seed of its birth.

Inside a component Python's own modules are made to go by these, before the Soul's code is imported.
"""

import datetime
import os
import random
import time
from typing import Any

#: Milliseconds since the Unix epoch: the time of the message that is handled. It stands still meanwhile.
_now_ms = 0
_entropy = random.Random(0)
_Real = datetime.datetime


def now_ms() -> int:
    """The time of the message that is handled, in milliseconds since the Unix epoch. In a tick it is that of the last
    message."""
    return _now_ms


def move_to(ms: int) -> None:
    """Sets the time."""
    global _now_ms
    _now_ms = ms


def seed(value: int) -> None:
    """Seeds `random`, and what stands in for entropy."""
    random.seed(value)
    # Not the same sequence again: what looks like a secret must not be what `random` says next.
    _entropy.seed(f"entropy {value}")


class _SoulTime(_Real):
    """`datetime.datetime`, by the Soul's clock."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(_now_ms / 1000, tz or datetime.timezone.utc).replace(tzinfo=tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now()

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _SoulDate(datetime.date):
    """`datetime.date`, by the Soul's clock."""

    @classmethod
    def today(cls) -> Any:
        now = _SoulTime.now()
        return cls(now.year, now.month, now.day)


class _SoulRandom(random.Random):
    """`random.Random`, which takes what stands in for entropy where it is given no seed."""

    def __new__(cls, *arguments: Any) -> Any:
        return super().__new__(cls, *(arguments[:1] or (0,)))

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(_entropy.getrandbits(256) if a is None else a, version)


def _no_sleep(_seconds: float) -> None:
    raise RuntimeError("a Soul cannot sleep: it is woken by messages")


def _no_chance(*_arguments: Any, **_named: Any) -> Any:
    raise RuntimeError(
        "rules and interceptors have no chance of their own: rules draw from a `matrix_soul.Chance` in their state, "
        "of the setup's seed; what is left in a module is lost where a run is taken up again"
    )


class _SeededRandom(random.Random):
    """`random.Random`, which there is with a seed alone."""

    def __new__(cls, *arguments: Any) -> Any:
        return super().__new__(cls, *(arguments[:1] or (0,)))

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(_no_chance() if a is None else a, version)


def install(has_chance: bool = True) -> None:
    """Has Python's own modules go by the component's time and chance, or have no chance at all. Their time zone is UTC."""
    real_gmtime, real_strftime = time.gmtime, time.strftime

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return real_gmtime(_now_ms / 1000 if seconds is None else seconds)

    def strftime(form: str, at: Any = None) -> str:
        return real_strftime(form, gmtime() if at is None else at)

    def asctime(at: Any = None) -> str:
        return strftime("%a %b %e %H:%M:%S %Y", at)

    replaced = {
        "time": lambda: _now_ms / 1000,
        "time_ns": lambda: _now_ms * 1_000_000,
        "gmtime": gmtime,
        "localtime": gmtime,
        "strftime": strftime,
        "asctime": asctime,
        "ctime": lambda seconds=None: asctime(gmtime(seconds)),
        "sleep": _no_sleep,
    }
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        replaced[name] = replaced["time"]
        replaced[f"{name}_ns"] = replaced["time_ns"]
    for name, function in replaced.items():
        setattr(time, name, function)
    datetime.datetime, datetime.date = _SoulTime, _SoulDate  # type: ignore[misc]
    entropy = _no_chance
    if has_chance:
        random.Random = _SoulRandom  # type: ignore[misc]
        entropy = lambda count: _entropy.randbytes(count)
    else:
        hidden = random._inst  # type: ignore[attr-defined]
        for name in [it for it in dir(random) if getattr(getattr(random, it), "__self__", None) is hidden]:
            setattr(random, name, _no_chance)
        random.Random = _SeededRandom  # type: ignore[misc]
    os.urandom = entropy
    random._urandom = entropy  # type: ignore[attr-defined]
