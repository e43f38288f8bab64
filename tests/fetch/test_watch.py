"""Whether a partition moves or has nothing left to read, by what the brokers hold and what was committed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # it is public in the docs

from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import REGISTRY
from streams.fetch.watch import Watch

PARTITION = ("behavior-pairs", 0)


@dataclass
class OneLog:
    """An admin client of brokers whose partitions all begin and end at the same offsets."""

    start: int
    end: int

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        return {tp: told(self.start if spec is earliest else self.end) for tp, spec in asked.items()}


@dataclass
class SlowLog(OneLog):
    """Answers when it may."""

    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **how: Any) -> dict[TopicPartition, Future[Any]]:
        self.asked.set()
        assert self.may_answer.wait(10.0)
        return super().list_offsets(asked, **how)


def told(offset: int) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(SimpleNamespace(offset=offset))
    return future


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
    watch = Watch("infer", Progress(clock=lambda: now_s[0]), cast("AdminClient", log))
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
