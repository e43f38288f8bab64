"""Reading ahead passes nothing over and hands nothing over twice, whatever moves the position meanwhile."""

from __future__ import annotations

import asyncio
import collections
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult, OffsetResetStrategy, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.metrics import counter
from streams.fetch.batches import Batch, parse, split
from streams.fetch.budget import MemoryBudget
from streams.fetch.prefetch import Prefetch
from streams.fetch.records import RawRecord, Records
from tests.fetch.batch_examples import TRANSACTIONAL, batch, by, changed, logs, repacked
from tests.fetch.bombs import bomb

TP = TopicPartition("t", 0)
HEAD_BYTES = 61


class ScriptedBroker:
    """A client whose brokers answer every fetch from one log, and refuse what lies before its start."""

    def __init__(self, log: bytes) -> None:
        self.log = log
        self.start = 0
        self.aborted: list[tuple[int, int]] | None = None

    async def send(self, node_id: int, request: Any, **_: Any) -> Any:
        ((_, ((_, offset, _),)),) = request.topics
        if offset < self.start:
            return Response([(TP.topic, [(TP.partition, OffsetOutOfRangeError.errno, -1, -1, 0, None, -1, b"")])])
        at = 0
        for found in split(self.log, check_crcs=False):
            if found.next_offset > offset:
                break
            at += HEAD_BYTES + len(found.encoded)
        return Response([(TP.topic, [(TP.partition, 0, 0, 0, 0, self.aborted, -1, self.log[at:])])])


class Response:
    def __init__(self, topics: list[Any]) -> None:
        self.topics = topics


class ScriptedFetcher:
    """The parts of aiokafka's fetcher that reading ahead relies on; requests go out when a test says so."""

    def __init__(self, log: bytes) -> None:
        self._client: Any = ScriptedBroker(log)
        self._records: collections.OrderedDict[Any, Any] = collections.OrderedDict()
        self._subscriptions = SubscriptionState()
        self._wait_consume_future = None
        self._closed = False
        self.assign(0)

    def assign(self, committed: int) -> None:
        """A rebalance ends with the same partition."""
        if self._subscriptions.subscription is None:
            self._subscriptions.subscribe({TP.topic})
        self._subscriptions.assign_from_subscribed([TP])
        self.state.seek(committed)
        self._records.clear()

    @property
    def assignment(self) -> Any:
        subscription: Any = self._subscriptions.subscription
        return subscription.assignment

    @property
    def state(self) -> Any:
        return self.assignment.state_value(TP)

    def _notify(self, future: Any) -> None:
        pass

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def respond(self) -> None:
        """One request and its answer, as the fetcher's own task would do it."""
        if TP in self._records or self.state.paused:
            return
        offset = self.state.position
        request = FetchRequest(0, 1, 1 << 20, 0, [(TP.topic, [(TP.partition, offset, 1 << 20)])])
        response = await self._client.send(0, request)
        ((_, answers),) = response.topics
        for _, error_code, *_, data in answers:
            self._answered(offset, error_code, data)

    def _answered(self, offset: int, error_code: int, data: bytes) -> None:
        if error_code == OffsetOutOfRangeError.errno:
            self.begin_anew()
        elif data:
            records = PartitionRecords(TP, MemoryRecords(data), None, offset, None, None, True, 0)
            self._records[TP] = FetchResult(TP, assignment=self.assignment, partition_records=records, backoff=0)

    def begin_anew(self) -> None:
        """Where the log begins now."""
        self.state.await_reset(OffsetResetStrategy.EARLIEST)
        self.state.reset_to(self._client.start)


Action = tuple[str, int]
actions = st.lists(
    st.tuples(st.sampled_from(["respond", "next", "seek", "reassign", "pause"]), st.integers(0, 12)),
    max_size=30,
)


async def play(log: bytes, records: list[RawRecord], script: list[Action], most: int) -> None:
    fetcher = ScriptedFetcher(log)
    prefetch = Prefetch(fetcher, most=most, check_crcs=True)
    expected = 0
    for action, number in [*script, *[("respond", 0), ("next", 0)] * (2 * len(records) + 12)]:
        if action == "respond":
            await fetcher.respond()
        elif action == "seek":
            fetcher.state.seek(number)
            expected = number
        elif action == "reassign":
            fetcher.assign(number)
            expected = number
        elif action == "pause":
            fetcher.state.resume() if fetcher.state.paused else fetcher.state.pause()
        for fetched in (await prefetch.next({TP}, 0.0)).values() if action == "next" else ():
            due = [record for record in records if expected <= record.offset < fetched.next_offset]
            assert list(fetched.records) == due
            assert len(due) <= most
            expected = fetched.next_offset
        if fetcher.state.paused and action == "next":
            fetcher.state.resume()
    assert [record for record in records if record.offset >= expected] == []


@settings(deadline=None, max_examples=300)
@given(logs(), actions, st.integers(1, 3))
def test_hand_overs_follow_the_position_without_a_gap(
    log: tuple[bytes, list[RawRecord]], script: list[Action], most: int
) -> None:
    """Whatever was read ahead when the position moves (seek, revocation and return) is void."""
    asyncio.run(play(*log, script, most))


