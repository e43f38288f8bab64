"""The records of a fetch: one object for each where somebody looks at it, otherwise columns over the broker's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import overload

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as the broker keeps it, byte for byte."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Stretches of one buffer, in order: from ``starts`` to before ``ends``. What ends before it starts is null."""

    data: bytes
    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, parts: Sequence[bytes | None]) -> Spans:
        """The parts laid one after another."""
        sizes = np.fromiter((len(part) if part is not None else 0 for part in parts), np.int64, len(parts))
        null = np.fromiter((part is None for part in parts), np.bool_, len(parts))
        ends = np.cumsum(sizes)
        return cls(b"".join(part or b"" for part in parts), ends - sizes, ends - null)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def sizes(self) -> Ints:
        """Bytes of each, -1 where null."""
        return self.ends - self.starts

    @property
    def buffer(self) -> npt.NDArray[np.uint8]:
        """The whole buffer, without copying it."""
        return np.frombuffer(self.data, np.uint8)

    def take(self, indexes: Ints | slice) -> Spans:
        return Spans(self.data, self.starts[indexes], self.ends[indexes])

    def without_first(self, count: int) -> Spans:
        """Each without its first bytes, of which it must have as many."""
        return Spans(self.data, self.starts + count, self.ends)

    def joined(self) -> bytes:
        """All of them, one after another; null adds nothing."""
        pieces = zip(self.starts.tolist(), np.maximum(self.starts, self.ends).tolist(), strict=True)
        data = self.data
        return b"".join([data[start:end] for start, end in pieces])


@dataclass(frozen=True, slots=True, eq=False)
class Records(Sequence[RawRecord]):
    """Records as columns. ``data`` holds them as Kafka's record format has them, whose parts lie where the columns say.

    A slice shares the buffer. Sizes are -1 where key or value is null.
    """

    data: bytes
    offsets: Ints
    timestamps: Ints
    key_starts: Ints
    key_ends: Ints
    value_starts: Ints
    value_ends: Ints
    header_counts: Ints
    header_starts: Ints

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> RawRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> RawRecord | Records:
        if isinstance(index, slice):
            return self.take(index)
        return RawRecord(
            int(self.offsets[index]),
            int(self.timestamps[index]),
            _part(self.data, self.key_starts[index], self.key_ends[index]),
            _part(self.data, self.value_starts[index], self.value_ends[index]),
            _headers(self.data, int(self.header_counts[index]), int(self.header_starts[index])),
        )

    def take(self, indexes: Ints | slice) -> Records:
        """The records at these indexes."""
        columns = (getattr(self, column.name)[indexes] for column in fields(self)[1:])
        return Records(self.data, *columns)

    @property
    def values(self) -> Spans:
        return Spans(self.data, self.value_starts, self.value_ends)

    def has_header(self, name: str) -> bool:
        """Whether any record carries this header."""
        if not self.header_counts.any() or name.encode() not in self.data:
            return False
        some = np.flatnonzero(self.header_counts).tolist()
        return any(header == name for index in some for header, _ in self[index].headers)


def _part(data: bytes, start: int, end: int) -> bytes | None:
    return data[start:end] if end >= start else None


def _headers(data: bytes, count: int, at: int) -> tuple[tuple[str, bytes | None], ...]:
    found = []
    for _ in range(count):
        size, at = _varint(data, at)
        name, at = data[at : at + size].decode("utf-8", "replace"), at + size
        size, at = _varint(data, at)
        found.append((name, None if size < 0 else data[at : at + size]))
        at += max(0, size)
    return tuple(found)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number, at = unsigned_varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def unsigned_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and the offset behind it, without undoing the zigzag."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
