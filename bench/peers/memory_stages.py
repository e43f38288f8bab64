"""The stages of `bench.memory`: events to a file, from there through ingest to blocks, and those through sample.

A file is a row of pickles, one for each fetch: topic, partition, values.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from cosmo.runtime.settings import Settings
from cosmo.workers import one

PARTITIONS = 4
BLOCKS, PAIRS = "pair-counts", "behavior-pairs"
SHARE_OF_ORDERS = 10
"""One order comes with so many searches, about as in the whole input."""
SEED = 7
SETTLED_S = 150.0
ARRIVES_S = 25.0
"""The demonstration sends its input over so many seconds."""
FETCH_BYTES = 3 * one.SAMPLE_FETCH_BYTES
"""Blocks as they come out of the broker's compression."""
MAX_WAITING = 200

Values = tuple[str, int, list[bytes]]


def main() -> None:
    """Arguments: stage, directory, baskets, events a fetch. Prints one JSON document."""
    name, directory, baskets, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if name != "events":
        one.limit(name)
    stages: dict[str, Callable[[], dict[str, Any]]] = {
        "events": lambda: events(directory, baskets, size),
        "ingest": lambda: asyncio.run(ingest(directory)),
        "sample": lambda: asyncio.run(sample(directory)),
    }
    sys.stdout.write(json.dumps(stages[name]()) + "\n")


