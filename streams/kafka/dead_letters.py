"""Where a record goes that cannot be used: `<topic>.dlq`, byte for byte, with its reason and provenance in headers.

Header names follow KIP-1034. A ratio limit stops the worker rather than pour a whole topic into its dead letters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.metrics import counter
from streams.fetch.handler import RawRecord
from streams.kafka.producer import ConfirmingProducer, Headers

PREFIX = "__streams.errors."
MAX_MESSAGE_CHARS = 500


@dataclass(slots=True)
class RatioLimit:
    """Refuses to go on when more than ``limit`` of the last ``window`` records were dead letters.

    Pure: fed with counts, it knows no clock. Below ``min_dead`` dead letters it never refuses, so that
    a handful of bad records at the start of a topic does not stop it.
    """

    limit: float = 0.5
    window: int = 10_000
    min_dead: int = 200
    _counts: deque[tuple[int, int]] = field(default_factory=deque)
    _seen: int = 0
    _dead: int = 0

    def add(self, *, seen: int, dead: int) -> bool:
        """Add a fetch's counts; True while within the limit."""
        self._counts.append((seen, dead))
        self._seen += seen
        self._dead += dead
        while self._counts and self._seen - self._counts[0][0] >= self.window:
            old_seen, old_dead = self._counts.popleft()
            self._seen -= old_seen
            self._dead -= old_dead
        return self._dead < self.min_dead or self._dead <= self.limit * self._seen


class DeadLetters:
    """Writes refused records to their dead-letter topics. At least once: a redelivered record may be there twice,
    and its provenance headers tell so."""

    def __init__(self, producer: ConfirmingProducer, *, prefix: str = "", limit: float = 0.5) -> None:
        self._producer = producer
        self._prefix = prefix
        self._limit = limit
        self._ratios: dict[str, RatioLimit] = {}

    def send_nowait(
        self, topic: str, partition: int, record: RawRecord, *, reason: str, detail: str
    ) -> asyncio.Future[None]:
        """Queue one dead letter of ``topic`` (its full name, prefix included). BufferError when the queue is full."""
        headers = _headers(topic, partition, record, reason=reason, detail=detail)
        sent = self._producer.send_nowait(f"{topic}.dlq", record.value, key=record.key, headers=headers)
        counter("cosmo_dead_letters_total").labels(topic=topic, reason=reason).inc()
        return sent

    async def enqueue(
        self, topic: str, partition: int, record: RawRecord, *, reason: str, detail: str
    ) -> asyncio.Future[None]:
        """`send_nowait` when there is room in the queue."""
        headers = _headers(topic, partition, record, reason=reason, detail=detail)
        sent = await self._producer.enqueue(f"{topic}.dlq", record.value, key=record.key, headers=headers)
        counter("cosmo_dead_letters_total").labels(topic=topic, reason=reason).inc()
        return sent

    def account(self, topic: str, *, seen: int, dead: int, example: str = "") -> None:
        """Tell the ratio limit of a fetch, before its dead letters are sent; raises `StopWorker` beyond it.

        ``example`` is one of them with its reason: what stops the worker is in no dead-letter topic yet.
        """
        ratio = self._ratios.setdefault(topic, RatioLimit(limit=self._limit))
        if not ratio.add(seen=seen, dead=dead):
            such = f": {example}" if example else ""
            raise StopWorker(
                f"More than {self._limit:.0%} of the last records of {topic} cannot be used{such}.",
                advice="Mend the producer. To let such records go to the dead letters (`cosmo dlq list`), start the "
                "worker once with COSMO_DEAD_LETTER_RATIO=1.",
            )


def _headers(topic: str, partition: int, record: RawRecord, *, reason: str, detail: str) -> Headers:
    provenance = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp_ms),
        "reason": reason,
        "message": detail[:MAX_MESSAGE_CHARS],
    }
    return [*record.headers, *((PREFIX + name, text.encode("utf-8", "replace")) for name, text in provenance.items())]
