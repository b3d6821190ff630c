"""Imported by a component before the Soul's code: time and chance, and where log lines go."""

import io
import logging
import sys

from . import clock, host

_wit = host.bound("logging")


def line(level: int, context: str, text: str) -> None:
    """Writes a line to the Soul's log; `level` is one of Python's."""
    levels = _wit.Level
    for least, name in ((50, "CRITICAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG")):
        if level >= least:
            _wit.log(getattr(levels, name), context, text)
            return
    _wit.log(levels.TRACE, context, text)


class Handler(logging.Handler):
    """Hands Python's log records to the node."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line(record.levelno, record.name, self.format(record))
        except Exception:  # A line that cannot be written must not end what wrote it.
            self.handleError(record)


class _Lines(io.TextIOBase):
    """What is printed, as lines of the log."""

    def __init__(self, level: int, context: str) -> None:
        self._level, self._context, self._rest = level, context, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for it in whole:
            line(self._level, self._context, it)
        return len(text)


def install(has_chance: bool = True) -> None:
    """Takes hold of Python's clock, chance, log and streams. Every level is handed on: the node filters."""
    clock.install(has_chance)
    root = logging.getLogger()
    root.handlers = [Handler()]
    root.setLevel(1)
    sys.stdout, sys.stderr = _Lines(20, "stdout"), _Lines(30, "stderr")
