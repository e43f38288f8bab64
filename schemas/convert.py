"""Frozen records to what an Avro encoder takes and back, compiled once per record type.

The dataclass and the schema must agree field by field, which is checked when the converter is built. Values are never
coerced on the way out: a number where text is wanted is an error, because what a lenient encoder makes of it would be
believed by everyone downstream. On the way in the types are already right, as the bytes were read with our schema.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, NoReturn, TypeAlias, Union, get_args, get_origin, get_type_hints

from schemas.avsc import AvroSchema
from schemas.errors import Reason, Undecodable, Unencodable
from schemas.shape import branches, named_types

Conversion: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INT32 = range(-(2**31), 2**31)
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """``to_avro`` raises Unencodable, ``from_avro`` Undecodable (only for instants that a datetime cannot hold).

    ``from_avro`` is None where the decoder's value is already ours, which saves a call per field.
    """

    to_avro: Conversion
    from_avro: Conversion | None = None


def converter(schema: AvroSchema, record_type: type) -> Converter:
    """The converter of a whole record; TypeError when dataclass and schema do not agree."""
    return _Builder(named_types(schema)).build(schema, record_type, "")


def _refuse(where: str, value: object, wanted: str) -> NoReturn:
    raise Unencodable(f"{where or 'record'}: {type(value).__name__} where {wanted} is wanted.")


@dataclass(frozen=True, slots=True)
class _Builder:
    names: Mapping[str, dict[str, Any]]

    def build(self, schema: AvroSchema, hint: Any, where: str) -> Converter:
        """The converter between one Avro type and one Python type; TypeError where they do not fit."""
        alternatives = list(branches(schema, self.names))
        if get_origin(hint) in {Union, types.UnionType}:
            return self._optional(alternatives, hint, where)
        if len(alternatives) == 1:
            found = self._single(alternatives[0], hint, where)
            if found is not None:
                return found
        raise TypeError(f"{where or 'record'}: {hint} does not hold Avro {schema}")

    def _single(self, schema: dict[str, Any], hint: Any, where: str) -> Converter | None:
        kind, origin = schema["type"], get_origin(hint)
        if kind == "record" and isinstance(hint, type) and is_dataclass(hint):
            return self._record(schema, hint, where)
        if kind == "array" and origin is tuple:
            return _array(self.build(schema["items"], get_args(hint)[0], f"{where}[]"), where)
        if kind == "map" and origin is Mapping:
            return _map(self.build(schema["values"], get_args(hint)[1], f"{where}{{}}"), where)
        if kind == "enum" and isinstance(hint, type) and issubclass(hint, StrEnum):
            return _enum(schema, hint, where)
        make = _SCALARS.get((kind, hint))
        return make(where) if make else None

    def _optional(self, alternatives: list[dict[str, Any]], hint: Any, where: str) -> Converter:
        null, *rest = alternatives
        inner = [part for part in get_args(hint) if part is not types.NoneType]
        if null["type"] != "null" or len(rest) != 1 or len(inner) != 1:
            raise TypeError(f"{where}: {hint} is not a union of null and one type")
        one = self.build(rest[0], inner[0], where)
        to_avro, from_avro = one.to_avro, one.from_avro
        return Converter(
            to_avro=lambda value: None if value is None else to_avro(value),
            from_avro=from_avro and (lambda value: None if value is None else from_avro(value)),
        )

    def _record(self, schema: dict[str, Any], record_type: type, where: str) -> Converter:
        hints = get_type_hints(record_type)
        written = {field["name"]: field["type"] for field in schema["fields"]}
        _agree(set(written), fields(record_type), record_type, where)
        parts = {name: self.build(part, hints[name], f"{where}.{name}".lstrip(".")) for name, part in written.items()}
        return Converter(
            to_avro=_record_to_avro(record_type, {name: part.to_avro for name, part in parts.items()}, where),
            from_avro=_record_from_avro(record_type, {name: part.from_avro for name, part in parts.items()}),
        )


def _agree(written: set[str], declared: tuple[Field[Any], ...], record_type: type, where: str) -> None:
    """Every Avro field is in the dataclass; what the dataclass has beyond them has a default."""
    missing = written - {field.name for field in declared}
    required = {f.name for f in declared if f.default is MISSING and f.default_factory is MISSING} - written
    if missing or required:
        raise TypeError(f"{where or record_type.__name__}: fields on one side only: {sorted(missing | required)}")


def _record_to_avro(record_type: type, parts: dict[str, Conversion], where: str) -> Conversion:
    values = attrgetter(*parts) if len(parts) > 1 else lambda record: (getattr(record, next(iter(parts))),)
    items = tuple(parts.items())

    def to_avro(record: Any) -> dict[str, Any]:
        if type(record) is not record_type:
            _refuse(where, record, record_type.__name__)
        return {name: convert(value) for (name, convert), value in zip(items, values(record), strict=True)}

    return to_avro


def _record_from_avro(record_type: type, parts: dict[str, Conversion | None]) -> Conversion:
    changed = tuple((name, convert) for name, convert in parts.items() if convert is not None)

    def from_avro(datum: dict[str, Any]) -> Any:
        for name, convert in changed:
            datum[name] = convert(datum[name])
        return record_type(**datum)

    return from_avro


def _array(item: Converter, where: str) -> Converter:
    to_avro, from_avro = item.to_avro, item.from_avro

    def out(value: Any) -> list[Any]:
        if not isinstance(value, tuple):
            _refuse(where, value, "tuple")
        return [to_avro(part) for part in value]

    if from_avro is None:
        return Converter(to_avro=out, from_avro=tuple)
    return Converter(to_avro=out, from_avro=lambda value: tuple([from_avro(part) for part in value]))


def _map(values: Converter, where: str) -> Converter:
    to_avro, from_avro, key = values.to_avro, values.from_avro, _text(f"{where} key").to_avro

    def out(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            _refuse(where, value, "Mapping")
        return {key(name): to_avro(part) for name, part in value.items()}

    if from_avro is None:
        return Converter(to_avro=out)
    return Converter(to_avro=out, from_avro=lambda value: {name: from_avro(part) for name, part in value.items()})


def _enum(schema: dict[str, Any], enum: type[StrEnum], where: str) -> Converter:
    members = {member.value: member for member in enum}
    if set(members) != set(schema["symbols"]):
        raise TypeError(f"{where}: {enum.__name__} and the Avro enum differ in {set(members) ^ set(schema['symbols'])}")

    def out(value: Any) -> str:
        if type(value) is not enum:
            _refuse(where, value, enum.__name__)
        return str(value)

    return Converter(to_avro=out, from_avro=members.__getitem__)


def _text(where: str) -> Converter:
    def out(value: Any) -> str:
        if not isinstance(value, str):
            _refuse(where, value, "str")
        return value

    return Converter(to_avro=out)


def _bytes(where: str) -> Converter:
    def out(value: Any) -> bytes:
        if not isinstance(value, bytes):
            _refuse(where, value, "bytes")
        return value

    return Converter(to_avro=out)


def _boolean(where: str) -> Converter:
    def out(value: Any) -> bool:
        if not isinstance(value, bool):
            _refuse(where, value, "bool")
        return value

    return Converter(to_avro=out)


def _integer(allowed: range) -> Callable[[str], Converter]:
    def make(where: str) -> Converter:
        def out(value: Any) -> int:
            if type(value) is not int:
                _refuse(where, value, "int")
            if value not in allowed:
                raise Unencodable(f"{where}: {value} does not fit the schema's integer type.")
            return value

        return Converter(to_avro=out)

    return make


def _float(where: str) -> Converter:
    """A whole number is a float too, as Python's own typing has it."""

    def out(value: Any) -> float:
        if not isinstance(value, float) and type(value) is not int:
            _refuse(where, value, "float")
        return float(value)

    return Converter(to_avro=out)


def _instant(where: str) -> Converter:
    """Kept to the millisecond; what is finer is cut off."""

    def out(value: Any) -> int:
        if not isinstance(value, datetime) or value.tzinfo is None:
            _refuse(where, value, "datetime with a time zone")
        return (value - _EPOCH) // _MILLISECOND

    def back(millis: int) -> datetime:
        try:
            return _EPOCH + timedelta(milliseconds=millis)
        except OverflowError as error:
            raise Undecodable(Reason.TIME_OUT_OF_RANGE, f"{where} is {millis} ms since 1970") from error

    return Converter(to_avro=out, from_avro=back)


_SCALARS: dict[tuple[str, Any], Callable[[str], Converter]] = {
    ("string", str): _text,
    ("bytes", bytes): _bytes,
    ("boolean", bool): _boolean,
    ("int", int): _integer(_INT32),
    ("long", int): _integer(_INT64),
    ("double", float): _float,
    ("long", datetime): _instant,
}
