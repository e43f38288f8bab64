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
    at = walk.value(schema, np.arange(len(bodies)), bodies.starts)
    fit: Mask = walk.ok & (at == bodies.ends)
    return fit


@dataclass(slots=True)
class _Walk:
    """Every method takes the rows that it is about and their positions, and returns their positions behind the value.
    A row that turns out wrong is marked in ``ok`` and stays where it is; whatever is read there does no harm."""

    data: npt.NDArray[np.uint8]
    ends: Positions
    ok: Mask
    names: dict[str, Any]

    def value(self, schema: Any, rows: Positions, at: Positions) -> Positions:
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

    def _primitive(self, kind: str, rows: Positions, at: Positions) -> Positions:
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
                return self._fixed(_FIXED_BYTES[kind], rows, at)

    def _refuse(self, rows: Positions, wrong: Mask) -> None:
        self.ok[rows[wrong]] = False

    def _byte(self, rows: Positions, at: Positions) -> npt.NDArray[np.int64]:
        self._refuse(rows, at >= self.ends[rows])
        return self.data[np.minimum(at, len(self.data) - 1)].astype(np.int64)

    def _long(self, rows: Positions, at: Positions) -> tuple[Positions, Positions]:
        """(value, position behind it) of a zigzag varint."""
        byte = self._byte(rows, at)
        number, behind = byte & 0x7F, at + 1
        more = np.flatnonzero(byte & 0x80)
        for place in range(1, _MOST_VARINT_BYTES):
            if not len(more):
                break
            byte = self._byte(rows[more], behind[more])
            number[more] |= (byte & 0x7F) << (7 * place)
            behind[more] += 1
            more = more[(byte & 0x80) != 0]
        self.ok[rows[more]] = False
        return (number >> 1) ^ -(number & 1), behind

    def _int(self, rows: Positions, at: Positions) -> Positions:
        number, behind = self._long(rows, at)
        self._refuse(rows, (number < -(2**31)) | (number >= 2**31))
        return behind

    def _index(self, rows: Positions, at: Positions, below: int) -> tuple[Positions, Positions]:
        index, behind = self._long(rows, at)
        self._refuse(rows, (index < 0) | (index >= below))
        return index, behind

    def _sized(self, rows: Positions, at: Positions) -> Positions:
        size, behind = self._long(rows, at)
        wrong = (size < 0) | (size > self.ends[rows] - behind)
        self._refuse(rows, wrong)
        return behind + np.where(wrong, 0, size)

    def _fixed(self, size: int, rows: Positions, at: Positions) -> Positions:
        self._refuse(rows, at + size > self.ends[rows])
        return at + size

    def _union(self, schemas: list[Any], rows: Positions, at: Positions) -> Positions:
        index, behind = self._index(rows, at, len(schemas))
        for number, schema in enumerate(schemas):
            mine = np.flatnonzero(index == number)
            if len(mine) and schema != "null":
                behind[mine] = self.value(schema, rows[mine], behind[mine])
        return behind

    def _items(self, schemas: Sequence[Any], rows: Positions, at: Positions) -> Positions:
        """One block of items and the zero behind it, or the zero alone."""
        count, at = self._long(rows, at)
        # An item takes a byte or more: a count beyond the bytes left is not one, and would be walked for ever.
        wrong = (count < 0) | (count > self.ends[rows] - at)
        self._refuse(rows, wrong)
        count[wrong] = 0
        some = left = np.flatnonzero(count)
        done = 0
        while len(left):
            for schema in schemas:
                at[left] = self.value(schema, rows[left], at[left])
            done += 1
            left = left[(count[left] > done) & self.ok[rows[left]]]
        last, at[some] = self._long(rows[some], at[some])
        self._refuse(rows[some], last != 0)
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
