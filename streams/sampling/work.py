"""The work on one partition between its fetches: look at heads, send vouchers, make the state durable."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import polars as pl

from cosmo.runtime.metrics import gauge, histogram
from streams.sampling.owned import Owned
from streams.sampling.segments import Segments


@dataclass(slots=True)
class Work:
    """Two tasks on one partition, from `begin` until `finish` or `drop`."""

    owned: Owned
    segments: Segments
    vouch: Callable[[int, pl.DataFrame], Awaitable[None]]
    """Sends vouchers of this partition."""
    changed: Callable[[], None]
    """Told when there may be more to release."""
    flush_s: float
    _stopping: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, failed: Callable[[BaseException], None]) -> None:
        """Start; what breaks a task goes to ``failed``."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                failed(error)

        self._tasks = [asyncio.create_task(self._evaluate()), asyncio.create_task(self._flush())]
        for task in self._tasks:
            task.add_done_callback(ended)

    async def finish(self) -> None:
        """Stop looking at heads, and flush what is held."""
        evaluating, flushing = self._tasks
        evaluating.cancel()
        self._stopping = True
        self.owned.gained.set()
        await flushing

    async def drop(self) -> None:
        """The partition is lost: nothing more is written, and what is not durable is not acked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self.owned.drop()
        for name in ("cosmo_dirty_heads", "cosmo_qualified_pairs"):  # the next owner's figures now
            gauge(name).remove(self.owned.partition)

    async def _evaluate(self) -> None:
        owned = self.owned
        while True:
            began_s = time.monotonic()
            vouchers = await owned.evaluate()
            if vouchers is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(owned.wake.wait(), owned.pause_s)
                owned.wake.clear()
                continue
            histogram("cosmo_evaluate_seconds").observe(time.monotonic() - began_s)
            gauge("cosmo_dirty_heads").labels(owned.partition).set(owned.board.dirty)
            gauge("cosmo_qualified_pairs").labels(owned.partition).set(owned.board.qualified.height)
            if vouchers.height:
                await self.vouch(owned.partition, vouchers)
            self.changed()

    async def _flush(self) -> None:
        """1. segments confirmed, 2. ack the fetches they hold. Waits ``flush_s`` so that a segment holds many."""
        while True:
            await self.owned.gained.wait()
            if not self._stopping:
                await asyncio.sleep(self.flush_s)
            self.owned.gained.clear()
            await self.owned.flush(self.segments)
            if self._stopping and not self.owned.gained.is_set():
                return
