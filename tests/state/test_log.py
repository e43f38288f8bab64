"""Durability of a partition's state: nothing that was acked is lost, wherever a writer dies and whoever else writes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmo.runtime.errors import StopWorker
from schemas.records import SampleState
from streams.blocks import FactAction
from streams.state.log import SegmentLog, SegmentStore, Stored
from streams.state.partition import PartitionState
from streams.state.segments import Index, encode
from streams.state.tables import ASKED
from tests.state.examples import HORIZON, Fact, K, facts, session, tables
from tests.state.memory_segments import Died, DyingSegments, MemorySegments
from tests.state.store_contract import StoreContract, record


def empty() -> PartitionState:
    return PartitionState(sessions_kept=K, horizon_days=HORIZON)


def log_on(store: SegmentStore) -> SegmentLog:
    """Tidies up as often as it can."""
    return SegmentLog(store, 0, index=Index(fan_in=2, garbage_rows=0), empty=empty)


class TestMemorySegments(StoreContract):
    @pytest.fixture
    def store(self) -> MemorySegments:
        return MemorySegments()


@dataclass
class Owner:
    """A process that owns the partition, or thinks so."""

    log: SegmentLog
    state: PartitionState
    position: int


@dataclass
class Group:
    """One partition's blocks and the processes that read them, one after another and at once. Only the newest owner
    can commit, as in a consumer group."""

    blocks: list[list[Fact]]
    store: MemorySegments = field(default_factory=MemorySegments)
    committed: int = 0
    owners: list[Owner] = field(default_factory=list)

    async def take_over(self) -> Owner:
        log = log_on(DyingSegments(self.store))
        self.owners.append(Owner(log, await log.load(), self.committed))
        return self.owners[-1]

    def deliver(self, owner: Owner) -> None:
        if owner.position < len(self.blocks):
            owner.state.add(tables(self.blocks[owner.position]))
            owner.position += 1

    async def flush(self, owner: Owner) -> None:
        await owner.log.flush(owner.state)
        await owner.log.tidied()
        if owner is self.owners[-1]:
            self.committed = owner.position

    async def die_while_flushing(self, owner: Owner, writes: int) -> None:
        owner.log.store = DyingSegments(self.store, writes_left=writes)
        with contextlib.suppress(Died):
            await self.flush(owner)
        newest = owner is self.owners[-1]
        self.owners.remove(owner)
        if newest:
            await self.take_over()


STEPS = st.tuples(st.sampled_from(["deliver", "deliver", "flush", "die", "die", "take over"]), st.integers(0, 7))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(facts(), min_size=1, max_size=8), min_size=1, max_size=8),
    st.lists(STEPS, min_size=5, max_size=30),
)
def test_what_was_acked_survives_deaths_at_any_write_and_owners_that_overlap(
    blocks: list[list[Fact]], steps: list[tuple[str, int]]
) -> None:
    async def live() -> str:
        group = Group(blocks)
        await group.take_over()
        for step, number in steps:
            owner = group.owners[number % len(group.owners)]
            match step:
                case "deliver":
                    group.deliver(owner)
                case "flush":
                    await group.flush(owner)
                case "die":
                    await group.die_while_flushing(owner, number)
                case "take over":
                    await group.take_over()
        last = await group.take_over()
        for _ in blocks:
            group.deliver(last)
        return last.state.fingerprint()

    undisturbed = empty()
    for block in blocks:
        undisturbed.add(tables(block))
    assert asyncio.run(live()) == undisturbed.fingerprint()


async def test_many_small_segments_become_few() -> None:
    store = MemorySegments()
    log, state = SegmentLog(store, 0), PartitionState()
    for number in range(200):
        state.add(tables([(1, 10, 100, int(FactAction.CLICK), session(number))]))
        await log.flush(state)
        await log.tidied()
    assert len(store.live) < 3 * 2 * 8
    assert (await SegmentLog(store, 0).load()).fingerprint() == state.fingerprint()


async def test_a_table_of_mostly_garbage_is_written_anew() -> None:
    """Three days' horizon: nearly all that was ever written is forgotten at the end."""
    store = MemorySegments()
    log, state = log_on(store), empty()
    for day in range(100, 160):
        state.add(tables([(1, 10, day, int(FactAction.CLICK), session(number)) for number in range(10)]))
        await log.flush(state)
        await log.tidied()
    assert sum(segment.height for segment in log.index.of("facts")) <= 2 * K * HORIZON
    assert (await log_on(store).load()).fingerprint() == state.fingerprint()


