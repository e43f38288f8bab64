"""A fetch decoded: clean rows as columns, and every record that cannot be used with its reason.

Records that share a schema are decoded at once. What is damaged, what looks unusual, and the records around a string
that is not UTF-8 go one by one through the codec and the input contract: that path alone says what is
repaired and what is refused, so both paths give the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.codec import Codec
from schemas.errors import BadRecord, Undecodable
from schemas.framing import ID_FRAME_BYTES, ID_MAGIC, VALUE_SCHEMA_HEADER, SchemaKey, split_frame
from schemas.records import CoPurchase, QueryPurchase
from streams.fetch.handler import Bad, Fetch
from streams.fetch.records import Ints, Spans
from streams.ingest.block import BlockReader, NotText

SMALLEST_BLOCK = 32
"""A block with a string that is not UTF-8 is halved down to this size before its records are tried one by one, so that
one such record among ten thousand costs a second reading of the block and 32 slow records."""

R = TypeVar("R", QueryPurchase, CoPurchase)


@dataclass(frozen=True, slots=True)
class Decoded:
    """``rows`` in no particular order; ``bad`` likewise. Together they account for every record of the fetch."""

    rows: pl.DataFrame
    bad: list[Bad]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Generic[R]):
    """How one topic's records become rows, on either path."""

    rows: pl.Schema
    from_block: Callable[[pl.DataFrame], pl.DataFrame]
    """A decoded block as rows; one for one, in order."""
    unusual: Callable[[pl.DataFrame, datetime], pl.Series]
    """For each row of a decoded block: may anything need a repair or a refusal? Errs on the side of yes."""
    check: Callable[[R, datetime], R]
    """The input contract on one record: repairs it, or raises `schemas.errors.Refused`."""
    from_record: Callable[[R], dict[str, Any]]
    """A checked record as a row."""


@dataclass(slots=True)
class _Batch:
    """What has been found so far in one fetch."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Block:
    """Records of one schema: where they are in the fetch, and their bodies."""

    key: SchemaKey
    indexes: Ints
    bodies: Spans

    def halves(self) -> tuple[_Block, _Block]:
        at = len(self.indexes) // 2
        return self._part(slice(None, at)), self._part(slice(at, None))

    def _part(self, part: slice) -> _Block:
        return _Block(self.key, self.indexes[part], self.bodies.take(part))


@dataclass(frozen=True, slots=True)
class Decoder(Generic[R]):
    """Decodes the fetches of one topic. Pure but for the codec's look-ups of schema ids."""

    codec: Codec[R]
    shape: Shape[R]
    readers: dict[SchemaKey, BlockReader] = field(default_factory=dict)

    def decode(self, fetch: Fetch, now: datetime) -> Decoded:
        """By columns where possible. Raises only what is not a record's fault: the registry does not answer."""
        batch = _Batch()
        for block in self._blocks(fetch, batch):
            self._columns(fetch, block, now, batch)
        return self._decoded(batch)

    def decode_one_by_one(self, fetch: Fetch, now: datetime) -> Decoded:
        """The same, record by record; the measure of `decode`."""
        batch = _Batch()
        self._one_by_one(fetch, range(len(fetch.records)), now, batch)
        return self._decoded(batch)

    def _decoded(self, batch: _Batch) -> Decoded:
        frames = [*batch.frames, pl.DataFrame(batch.rows, schema=self.shape.rows)]
        return Decoded(pl.concat(frames), batch.bad)

    def _blocks(self, fetch: Fetch, batch: _Batch) -> Iterable[_Block]:
        """The records by schema. The usual framing is told from the values' first bytes, all at once."""
        values = fetch.values
        usual = _framed_by_id(values) & (not fetch.has_header(VALUE_SCHEMA_HEADER))
        for key, indexes in _by_schema_id(values, np.flatnonzero(usual)):
            yield _Block(key, indexes, values.take(indexes).without_first(ID_FRAME_BYTES))
        yield from self._framed_otherwise(fetch, np.flatnonzero(~usual).tolist(), batch)

    def _framed_otherwise(self, fetch: Fetch, indexes: list[int], batch: _Batch) -> Iterable[_Block]:
        found: dict[SchemaKey, tuple[list[int], list[bytes]]] = defaultdict(lambda: ([], []))
        for index in indexes:
            record = fetch.records[index]
            try:
                key, at = split_frame(record.value, record.headers)
            except Undecodable as error:
                batch.bad.append(Bad(record, error.reason, error.detail))
            else:
                found[key][0].append(index)
                found[key][1].append((record.value or b"")[at:])
        for key, (at_indexes, bodies) in found.items():
            yield _Block(key, np.array(at_indexes, np.int64), Spans.of(bodies))

    def _columns(self, fetch: Fetch, block: _Block, now: datetime, batch: _Batch) -> None:
        reader = self._reader(block.key)
        if reader is None:
            self._one_by_one(fetch, block.indexes.tolist(), now, batch)
            return
        try:
            frame, fit = reader.read(block.bodies)
        except NotText:
            self._smaller(fetch, block, now, batch)
            return
        unusual: pl.Series = self.shape.unusual(frame, now)
        batch.frames.append(self.shape.from_block(frame.filter(~unusual) if unusual.any() else frame))
        odd = np.concatenate((block.indexes[~fit], block.indexes[fit][unusual.to_numpy()]))
        self._one_by_one(fetch, odd.tolist(), now, batch)

    def _reader(self, key: SchemaKey) -> BlockReader | None:
        """Reads blocks whose writer's schema is ours; for any other None, which sends its records one by one."""
        try:
            reader = self.codec.reader(key)
        except Undecodable:
            return None
        if not reader.same:
            return None
        return self.readers.setdefault(key, BlockReader(reader.schema))

    def _smaller(self, fetch: Fetch, block: _Block, now: datetime, batch: _Batch) -> None:
        if len(block.indexes) <= SMALLEST_BLOCK:
            self._one_by_one(fetch, block.indexes.tolist(), now, batch)
        else:
            for half in block.halves():
                self._columns(fetch, half, now, batch)

    def _one_by_one(self, fetch: Fetch, indexes: Sequence[int], now: datetime, batch: _Batch) -> None:
        for index in indexes:
            record = fetch.records[index]
            try:
                checked = self.shape.check(self.codec.decode(record.value, record.headers), now)
            except BadRecord as error:
                batch.bad.append(Bad(record, error.reason, error.detail))
            else:
                batch.rows.append(self.shape.from_record(checked))


def _framed_by_id(values: Spans) -> npt.NDArray[np.bool_]:
    """Which values begin with a whole frame of the usual kind."""
    framed = values.sizes >= ID_FRAME_BYTES
    framed[framed] = values.buffer[values.starts[framed]] == ID_MAGIC
    return framed


def _by_schema_id(values: Spans, indexes: Ints) -> list[tuple[int, Ints]]:
    """(schema id, indexes of its records) for records framed by an id; those of the most records first, because the
    registry may not be asked for all: a schema that is new is in many, and an id out of damaged bytes in one."""
    buffer, starts = values.buffer, values.starts[indexes]
    ids = np.zeros(len(indexes), np.int64)
    for place in range(1, ID_FRAME_BYTES):
        ids = ids << 8 | buffer[starts + place]
    if (ids == ids[:1]).all():  # one producer, nearly always
        return [(key, indexes) for key in ids[:1].tolist()]
    order = np.argsort(ids, kind="stable")
    keys, begins = np.unique(ids[order], return_index=True)
    groups = np.split(indexes[order], begins[1:])
    return sorted(zip(keys.tolist(), groups, strict=True), key=lambda one: -len(one[1]))
