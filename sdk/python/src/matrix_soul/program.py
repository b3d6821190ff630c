"""Runs the code that a component carries, where the component is an interpreter: in the place of what `build` puts into it."""

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from . import component, host
from .entry import guarded

_carried = host.bound("program")


@dataclass(frozen=True, slots=True)
class Code:
    """A module of the author's."""

    #: What errors call its file.
    file: str
    source: str
    is_package: bool = False


def packed(module: str, inhabitant: str, modules: dict[str, Code]) -> bytes:
    """Code as a component carries it: its modules by name, the one that is the component, and the class in it."""
    code = {name: asdict(modules[name]) for name in sorted(modules)}
    return json.dumps({"module": module, "class": inhabitant, "modules": code}).encode()


def exports_of(names: Iterable[str]) -> dict[str, type]:
    """Classes by which calls reach a component that exports these interfaces. With the first call the code is run that they
    lead to."""
    living = functools.cache(lambda: guarded(_living))

    def entrance(name: str) -> type:
        return type(name, (), {"__getattr__": lambda self, function: getattr(living()[name], function)})

    return {name.capitalize(): entrance(name.capitalize()) for name in names}


def _living() -> dict[str, Any]:
    program = json.loads(_carried.read() or b"null")
    if program is None:
        raise RuntimeError("this component is an interpreter, and carries no code")
    return {name: made() for name, made in component.exports_of(loaded(program)).items()}


def loaded(program: Any) -> type:
    """Runs the code, and returns the class that it leads to."""
    modules = {name: Code(**code) for name, code in program["modules"].items()}
    sys.meta_path.insert(0, _Finder(modules))
    return getattr(importlib.import_module(program["module"]), program["class"])


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the author's modules in what the component carries."""

    def __init__(self, modules: dict[str, Code]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        code = self._modules.get(name)
        if code is None:
            return None
        return importlib.util.spec_from_loader(name, self, origin=code.file, is_package=code.is_package)

    def exec_module(self, module: ModuleType) -> None:
        code = self._modules[module.__name__]
        module.__file__ = code.file
        exec(compile(code.source, code.file, "exec"), module.__dict__)
