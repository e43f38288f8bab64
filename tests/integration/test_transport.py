"""The whole-fetch transport against a real broker: nothing is lost or passed over, whatever happens between."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from faust.types import TP

from cosmo.runtime import health
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import StopWorker
from cosmo.runtime.health import Progress
from cosmo.runtime.metrics import counter
from cosmo.runtime.settings import Settings
from streams import topics
from streams.fetch.handler import Fetch
from streams.fetch.transport import FetchConsumer
from streams.fetch.watch import Watch
from streams.kafka.admin import create_topics
from streams.kafka.clients import admin, client_config, group_reader, log_reader
from streams.worker import Worker
from tests.support.manual_clock import ManualClock

pytestmark = pytest.mark.integration

BOUND_S = 60.0


@dataclass
class RecordingHandler:
    """Takes every fetch on, remembers its offsets, and keeps its promise when ``keep`` lets it."""

    keep: Callable[[Fetch], Awaitable[None]]
    seen: list[tuple[int, int]] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    owned: set[tuple[str, int]] = field(default_factory=set)

    async def start(self) -> None:
        pass

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        self.owned |= {(topic, number) for number in partitions}
        self.changed.set()

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        self.owned -= {(topic, number) for number in partitions}

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        self.seen += [(fetch.partition, record.offset) for record in fetch.records]
        self.fetches.append(fetch)
        self.changed.set()
        return self.keep(fetch)

    async def stop(self, deadline: Deadline) -> None:
        pass

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class SteppingHandler(RecordingHandler):
    """Has room for one more fetch at each step, and for all in the end."""

    def __init__(self) -> None:
        super().__init__(at_once)
        self.steps = asyncio.Semaphore(0)

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        kept = await super().handle(fetch)
        await self.steps.acquire()
        return kept


async def at_once(_: Fetch) -> None:
    pass


async def never(_: Fetch) -> None:
    await asyncio.Event().wait()


def worker(settings: Settings, handler: RecordingHandler) -> Worker:
    return Worker("materialize", settings, handler, Watch("materialize", Progress(), log_reader(settings)))


def quick(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(
        update={"commit_interval_s": 0.2, "session_timeout_s": 6.0, "shutdown_s": 5.0, **changes}
    )


def fill(settings: Settings, count: int) -> None:
    producer = Producer(client_config(settings))
    for number in range(count):
        producer.produce(topic(settings), value=b"%d" % number, partition=number % settings.topic_partitions)
    assert producer.flush(30.0) == 0


def fill_batch(settings: Settings, values: list[bytes]) -> None:
    """One batch of partition 0."""
    producer = Producer(
        client_config(settings) | {"compression.type": "zstd", "message.max.bytes": 10_000_000, "linger.ms": 1000}
    )
    for value in values:
        producer.produce(topic(settings), value=value, partition=0)
    assert producer.flush(30.0) == 0


def fill_singly(settings: Settings, count: int) -> None:
    """As many batches of one record each, of partition 0; ten fill a fetch of 100 kB."""
    producer = Producer(client_config(settings) | {"linger.ms": 0})
    for _ in range(count):
        producer.produce(topic(settings), value=os.urandom(10_000), partition=0)
        assert producer.flush(30.0) == 0


def more_than(seen: list[tuple[int, int]], count: int) -> bool:
    return len(seen) > count


async def read_ahead(running: Worker) -> None:
    """Until nothing more is asked of partition 0, because an answer waits for room."""
    fetcher = running.app.consumer._thread._ensure_consumer()._fetcher
    async with asyncio.timeout(BOUND_S):
        while (topic(running.settings), 0) not in fetcher._records:  # noqa: ASYNC110 - aiokafka tells nobody
            await asyncio.sleep(0.02)


def delete_up_to(settings: Settings, offset: int) -> None:
    brokers = admin(settings)  # held: its futures fail when it is collected
    at = TopicPartition(topic(settings), 0, offset)
    brokers.delete_records([at])[at].result(BOUND_S)


def in_transaction(settings: Settings) -> Producer:
    """A producer that has begun one."""
    producer = Producer(client_config(settings) | {"transactional.id": settings.topic_prefix})
    producer.init_transactions(BOUND_S)
    producer.begin_transaction()
    return producer


def skip_to(settings: Settings, offset: int) -> None:
    """As `kafka-consumer-groups --reset-offsets` does it."""
    with closing(group_reader(settings, topics.group("materialize", settings.topic_prefix))) as reader:
        reader.commit(offsets=[TopicPartition(topic(settings), 0, offset)], asynchronous=False)


def topic(settings: Settings) -> str:
    return settings.topic_prefix + topics.ENTITY_INTENTS.name


def committed(settings: Settings) -> dict[int, int]:
    reader = group_reader(settings, topics.group("materialize", settings.topic_prefix))
    wanted = [TopicPartition(topic(settings), number) for number in range(settings.topic_partitions)]
    found = reader.committed(wanted, timeout=30.0)
    reader.close()
    return {tp.partition: max(0, tp.offset) for tp in found}


@pytest.fixture
def ready(settings: Settings) -> Settings:
    create_topics(settings)
    return quick(settings)


async def test_everything_that_ended_is_committed_by_a_graceful_stop(ready: Settings) -> None:
    fill(ready, 1000)
    handler = RecordingHandler(at_once)
    running = worker(ready, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) == 1000)
    running.request_stop()
    await task
    assert sum(committed(ready).values()) == 1000


async def test_what_was_in_flight_comes_again_after_a_failure(ready: Settings) -> None:
    fill(ready, 1000)

    async def fails_on_partition_one(fetch: Fetch) -> None:
        if fetch.partition == 1:
            raise StopWorker("The sink is broken.")

    with pytest.raises(StopWorker, match="sink is broken"):
        await worker(ready, RecordingHandler(fails_on_partition_one)).run()
    assert committed(ready)[1] == 0
    handler = RecordingHandler(at_once)
    second = worker(ready, handler)
    task = asyncio.create_task(second.run())
    await handler.until(lambda: {offset for partition, offset in handler.seen if partition == 1} == set(range(250)))
    second.request_stop()
    await task
    assert committed(ready)[1] == 250


async def test_a_batch_that_cannot_be_read_stops_the_worker_behind_all_that_lies_before_it(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was still in flight is committed first, at every start again: who then moves the group past the batch,
    as the error tells, passes over nothing else."""
    monkeypatch.setattr("streams.fetch.batches.MOST_BYTES", 1024 * 1024)
    settings = quick(ready, topic_partitions=1)
    for values in ([b"1", b"2"], [bytes(2 * 1024 * 1024)], [b"3"]):
        fill_batch(settings, values)
    release = asyncio.Event()

    async def when_released(_: Fetch) -> None:
        await release.wait()

    handler = RecordingHandler(when_released)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: handler.seen == [(0, 0), (0, 1)])
    await running.app.consumer.unreadable
    assert committed(settings)[0] == 0
    release.set()
    place = rf"{re.escape(topic(settings))}\[0\]@2 unpacks to more than 1 MiB\. The next begins at 3\."
    with pytest.raises(StopWorker, match=place):
        await task
    assert committed(settings)[0] == 2
    with pytest.raises(StopWorker, match=place):
        await worker(settings, RecordingHandler(at_once)).run()

    skip_to(settings, 3)
    handler = RecordingHandler(at_once)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: handler.seen == [(0, 3)])
    running.request_stop()
    await task
    assert committed(settings)[0] == 4


