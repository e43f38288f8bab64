"""Tells whether a worker's partitions move: gauges for the on-call engineer, progress for /healthz.

The end offsets are asked of the broker by a client of our own, because a consumer that has silently stopped fetching
does not know of new records either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import counter, gauge, histogram
from streams.fetch.handler import Fetch
from streams.fetch.held_back import HeldBack
from streams.fetch.ledger import Ledger
from streams.kafka.lag import OffsetReader, end_offsets, start_offsets

EVERY_S = 5.0

Partition = tuple[str, int]


def part(topic: str, partition: int) -> str:
    """Name of a partition as a part of the process's progress."""
    return f"{topic}[{partition}]"


@dataclass(slots=True)
class Watch:
    """Watches the ledgers of one worker. `look` is called by the worker every few seconds."""

    process: str
    progress: Progress
    log: OffsetReader | None
    _committed: dict[Partition, int] = field(default_factory=dict)
    _gone: set[Partition] = field(default_factory=set)
    """Forgotten since the last look began."""
    _held_back: HeldBack = field(default_factory=HeldBack)

    def done(self, fetch: Fetch, seconds: float) -> None:
        """A fetch has ended."""
        records = len(fetch.records)
        self.progress.advance(part(fetch.topic, fetch.partition))
        counter("cosmo_records_total").labels(self.process, fetch.topic, "done").inc(records)
        histogram("cosmo_fetch_records").labels(fetch.topic).observe(records)
        histogram("cosmo_fetch_seconds").labels(fetch.topic).observe(seconds)

    def spare(self) -> None:
        """The group has no partition for this worker: its start is over, and there is nothing that could move."""
        self.progress.forget("start")

    def forget(self, topic: str, partition: int) -> None:
        """The partition is another's now: what was last seen of it here would be scraped as if it were still true."""
        self.progress.forget(part(topic, partition))
        self._committed.pop((topic, partition), None)
        self._gone.add((topic, partition))
        self._held_back.forget((topic, partition))
        for name in ("cosmo_oldest_unacked_seconds", "cosmo_committed_offset"):
            gauge(name).remove(topic, partition)

    async def look(
        self,
        ledgers: Mapping[Partition, Ledger],
        committed: Mapping[Partition, int | None],
        ends: Mapping[Partition, tuple[int, int]] | None = None,
    ) -> None:
        """Advance every partition that moved since the last look, or has nothing left to read. What lies behind
        an open transaction is told, and is not our work yet. ``ends``: how far each partition could be read, and where
        it ended, at its last response, which may be long ago: while there is no room, nothing is asked."""
        self._gone.clear()
        bounds = await asyncio.to_thread(_bounds, self.log, list(committed)) if committed and self.log else {}
        now_s = time.monotonic()
        for key, offset in committed.items():
            if key in self._gone:  # while the brokers were asked; noted now, it would stand still for ever
                continue
            self._judge(key, offset or 0, bounds.get(key))
            ledger = ledgers.get(key)
            age_s = ledger.oldest_unacked_s(now_s) if ledger else 0.0
            gauge("cosmo_oldest_unacked_seconds").labels(key[0], key[1]).set(age_s)
            if ends and key in ends:
                self._look_behind(key, ends[key], bounds.get(key), now_s)

    def close(self) -> None:
        """Let the client go. Faust keeps an app, and with it this object, for the life of the process, and a client
        that nobody uses would go on calling brokers that may be gone."""
        self.log = None

    def _look_behind(self, key: Partition, ends: tuple[int, int], bounds: tuple[int, int] | None, now_s: float) -> None:
        """A transaction is still open if the partition may be read to the same offset now."""
        stable, end = ends
        if bounds is None:
            self._held_back.unknown(key)
        elif bounds[1] == stable:
            self._held_back.look(key, stable, end, now_s)
        else:
            self._held_back.forget(key)

    def _judge(self, key: Partition, offset: int, bounds: tuple[int, int] | None) -> None:
        nothing_left = bounds is None or max(offset, bounds[0]) >= bounds[1]  # retention may have taken what was unread
        if nothing_left or offset != self._committed.get(key):
            self.progress.advance(part(*key))
        self._committed[key] = offset
        gauge("cosmo_committed_offset").labels(*key).set(offset)


def _bounds(log: OffsetReader, wanted: list[Partition]) -> dict[Partition, tuple[int, int]]:
    """First offset of each partition and how far it may be read; nothing when the brokers do not tell: they are what
    is stuck then, and not this process."""
    try:
        ends, starts = end_offsets(log, wanted), start_offsets(log, wanted)
    except KafkaException:
        return {}
    return {key: (starts[key], end) for key, end in ends.items()}
