"""Bad records on a real broker: byte for byte in the dead letters with their reason, while the rest goes on."""

from __future__ import annotations

import asyncio
import os

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.cimpl import NewTopic

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import CoPurchase, PairCounts, QueryPurchase
from schemas.registry import Registry
from streams import topics
from streams.fetch.watch import Watch
from streams.ingest import handler
from streams.kafka.admin import create_topics
from streams.kafka.clients import admin, client_config, group_reader, log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import total_lag
from streams.kafka.producer import ConfirmingProducer
from streams.kafka.reading import messages_to_end
from streams.worker import Worker
from tests.ingest.bad_records import Kind, kinds, order, search

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return made(settings)


def made(settings: Settings) -> Registry:
    """The topics that do not exist yet, and a registry that knows the schemas."""
    create_topics(settings)
    registry = Registry(settings)
    for topic in ("query-purchase", "co-purchase", "pair-counts", "behavior-pairs"):
        registry.register(topic)
    return registry


async def ingest_all(settings: Settings, registry: Registry) -> None:
    """Run ingest until it has committed everything; raises what stopped it."""
    async with ConfirmingProducer(settings) as producer:
        logic = handler.build(settings, producer, DeadLetters(producer, limit=settings.dead_letter_ratio), registry)
        worker = Worker("ingest", settings, logic, Watch("ingest", Progress(), log_reader(settings)))
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(90.0):
            while not running.done() and await lag(settings) > 0:
                await asyncio.wait({running}, timeout=0.2)
        worker.request_stop()
        await running


async def lag(settings: Settings) -> int:
    reader = group_reader(settings, topics.group("ingest", settings.topic_prefix))
    names = [settings.topic_prefix + topic.name for topic in topics.CONSUMED["ingest"]]
    lags = [await total_lag(reader, name, settings.topic_partitions) for name in names]
    reader.close()
    return sum(1 if lag is None else lag for lag in lags)


def read_all(settings: Settings, name: str) -> list[Message]:
    topic = settings.topic_prefix + name
    return [message for n in range(settings.topic_partitions) for message in messages_to_end(settings, topic, n)]


def produce(settings: Settings, events: list[Kind]) -> None:
    producer = Producer(client_config(settings) | {"message.max.bytes": 15_000_000, "enable.idempotence": True})
    for kind in events:
        name = settings.topic_prefix + kind.topic
        producer.produce(name, value=kind.value, key=kind.key, headers=list(kind.headers), partition=0)
    assert producer.flush(60.0) == 0


async def test_every_kind_ends_in_its_dead_letter_topic_byte_for_byte(settings: Settings, registry: Registry) -> None:
    table = kinds(registry, registry.schema_id("behavior-pairs"))
    good = [
        Kind(name="good", topic="query-purchase", reason=None,
             value=Codec("query-purchase", QueryPurchase, registry).encode(search())),
        Kind(name="good", topic="co-purchase", reason=None,
             value=Codec("co-purchase", CoPurchase, registry).encode(order())),
    ]  # fmt: skip
    events = [event for kind in table for event in (kind, *good)]
    produce(settings, events)
    await ingest_all(settings.model_copy(update={"dead_letter_ratio": 1.0}), registry)
    for topic in ("query-purchase", "co-purchase"):
        sent = [kind for kind in events if kind.topic == topic]  # all on one partition: the offset is the index
        originals = read_all(settings, topic)
        dead = {int(header(letter, "offset")): letter for letter in read_all(settings, f"{topic}.dlq")}
        assert {offset: header(letter, "reason") for offset, letter in dead.items()} == {
            offset: kind.reason for offset, kind in enumerate(sent) if kind.reason
        }
        for offset, letter in dead.items():
            assert_same_record(letter, originals[offset])
    codec = Codec("pair-counts", PairCounts, registry)
    assert [codec.decode(message.value()) for message in read_all(settings, "pair-counts")]


async def test_a_bad_record_as_large_as_the_topic_takes_is_a_dead_letter_too(
    settings: Settings, registry: Registry
) -> None:
    """Alone in its batch, and so well compressed that the topic takes more than it would of plain bytes."""
    largest = topics.QUERY_PURCHASE.max_message_bytes
    random, text = os.urandom(largest - 200), b"hello" * (largest // 2)
    producer = Producer(client_config(settings) | {"message.max.bytes": 4 * largest, "compression.type": "gzip"})
    for value in (random, text):
        producer.produce(settings.topic_prefix + "query-purchase", value=value, partition=0)
        assert producer.flush(60.0) == 0
    originals = read_all(settings, "query-purchase")
    assert [len(message.value() or b"") for message in originals] == [len(random), len(text)]
    await ingest_all(settings, registry)
    letters = read_all(settings, "query-purchase.dlq")
    for letter in letters:
        assert_same_record(letter, originals[int(header(letter, "offset"))])
    assert len(letters) == 2


def odd_repeats(settings: Settings) -> None:
    """3 MB at random, 13 times over: small for a window that reaches back as far, and 39 MB for ours."""
    producer = Producer(
        client_config(settings)
        | {"compression.type": "zstd", "compression.level": 12, "message.max.bytes": 100_000_000}
    )
    producer.produce(settings.topic_prefix + "query-purchase", value=os.urandom(3_000_000) * 13, partition=0)
    assert producer.flush(60.0) == 0


async def test_a_bad_record_that_its_sender_has_compressed_better_is_a_dead_letter_too(
    settings: Settings, registry: Registry
) -> None:
    odd_repeats(settings)
    await ingest_all(settings, registry)
    (original,), (letter,) = read_all(settings, "query-purchase"), read_all(settings, "query-purchase.dlq")
    assert_same_record(letter, original)


async def test_a_dead_letter_that_its_topic_does_not_take_stops_the_worker_and_names_the_record(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """As dead-letter topics do that somebody else has made. Started again, it would meet the record again."""
    name = settings.topic_prefix + "query-purchase"
    brokers = admin(settings)  # held: its futures fail when it is collected
    small = NewTopic(f"{name}.dlq", settings.topic_partitions, 1, config={"max.message.bytes": "1000000"})
    brokers.create_topics([small])[small.topic].result(30.0)
    registry = made(settings)
    odd_repeats(settings)
    with pytest.raises(StopWorker, match=rf"{name}\.dlq does not take a record, for its size.*max\.message\.bytes"):
        await ingest_all(settings, registry)
    assert [f"{name}[0]@0" in text for text in caplog.messages if "not taken" in text] == [True]
    assert await lag(settings) == 1


def assert_same_record(letter: Message, original: Message) -> None:
    assert letter.key() == original.key()
    assert letter.value() == original.value()
    kept = [entry for entry in letter.headers() or [] if not entry[0].startswith("__streams.errors.")]
    assert kept == (original.headers() or [])


def header(message: Message, name: str) -> str:
    value = dict(message.headers() or [])["__streams.errors." + name]
    assert isinstance(value, bytes)
    return value.decode()


async def test_too_many_dead_letters_stop_the_worker_with_a_sentence(settings: Settings, registry: Registry) -> None:
    produce(settings, [Kind(name="text", topic="query-purchase", value=b"hello", reason="wrong_magic")] * 500)
    with pytest.raises(StopWorker, match=r"cannot be used: .*\]@\d+ is wrong_magic, .* dead letters"):
        await ingest_all(settings, registry)