async def test_what_lies_behind_an_open_transaction_is_not_read_before_it_ends_and_is_counted(ready: Settings) -> None:
    producer = in_transaction(ready)
    producer.produce(topic(ready), value=b"open", partition=0)
    producer.flush(BOUND_S)
    fill(ready, 4)
    handler = RecordingHandler(at_once)
    running = worker(ready, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: {partition for partition, _ in handler.seen} == {1, 2, 3})
    async with asyncio.timeout(BOUND_S):
        while running.app.consumer.ends.get((topic(ready), 0)) != (0, 2):  # noqa: ASYNC110 - Faust tells nobody
            await asyncio.sleep(0.05)
    producer.commit_transaction(BOUND_S)
    await handler.until(lambda: {(0, 0), (0, 1)} <= set(handler.seen))
    running.request_stop()
    await task


async def test_without_room_an_open_transaction_is_told_until_it_ends(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the partition meanwhile: the last response tells of it for ever."""
    monkeypatch.setattr("streams.fetch.held_back.TOLD_AFTER_S", 0.2)
    monkeypatch.setattr("streams.worker.EVERY_S", 0.1)
    settings = quick(ready, topic_partitions=1, fetch_bytes=100_000, fetch_records=1)
    fill_singly(settings, 40)
    producer = in_transaction(settings)
    producer.produce(topic(settings), value=b"open", partition=0)
    producer.flush(BOUND_S)
    handler = SteppingHandler()
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: handler.seen == [(0, 0)])
    await read_ahead(running)

    def told() -> bool:
        return any(f"a transaction at {topic(settings)}[0]@40" in note for note in health.notes())

    async with asyncio.timeout(BOUND_S):
        while not told():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.05)
        producer.commit_transaction(BOUND_S)
        while told():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.05)
    running.request_stop()
    for _ in range(100):
        handler.steps.release()
    await task


async def test_retention_that_overtakes_a_group_is_told(ready: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Also how much: nothing else would ever say that events were not counted."""
    settings = quick(ready, topic_partitions=1)
    fill(settings, 100)
    skip_to(settings, 10)
    delete_up_to(settings, 60)
    handler = RecordingHandler(at_once)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) == 40)
    running.request_stop()
    await task
    assert handler.seen[0] == (0, 60)
    assert counter("cosmo_deleted_unread_total").labels(topic(settings), 0)._value.get() == 50
    (told,) = [record.getMessage() for record in caplog.records if "deleted before" in record.getMessage()]
    assert "10" in told
    assert "60" in told


