"""Fields of UBI documents, by the names that 1.3 and its forerunners gave them; nothing is converted in silence."""

from __future__ import annotations

from typing import Any

from cosmo.produce.jsonline import json_type
from cosmo.produce.outcomes import LineReason, LineRefused

Fields = dict[str, Any]


def written(found: Fields, *names: str) -> str:
    """The first of these names whose field is there and not null; else the first name, which 1.3 has."""
    return next((name for name in names if found.get(name) is not None), names[0])


def text(found: Fields, *names: str, where: str = "") -> str | None:
    """The first of these fields that holds more than spaces. Raises LineRefused (wrong_type) for what is no string."""
    for name in names:
        value = found.get(name)
        if value is None:
            continue
        if type(value) is not str:
            _wrong_type(where + name, value, "a string")
        if value and not value.isspace():
            return value
    return None


def identifier(found: Fields, *names: str, where: str = "") -> str | None:
    """As `text`; a whole number stands for its digits, as UBI allows for object ids."""
    for name in names:
        if type(found.get(name)) is int:
            return str(found[name])
        value = text(found, name, where=where)
        if value is not None:
            return value
    return None


def part(found: Fields, name: str, where: str = "") -> Fields:
    """A nested object; empty where there is none."""
    value = found.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        _wrong_type(where + name, value, "an object")
    return value


def needed(value: str | None, name: str) -> str:
    """The value. Raises LineRefused (missing_field) for None."""
    if value is None:
        raise LineRefused(LineReason.MISSING_FIELD, f"{name} is not there")
    return value


def _wrong_type(where: str, value: object, wanted: str) -> Any:
    raise LineRefused(LineReason.WRONG_TYPE, f"{where} is {json_type(value)} where {wanted} is wanted")
