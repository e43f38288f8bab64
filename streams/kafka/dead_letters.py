"""Where a record goes that cannot be used: `<topic>.dlq`, byte for byte, with its reason and provenance in headers.

Header names follow KIP-1034. A ratio limit stops the worker rather than pour a whole topic into its dead letters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from cosmo.runtime import logs
from cosmo.runtime.errors import StopWorker
from cosmo.runtime.logs import at
from cosmo.runtime.metrics import counter
from streams.fetch.handler import Bad, Fetch
from streams.kafka.producer import ConfirmingProducer, Headers

log = logs.get(__name__)

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

    async def enqueue(self, topic: str, partition: int, bad: Bad) -> asyncio.Future[None]:
        """Queue one dead letter of ``topic`` (its full name, prefix included) when there is room."""
        headers = _headers(topic, partition, bad)
        sent = await self._producer.enqueue(f"{topic}.dlq", bad.record.value, key=bad.record.key, headers=headers)
        sent.add_done_callback(partial(_name_unsent, at(topic, partition, bad.record.offset)))
        counter("cosmo_dead_letters_total").labels(topic=topic, reason=bad.reason).inc()
        return sent

    def account(self, fetch: Fetch, bad: Sequence[Bad], *, again: bool = False) -> None:
        """Tell the ratio limit of the fetch or slice and of what in it cannot be used, before that is sent; raises
        `StopWorker` beyond the limit, naming one of them, as it is in no dead-letter topic yet.

        ``again``: the fetch was told before, and these of its records turned out bad since.
        """
        ratio = self._ratios.setdefault(fetch.topic, RatioLimit(limit=self._limit))
        if not ratio.add(seen=0 if again else len(fetch.records), dead=len(bad)):
            raise StopWorker(
                f"More than {self._limit:.0%} of the last records of {fetch.topic} cannot be used{_such(fetch, bad)}.",
                advice="Mend the producer. To let such records go to the dead letters (`cosmo dlq list`), start the "
                "worker once with COSMO_DEAD_LETTER_RATIO=1.",
            )


def _name_unsent(record: str, sent: asyncio.Future[None]) -> None:
    """What stops the worker says which topic failed; this, of which record."""
    if not sent.cancelled() and (error := sent.exception()) is not None:
        log.error("a dead letter was not taken", record=record, error=str(error))


def _such(fetch: Fetch, bad: Sequence[Bad]) -> str:
    if not bad:
        return ""
    one = bad[0]
    return f": {at(fetch.topic, fetch.partition, one.record.offset)} is {one.reason}, {one.detail}"


def _headers(topic: str, partition: int, bad: Bad) -> Headers:
    provenance = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(bad.record.offset),
        "timestamp": str(bad.record.timestamp_ms),
        "reason": bad.reason,
        "message": bad.detail[:MAX_MESSAGE_CHARS],
    }
    return [
        *bad.record.headers,
        *((PREFIX + name, text.encode("utf-8", "replace")) for name, text in provenance.items()),
    ]
