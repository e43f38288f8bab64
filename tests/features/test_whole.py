"""A writer's door: who may merge into a store without a mark, and who may set it."""

from __future__ import annotations

import asyncio

import pytest

from cosmo.runtime.settings import Settings
from cosmo.runtime.waiting import WAITING
from features.merge import Change
from features.online.store import Ref
from features.online.writer import Writer
from features.views import QUERY_INTENTS
from features.whole import DEPENDENCY, Door
from streams.kafka.lag import LagUnknown
from tests.features.examples import NOW, TOP_3, intent
from tests.features.memory_store import MemoryStore

QUERY = Ref(QUERY_INTENTS, "umbrella for storms")


class Log:
    """Answers whether an empty store lacks nothing; unreachable for the first ``failures`` times."""

    def __init__(self, *, lacks_nothing: bool, failures: int = 0) -> None:
        self.answer = lacks_nothing
        self.failures = failures
        self.asked = 0

    def __call__(self, _settings: Settings) -> bool:
        self.asked += 1
        if self.asked <= self.failures:
            raise LagUnknown("The brokers are silent.")
        return self.answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmo.runtime.waiting.FIRST_PAUSE_S", 0.001)


def writer(store: MemoryStore, log: Log, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr("features.whole.lacks_nothing", log)
    return Writer(store, TOP_3, now=lambda: NOW, door=Door(store, Settings()))


async def write(one: Writer, number: int) -> None:
    await one.apply({QUERY: [Change(intent=intent(intent_id=f"i-{number}", tail_key=f"tail {number}"))]})


async def waits(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(5.0):
        while not any(wait.dependency == DEPENDENCY for wait in WAITING.now()):
            assert not task.done()
            await asyncio.sleep(0)


async def test_the_first_worker_of_all_marks_the_store_and_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    store, log = MemoryStore(), Log(lacks_nothing=True, failures=2)
    one = writer(store, log, monkeypatch)
    await write(one, 1)
    await write(one, 2)
    assert (store.mark is not None, log.asked, QUERY in store.rows) == (True, 3, True)


async def test_a_worker_waits_for_the_rebuild_of_a_store_that_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    store, log = MemoryStore(), Log(lacks_nothing=False)
    task = asyncio.create_task(write(writer(store, log, monkeypatch), 1))
    await waits(task)
    assert (store.rows, store.mark) == ({}, None)
    await store.mark_applied("rebuilt")
    await asyncio.wait_for(task, 5.0)
    assert (QUERY in store.rows, log.asked) == (True, 1)
    assert WAITING.now() == []


async def test_a_worker_that_has_merged_sets_no_mark_whatever_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has merged and not committed yet would be in no row, and would not be missed."""
    store, log = MemoryStore(mark="applied"), Log(lacks_nothing=True)
    one = writer(store, log, monkeypatch)
    await write(one, 1)
    store.empty()
    task = asyncio.create_task(write(one, 2))
    await waits(task)
    assert (store.rows, store.mark, log.asked) == ({}, None, 0)
    await store.mark_applied("rebuilt")
    await asyncio.wait_for(task, 5.0)
