"""Settings of rules: a dataclass says which there are, reads them from JSON, and is their JSON Schema.

::

    @dataclass
    class Config:
        turns: Annotated[int, Within(1, 1000)] = 200
        on_late: Literal["pass", "lose"] = "pass"

A setting may be a ``bool``, ``int``, ``float``, ``str``, a ``Literal`` of texts, a dataclass of settings, or a ``list`` of
these, and has a default. ``field(metadata={"description": …})`` tells people what it is for.
"""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

from .reading import parse_json
from .types import Refusal

_Form = TypeVar("_Form")
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Within:
    """The least and the most that a number may be: ``Annotated[int, Within(1, 9)]``."""

    least: float
    most: float


def read(form: type[_Form], text: str) -> _Form:
    """The settings in a text of JSON; an empty one stands for all defaults. Raises `Refusal`, naming the setting that is
    wrong."""
    try:
        value = parse_json(text.strip() or "{}", _no_constant)
    except ValueError as error:
        raise Refusal(f"config: no JSON: {error}") from error
    return _object(form, value, "config", "")


def schema(form: type) -> str:
    """The JSON Schema of the settings."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema_of(form)}
    return json.dumps(made, ensure_ascii=False)


def check(form: type) -> None:
    """Raises ``TypeError`` where a dataclass cannot be settings."""
    if not (isinstance(form, type) and dataclasses.is_dataclass(form)):
        raise TypeError(f"`{getattr(form, '__name__', form)}` cannot be settings: it is no dataclass")
    for it in dataclasses.fields(form):
        if isinstance(it.type, str):
            raise TypeError(f"`{form.__name__}.{it.name}`: leave out `from __future__ import annotations`")
        if it.default is dataclasses.MISSING and it.default_factory is dataclasses.MISSING:
            raise TypeError(f"`{form.__name__}.{it.name}` needs a default: an empty config stands for every default")
        _schema_of(it.type)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _parts(hint: Any) -> tuple[Any, Within | None]:
    if typing.get_origin(hint) is typing.Annotated:
        within = next((it for it in hint.__metadata__ if isinstance(it, Within)), None)
        return hint.__origin__, within
    return hint, None


def _object(form: type[_Form], value: Any, where: str, inside: str) -> _Form:
    if not isinstance(value, dict):
        raise Refusal(f"{where}: settings are a JSON object, and {_shown(value)} is none")
    fields = {it.name: it for it in dataclasses.fields(form)}
    for name in value:
        if name not in fields:
            raise Refusal(f"config: there is no setting `{inside}{name[:40]}`: there are {', '.join(fields)}")
    return form(**{name: _value(fields[name].type, it, f"{inside}{name}") for name, it in value.items()})


def _value(hint: Any, value: Any, name: str) -> Any:
    hint, within = _parts(hint)
    where = f"config: `{name}`"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object(hint, value, where, f"{name}.")
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint) or not isinstance(value, str):
            words = ", ".join(f"`{it}`" for it in typing.get_args(hint))
            raise Refusal(f"{where} is {_shown(value)}: it must be one of {words}")
        return value
    if typing.get_origin(hint) is list and isinstance(value, list):
        return [_value(typing.get_args(hint)[0], it, f"{name}[{place}]") for place, it in enumerate(value)]
    if hint is float and type(value) is int:
        # Beyond what a double holds there is no number that is meant.
        value = float(value) if abs(value) < 2**1023 else math.inf
    if type(value) is not hint:
        raise Refusal(f"{where} is {_shown(value)}: it must be {_NAMES.get(hint, 'list')}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"{where} is no number that can be counted with")
    if within is not None and not within.least <= value <= within.most:
        raise Refusal(f"{where} is {_shown(value)}: it must be from {within.least} to {within.most}")
    return value


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = str(type(value).__name__)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _schema_of(hint: Any) -> dict[str, Any]:
    hint, within = _parts(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        check(hint)
        properties = {it.name: _property(it) for it in dataclasses.fields(hint)}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    if typing.get_origin(hint) is typing.Literal and all(isinstance(it, str) for it in typing.get_args(hint)):
        return {"enum": list(typing.get_args(hint))}
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": _schema_of(typing.get_args(hint)[0])}
    if hint not in _NAMES:
        raise TypeError(f"a setting cannot be of the type {hint}; see `matrix_soul.settings`")
    bounds = {} if within is None else {"minimum": within.least, "maximum": within.most}
    return {"type": _NAMES[hint], **bounds}


def _property(it: dataclasses.Field[Any]) -> dict[str, Any]:
    default = it.default if it.default is not dataclasses.MISSING else it.default_factory()  # type: ignore[misc]
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        default = dataclasses.asdict(default)
    told = {"description": it.metadata["description"]} if "description" in it.metadata else {}
    return {**_schema_of(it.type), "default": default, **told}
