"""Segments: what makes the state durable. A segment is some rows of one table; the state is the union of all that live.

Nothing is ever changed in place: rows are written in new segments, and a segment is removed only when everything in it
is in another that the broker has confirmed. So it does not matter who writes, how often, or where a writer dies.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from schemas.records import SampleState
from streams.blocks import NotABlock, from_ipc
from streams.state.partition import SCHEMAS, Table

LAYOUT = 1
MAX_ROWS_BYTES = 8 * 1024 * 1024
"""Rows of one segment before compression: half of what the topic takes, so that no record is ever too large for it."""
SMALL_BYTES = 512 * 1024
"""Compressed segments below this are merged with their like; their bytes stay in memory until then."""
FAN_IN = 8
"""This many segments of about one size are merged, so that each row is rewritten about once for each factor of 8."""
SMALLEST_BYTES = 4096
"""Segments up to this size count as of one size."""
GARBAGE_ROWS = 100_000
"""A table is written anew when more than half of its live rows, and more than this many, are not in the state."""

_SORTED: Mapping[Table, tuple[str, ...]] = {
    "facts": ("head", "other", "action", "session"),
    "heads": ("head",),
    "products": ("product",),
    "asked": ("head", "other"),
}
"""Rows are sorted before they are written: neighbours alike compress to half."""


class Unreadable(Exception):  # noqa: N818 - says what the segment is
    """A record of the state that cannot be read. Whoever reads the log stops: a part of the state would be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A live segment as its writer or reader remembers it. ``rows`` is None for those that are too large to merge."""

    key: str
    table: Table
    height: int
    size_bytes: int
    rows: bytes | None

    @classmethod
    def of(cls, key: str, table: Table, height: int, rows: bytes) -> Segment:
        small = len(rows) < SMALL_BYTES
        return cls(key=key, table=table, height=height, size_bytes=len(rows), rows=rows if small else None)


def encode(table: Table, rows: pl.DataFrame) -> Iterator[tuple[int, SampleState]]:
    """(number of rows, record) for as many records as it takes."""
    ordered = rows.unique().sort(_SORTED[table])
    most = max(1, MAX_ROWS_BYTES * ordered.height // max(1, int(ordered.estimated_size())))
    for part in ordered.iter_slices(most):
        out = io.BytesIO()
        part.rechunk().write_ipc_stream(out, compression="zstd")
        yield part.height, SampleState(layout=LAYOUT, table=table, rows=out.getvalue())


def decode(record: SampleState) -> tuple[Table, pl.DataFrame]:
    """The table and its rows. Raises Unreadable."""
    if record.layout != LAYOUT:
        raise Unreadable(f"its layout is {record.layout}, this program reads {LAYOUT}")
    table = next((table for table in SCHEMAS if table == record.table), None)
    if table is None:
        raise Unreadable(f"it is of a table named {record.table!r}, of which this program knows nothing")
    try:
        return table, from_ipc(record.rows, SCHEMAS[table])
    except NotABlock as error:
        raise Unreadable(f"its rows are damaged: {error}") from error


def merged(parts: Iterable[Segment]) -> pl.DataFrame:
    """Rows of small segments of one table, together."""
    return pl.concat([from_ipc(part.rows, SCHEMAS[part.table]) for part in parts if part.rows is not None])


@dataclass(slots=True)
class Index:
    """The live segments that one owner knows of, and the rules when to write them anew. Pure."""

    fan_in: int = FAN_IN
    garbage_rows: int = GARBAGE_ROWS
    live: dict[str, Segment] = field(default_factory=dict)

    def add(self, segments: Iterable[Segment]) -> None:
        self.live.update({segment.key: segment for segment in segments})

    def remove(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            self.live.pop(segment.key, None)

    def of(self, table: Table) -> list[Segment]:
        return [segment for segment in tuple(self.live.values()) if segment.table == table]

    def to_merge(self) -> list[Segment]:
        """Small segments of one table that should become one; none mostly."""
        for table in SCHEMAS:
            levels = [(self._level(segment), segment) for segment in self.of(table) if segment.rows is not None]
            for level in sorted({level for level, _ in levels}):
                if sum(1 for other, _ in levels if other == level) >= self.fan_in:
                    return [segment for other, segment in levels if other <= level]
        return []

    def to_rewrite(self, rows: Mapping[str, int]) -> Table | None:
        """A table of which too many live rows are not in the state. ``rows``: the state's, by table."""
        for table in SCHEMAS:
            height = sum(segment.height for segment in self.of(table))
            if height > 2 * rows[table] + self.garbage_rows:
                return table
        return None

    def _level(self, segment: Segment) -> int:
        """0 for the smallest, and one more for each factor of ``fan_in``."""
        return int(math.log(max(SMALLEST_BYTES, segment.size_bytes) / SMALLEST_BYTES, self.fan_in))
