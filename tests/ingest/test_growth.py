"""Ingest places heads by the number of partitions that there is, also when it grows."""

from __future__ import annotations

import asyncio

import pytest

from cosmo.runtime.settings import Settings
from schemas.fixed_registry import FixedRegistry
from streams.ingest import handler
from streams.kafka import growth
from streams.kafka.dead_letters import DeadLetters
from tests.sampling.test_handler import SOON_S, NotedProducer, until


async def test_added_partitions_are_gone_by_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LOOK_EVERY_S", 0.01)
    sizes = {"pair-counts": 4}
    producer = NotedProducer(sizes=sizes)
    ingest = handler.build(Settings(topic_prefix=""), producer, DeadLetters(producer), FixedRegistry())
    await ingest.start()
    assert ingest.partitions == 4
    looking = asyncio.create_task(ingest.background())
    sizes["pair-counts"] = 8
    async with asyncio.timeout(SOON_S):
        await until(lambda: ingest.partitions == 8)
    looking.cancel()
