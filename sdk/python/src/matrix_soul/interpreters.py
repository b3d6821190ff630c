"""Builds a component for an author who waits: an interpreter that was built before, and the code beside it.

The interpreter is a component too. It is kept, and serves until the code wants something else of the node, exports something
else, or imports another module that is not the author's. What code does when it is imported it does in the node then, not here.
"""

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from . import labels
from .program import Code

#: How many interpreters are kept; those that were used longest ago go.
KEPT = 8

#: The section of a component in which it carries what it is to run.
SECTION = "matrix:program"

#: An interpreter's own module. What cannot be imported here the code does not import either, or does without.
ENTRY = """\
from matrix_soul import prelude
prelude.install(has_chance={has_chance})
import contextlib, importlib
for name in {imported!r}:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
from matrix_soul import program
globals().update(program.exports_of({exports!r}))
"""


def folder() -> Path:
    """Where interpreters are kept: beside what else `matrix` keeps for the next time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MATRIX_CACHE_DIR") or Path(cache) / "matrix") / "interpreters"


def own_modules(source: Path) -> dict[str, Code]:
    """The author's modules that were imported: those from the folder of `source`, but for what is installed there."""
    own = {}
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        if file.suffix == ".py" and _is_own(file, source.parent):
            is_package = file.name == "__init__.py"
            own[name] = Code(str(file.relative_to(source.parent)), file.read_text(), is_package)
    return own


def _is_own(file: Path, folder: Path) -> bool:
    # The SDK may lie in the same folder; what is installed is part of the interpreter.
    if not file.is_relative_to(folder) or file.is_relative_to(Path(__file__).parent):
        return False
    return not {".venv", "site-packages"} & set(file.relative_to(folder).parts) and not file.is_relative_to(sys.prefix)


def imported(own: dict[str, Code], before: set[str]) -> list[str]:
    """The modules that the author's import while they are imported, but for their own. `before`: those that were there."""
    named = {name for code in own.values() for name in _named(ast.parse(code.source))}
    roots = {name.partition(".")[0] for name in own}
    known = {name for name in named if name in sys.modules} | (set(sys.modules) - before)
    return sorted(name for name in known if name.partition(".")[0] not in {*roots, "__main__"})


def _named(node: ast.AST) -> Iterator[str]:
    """What is imported, inside of functions left out."""
    for it in ast.iter_child_nodes(node):
        if isinstance(it, ast.Import):
            yield from (name.name for name in it.names)
        elif isinstance(it, ast.ImportFrom) and it.level == 0 and it.module:
            yield it.module
            yield from (f"{it.module}.{name.name}" for name in it.names)
        elif not isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _named(it)


def kept(world: str, entry: str, wit: Path, make: Callable[[str], bytes]) -> bytes:
    """The interpreter of this world and with this module, which `make` builds where none is kept."""
    path = folder() / f"python-{_key(world, entry, wit)}.wasm"
    try:
        interpreter = path.read_bytes()
        path.touch()
        return interpreter
    except FileNotFoundError:
        interpreter = make(entry)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(interpreter)
    aside.replace(path)
    oldest = sorted(path.parent.glob("python-*.wasm"), key=lambda it: it.stat().st_mtime)[:-KEPT]
    for it in oldest:
        it.unlink(missing_ok=True)
    return interpreter


def _key(world: str, entry: str, wit: Path) -> str:
    """What an interpreter goes by: all that it is built from."""
    key = hashlib.sha256(f"{world}\0{entry}\0{sys.version}\0".encode())
    installed = sorted(f"{it.name} {it.version}" for it in metadata.distributions())
    key.update("\n".join(installed).encode())
    for file in sorted([*wit.rglob("*.wit"), *Path(__file__).parent.glob("*.py")]):
        key.update(file.name.encode() + b"\0" + file.read_bytes())
    return key.hexdigest()[:32]


def carrying(component: bytes, program: bytes) -> bytes:
    """The component, with this program to run."""
    return component + labels.custom(SECTION, program)
