"""What a component says of itself: name, version, authors, licences, in the sections that `wasm-tools metadata` and registries read."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

#: What can be said. All but the name stand in a section each, of that name: the annotations of OCI.
KEYS = ("name", "version", "authors", "description", "licenses", "source", "homepage", "revision")

_COMPONENT = b"\0asm\x0d\0\1\0"
_NAMES, _PRODUCERS = "component-name", "producers"
_OWN_NAME = 0


def of_project(folder: Path) -> dict[str, str]:
    """What the nearest `pyproject.toml` says, in the folder or above it; without a name, as a project may have many Souls."""
    found = next((it for it in (folder / "pyproject.toml", *(up / "pyproject.toml" for up in folder.parents)) if it.is_file()), None)
    project = tomllib.loads(found.read_text()).get("project", {}) if found else {}
    urls = {key.lower(): url for key, url in project.get("urls", {}).items()}
    licence = project.get("license", "")
    said = {
        "version": project.get("version", ""),
        "authors": ", ".join(_person(it) for it in project.get("authors", [])),
        "description": project.get("description", ""),
        "licenses": licence if isinstance(licence, str) else licence.get("text", ""),
        "source": urls.get("source") or urls.get("repository", ""),
        "homepage": urls.get("homepage", ""),
    }
    return {key: text for key, text in said.items() if text}


def written(component: bytes, label: dict[str, str], producers: list[tuple[str, str, str]]) -> bytes:
    """The component with this label. What it says replaces what the component said; `producers` (role, name, version) are added."""
    kept, names, made = [_COMPONENT], [], []
    for whole, name, data in _sections(component):
        if name == _NAMES and "name" in label:
            names += [part for number, part in _parts(data) if number != _OWN_NAME]
        elif name == _PRODUCERS:
            made += _producers(data)
        elif name not in label or name == "name":
            kept.append(whole)
    if "name" in label:
        own = _text(label["name"])
        kept.append(custom(_NAMES, bytes([_OWN_NAME]) + _number(len(own)) + own + b"".join(names)))
    by_role: dict[str, dict[str, str]] = {}
    for role, name, version in [*made, *producers]:
        by_role.setdefault(role, {})[name] = version
    fields = [
        _text(role) + _number(len(all_)) + b"".join(_text(name) + _text(version) for name, version in all_.items())
        for role, all_ in by_role.items()
    ]
    kept.append(custom(_PRODUCERS, _number(len(fields)) + b"".join(fields)))
    kept += [custom(key, label[key].encode()) for key in KEYS if key != "name" and key in label]
    return b"".join(kept)


def _person(author: dict[str, str]) -> str:
    name, email = author.get("name", ""), author.get("email", "")
    return f"{name} <{email}>" if name and email else name or email


def _sections(component: bytes) -> Iterator[tuple[bytes, str | None, bytes]]:
    """Each section: all of it, and of a custom one its name and what it holds."""
    if not component.startswith(_COMPONENT):
        raise ValueError("this is no component")
    at = len(_COMPONENT)
    while at < len(component):
        length, body = _take(component, at + 1)
        end = body + length
        name = None
        if component[at] == 0:
            size, start = _take(component, body)
            body = start + size
            name = component[start:body].decode()
        yield component[at:end], name, component[body:end]
        at = end


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbered parts of a section of names, each with its frame."""
    at = 0
    while at < len(data):
        length, body = _take(data, at + 1)
        yield data[at], data[at : body + length]
        at = body + length


def _producers(data: bytes) -> Iterator[tuple[str, str, str]]:
    roles, at = _take(data, 0)
    for _ in range(roles):
        role, at = _read(data, at)
        count, at = _take(data, at)
        for _ in range(count):
            name, at = _read(data, at)
            version, at = _read(data, at)
            yield role, name, version


def _read(data: bytes, at: int) -> tuple[str, int]:
    length, start = _take(data, at)
    return data[start : start + length].decode(), start + length


def _take(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _number(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(text: str) -> bytes:
    data = text.encode()
    return _number(len(data)) + data


def custom(name: str, data: bytes) -> bytes:
    """A section that no engine reads."""
    body = _text(name) + data
    return b"\0" + _number(len(body)) + body
