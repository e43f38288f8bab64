"""The sample process: blocks of facts in, the pairs worth explaining out, best first.

State is what the blocks say and what was asked; everything else is derived from it. So a pair that qualifies is
released in the end however the stream was cut and however often its owner changed: what was not noted as asked when a
process died is due again in the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import StopWorker
from cosmo.runtime.logs import at
from cosmo.runtime.metrics import counter
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import BehaviorPair, PairCounts
from schemas.registry import SchemaLookup
from streams import topics
from streams.fetch.handler import Fetch
from streams.kafka import growth
from streams.kafka.clients import group_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import LagOf
from streams.kafka.producer import ConfirmingProducer
from streams.sampling.admission import Budget, Window
from streams.sampling.blocks_in import decode, voucher_blocks
from streams.sampling.owned import Owned
from streams.sampling.release import Releaser
from streams.sampling.rules import Rules
from streams.sampling.segments import Segments
from streams.sampling.work import Work
from streams.state import placement
from streams.state.kafka import segment_log
from streams.state.placement import Misplaced

MAX_UNFLUSHED = 32
"""Fetches taken in that no confirmed segment holds. With this many `handle` waits, and lag grows instead of memory."""

MAX_COMPUTING = 2
"""Partitions computed on at the same time. Each holds copies of what it works on."""


@dataclass(slots=True)
class SampleHandler:
    """Merges blocks into the state of their partition, evaluates what changed, releases pairs while the model keeps up.

    At least once: a block that comes again changes nothing. A fetch is acked when a confirmed segment holds it.
    """

    topic: str
    state_topic: str
    blocks_codec: Codec[PairCounts]
    producer: ConfirmingProducer
    dead_letters: DeadLetters
    segments: Callable[[int], Segments]
    releaser: Releaser
    rules: Rules
    flush_s: float
    partitions: int = 0
    """Of pair-counts."""
    pairs_partitions: int = 0
    """Of behavior-pairs."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    works: dict[int, Work] = field(default_factory=dict)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UNFLUSHED))
    _computing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_COMPUTING))
    _failure: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def start(self) -> None:
        """Look up what the first fetch and the first release would otherwise wait for."""
        await asyncio.to_thread(lambda: (self.blocks_codec.schema_id, self.releaser.codec.schema_id))
        self.partitions = await asyncio.to_thread(self.producer.partitions, self.topic)
        self.pairs_partitions = await asyncio.to_thread(self.producer.partitions, self.releaser.topic)
        of_state = await asyncio.to_thread(self.producer.partitions, self.state_topic)
        if of_state != self.partitions:
            raise StopWorker(
                f"{self.topic} has {self.partitions} partitions and {self.state_topic} has {of_state}.",
                advice="The state of a partition lies in that of its own number. Run `cosmo topics repartition`.",
            )

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        """Load the state of these partitions and begin to work on them."""
        await asyncio.gather(*(self._open(number) for number in partitions))

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        """Drop them. What no confirmed segment holds is not acked, and comes again to the next owner."""
        dropped = [self.works.pop(number) for number in partitions if number in self.works]
        await asyncio.gather(*(work.drop() for work in dropped))

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        """Merge a fetch into the state. Returns when there is room for the next."""
        await self._room.acquire()
        try:
            return self._kept(await self._take(fetch))
        except BaseException:
            self._room.release()
            raise

    async def background(self) -> None:
        """Release pairs; raises what broke here or in the work on a partition."""
        own = [
            asyncio.create_task(self.releaser.run(self._owned)),
            asyncio.create_task(growth.watch(self.producer, self.topic, lambda: self.partitions, self._grown)),
            asyncio.create_task(
                growth.watch(self.producer, self.releaser.topic, lambda: self.pairs_partitions, self._more_pairs)
            ),
        ]
        try:
            await asyncio.wait({*own, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._failure, *own):
                if ended.done():
                    ended.result()
        finally:
            for task in own:
                task.cancel()

    async def stop(self, deadline: Deadline) -> None:
        """Flush what is held, so that its fetches can be acked."""
        finished = asyncio.gather(*(work.finish() for work in self.works.values()))
        await asyncio.wait_for(finished, deadline.remaining_s)

    async def _open(self, number: int) -> None:
        found = await growth.grown(self.producer, self.topic, self.partitions)
        if found > self.partitions:
            self._grown(found)
        segments = self.segments(number)
        state = await segments.load()
        placement.check(state.heads(), self.topic, number, self.partitions, "Its state")
        work = Work(
            owned=Owned.over(number, state, self.rules, self._computing),
            segments=segments,
            vouch=self._vouch,
            changed=self.releaser.changed.set,
            flush_s=self.flush_s,
        )
        self.works[number] = work
        work.begin(self._failed)

    def _grown(self, found: int) -> None:
        """Heads have moved to other partitions while we run. What we know of them has not."""
        raise Misplaced(f"{self.topic} has {found} partitions now, and had {self.partitions} when this worker started.")

    def _more_pairs(self, found: int) -> None:
        self.pairs_partitions = found

    def _failed(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _owned(self) -> list[Owned]:
        return [work.owned for work in self.works.values()]

    async def _take(self, fetch: Fetch) -> list[asyncio.Future[None]]:
        blocks = await asyncio.to_thread(decode, self.blocks_codec, fetch.records, self.now())
        heads = pl.concat([blocks.tables.facts["head"], blocks.tables.heads["head"]])
        where = f"The fetch from {at(fetch.topic, fetch.partition, fetch.first_offset)} to {fetch.last_offset}"
        placement.check(heads, fetch.topic, fetch.partition, self.partitions, where)
        self.dead_letters.account(fetch, blocks.bad)
        sent = [await self.dead_letters.enqueue(fetch.topic, fetch.partition, bad) for bad in blocks.bad]
        work = self.works.get(fetch.partition)
        return [*sent, await work.owned.add(blocks.tables) if work else _lost()]

    async def _kept(self, waited_for: Iterable[asyncio.Future[None]]) -> None:
        try:
            await asyncio.gather(*waited_for)
        finally:
            self._room.release()

    async def _vouch(self, partition: int, vouchers: pl.DataFrame) -> None:
        """Send vouchers and wait for them: a product's newest must not be overtaken by an older one in the queue."""
        counter("cosmo_vouchers_total").inc(vouchers.height)
        blocks = voucher_blocks(vouchers, self.partitions, (self.topic, partition))
        sent = [
            await self.producer.enqueue(self.topic, self.blocks_codec.encode(block), partition=target)
            for target, block in blocks
        ]
        await asyncio.gather(*sent)


def _lost() -> asyncio.Future[None]:
    """Of a fetch whose partition was revoked while it was decoded: it comes again to the next owner."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    lost.cancel()
    return lost


def build(
    settings: Settings, producer: ConfirmingProducer, dead_letters: DeadLetters, registry: SchemaLookup
) -> SampleHandler:
    """The handler as the worker runs it."""
    prefix, pairs_topic = settings.topic_prefix, settings.topic_prefix + topics.BEHAVIOR_PAIRS.name
    known_lag = LagOf(lambda: group_reader(settings, topics.group("infer", settings.topic_prefix)))

    async def lag() -> int:
        return await known_lag(pairs_topic, handler.pairs_partitions)

    releaser = Releaser(
        producer=producer,
        codec=Codec(topics.BEHAVIOR_PAIRS.name, BehaviorPair, registry),
        topic=pairs_topic,
        lag=lag,
        share=lambda: len(handler.works) / max(1, handler.partitions),
        now=lambda: datetime.now(UTC),
        budget=Budget(Window(least=settings.sample_window_least, most=settings.sample_window_most)),
    )
    handler = SampleHandler(
        topic=prefix + topics.PAIR_COUNTS.name,
        state_topic=prefix + topics.SAMPLE_STATE.name,
        blocks_codec=Codec(topics.PAIR_COUNTS.name, PairCounts, registry),
        producer=producer,
        dead_letters=dead_letters,
        segments=lambda number: segment_log(settings, producer, registry, number),
        releaser=releaser,
        rules=Rules(query_sessions=settings.sample_query_sessions),
        flush_s=settings.sample_flush_s,
    )
    return handler
