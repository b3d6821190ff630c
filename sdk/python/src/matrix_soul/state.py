"""The state of a Soul as bytes: its fields as JSON, checked against their annotations.

JSON, because it can be read by people and by code in other languages; sorted, because the same state must give the same
bytes. A field may be ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, an ``Enum``, a dataclass, or a ``list``,
``tuple``, ``set``, ``frozenset``, ``dict`` (by ``str`` or ``int``) or union of these.
"""

import base64
import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from enum import Enum
from typing import Any, Union

from .reading import parse_json
from .types import Refusal

#: Types that JSON has itself.
_PLAIN = (type(None), bool, int, float, str)
_Fields = Sequence[dataclasses.Field[Any]]


def encode(holder: Any, fields: _Fields) -> bytes:
    """The fields of an object as bytes. Raises `Refusal` where one holds what its annotation does not allow."""
    hints = _hints(type(holder))
    name = type(holder).__name__
    return dump({it.name: _out(getattr(holder, it.name), hints[it.name], f"{name}.{it.name}") for it in fields})


def dump(value: Any) -> bytes:
    """A value of JSON as bytes: the same for the same value."""
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refusal(f"the state cannot be written as JSON: {error}") from error
    return text.encode()


def parse(data: bytes, schema: str) -> Any:
    """Bytes as a value of JSON. Raises `Refusal` where they are none."""
    try:
        return parse_json(data)
    except ValueError as error:
        raise Refusal(f"not a state of schema `{schema}`: {error}") from error


def decode(value: Any, fields: _Fields, name: str) -> dict[str, Any]:
    """Values of these fields of the class `name`, by name. Raises `Refusal`, naming the place, where they are none."""
    if not isinstance(value, dict):
        raise Refusal(f"{name}: the state is no JSON object")
    hints = {it.name: it.type for it in fields}
    strange = sorted(set(value) ^ set(hints))
    if strange:
        raise Refusal(f"{name}: the state and the class differ in {', '.join(strange)}: a new layout needs a new schema")
    return {key: _in(value[key], hint, f"{name}.{key}") for key, hint in hints.items()}


def check(fields: _Fields, name: str) -> None:
    """Resolves the annotations of fields. Raises ``TypeError`` where one cannot be part of a state."""
    for it in fields:
        if isinstance(it.type, str):
            raise TypeError(f"`{name}.{it.name}`: leave out `from __future__ import annotations`")
        _allowed(it.type, f"{name}.{it.name}")


def _hints(owner: type) -> dict[str, Any]:
    return {it.name: it.type for it in dataclasses.fields(owner)}


def _allowed(hint: Any, where: str) -> None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint in _PLAIN or hint is bytes or hint is Any:
        return
    if isinstance(hint, type) and (issubclass(hint, Enum) or dataclasses.is_dataclass(hint)):
        return
    if origin in (list, set, frozenset, tuple, Union, types.UnionType) and arguments:
        for argument in arguments:
            if argument is not Ellipsis:
                _allowed(argument, where)
        return
    if origin is dict and arguments[0] in (str, int):
        _allowed(arguments[1], where)
        return
    raise TypeError(f"`{where}`: a field of type {hint} cannot be part of a state; see `matrix_soul.state`")


def _out(value: Any, hint: Any, where: str) -> Any:
    """A value as JSON has it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _out(value, _case(value, arguments, where), where)
    if origin in (list, set, frozenset, tuple):
        if not isinstance(value, origin):
            raise Refusal(f"{where} holds a {type(value).__name__}, and is declared as {hint}")
        items = [_out(it, item, where) for it, item in zip(value, _items(hint, len(value), where))]
        return sorted(items) if origin in (set, frozenset) else items
    if origin is dict and isinstance(value, dict):
        return {str(key): _out(it, arguments[1], f"{where}[{key!r}]") for key, it in value.items()}
    if isinstance(hint, type) and isinstance(value, hint):
        if hint is bytes:
            return base64.b64encode(value).decode()
        if issubclass(hint, Enum):
            return value.name
        if dataclasses.is_dataclass(hint):
            return {it.name: _out(getattr(value, it.name), it.type, f"{where}.{it.name}") for it in dataclasses.fields(hint)}
        return value
    if value is None and hint is None or hint is float and type(value) is int:
        return value
    raise Refusal(f"{where} holds a {type(value).__name__}, and is declared as {hint}")


def _in(value: Any, hint: Any, where: str) -> Any:
    """A value of a field, of what JSON has."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        for case in arguments:
            try:
                return _in(value, case, where)
            except Refusal:
                continue
    elif origin in (list, set, frozenset, tuple) and isinstance(value, list):
        return origin(_in(it, item, f"{where}[]") for it, item in zip(value, _items(hint, len(value), where)))
    elif origin is dict and isinstance(value, dict):
        return {_key(key, arguments[0], where): _in(it, arguments[1], f"{where}[{key!r}]") for key, it in value.items()}
    elif hint is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise Refusal(f"{where}: no base 64: {error}") from error
    elif isinstance(hint, type) and issubclass(hint, Enum) and value in hint.__members__:
        return hint[value]
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint(**decode(value, dataclasses.fields(hint), where))
    elif hint is float and type(value) is int:
        return float(value)
    elif (hint is None and value is None) or (hint in _PLAIN and type(value) is hint):
        return value
    raise Refusal(f"{where}: {json.dumps(value)[:40]} is no {getattr(hint, '__name__', hint)}")


def _key(key: str, hint: type, where: str) -> Any:
    try:
        return hint(key)
    except ValueError as error:
        raise Refusal(f"{where}: {key!r} is no {hint.__name__}") from error


def _items(hint: Any, count: int, where: str) -> list[Any]:
    """The declared types of the items of a sequence that holds so many."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is not tuple or arguments[-1] is Ellipsis:
        return [arguments[0]] * count
    if len(arguments) != count:
        raise Refusal(f"{where} holds {count} items, and is declared as {hint}")
    return list(arguments)


def _case(value: Any, cases: tuple[Any, ...], where: str) -> Any:
    """The case of a union that a value is of."""
    for case in cases:
        held = type(None) if case is None else typing.get_origin(case) or case
        if type(value) is held:
            return case
    raise Refusal(f"{where} holds a {type(value).__name__}, which is none of {cases}")
