"""The sample worker without a broker: what is acked, what is released, and what waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError, StopWorker
from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import counter
from cosmo.runtime.waiting import Waiting
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import BehaviorPair, PairCounts, SampleState
from streams.blocks import FactAction, to_ipc
from streams.fetch.handler import Fetch, RawRecord
from streams.ingest.facts import Combined
from streams.kafka import growth
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import LagUnknown
from streams.kafka.producer import ConfirmingProducer, Headers, SinkUnconfirmed
from streams.sampling.admission import Budget, Window
from streams.sampling.handler import MAX_UNFLUSHED, SampleHandler
from streams.sampling.owned import Owned
from streams.sampling.release import Releaser
from streams.sampling.rules import Rules
from streams.state.log import SegmentLog
from streams.state.partition import PartitionState
from tests.sampling.cluster import NOW
from tests.sampling.examples import TODAY, bought, searches, together
from tests.state.memory_segments import MemorySegments
from tests.support.manual_clock import ManualClock

BLOCKS = Codec("pair-counts", PairCounts, FixedRegistry())
PAIRS = Codec("behavior-pairs", BehaviorPair, FixedRegistry())
SOON_S = 10.0


class NotedProducer(ConfirmingProducer):
    """Keeps what was sent and confirms it at once; or refuses everything."""

    def __init__(self, *, refuses: bool = False, sizes: Mapping[str, int] | None = None) -> None:
        self.refuses = refuses
        self.sizes = sizes or {}
        self.sent: list[tuple[str, bytes | None, bytes | None]] = []

    async def enqueue(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]:
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.refuses:
            confirmed.set_exception(SinkUnconfirmed("The broker is away."))
        else:
            self.sent.append((topic, value, key))
            confirmed.set_result(None)
        return confirmed

    def partitions(self, topic: str) -> int:
        return self.sizes.get(topic, 1)

    def released(self) -> list[BehaviorPair]:
        return [PAIRS.decode(value) for topic, value, _ in self.sent if topic == "behavior-pairs"]


@dataclass
class HeldSegments(MemorySegments):
    """Confirms no write until it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        self.asked.set()
        await self.let.wait()
        await super().put(partition, key, record)


