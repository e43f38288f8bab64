"""Assignment and revocation, as the worker hands them on to its logic; without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field

import pytest
from faust.types import TP

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import StopWorker
from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from cosmo.runtime.waiting import GivenUp
from streams.fetch.handler import Fetch, RawRecord
from streams.fetch.watch import Watch
from streams.worker import Worker


@dataclass
class SlowHandler:
    """Opens a partition when ``may_open`` is set, or fails to."""

    error: Exception | None = None
    may_open: asyncio.Event = field(default_factory=asyncio.Event)
    opened: set[int] = field(default_factory=set)

    async def start(self) -> None:
        pass

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        if self.error is not None:
            raise self.error
        await self.may_open.wait()
        self.opened |= partitions

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        self.opened -= partitions

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        assert fetch.partition in self.opened
        return asyncio.sleep(0)

    async def stop(self, deadline: Deadline) -> None:
        pass


@dataclass
class StuckHandler(SlowHandler):
    """Its start waits for brokers that never answer."""

    async def start(self) -> None:
        await asyncio.Event().wait()


@dataclass
class OneFetch:
    """A stream of one event."""

    value: Fetch
    acked: bool = False

    def noack(self) -> OneFetch:
        return self

    async def events(self) -> AsyncIterator[OneFetch]:
        yield self

    def ack(self) -> None:
        self.acked = True


class Panic(BaseException):
    """As native code raises it: no Exception."""


@dataclass
class PanickingHandler(SlowHandler):
    """Its promises end in a panic."""

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        async def promise() -> None:
            raise Panic

        return promise()


@dataclass
class WaitingHandler(SlowHandler):
    """Its promises wait for a dependency until the worker stops."""

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        async def promise() -> None:
            await self.may_open.wait()
            raise GivenUp("It was still away.")

        return promise()


def worker(handler: SlowHandler) -> Worker:
    return Worker("sample", Settings(), handler, Watch("sample", Progress(), None))


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_partition_that_cannot_be_opened_stops_the_worker_although_no_fetch_comes() -> None:
    """It would otherwise own the partition in silence, and do nothing for it."""
    running = worker(SlowHandler(error=StopWorker("The state cannot be loaded.")))
    await running._assigned(None, {TP("pair-counts", 0)})
    async with asyncio.timeout(5.0):
        await running._stopping.wait()
    assert isinstance(running._failure, StopWorker)


async def test_a_partition_revoked_while_it_is_loaded_is_not_opened_afterwards() -> None:
    handler = SlowHandler()
    running = worker(handler)
    await running._assigned(None, {TP("pair-counts", 0), TP("pair-counts", 1)})
    await settled()
    await running._revoked(None, {TP("pair-counts", 0)})
    handler.may_open.set()
    await settled()
    assert handler.opened == {1}


async def test_a_partition_that_comes_back_is_opened_again() -> None:
    handler = SlowHandler()
    handler.may_open.set()
    running = worker(handler)
    for _ in range(2):
        await running._assigned(None, {TP("pair-counts", 0)})
        await settled()
        assert handler.opened == {0}
        await running._revoked(None, {TP("pair-counts", 0)})
        assert handler.opened == set()


@pytest.mark.parametrize("turns", range(6))
async def test_a_fetch_is_not_handled_when_its_partition_went_while_it_waited(turns: int) -> None:
    """Whenever the revocation comes: before the partition is open, at that moment, or after."""
    handler = SlowHandler()
    running = worker(handler)
    await running._assigned(None, {TP("pair-counts", 0)})
    agent = asyncio.create_task(running._agent(OneFetch(Fetch("pair-counts", 0, [RawRecord(0, 0, None, None)]))))
    await settled()
    handler.may_open.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    await running._revoked(None, {TP("pair-counts", 0)})
    await agent
    assert running._failure is None


async def test_a_worker_asked_to_stop_while_it_starts_does_not_wait_for_its_start() -> None:
    told: list[str] = []
    running = worker(StuckHandler())
    running.on_stop = lambda: told.append("stop")
    task = asyncio.create_task(running.run())
    await settled()
    running.request_stop()
    async with asyncio.timeout(5.0):
        await task
    assert told


async def test_a_panic_in_native_code_stops_the_worker_instead_of_its_commits() -> None:
    handler = PanickingHandler()
    handler.may_open.set()
    running = worker(handler)
    await running._assigned(None, {TP("pair-counts", 0)})
    await running._agent(OneFetch(Fetch("pair-counts", 0, [RawRecord(0, 0, None, None)])))
    async with asyncio.timeout(5.0):
        await running._stopping.wait()
    assert isinstance(running._failure, Panic)


async def test_what_waited_for_a_dependency_when_the_worker_stopped_is_neither_acked_nor_a_failure() -> None:
    handler = WaitingHandler()
    handler.may_open.set()
    running = worker(handler)
    await running._assigned(None, {TP("pair-counts", 0)})
    event = OneFetch(Fetch("pair-counts", 0, [RawRecord(0, 0, None, None)]))
    await running._agent(event)
    await asyncio.gather(*running._promises)
    assert not event.acked
    assert running._failure is None
