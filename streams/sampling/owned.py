"""One partition of pair-counts as this process owns it: its state, what is derived from it, and turns to use them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import polars as pl

from cosmo.runtime.metrics import counter
from schemas.records import BehaviorPair, SampleReason
from streams.blocks import FACTS, FactAction
from streams.ingest.facts import Tables
from streams.sampling.board import Board
from streams.sampling.described import describable, described
from streams.sampling.rules import Rules
from streams.sampling.segments import Segments
from streams.state.partition import PartitionState

T = TypeVar("T")

ROUND_S = 0.2
"""What one round of evaluation should take: the next fetch and the next release wait for it."""
LEAST_HEADS, MOST_HEADS = 256, 1_024
"""Heads of one round, by how long the last one took. A round costs as much as 100 heads before it looks at the first;
with fewer than the least a busy machine would do little else, and with more than the most a tenth at best is gained,
while the pairs of all heads looked at once would take more memory than the state."""
REFRESH_SHARE = 20
"""Figures over all heads are reckoned anew after a pause of this many times what it took: 5 % of the time."""
SWEEP_SHARE = 4
"""After a round of looking at heads again whose facts did not change comes a pause of this many times what it took, in
which new facts go first: 20 % of the time. The sweep's end is not urgent, and the model runs on the same machine."""
DUE_FOR_S = 60.0
"""What is due is listed anew at least this often, because pairs also fall due by growing old."""


