"""The durable state of one partition as its owner sees it: load it, add to it, keep it tidy.

Numbered where it happens: a segment is confirmed before a fetch in it is acked, and before what it replaces is removed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError, StopWorker
from schemas.records import SampleState
from streams.state.partition import PartitionState, Table
from streams.state.segments import Index, Segment, Unreadable, decode, encode, merged

log = logs.get(__name__)

ROWS_AT_ONCE = 1_000_000
"""Rows merged at once when a state is loaded; more is hardly faster and takes memory for the time."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A live segment as the store has it; ``where`` names its place for a person."""

    key: str
    record: SampleState
    where: str


class SegmentStore(Protocol):
    """Where the segments of a partition are kept: `streams.state.kafka.KafkaSegments`, or memory in tests."""

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        """Keep the record, or remove the one of this key (None); returns when that will survive. Raises CosmoError."""

    async def read(self, partition: int) -> Sequence[Stored]:
        """Every segment that was put and confirmed before this call and not removed. Raises CosmoError."""


@dataclass(slots=True)
class SegmentLog:
    """Loads and flushes the state of one partition. One `flush` at a time, nothing added to the state during its call
    up to its first wait; who calls it holds the state."""

    store: SegmentStore
    partition: int
    index: Index = field(default_factory=Index)
    empty: Callable[[], PartitionState] = PartitionState
    """Makes the state that segments are loaded into."""
    _owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _written: int = 0
    _tidying: asyncio.Task[None] | None = None

    async def load(self) -> PartitionState:
        """The state as its segments have it. StopWorker if one of them cannot be read."""
        stored = await self.store.read(self.partition)
        state = self.empty()
        segments = await asyncio.to_thread(unite, state, stored)
        self.index.add(segments)
        log.info("state loaded", partition=self.partition, segments=len(segments), **state.rows)
        return state

    async def flush(self, state: PartitionState) -> None:
        """1. write what the state gained since the last flush, 2. return when that is confirmed: fetches added before
        the call may be acked. Then tidies up in the background, when there is something to tidy."""
        delta = state.take_delta()
        if state.has_expired:
            await asyncio.to_thread(state.drop_expired)
        rewrite = self._rewrite_due(state)
        for table, rows in delta.items():
            self.index.add(await self._write(table, rows))
        if rewrite is not None:
            known = self.index.of(rewrite)  # all contained in the state, the delta just written included
            self._in_background(self._replace(known, rewrite, await asyncio.to_thread(state.snapshot, rewrite)))
        elif not self._busy and (small := self.index.to_merge()):
            rows = await asyncio.to_thread(merged, small)
            self._in_background(self._replace(small, small[0].table, rows))

    async def tidied(self) -> None:
        """Returns when nothing is being tidied."""
        if self._tidying is not None:
            await self._tidying

    @property
    def _busy(self) -> bool:
        return self._tidying is not None and not self._tidying.done()

    def _rewrite_due(self, state: PartitionState) -> Table | None:
        return None if self._busy else self.index.to_rewrite(state.rows)

    async def _write(self, table: Table, rows: pl.DataFrame) -> list[Segment]:
        encoded = await asyncio.to_thread(lambda: list(encode(table, rows)))
        named = [(self._key(table), height, record) for height, record in encoded]
        await asyncio.gather(*(self.store.put(self.partition, key, record) for key, _, record in named))
        return [Segment.of(key, table, height, record.rows) for key, height, record in named]

    async def _replace(self, replaced: Sequence[Segment], table: Table, rows: pl.DataFrame) -> None:
        """1. what contains them is confirmed, 2. they are removed. Dying in between leaves both, which is the same
        state; another owner doing the same to the same segments writes what contains them too."""
        self.index.add(await self._write(table, rows))
        self.index.remove(replaced)
        await asyncio.gather(*(self.store.put(self.partition, segment.key, None) for segment in replaced))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        async def tidy() -> None:
            try:
                await work
            except CosmoError as error:  # nothing is lost by not tidying; the next flush will meet the same brokers
                log.warning("tidying failed", partition=self.partition, error=str(error))

        self._tidying = asyncio.create_task(tidy())

    def _key(self, table: Table) -> str:
        self._written += 1
        return f"{table}-{self._owner}-{self._written}"


def unite(state: PartitionState, stored: Iterable[Stored]) -> list[Segment]:
    """Merge segments into the state; returns what to remember of them. StopWorker if one cannot be read."""
    frames: dict[Table, list[pl.DataFrame]] = {}
    segments = []
    for each in stored:
        try:
            table, rows = decode(each.record)
        except Unreadable as error:
            raise StopWorker(
                f"The sampler's state cannot be loaded: segment {each.key} at {each.where} is not usable; {error}.",
                advice="Run the version that wrote it, or remove the record by a tombstone and rewind pair-counts.",
            ) from error
        frames.setdefault(table, []).append(rows)
        segments.append(Segment.of(each.key, table, rows.height, each.record.rows))
    for table, parts in frames.items():
        for rows in pl.concat(parts).iter_slices(ROWS_AT_ONCE):
            state.merge_table(table, rows)
    return segments
