"""Where a Soul meets the node: the generated bindings inside a component, a fake node in tests, and otherwise nothing."""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

try:
    from componentize_py_types import Err, Ok
except ImportError:

    @dataclass(frozen=True)
    class Ok:  # type: ignore[no-redef]
        """A success, as the generated bindings have it."""

        value: Any

    @dataclass(frozen=True)
    class Err(Exception):  # type: ignore[no-redef]
        """A failure, as the generated bindings have it."""

        value: Any


#: What stands in for interfaces outside a component, by name: set by `matrix_soul.testing`.
fakes: dict[str, Any] = {}


@contextlib.contextmanager
def faked(**interfaces: Any) -> Iterator[None]:
    """Has these stand in for interfaces meanwhile."""
    before = dict(fakes)
    fakes.update(interfaces)
    try:
        yield
    finally:
        fakes.clear()
        fakes.update(before)


class _Absent:
    """An interface outside a component: a fake node's, if there is one."""

    def __init__(self, interface: str) -> None:
        self._interface = interface

    def __getattr__(self, name: str) -> Any:
        fake = fakes.get(self._interface)
        if fake is None:
            raise RuntimeError(
                f"`{self._interface}` is reached inside a node only: in tests, run it in `matrix_soul.testing.Node`, a `Run` or a `Stage`"
            )
        return getattr(fake, name)


def bound(interface: str, package: str = "") -> Any:
    """The generated module of an imported interface, such as ``messaging``. `package` tells two of one name apart: in tests,
    and in a component that imports both, where it stands before the name."""
    for name in (f"{package}{interface}", interface):
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"wit_world.imports.{name}")
    return _Absent(f"{package}{interface}")


def exported(interface: str) -> Any:
    """The generated module of an exported interface, such as ``interceptor``, which has the types that are its own."""
    try:
        return importlib.import_module(f"wit_world.exports.{interface}")
    except ImportError:
        return _Absent(f"exported_{interface}")


def case(value: Any) -> str:
    """Which case of a variant a generated value is: the part of its class's name behind the variant's own."""
    return type(value).__name__.rpartition("_")[2]