@dataclass(slots=True)
class Owned:
    """Fetches, rounds of evaluation and releases take turns: each method holds the partition while a thread works."""

    partition: int
    state: PartitionState
    board: Board
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """There may be heads to look at."""
    gained: asyncio.Event = field(default_factory=asyncio.Event)
    """The state holds what no segment holds yet."""
    unflushed: list[asyncio.Future[None]] = field(default_factory=list)
    dropped: bool = False
    computing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Shared by all partitions of a process, so that only so many hold copies of what they work on."""
    _heads: int = LEAST_HEADS
    _refresh_at_s: float = 0.0
    _sweep_at_s: float = 0.0
    _due: pl.DataFrame | None = None
    _due_until_s: float = 0.0

    @classmethod
    def over(
        cls, partition: int, state: PartitionState, rules: Rules, computing: asyncio.Semaphore | None = None
    ) -> Owned:
        """Begin with a state just loaded."""
        owned = cls(partition=partition, state=state, board=Board(state, rules))
        owned.computing = computing or owned.computing
        owned.wake.set()
        return owned

    async def add(self, tables: Tables) -> asyncio.Future[None]:
        """Take in a fetch; the future is set by whoever flushes, and cancelled when the partition is dropped."""

        def add() -> None:
            self.board.touch(self.state.add(tables), figures=_has_shoppers(tables))
            counter("cosmo_late_facts_total").labels(self.partition).inc(self.state.late(tables.facts))

        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with self.lock:
            if self.dropped:
                held.cancel()
                return held
            await self._compute(add)
            self.unflushed.append(held)
        self.gained.set()
        self.wake.set()
        return held

    async def flush(self, segments: Segments) -> None:
        """1. take what the state gained, holding it, 2. write that while others go on with the state, 3. let the
        fetches in it be acked. Those that come during 2 wait for the next flush."""
        held: list[asyncio.Future[None]] = []
        try:
            async with self.lock:
                held, self.unflushed = self.unflushed, []
                await self._compute(lambda: segments.take(self.state))
            await segments.write()
        except BaseException:
            _cancel(held)
            raise
        for fetch in held:
            if not fetch.done():
                fetch.set_result(None)

    async def drop(self) -> None:
        """Not ours any more: fetches that are not durable are never acked."""
        async with self.lock:
            self.dropped = True
            _cancel(self.unflushed)

    async def evaluate(self) -> pl.DataFrame | None:
        """One round of looking at heads. Returns vouchers to send, None when there is nothing to do for now."""
        vouchers = await self._with_state(self._round)
        if vouchers is not None:
            self._due = None
        return vouchers

    @property
    def pause_s(self) -> float | None:
        """How long to wait for `wake` when there is nothing to do for now; None: until it comes."""
        if self.board.settled:
            return None
        at_s = [self._sweep_at_s] * self.board.sweeping + [self._refresh_at_s] * self.board.knowledge.has_news
        return max(0.0, min(at_s, default=0.0) - time.monotonic())

    async def due(self, now: datetime) -> pl.DataFrame:
        """What should be asked now; see `Board.due`."""
        if self._due is None or time.monotonic() > self._due_until_s:
            self._due_until_s = time.monotonic() + DUE_FOR_S
            self._due = await self._with_state(lambda: self.board.due(now))
        return self._due

    async def records(self, rows: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, list[BehaviorPair]]:
        """Of rows that were due those that can be described still, and their records."""

        def work() -> tuple[pl.DataFrame, list[BehaviorPair]]:
            known = describable(self.state, rows)
            return known, described(self.state, known, now)

        return await self._with_state(work)

    async def asked(self, rows: pl.DataFrame, now: datetime) -> None:
        """Note rows whose records the broker has confirmed."""
        self._due = None
        await self._with_state(lambda: self.state.ask(self._noted(rows, now)))
        self._due = None
        self.gained.set()

    def _noted(self, rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """As `ASKED`. The newest note of a pair wins, so each is later than the one before, whatever clock that was
        taken from: one that lost would have its pair released again and again."""
        known = self.state.asked(rows).select("head", "other", known_ms="asked_ms")
        now_ms = pl.lit(int(now.timestamp() * 1000), pl.Int64)
        return rows.join(known, on=["head", "other"], how="left").select(
            "head",
            "other",
            asked_ms=pl.max_horizontal(now_ms, pl.col("known_ms") + 1),
            level="level",
            reason=pl.col("reason").replace_strict(REASON_CODES, return_dtype=pl.UInt8),
        )

    async def _with_state(self, work: Callable[[], T]) -> T:
        async with self.lock:
            return await self._compute(work)

    async def _compute(self, work: Callable[[], T]) -> T:
        async with self.computing:
            return await _in_thread(work)

    def _round(self) -> pl.DataFrame | None:
        began_s = time.monotonic()
        if self.board.knowledge.has_news and not self.board.learning and began_s >= self._refresh_at_s:
            self.board.refresh()
            ended_s = time.monotonic()
            self._refresh_at_s = ended_s + REFRESH_SHARE * (ended_s - began_s)
            return FACTS.to_frame()
        if self.board.learning or self.board.dirty:
            vouchers = self.board.step(self._heads)
        elif self.board.sweeping and began_s >= self._sweep_at_s:
            vouchers = self.board.sweep(self._heads)
            self._sweep_at_s = began_s + (1 + SWEEP_SHARE) * (time.monotonic() - began_s)
        else:
            return None
        self._adapt(time.monotonic() - began_s)
        return vouchers

    def _adapt(self, took_s: float) -> None:
        if took_s > ROUND_S:
            self._heads = max(LEAST_HEADS, self._heads // 2)
        elif took_s < ROUND_S / 2:
            self._heads = min(MOST_HEADS, self._heads * 2)


REASON_CODES = {reason.value: code for code, reason in enumerate(SampleReason)}
"""Codes of the table of what was asked; reasons are only ever added at the end."""


def _cancel(held: Iterable[asyncio.Future[None]]) -> None:
    """These fetches are not acked by this owner: they come again."""
    for fetch in held:
        fetch.cancel()


def _has_shoppers(tables: Tables) -> bool:
    """Whether shoppers' facts are in a block, or vouchers alone."""
    return bool((tables.facts["action"] != FactAction.VOUCHER).any())


async def _in_thread(work: Callable[[], T]) -> T:
    """`asyncio.to_thread` that ends no sooner than its thread does, however often it is cancelled: whoever takes the
    turn next must find nobody at work on the state."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        raise
