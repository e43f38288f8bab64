"""The strict reading of an Avro body: refuses what no encoder writes, and says where.

fastavro trusts its input: an enum index of -1 is the last symbol, any byte is a boolean, an int may have 64 bits.
A damaged record must not pass for another one, so every body is walked by this check before it is decoded; it costs
about as much as decoding does. Raises Undecodable with the field's path and the byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, TypeAlias

from fastavro import parse_schema

from schemas.avsc import AvroSchema
from schemas.errors import Reason, Undecodable

Step: TypeAlias = Callable[[bytes, int], int]
"""From the offset where a value begins to the offset where it ends."""

_VARINT_BYTES = 10  # 64 bits in groups of 7
_INT32 = range(-(2**31), 2**31)

MAX_ITEMS = 100_000
"""Items of arrays and entries of maps in one body. One takes a byte or two, and a hundred times that as a Python
object: 16 MB of them would be gigabytes, and minutes. An order has 200 items at most; nothing of ours comes near."""


class _Left(threading.local):
    """How many items the body that this thread walks over may still announce."""

    items = 0


class StrictCheck:
    """Checks bodies written with one schema. Build once per schema; instances keep no state between bodies."""

    def __init__(self, schema: AvroSchema) -> None:
        self._named: dict[str, Step] = {}
        self._left = _Left()
        self._root = self._step(parse_schema(schema), "")

    def __call__(self, body: bytes) -> None:
        """Return when the body is exactly one value of the schema; raise Undecodable otherwise."""
        self._left.items = MAX_ITEMS
        try:
            end = self._root(body, 0)
        except RecursionError as error:
            raise Undecodable(Reason.DAMAGED, "records are nested too deeply") from error
        if end != len(body):
            raise Undecodable(Reason.TRAILING_BYTES, f"{len(body) - end} bytes follow the record's end at byte {end}")

    def _step(self, schema: Any, where: str) -> Step:
        kind = schema if isinstance(schema, list | str) else schema["type"]
        if isinstance(kind, list):
            return _union([self._step(branch, where) for branch in kind], where)
        if isinstance(kind, dict):
            return self._step(kind, where)
        if kind in _SIMPLE:
            return _SIMPLE[kind](where)
        return self._by_name(kind) if isinstance(schema, str) else self._composed(schema, where)

    def _by_name(self, name: str) -> Step:
        """A type used again, perhaps within itself, and so looked up as late as possible."""

        def step(body: bytes, at: int) -> int:
            return self._named[name](body, at)

        return step

    def _composed(self, schema: Mapping[str, Any], where: str) -> Step:
        kind = schema["type"]
        if kind == "array":
            return _blocks(self._step(schema["items"], f"{where}[]"), where, self._left)
        if kind == "map":
            entry = _entry(_text(f"{where} key"), self._step(schema["values"], f"{where}{{}}"))
            return _blocks(entry, where, self._left)
        self._named[schema["name"]] = step = self._defined(schema, where)
        return step

    def _defined(self, schema: Mapping[str, Any], where: str) -> Step:
        if schema["type"] == "enum":
            return _enum(len(schema["symbols"]), where)
        if schema["type"] == "fixed":
            return _width(schema["size"], where)
        return _sequence([self._step(f["type"], f"{where}.{f['name']}".lstrip(".")) for f in schema["fields"]])


def _refuse(reason: Reason, where: str, at: int, what: str) -> NoReturn:
    raise Undecodable(reason, f"{where or 'record'} at byte {at}: {what}")


def _varint(body: bytes, at: int, where: str) -> tuple[int, int]:
    """A zig-zag number and the offset after it."""
    if at < len(body) and (raw := body[at]) < 0x80:  # by far the most numbers are lengths and indexes of one byte
        return (raw >> 1) ^ -(raw & 1), at + 1
    raw = 0
    for count, byte in enumerate(body[at : at + _VARINT_BYTES]):
        raw |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if raw >= 2**64:
                break
            return (raw >> 1) ^ -(raw & 1), at + count + 1
    if len(body) - at < _VARINT_BYTES:
        _refuse(Reason.TRUNCATED, where, at, "the body ends within a number")
    _refuse(Reason.DAMAGED, where, at, "a number of more than 64 bits")


def _long(where: str) -> Step:
    return lambda body, at: _varint(body, at, where)[1]


def _int(where: str) -> Step:
    def step(body: bytes, at: int) -> int:
        value, end = _varint(body, at, where)
        if value not in _INT32:
            _refuse(Reason.DAMAGED, where, at, f"{value} is not a 32-bit int")
        return end

    return step


def _boolean(where: str) -> Step:
    def step(body: bytes, at: int) -> int:
        end = _take(body, at, 1, where)
        if body[at] > 1:
            _refuse(Reason.DAMAGED, where, at, f"{body[at]} is not a boolean")
        return end

    return step


def _take(body: bytes, at: int, count: int, where: str) -> int:
    if at + count > len(body):
        _refuse(Reason.TRUNCATED, where, at, f"{count} bytes are announced, {len(body) - at} are left")
    return at + count


def _width(count: int, where: str) -> Step:
    return lambda body, at: _take(body, at, count, where)


def _sized(body: bytes, at: int, where: str) -> tuple[int, int]:
    """Begin and end of the content of a string or bytes."""
    size, begin = _varint(body, at, where)
    if size < 0:
        _refuse(Reason.DAMAGED, where, at, f"a length of {size}")
    return begin, _take(body, begin, size, where)


def _bytes(where: str) -> Step:
    return lambda body, at: _sized(body, at, where)[1]


def _text(where: str) -> Step:
    def step(body: bytes, at: int) -> int:
        begin, end = _sized(body, at, where)
        try:
            body[begin:end].decode("utf-8")
        except UnicodeDecodeError as error:
            _refuse(_unicode_reason(body[begin:end]), where, begin + error.start, error.reason)
        return end

    return step


def _unicode_reason(content: bytes) -> Reason:
    """Lone surrogates are told apart, because they come from a sender that cuts UTF-16 text, not from damage."""
    try:
        content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return Reason.INVALID_UTF8
    return Reason.LONE_SURROGATE


def _index(body: bytes, at: int, size: int, where: str, what: str) -> tuple[int, int]:
    value, end = _varint(body, at, where)
    if not 0 <= value < size:
        _refuse(Reason.DAMAGED, where, at, f"{what} {value} of {size}")
    return value, end


def _enum(size: int, where: str) -> Step:
    return lambda body, at: _index(body, at, size, where, "enum symbol")[1]


def _union(steps: list[Step], where: str) -> Step:
    def step(body: bytes, at: int) -> int:
        branch, begin = _index(body, at, len(steps), where, "union branch")
        return steps[branch](body, begin)

    return step


def _sequence(steps: list[Step]) -> Step:
    def step(body: bytes, at: int) -> int:
        for part in steps:
            at = part(body, at)
        return at

    return step


def _entry(key: Step, value: Step) -> Step:
    return lambda body, at: value(body, key(body, at))


def _blocks(item: Step, where: str, left: _Left) -> Step:
    """An array or a map: blocks of items until an empty one; a negative count is followed by the block's size."""

    def step(body: bytes, at: int) -> int:
        while True:
            start = at
            count, at = _varint(body, at, where)
            if count == 0:
                return at
            left.items -= abs(count)
            if left.items < 0:
                _refuse(Reason.TOO_MANY_VALUES, where, start, f"{abs(count):,} items, more than {MAX_ITEMS:,} in all")
            announced = None
            if count < 0:
                size, at = _varint(body, at, where)
                announced = at + size
            for _ in range(abs(count)):
                at = item(body, at)
            if announced not in {None, at}:
                _refuse(Reason.DAMAGED, where, start, "a block is not as long as it says")

    return step


_SIMPLE: dict[str, Callable[[str], Step]] = {
    "null": partial(_width, 0),
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": partial(_width, 4),
    "double": partial(_width, 8),
    "bytes": _bytes,
    "string": _text,
}
