"""Sends the best pairs to behavior-pairs while the model keeps up. One for all partitions of the process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from cosmo.runtime.metrics import counter, gauge
from cosmo.runtime.waiting import WAITING, Waiting
from schemas.codec import Codec
from schemas.records import BehaviorPair
from streams.kafka.lag import LagUnknown
from streams.kafka.producer import ConfirmingProducer
from streams.sampling.admission import Budget, Lanes
from streams.sampling.owned import Owned

LAG_EVERY_S = 0.5
"""How often the lag of behavior-pairs is asked for. Commits come once a second; asking more often tells no more."""
LEAST_PAUSE_S = 0.02
"""Between two releases, so that a stream of small rounds is released in handfuls."""
LAG = "lag of behavior-pairs"
"""What is waited for while the brokers do not tell it."""
PAUSE_SHARE = 3
"""And at least this many times what the last release took: listing what is due is a quarter of the time at most."""


@dataclass(slots=True)
class Releaser:
    """1. send the best to behavior-pairs, 2. confirmed, 3. note them as asked. A crash between 2 and 3 sends a pair
    again, which names the same pair again; nothing is ever noted that was not sent."""

    producer: ConfirmingProducer
    codec: Codec[BehaviorPair]
    topic: str
    lag: Callable[[], Awaitable[int]]
    """Records of behavior-pairs that wait for the model. Raises LagUnknown, and nothing is released meanwhile."""
    share: Callable[[], float]
    """The part of all partitions that this process owns."""
    now: Callable[[], datetime]
    budget: Budget
    lanes: Lanes = field(default_factory=Lanes)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """There may be more to release."""
    waiting: Waiting = field(default_factory=lambda: WAITING)
    _measured_s: float | None = None

    async def run(self, owned: Callable[[], Collection[Owned]]) -> None:
        """Release for ever; raises when the broker does not confirm."""
        while True:
            await self._measure()
            began_s = time.monotonic()
            self.changed.clear()
            released = await self.release(owned())
            await asyncio.sleep(max(LEAST_PAUSE_S, PAUSE_SHARE * (time.monotonic() - began_s)))
            if not released:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), LAG_EVERY_S)

    async def release(self, owned: Collection[Owned]) -> int:
        """Send what there is room for. Returns how many."""
        room = self.budget.room(self.share())
        waiting = {one.partition: await one.due(self.now()) for one in owned}
        _count_waiting(waiting.values())
        everything = sum(frame.height for frame in waiting.values())
        if room == 0 or everything == 0:
            self.budget.sent(0, held_back=everything > 0)
            return 0
        together = pl.concat([frame.with_columns(partition=pl.lit(number)) for number, frame in waiting.items()])
        taken = self.lanes.take(together, room)
        self.budget.sent(taken.height, held_back=taken.height < everything)
        await asyncio.gather(*(self._send(one, taken.filter(pl.col("partition") == one.partition)) for one in owned))
        return taken.height

    async def _send(self, owned: Owned, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        now = self.now()
        rows, records = await owned.records(rows, now)
        encoded = [(record.pair_id.encode(), self.codec.encode(record)) for record in records]
        sent = [await self.producer.enqueue(self.topic, value, key=key) for key, value in encoded]
        await asyncio.gather(*sent)
        await owned.asked(rows, now)
        for record in records:
            counter("cosmo_sampled_pairs_total").labels(record.kind, record.reason).inc()

    async def _measure(self) -> None:
        began_s = time.monotonic()
        if self._measured_s is not None and began_s - self._measured_s < LAG_EVERY_S:
            return
        before = self.budget.sent_since
        lag = await self._lag()
        self._measured_s = began_s
        self.budget.measured(lag, before)
        gauge("cosmo_sample_window_records").set(self.budget.window.size)

    async def _lag(self) -> int | None:
        try:
            lag = await self.lag()
        except LagUnknown as error:
            self.waiting.failed(LAG, error.what)
            return None
        self.waiting.answered(LAG)
        return lag


def _count_waiting(frames: Collection[pl.DataFrame]) -> None:
    for lane in Lanes().shares:
        waiting = sum(frame.filter(pl.col("lane") == lane).height for frame in frames)
        gauge("cosmo_waiting_pairs").labels(lane).set(waiting)