def singly(count: int) -> bytes:
    """A log of as many records, each in a batch of its own."""
    return b"".join(batch([RawRecord(offset, 0, None, b"v")]) for offset in range(count))


async def offsets(prefetch: Prefetch) -> list[int]:
    """Of the next hand-over."""
    return [record.offset for fetched in (await prefetch.next({TP}, 0.0)).values() for record in fetched.records]


async def outrun(rounds: list[tuple[int, int, int]], most: int) -> None:
    fetcher = ScriptedFetcher(b"")
    broker, written = fetcher._client, 0
    prefetch = Prefetch(fetcher, most=most, check_crcs=True)
    told = counter("cosmo_deleted_unread_total").labels(TP.topic, TP.partition)._value
    before = told.get()
    seen: list[int] = []
    for more, deleted, taken in [*rounds, (1, 0, 0), *[(0, 0, 1)] * (6 * len(rounds) + 6)]:
        written += more
        broker.log, broker.start = singly(written), min(broker.start + deleted, written)
        await fetcher.respond()
        for _ in range(taken):
            seen += await offsets(prefetch)
    assert seen == sorted(set(seen))
    assert len(seen) + told.get() - before == written


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), max_size=10),
    st.integers(1, 3),
)
def test_each_record_is_handed_over_or_told_as_deleted_unread(rounds: list[tuple[int, int, int]], most: int) -> None:
    """However fast they are written, deleted and taken."""
    asyncio.run(outrun(rounds, most))


async def overtaken() -> tuple[ScriptedFetcher, Prefetch]:
    """Of thirty records, the first is handed over, nine are held, and what follows them was deleted."""
    fetcher = ScriptedFetcher(singly(10))
    broker = fetcher._client
    prefetch = Prefetch(fetcher, most=1, check_crcs=True)
    await fetcher.respond()
    assert await offsets(prefetch) == [0]
    broker.log, broker.start = singly(30), 20
    await fetcher.respond()
    return fetcher, prefetch


async def test_what_is_held_is_handed_over_before_it_goes_on_behind_what_was_deleted() -> None:
    fetcher, prefetch = await overtaken()
    assert [await offsets(prefetch) for _ in range(9)] == [[offset] for offset in range(1, 10)]
    assert await offsets(prefetch) == []  # aiokafka asks again
    await fetcher.respond()  # is told this time, and begins anew
    await fetcher.respond()
    assert await offsets(prefetch) == [20]


async def test_who_is_refused_is_not_asked_again_before_all_that_is_held_is_handed_over() -> None:
    fetcher, prefetch = await overtaken()
    assert TP in fetcher._records
    for _ in range(8):
        await prefetch.next({TP}, 0.0)
        assert TP in fetcher._records


@pytest.mark.parametrize("move", ["seek", "beginning", "reassign"])
async def test_what_is_held_is_void_when_the_position_is_moved_after_what_follows_was_deleted(move: str) -> None:
    fetcher, prefetch = await overtaken()
    match move:
        case "seek":
            fetcher.state.seek(25)
        case "beginning":
            fetcher.begin_anew()
        case _:
            fetcher.assign(25)
    assert await offsets(prefetch) == []
    await fetcher.respond()
    assert await offsets(prefetch) == [20 if move == "beginning" else 25]


async def test_nothing_is_taken_of_a_partition_that_is_not_asked_for() -> None:
    fetcher = ScriptedFetcher(batch([RawRecord(0, 0, None, b"v")]))
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    await fetcher.respond()
    assert await prefetch.next(set(), 0.0) == {}
    assert len((await prefetch.next({TP}, 0.0))[TP].records) == 1


async def test_the_next_response_is_asked_for_before_the_last_is_used_up() -> None:
    log = b"".join(batch([RawRecord(offset, 0, None, b"v")]) for offset in range(10))
    fetcher = ScriptedFetcher(log)
    prefetch = Prefetch(fetcher, most=1, check_crcs=True)
    await fetcher.respond()
    await prefetch.next({TP}, 0.0)
    assert TP not in fetcher._records
    assert fetcher.state.position == 10


async def test_a_fetch_of_nothing_but_aborted_records_moves_the_position() -> None:
    fetcher = ScriptedFetcher(by(changed(batch([RawRecord(0, 0, None, b"v")]), attributes=TRANSACTIONAL), 7))
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    fetcher._client._client.aborted = [(7, 0)]
    await fetcher.respond()
    fetched = (await prefetch.next({TP}, 0.0))[TP]
    assert (len(fetched.records), fetched.next_offset) == (0, 1)


