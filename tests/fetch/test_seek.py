"""Where a partition goes on after a seek to the committed offsets, also when there is none, or when it comes late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.consumer.fetcher import OffsetResetStrategy
from faust.types import TP

from streams.fetch.transport import FetchThread, Seek

NEW, READ, AT_ZERO, LOST = (TP("pair-counts", number) for number in range(4))
BEGINNING = -1


@dataclass
class State:
    """Of one partition."""

    position: int = 90

    def await_reset(self, strategy: int) -> None:
        assert strategy == OffsetResetStrategy.EARLIEST
        self.position = BEGINNING


@dataclass
class SeekingConsumer:
    """aiokafka's consumer and its fetcher, as far as a seek goes."""

    offsets: dict[TP, int | None]
    """Committed."""
    states: dict[TP, State] = field(init=False)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """The coordinator, whose answer is what was committed when it was asked."""
    _records: dict[TP, None] = field(init=False)
    """Fetched, and taken by nobody."""
    _wait_consume_future: None = None

    def __post_init__(self) -> None:
        self.states = {tp: State() for tp in self.offsets}
        self._records = dict.fromkeys(self.offsets)
        self._fetcher = self._subscriptions = self

    def assignment(self) -> frozenset[TP]:
        return frozenset(self.states)

    async def committed(self, tp: TP) -> int | None:
        offset = self.offsets[tp]
        self.asked.set()
        await self.answers.wait()
        return offset

    def seek(self, tp: TP, offset: int) -> None:
        self._records.pop(tp, None)
        self.states[tp].position = offset

    def _assigned_state(self, tp: TP) -> State:
        return self.states[tp]

    def _notify(self, future: None) -> None:
        pass

    @property
    def positions(self) -> dict[TP, int]:
        return {tp: state.position for tp, state in self.states.items()}


def seeking(consumer: SeekingConsumer) -> FetchThread:
    thread = FetchThread.__new__(FetchThread)
    thread._consumer = consumer
    return thread


async def late(consumer: SeekingConsumer, thread: FetchThread, seek: Seek, meanwhile: Callable[[], Any]) -> None:
    """The seek, whose committed offsets were told before ``meanwhile``, and arrive after it."""
    going = asyncio.create_task(thread._seek_to_committed(seek))
    await consumer.asked.wait()
    meanwhile()
    consumer.answers.set()
    await going


async def test_without_a_commit_it_goes_back_to_the_beginning() -> None:
    committed = {NEW: None, READ: 7, AT_ZERO: 0}
    consumer = SeekingConsumer(committed)
    consumer.answers.set()
    assert await seeking(consumer)._seek_to_committed(Seek(1)) == committed
    assert consumer.positions == {NEW: BEGINNING, READ: 7, AT_ZERO: 0}
    assert consumer._records == {}


async def test_a_partition_taken_away_meanwhile_does_not_end_the_process() -> None:
    consumer = SeekingConsumer({READ: 7, LOST: 8})
    await late(consumer, seeking(consumer), Seek(1), lambda: consumer.states.pop(LOST))
    assert consumer.positions == {READ: 7}


async def test_nothing_is_sought_when_all_was_taken_away() -> None:
    consumer = SeekingConsumer({LOST: 8})
    await late(consumer, seeking(consumer), Seek(1), consumer.states.clear)
    assert consumer.positions == {}


async def test_a_seek_that_was_given_up_moves_nothing_when_it_goes_on() -> None:
    """As when a coordinator was away: the next rebalance is over then, and what was delivered since would come again
    behind its own back."""
    consumer, seek = SeekingConsumer({READ: 7, NEW: None}), Seek(1)
    await late(consumer, seeking(consumer), seek, lambda: setattr(seek, "given_up", True))
    assert consumer.positions == {READ: 90, NEW: 90}


async def test_a_seek_moves_nothing_after_a_newer_one_has() -> None:
    consumer = SeekingConsumer({READ: 7})
    thread = seeking(consumer)
    await late(consumer, thread, Seek(1), lambda: setattr(thread, "_sought", 2))
    assert consumer.positions == {READ: 90}


async def test_whoever_stops_waiting_for_a_seek_gives_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given: asyncio.Queue[Seek] = asyncio.Queue()

    async def call_thread(_: object, seek: Seek) -> None:
        given.put_nowait(seek)
        await asyncio.Event().wait()

    thread = seeking(SeekingConsumer({}))
    monkeypatch.setattr(thread, "call_thread", call_thread)
    waiting = asyncio.create_task(thread.seek_to_committed())
    seek = await given.get()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert seek.given_up
