"""How calls reach what lives in a component, whatever it is."""

import logging
from collections.abc import Callable, Iterable
from types import CodeType, TracebackType
from typing import Any

from .host import Err
from .types import Refusal

#: Where faults are told.
log = logging.getLogger("matrix_soul")


def guarded(call: Callable[[], Any]) -> Any:
    """A call whose refusal is told, and whose fault is logged before it ends the instance."""
    try:
        return call()
    except Refusal as refusal:
        raise Err(str(refusal)) from None
    except Exception as error:
        log.error("%s", fault(error))
        raise


def fault(error: BaseException) -> str:
    """What went wrong, and where, the latest call last. Without the lines of the code: a component has no files."""
    places = [f"  {code.co_filename}:{line} in {code.co_name}" for code, line in _frames(error.__traceback__)]
    return "\n".join(["Traceback:", *places, f"{type(error).__name__}: {error}"])


def _frames(at: TracebackType | None) -> Iterable[tuple[CodeType, int]]:
    while at is not None:
        yield at.tb_frame.f_code, at.tb_lineno
        at = at.tb_next
