"""Whether a partition moves or has nothing left to read, by what the brokers hold and what was committed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cosmo.runtime import health
from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import REGISTRY
from streams.fetch.held_back import HeldBack
from streams.fetch.watch import Watch
from streams.kafka.lag import BEGINNING, END

PARTITION = ("behavior-pairs", 0)


@dataclass
class OneLog:
    """A client of brokers whose partitions all begin and end at the same offsets."""

    start: int
    end: int

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        found = {END: self.end, BEGINNING: self.start}
        return [TopicPartition(one.topic, one.partition, found[one.offset]) for one in partitions]


@dataclass
class SlowLog(OneLog):
    """Answers when it may."""

    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked.set()
        assert self.may_answer.wait(10.0)
        return OneLog.offsets_for_times(self, partitions, timeout)


@pytest.mark.parametrize(
    ("committed", "log", "healthy"),
    [
        (100, OneLog(0, 100), True),
        (100, OneLog(0, 101), False),
        (None, OneLog(0, 0), True),
        (None, OneLog(0, 1), False),
        (None, OneLog(500, 500), True),
        (100, OneLog(500, 500), True),
        (100, OneLog(500, 501), False),
    ],
    ids=["read", "one waits", "empty", "none read", "all deleted", "rest deleted", "rest deleted, one waits"],
)
async def test_a_partition_stands_still_only_when_there_is_something_to_read(
    committed: int | None, log: Any, healthy: bool
) -> None:
    now_s = [0.0]
    watch = Watch("infer", Progress(clock=lambda: now_s[0]), log)
    for now_s[0] in (0.0, 40.0, 80.0):
        await watch.look({}, {PARTITION: committed})
    assert watch.progress.judge().healthy is healthy


async def test_a_partition_that_went_is_not_scraped_any_more() -> None:
    watch = Watch("infer", Progress(), None)
    await watch.look({}, {PARTITION: 7})
    assert scraped() == {"cosmo_oldest_unacked_seconds", "cosmo_committed_offset"}
    watch.forget(*PARTITION)
    assert not scraped()
    watch.forget(*PARTITION)  # a partition that was never looked at goes as well


def scraped() -> set[str]:
    wanted = {"topic": PARTITION[0], "partition": str(PARTITION[1])}
    return {sample.name for family in REGISTRY.collect() for sample in family.samples if sample.labels == wanted}


async def test_a_partition_that_goes_while_the_brokers_are_asked_does_not_stand_still_for_ever() -> None:
    now_s = [0.0]
    log = SlowLog(0, 9)
    watch = Watch("infer", Progress(clock=lambda: now_s[0]), log)
    looking = asyncio.create_task(watch.look({}, {PARTITION: 7}))
    await asyncio.to_thread(log.asked.wait)
    watch.forget(*PARTITION)
    log.may_answer.set()
    await looking
    watch.progress.advance("another")
    now_s[0] = 50.0
    watch.progress.advance("another")
    now_s[0] = 100.0
    assert watch.progress.judge().healthy
    assert not scraped()


async def test_a_transaction_that_stays_open_is_told_and_nobody_is_restarted_for_it() -> None:
    """What lies behind it may not be read, so that a worker that has read all before it has nothing to do."""
    watch, now_s = HeldBack(), 0.0
    for now_s in (0.0, 30.0):
        watch.look(PARTITION, 10, 4010, now_s)
        assert health.notes() == []
    watch.look(PARTITION, 10, 4010, 60.0)
    (told,) = health.notes()
    assert told == "a transaction at behavior-pairs[0]@10, open for 60 s, holds back 4000 records"
    assert "cosmo_held_back_records" in scraped()
    watch.look(PARTITION, 20, 4010, 61.0)  # the next one
    assert health.notes() == []
    watch.look(PARTITION, 4010, 4010, 62.0)
    assert "cosmo_held_back_records" not in scraped()


async def test_a_partition_that_went_is_not_noted_any_more() -> None:
    watch = Watch("infer", Progress(), OneLog(0, 7))
    await watch.look({}, {PARTITION: 7}, {PARTITION: (7, 9)})
    assert "cosmo_held_back_records" in scraped()
    watch.forget(*PARTITION)
    assert not scraped()


@pytest.mark.parametrize("stable", [9, 20], ids=["it has ended", "another is open"])
async def test_a_transaction_that_has_ended_is_not_told_of_by_a_response_from_before(
    stable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a handler has no room, nothing is asked, and the last response tells of it again and again."""
    monkeypatch.setattr("streams.fetch.held_back.TOLD_AFTER_S", 0.0)
    log = OneLog(0, 7)
    watch = Watch("infer", Progress(), log)
    response = {PARTITION: (7, 9)}
    await watch.look({}, {PARTITION: 3}, response)
    assert len(health.notes()) == 1
    log.end = stable
    await watch.look({}, {PARTITION: 3}, response)
    assert health.notes() == []
    assert "cosmo_held_back_records" not in scraped()


async def test_nothing_is_claimed_of_a_transaction_while_nobody_tells_and_its_age_goes_on() -> None:
    watch = HeldBack()
    watch.look(PARTITION, 10, 4010, 0.0)
    watch.look(PARTITION, 10, 4010, 60.0)
    assert len(health.notes()) == 1
    watch.unknown(PARTITION)
    assert health.notes() == []
    assert "cosmo_held_back_records" not in scraped()
    watch.look(PARTITION, 10, 4010, 70.0)
    assert "open for 70 s" in health.notes()[0]
    watch.forget(PARTITION)


async def test_a_log_that_is_not_told_of_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.fetch.held_back.TOLD_AFTER_S", 0.0)
    log = OneLog(0, 7)
    watch = Watch("infer", Progress(), log)
    await watch.look({}, {PARTITION: 3}, {PARTITION: (7, 9)})
    assert len(health.notes()) == 1
    monkeypatch.setattr(log, "offsets_for_times", unanswered)
    await watch.look({}, {PARTITION: 3}, {PARTITION: (7, 9)})
    assert health.notes() == []


def unanswered(*_: Any, **__: Any) -> Any:
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