async def test_what_was_fetched_before_it_was_deleted_is_handed_over_all_the_same(ready: Settings) -> None:
    """Retention overtakes a worker that has no room. What it holds already is as good as ever, and the rest is told."""
    settings = quick(ready, topic_partitions=1, fetch_bytes=100_000, fetch_records=1)
    fill_singly(settings, 100)
    handler = SteppingHandler()
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: handler.seen == [(0, 0)])
    await read_ahead(running)
    delete_up_to(settings, 60)
    while handler.seen[-1] < (0, 60):
        await read_ahead(running)
        handler.steps.release()
        await handler.until(partial(more_than, handler.seen, len(handler.seen)))
    for _ in range(100):
        handler.steps.release()
    await handler.until(lambda: handler.seen[-1] == (0, 99))
    running.request_stop()
    await task
    held = len(handler.seen) - 40
    assert held > 10
    assert [offset for _, offset in handler.seen] == [*range(held), *range(60, 100)]
    assert counter("cosmo_deleted_unread_total").labels(topic(settings), 0)._value.get() == 60 - held


async def test_a_later_fetch_that_ends_first_is_not_committed_past_an_earlier_one(ready: Settings) -> None:
    """Faust alone commits past a record in flight here."""
    settings = quick(ready, fetch_records=10, topic_partitions=1)
    fill(settings, 50)
    release = asyncio.Event()

    async def first_waits(fetch: Fetch) -> None:
        if fetch.partition == 0 and fetch.first_offset == 0:
            await release.wait()

    handler = RecordingHandler(first_waits)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) == 50)
    await running.app.consumer.commit()
    assert committed(settings)[0] == 0
    release.set()
    await asyncio.sleep(0)
    running.request_stop()
    await task
    assert committed(settings)[0] == 50


