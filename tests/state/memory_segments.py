"""Segments in memory, as a broker would keep them; and one that dies after some writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cosmo.runtime.errors import CosmoError
from schemas.records import SampleState
from streams.state.log import Stored


@dataclass
class MemorySegments:
    """`streams.state.log.SegmentStore` without a broker."""

    live: dict[tuple[int, str], SampleState] = field(default_factory=dict)
    puts: int = 0

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        self.puts += 1
        self.live.pop((partition, key), None)
        if record is not None:
            self.live[partition, key] = record

    async def read(self, partition: int) -> Sequence[Stored]:
        return [Stored(key, record, "memory") for (number, key), record in self.live.items() if number == partition]


class Died(CosmoError):  # noqa: N818 - says what happened
    """The process that wrote is dead; nothing of it reaches the store any more."""


@dataclass
class DyingSegments:
    """One process's way to the store, which is cut after ``writes_left`` writes."""

    store: MemorySegments
    writes_left: int = 10**9

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise Died("The process is dead.")
        await self.store.put(partition, key, record)

    async def read(self, partition: int) -> Sequence[Stored]:
        return await self.store.read(partition)
