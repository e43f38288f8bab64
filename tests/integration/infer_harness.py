"""Runs the infer worker on a real broker until it has committed everything, and reads what it wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from inference import handler
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import BY_TOPIC, BehaviorPair, IntentRequest, Record
from streams import topics
from streams.fetch.watch import Watch
from streams.kafka.clients import client_config, group_reader, log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import total_lag
from streams.kafka.producer import ConfirmingProducer
from streams.worker import Worker

BOUND_S = 120.0
REGISTRY = FixedRegistry()

R = TypeVar("R", bound=Record)


def codec(topic: str) -> Codec[Any]:
    return Codec(topic, BY_TOPIC[topic], REGISTRY)


def send(settings: Settings, *records: BehaviorPair | IntentRequest) -> None:
    """As the sampler and the look-up do."""
    pairs = [(record.pair_id, record) for record in records if isinstance(record, BehaviorPair)]
    requests = [(record.query or "", record) for record in records if isinstance(record, IntentRequest)]
    send_raw(settings, "behavior-pairs", ((key, codec("behavior-pairs").encode(record)) for key, record in pairs))
    send_raw(settings, "intent-requests", ((key, codec("intent-requests").encode(record)) for key, record in requests))


def send_raw(settings: Settings, topic: str, records: Iterable[tuple[str, bytes | None]]) -> None:
    producer = Producer(client_config(settings))
    for key, value in records:
        producer.produce(settings.topic_prefix + topic, value=value, key=key.encode())
    assert producer.flush(30.0) == 0


@asynccontextmanager
async def infer_worker(settings: Settings) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    """A worker that runs until the context ends, which raises what broke it."""
    async with ConfirmingProducer(settings) as producer:
        logic = handler.build(settings, producer, DeadLetters(producer, limit=settings.dead_letter_ratio), REGISTRY)
        worker = Worker("infer", settings, logic, Watch("infer", Progress(), log_reader(settings)))
        running = asyncio.create_task(worker.run())
        yield worker, running
        worker.request_stop()
        await running


async def infer_all(settings: Settings) -> None:
    """Run until nothing is left to read; raises what stopped the worker."""
    async with infer_worker(settings) as (_, running):
        await until_caught_up(settings, running)


async def until_caught_up(settings: Settings, running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not running.done() and await lag(settings) > 0:
            await asyncio.wait({running}, timeout=0.2)


async def lag(settings: Settings) -> int:
    reader = group_reader(settings, topics.group("infer", settings.topic_prefix))
    try:
        names = [settings.topic_prefix + topic.name for topic in topics.CONSUMED["infer"]]
        lags = [await total_lag(reader, name, settings.topic_partitions) for name in names]
    finally:
        reader.close()
    return sum(1 if found is None else found for found in lags)


def written(settings: Settings, topic: str) -> list[tuple[str, Any]]:
    """Keys and records of an output topic, partition by partition."""
    found = []
    for message in read_all(settings, topic):
        key = message.key()
        assert key is not None
        found.append((key.decode(), codec(topic).decode(message.value())))
    return found


def reason(message: Message) -> str:
    """Why a dead letter is one."""
    value = dict(message.headers() or [])["__streams.errors.reason"]
    return value.decode() if isinstance(value, bytes) else str(value)


def read_all(settings: Settings, topic: str) -> list[Message]:
    """Every record of a topic."""
    reader: Consumer = log_reader(settings)
    found: list[Message] = []
    for number in range(settings.topic_partitions):
        partition = TopicPartition(settings.topic_prefix + topic, number, 0)
        end = reader.get_watermark_offsets(partition, timeout=30.0)[1]
        reader.assign([partition])
        while end and (message := reader.poll(30.0)) is not None and message.error() is None:
            found.append(message)
            if message.offset() == end - 1:
                break
    reader.close()
    return found
