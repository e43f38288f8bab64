"""The durable state of one partition as its owner sees it: load it, add to it, keep it tidy.

Numbered where it happens: a segment is confirmed before a fetch in it is acked, and before what it replaces is removed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError, StopWorker
from schemas.records import SampleState
from streams.state import begun
from streams.state.partition import SCHEMAS, PartitionState, Table
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """What a flush has to write: rows not durable yet, by table, and sometimes a whole table to write anew."""

    delta: Mapping[Table, pl.DataFrame]
    rewritten: tuple[Table, pl.DataFrame] | None
    """Holds every row of its table's segments, those of ``delta`` included."""


@dataclass(slots=True)
class SegmentLog:
    """Loads and flushes the state of one partition: 1. `take` while the caller holds the state, 2. `write` while others
    may use it. One such pair at a time. What a `write` that raised has not confirmed is kept for the next."""

    store: SegmentStore
    partition: int
    index: Index = field(default_factory=Index)
    empty: Callable[[], PartitionState] = PartitionState
    """Makes the state that segments are loaded into."""
    lost: begun.Lost | None = None
    """See `begun.noted`; without it a state that is not there is one that never was."""
    _taken: Gains | None = None
    _owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _written: int = 0
    _tidying: asyncio.Task[None] | None = None

    async def load(self) -> PartitionState:
        """The state as its segments have it. StopWorker if one of them cannot be read, or the state is gone."""
        stored = await self.store.read(self.partition)
        if self.lost is not None:
            stored = await begun.noted(self.store, self.partition, stored, self.lost)
        state = self.empty()
        segments = await asyncio.to_thread(unite, state, stored)
        self.index.add(segments)
        log.info("state loaded", partition=self.partition, segments=len(segments), **state.rows)
        return state

    def take(self, state: PartitionState) -> None:
        """Take over what the state gained since the last call. Computes; nothing else may use the state meanwhile."""
        delta = state.take_delta()
        if self._taken is not None:  # its write failed
            delta = together(self._taken.delta, delta)
        if state.has_expired:
            state.drop_expired()
        rewrite = self._rewrite_due(state)
        self._taken = Gains(delta=delta, rewritten=None if rewrite is None else (rewrite, state.snapshot(rewrite)))

    async def write(self) -> None:
        """1. write what was taken, 2. return when that is confirmed: fetches added before the `take` may be acked. Then
        tidies up in the background, when there is something to tidy. Raises CosmoError."""
        gains = self._taken
        if gains is None:
            return
        for table, rows in gains.delta.items():
            self.index.add(await self._write(table, rows))
        self._taken = None
        if gains.rewritten is not None:
            table, rows = gains.rewritten
            self._in_background(self._replace(self.index.of(table), table, rows))
        elif not self._busy and (small := self.index.to_merge()):
            self._in_background(self._merge(small))

    async def flush(self, state: PartitionState) -> None:
        """`take` and `write`, for whoever has the state to himself."""
        self.take(state)
        await self.write()

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

    async def _merge(self, small: Sequence[Segment]) -> None:
        await self._replace(small, small[0].table, await asyncio.to_thread(merged, small))

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


def together(one: Mapping[Table, pl.DataFrame], two: Mapping[Table, pl.DataFrame]) -> dict[Table, pl.DataFrame]:
    """Both deltas in one."""
    parts = {table: [delta[table] for delta in (one, two) if table in delta] for table in SCHEMAS}
    return {table: pl.concat(frames) for table, frames in parts.items() if frames}


def unite(state: PartitionState, stored: Iterable[Stored]) -> list[Segment]:
    """Merge segments into the state; returns what to remember of them. StopWorker if one cannot be read."""
    frames: dict[Table, list[pl.DataFrame]] = {}
    segments = []
    for each in stored:
        if each.key == begun.KEY:
            continue  # no part of any segment that replaces others, so that it stays
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