async def test_what_was_asked_and_vouched_is_loaded_too() -> None:
    store = MemorySegments()
    log, state = log_on(store), empty()
    pair = pl.DataFrame({"head": [1], "other": [10]}, schema={"head": pl.UInt64, "other": pl.UInt64})
    state.add(tables([(1, 10, 100, 2, session(1)), (1, 10, 100, int(FactAction.VOUCHER), session(2))]))
    state.ask(pl.DataFrame([(1, 10, 5, 1, 1)], schema=ASKED, orient="row"))
    await log.flush(state)
    loaded = await log_on(store).load()
    assert loaded.asked(pair).equals(state.asked(pair))
    assert loaded.pairs_of(pair["head"]).equals(state.pairs_of(pair["head"]))
    assert loaded.snapshot("asked").equals(state.snapshot("asked"))
    assert loaded.snapshot("facts").equals(state.snapshot("facts"))


def damaged() -> bytes:
    """A real segment whose last bytes never came."""
    ((_, whole),) = encode("facts", tables([(1, 10, 100, int(FactAction.CLICK), session(1))]).facts)
    return whole.rows[: len(whole.rows) * 2 // 3]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(record(b"no arrow"), id="no rows"),
        pytest.param(record(damaged()), id="damaged rows"),
        pytest.param(SampleState(layout=2, table="facts", rows=b""), id="another layout"),
        pytest.param(SampleState(layout=1, table="fact", rows=b""), id="unknown table"),
    ],
)
async def test_a_segment_that_cannot_be_read_stops_the_worker_and_is_named(broken: object) -> None:
    class Broken(MemorySegments):
        async def read(self, partition: int) -> list[Stored]:
            return [Stored("facts-1", broken, "sample-state[0]@7")]  # type: ignore[arg-type]

    with pytest.raises(StopWorker, match=r"facts-1 at sample-state\[0\]@7"):
        await SegmentLog(Broken(), 0).load()


@pytest.mark.parametrize("writes", range(3))
async def test_what_a_failed_write_had_to_write_is_written_by_the_next(writes: int) -> None:
    """Three writes are what a flush of three tables takes; whichever fails, the next flush is as good as both."""
    store, state = MemorySegments(), empty()
    log = log_on(DyingSegments(store, writes_left=writes))
    state.add(tables([(1, 10, 100, int(FactAction.CLICK), session(1))]))
    with pytest.raises(Died):
        await log.flush(state)
    log.store = store
    state.add(tables([(2, 11, 100, int(FactAction.CLICK), session(2))]))
    await log.flush(state)
    assert (await log_on(store).load()).fingerprint() == state.fingerprint()


async def test_what_is_added_between_take_and_write_is_in_the_next_flush() -> None:
    """Nor is it in what is written now: it may be acked by the next flush only."""
    store, state, only_first = MemorySegments(), empty(), empty()
    log = log_on(store)
    first, second = (tables([(head, 10, 100, int(FactAction.CLICK), session(head))]) for head in (1, 2))
    state.add(first)
    only_first.add(first)
    log.take(state)
    state.add(second)
    await log.write()
    assert (await log_on(store).load()).fingerprint() == only_first.fingerprint()
    await log.flush(state)
    assert (await log_on(store).load()).fingerprint() == state.fingerprint()


@pytest.mark.parametrize("writes", range(12))
async def test_dying_after_any_write_of_a_flush_that_merges_loses_nothing(writes: int) -> None:
    """Twelve writes are more than a flush of three tables and a merge of two segments take."""
    blocks: list[list[Fact]] = [[(head, 10, 100, int(FactAction.CLICK), session(head))] for head in (1, 2, 3)]
    group = Group(blocks)
    owner = await group.take_over()
    group.deliver(owner)
    await group.flush(owner)
    group.deliver(owner)
    await group.die_while_flushing(owner, writes)
    successor = group.owners[-1]
    for _ in blocks:
        group.deliver(successor)
    undisturbed = empty()
    for block in blocks:
        undisturbed.add(tables(block))
    assert successor.state.fingerprint() == undisturbed.fingerprint()
