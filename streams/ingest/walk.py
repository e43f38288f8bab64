"""Which Avro bodies are exactly one record of a schema: a walk over all of them at once, in numpy.

The native block decoder trusts what it reads: one body too long shifts all that follow, an array count taken from the
middle of a text can keep it busy for ever, and it takes any union index for the last. So no body reaches it before its
structure has been checked here, from its first byte to its last. UTF-8 is left to the decoder, which does check it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.fetch.records import Spans

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_FIXED_BYTES = {"null": 0, "float": 4, "double": 8}
_MOST_VARINT_BYTES = 9
"""A tenth byte would hold only the 64th bit; no length, count, index or instant of ours comes near it."""


def well_formed(schema: Any, bodies: Spans) -> Mask:
    """For each body, whether it is exactly one record of ``schema`` in the encoding that encoders write.

    False is not a verdict: a rare but legal encoding (an array in several blocks) is also False, and the record path
    decides.
    """
    data = bodies.buffer if bodies.data else np.zeros(1, np.uint8)
    walk = _Walk(data, bodies.ends, np.ones(len(bodies), np.bool_), _named_types(schema))
    at = walk.value(schema, ALL, bodies.starts)
    fit: Mask = walk.ok & (at == bodies.ends)
    return fit


ALL = slice(None)
Rows = Positions | slice

_MOST_ITEMS = 256
"""Arrays and maps are walked item by item, all rows at once; a row with more than an order may have products would
hold up the others, and goes the record path instead."""


@dataclass(slots=True)
class _Walk:
    """Every method takes the rows that it is about (or `ALL`) and their positions, and returns their positions behind
    the value. A row that turns out wrong is marked in ``ok``; whatever is read of it from then on does no harm.

    No read is checked against the row's end. A read at or behind it moves the position beyond it, and no position ever
    goes back, so such a row does not end where it should.
    """

    data: npt.NDArray[np.uint8]
    ends: Positions
    ok: Mask
    names: dict[str, Any]

    def value(self, schema: Any, rows: Rows, at: Positions) -> Positions:
        """Walk over one value of ``schema`` in each row."""
        if isinstance(schema, str) and schema in self.names:
            schema = self.names[schema]
        if isinstance(schema, list):
            return self._union(schema, rows, at)
        match schema:
            case {"type": "record", "fields": fields}:
                for field in fields:
                    at = self.value(field["type"], rows, at)
            case {"type": "array", "items": item}:
                at = self._items((item,), rows, at)
            case {"type": "map", "values": item}:
                at = self._items(("string", item), rows, at)
            case {"type": "enum", "symbols": symbols}:
                at = self._index(rows, at, len(symbols))[1]
            case {"type": primitive} | primitive:
                at = self._primitive(primitive, rows, at)
        return at

    def _primitive(self, kind: str, rows: Rows, at: Positions) -> Positions:
        match kind:
            case "string" | "bytes":
                return self._sized(rows, at)
            case "long":
                return self._long(rows, at)[1]
            case "int":
                return self._int(rows, at)
            case "boolean":
                return self._index(rows, at, 1 << 1)[1]
            case _:
                return at + _FIXED_BYTES[kind]

    def _refuse(self, rows: Rows, wrong: Mask) -> None:
        if isinstance(rows, slice):
            self.ok &= ~wrong
        else:
            self.ok[rows[wrong]] = False

    def _byte(self, at: Positions) -> npt.NDArray[np.int64]:
        return self.data[np.minimum(at, len(self.data) - 1)].astype(np.int64)

    def _long(self, rows: Rows, at: Positions) -> tuple[Positions, Positions]:
        """(value, position behind it) of a zigzag varint."""
        number, behind = self._byte(at), at + 1
        more = np.flatnonzero(number & 0x80)
        number &= 0x7F
        for place in range(1, _MOST_VARINT_BYTES):
            if not len(more):
                break
            byte = self._byte(behind[more])
            number[more] |= (byte & 0x7F) << (7 * place)
            behind[more] += 1
            more = more[(byte & 0x80) != 0]
        if len(more):
            self.ok[more if isinstance(rows, slice) else rows[more]] = False
        return (number >> 1) ^ -(number & 1), behind

    def _int(self, rows: Rows, at: Positions) -> Positions:
        number, behind = self._long(rows, at)
        self._refuse(rows, (number < -(2**31)) | (number >= 2**31))
        return behind

    def _index(self, rows: Rows, at: Positions, below: int) -> tuple[Positions, Positions]:
        index, behind = self._long(rows, at)
        self._refuse(rows, (index < 0) | (index >= below))
        return index, behind

    def _sized(self, rows: Rows, at: Positions) -> Positions:
        size, behind = self._long(rows, at)
        wrong = (size < 0) | (size > self.ends[rows] - behind)
        if not wrong.any():
            return behind + size
        self._refuse(rows, wrong)
        return behind + np.where(wrong, 0, size)

    def _union(self, schemas: list[Any], rows: Rows, at: Positions) -> Positions:
        index, behind = self._index(rows, at, len(schemas))
        for number, schema in enumerate(schemas):
            mine = np.flatnonzero(index == number)
            if schema == "null" or not len(mine):
                continue
            if len(mine) == len(index):
                return self.value(schema, rows, behind)
            behind[mine] = self.value(schema, mine if isinstance(rows, slice) else rows[mine], behind[mine])
        return behind

    def _items(self, schemas: Sequence[Any], rows: Rows, at: Positions) -> Positions:
        """One block of items and the zero behind it, or the zero alone."""
        count, at = self._long(rows, at)
        wrong = (count < 0) | (count > _MOST_ITEMS)
        self._refuse(rows, wrong)
        count[wrong] = 0
        named = np.arange(len(count)) if isinstance(rows, slice) else rows
        some = left = np.flatnonzero(count)
        done = 0
        while len(left):
            for schema in schemas:
                at[left] = self.value(schema, named[left], at[left])
            done += 1
            left = left[(count[left] > done) & self.ok[named[left]]]
        last, at[some] = self._long(named[some], at[some])
        self._refuse(named[some], last != 0)
        return at


def _named_types(schema: Any, namespace: str = "") -> dict[str, Any]:
    """Every record and enum defined in the schema, under its short and its full name."""
    found: dict[str, Any] = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _named_types(branch, namespace)
    elif isinstance(schema, dict):
        namespace = schema.get("namespace", namespace)
        if "name" in schema and schema["type"] in {"record", "enum"}:
            found |= {schema["name"]: schema, f"{namespace}.{schema['name']}": schema}
        inner = [field["type"] for field in schema.get("fields", [])]
        for nested in [*inner, schema.get("items"), schema.get("values")]:
            found |= _named_types(nested, namespace)
    return found