@dataclass
class Sampler:
    """A handler at work on its only partition."""

    handler: SampleHandler
    producer: NotedProducer
    background: asyncio.Task[None]
    lag: int | None = 0
    """Of behavior-pairs, as the brokers tell it; None: they do not."""
    offset: int = 0

    async def take(self, combined: Combined) -> asyncio.Task[None]:
        """Hand over a fetch of one block; the task ends when it may be acked."""
        tables = combined.tables(0, 1)
        block = PairCounts(
            source_topic="query-purchase",
            source_partition=0,
            first_offset=0,
            last_offset=0,
            layout=1,
            facts=to_ipc(tables.facts),
            heads=to_ipc(tables.heads),
            products=to_ipc(tables.products),
        )
        self.offset += 1
        fetch = Fetch("pair-counts", 0, [RawRecord(self.offset, 0, None, BLOCKS.encode(block))])
        promise = await self.handler.handle(fetch)

        async def kept() -> None:
            await promise

        return asyncio.create_task(kept())

    async def settled(self) -> None:
        await until(lambda: all(work.owned.board.settled for work in self.handler.works.values()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 - threads are at work, which set no event of ours
            await asyncio.sleep(0.005)


@asynccontextmanager
async def sampler(
    store: MemorySegments,
    *,
    lag: int | None = 0,
    window: int = 64,
    refuses: bool = False,
    sizes: Mapping[str, int] | None = None,
    waiting: Waiting | None = None,
) -> AsyncIterator[Sampler]:
    async def known_lag() -> int:
        if one.lag is None:
            raise LagUnknown("The brokers do not tell.")
        return one.lag

    producer = NotedProducer(refuses=refuses, sizes=sizes)
    handler = SampleHandler(
        topic="pair-counts",
        state_topic="sample-state",
        blocks_codec=BLOCKS,
        producer=producer,
        dead_letters=DeadLetters(producer),
        segments=lambda number: SegmentLog(store, number),
        releaser=Releaser(
            producer=producer,
            codec=PAIRS,
            topic="behavior-pairs",
            lag=known_lag,
            share=lambda: 1.0,
            now=lambda: NOW,
            budget=Budget(Window(least=window, most=window)),
            waiting=waiting or Waiting(),
        ),
        rules=Rules(),
        flush_s=0.0,
        now=lambda: NOW,
    )
    await handler.start()
    await handler.assigned("pair-counts", frozenset({0}))
    one = Sampler(handler, producer, asyncio.create_task(handler.background()), lag)
    yield one
    one.background.cancel()
    with suppress(asyncio.CancelledError, SinkUnconfirmed, StopWorker):
        await one.background
    await handler.revoked("pair-counts", frozenset({0}))


def tents(count: int) -> Combined:
    return searches([row for number in range(count) for row in bought(f"tent {number}", "tent-1", 4, tag=f"{number}")])


async def test_a_pair_that_qualifies_is_released_once_and_its_fetch_is_acked() -> None:
    async with sampler(MemorySegments()) as one:
        kept = await one.take(tents(1))
        await asyncio.wait_for(kept, SOON_S)
        await until(lambda: len(one.producer.released()) == 1)
        await asyncio.wait_for(await one.take(tents(1)), SOON_S)  # redelivered
        await one.settled()
        assert [pair.query for pair in one.producer.released()] == ["tent 0"]
        assert one.producer.sent[-1][2] == one.producer.released()[0].pair_id.encode()


async def test_a_fetch_is_acked_no_sooner_than_a_confirmed_segment_holds_it() -> None:
    store = HeldSegments()
    async with sampler(store) as one:
        kept = await one.take(tents(1))
        done, _ = await asyncio.wait({kept}, timeout=0.1)
        assert not done
        store.let.set()
        await asyncio.wait_for(kept, SOON_S)
        assert store.live


async def test_a_broker_that_keeps_a_flush_waiting_keeps_neither_fetches_nor_releases() -> None:
    store = HeldSegments()
    async with sampler(store) as one:
        kept = [await one.take(tents(1))]
        await asyncio.wait_for(store.asked.wait(), SOON_S)
        kept.append(await one.take(searches(bought("late tent", "tent-2", 4))))
        await until(lambda: len(one.producer.released()) == 2)
        assert not store.live
        assert not any(task.done() for task in kept)
        store.let.set()
        await asyncio.wait_for(asyncio.gather(*kept), SOON_S)


@dataclass
class HeldWrites:
    """`streams.sampling.segments.Segments` of which each write waits until it is let."""

    let: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    writing: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> PartitionState:
        return PartitionState()

    def take(self, state: PartitionState) -> None:
        state.take_delta()

    async def write(self) -> None:
        self.writing.set()
        await self.let.acquire()


async def test_a_write_acks_no_fetch_that_came_after_its_rows_were_taken() -> None:
    segments = HeldWrites()
    owned = Owned.over(0, await segments.load(), Rules())
    before = await owned.add(tents(1).tables(0, 1))
    flushing = asyncio.create_task(owned.flush(segments))
    await asyncio.wait_for(segments.writing.wait(), SOON_S)
    after = await owned.add(tents(2).tables(0, 1))
    segments.let.release()
    await asyncio.wait_for(flushing, SOON_S)
    assert before.done()
    assert not after.done()
    segments.let.release()
    await asyncio.wait_for(owned.flush(segments), SOON_S)
    assert after.done()


async def test_handle_waits_while_too_many_fetches_are_not_durable() -> None:
    store = HeldSegments()
    async with sampler(store) as one:
        fetches = [asyncio.create_task(one.take(tents(1))) for _ in range(2 * MAX_UNFLUSHED)]
        await until(lambda: sum(fetch.done() for fetch in fetches) == MAX_UNFLUSHED)
        done, _ = await asyncio.wait(fetches, timeout=0.1)
        assert len(done) == MAX_UNFLUSHED
        store.let.set()
        await asyncio.wait_for(asyncio.gather(*[await each for each in fetches]), SOON_S)


async def test_what_is_not_durable_when_a_partition_is_lost_is_never_acked() -> None:
    store = HeldSegments()
    async with sampler(store) as one:
        flushing = await one.take(tents(1))
        await asyncio.wait_for(store.asked.wait(), SOON_S)
        waiting = asyncio.create_task(one.take(tents(1)))
        await one.handler.revoked("pair-counts", frozenset({0}))
        for kept in (flushing, await waiting):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(kept, SOON_S)
        assert not store.live


@dataclass
class RefusingSegments(MemorySegments):
    """Confirms nothing."""

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        raise SinkUnconfirmed("sample-state did not confirm a record.")


async def test_a_flush_that_is_not_confirmed_stops_the_worker_and_acks_nothing() -> None:
    async with sampler(RefusingSegments()) as one:
        kept = await one.take(tents(1))
        with pytest.raises(SinkUnconfirmed):
            await asyncio.wait_for(asyncio.shield(one.background), SOON_S)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(kept, SOON_S)


async def test_a_graceful_stop_flushes_what_is_held() -> None:
    store = MemorySegments()
    async with sampler(store) as one:
        kept = await one.take(tents(1))
        await one.handler.stop(Deadline.after(SOON_S))
        await asyncio.wait_for(kept, SOON_S)
        assert {record.table for record in store.live.values()} >= {"facts", "heads", "products"}


@pytest.mark.parametrize("lag", [None, 64, 1_000])
async def test_nothing_is_released_while_the_queue_is_full_or_unknown(lag: int | None) -> None:
    async with sampler(MemorySegments(), lag=lag) as one:
        await asyncio.wait_for(await one.take(tents(5)), SOON_S)
        await one.settled()
        assert one.handler.works[0].owned.board.qualified.height == 5
        assert not one.producer.released()


async def test_an_unknown_lag_is_said_by_healthz_until_it_is_known_and_then_pairs_go_on() -> None:
    """A sampler that releases nothing for ever must not look well."""
    clock = ManualClock()
    waiting = Waiting(clock)
    progress = Progress(clock, stalled_after_s=60.0, waiting=waiting)
    async with sampler(MemorySegments(), lag=None, waiting=waiting) as one:
        await asyncio.wait_for(await one.take(tents(1)), SOON_S)
        await until(lambda: bool(waiting.now()))
        progress.advance("pair-counts[0]")
        verdict = progress.judge()
        assert verdict.healthy
        assert "waits for the lag of behavior-pairs for 0 s: The brokers do not tell." in verdict.reason
        clock.now_s += 61.0
        progress.advance("pair-counts[0]")
        assert not progress.judge().healthy
        one.lag = 0
        await until(lambda: len(one.producer.released()) == 1)
        assert progress.judge().healthy
        assert not waiting.now()


async def test_no_more_is_released_than_the_window_lets() -> None:
    async with sampler(MemorySegments(), lag=61) as one:
        await asyncio.wait_for(await one.take(tents(9)), SOON_S)
        await until(lambda: one.handler.works[0].owned.board.due(NOW).height == 6)
        assert len(one.producer.released()) == 3


async def test_the_next_owner_goes_on_with_what_was_not_asked() -> None:
    store = MemorySegments()
    async with sampler(store, lag=61) as one:
        await asyncio.wait_for(await one.take(tents(9)), SOON_S)
        await until(lambda: len(one.producer.released()) == 3)
        await one.handler.stop(Deadline.after(SOON_S))
        asked = {pair.pair_id for pair in one.producer.released()}
    async with sampler(store) as two:
        await until(lambda: len(two.producer.released()) == 6)
        await two.settled()
        assert asked.isdisjoint(pair.pair_id for pair in two.producer.released())


async def test_a_broker_that_does_not_confirm_stops_the_worker() -> None:
    async with sampler(MemorySegments(), refuses=True) as one:
        await one.take(tents(1))
        with pytest.raises(SinkUnconfirmed):
            await asyncio.wait_for(asyncio.shield(one.background), SOON_S)


async def test_a_turn_ends_no_sooner_than_its_thread_even_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sampler(MemorySegments()) as one:
        owned = one.handler.works[0].owned
        await one.settled()
        going, over = threading.Event(), threading.Event()

        def slowly(_: object) -> None:
            going.set()
            over.wait(SOON_S)

        monkeypatch.setattr(owned.state, "ask", slowly)
        due = owned.board.due(NOW)
        turn = asyncio.create_task(owned.asked(due, NOW))
        await until(going.is_set)
        turn.cancel()
        done, _ = await asyncio.wait({turn}, timeout=0.05)
        assert not done
        assert owned.lock.locked()
        over.set()
        with pytest.raises(asyncio.CancelledError):
            await turn


async def test_facts_of_a_time_long_past_are_counted_as_such() -> None:
    late = counter("cosmo_late_facts_total").labels(0)
    async with sampler(MemorySegments()) as one:
        before = late._value.get()
        await asyncio.wait_for(await one.take(tents(1)), SOON_S)
        assert late._value.get() == before
        old = searches(bought("tent 0", "tent-1", 2, tag="old"), day=TODAY - 400)
        await asyncio.wait_for(await one.take(old), SOON_S)
        assert late._value.get() == before + old.facts.height


async def test_a_fact_of_a_day_to_come_neither_expires_the_state_nor_is_lost() -> None:
    """The horizon hangs from the newest day: taken in, a wrong clock would empty the partition."""
    async with sampler(MemorySegments()) as one:
        await asyncio.wait_for(await one.take(tents(1)), SOON_S)
        state = one.handler.works[0].owned.state
        before = state.fingerprint()
        ahead = searches(bought("tent 0", "tent-1", 2, tag="ahead"), day=TODAY + 400)
        await asyncio.wait_for(await one.take(ahead), SOON_S)
        assert (state.watermark, state.fingerprint()) == (TODAY, before)
        (value,) = [value for topic, value, _ in one.producer.sent if topic == "pair-counts.dlq"]
        assert BLOCKS.decode(value).facts == to_ipc(ahead.tables(0, 1).facts)
        late_neighbour = searches(bought("tent 1", "tent-1", 4, tag="1"))
        await asyncio.wait_for(await one.take(late_neighbour), SOON_S)
        await until(lambda: len(one.producer.released()) == 2)


async def test_a_pair_that_has_grown_is_asked_once_also_when_the_clock_has_stepped_back() -> None:
    """Or when its partition has moved to a machine whose clock is behind: the note of an earlier time would be lost."""
    async with sampler(MemorySegments()) as one:
        await asyncio.wait_for(await one.take(searches(bought("tent", "tent-1", 3))), SOON_S)
        await until(lambda: len(one.producer.released()) == 1)
        one.handler.releaser.now = lambda: NOW - timedelta(hours=1)
        await asyncio.wait_for(await one.take(searches(bought("tent", "tent-1", 9))), SOON_S)
        board = one.handler.works[0].owned.board
        await until(lambda: len(one.producer.released()) == 2 and board.due(NOW).is_empty())


async def test_an_event_of_a_day_to_come_takes_nothing_with_it_that_its_neighbours_in_a_fetch_need() -> None:
    """It is the newest of its product, so the block has no other row of that. Later owners of the state have it too."""
    ahead = searches([("somebody", "another tent", "tent-1", FactAction.IMPRESSION)], day=TODAY + 3)
    store = MemorySegments()
    async with sampler(store) as one:
        await asyncio.wait_for(await one.take(together(tents(1), ahead)), SOON_S)
        await until(lambda: len(one.producer.released()) == 1)
        (pair,) = one.producer.released()
        assert [named.product_id for named in pair.products] == ["tent-1"]
    async with sampler(store) as two:
        await asyncio.wait_for(await two.take(tents(2)), SOON_S)
        await until(lambda: len(two.producer.released()) >= 1)
        assert [pair.query for pair in two.producer.released()][-1] == "tent 1"


async def test_a_state_topic_of_another_size_stops_the_worker_before_it_reads_anything() -> None:
    with pytest.raises(StopWorker, match="pair-counts has 4 partitions and sample-state has 2"):
        async with sampler(MemorySegments(), sizes={"pair-counts": 4, "sample-state": 2}):
            pass


async def test_a_state_with_heads_of_other_partitions_is_not_gone_on_with() -> None:
    """Partitions were added: the head's past lies here, and its future will come elsewhere."""
    store = MemorySegments()
    async with sampler(store) as one:
        await asyncio.wait_for(await one.take(tents(20)), SOON_S)
    with pytest.raises(StopWorker, match="cosmo topics repartition"):
        async with sampler(store, sizes={"pair-counts": 2, "sample-state": 2}):
            pass


async def test_a_block_with_heads_of_other_partitions_stops_the_worker_and_is_not_acked() -> None:
    async with sampler(MemorySegments(), sizes={"pair-counts": 2, "sample-state": 2}) as one:
        with pytest.raises(StopWorker, match=r"from pair-counts\[0\]@1 to 1 holds .* heads .*cosmo topics repartition"):
            await one.take(tents(20))
        assert one.handler.works[0].owned.state.watermark == -1


async def test_partitions_added_while_it_runs_stop_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LOOK_EVERY_S", 0.01)
    sizes = {"pair-counts": 1, "sample-state": 1}
    async with sampler(MemorySegments(), sizes=sizes) as one:
        sizes["pair-counts"] = 2
        with pytest.raises(StopWorker, match="pair-counts has 2 partitions now, and had 1 when this worker started"):
            await asyncio.wait_for(asyncio.shield(one.background), SOON_S)


async def test_partitions_of_a_topic_that_the_brokers_do_not_tell_are_as_many_as_before() -> None:
    """One broker that lags behind, or none that answers, must not stop a sampler."""

    class Silent(NotedProducer):
        def partitions(self, topic: str) -> int:
            raise CosmoError("The topic does not exist.")

    assert await growth.grown(Silent(), "pair-counts", 4) == 4
    assert await growth.grown(NotedProducer(sizes={"pair-counts": 2}), "pair-counts", 4) == 4
    assert await growth.grown(NotedProducer(sizes={"pair-counts": 8}), "pair-counts", 4) == 8
