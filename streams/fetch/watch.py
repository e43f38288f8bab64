"""Tells whether a worker's partitions move: gauges for the on-call engineer, progress for /healthz.

The end offsets are asked of the broker by a client of our own, because a consumer that has silently stopped fetching
does not know of new records either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import counter, gauge, histogram
from streams.fetch.handler import Fetch
from streams.fetch.ledger import Ledger
from streams.kafka.lag import end_offsets

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
    admin: AdminClient | None
    _committed: dict[Partition, int] = field(default_factory=dict)

    def done(self, fetch: Fetch, seconds: float) -> None:
        """A fetch has ended."""
        records = len(fetch.records)
        self.progress.advance(part(fetch.topic, fetch.partition))
        counter("cosmo_records_total").labels(self.process, fetch.topic, "done").inc(records)
        histogram("cosmo_fetch_records").labels(fetch.topic).observe(records)
        histogram("cosmo_fetch_seconds").labels(fetch.topic).observe(seconds)

    def forget(self, topic: str, partition: int) -> None:
        self.progress.forget(part(topic, partition))
        self._committed.pop((topic, partition), None)

    async def look(self, ledgers: Mapping[Partition, Ledger], committed: Mapping[Partition, int | None]) -> None:
        """Advance every partition that moved since the last look, or has nothing left to read."""
        wanted = [TopicPartition(topic, number) for topic, number in committed]
        try:
            ends = await asyncio.to_thread(end_offsets, self.admin, wanted) if wanted and self.admin else {}
        except KafkaException:  # the brokers are what is stuck, not this process
            ends = {}
        now_s = time.monotonic()
        for key, offset in committed.items():
            self._judge(key, offset or 0, ends.get(key))
            ledger = ledgers.get(key)
            age_s = ledger.oldest_unacked_s(now_s) if ledger else 0.0
            gauge("cosmo_oldest_unacked_seconds").labels(key[0], key[1]).set(age_s)

    def close(self) -> None:
        """Let the client go. Faust keeps an app, and with it this object, for the life of the process, and a client
        that nobody uses would go on calling brokers that may be gone."""
        self.admin = None

    def _judge(self, key: Partition, offset: int, end: int | None) -> None:
        if end is None or offset >= end or offset != self._committed.get(key):
            self.progress.advance(part(*key))
        self._committed[key] = offset
        gauge("cosmo_committed_offset").labels(*key).set(offset)