async def test_what_ends_while_the_worker_drains_is_committed_too(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the loop that fetches has noticed by then that the flow has stopped. In a rebalance it seeks back."""
    release, looking, noticed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    look = FetchConsumer._wait_next_records

    async def watched(consumer: FetchConsumer, timeout_s: float) -> Any:
        if len(handler.seen) == 40:
            looking.set()
        found = await look(consumer, timeout_s)
        if not consumer.flow_active:
            noticed.set()
        return found

    async def when_released(_: Fetch) -> None:
        await release.wait()

    class DrainingHandler(RecordingHandler):
        async def stop(self, deadline: Deadline) -> None:
            await noticed.wait()
            release.set()

    monkeypatch.setattr(FetchConsumer, "_wait_next_records", watched)
    fill(ready, 40)
    handler = DrainingHandler(when_released)
    running = worker(quick(ready, shutdown_s=20.0), handler)
    task = asyncio.create_task(running.run())
    await looking.wait()
    running.request_stop()
    await task
    assert noticed.is_set()
    assert sum(committed(ready).values()) == 40


async def test_a_rebalance_during_processing_loses_nothing(ready: Settings) -> None:
    """Two workers share the topic; the second goes and its unfinished fetches are read again by the first."""
    fill(ready, 400)
    first, second = RecordingHandler(at_once), RecordingHandler(never)
    stuck = worker(ready, second)
    stuck_task = asyncio.create_task(stuck.run())
    await second.until(lambda: len(second.seen) == 400)
    steady = worker(ready, first)
    steady_task = asyncio.create_task(steady.run())
    await first.until(lambda: len(first.owned) > 0)
    stuck.request_stop()
    await stuck_task
    await first.until(lambda: len(set(first.seen)) == 400)
    fill(ready, 40)
    await first.until(lambda: len(set(first.seen)) == 440)
    steady.request_stop()
    await steady_task
    assert sum(committed(ready).values()) == 440


async def test_an_empty_topic_is_neither_committed_nor_unhealthy(ready: Settings) -> None:
    handler = RecordingHandler(at_once)
    running = worker(ready, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.owned) == ready.topic_partitions)
    running.request_stop()
    await task
    assert sum(committed(ready).values()) == 0
    assert running.watch.progress.judge().healthy


async def test_a_worker_to_spare_is_healthy(settings: Settings) -> None:
    """More workers than partitions: what has no partition has nothing that could move, and no restart mends it."""
    one_partition = quick(settings.model_copy(update={"topic_partitions": 1}))
    create_topics(one_partition)
    handlers, tasks, workers, progress = [], [], [], []
    for _ in range(2):
        handlers.append(RecordingHandler(at_once))
        progress.append(Progress(clock=ManualClock()))
        watch = Watch("materialize", progress[-1], log_reader(one_partition))
        workers.append(Worker("materialize", one_partition, handlers[-1], watch))
        tasks.append(asyncio.create_task(workers[-1].run()))
    async with asyncio.timeout(BOUND_S):
        while any("start" in each._moved_at for each in progress):  # noqa: ASYNC110 - nobody tells when it has ended
            await asyncio.sleep(0.05)
    assert sorted(len(handler.owned) for handler in handlers) == [0, 1]
    spare = progress[[len(handler.owned) for handler in handlers].index(0)]
    spare.clock.now_s += 1e6  # type: ignore[attr-defined]  # a ManualClock
    assert spare.judge().healthy
    for running in workers:
        running.request_stop()
    await asyncio.gather(*tasks)


async def test_a_partition_that_ends_with_a_marker_is_committed_to_its_end(ready: Settings) -> None:
    """A transaction's marker is an offset without a record. Left uncommitted, an idle partition would look stuck."""
    producer = in_transaction(ready)
    producer.produce(topic(ready), value=b"v", partition=0)
    producer.commit_transaction(BOUND_S)
    handler = RecordingHandler(at_once)
    running = worker(ready, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) == 1)
    async with asyncio.timeout(BOUND_S):
        while running.app.consumer.ledgers[TP(topic(ready), 0)].committable() != 2:  # noqa: ASYNC110 - Faust tells nobody
            await asyncio.sleep(0.05)
    running.request_stop()
    await task
    assert committed(ready)[0] == 2


