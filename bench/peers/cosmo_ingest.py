"""Our ingest worker as it runs in production, everything included, until its offsets are committed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from bench.peers.meter import Meter
from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from cosmo.workers.one import BUILDERS, limit
from schemas.registry import Registry
from streams.fetch.handler import Fetch, Handler
from streams.fetch.watch import Watch
from streams.kafka.clients import log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer
from streams.worker import Worker


@dataclass(slots=True)
class MeteredHandler:
    """A handler whose records are counted once their promise is kept: when the brokers have confirmed what came of
    them."""

    inner: Handler
    meter: Meter
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        await self.inner.start()

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        await self.inner.assigned(topic, partitions)

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        await self.inner.revoked(topic, partitions)

    async def stop(self, deadline: Deadline) -> None:
        await self.inner.stop(deadline)

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        self.meter.begin()
        promise = await self.inner.handle(fetch)

        async def kept() -> None:
            await promise
            if self.meter.add(len(fetch.records)):
                self.done.set()

        return kept()


async def run(settings: Settings, wanted: int) -> str:
    """Ingest ``wanted`` records and commit; the meter's line."""
    limit("ingest")
    build: Callable[..., Handler] = import_module(BUILDERS["ingest"]).build
    registry: Any = Registry(settings)
    async with ConfirmingProducer(settings) as producer:
        handler = MeteredHandler(build(settings, producer, DeadLetters(producer), registry), Meter(wanted))
        worker = Worker("ingest", settings, handler, Watch("ingest", Progress(), log_reader(settings)))
        running = asyncio.create_task(worker.run())
        ended = asyncio.create_task(handler.done.wait())
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
        await worker.app.consumer.commit()
        line = handler.meter.report()
        worker.request_stop()
        await running
    return line


if __name__ == "__main__":
    logs.configure(Settings(log_level="WARNING"), process="ingest")
    sys.stdout.write(asyncio.run(run(Settings(), int(os.environ["BENCH_COUNT"]))) + "\n")