async def test_a_damaged_response_raises_and_is_asked_for_again() -> None:
    """Nothing behind it is handed over: that would pass over its records."""
    good = batch([RawRecord(0, 0, None, b"first"), RawRecord(1, 0, None, b"second")])
    fetcher = ScriptedFetcher(good)
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    fetcher._client._client.log = good[:-1] + bytes([good[-1] ^ 1])
    await fetcher.respond()
    with pytest.raises(StopWorker, match=r"t\[0\]@0 does not match its checksum.*The next begins at 2"):
        await prefetch.next({TP}, 0.0)
    fetcher._client._client.log = good
    await fetcher.respond()
    assert [record.offset for record in (await prefetch.next({TP}, 0.0))[TP].records] == [0, 1]


@pytest.mark.parametrize("damage", ["checksum", "size", "structure"])
async def test_what_lies_before_a_batch_that_cannot_be_read_is_handed_over_and_what_lies_behind_is_not(
    damage: str,
) -> None:
    """So that one who moves the position past it, as the error tells, passes over nothing else."""
    parts = [batch([RawRecord(offset, 0, None, b"v")]) for offset in (0, 1, 2)]
    bad = {
        "checksum": parts[1][:-1] + bytes([parts[1][-1] ^ 1]),
        "size": repacked(parts[1], "zstd", bomb("zstd")[1]),
        "structure": repacked(parts[1], "none", b"\x02"),
    }[damage]
    fetcher = ScriptedFetcher(parts[0] + bad + parts[2])
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    await fetcher.respond()
    assert [record.offset for record in (await prefetch.next({TP}, 0.0))[TP].records] == [0]
    for _ in range(2):
        await fetcher.respond()
        with pytest.raises(StopWorker, match=r"^The batch at t\[0\]@1 .*The next begins at 2\."):
            await prefetch.next({TP}, 0.0)
    fetcher.state.seek(2)
    await fetcher.respond()
    assert [record.offset for record in (await prefetch.next({TP}, 0.0))[TP].records] == [2]


async def test_batches_that_hold_too_much_together_are_handed_over_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.fetch.batches.MOST_BYTES", 100)
    parts = [batch([RawRecord(offset, 0, None, bytes(60))], codec="zstd") for offset in range(3)]
    fetcher = ScriptedFetcher(b"".join(parts))
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    await fetcher.respond()
    fetched = [(await prefetch.next({TP}, 0.0))[TP].records[0].offset for _ in parts]
    assert fetched == [0, 1, 2]


async def test_what_was_unpacked_in_vain_is_let_go_before_it_is_tried_with_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that is being handled holds the frames it came through, and what they had unpacked: 256 MiB."""
    handled: list[BaseException | None] = []

    def watched(batches: Sequence[Batch], position: int) -> Records:
        handled.append(sys.exception())
        return parse(batches, position)

    monkeypatch.setattr("streams.fetch.batches.MOST_BYTES", 100)
    monkeypatch.setattr("streams.fetch.prefetch.parse", watched)
    fetcher = ScriptedFetcher(b"".join(batch([RawRecord(offset, 0, None, bytes(60))]) for offset in range(2)))
    prefetch = Prefetch(fetcher, most=10, check_crcs=True)
    await fetcher.respond()
    assert len((await prefetch.next({TP}, 0.0))[TP].records) == 1
    assert handled == [None, None]


async def test_nothing_more_is_unpacked_while_too_much_is_held_and_all_is_handed_over_in_the_end() -> None:
    """One batch always may: a bound that every batch exceeds holds nothing up for good."""
    fetcher = ScriptedFetcher(b"".join(batch([RawRecord(offset, 0, None, b"v")]) for offset in range(3)))
    prefetch = Prefetch(fetcher, most=1, check_crcs=True)
    prefetch.budget = MemoryBudget(start_below_bytes=1)
    await fetcher.respond()
    for offset in range(3):
        found = await prefetch.next({TP}, 0.0)
        assert found[TP].records[0].offset == offset
        assert await prefetch.next({TP}, 0.0) == {}
        del found
    assert prefetch.budget.held_bytes == 0


async def test_who_waits_for_room_is_served_when_it_is_given_back() -> None:
    fetcher = ScriptedFetcher(b"".join(batch([RawRecord(offset, 0, None, b"v")]) for offset in range(2)))
    prefetch = Prefetch(fetcher, most=1, check_crcs=True)
    prefetch.budget = MemoryBudget(start_below_bytes=1)
    await fetcher.respond()
    held = [await prefetch.next({TP}, 0.0)]
    waiting = asyncio.create_task(prefetch.next({TP}, 10.0))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    held.clear()
    assert (await asyncio.wait_for(waiting, 5.0))[TP].records[0].offset == 1


async def test_what_was_read_ahead_and_became_void_is_given_back() -> None:
    fetcher = ScriptedFetcher(batch([RawRecord(offset, 0, None, b"v") for offset in range(3)]))
    prefetch = Prefetch(fetcher, most=1, check_crcs=True)
    await fetcher.respond()
    await prefetch.next({TP}, 0.0)
    assert prefetch.budget.held_bytes > 0  # the other two
    fetcher.assign(0)
    await prefetch.next({TP}, 0.0)
    assert prefetch.budget.held_bytes == 0
