"""The materialize worker on the running stack, and intents to feed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing

from confluent_kafka import Producer

from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from features.materialize import handler
from features.merge import evidence_key
from inference.entities import entities_of
from schemas.codec import Codec
from schemas.records import EntityIntent, EntityKind, Intent
from schemas.registry import Registry
from streams import topics
from streams.fetch.watch import Watch
from streams.kafka.admin import create_topics
from streams.kafka.clients import client_config, group_reader, log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import total_lag
from streams.kafka.producer import ConfirmingProducer
from streams.worker import Worker

BOUND_S = 90.0


def prepare(settings: Settings) -> Settings:
    """Topics and schemas; and settings for tests, which wait for nothing."""
    create_topics(settings)
    with closing(Registry(settings)) as registry:
        for topic in (topics.INTENTS, topics.ENTITY_INTENTS):
            registry.register(topic.name)
    return settings.model_copy(
        update={"commit_interval_s": 0.2, "session_timeout_s": 6.0, "features_offline_flush_s": 0.1}
    )


class Log:
    """Writes intents as the infer worker does: to the log, and to the entities that they say something about."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.topic_prefix
        self._producer = Producer(client_config(settings) | {"linger.ms": 5})
        with closing(Registry(settings)) as registry:
            self._intents = Codec(topics.INTENTS.name, Intent, registry)
            self._entities = Codec(topics.ENTITY_INTENTS.name, EntityIntent, registry)
            assert self._intents.schema_id != self._entities.schema_id  # looked up now, and never again

    def write(self, intents: Iterable[Intent], *, log: bool = True, entities: bool = True) -> None:
        """Returns when the broker has confirmed them."""
        for intent in intents:
            if log:
                self._send(topics.INTENTS, evidence_key(intent), self._intents.encode(intent))
            if entities:
                self._fan_out(intent, retracted=False)
        self.flush()

    def retract(self, intents: Iterable[Intent]) -> None:
        for intent in intents:
            self._send(topics.INTENTS, evidence_key(intent), None)
            self._fan_out(intent, retracted=True)
        self.flush()

    def raw(self, topic: topics.Topic, key: str, value: bytes | None) -> None:
        self._send(topic, key, value)

    def flush(self) -> None:
        assert self._producer.flush(30.0) == 0

    def _fan_out(self, intent: Intent, *, retracted: bool) -> None:
        for kind, key in entities_of(intent):
            record = EntityIntent(entity_kind=kind, entity_key=key, retracted=retracted, intent=intent)
            self._send(topics.ENTITY_INTENTS, entity_record_key(kind, key), self._entities.encode(record))

    def _send(self, topic: topics.Topic, key: str, value: bytes | None) -> None:
        while True:
            try:
                return self._producer.produce(self._prefix + topic.name, value=value, key=key)
            except BufferError:
                self._producer.poll(0.1)


def entity_record_key(kind: EntityKind, key: str) -> str:
    return f"{kind}:{key}"


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """The worker, in this process, until the block ends; raises what stopped it."""
    with closing(Registry(settings)) as registry:
        async with ConfirmingProducer(settings) as producer:
            logic = handler.build(settings, producer, DeadLetters(producer), registry)
            worker = Worker("materialize", settings, logic, Watch("materialize", Progress(), log_reader(settings)))
            running = asyncio.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.request_stop()
                await running


async def caught_up(settings: Settings) -> None:
    """Returns when the group has committed everything that is in the topic."""
    reader = group_reader(settings, topics.group("materialize", settings.topic_prefix))
    topic = settings.topic_prefix + topics.ENTITY_INTENTS.name
    async with asyncio.timeout(BOUND_S):
        while await total_lag(reader, topic, settings.topic_partitions) != 0:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.1)
    reader.close()


async def materialize(settings: Settings) -> None:
    """Run the worker until it has caught up."""
    async with working(settings):
        await caught_up(settings)