def events(directory: Path, baskets: int, size: int) -> dict[str, Any]:
    """The input topics as fetches, side by side as they would arrive."""
    from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation
    from cosmo.produce.lines import numbered
    from cosmo.produce.native import native
    from cosmo.produce.outcomes import Sendable
    from schemas.codec import Codec
    from schemas.fixed_registry import FixedRegistry
    from schemas.records import CoPurchase, QueryPurchase

    simulation = Simulation.over(baskets=baskets, seed=SEED, now=datetime.now(UTC))
    records: dict[str, type[Any]] = {SEARCHES: QueryPurchase, ORDERS: CoPurchase}

    def encoded(topic: str) -> Iterator[bytes]:
        codec = Codec(topic, records[topic], FixedRegistry())
        lines = numbered((line.value for line in simulation.lines(topic)), source=topic)
        return (codec.encode(found.record) for found in native(lines, records[topic]) if isinstance(found, Sendable))

    count = 0
    sources = {SEARCHES: (encoded(SEARCHES), size), ORDERS: (encoded(ORDERS), max(1, size // SHARE_OF_ORDERS))}
    with (directory / "events").open("wb") as out:
        while sources:
            for topic, (values, most) in list(sources.items()):
                some = list(islice(values, most))
                count += len(some)
                if some:
                    pickle.dump((topic, 0, some), out)
                else:
                    del sources[topic]
    return {"count": count}


@dataclass
class FileProducer:
    """In the place of `ConfirmingProducer`: writes fetches of one record, and confirms at once."""

    note: Callable[[str, int | None, bytes], None]
    counts: dict[str, int] = field(default_factory=dict)

    async def enqueue(
        self, topic: str, value: bytes, *, partition: int | None = None, **_: Any
    ) -> asyncio.Future[None]:
        self.counts[topic] = self.counts.get(topic, 0) + 1
        self.note(topic, partition, value)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed

    async def send(self, topic: str, value: bytes, **more: Any) -> None:
        await (await self.enqueue(topic, value, **more))

    def partitions(self, topic: str) -> int:
        return PARTITIONS


@dataclass
class Measured:
    """RSS, time and CPU time from here on."""

    began_s: float = field(default_factory=time.perf_counter)
    before_s: float = field(default_factory=time.process_time)

    def report(self, **more: object) -> dict[str, Any]:
        return {
            "seconds": time.perf_counter() - self.began_s,
            "cpu_s": time.process_time() - self.before_s,
            "rss": psutil.Process().memory_info().rss,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        } | more


def fetches(path: Path) -> Iterator[tuple[float, Any]]:
    """What is in a file, and before each fetch the share of the file that lies before it."""
    from streams.fetch.handler import Fetch, RawRecord

    with path.open("rb") as source, suppress(EOFError):
        while True:
            share = source.tell() / path.stat().st_size
            topic, partition, values = pickle.load(source)
            yield share, Fetch(topic, partition, [RawRecord(at, 0, None, value) for at, value in enumerate(values)])


async def ingest(directory: Path) -> dict[str, Any]:
    """The input through ingest's handler."""
    from schemas.fixed_registry import FixedRegistry
    from streams.ingest import handler
    from streams.kafka.dead_letters import DeadLetters

    with (directory / "blocks").open("wb") as out:

        def note(topic: str, partition: int | None, value: bytes) -> None:
            if topic == BLOCKS:
                pickle.dump((topic, partition, [value]), out)

        producer: Any = FileProducer(note)
        logic = handler.build(Settings(topic_prefix=""), producer, DeadLetters(producer), FixedRegistry())
        await logic.start()
        measured = Measured()
        await asyncio.gather(*[await logic.handle(fetch) for _, fetch in fetches(directory / "events")])
    return measured.report(counts=producer.counts)


@dataclass
class Arrived:
    """In the place of the topic of blocks: each partition is read by fetches of what has arrived meanwhile."""

    queues: list[asyncio.Queue[bytes]] = field(default_factory=lambda: [asyncio.Queue() for _ in range(PARTITIONS)])
    unkept: int = 0

    def put(self, partition: int, value: bytes) -> None:
        self.queues[partition].put_nowait(value)

    @property
    def waiting(self) -> int:
        return self.unkept + sum(queue.qsize() for queue in self.queues)

    async def read(self, partition: int, logic: Any) -> None:
        from streams.fetch.handler import Fetch, RawRecord

        queue, promises = self.queues[partition], set()
        while True:
            values = [await queue.get()]
            self.unkept += 1
            size = len(values[0])
            while not queue.empty() and size < FETCH_BYTES:
                values.append(queue.get_nowait())
                size += len(values[-1])
            records = [RawRecord(at, 0, None, value) for at, value in enumerate(values)]
            promise = asyncio.ensure_future(await logic.handle(Fetch(BLOCKS, partition, records)))
            promises.add(promise)
            promise.add_done_callback(self._kept)

    def _kept(self, promise: asyncio.Future[None]) -> None:
        promise.result()
        self.unkept -= 1


async def sample(directory: Path) -> dict[str, Any]:
    """The blocks through sample's handler, its own vouchers coming back to it, until it has come to rest."""
    from schemas.fixed_registry import FixedRegistry
    from streams.kafka.dead_letters import DeadLetters
    from streams.sampling import handler
    from streams.state.log import SegmentLog

    arrived = Arrived()

    def note(topic: str, partition: int | None, value: bytes) -> None:
        if topic == BLOCKS:
            arrived.put(partition or 0, value)

    class Forgetful:
        """In the place of the topic of segments: confirms, and holds nothing."""

        async def put(self, partition: int, key: str, record: object) -> None:
            counts["segments"] = counts.get("segments", 0) + 1

        async def read(self, partition: int) -> list[Any]:
            return []

    producer: Any = FileProducer(note)
    counts = producer.counts
    store: Any = Forgetful()
    logic: Any = handler.build(Settings(topic_prefix=""), producer, DeadLetters(producer), FixedRegistry())
    logic.segments = lambda number: SegmentLog(store, number)

    async def nothing_waits() -> int:
        return 0

    logic.releaser.lag = nothing_waits
    await logic.start()
    await logic.assigned(BLOCKS, frozenset(range(PARTITIONS)))
    background = asyncio.create_task(logic.background())
    measured = Measured()
    reading = [asyncio.create_task(arrived.read(number, logic)) for number in range(PARTITIONS)]
    for share, fetch in fetches(directory / "blocks"):
        await asyncio.sleep(max(0.0, measured.began_s + ARRIVES_S * share - time.perf_counter()))
        while arrived.waiting > MAX_WAITING:  # noqa: ASYNC110 - what has not been read is on the broker's disk
            await asyncio.sleep(0.01)
        arrived.put(fetch.partition, fetch.records[0].value)
    boards = [work.owned.board for work in logic.works.values()]
    dirty = [board.dirty for board in boards]
    async with asyncio.timeout(SETTLED_S):
        while arrived.waiting or not all(board.settled for board in boards):  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0.05)
    report = measured.report(counts=counts, dirty=dirty, tables=sum(map(tables, boards)))
    for task in reading:
        task.cancel()
    background.cancel()
    return report


def tables(board: Any) -> int:
    """Bytes of what a partition holds."""
    knowledge = board.knowledge
    derived = [board.qualified, board._vouched, knowledge._companions, knowledge._own]
    held: int = sum(board.state.bytes.values())
    return held + sum(int(frame.estimated_size()) for frame in derived)


if __name__ == "__main__":
    main()