async def test_records_of_an_aborted_transaction_are_not_read_and_are_committed_past(ready: Settings) -> None:
    """Also where there is nothing else in the partition."""
    producer = in_transaction(ready)
    for number in (0, 0, 1, 1):
        producer.produce(topic(ready), value=b"aborted", partition=number)
    producer.flush(BOUND_S)  # what was not sent would not be aborted by a marker
    producer.abort_transaction(BOUND_S)
    producer.begin_transaction()
    producer.produce(topic(ready), value=b"committed", partition=0)
    producer.commit_transaction(BOUND_S)
    handler = RecordingHandler(at_once)
    running = worker(ready, handler)
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(BOUND_S):
        while [committed(ready)[number] for number in (0, 1)] != [5, 3]:  # noqa: ASYNC110 - Faust tells nobody
            await asyncio.sleep(0.05)
    running.request_stop()
    await task
    assert [record.value for fetch in handler.fetches for record in fetch.records] == [b"committed"]


async def test_partitions_that_are_revoked_and_come_back_go_on_where_they_were_committed(ready: Settings) -> None:
    """What was read ahead before the revocation is void; nothing of it is passed over and nothing committed twice."""
    fill(ready, 400)
    first, second = RecordingHandler(at_once), RecordingHandler(never)
    steady = worker(ready.model_copy(update={"fetch_records": 10}), first)
    steady_task = asyncio.create_task(steady.run())
    await first.until(lambda: len(first.seen) > 0)
    passing = worker(ready, second)
    passing_task = asyncio.create_task(passing.run())
    await second.until(lambda: len(second.owned) > 0)
    passing.request_stop()
    await passing_task
    await first.until(lambda: len(first.owned) == ready.topic_partitions and len(set(first.seen)) == 400)
    fill(ready, 40)
    await first.until(lambda: len(set(first.seen)) == 440)
    steady.request_stop()
    await steady_task
    assert sum(committed(ready).values()) == 440


async def test_what_was_fetched_before_any_commit_comes_again_after_a_seek(ready: Settings) -> None:
    """A rebalance drops fetches and seeks back; aiokafka alone stays where it is when there is no commit to seek to."""
    settings = quick(ready, topic_partitions=1)
    fill(settings, 50)
    handler = RecordingHandler(never)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) >= 50)
    await running.app.consumer.perform_seek()
    await handler.until(lambda: len(handler.seen) >= 100)
    running.request_stop()
    await task
    assert sorted(handler.seen) == sorted([(0, offset) for offset in range(50)] * 2)


async def test_what_comes_again_because_the_position_went_back_is_acked_again(ready: Settings) -> None:
    """As when a topic is made anew. Faust drops what it has delivered before: its fetch would be in flight for ever."""
    settings = quick(ready, fetch_records=10, topic_partitions=1)
    fill(settings, 50)
    handler = RecordingHandler(at_once)
    running = worker(settings, handler)
    task = asyncio.create_task(running.run())
    await handler.until(lambda: len(handler.seen) == 50)
    partition = TP(topic(settings), 0)

    async def back() -> None:
        running.app.consumer._thread._ensure_consumer().seek(partition, 10)

    async with asyncio.timeout(BOUND_S):
        while running.app.consumer._committed_offset[partition] != 50:  # noqa: ASYNC110 - Faust tells nobody
            await asyncio.sleep(0.05)
    await running.app.consumer._thread.call_thread(back)
    await handler.until(lambda: len(handler.seen) == 90)
    running.request_stop()
    await task
    assert committed(settings)[0] == 50


async def test_of_two_workers_with_one_instance_id_the_first_stops_and_says_so(ready: Settings) -> None:
    """They would otherwise take the partitions from each other for ever, and both look healthy."""
    settings = quick(ready, group_instance_id="the-same")
    first, second = RecordingHandler(at_once), RecordingHandler(at_once)
    one = asyncio.create_task(worker(settings, first).run())
    await first.until(lambda: len(first.owned) == settings.topic_partitions)
    other = worker(settings, second)
    two = asyncio.create_task(other.run())
    await second.until(lambda: len(second.owned) == settings.topic_partitions)
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(StopWorker, match="Another process is 'the-same' in group"):
            await one
    fill(settings, 40)
    await second.until(lambda: len(second.seen) == 40)
    other.request_stop()
    await two
    assert first.seen == []
    assert sum(committed(settings).values()) == 40
