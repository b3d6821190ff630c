"""Builds a component: ``matrix-soul build counter.py -o counter.wasm``.

The component exports what the class is (a Soul, with a state, a player, a learner; rules; an interceptor), and imports what the
code imports of `matrix_soul`.
"""

import argparse
import importlib
import inspect
import shutil
import subprocess
import sys
import tempfile
import traceback
from importlib import metadata
from itertools import dropwhile
from pathlib import Path
from types import ModuleType

from . import interpreters, labels, program
from .stateful import Definition, definition

#: What a module of this package takes of the node.
IMPORTS = {
    "messaging": ["matrix:node/messaging@0.1.0"],
    "memory": ["matrix:node/memory@0.1.0"],
    "grpc": ["matrix:node/grpc@0.1.0"],
    "http": ["wasi:http/outgoing-handler@0.2.12", "wasi:http/types@0.2.12"],
    "events": ["matrix:node/events@0.1.0"],
    "keyvalue": ["wasi:keyvalue/store@0.2.0-draft", "wasi:keyvalue/atomics@0.2.0-draft", "wasi:keyvalue/batch@0.2.0-draft"],
}

#: Which of these a component of a kind may use. Rules see only what they are passed; a stage of the transport sends nothing, and
#: waits for nothing.
ALLOWED = {"soul": set(IMPORTS), "rules": {"events"}, "interceptor": {"events"}}

#: `--stub-wasi` takes away every package called `wasi`: Python's clock, files and sockets, which a component must not
#: have, and also the log, the settings, the KV and requests over HTTP with their streams, which the node gives. These go by a name
#: of the same length until the component is made.
DISGUISED = [(f"wasi:{name}".encode(), f"wasx:{name}".encode()) for name in ("logging", "config", "keyvalue", "http", "io")]

#: The component's own module. `prelude` comes first: what the author's code imports has the component's clock.
ENTRY = """\
from matrix_soul import prelude
prelude.install(has_chance={has_chance})
import {module}
from matrix_soul import component
globals().update(component.exports_of({module}.{inhabitant}))
"""


class BuildError(Exception):
    """Why no component was built, in words for the author."""


def find(module: str) -> type:
    """The one class of a module that is a component. Raises `BuildError` where there is none, or several."""
    members = vars(_imported(module)).values()
    defined = [it for it in members if inspect.isclass(it) and it.__module__ == module]
    found = [it for it in defined if isinstance(vars(it).get("__matrix_soul__"), Definition)]
    if len(found) != 1:
        names = ", ".join(it.__name__ for it in found) or "none"
        raise BuildError(f"`{module}` must define one class marked with `@soul`, `@rules` or `@interceptor`, and has {names}")
    return found[0]


def _imported(module: str) -> ModuleType:
    """The author's module. Raises `BuildError` with what Python says of it."""
    sys.dont_write_bytecode = True
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise BuildError(f"`{module}` cannot be imported\n{_told(error)}") from None


def _told(error: Exception) -> str:
    """What Python says of an error, without the way from here to the author's code."""
    told = traceback.TracebackException.from_exception(error)
    way = (__file__, importlib.__file__)
    own = dropwhile(lambda it: it.filename.startswith("<frozen") or it.filename in way, told.stack)
    return "".join([*traceback.StackSummary.from_list(list(own)).format(), *told.format_exception_only()]).rstrip()


def world(inhabitant: type) -> str:
    """The world of a component, in WIT: as its module was imported, what it reaches is known. Raises `BuildError` where that is
    more than it may."""
    known = definition(inhabitant)
    used = [name for name in IMPORTS if f"matrix_soul.{name}" in sys.modules]
    for name in used:
        if name not in ALLOWED[known.kind]:
            raise BuildError(f"`{inhabitant.__name__}` cannot use `matrix_soul.{name}`: a node gives it to Souls alone")
    lines = ["import wasi:logging/logging@0.1.0-draft;"]
    lines += [f"import {it};" for it in (*known.imports, *(it for name in used for it in IMPORTS[name]))]
    lines += [f"export matrix:node/{it}@0.1.0;" for it in known.exports]
    return "package matrix:component;\n\nworld component {\n" + "".join(f"    {it}\n" for it in lines) + "}\n"


def interfaces() -> Path:
    """The folder `wit` of this package, or of the project that it lies in."""
    inside = Path(__file__).parent / "wit"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[4] / "wit"


def build(source: Path, wit: Path, output: Path, label: dict[str, str], quick: bool = False) -> None:
    """Builds the component of the class in a file, with this label; `quick`: of an interpreter that is kept, with the code beside
    it. Raises `BuildError`."""
    if not (wit / "agent.wit").is_file():
        raise BuildError(f"{wit} does not hold the interfaces of a node: say `--wit` and the project's folder `wit`")
    sys.path.insert(0, str(source.parent))
    before = set(sys.modules)
    inhabitant = find(source.stem)
    component = (_interpreted if quick else _whole)(source, inhabitant, wit, before)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Copied aside and renamed, so that whoever reads the old one at this moment reads it whole.
    partial = output.with_name(f".{output.name}")
    partial.write_bytes(labels.written(component, label, _producers()))
    partial.replace(output)


