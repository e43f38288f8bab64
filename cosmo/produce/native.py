"""The native format: each line is the topic's own record as JSON, field for field.

The reader is compiled from the record's type, so no field can be forgotten. Nothing is converted: a number where text
is wanted is refused, because what a lenient reader makes of it would be believed by everyone downstream.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NoReturn, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from cosmo.produce.cloudevents import unwrap
from cosmo.produce.jsonline import json_type, parse_object
from cosmo.produce.lines import Line
from cosmo.produce.outcomes import Event, LineReason, LineRefused, Outcome, Passed, PassedOver, Refusal, Sendable
from cosmo.produce.times import instant
from schemas.errors import Reason
from schemas.records import Action

Read: TypeAlias = Callable[[Any], Any]
R = TypeVar("R")


def native(lines: Iterable[Line], record_type: type[Event]) -> Iterator[Outcome]:
    """One outcome for each line, in order."""
    read = record_reader(record_type)
    for line in lines:
        if not line.raw or line.raw.isspace():
            yield PassedOver(line, Passed.BLANK)
            continue
        try:
            envelope = unwrap(parse_object(line))
            yield Sendable(line, read(envelope.data), envelope.key, envelope.headers)
        except LineRefused as refused:
            yield Refusal(line, refused.reason, refused.detail)


def record_reader(record_type: type[R]) -> Callable[[Any], R]:
    """Reads a parsed JSON value as a record. What it returns raises LineRefused, naming the field by its path."""
    return _record(record_type, "")


def _value(hint: Any, where: str) -> Read:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        inner = next(part for part in get_args(hint) if part is not types.NoneType)
        read = _value(inner, where)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        return _tuple(_value(get_args(hint)[0], f"{where}[]"), where)
    if origin is Mapping:
        return _texts(where)
    if is_dataclass(hint):
        return _record(cast("type", hint), where)
    if issubclass(hint, StrEnum):
        return _word(hint, where)
    return {str: _text, datetime: _instant}[hint](where)


def _record(record_type: type, where: str) -> Read:
    hints, declared = get_type_hints(record_type), fields(record_type)
    prefix = f"{where}." if where else ""
    parts = {field.name: _value(hints[field.name], prefix + field.name) for field in declared}
    needed = tuple(field.name for field in declared if field.default is field.default_factory is MISSING)

    def read(value: Any) -> Any:
        if type(value) is not dict:
            _wrong_type(where, value, "an object")
        if not value.keys() <= parts.keys():
            _unknown_field(prefix, value.keys() - parts.keys(), parts)
        for name in needed:
            if name not in value:
                raise LineRefused(LineReason.MISSING_FIELD, f"{prefix}{name} is not there")
        return record_type(**{name: parts[name](part) for name, part in value.items()})

    return read


def _tuple(read: Read, where: str) -> Read:
    def read_all(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            _wrong_type(where, value, "a list")
        try:
            return tuple([read(part) for part in value])
        except LineRefused:
            return tuple(_read_naming_the_index(read, value))

    return read_all


def _read_naming_the_index(read: Read, values: list[Any]) -> Iterator[Any]:
    """The slow path, once something is wrong: says which of the items it is."""
    for index, value in enumerate(values):
        try:
            yield read(value)
        except LineRefused as refused:
            raise LineRefused(refused.reason, refused.detail.replace("[]", f"[{index}]", 1)) from refused


def _texts(where: str) -> Read:
    def read(value: Any) -> dict[str, str]:
        if type(value) is not dict:
            _wrong_type(where, value, "an object")
        for name, text in value.items():
            if type(text) is not str:
                _wrong_type(f"{where}.{name[:50]}", text, "a string")
        return cast("dict[str, str]", value)

    return read


def _text(where: str) -> Read:
    def read(value: Any) -> str:
        if type(value) is not str:
            _wrong_type(where, value, "a string")
        return value

    return read


def _word(words: type[StrEnum], where: str) -> Read:
    members = {member.value: member for member in words}

    def read(value: Any) -> StrEnum:
        if type(value) is not str:
            _wrong_type(where, value, "a string")
        if value not in members:
            raise LineRefused(Reason.UNKNOWN_ACTION, f"{where} is {value[:50]!r}; {_meant(value, members)}")
        return members[value]

    return read


def _meant(word: str, members: Mapping[str, StrEnum]) -> str:
    """Which of the words is meant, or which there are."""
    near = re.sub(r"[\s-]+", "_", word.strip()).upper()
    if near in members and near != Action.UNKNOWN:
        return f"write it {near}"
    return f"it is one of {', '.join(name for name in members if name != Action.UNKNOWN)}"


def _instant(where: str) -> Read:
    return lambda value: instant(value, where)


def _wrong_type(where: str, value: object, wanted: str) -> NoReturn:
    raise LineRefused(LineReason.WRONG_TYPE, f"{where or 'data'} is {json_type(value)} where {wanted} is wanted")


def _unknown_field(prefix: str, unknown: set[str], known: Mapping[str, Read]) -> NoReturn:
    name = min(unknown)
    near = get_close_matches(name, known, n=1)
    hint = f"; is {near[0]} meant?" if near else ""
    raise LineRefused(LineReason.UNKNOWN_FIELD, f"{prefix}{name[:50]} is no field of the record{hint}")