def _whole(source: Path, inhabitant: type, wit: Path, _before: set[str]) -> bytes:
    """The component that has the code in it."""
    has_chance = definition(inhabitant).kind == "soul"
    entry = ENTRY.format(module=source.stem, inhabitant=inhabitant.__name__, has_chance=has_chance)
    return _componentized(world(inhabitant), entry, wit, [source.parent])


def _interpreted(source: Path, inhabitant: type, wit: Path, before: set[str]) -> bytes:
    """The component that carries the code."""
    known, own = definition(inhabitant), interpreters.own_modules(source)
    entry = interpreters.ENTRY.format(
        has_chance=known.kind == "soul", imported=interpreters.imported(own, before), exports=known.exports
    )
    wanted = world(inhabitant).replace("{\n", "{\n    import matrix:node/program@0.1.0;\n", 1)
    interpreter = interpreters.kept(wanted, entry, wit, lambda entry: _componentized(wanted, entry, wit, []))
    return interpreters.carrying(interpreter, program.packed(source.stem, inhabitant.__name__, own))


def _componentized(world: str, entry: str, wit: Path, folders: list[Path]) -> bytes:
    """What the builder of components makes of a module, whose imports are in `folders`. Raises `BuildError`."""
    tool = shutil.which("componentize-py", path=str(Path(sys.executable).parent)) or shutil.which("componentize-py")
    if tool is None:
        raise BuildError("`componentize-py` is missing: install `matrix-soul[build]`")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        packages = made / "wit" / "deps"
        shutil.copytree(wit / "deps", packages)
        shutil.copytree(wit, packages / "matrix-node", ignore=shutil.ignore_patterns("deps"))
        (made / "wit" / "world.wit").write_text(world)
        for file in made.glob("wit/**/*.wit"):
            file.write_bytes(_replaced(file.read_bytes(), DISGUISED))
        module = made / "matrix_soul_entry.py"
        module.write_text(entry)
        # What is installed beside the SDK is found by the builder itself.
        command = [tool, "-d", made / "wit", "-w", "component", "componentize", "--stub-wasi"]
        command += [it for path in (made, *folders, Path(__file__).parent.parent) for it in ("-p", path)]
        ended = subprocess.run([*command, module.stem, "-o", made / "out.wasm"], capture_output=True, text=True)
        if ended.returncode != 0:
            raise BuildError(f"componentize-py: {ended.stdout}{ended.stderr}")
        return _replaced((made / "out.wasm").read_bytes(), [(new, old) for old, new in DISGUISED])


def _producers() -> list[tuple[str, str, str]]:
    """What has a part in the component."""
    try:
        version = metadata.version("matrix-soul")
    except metadata.PackageNotFoundError:
        version = ""  # It is not installed, but lies beside the Soul.
    return [("language", "Python", ""), ("sdk", "matrix-soul", version)]


def _label(given: list[str], source: Path) -> dict[str, str]:
    """What is said of the component: on the command line, by the project, by the file's name. Raises `BuildError`."""
    said = {"name": source.stem, **labels.of_project(source.parent)}
    for pair in given:
        key, _, text = pair.partition("=")
        if key not in labels.KEYS or not text:
            raise BuildError(f"`--label {pair}`: say KEY=TEXT; the keys are {', '.join(labels.KEYS)}")
        said[key] = text
    return said


def _replaced(data: bytes, pairs: list[tuple[bytes, bytes]]) -> bytes:
    for old, new in pairs:
        data = data.replace(old, new)
    return data


def main() -> None:
    """The command ``matrix-soul``."""
    parser = argparse.ArgumentParser(prog="matrix-soul", description="Builds components for Matrix OS.")
    command = parser.add_subparsers(required=True).add_parser("build", help="builds a component")
    command.add_argument("source", type=Path, help="the file that defines the Soul, the rules or the interceptor")
    command.add_argument("-o", "--output", type=Path, help="the component; SOURCE.wasm unless told")
    command.add_argument("--wit", type=Path, default=interfaces(), help="the interfaces; those of this package unless told")
    command.add_argument(
        "--label", action="append", default=[], metavar="KEY=TEXT", help="what the component says of itself, such as version=1.2.0"
    )
    command.add_argument(
        "--quick", action="store_true", help="builds an interpreter once, and from then on puts the code beside it: for trying things out"
    )
    given = parser.parse_args()
    source = given.source.resolve()
    try:
        build(source, given.wit, given.output or source.with_suffix(".wasm"), _label(given.label, source), given.quick)
    except BuildError as error:
        sys.exit(f"matrix-soul: {error}")


if __name__ == "__main__":
    main()
